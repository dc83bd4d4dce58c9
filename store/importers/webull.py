"""Webull: the export of orders (United States) and the statement's trade records (international).

The export of orders (webull.com or desktop: Account, Orders, History, Export) has one row per
order, newest first: Name, Symbol, Side, Status, Filled, Total Qty, Price, Avg Price,
Time-in-Force, Placed Time, Filled Time.
- Quantities are positive; Side is Buy, Sell or Short. `Price` is the limit with an @ before
  it, `Avg Price` what was paid. Options go by their OCC symbol.
- A spread is a row with a name ("SPXW Vertical") and no symbol, then a row per leg with a
  symbol and no name. The legs are read and hold together as one order; the first row is not
  a deal of its own, and it is counted as ignored.
- Moments are `03/26/2026 16:01:46 EDT`: the zone is in the row.
- There are no ids: symbol, side, quantity and the moment of placing name an order, which a
  later export may show filled further. There are no fees, and no expiries, assignments or
  exercises: an option that expired stays open until it is closed by hand.

The trade records of the monthly statement: Symbol & Name ("GLW CORNING INC"), Trade Date
(DD/MM/YYYY), Settlement Date, Buy/Sell, Quantity, Traded Price, Gross Amount, Comm/Fee/Tax,
VAT, Net Amount; titles and "Currency: USD" above, other tables below. Fees are negative, net
amounts with or without a sign; gross and net are checked to the cent. Days without times.

Sources: exports quoted in public parsers of both layouts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import Side
from store.statements.amounts import MARKET, above_zero, amount, clock, day, needed, of_day
from store.statements.balancing import cash_moved, require_balance, worth
from store.statements.execution import Execution, Statement
from store.statements.instruments import shares_or_option
from store.statements.reading import Reading
from store.statements.refusing import Refused
from store.statements.source import Row, Source, places_of

NAME = "webull"
ORDERS = ("Symbol", "Side", "Status", "Filled", "Avg Price", "Placed Time", "Filled Time")
RECORDS = ("Symbol & Name", "Trade Date", "Buy/Sell", "Quantity", "Traded Price", "Net Amount")
OFFSETS = {
    "EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8,
    "UTC": 0, "GMT": 0,
}  # fmt: skip
SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "short": "sell", "sell short": "sell"}
UNFILLED = {"cancelled", "canceled", "rejected", "failed", "expired", "pending", "working"}
NO_FEES = "the export of orders has no fees; none are recorded"
NO_EXPIRY = "the export of orders has no expiries, assignments and exercises; close those by hand"


def fits(source: Source) -> bool:
    return source.has_header(*ORDERS) or source.has_header(*RECORDS)


def parse(source: Source, options: Options) -> Statement:
    orders = source.table(*ORDERS)
    if orders is None:
        return records(source, zone_named(options.zone) or MARKET)
    found = Reading(source)
    combined: str | None = None
    for row in orders.rows:
        with found.row(row.number):
            symbol = row.text("Symbol")
            if symbol and row.text("Name"):
                combined = None  # An order of its own; the legs of a spread have no name.
            if not symbol:
                combined = spread(row)
                found.ignored["spreads (their legs are read)"] += 1
            elif amount(row.text("Filled"), "Filled"):
                found.executions.append(order(row, symbol, combined))
            else:
                status = row.text("Status").lower()
                found.ignored[f"orders {status}" if status in UNFILLED else "other orders"] += 1
    found.executions = numbered(found.executions)
    found.assumed += [NO_FEES, NO_EXPIRY] if any(map(is_option, found.executions)) else [NO_FEES]
    return found.statement(NAME, "Webull", currency="USD")


def spread(row: Row) -> str:
    """What holds the legs below together: the moment at which their order was placed."""
    if not row.text("Side"):
        raise Refused("Symbol", "", "the row names neither a symbol nor a side")
    return f"spread {at_of(row, 'Placed Time'):%Y-%m-%dT%H:%M:%SZ}"


def is_option(one: Execution) -> bool:
    return one.instrument.kind == "option"


def order(row: Row, symbol: str, combined: str | None) -> Execution:
    side = side_of(row, "Side")
    price = needed(row.text("Avg Price").removeprefix("@"), "Avg Price")
    placed = at_of(row, "Placed Time")
    total = row.text("Total Qty")
    return Execution(
        row=row.number,
        instrument=shares_or_option(symbol, "Symbol"),
        side=side,
        quantity=above_zero(row.text("Filled"), "Filled"),
        price=price,
        at=at_of(row, "Filled Time"),
        id=f"{symbol} {side} {total} {placed:%Y-%m-%dT%H:%M:%SZ}",
        order=combined,
        partial=True,
    )


def numbered(executions: list[Execution]) -> list[Execution]:
    """Orders placed in one second that say the same get a number, so that none is lost."""
    seen: Counter[str | None] = Counter()
    named = []
    for one in executions:
        seen[one.id] += 1
        again = seen[one.id]
        named.append(one if again == 1 else replace(one, id=f"{one.id} {again}"))
    return named


def side_of(row: Row, column: str) -> Side:
    text = row.text(column)
    if text.casefold() not in SIDES:
        raise Refused(column, text, f"one of {', '.join(SIDES)} is needed")
    return SIDES[text.casefold()]


def at_of(row: Row, column: str) -> datetime:
    text = row.text(column)
    shown, _, zone = text.rpartition(" ")
    if zone not in OFFSETS:
        raise Refused(column, text, f"a moment that ends in {', '.join(OFFSETS)} is needed")
    there = timezone(timedelta(hours=OFFSETS[zone]))
    return clock(shown, column, "%m/%d/%Y %H:%M:%S").replace(tzinfo=there).astimezone(UTC)


def records(source: Source, zone: ZoneInfo) -> Statement:
    """The trade records of a monthly statement."""
    found = Reading(source)
    currency: str | None = None
    used: str | None = None
    for said, row in sections(source):
        currency = said
        with found.row(row.number):
            if used not in (None, currency):
                reason = f"the file's other trades are in {used}; import these from a file apart"
                raise Refused("Currency", currency or "", reason)
            found.executions.append(record(row, zone))
            used = currency
    found.assumed += [] if used else ["the file names no currency; US dollars are assumed"]
    return found.statement(
        NAME, "Webull", newest_first=False, currency=used or "USD", zone=zone.key
    )


def sections(source: Source) -> Iterator[tuple[str | None, Row]]:
    """The rows of every table of trade records with the currency said above it."""
    places: dict[str, int] | None = None
    currency: str | None = None
    for number, fields in source.records:
        filled = [field.strip() for field in fields if field.strip()]
        if len(filled) == 1:
            places = None
            if filled[0].startswith("Currency:"):
                currency = filled[0].removeprefix("Currency:").strip().upper()
        elif set(RECORDS) <= set(filled):
            places = places_of(fields)
        elif filled and places is not None:
            yield currency, Row(number, fields, places)


def record(row: Row, zone: ZoneInfo) -> Execution:
    side = side_of(row, "Buy/Sell")
    symbol = row.text("Symbol & Name").partition(" ")[0]
    instrument = shares_or_option(symbol, "Symbol & Name")
    quantity = above_zero(row.text("Quantity"), "Quantity")
    price = needed(row.text("Traded Price"), "Traded Price")
    costs = (amount(row.text(one), one) or Decimal(0) for one in ("Comm/Fee/Tax", "VAT"))
    fee = -sum(costs, Decimal(0))
    value = worth(instrument, quantity, price)
    gross, net = (needed(row.text(one), one) for one in ("Gross Amount", "Net Amount"))
    require_balance("Gross Amount", row.text("Gross Amount"), abs(gross), value)
    cash = abs(net) if side == "sell" else -abs(net)
    require_balance("Net Amount", row.text("Net Amount"), cash, cash_moved(side, value, fee))
    on = day(row.text("Trade Date"), "Trade Date", "%d/%m/%Y")
    return Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=quantity,
        price=price,
        at=of_day(on, zone),
        fee=fee,
        cash=cash,
        dated=True,
    )


FORMAT = Format(
    NAME,
    "Webull's columns Symbol, Side, Status, Filled, Avg Price, Placed Time or"
    " Symbol & Name, Traded Price, Net Amount",
    fits,
    parse,
)
