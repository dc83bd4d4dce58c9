"""What a statement's import leaves in the ledger."""

from sqlalchemy import select

from store.database import Store
from store.importers import Statement
from store.importing import StatementResult, import_file
from store.models import Trade
from store.verifying import verify_user
from tests.importers.executions import moved, plain


async def imported(store: Store, file: Statement) -> StatementResult:
    return await store.record(lambda session: import_file(session, file), keyed=True)


async def recorded(store: Store, file: Statement) -> list[str]:
    """Import `file` twice, and list the trades by their opening: `AAPL closed 597.54928`.

    All of its cash has to be in trades, the second import must change nothing, and what is
    stored has to be sound.
    """
    first = await imported(store, file)
    assert (first.rejected, first.unopened) == ((), ())
    assert first.in_trades == first.cash
    assert first.cash - first.rounding == moved(file)
    trades = await trades_of(store)

    again = await imported(store, file)
    assert (again.new, again.recorded, again.extended, again.restated) == (0, 0, 0, 0)
    assert await trades_of(store) == trades

    found = await verify_user(store, 1)
    assert found.wrong is None, found.wrong
    return trades


async def trades_of(store: Store) -> list[str]:
    async with store.read() as session:
        return [
            f"{one.ticker} {one.status}" + ("" if one.net_pnl is None else f" {plain(one.net_pnl)}")
            for one in await session.scalars(select(Trade).order_by(Trade.number))
        ]
