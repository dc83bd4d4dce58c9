"""Trades out of the ledger, as a stream: CSV, JSON lines or Parquet.

    export = Export(format="jsonl")
    async with store.read() as session:
        async for chunk in export.chunks(session):
            ...

Whoever opened the transaction gets one moment of the ledger, whatever is written meanwhile,
page by page: memory does not grow with the number of trades.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from store.errors import Invalid
from store.exporting.columns import FILL_COLUMNS, TRADE_COLUMNS, Column
from store.exporting.generic_rows import GenericRows
from store.exporting.lines import CsvLines, JsonLines
from store.exporting.pages import Exported, ambiguous_ids, condition_names, paged
from store.exporting.report import Report
from store.exporting.rows import complete, fill_rows, flat
from store.queries.asking import refuse_unknown
from store.queries.filters import Filters

Format = Literal["csv", "jsonl", "parquet"]
What = Literal["trades", "fills"]
ALL = Filters(status="all")

__all__ = ["ALL", "Export", "Format", "What"]


class Encoder(Protocol):
    """Rows as bytes: what stands before them, they themselves, and what stands after them."""

    def head(self) -> bytes: ...

    def rows(self, rows: Sequence[dict[str, Any]]) -> bytes: ...

    def tail(self) -> bytes: ...


@dataclass
class Export:
    """What is to be exported; `report` says what was, once `chunks` has ended.

    Trades go as JSON lines whole, one a line; as Parquet one row each, without legs and fills;
    as CSV in the format that an import reads, those that it can say.

    Args:
        filters: which trades; a period is by exit, of open trades by entry.
        notes: journal entries, too: untrusted words. CSV has room for one of a trade.
        snapshots: marks, too (JSON lines only).
    """

    format: Format = "csv"
    what: What = "trades"
    filters: Filters = ALL
    notes: bool = False
    snapshots: bool = False
    report: Report = field(default_factory=Report)

    async def chunks(self, session: AsyncSession) -> AsyncIterator[bytes]:
        """The content, in order.

        Raises:
            NotFound: nobody knows a name among the filters.
            Invalid: Parquet is asked for and pyarrow is not installed.
        """
        await refuse_unknown(session, self.filters)
        encoder, rows_of = await self._form(session)
        yield encoder.head()

        def encoded(page: Sequence[Exported]) -> bytes:
            rows = [row for one in page for row in rows_of(one)]
            self.report.written += len(rows)
            return encoder.rows(rows)

        async for page in paged(session, self.filters, notes=self.notes, snapshots=self.snapshots):
            # In a thread, for a server has others to answer meanwhile.
            if chunk := await asyncio.to_thread(encoded, page):
                yield chunk
        if last := await asyncio.to_thread(encoder.tail):
            yield last

    async def _form(
        self, session: AsyncSession
    ) -> tuple[Encoder, Callable[[Exported], list[dict[str, Any]]]]:
        """How the rows are written, and what rows a trade makes."""
        fills = self.what == "fills"
        columns = FILL_COLUMNS if fills else TRADE_COLUMNS
        if self.format == "parquet":
            return parquet_file(columns), fill_rows if fills else flat
        if self.format == "jsonl":
            return JsonLines(columns if fills else None), fill_rows if fills else complete
        if fills:
            return CsvLines(columns), fill_rows
        generic = GenericRows(self.report, await ambiguous_ids(session))
        return CsvLines.generic(await condition_names(session, self.filters)), generic.of


def parquet_file(columns: Sequence[Column]) -> Encoder:
    try:
        from store.exporting.parquet import ParquetFile
    except ImportError:
        raise Invalid(
            "Parquet needs pyarrow, which is not installed: pip install"
            " 'trade-history-mcp[parquet]'. Without it csv and jsonl are accepted."
        ) from None
    return ParquetFile(columns)
