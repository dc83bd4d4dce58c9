"""Interactive Brokers' activity statement as CSV: several tables in one file.

Client Portal, Performance & Reports, Statements, Activity, download as CSV. Each line begins
with its section and `Header`, `Data`, `SubTotal` or `Total`; a section may have a new header
for each asset category. Read are:

- Trades: `Order` lines (where there are none, the `Trade` lines they are the sums of; closed
  lots are left out). Asset Category, Currency, Account (consolidated statements), Symbol,
  `Date/Time` "2026-01-05, 10:30:00" (New York), Quantity negative when sold, T. Price,
  Proceeds (Notional Value of futures) before and Comm/Fee after it, negative when paid, Code.
  Proceeds are checked against price x quantity x multiplier.
- Financial Instrument Information: underlying and multiplier of options and futures.
- Codes A, Ex, Ep end an option, at 0 or at what it was settled for; the shares of it are a
  line of their own, at the strike. `Ca` cancels the line with the opposite quantity.
- Dividends, interest, taxes, fees, deposits: cash. Corporate Actions and Transfers of
  positions are refused: they have no price.

There are no ids. A statement in another language than English is not recognised. Facts:
statements shown in public tests and IBKR's list of codes.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.importers import ibkr
from store.importers.format import Format
from store.importers.ibkr import Deal, Reading, header_of, sections
from store.importers.imported import Options
from store.pnl import PRECISION
from store.records import Side
from store.statements import amounts
from store.statements.balancing import cash_moved, require_balance, worth
from store.statements.cash import cash_kind
from store.statements.contracts import contract, described
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.instruments import future, option, option_on_future, ticker
from store.statements.refusing import Refused
from store.statements.source import Row, Source

NAME = "ibkr_activity"
CATEGORY = "Asset Category"
PROCEEDS = ("Proceeds", "Notional Value")
MARKS = ("DataDiscriminator", CATEGORY, "Symbol", "Quantity")
CASH = (
    "Dividends", "Payment In Lieu Of Dividends", "Withholding Tax", "Interest",
    "Broker Interest Paid", "Broker Interest Received", "Bond Interest Paid",
    "Bond Interest Received", "Deposits & Withdrawals", "Fees", "Other Fees", "Transaction Fees",
    "Commission Adjustments", "Sales Tax Details",
)  # fmt: skip
MOVED = {"Corporate Actions": "a corporate action", "Transfers": "a transfer"}


def fits(source: Source) -> bool:
    return source.head.lstrip('"').startswith(("Statement", "Trades")) and header_of(
        source, "Trades", *MARKS
    )


def parse(source: Source, options: Options) -> Statement:
    reading = Reading(source)
    zone = ibkr.zone_of(options, reading)
    found = list(sections(source))
    trades = [(row, excess) for section, row, excess in found if section == "Trades"]
    kinds = {row.text("DataDiscriminator") for row, _ in trades}
    level = "Order" if "Order" in kinds else "Trade"
    known = instruments(row for section, row, _ in found if "Instrument Information" in section)
    account = account_of(row for section, row, _ in found if section == "Account Information")
    cancels: list[Deal] = []
    for row, excess in trades:
        with reading.row(row.number):
            if excess:
                raise Refused("row", row.fields[-1], "it has more fields than its header")
            if row.text("DataDiscriminator") != level:
                reading.ignored["parts of orders and closed lots"] += 1
            elif ibkr.category(row.text(CATEGORY), CATEGORY) is None:
                reading.ignored["foreign exchange"] += 1
            else:
                deal = deal_of(row, known, zone, account)
                cancelled = "Ca" in ibkr.codes_of(row.text("Code"))
                (cancels if cancelled else reading.deals).append(deal)
    for section, row, _ in found:
        with reading.row(row.number):
            if section in CASH:
                reading.money.extend(cash_of(section, row))
            elif section in MOVED:
                refuse_moved(section, row)
    ibkr.cancel(reading, [reversed_side(deal) for deal in cancels])
    return ibkr.statement(reading, NAME, options, newest_first=False)


def instruments(rows: Iterator[Row]) -> dict[str, Row]:
    """What is said of an instrument, by each name that a trade may call it."""
    known: dict[str, Row] = {}
    for row in rows:
        for name in (*row.text("Symbol").split(","), row.text("Description")):
            known.setdefault(name.strip(), row)
    return known


def account_of(rows: Iterator[Row]) -> str | None:
    """The account's number: the first word, for its alias may follow."""
    said = next(
        (row.text("Field Value") for row in rows if row.text("Field Name") == "Account"), ""
    )
    return said.split()[0] if said else None


