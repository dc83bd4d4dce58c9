"""Many trades in one command: statements over all of them, one entry of the audit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, Update, bindparam, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import require_account
from store.audit import OWNER, begin, note_down
from store.database import user_of
from store.errors import Conflict, Invalid
from store.fixed import batch_hash, whole_trades
from store.models import Account, Condition, Fill, Leg, Trade
from store.recording import known_strategy
from store.records import TradeEntry
from store.rows import condition_rows, external_ids, fill_rows, leg_rows, trade_row, worked_out

MOST = 500  # Trades in one batch.


async def record_trades(
    session: AsyncSession, entries: Sequence[TradeEntry], *, author: str = OWNER
) -> list[int]:
    """Record trades with their fills so far, as `open_trade` does each; gives their numbers,
    in the order of `entries`. Those whose legs are all flat are locked.

    Raises:
        NotFound: there is no such account.
        Invalid: the legs and fills of one do not make a trade.
        Conflict: an external id or broker order id belongs to another trade.
    """
    numbers: list[int] = []
    for start in range(0, len(entries), MOST):
        numbers += await _record(session, entries[start : start + MOST], author)
    return numbers


async def _record(session: AsyncSession, entries: Sequence[TradeEntry], author: str) -> list[int]:
    command = await begin(session, "record_trades", {"trades": entries}, key=None, author=author)
    accounts: dict[str, Account] = {}
    strategies: dict[str | None, str | None] = {}
    rows: dict[type[Any], list[Mapping[str, Any]]] = {Trade: [], Leg: [], Fill: [], Condition: []}
    ends: list[dict[str, Any]] = []
    user_id = user_of(session)
    for entry in entries:
        if entry.account not in accounts:
            accounts[entry.account] = await require_account(session, entry.account)
        if entry.strategy not in strategies:
            strategies[entry.strategy] = await known_strategy(session, entry.strategy)
        account, number = accounts[entry.account], command.next_trade()
        try:
            legs, derived = worked_out(entry, account)
        except Invalid as error:
            raise Invalid(f"The trade in {entry.ticker} cannot be recorded: {error}") from None
        strategy = strategies[entry.strategy]
        rows[Trade].append(trade_row(command, account, entry, number, strategy, derived))
        rows[Leg] += leg_rows(user_id, number, legs)
        rows[Fill] += fill_rows(user_id, number, legs, {})
        rows[Condition] += condition_rows(user_id, number, entry)
        ends.append({"number": number, **external_ids(entry), **derived})
    for model, some in rows.items():
        if some:
            await session.execute(insert(model), some)
    try:
        await session.execute(_ending(user_id, ends[0]), [_bound(end) for end in ends])
    except IntegrityError as error:
        for name in ("external_id", "broker_order_id"):
            if name in str(error.orig):
                raise Conflict(
                    f"The {name} of a trade belongs to another of the account."
                ) from None
        raise
    numbers = [end["number"] for end in ends]
    trades = await whole_trades(session, numbers[0], numbers[-1])
    still_open = [end["number"] for end in ends if end["status"] == "open"]
    result = {"first": numbers[0], "last": numbers[-1], "open": still_open}
    await note_down(session, command, result, state=batch_hash(trades, set(still_open)))
    return numbers


def _ending(user_id: int, columns: Iterable[str]) -> Update:
    """Sets what a trade ends with, for many trades at once."""
    table = cast(Table, Trade.__table__)
    values: dict[str, Any] = {
        name: bindparam(f"set_{name}") for name in columns if name != "number"
    }
    mine = table.c.user_id == user_id, table.c.number == bindparam("set_number")
    return update(table).where(*mine).values(values)


def _bound(end: Mapping[str, Any]) -> dict[str, Any]:
    return {f"set_{name}": value for name, value in end.items()}
