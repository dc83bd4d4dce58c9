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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Side
from store.statements import amounts
from store.statements.balancing import by_stated_fee
from store.statements.cash import cash_kind
from store.statements.contracts import described
from store.statements.ends import delivered, end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import left_out, option, shares
from store.statements.reading import Outcome, Reading
from store.statements.refusing import NO_DEAL, Refused
from store.statements.source import Row, Source, Table, table_of

NAME = "schwab"
FEES = "Fees & Comm"
COLUMNS = ("Date", "Action", "Symbol", "Description", "Quantity", "Price", FEES, "Amount")
JSON_ROWS = "BrokerageTransactions"
DEALS: dict[str, tuple[Side, Effect | None]] = {
    "buy": ("buy", None),
    "sell": ("sell", "close"),
    "sell short": ("sell", "open"),
    "buy to cover": ("buy", "close"),
    "reinvest shares": ("buy", None),
    "buy to open": ("buy", "open"),
    "buy to close": ("buy", "close"),
    "sell to open": ("sell", "open"),
    "sell to close": ("sell", "close"),
}
OF_OPTIONS = ("to open", "to close")
ENDINGS: dict[str, FillKind] = {
    "expired": "expired",
    "assigned": "assigned",
    "exchange or exercise": "exercised",
}
TITLE = re.compile(r'"?Transactions\s+for account\s+(?P<account>.{1,80}?)\s+as of\s')
TOTAL = "Transactions Total"
DECIMALS = 4  # Of prices; what has fewer is exact.


def fits(source: Source) -> bool:
    if source.head.startswith("<"):
        return False
    if source.json is not None:
        return isinstance(source.json, dict) and isinstance(source.json.get(JSON_ROWS), list)
    return source.has_header(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Line:
    row: Row
    on: date

    @property
    def number(self) -> int:
        return self.row.number

    @property
    def action(self) -> str:
        return self.row.text("Action").casefold()


def parse(source: Source, options: Options) -> Statement:
    zone = zone_named(options.zone) or amounts.MARKET
    account = account_of(source)
    reading = Reading(source)
    lines: list[Line] = []
    for row in rows_of(source):
        with reading.row(row.number):
            if row.text("Date") != TOTAL:
                lines.append(Line(row, day_of(row)))
    paired = pairings(lines)
    reading.rows(lines, lambda line: [outcome(line, paired, zone, account)])
    reading.executions = delivered(reading.executions)
    return reading.statement(NAME, "Charles Schwab", currency="USD", zone=zone.key, mode="live")


def outcome(line: Line, paired: set[int], zone: ZoneInfo, account: str | None) -> Outcome:
    if line.number in paired:
        return "pairings of options"
    if line.action in ENDINGS:
        return ended(line, zone, account)
    if line.action in DEALS:
        return left_out(line.row.text("Symbol")) or execution_of(line, zone, account)
    return cash_of(line.row)


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
    quantity = abs(amounts.not_zero(row.text("Quantity"), "Quantity"))
    side, effect = DEALS[line.action]
    instrument = option_of(row) if line.action.endswith(OF_OPTIONS) else share_of(row)
    shown = amounts.needed(row.text("Price"), "Price")
    cash = amounts.needed(row.text("Amount"), "Amount")
    fee = amounts.amount(row.text(FEES), FEES) or Decimal(0)
    units = quantity * instrument.unit
    deal = by_stated_fee(side, units, shown, fee, cash, "Amount", decimals=DECIMALS)
    return Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=quantity,
        price=deal.price,
        at=amounts.of_day(line.on, zone),
        fee=deal.fee,
        effect=effect,
        account=account,
        cash=cash,
        dated=True,
    )


def ended(line: Line, zone: ZoneInfo, account: str | None) -> Execution:
    row = line.row
    signed = amounts.not_zero(row.text("Quantity"), "Quantity")
    instrument = option_of(row)
    cash = amounts.amount(row.text("Amount"), "Amount") or Decimal(0)
    ending = end(ENDINGS[line.action], instrument, abs(signed), cash)
    return Execution(
        row=row.number,
        instrument=instrument,
        side=ending.side or ("sell" if signed < 0 else None),
        quantity=abs(signed),
        price=ending.price,
        at=amounts.ended(line.on, instrument.expiry, zone),
        kind=ending.kind,
        effect="close",
        account=account,
        cash=cash,
        dated=True,
    )


def option_of(row: Row) -> Instrument:
    symbol = row.text("Symbol")
    terms = described(symbol)
    if terms is None:
        raise Refused("Symbol", symbol, "an option such as AAPL 01/16/2026 150.00 C is needed")
    return option(terms, "Symbol")


def share_of(row: Row) -> Instrument:
    symbol = row.text("Symbol")
    if described(symbol) is not None:
        raise Refused("Action", row.text("Action"), "an option is opened or closed")
    return shares(symbol, "Symbol")


def cash_of(row: Row) -> CashRow:
    if amounts.amount(row.text("Quantity"), "Quantity"):
        raise Refused("Action", row.text("Action"), NO_DEAL)
    amount = amounts.needed(row.text("Amount"), "Amount")
    return CashRow(row.number, cash_kind(row.text("Action"), amount), amount)


FORMAT = Format(NAME, f"the columns {', '.join(COLUMNS)}", fits, parse)
