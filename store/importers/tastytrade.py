"""tastytrade's transactions, newest first: History > Transactions > CSV.

Columns: `Date, Type, [Sub Type,] Action, Symbol, Instrument Type, Description, Value, Quantity,
Average Price, Commissions, Fees, Multiplier, Root Symbol, Underlying Symbol, Expiration Date,
Strike Price, Call or Put, Order #, [Total,] Currency`; exports before 2024 have neither Sub
Type nor Total, older ones no Currency.

- `Date` has an offset: `2026-04-01T09:16:26-0700`.
- `Type` Trade is a deal; Receive Deliver the end of an option, and the shares that it
  delivered; Money Movement cash.
- `Action` is BUY_TO_OPEN and so on, BUY or SELL for futures; often empty where an option ends.
- `Value` is what the deal moved without fees, `Average Price` the same for one contract or
  share, both negative when paid; so a price is value / (quantity x multiplier).
  `Commissions` and `Fees` are negative when they cost. `Total`, where there is one, must be
  the sum of the three.
- Options are OCC symbols (`UAL   260417C00110000`), options on futures `./MESM6EXK6
  260529P5800` with the price in the description and the value of a point following from it.
- An index option settles as `Cash Settled Assignment` or `Cash Settled Exercise`, for `Value`.
- Futures are refused, for the file says neither what they moved nor what a point is worth; so
  are splits, mergers, symbol changes, transfers and shares received as a dividend.
- The 15 columns of tastyworks before 2022 (`Transaction Code`) are another format.

Layout: exports published by users and the readers of several open projects.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.columns import PRICE_DIGITS, rounded
from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements.amounts import MARKET, above_zero, amount, clock, day, moment, needed
from store.statements.balancing import by_stated_fee, require_balance
from store.statements.cash import cash_kind
from store.statements.contracts import OPTION_TYPES, Contract, contract
from store.statements.ends import end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import future_root, option, option_on_future, shares
from store.statements.reading import Outcome, Reading
from store.statements.refusing import NO_DEAL, Refused
from store.statements.source import Row, Source

MARKS = ("Date", "Type", "Action", "Instrument Type", "Value", "Average Price", "Root Symbol")
CURRENCY = "USD"
MOMENT = "%Y-%m-%dT%H:%M:%S%z"
ACTIONS: dict[str, tuple[Side, Effect | None]] = {
    "BUY_TO_OPEN": ("buy", "open"),
    "SELL_TO_OPEN": ("sell", "open"),
    "BUY_TO_CLOSE": ("buy", "close"),
    "SELL_TO_CLOSE": ("sell", "close"),
    "BUY": ("buy", None),
    "SELL": ("sell", None),
}
ENDS: dict[str, FillKind] = {
    "expiration": "expired",
    "assignment": "assigned",
    "exercise": "exercised",
    "cash settled assignment": "settled",
    "cash settled exercise": "settled",
}
# What a removal is called where there is no Sub Type.
REMOVAL = re.compile(r"^Removal of .* due to (expiration|assignment|exercise)\b", re.I)
DEAL = re.compile(r"^(?:Bought|Sold|(?:Buy|Sell) to (?:Open|Close)) ", re.I)
AT = re.compile(r" @ ([\d.,]+)$")


def fits(source: Source) -> bool:
    return source.has_header(*MARKS)


def parse(source: Source, options: Options) -> Statement:
    table = source.table(*MARKS)
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source)
    rows = [row for row in table.rows if not row.alone] if table else []
    points = _points(rows)
    reading.rows(rows, lambda row: [_outcome(row, points, zone)])
    return reading.statement("tastytrade", "tastytrade", currency=CURRENCY, zone=zone.key)


def _outcome(row: Row, points: Mapping[str, Decimal], zone: ZoneInfo) -> Outcome:
    shown = row.text("Date")
    at = moment(clock(shown, "Date", MOMENT, "%Y-%m-%dT%H:%M:%S"), zone, "Date", shown)
    if row.text("Currency") not in ("", CURRENCY):
        reason = f"only amounts in {CURRENCY} can be recorded"
        raise Refused("Currency", row.text("Currency"), reason)
    kind = row.text("Type").casefold()
    if kind == "money movement":
        cash = _cash(row)
        words = f"{row.text('Sub Type')} {row.text('Description')}"
        return CashRow(row.number, cash_kind(words, cash), cash)
    if kind not in ("trade", "receive deliver"):
        reason = "Trade, Receive Deliver or Money Movement is needed"
        raise Refused("Type", row.text("Type"), reason)
    how = ENDS.get(_sub_type(row)) if kind == "receive deliver" else None
    if how is not None:
        return _end(row, _instrument(row, points), how, at)
    if not DEAL.match(row.text("Description")):
        raise Refused("Description", row.text("Description"), NO_DEAL)
    instrument = _instrument(row, points)
    delivered = kind == "receive deliver" and instrument.kind == "equity"
    return _deal(row, instrument, at, delivered=delivered)


def _sub_type(row: Row) -> str:
    removal = REMOVAL.match(row.text("Description"))
    return (row.text("Sub Type") or (removal[1] if removal else "")).casefold()


def _fee(row: Row) -> Decimal:
    parts = (amount(row.text(name), name) for name in ("Commissions", "Fees"))
    return -sum((part for part in parts if part is not None), Decimal(0))


def _cash(row: Row) -> Decimal:
    """What the row moved, fees included."""
    cash = (amount(row.text("Value"), "Value") or Decimal(0)) - _fee(row)
    total = amount(row.text("Total"), "Total")
    if total is not None:
        require_balance("Total", row.text("Total"), total, cash)
    return cash


def _deal(row: Row, instrument: Instrument, at: datetime, *, delivered: bool) -> Execution:
    action = row.text("Action").upper().replace(" ", "_")
    if action not in ACTIONS:
        raise Refused("Action", row.text("Action"), f"one of {', '.join(ACTIONS)} is needed")
    side, effect = ACTIONS[action]
    quantity = _quantity(row)
    units = quantity * instrument.unit
    value, each = (
        needed(row.text("Value"), "Value"),
        needed(row.text("Average Price"), "Average Price"),
    )
    with localcontext(prec=PRECISION):
        shown = abs(each) * quantity / units
    deal = by_stated_fee(side, units, shown, Decimal(0), value, "Value")
    return Execution(
        row.number,
        instrument,
        side,
        quantity,
        deal.price,
        at,
        _fee(row),
        effect=effect,
        order=row.text("Order #") or None,
        cash=_cash(row),
        delivery=delivered,
    )


def _end(row: Row, instrument: Instrument, kind: FillKind, at: datetime) -> Execution:
    quantity = _quantity(row)
    value = amount(row.text("Value"), "Value") or Decimal(0)
    ending = end(kind, instrument, quantity, value)
    side = ACTIONS.get(row.text("Action").upper(), (ending.side, None))[0]
    return Execution(
        row.number,
        instrument,
        side,
        quantity,
        ending.price,
        at,
        _fee(row),
        kind=ending.kind,
        effect="close",
        cash=_cash(row),
    )


def _quantity(row: Row) -> Decimal:
    return above_zero(row.text("Quantity"), "Quantity")


def _instrument(row: Row, points: Mapping[str, Decimal]) -> Instrument:
    symbol, kind = row.text("Symbol").upper(), row.text("Instrument Type").casefold()
    if kind == "equity":
        return shares(symbol, "Symbol")
    if kind == "equity option" and (terms := contract(symbol)) is not None:
        return option(terms, "Symbol", unit=amount(row.text("Multiplier"), "Multiplier"))
    if kind == "future option":
        return _future_option(row, points.get(symbol))
    if kind == "cryptocurrency" and symbol.endswith("/USD"):
        return Instrument("crypto", symbol.removesuffix("/USD"), symbol=symbol)
    if kind == "future":
        reason = "the file does not say what a point of a future is worth; record it by hand"
        raise Refused("Symbol", symbol, reason)
    raise Refused("Symbol", symbol, "shares, an option or a coin is needed")


def _points(rows: Iterable[Row]) -> dict[str, Decimal]:
    """What a point of each option on a future is worth, by its symbol: the value of a deal
    over quantity x the price in its description."""
    found = {}
    for row in rows:
        said = AT.search(row.text("Description"))
        if said is None or row.text("Instrument Type").casefold() != "future option":
            continue
        try:
            value, price = amount(row.text("Value"), "Value"), amount(said[1], "Description")
            units = (price or 0) * _quantity(row)
        except Refused:
            continue  # Its own row says so.
        if value and units:
            with localcontext(prec=PRECISION):
                found[row.text("Symbol").upper()] = rounded(abs(value) / units, PRICE_DIGITS)
    return found


def _future_option(row: Row, worth: Decimal | None) -> Instrument:
    symbol, below = row.text("Symbol"), row.text("Underlying Symbol")
    option_type = OPTION_TYPES.get(row.text("Call or Put").upper())
    if future_root(below) is None or option_type is None:
        raise Refused("Symbol", symbol, "its future and whether it is a call or a put are needed")
    if worth is None:
        raise Refused("Symbol", symbol, "no deal in this file says what its point is worth")
    expiry = day(row.text("Expiration Date"), "Expiration Date", "%m/%d/%y", "%m/%d/%Y")
    strike = needed(row.text("Strike Price"), "Strike Price")
    terms = Contract(symbol, expiry, option_type, strike)
    return option_on_future(terms, "Symbol", below=below, unit=worth)


FORMAT = Format("tastytrade", f"the columns {', '.join(MARKS)}", fits, parse)
