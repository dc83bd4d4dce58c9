"""E*TRADE's transactions, newest first: Accounts > Transactions > Download.

Under titles (`For Account:`, `Total:`), above a disclaimer, one of:
- since 2025: `Activity/Trade Date, Transaction Date, Settlement Date, Activity Type,
  Description, Symbol, Cusip, Quantity #, Price $, Amount $, Commission, Category, Note`, and a
  shorter one with `Transaction Date, Transaction Type` and the same ` #` and ` $`;
- before: `TransactionDate, TransactionType, SecurityType, Symbol, Quantity, Amount, Price,
  Commission, Description`, whose type was 0 in 2024: then the sign of the quantity says it.

- Days only, New York's; of a day what closes comes after what opens. `--` is nothing.
- Types: Bought, Sold, Bought To Open, Sold To Close, Sold Short and Bought To Cover, which
  also open and close sold options; Option Expired, Assigned, Exercised. Quantities are
  negative when sold.
- An option stands in the description: `PUT  MDB    07/17/26   312.500`.
- `Amount` is net. `Commission` leaves out what the SEC, FINRA and the exchanges take, so the
  fee is what the amount differs from quantity times price: at least the commission, and
  beyond it what those take at most; more is refused.
- An option that ended is booked on the next day; its settlement date is the day it ended.
- Shares delivered by an assignment look like any deal: bought or sold then at the strike.
- The bank deposit (MSBNK) and money market funds are cash and counted, as are bonds; shares
  that moved without a deal (transfers, splits, mergers) are refused.

Layout: exports published by users and the readers of several open projects.
"""

from datetime import date
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements.amounts import MARKET, NOTHING, amount, day, ended, needed, of_day
from store.statements.balancing import CENT, Deal, by_cash
from store.statements.cash import cash_kind
from store.statements.contracts import described
from store.statements.ends import delivered, end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import left_out, option, shares
from store.statements.reading import Outcome, Reading
from store.statements.refusing import NO_DEAL, Refused
from store.statements.source import Row, Source

LAYOUTS = (
    ("Activity Type", "Description", "Quantity #", "Price $", "Amount $"),
    ("Transaction Type", "Description", "Quantity #", "Price $", "Amount $"),
    ("TransactionDate", "TransactionType", "SecurityType", "Amount", "Commission"),
)
TYPES = ("Activity Type", "Transaction Type", "TransactionType")
DATES = ("Activity/Trade Date", "Transaction Date", "TransactionDate")
DAYS = ("%m/%d/%y", "%m/%d/%Y")
DEALS: dict[str, tuple[Side, Effect | None]] = {
    "bought": ("buy", None),
    "sold": ("sell", "close"),
    "bought to open": ("buy", "open"),
    "sold to open": ("sell", "open"),
    "sold to close": ("sell", "close"),
    "bought to close": ("buy", "close"),
    "sold short": ("sell", "open"),
    "bought to cover": ("buy", "close"),
}
ENDS: dict[str, FillKind] = {"expir": "expired", "assign": "assigned", "exercise": "exercised"}
BANK_DEPOSIT = "MSBNK"
# What the exchanges take at most of a contract, the SEC of a dollar and FINRA of a share sold.
PER_CONTRACT, PER_DOLLAR, PER_SHARE = Decimal("0.10"), Decimal("0.00005"), Decimal("0.0002")


def fits(source: Source) -> bool:
    return any(source.has_header(*marks) for marks in LAYOUTS)


def parse(source: Source, options: Options) -> Statement:
    tables = (source.table(*marks) for marks in LAYOUTS)
    table = next((table for table in tables if table is not None), None)
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source)
    rows = [row for row in table.rows if not row.alone] if table else []
    reading.rows(rows, lambda row: [_outcome(row, zone)])
    reading.executions = delivered(reading.executions)
    return reading.statement("etrade", "E*TRADE", currency="USD", zone=zone.key)


def _outcome(row: Row, zone: ZoneInfo) -> Outcome:
    on, kind = day(row.text(*DATES), DATES[0], *DAYS), row.text(*TYPES).casefold()
    quantity = amount(row.text("Quantity #", "Quantity"), "Quantity")
    cash = amount(row.text("Amount $", "Amount"), "Amount") or Decimal(0)
    if not quantity:
        words = f"{row.text(*TYPES)} {row.text('Description')}"
        return CashRow(row.number, cash_kind(words, cash), cash)
    symbol = row.text("Symbol").upper()
    if symbol == BANK_DEPOSIT:
        return "money market funds"
    if word := left_out(symbol):
        return word
    how = next((how for word, how in ENDS.items() if word in kind), None)
    if how is not None:
        return _end(row, how, quantity, cash, on, zone)
    if kind in ("", "0"):
        side: Side = "buy" if quantity > 0 else "sell"
        return _deal(row, side, None, quantity, cash, on, zone)
    if kind not in DEALS:
        raise Refused("Type", row.text(*TYPES), NO_DEAL)
    return _deal(row, *DEALS[kind], quantity, cash, on, zone)


def _deal(
    row: Row,
    side: Side,
    effect: Effect | None,
    quantity: Decimal,
    cash: Decimal,
    on: date,
    zone: ZoneInfo,
) -> Execution:
    if (quantity > 0) != (side == "buy"):
        raise Refused("Quantity", str(quantity), "its sign is not that of the type")
    instrument = _instrument(row)
    deal = _price_and_fee(row, instrument, side, abs(quantity), cash)
    return Execution(
        row.number,
        instrument,
        side,
        abs(quantity),
        deal.price,
        of_day(on, zone),
        deal.fee,
        effect=effect,
        cash=cash,
        dated=True,
    )


def _price_and_fee(
    row: Row, instrument: Instrument, side: Side, quantity: Decimal, cash: Decimal
) -> Deal:
    shown = needed(row.text("Price $", "Price"), "Price")
    commission = amount(row.text("Commission"), "Commission") or Decimal(0)
    with localcontext(prec=PRECISION):
        units = quantity * instrument.unit
        beyond = quantity * (PER_CONTRACT if instrument.kind == "option" else PER_SHARE)
        most = commission + beyond + units * shown * PER_DOLLAR + CENT
    return by_cash(side, units, shown, commission, most, cash, "Amount")


def _end(
    row: Row, kind: FillKind, quantity: Decimal, cash: Decimal, on: date, zone: ZoneInfo
) -> Execution:
    instrument = _instrument(row)
    ending = end(kind, instrument, abs(quantity), cash)
    return Execution(
        row.number,
        instrument,
        ending.side,
        abs(quantity),
        ending.price,
        ended(_settled(row) or on, instrument.expiry, zone),
        kind=ending.kind,
        effect="close",
        cash=cash,
        dated=True,
    )


def _settled(row: Row) -> date | None:
    """The day on which an option ended: it is booked on the next, and settles on its own."""
    text = row.text("Settlement Date")
    return None if text.casefold() in NOTHING else day(text, "Settlement Date", *DAYS)


def _instrument(row: Row) -> Instrument:
    words = row.text("Description").split()[:4]  # Others may follow.
    terms = described(" ".join(words))
    return option(terms, "Description") if terms else shares(row.text("Symbol"), "Symbol")


FORMAT = Format(
    "etrade",
    "the columns Activity Type or Transaction Type, Quantity #, Price $, Amount $, or"
    " TransactionDate, TransactionType, SecurityType",
    fits,
    parse,
)
