"""What every import begins with: the account it goes to, and rows that are refused."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, find_account, put_account
from store.errors import Conflict, Invalid
from store.models import Account
from store.records import Mode
from store.statements.refusing import Rejection

AUTHOR = "import"
REJECTIONS_SHOWN = 20

Progress: TypeAlias = Callable[[int, int], None]


class RowsRefused(Invalid):
    """Some rows cannot be recorded, so none was."""

    def __init__(self, file: str, rows: int, rejected: Sequence[Rejection]) -> None:
        self.rejected = tuple(rejected)
        listed = [str(one) for one in rejected[:REJECTIONS_SHOWN]]
        if len(rejected) > REJECTIONS_SHOWN:
            listed.append(f"and {len(rejected) - REJECTIONS_SHOWN} more rows")
        super().__init__(
            f"{len(rejected)} of {rows} rows of {file} are refused, so none was recorded"
            " (--take-good records the others):\n" + "\n".join(listed)
        )


async def ready(
    session: AsyncSession,
    account: AccountEntry,
    file: str,
    *,
    mode: Mode | None,
    currency: str | None,
) -> Account:
    """The account as it is, or a new one; an existing one keeps its zone and tolerance, and
    what neither the file nor the user says of it.

    Raises:
        Conflict: it exists with another mode or currency.
    """
    there = await find_account(session, account.name)
    if there is None:
        return await put_account(session, account, author=AUTHOR)
    if mode is not None and there.mode != mode:
        raise Conflict(
            f"The account '{there.name}' is {there.mode}, the trades of {file} are {mode}; name"
            " another with --account."
        )
    if currency is not None and there.currency != currency:
        raise Conflict(
            f"The account '{there.name}' is in {there.currency}, {file} in {currency}; name"
            " another with --account."
        )
    return there


def as_kept(account: Account) -> AccountEntry:
    """The account as it stands, which is not always as the file has it."""
    return AccountEntry(**{name: getattr(account, name) for name in AccountEntry.model_fields})
