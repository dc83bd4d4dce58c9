"""Interactive Brokers' transaction history as CSV: one line a transaction, newest first.

Client Portal, Transaction History, download as CSV. Above it stand the sections Statement and
Summary (which names the base currency). Its lines are `Transaction History,Data,...` with
Date (a day), Account (masked), Description, Transaction Type, Symbol, Quantity negative when
sold, Price, Gross Amount, Commission and Net Amount; newer files also have Price Currency,
Exchange Rate, Transaction Fees, Multiplier, Sub Type.

- Price is in the price currency, amounts are in the base currency. Gross is checked against
  price x quantity x multiplier: to the cent in one currency, to 0.2 % by Exchange Rate (which
  has few digits) in two. Where there are two the fee is converted by the row's own rate, and
  cash rows, which are in the base currency, are left out.
- Options have OCC symbols. Assignment, Exercise, Expiration: the option's row says no price
  (its terms may stand in the description only), the shares' row has the strike.
- A future's gross has a footnote, `-21291.47(1)`: it is notional. It needs the column
  Multiplier, unless it was dealt in the base currency. Its daily `Position MTM` rows are what
  its P&L comes to: counted and left out, as are the components of foreign exchange.
- Transfers and corporate actions of a quantity are refused.

There are no ids and no times. Facts: the parser and samples of KapJI/capital-gains-calculator
and files shown in other public tests.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers import ibkr
from store.importers.format import Format
from store.importers.ibkr import Deal, Reading, header_of, sections
from store.importers.imported import Options
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements import amounts
from store.statements.balancing import CENT, cash_moved, require_balance, worth
from store.statements.cash import cash_kind
from store.statements.contracts import Contract, contract, described
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.instruments import future, option, ticker
from store.statements.reading import goes_back
from store.statements.refusing import Refused
from store.statements.source import Row, Source

NAME = "ibkr_transactions"
SECTION = "Transaction History"
TYPE = "Transaction Type"
SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}
ENDINGS: dict[str, FillKind] = {
    "assignment": "assigned", "assigned": "assigned",
    "exercise": "exercised", "exercised": "exercised",
    "expiration": "expired", "expired": "expired",
}  # fmt: skip
LEFT_OUT = {
    "forex trade component": "foreign exchange",
    "position mtm": "daily settlements of futures",
    "adjustment": "currency translations",
}
NOTIONAL = re.compile(r"(?P<amount>.*?)\((?P<note>[0-9]{1,2})\)")
ENDED = re.compile(r"(?:Buy|Sell) -?[0-9.,]+ (?P<what>.+?) \([A-Za-z ]+\)", re.IGNORECASE)
RATE_ERROR = Decimal("0.002")


def fits(source: Source) -> bool:
    return f"{SECTION}," in source.text.replace('"', "") and header_of(
        source, SECTION, "Date", TYPE, "Symbol", "Quantity", "Price"
    )


def parse(source: Source, options: Options) -> Statement:
    """Deals and cash of a history.

    Raises:
        Invalid: its base currency is none.
    """
    reading = Reading(source)
    zone = zone_named(options.zone) or amounts.MARKET
    found = list(sections(source))
    base = base_currency(source, (row for section, row, _ in found if section == "Summary"))
    rows = [(row, excess) for section, row, excess in found if section == SECTION]
    if goes_back([[row.text("Date") for row, _ in rows]], otherwise=True):
        rows.reverse()
    # An option that ends without a price has no price currency: it has its opening's.
    dealt_in: dict[Instrument, str] = {}
    for row, excess in rows:
        with reading.row(row.number):
            if excess:
                raise Refused("row", row.fields[-1], "it has more fields than its header")
            take(row, base, dealt_in, zone, reading)
    return ibkr.statement(reading, NAME, options, newest_first=True)


def base_currency(source: Source, rows: Iterator[Row]) -> str:
    found = (row.text("Field Value") for row in rows if row.text("Field Name") == "Base Currency")
    try:
        return ibkr.currency(next(found, ""), "Base Currency")
    except Refused as error:
        raise Invalid(f"{source.path.name}, Base Currency: {error.reason}.") from None


def take(
    row: Row, base: str, dealt_in: dict[Instrument, str], zone: ZoneInfo, reading: Reading
) -> None:
    kind = row.text(TYPE).casefold()
    if kind in LEFT_OUT:
        reading.ignored[LEFT_OUT[kind]] += 1
    elif kind in SIDES or kind in ENDINGS:
        deal = deal_of(row, kind, base, dealt_in, zone)
        dealt_in[deal.execution.instrument] = deal.currency
        reading.deals.append(deal)
    elif amounts.amount(row.text("Quantity"), "Quantity"):
        reason = "it changes a position and is no deal; record what it did by hand"
        raise Refused(TYPE, row.text(TYPE), reason)
    else:
        amount = amounts.needed(row.text("Net Amount"), "Net Amount")
        reading.money.append((base, CashRow(row.number, cash_kind(kind, amount), amount)))


def deal_of(
    row: Row, kind: str, base: str, dealt_in: dict[Instrument, str], zone: ZoneInfo
) -> Deal:
    signed = amounts.not_zero(row.text("Quantity"), "Quantity")
    side: Side = "buy" if signed > 0 else "sell"
    if SIDES.get(kind, side) != side:
        raise Refused("Quantity", row.text("Quantity"), f"it contradicts {row.text(TYPE)}")
    terms = terms_of(row)
    ended = ENDINGS.get(kind)
    price = amounts.amount(row.text("Price"), "Price")
    if price is None and (ended is None or terms is None):
        raise Refused("Price", row.text("Price"), "a number is needed")
    price = price or Decimal(0)
    stated = row.text("Price Currency").upper()
    known = stated not in ("", "-")
    instrument = instrument_of(row, terms, abs(signed) * price, same=not known or stated == base)
    currency = (
        ibkr.currency(stated, "Price Currency")
        if known
        else dealt_in.get(instrument, "" if stated else base)
    )
    fee, cash = settled(row, instrument, side, abs(signed), price, base=base, currency=currency)
    fill_kind, delivery = ibkr.end_of(ended, instrument, price, "Price")
    on = amounts.day(row.text("Date"), "Date", "%Y-%m-%d")
    execution = Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=abs(signed),
        price=price,
        at=amounts.of_day(on, zone, ending=ended is not None),
        fee=fee,
        kind=fill_kind,
        account=row.text("Account") or None,
        cash=cash,
        dated=True,
        delivery=delivery,
    )
    return Deal(execution, currency)


def terms_of(row: Row) -> Contract | None:
    ended = ENDED.fullmatch(row.text("Description"))
    what = ended["what"] if ended else row.text("Description")
    return contract(row.text("Symbol")) or described(what)


def gross_of(row: Row) -> tuple[Decimal | None, bool]:
    """The gross amount, and whether it is only notional."""
    text = row.text("Gross Amount")
    noted = NOTIONAL.fullmatch(text)
    return amounts.amount(noted["amount"] if noted else text, "Gross Amount"), noted is not None


def instrument_of(row: Row, terms: Contract | None, points: Decimal, *, same: bool) -> Instrument:
    symbol = row.text("Symbol")
    said = amounts.amount(row.text("Multiplier"), "Multiplier")
    if terms is not None:
        return option(terms, "Symbol", unit=said)
    gross, notional = gross_of(row)
    if not notional and said in (None, 1):
        return Instrument("equity", ticker(symbol, "Symbol"))
    if said is None and same and gross and points:
        said = Decimal(round(abs(gross) / points))
    if said is None:
        reason = "a future's multiplier is needed; an activity statement or Flex report has it"
        raise Refused("Multiplier", "", reason)
    return future(symbol, "Symbol", said)


def settled(
    row: Row,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    *,
    base: str,
    currency: str,
) -> tuple[Decimal, Decimal | None]:
    """The fee in the deal's currency and the cash it moved, None where that is not said in it."""
    gross, _ = gross_of(row)
    costs = (amounts.amount(row.text(name), name) for name in ("Commission", "Transaction Fees"))
    with localcontext(prec=PRECISION):
        fee = -sum((one for one in costs if one is not None), Decimal(0)) + 0
        expected = cash_moved(side, worth(instrument, quantity, price))
        if not expected:  # What ends at 0 has its costs as gross, if it has any.
            gross = Decimal(0) if gross is None or gross == -fee else gross
        if gross is None:
            raise Refused("Gross Amount", row.text("Gross Amount"), "a number is needed")
        if currency == base:
            require_balance("Gross Amount", row.text("Gross Amount"), gross, expected)
            return fee, None if instrument.kind == "future" else gross - fee
        rate = amounts.amount(row.text("Exchange Rate"), "Exchange Rate")
        if rate and expected:
            within = max(CENT, abs(expected * rate) * RATE_ERROR)
            text = row.text("Gross Amount")
            require_balance("Gross Amount", text, gross, expected * rate, within=within)
        if expected:
            rate = gross / expected
        if (expected or fee) and (not rate or rate < 0):
            reason = f"no rate between {base} and {currency} follows from it"
            raise Refused("Gross Amount", row.text("Gross Amount"), reason)
        return fee / rate if fee and rate else fee, None


FORMAT = Format(
    NAME,
    "a section Transaction History with Date, Transaction Type, Symbol, Quantity and Price",
    fits,
    parse,
)
