"""The Cash Balance of a thinkorswim statement: its clock, and what its rows moved."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.columns import PRICE_DIGITS, rounded
from store.importers.thinkorswim import words
from store.pnl import PRECISION
from store.statements.amounts import MARKET, amount, moment
from store.statements.amounts import clock as parsed
from store.statements.balancing import HALF_CENT, by_stated_fee
from store.statements.cash import cash_kind
from store.statements.ends import end
from store.statements.execution import CashRow, Execution
from store.statements.instruments import left_out
from store.statements.instruments import shares as shares_of
from store.statements.reading import Outcome
from store.statements.refusing import Refused
from store.statements.source import Row

BUSINESS = ZoneInfo("America/Chicago")
CLOCKS = tuple(
    f"{day} {time}" for time in ("%H:%M:%S", "%H:%M") for day in ("%m/%d/%y", "%m/%d/%Y")
)
FEES = ("Misc Fees", "Commissions & Fees", "Short Term Rdm Fee")
STARTS = re.compile(r"start of (?:the )?business day (\d\d)\.(\d\d)")
SECOND = timedelta(seconds=1)
MOST_NEAR = 200  # Deals of one second that are looked through for one.


class Clock:
    """The platform's clock. `starts` are the moments it showed at midnight in Chicago, oldest
    first, with how far it then went before."""

    def __init__(self, cash: Sequence[Row], named: ZoneInfo | None) -> None:
        self.starts = [] if named else sorted(_starts(cash))
        self.zone = named or MARKET

    def moment(self, shown: datetime, column: str, text: str) -> datetime:
        if not self.starts:
            return moment(shown, self.zone, column, text)
        before = [ahead for start, ahead in self.starts if start <= shown]
        ahead = before[-1] if before else self.starts[0][1]
        return moment(shown - ahead, BUSINESS, column, text)


def _starts(cash: Sequence[Row]) -> Iterator[tuple[datetime, timedelta]]:
    for row in cash:
        said = STARTS.search(row.text("DESCRIPTION"))
        if row.text("TYPE") != "BAL" or said is None:
            continue
        try:
            shown = _shown(row)
            days = [datetime(shown.year + by, int(said[2]), int(said[1])) for by in (-1, 0, 1)]  # noqa: DTZ001
        except (Refused, ValueError):
            continue  # A balance is no deal: its row is left out.
        ahead = min((shown - day for day in days), key=abs)
        if abs(ahead) < timedelta(days=1):
            yield shown, ahead


def _shown(row: Row) -> datetime:
    """What the platform's clock showed at a row of Cash Balance."""
    return parsed(f"{row.text('DATE')} {row.text('TIME')}", "DATE", *CLOCKS)


@dataclass(frozen=True)
class Entry:
    """A row of Cash Balance. `amount` is without the fee, which is positive when it cost."""

    row: Row
    shown: datetime
    order: str
    amount: Decimal
    fee: Decimal


def _entry(row: Row) -> Entry:
    fees = (amount(row.text(name), name) or Decimal(0) for name in FEES)
    return Entry(
        row,
        _shown(row),
        row.text("REF #").strip('="'),
        amount(row.text("AMOUNT"), "AMOUNT") or Decimal(0),
        -sum(fees, Decimal(0)),
    )


class Entries:
    """The deals of Cash Balance that no deal of the trade history has taken yet."""

    def __init__(self) -> None:
        self.by_second: dict[datetime, list[Entry]] = {}
        self.any = False

    def enter(self, row: Row) -> tuple[Outcome, ...]:
        entry = _entry(row)
        self.by_second.setdefault(entry.shown, []).append(entry)
        self.any = True
        return ()

    def take(self, shown: datetime, ticker: str, gross: Decimal, rounding: Decimal) -> list[Entry]:
        """The entries of that second or the next that come to `gross`: one, or those of one
        order. Empty where there are none."""
        orders: defaultdict[str, list[Entry]] = defaultdict(list)
        near = []
        for second in (shown, shown + SECOND):
            for entry in self.by_second.get(second, [])[:MOST_NEAR]:
                if ticker in entry.row.text("DESCRIPTION").split():
                    near.append([entry])
                    orders[entry.order].append(entry)
        orders.pop("", None)
        for within in (HALF_CENT, rounding):
            for tried in (*near, *orders.values()):
                if abs(sum(entry.amount for entry in tried) - gross) <= within:
                    for entry in tried:
                        self.by_second[entry.shown].remove(entry)
                    return tried
        return []

    def left(self) -> list[Entry]:
        return [entry for entries in self.by_second.values() for entry in entries]


def alone(row: Row, clock: Clock) -> Outcome:
    """A deal that is in Cash Balance only."""
    text = row.text("DESCRIPTION")
    said = words.deal(text)
    if said is None:
        return _shares(row, clock)
    entry = _entry(row)
    units = said.quantity * said.instrument.unit
    price = by_stated_fee(said.side, units, said.price, Decimal(0), entry.amount, "AMOUNT").price
    return Execution(
        row.number,
        said.instrument,
        said.side,
        said.quantity,
        price,
        clock.moment(entry.shown, "DATE", row.text("DATE")),
        entry.fee,
        order=entry.order or None,
        cash=entry.amount - entry.fee,
    )


def _shares(row: Row, clock: Clock) -> Outcome:
    """Shares that an option delivered (EXP) or that a dividend bought, at what they moved."""
    text, entry = row.text("DESCRIPTION"), _entry(row)
    found = words.shares(text)
    if found is None:
        reason = "Account Trade History has no such deal, and its legs are not known from this"
        raise Refused("DESCRIPTION", text, reason)
    side, quantity, symbol = found
    if word := left_out(symbol):
        return word
    if (entry.amount < 0) != (side == "buy"):
        raise Refused("DESCRIPTION", text, "an amount of the deal's sign is needed")
    with localcontext(prec=PRECISION):
        price = rounded(abs(entry.amount) / quantity, PRICE_DIGITS)
    return Execution(
        row.number,
        shares_of(symbol, "DESCRIPTION"),
        side,
        quantity,
        price,
        clock.moment(entry.shown, "DATE", row.text("DATE")),
        entry.fee,
        order=entry.order or None,
        cash=entry.amount - entry.fee,
        delivery=row.text("TYPE") == "EXP" or "ASSIGNMENT" in text.upper(),
    )


def moved(row: Row, clock: Clock) -> Outcome:
    kind, text, entry = row.text("TYPE"), row.text("DESCRIPTION"), _entry(row)
    if kind == "EXP":
        return _shares(row, clock)
    if kind != "RAD":
        cash = entry.amount - entry.fee
        return CashRow(row.number, cash_kind(text, cash), cash)
    gone = words.removed(text)
    ending = end(gone.kind, gone.instrument, gone.quantity, entry.amount, "AMOUNT")
    return Execution(
        row.number,
        gone.instrument,
        gone.side,
        gone.quantity,
        ending.price,
        clock.moment(entry.shown, "DATE", row.text("DATE")),
        entry.fee,
        kind=ending.kind,
        effect="close",
        cash=entry.amount - entry.fee,
    )
