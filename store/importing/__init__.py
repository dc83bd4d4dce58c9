"""A file into the ledger: all of it or nothing, and everything only once."""

from typing import overload

from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import take_turn
from store.importers.imported import ImportFile
from store.importing.files import ImportResult, import_trades
from store.importing.ready import Progress, RowsRefused
from store.importing.statements import StatementResult, import_statement
from store.statements.execution import Statement

__all__ = ["ImportResult", "RowsRefused", "StatementResult", "import_file"]


@overload
async def import_file(
    session: AsyncSession,
    file: ImportFile,
    *,
    take_good: bool = False,
    progress: Progress | None = None,
) -> ImportResult: ...


@overload
async def import_file(
    session: AsyncSession,
    file: Statement,
    *,
    take_good: bool = False,
    progress: Progress | None = None,
) -> StatementResult: ...


async def import_file(
    session: AsyncSession,
    file: ImportFile | Statement,
    *,
    take_good: bool = False,
    progress: Progress | None = None,
) -> ImportResult | StatementResult:
    """Record what `file` has, in the caller's transaction; again, only what is new.

    With `take_good` the rows that are not refused. `progress` is told how many trades are
    done, and of how many.

    Raises:
        Invalid: rows are refused and `take_good` is not set, or a trade cannot be recorded.
        Conflict: an account exists with another mode or currency, or a row was imported
            before with other content.
    """
    await take_turn(session)
    if isinstance(file, Statement):
        return await import_statement(session, file, take_good=take_good, progress=progress)
    return await import_trades(session, file, take_good=take_good, progress=progress)
