"""The deals of MetaTrader 5's reports, where they have no positions.

Columns: Time, Deal, Symbol, Type, Direction, Volume, Price, Order, Commission, perhaps Fee,
Swap, Profit, Balance, Comment. Direction is in, out, or in/out for a deal through zero. A deal
does not say which position it belongs to, so a symbol's deals are read as one position at its
average price, as netting accounts have it: the size of a lot is what makes each Profit out of
the points it closed. Where no one size does (several positions at once, another currency), the
symbol's deals are refused: only a report with positions tells them apart.

Commission, fee and swap of a deal are its fee. Balance, credit and other deals are cash.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.importers.closed import contract_size
from store.importers.metatrader5.report import (
    SIGNS,
    Account,
    Line,
    number,
    section,
    server_time,
    spaced,
    starts,
)
from store.pnl import PRECISION
from store.statements.balancing import CENT
from store.statements.execution import CashRow, Effect, Execution, Instrument
from store.statements.reading import Reading
from store.statements.refusing import Refused

DEALS = ("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price")
COSTS = ("Commission", "Fee", "Swap")
EFFECTS: dict[str, Effect | None] = {"in": "open", "out": "close", "in/out": None}
CASH = {
    "balance": "transfer", "credit": "transfer", "charge": "fee", "correction": "other",
    "bonus": "other", "commission": "fee", "interest": "interest", "dividend": "dividend",
    "tax": "tax",
}  # fmt: skip


@dataclass(frozen=True)
class Deal:
    """`lots` above 0 are bought."""

    line: Line
    id: str
    order: str
    symbol: str
    lots: Decimal
    price: Decimal
    at: datetime
    direction: str
    costs: Decimal
    profit: Decimal


def deals(
    lines: Sequence[Line], account: Account, found: Reading, zone: ZoneInfo, said: Decimal | None
) -> Reading:
    """The executions and the cash of a report's deals; `said` is the user's multiplier."""
    header = next((line.cells for line in lines if starts(line.cells, DEALS)), DEALS)
    by_symbol: dict[str, list[Deal]] = defaultdict(list)
    for line in section(lines, "Deals", DEALS, found):
        row = dict.fromkeys(header, "") | dict(zip(header, line.cells, strict=False))
        with found.row(line.number):
            if kind := CASH.get(row["Type"]):
                moved = number(row.get("Profit", ""), "Profit")
                found.cash.append(CashRow(line.number, kind, moved))
            else:
                one = deal(line, row, zone)
                by_symbol[one.symbol].append(one)
    for symbol, some in by_symbol.items():
        size = lot_size(some, said)
        instrument = Instrument("future", symbol.upper(), multiplier=size, symbol=symbol)
        for one in some:
            with found.row(one.line.number):
                found.executions.append(execution(one, instrument, account.number))
    found.executions.sort(key=lambda one: one.row)
    return found


def deal(line: Line, row: dict[str, str], zone: ZoneInfo) -> Deal:
    kind, direction = row["Type"], row["Direction"]
    if kind not in SIGNS:
        raise Refused("Type", kind, f"one of {', '.join([*SIGNS, *CASH])} is known")
    if direction not in EFFECTS:
        raise Refused("Direction", direction, f"one of {', '.join(EFFECTS)} is known")
    lots = number(row["Volume"], "Volume")
    if lots <= 0:
        raise Refused("Volume", row["Volume"], "a volume above 0 is needed")
    costs = (spaced(row.get(one, ""), one) or Decimal(0) for one in COSTS)
    return Deal(
        line=line,
        id=row["Deal"],
        order=row.get("Order", ""),
        symbol=row["Symbol"],
        lots=SIGNS[kind] * lots,
        price=number(row["Price"], "Price"),
        at=server_time(row["Time"], zone),
        direction=direction,
        costs=-sum(costs, Decimal(0)),
        profit=spaced(row.get("Profit", ""), "Profit") or Decimal(0),
    )


def execution(one: Deal, instrument: Instrument, account: str | None) -> Execution:
    if instrument.multiplier is None:
        reason = (
            "its symbol's profits are no one multiple of the points closed; save the report of"
            " the tab History with its table of positions"
        )
        raise Refused("Profit", f"{one.profit:f}", reason)
    return Execution(
        row=one.line.number,
        instrument=instrument,
        side="buy" if one.lots > 0 else "sell",
        quantity=abs(one.lots),
        price=one.price,
        at=one.at,
        fee=one.costs,
        effect=EFFECTS[one.direction],
        id=one.id or None,
        order=one.order or None,
        account=account,
    )


def lot_size(some: Sequence[Deal], said: Decimal | None) -> Decimal | None:
    """The currency per point of a lot that gives every profit to the cent; without a profit to
    go by, what the user says."""
    closed = points_closed(some)
    if closed is None:
        return None
    widest = max(closed, key=lambda pair: abs(pair[1]), default=None)
    size = contract_size(1, widest[1], Decimal(1), widest[0].profit) if widest else None
    size = size or said
    with localcontext(prec=PRECISION):
        agree = size and all(abs(points * size - one.profit) < CENT for one, points in closed)
    return size if agree else None


def points_closed(some: Sequence[Deal]) -> list[tuple[Deal, Decimal]] | None:
    """Of each deal that closed, what it gained in points x lots over the average price; None
    where a deal opens against what is open, as only several positions can."""
    held = cost = Decimal(0)
    closed: list[tuple[Deal, Decimal]] = []
    with localcontext(prec=PRECISION):
        for one in some:
            against = min(abs(one.lots), abs(held)) if held * one.lots < 0 else Decimal(0)
            if against and one.direction == "in":
                return None
            rest = abs(one.lots) - against
            if against:
                sign = 1 if held > 0 else -1
                average = cost / held
                if not rest or one.direction == "in/out":
                    closed.append((one, sign * (one.price - average) * against))
                held -= sign * against
                cost = average * held
            if one.direction != "out" and rest:
                opened = rest if one.lots > 0 else -rest
                held += opened
                cost += opened * one.price
    return closed
