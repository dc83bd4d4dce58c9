"""How far back new executions can change what is recorded.

A position was flat before the first trade that was open at their time, or within a day of it;
nothing that happened before has to be read again, however long the history is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import Account, Execution, Trade
from store.statements.rounds import Dealt

ASKED_AT_ONCE = 500
TICKERS_AT_ONCE = 50
DAY = timedelta(days=1)  # Trades that others recorded are compared by day.
# As the unique index says it; with parameters, or another order of rows, SQLite does not use it.
COUNTING = text("status IN ('open', 'closed')")


async def reach(
    session: AsyncSession, account: Account, source: str, dealt: Sequence[Dealt]
) -> dict[str, datetime]:
    """By ticker of `dealt`, the moment before which nothing that is recorded can change."""
    found: dict[str, datetime] = {}
    for one in dealt:
        _earlier(found, one.execution.instrument.ticker, one.execution.at - DAY)
    await _with_orders(session, account, source, dealt, found)
    await _with_recorded(session, account, dealt, found)
    while await _with_trades(session, account, found):
        pass
    return found


def alike(since: Mapping[str, datetime]) -> Iterator[dict[str, datetime]]:
    """Tickers with their moments, some at once, near moments together: a statement that asks
    since the first of them reads little that is too old."""
    ordered = sorted(since.items(), key=lambda item: (item[1], item[0]))
    for start in range(0, len(ordered), TICKERS_AT_ONCE):
        yield dict(ordered[start : start + TICKERS_AT_ONCE])


def _earlier(found: dict[str, datetime], ticker: str, moment: datetime) -> bool:
    if ticker in found and found[ticker] <= moment:
        return False
    found[ticker] = moment
    return True


async def _with_orders(
    session: AsyncSession,
    account: Account,
    source: str,
    dealt: Sequence[Dealt],
    found: dict[str, datetime],
) -> None:
    """What the same orders did before: they hold legs together, and may have been filled
    further."""
    orders = sorted({one.execution.order for one in dealt if one.execution.order is not None})
    grown = sorted({one.id for one in dealt if one.execution.partial})
    for column, names in ((Execution.order_id, orders), (Execution.execution_id, grown)):
        for start in range(0, len(names), ASKED_AT_ONCE):
            rows = await session.execute(
                select(Execution.ticker, Execution.filled_at)
                .where(
                    Execution.user_id == user_of(session),
                    Execution.account_id == account.account_id,
                    Execution.source == source,
                    column.in_(names[start : start + ASKED_AT_ONCE]),
                )
                .order_by(column)  # Or SQLite reads the whole book, not the column's index.
            )
            for ticker, moment in rows:
                if ticker in found:
                    _earlier(found, ticker, moment)


async def _with_recorded(
    session: AsyncSession,
    account: Account,
    dealt: Sequence[Dealt],
    found: dict[str, datetime],
) -> None:
    """Trades that were recorded with the orders of these executions, by whomever."""
    orders = sorted({one.execution.order for one in dealt if one.execution.order is not None})
    for start in range(0, len(orders), ASKED_AT_ONCE):
        rows = await session.execute(
            select(Trade.ticker, Trade.opened_at)
            .where(
                Trade.user_id == user_of(session),
                Trade.account_id == account.account_id,
                Trade.broker_order_id.in_(orders[start : start + ASKED_AT_ONCE]),
                COUNTING,
            )
            .order_by(Trade.broker_order_id)
        )
        for ticker, moment in rows:
            if ticker in found:
                _earlier(found, ticker, moment)


async def _with_trades(session: AsyncSession, account: Account, found: dict[str, datetime]) -> bool:
    """Go back to where the trades began that were open at `found`; whether it went back."""
    names, first = sorted(found), min(found.values())
    spans: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for start in range(0, len(names), ASKED_AT_ONCE):
        rows = await session.execute(
            select(Trade.ticker, Trade.opened_at, Trade.closed_at).where(
                Trade.user_id == user_of(session),
                Trade.account_id == account.account_id,
                Trade.ticker.in_(names[start : start + ASKED_AT_ONCE]),
                or_(Trade.closed_at.is_(None), Trade.closed_at >= first),
            )
        )
        for ticker, opened_at, closed_at in rows:
            spans[ticker].append((opened_at, closed_at))
    for ticker, some in spans.items():
        # Latest first: each may reach back to one that was open when it began.
        for opened_at, closed_at in sorted(some, key=lambda span: span[0], reverse=True):
            if closed_at is None or closed_at >= found[ticker]:
                _earlier(found, ticker, opened_at)
    return min(found.values()) < first
