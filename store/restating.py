"""Closed trades restated as they were recorded, but for one thing that became known."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.corrections import correct_trade
from store.database import user_of
from store.fixed import whole_trade
from store.importing.ready import AUTHOR
from store.importing.settling import with_what_was_known
from store.market import market_facts
from store.models import Account, Condition, Trade
from store.records import FillEntry, LegEntry, TradeEntry

FACTS_CAME_LATER = "what was known of the market at entry was added"

Place = tuple[int, int]  # A leg's number and a fill's.


async def entry_of(
    session: AsyncSession, number: int, fees: Mapping[Place, object] | None = None
) -> TradeEntry:
    """Trade `number` as one would say it now, with other `fees` by leg and fill, if given."""
    trade = await whole_trade(session, number)
    account = await session.get_one(Account, (trade.row["user_id"], trade.row["account_id"]))
    fills: dict[int, list[FillEntry]] = defaultdict(list)
    for row in trade.parts.get("fills", ()):
        said = {name: row[name] for name in FillEntry.model_fields}
        fee = (fees or {}).get((row["leg_number"], row["fill_number"]), row["fee"])
        fills[row["leg_number"]].append(FillEntry.model_validate({**said, "fee": fee}))
    terms = set(LegEntry.model_fields) - {"fills", "delivered"}
    legs = tuple(
        LegEntry.model_validate(
            {
                **{name: row[name] for name in terms},
                "fills": tuple(fills[row["leg_number"]]),
                "delivered": bool(row["delivered"]),
            }
        )
        for row in trade.parts["legs"]
    )
    entry = TradeEntry(
        account=account.name,
        ticker=trade.row["ticker"],
        legs=legs,
        structure=trade.row["structure"],
        direction=trade.row["direction"],
        source=trade.row["source"],
    )
    return await with_what_was_known(session, entry, number)


async def without_market_facts(session: AsyncSession) -> list[int]:
    """The closed trades of which more was known at entry than their conditions say."""
    rows = await session.execute(
        select(Trade.number, Trade.ticker, Trade.opened_at, Account.zone)
        .join(
            Account,
            (Account.user_id == Trade.user_id) & (Account.account_id == Trade.account_id),
        )
        .where(Trade.user_id == user_of(session), Trade.status == "closed")
        .order_by(Trade.number)
    )
    said: dict[int, set[str]] = defaultdict(set)
    for number, name in await session.execute(
        select(Condition.trade_number, Condition.name).where(Condition.user_id == user_of(session))
    ):
        said[number].add(name)
    return [
        row.number
        for row in rows
        if set(await market_facts(session, row.ticker, row.opened_at, row.zone)) - said[row.number]
    ]


async def add_market_facts(session: AsyncSession, number: int) -> int:
    """Restate trade `number` with what was known at its entry; gives its new number.

    Nothing of hindsight comes with it: the facts are those that it would have been given, had
    the data been there when it was recorded. It is done as by an import, so that a broker's file
    of earlier executions can still restate the trade.
    """
    entry = await entry_of(session, number)
    key = f"market facts:{number}"
    done = await correct_trade(
        session, number, entry, reason=FACTS_CAME_LATER, key=key, author=AUTHOR
    )
    return done.number