def deal_of(row: Row, known: dict[str, Row], zone: ZoneInfo, account: str | None) -> Deal:
    signed = amounts.not_zero(row.text("Quantity"), "Quantity")
    side: Side = "buy" if signed > 0 else "sell"
    price = amounts.needed(row.text("T. Price"), "T. Price")
    moved = amounts.needed(row.text(*PROCEEDS), "Proceeds")
    instrument = instrument_of(row, known, abs(signed) * price, abs(moved))
    expected = cash_moved(side, worth(instrument, abs(signed), price))
    if instrument.kind == "future":  # Its notional has one sign in some statements.
        moved, expected = abs(moved), abs(expected)
    require_balance("Proceeds", row.text(*PROCEEDS), moved, expected)
    fee = -(amounts.amount(row.text("Comm/Fee", "Comm in USD"), "Comm/Fee") or Decimal(0)) + 0
    codes = ibkr.codes_of(row.text("Code"))
    ended = ibkr.ending(codes, side)
    kind, delivery = ibkr.end_of(ended, instrument, price, "T. Price")
    text = row.text("Date/Time")
    shown = amounts.clock(text, "Date/Time", "%Y-%m-%d, %H:%M:%S", "%Y-%m-%d %H:%M:%S")
    with localcontext(prec=PRECISION):
        cash = None if instrument.kind == "future" else moved - fee
    execution = Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=abs(signed),
        price=price,
        at=amounts.moment(shown, zone, "Date/Time", text),
        fee=fee,
        kind=kind,
        effect=ibkr.effect_of(codes),
        account=row.text("Account") or account,
        cash=cash,
        delivery=delivery,
    )
    return Deal(execution, ibkr.currency(row.text("Currency"), "Currency"))


def reversed_side(deal: Deal) -> Deal:
    """A cancellation as the deal that it undoes, which had the opposite quantity."""
    side: Side = "sell" if deal.execution.side == "buy" else "buy"
    return Deal(replace(deal.execution, side=side), deal.currency)


def instrument_of(row: Row, known: dict[str, Row], points: Decimal, moved: Decimal) -> Instrument:
    kind = ibkr.category(row.text(CATEGORY), CATEGORY)
    symbol = row.text("Symbol")
    said = known.get(symbol)
    if kind == "equity":
        return Instrument(kind, ticker(symbol, "Symbol"))
    if kind == "crypto":
        return Instrument(kind, ticker(symbol.split(".")[0], "Symbol"), symbol=symbol)
    per_point = amounts.amount(said.text("Multiplier"), "Multiplier") if said else None
    below = said.text("Underlying") if said else ""
    if kind == "future":
        return future(symbol, "Symbol", per_point or ratio(moved, points), below=below)
    terms = described(symbol) or contract(symbol)
    if terms is None:
        reason = "an option such as AAPL 16JAN26 150 C is needed"
        raise Refused("Symbol", symbol, reason)
    if row.text(CATEGORY).upper() in ibkr.FUTURES_OPTIONS:
        unit = per_point or ratio(moved, points)
        return option_on_future(terms, "Symbol", below=below or terms.root, unit=unit)
    return option(terms, "Symbol", below=below, unit=per_point)


def ratio(moved: Decimal, points: Decimal) -> Decimal:
    """The multiplier that proceeds and price imply, where the statement does not name it."""
    with localcontext(prec=PRECISION):
        found = (moved / points).normalize() if points else Decimal(0)
    if not found or found != round(found, 4):
        reason = "the statement needs its section Financial Instrument Information"
        raise Refused("Multiplier", "", reason)
    return found


def cash_of(section: str, row: Row) -> Iterator[tuple[str, CashRow]]:
    """What moved; the section's sums have no currency or say Total in its place."""
    currency = row.text("Currency").upper()
    if (
        currency
        and not currency.startswith("TOTAL")
        and not row.text("Subtitle").startswith("Total")
    ):
        amount = amounts.needed(row.text("Amount", "Sales Tax"), "Amount")
        kind = cash_kind(section, amount)
        yield ibkr.currency(currency, "Currency"), CashRow(row.number, kind, amount)


def refuse_moved(section: str, row: Row) -> None:
    quantity = row.text("Quantity", "Qty")
    if row.text(CATEGORY).startswith("Total"):
        return
    if amounts.amount(quantity, "Quantity"):
        reason = f"{MOVED[section]} changes a position without a deal; record what it did by hand"
        raise Refused("Quantity", quantity, reason)


FORMAT = Format(
    NAME,
    "a section Trades whose header has DataDiscriminator, Asset Category, Symbol and Quantity",
    fits,
    parse,
)
