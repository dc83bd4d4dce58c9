"""Charles Schwab's transaction history, CSV or JSON, newest first.

schwab.com, Accounts, History, Export. CSV: `Date`, `Action`, `Symbol`, `Description`,
`Quantity`, `Price`, `Fees & Comm`, `Amount` (older exports: price before quantity, a title
`Transactions for account ... as of ...` above the header, a row `Transactions Total` below);
JSON: the same fields in `BrokerageTransactions`.

- Date is a day, New York's: `01/20/2026`, or `01/20/2026 as of 01/16/2026`, of which the
  second is when it happened. There are no times and no ids.
- Options are `AAPL 01/16/2026 150.00 C`. Quantity is positive but where a long option ends
  (`Expired`, `Exchange or Exercise`), the side is in Action.
- Amount is negative when paid, fees included; both are checked against price x quantity. A
  price is shown with 4 decimals at most: where the amount differs by no more than that
  rounding, the price that the amount implies is recorded.
- `Expired`, `Assigned`, `Exchange or Exercise` end an option at 0. Its shares are a Buy or
  Sell of that day at the strike. An index option is settled in cash for the row's amount; one
  that is assigned or exercised without an amount is refused.
- Rows without a quantity move cash: dividends, interest, taxes, fees, transfers.
- Splits, mergers, spin-offs and transfers of shares (`Journaled Shares`, `Security Transfer`)
  are refused: they move a position without a deal. A `Journal` of options that is booked out
  and in on a day, as when Schwab pairs the legs of a spread, is counted and left out.

Facts: the samples of KapJI/capital-gains-calculator, and exports shown in other public tests.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.columns import PRICE_DIGITS, rounded
from store.errors import Invalid
from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements import amounts
from store.statements.balancing import CENT, proceeds, require_balance
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.refusing import Refused, Rejection
from store.statements.source import Row, Source, Table, newest_first, table_of
from store.statements.symbols import INDICES, contract_in_words, option, require_settlement, ticker

NAME = "schwab"
BROKER = "Charles Schwab"
ZONE = ZoneInfo("America/New_York")
FEES = "Fees & Comm"
COLUMNS = ("Date", "Action", "Symbol", "Description", "Quantity", "Price", FEES, "Amount")
JSON_ROWS = "BrokerageTransactions"
DEALS: dict[str, tuple[Side, Effect | None]] = {
    "buy": ("buy", None),
    "sell": ("sell", None),
    "sell short": ("sell", "open"),
    "buy to cover": ("buy", "close"),
    "reinvest shares": ("buy", None),
    "buy to open": ("buy", "open"),
    "buy to close": ("buy", "close"),
    "sell to open": ("sell", "open"),
    "sell to close": ("sell", "close"),
}
OF_OPTIONS = ("to open", "to close")
ENDINGS: dict[str, tuple[FillKind, Side | None]] = {
    "expired": ("expired", None),
    "assigned": ("assigned", "buy"),
    "exchange or exercise": ("exercised", "sell"),
}
CASH_KINDS = {
    "div": "dividend", "cap gain": "dividend", "interest": "interest", "tax": "tax",
    "nra": "tax", "withholding": "tax", "fee": "fee", "moneylink": "transfer",
    "transfer": "transfer", "wire": "transfer", "funds": "transfer", "journal": "transfer",
    "deposit": "transfer", "withdraw": "transfer",
}  # fmt: skip
TITLE = re.compile(r'"?Transactions\s+for account\s+(?P<account>.{1,80}?)\s+as of\s')
TOTAL = "Transactions Total"
SHOWN_DIGITS = 4
DAYS = "Its rows have days without times: their order within a day is the file's."


def fits(source: Source) -> bool:
    if source.head.startswith("<"):
        return False
    if source.json is not None:
        return isinstance(source.json, dict) and isinstance(source.json.get(JSON_ROWS), list)
    return FEES in source.text and source.table(*COLUMNS) is not None


@dataclass(frozen=True, slots=True)
class Line:
    row: Row
    on: date

    @property
    def action(self) -> str:
        return self.row.text("Action").casefold()


def parse(source: Source, options: Options) -> Statement:
    zone = zone_named(options.zone) or ZONE
    account = account_of(source)
    executions: list[Execution] = []
    cash: list[CashRow] = []
    rejected: list[Rejection] = []
    ignored: Counter[str] = Counter()
    lines: list[Line] = []
    for row in rows_of(source):
        if row.text("Date") == TOTAL:
            continue
        try:
            lines.append(Line(row, day_of(row)))
        except Refused as error:
            rejected.append(error.rejection(source.path.name, row.number))
    paired = pairings(lines)
    for line in oldest_first(lines):
        try:
            if line.row.number in paired:
                ignored["pairings of options"] += 1
            elif line.action in DEALS or line.action in ENDINGS:
                executions.append(execution_of(line, zone, account))
            else:
                cash.append(cash_of(line.row))
        except Refused as error:
            rejected.append(error.rejection(source.path.name, line.row.number))
    return Statement(
        path=source.path,
        format=NAME,
        broker=BROKER,
        executions=tuple(delivered(executions)),
        cash=tuple(cash),
        rejected=tuple(sorted(rejected, key=lambda one: one.row)),
        currency="USD",
        zone=zone.key,
        mode="live",
        ignored=dict(ignored),
        assumed=(DAYS,),
    )


def rows_of(source: Source) -> Sequence[Row]:
    if source.json is None:
        table = source.table(*COLUMNS)
        return table.rows if table else ()
    if not fits(source):
        raise Invalid(f"{source.path.name} has no list {JSON_ROWS}, as JSON of {NAME} has it.")
    return of_json(source.json[JSON_ROWS]).rows


def of_json(entries: Sequence[object]) -> Table:
    """The entries as rows, numbered from 1; what is no object is an empty row."""
    fields = (
        [str(entry.get(column) or "") for column in COLUMNS] if isinstance(entry, dict) else []
        for entry in entries
    )
    return table_of(COLUMNS, enumerate(fields, start=1))


def account_of(source: Source) -> str | None:
    title = TITLE.match(source.head)
    return title["account"].split()[-1].strip(".") if title else None


def day_of(row: Row) -> date:
    """The day on which it happened: the one after `as of`, where there is one."""
    return amounts.day(row.text("Date").rpartition(" as of ")[2], "Date", "%m/%d/%Y")


def oldest_first(lines: list[Line]) -> list[Line]:
    return lines[::-1] if newest_first([line.on for line in lines]) else lines


def pairings(lines: Sequence[Line]) -> set[int]:
    """Journals of a symbol that come to nothing on their day, by row."""
    journals: dict[tuple[date, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.action == "journal" and line.row.text("Quantity"):
            journals[line.on, line.row.text("Symbol")].append(line)
    return {
        line.row.number
        for group in journals.values()
        if nothing(line.row.text("Quantity") for line in group)
        for line in group
    }


def nothing(quantities: Iterator[str]) -> bool:
    try:
        return not sum((amounts.needed(one, "Quantity") for one in quantities), Decimal(0))
    except Refused:
        return False


def execution_of(line: Line, zone: ZoneInfo, account: str | None) -> Execution:
    row = line.row
    signed = amounts.needed(row.text("Quantity"), "Quantity")
    if not signed:
        raise Refused("Quantity", row.text("Quantity"), "a quantity other than 0 is needed")
    if line.action in ENDINGS:
        return ended(line, signed, zone, account)
    side, effect = DEALS[line.action]
    instrument = option_of(row) if line.action.endswith(OF_OPTIONS) else share_of(row)
    shown = amounts.needed(row.text("Price"), "Price")
    cash = amounts.needed(row.text("Amount"), "Amount")
    fee = amounts.amount(row.text(FEES), FEES) or Decimal(0)
    return Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=abs(signed),
        price=price_of(instrument, side, abs(signed), shown, cash, fee),
        at=amounts.of_day(line.on, zone),
        fee=fee,
        effect=effect,
        account=account,
        cash=cash,
        dated=True,
    )


def ended(line: Line, signed: Decimal, zone: ZoneInfo, account: str | None) -> Execution:
    row = line.row
    kind, side = ENDINGS[line.action]
    instrument = option_of(row)
    cash = amounts.amount(row.text("Amount"), "Amount") or Decimal(0)
    if cash and instrument.ticker not in INDICES:
        reason = "an option that ends in shares or worthless moves no cash; record it by hand"
        raise Refused("Amount", row.text("Amount"), reason)
    if not cash:
        require_settlement(instrument, kind, "Amount")
    # An expiry may be booked days later.
    on = min(line.on, instrument.expiry or line.on) if kind == "expired" else line.on
    return Execution(
        row=row.number,
        instrument=instrument,
        side="sell" if cash > 0 or (side is None and signed < 0) else side,
        quantity=abs(signed),
        price=settlement(cash, abs(signed) * instrument.unit),
        at=amounts.of_day(on, zone, ending=True),
        kind="settled" if cash else kind,
        effect="close",
        account=account,
        cash=cash,
        dated=True,
    )


def settlement(cash: Decimal, units: Decimal) -> Decimal:
    """The price at which an option was settled in cash."""
    with localcontext(prec=PRECISION):
        return rounded(abs(cash) / units, PRICE_DIGITS)


def option_of(row: Row) -> Instrument:
    symbol = row.text("Symbol")
    terms = contract_in_words(symbol)
    if terms is None:
        raise Refused("Symbol", symbol, "an option such as AAPL 01/16/2026 150.00 C is needed")
    return option(terms, "Symbol")


def share_of(row: Row) -> Instrument:
    symbol = row.text("Symbol")
    if contract_in_words(symbol) is not None:
        raise Refused("Action", row.text("Action"), "an option is opened or closed")
    return Instrument("equity", ticker(symbol, "Symbol"))


def price_of(
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    shown: Decimal,
    cash: Decimal,
    fee: Decimal,
) -> Decimal:
    """The price as shown, or the one that the amount implies where it was rounded to be shown.

    Raises:
        Refused: price, fees and amount differ by more than a cent and that rounding.
    """
    per_point = instrument.unit
    with localcontext(prec=PRECISION):
        units = quantity * per_point
        expected = proceeds(side, quantity, shown, per_point) - fee
        digits = -int(shown.as_tuple().exponent)
        rounding = units * Decimal("0.5").scaleb(-digits) if digits >= SHOWN_DIGITS else Decimal(0)
        require_balance("Amount", cash, expected, within=CENT + rounding)
        if abs(cash - expected) <= CENT / 2 or not rounding:
            return shown
        return rounded(abs(cash + fee) / units, PRICE_DIGITS)


def cash_of(row: Row) -> CashRow:
    quantity = row.text("Quantity")
    if amounts.amount(quantity, "Quantity"):
        reason = "it changes a position and is no deal; record what it did by hand"
        raise Refused("Action", row.text("Action"), reason)
    amount = amounts.needed(row.text("Amount"), "Amount")
    low = row.text("Action").casefold()
    kind = next((kind for part, kind in CASH_KINDS.items() if part in low), "other")
    return CashRow(row.number, kind, amount)


def delivered(executions: Sequence[Execution]) -> list[Execution]:
    """In the order of time, the shares of assignments and exercises marked: dealt that day, at
    the strike, on the side and in the quantity that the options deliver."""
    due: dict[tuple[str, date, Decimal, Side], Decimal] = defaultdict(Decimal)
    ended_at: dict[tuple[str, date, Decimal, Side], datetime] = {}
    for one in executions:
        strike, kind = one.instrument.strike, one.instrument.option_type
        if one.kind in ("assigned", "exercised") and strike is not None:
            # A put is assigned, and a call exercised, by buying the shares.
            side: Side = "buy" if (kind == "put") == (one.kind == "assigned") else "sell"
            shares = one.quantity * one.instrument.unit
            delivery = one.instrument.ticker, one.at.date(), strike, side
            due[delivery] += shares
            ended_at[delivery] = one.at
    marked: list[Execution] = []
    for one in executions:
        key = (one.instrument.ticker, one.at.date(), one.price, one.side or "buy")
        if one.instrument.kind == "equity" and one.quantity <= due.get(key, Decimal(0)):
            due[key] -= one.quantity
            marked.append(replace(one, at=ended_at[key], delivery=True))
        else:
            marked.append(one)
    return sorted(marked, key=lambda one: (one.at, one.delivery))


FORMAT = Format(NAME, f"the columns {', '.join(COLUMNS)}", fits, parse)
