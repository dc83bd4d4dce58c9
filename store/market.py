"""The market's facts beside a trade: what was known when it was entered, as conditions.

They are attached where a trade is written, whichever door it came through, and are part of
what is fixed at entry. What the caller says of the same name stands. Who wants none of it
sets `market_facts` to `off`. A trade that was recorded before the data was there is left as it
is, until it is restated (`store/restating.py`).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.market_facts import Close, Fundamental, facts_at
from store.models import Bar
from store.models import Fundamental as FundamentalRow
from store.preferences import settings_of
from store.records import TradeEntry
from store.vocabulary import name_key

INDEX = "SPY"
SETTING = "market_facts"
USED = ("sector", "market_cap")
REACH = timedelta(days=420)  # Holds 273 trading days.
CONDITIONS_MAX = 100
KEPT_MAX = 500  # Tickers and years of which a transaction remembers what it read.


async def with_market_facts(session: AsyncSession, entry: TradeEntry, zone: str) -> TradeEntry:
    """`entry` with what was known of its ticker and of the market before its first fill.

    `zone` is the market's. The entry as it is where nothing was known, the user wants none, or
    its conditions are as many as a trade may have.
    """
    opened_at = min(fill.filled_at for leg in entry.legs for fill in leg.fills)
    found = await market_facts(session, entry.ticker, opened_at, zone)
    said = {name_key(name) for name in entry.conditions}
    new = {name: value for name, value in found.items() if name not in said}
    if not new or len(said) + len(new) > CONDITIONS_MAX or not await _wanted(session):
        return entry
    return entry.model_copy(update={"conditions": {**entry.conditions, **new}})


async def anything_known(session: AsyncSession) -> bool:
    """Whether there is any market data at all: where there is none, a batch of trades need not
    ask for each."""
    bars, fundamentals = exists(select(Bar.ticker)), exists(select(FundamentalRow.ticker))
    return bool(await session.scalar(select(or_(bars, fundamentals))))


async def market_facts(
    session: AsyncSession, ticker: str, moment: datetime, zone: str
) -> dict[str, str]:
    """What was known of `ticker` and of the index at `moment`, by name."""
    day = moment.astimezone(ZoneInfo(zone)).date()
    here, market = await _closes(session, ticker, day), await _closes(session, INDEX, day)
    fundamentals = await _fundamentals(session, ticker)
    if not (here or market or fundamentals):
        return {}
    return facts_at(moment, day, ticker=here, index=market, fundamentals=fundamentals)


async def _closes(session: AsyncSession, ticker: str, day: date) -> Sequence[Close]:
    """The daily closes of the year of `day` and of as many before it as are needed, oldest
    first. Of a year, for an import asks about all of its days."""
    kept = _kept(session)
    if ("closes", ticker, day.year) not in kept:
        start = datetime(day.year, 1, 1, tzinfo=UTC)
        rows = await session.execute(
            select(Bar.known_at, Bar.close)
            .where(
                Bar.ticker == ticker,
                Bar.period == "1d",
                Bar.opens_at.between(start - REACH, start.replace(year=day.year + 1)),
            )
            .order_by(Bar.opens_at)
        )
        kept["closes", ticker, day.year] = [Close(row.known_at, row.close) for row in rows]
    found: Sequence[Close] = kept["closes", ticker, day.year]
    return found


async def _fundamentals(session: AsyncSession, ticker: str) -> Sequence[Fundamental]:
    kept = _kept(session)
    if ("fundamentals", ticker) not in kept:
        rows = await session.scalars(
            select(FundamentalRow).where(
                FundamentalRow.ticker == ticker, FundamentalRow.name.in_(USED)
            )
        )
        kept["fundamentals", ticker] = [
            Fundamental(row.name, row.known_on, value)
            for row in rows
            if (value := row.word if row.number is None else row.number) is not None
        ]
    found: Sequence[Fundamental] = kept["fundamentals", ticker]
    return found


async def _wanted(session: AsyncSession) -> bool:
    kept = _kept(session)
    if "wanted" not in kept:
        kept["wanted"] = (await settings_of(session)).get(SETTING) != "off"
    return bool(kept["wanted"])


def _kept(session: AsyncSession) -> dict[Any, Any]:
    """What this transaction has read: an import asks the same of one trade after another."""
    kept: dict[Any, Any] = session.info.setdefault("market", {})
    if len(kept) > KEPT_MAX:
        kept.clear()
    return kept
