"""What the ledger has of a synced account: orders, open positions, realised P&L, fees."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.brokers.tradier.deals import day_of
from store.brokers.tradier.orders import ORDER
from store.brokers.tradier.settling import Part, parts_of, shared
from store.corrections import correct_trade
from store.database import user_of
from store.executions import dealt_in
from store.models import Account, Execution, Fill, Leg, Trade
from store.pnl import PRECISION
from store.restating import entry_of
from store.statements.execution import Instrument

SOURCE = "tradier"
AUTHOR = "sync"
WHY = "the broker posted what it cost"
OVERLAP = timedelta(days=7)  # Of two runs; Tradier posts a day in the night after it.
LONGEST_ORDER = timedelta(days=190)  # Good till cancelled is half a year.


@dataclass(frozen=True)
class Position:
    """A leg of an open trade, long above 0; `unit` is currency per point of price."""

    trade: int
    opened_at: datetime
    ticker: str
    instrument: Instrument
    quantity: Decimal
    unit: Decimal


async def begins_on(session: AsyncSession, account: Account | None) -> date | None:
    """From which day on the history is needed: a week before the last execution, or the entry
    of what was closed since, whose costs may not be known; None where nothing was synced."""
    if account is None:
        return None
    last = await session.scalar(
        select(func.max(Execution.filled_at)).where(
            Execution.user_id == user_of(session),
            Execution.account_id == account.account_id,
            Execution.source == SOURCE,
        )
    )
    if last is None:
        return None
    begins = day_of(last) - OVERLAP
    opened = await session.scalar(
        select(func.min(Trade.opened_on)).where(
            Trade.user_id == user_of(session),
            Trade.account_id == account.account_id,
            Trade.source == SOURCE,
            Trade.status == "closed",
            Trade.closed_at >= datetime.combine(begins, time(), UTC),
        )
    )
    return min(begins, opened or begins)


async def order_parts(
    session: AsyncSession, account: Account | None, since: date | None
) -> list[Part]:
    """What earlier runs recorded of orders that the history may speak of."""
    if account is None or since is None:
        return []
    rows = await session.execute(
        select(*Execution.__table__.columns)
        .where(
            Execution.user_id == user_of(session),
            Execution.account_id == account.account_id,
            Execution.source == SOURCE,
            Execution.execution_id.startswith(ORDER),
            Execution.filled_at >= datetime.combine(since - LONGEST_ORDER, time(), UTC),
        )
        .order_by(Execution.execution_id, Execution.quantity)
    )
    return parts_of(one.execution for one in dealt_in(rows))


async def open_positions(session: AsyncSession, account: Account) -> list[Position]:
    """The legs that are open, by trade."""
    found: dict[tuple[int, int], Position] = {}
    for row in await _fills(session, account, ["open"]):
        key = row["trade_number"], row["leg_number"]
        before = found[key].quantity if key in found else Decimal(0)
        quantity = row["quantity"] if row["side"] == "buy" else -row["quantity"]
        found[key] = Position(
            trade=row["trade_number"],
            opened_at=row["opened_at"],
            ticker=row["ticker"],
            instrument=_instrument(row),
            quantity=before + quantity,
            unit=row["multiplier"],
        )
    return [one for one in found.values() if one.quantity]


async def realised(
    session: AsyncSession, account: Account, since: date
) -> dict[Instrument, Decimal]:
    """Net P&L of what was closed by dealing or expiry from `since` on, by instrument: first in,
    first out, fees of both sides pro-rated. Nothing of instruments that were delivered, whose
    cost a broker carries over."""
    by_instrument: dict[Instrument, list[Any]] = defaultdict(list)
    for row in await _fills(session, account, ["open", "closed"]):
        by_instrument[_instrument(row)].append(row)
    delivered = {
        what.ticker
        for what, rows in by_instrument.items()
        if any(row["kind"] in ("assigned", "exercised") for row in rows)
    }
    return {
        what: found
        for what, rows in by_instrument.items()
        if what.ticker not in delivered and (found := _first_in_first_out(rows, since)) is not None
    }


def _first_in_first_out(rows: Sequence[Any], since: date) -> Decimal | None:
    """None where nothing was closed since."""
    lots: deque[list[Decimal]] = deque()  # Signed quantity, price, fee a unit.
    total, closed = Decimal(0), False
    with localcontext(prec=PRECISION):
        for row in sorted(rows, key=lambda row: row["filled_at"]):
            left = row["quantity"] if row["side"] == "buy" else -row["quantity"]
            fee = row["fee"] / row["quantity"]
            while left and lots and lots[0][0] * left < 0:
                held, price, paid = lots[0]
                done = min(abs(held), abs(left)) * (1 if held > 0 else -1)
                if day_of(row["filled_at"]) >= since:
                    closed = True
                    total += done * (row["price"] - price) * row["multiplier"]
                    total -= abs(done) * (fee + paid)
                lots[0][0], left = held - done, left + done
                if not lots[0][0]:
                    lots.popleft()
            if left:
                lots.append([left, row["price"], fee])
    return total if closed else None


async def post_fees(
    session: AsyncSession, account: Account, fees: Mapping[str, Decimal]
) -> list[int]:
    """Restate closed trades that were recorded before it was known what they cost; gives their
    new numbers.

    `fees` are by the ids of orders' executions. A trade waits until all of its orders are
    among them, and until every trade with which it shares an order is closed.
    """
    rows = await _fills(session, account, ["open", "closed"], source=SOURCE)
    by_id: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_id[row["execution_id"] or ""].append(row)
    wanted = {
        (row["trade_number"], row["leg_number"], row["fill_number"]): fee
        for name, total in fees.items()
        for row, fee in zip(
            by_id.get(name, ()),
            shared(total, [row["quantity"] for row in by_id[name]]) if by_id.get(name) else (),
            strict=True,
        )
    }
    restated = []
    for together in _components(rows):
        mine = [row for row in rows if row["trade_number"] in together]
        ready = all(
            row["status"] == "closed"
            and (not str(row["execution_id"]).startswith(ORDER) or row["execution_id"] in fees)
            for row in mine
        )
        if ready and any(wanted.get(_place(row), row["fee"]) != row["fee"] for row in mine):
            for number in sorted(together):
                mine_only = {place[1:]: fee for place, fee in wanted.items() if place[0] == number}
                entry = await entry_of(session, number, mine_only)
                key = f"tradier:fees:{number}"
                done = await correct_trade(
                    session, number, entry, reason=WHY, key=key, author=AUTHOR
                )
                restated.append(done.number)
    return restated


def _place(row: Any) -> tuple[int, int, int]:
    return row["trade_number"], row["leg_number"], row["fill_number"]


def _components(rows: Iterable[Any]) -> list[set[int]]:
    """Trades that share an execution, one that went through zero, belong together."""
    groups: list[set[int]] = []
    by_id: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        by_id[row["execution_id"] or f"none {row['trade_number']}"].add(row["trade_number"])
    for together in by_id.values():
        joined = set(together)
        for group in [one for one in groups if one & joined]:
            joined |= group
            groups.remove(group)
        groups.append(joined)
    return sorted(groups, key=min)


async def _fills(
    session: AsyncSession, account: Account, statuses: Sequence[str], source: str | None = None
) -> list[Any]:
    """Fills with their leg's terms and their trade's state, in the order of recording."""
    statement = (
        select(
            *Fill.__table__.columns,
            Trade.ticker,
            Trade.status,
            Trade.opened_at,
            Leg.instrument,
            Leg.symbol,
            Leg.option_type,
            Leg.strike,
            Leg.expiry,
            Leg.multiplier,
        )
        .join(
            Leg,
            (Leg.user_id == Fill.user_id)
            & (Leg.trade_number == Fill.trade_number)
            & (Leg.leg_number == Fill.leg_number),
        )
        .join(Trade, (Trade.user_id == Fill.user_id) & (Trade.number == Fill.trade_number))
        .where(
            Fill.user_id == user_of(session),
            Trade.account_id == account.account_id,
            Trade.status.in_(statuses),
        )
        .order_by(Fill.trade_number, Fill.leg_number, Fill.fill_number)
    )
    if source is not None:
        statement = statement.where(Trade.source == source)
    return list((await session.execute(statement)).mappings())


def _instrument(row: Any) -> Instrument:
    return Instrument(
        row["instrument"], row["ticker"], row["option_type"], row["strike"], row["expiry"]
    )
