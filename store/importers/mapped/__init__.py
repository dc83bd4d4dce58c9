"""Any broker's table, read by a mapping of its columns (`store/importers/mapped/mapping.py`).

Each row is an execution, or an entry and an exit that become two, the exit with the fees. A
quantity may be signed: where no column says the side, its sign does. What the file says of its
money is checked to the cent: an amount against quantity, price and fees (without columns of
fees, what the amount is beyond quantity x price is the fee), and the profit of an entry and
an exit. A future's multiplier comes from the mapping, by root or symbol; without one the row
is refused.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers.imported import Options
from store.importers.mapped.mapping import ColumnMapping, found, name_of
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.settings import load_settings
from store.statements.amounts import MARKET, amount, clock, day, moment, of_day
from store.statements.balancing import (
    Deal,
    by_cash,
    by_stated_fee,
    most_fees,
    require_balance,
    worth,
)
from store.statements.contracts import OPTION_TYPES, Contract, contract, described
from store.statements.ends import require_settlement
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import future, future_root, option, ticker
from store.statements.reading import Reading
from store.statements.refusing import Refused, printable
from store.statements.source import LONGEST_HEAD, Row, Source, Table

NAME = "mapped"
FOLDER = "mappings"


def parse(source: Source, options: Options) -> Statement:
    """Raises:
    Invalid: there is no such mapping, or the file lacks a column that it needs.
    """
    mapping = found(options.mapping or "", load_settings().data_folder() / FOLDER)
    reader = Reader(mapping, zone_named(options.zone or mapping.zone), options.multiplier)
    gathered = Reading(source)
    for row in table_of(source, mapping).rows:
        with gathered.row(row.number):
            reader.read(row, gathered)
    if not (mapping.columns.fees or mapping.columns.amount):
        gathered.assumed.append("the mapping names no fees; none are recorded")
    return gathered.statement(
        f"{NAME}:{name_of(options.mapping or '')}",
        mapping.broker,
        newest_first=False,
        currency=options.currency or mapping.currency,
        zone=(reader.zone or MARKET).key,
    )


def table_of(source: Source, mapping: ColumnMapping) -> Table:
    """The rows under the first header that has a column of each field that is needed."""
    if source.json is not None or source.head.startswith("<"):
        raise Invalid(f"{source.path.name} is no table; a mapping reads CSV.")
    wanted = [getattr(mapping.columns, one) for one in mapping.needed()]
    for _, fields in source.records.first(LONGEST_HEAD):
        have = {field.strip().casefold(): field.strip() for field in fields}
        marks = [next((one for one in names if one.casefold() in have), None) for names in wanted]
        table = source.table(*(mark for mark in marks if mark)) if all(marks) else None
        if table is not None:
            return table
    columns = "; ".join(" or ".join(map(printable, names)) for names in wanted)
    raise Invalid(f"{source.path.name} has no header with the mapping's columns: {columns}.")


@dataclass(frozen=True)
class Reader:
    """The rows of a table as its mapping says; `multiplier` is the user's."""

    mapping: ColumnMapping
    zone: ZoneInfo | None
    multiplier: Decimal | None

    def read(self, row: Row, gathered: Reading) -> None:
        words, columns = self.mapping.words, self.mapping.columns
        side = row.text(*columns.side)
        state = row.text(*columns.status)
        left_out = {word.casefold() for word in words.ignored}
        for said in (side, state):
            if said and said.casefold() in left_out:
                gathered.ignored[printable(said).lower()] += 1
                return
        if words.filled and state.casefold() not in {one.casefold() for one in words.filled}:
            accepted = ", ".join([*words.filled, *words.ignored])
            raise Refused(self.column("status"), state, f"one of {accepted} is known")
        if kind := words.cash.get(side.casefold()):
            moved = self.needed(row, "amount")
            gathered.cash.append(CashRow(row.number, kind, moved))
        elif self.mapping.rows == "trades":
            gathered.executions.extend(self.both(row))
        else:
            gathered.executions.append(self.execution(row))

    def column(self, field: str) -> str:
        """What the mapping calls a field, for those who have to look it up in the file."""
        names: tuple[str, ...] = getattr(self.mapping.columns, field)
        return names[0] if names else field

    def text(self, row: Row, field: str) -> str:
        return row.text(*getattr(self.mapping.columns, field))

    def number(self, row: Row, field: str) -> Decimal | None:
        return amount(self.text(row, field), self.column(field), decimal=self.mapping.decimal)

    def needed(self, row: Row, field: str) -> Decimal:
        number = self.number(row, field)
        if number is None:
            raise Refused(self.column(field), self.text(row, field), "a number is needed")
        return number

    def execution(self, row: Row) -> Execution:
        instrument = self.instrument(row)
        end = self.mapping.words.ends.get(self.text(row, "side").casefold(), "trade")
        require_settlement(end, instrument, self.column("side"))
        side, quantity = self.dealt(row, end)
        price = Decimal(0) if end not in ("trade", "settled") else self.needed(row, "price")
        at, dated = self.at(row, "at", end)
        fee, cash = self.fees(row), self.number(row, "amount")
        if side is not None and cash is not None and end == "trade":
            units = quantity * instrument.unit
            price, fee = self.reconciled(side, units, price, fee, cash)
        return Execution(
            row=row.number,
            instrument=instrument,
            side=side,
            quantity=quantity,
            price=price,
            at=at,
            fee=fee,
            kind=end,
            effect=self.effect(row),
            id=self.text(row, "id") or None,
            order=self.text(row, "order") or None,
            account=self.text(row, "account") or None,
            cash=cash,
            dated=dated,
            partial=self.mapping.partial,
        )

    def reconciled(
        self, side: Side, units: Decimal, shown: Decimal, fee: Decimal, cash: Decimal
    ) -> Deal:
        """Price and fee as the amount says them; without columns of fees it says those too."""
        column = self.column("amount")
        if self.mapping.columns.fees:
            return by_stated_fee(side, units, shown, fee, cash, column)
        return by_cash(side, units, shown, fee, most_fees(units * shown), cash, column)

    def both(self, row: Row) -> list[Execution]:
        """The entry and the exit of a row, once its profit is what they come to."""
        instrument = self.instrument(row)
        side, quantity = self.dealt(row, "trade")
        if side is None:
            raise Refused(self.column("side"), self.text(row, "side"), "long or short is needed")
        entry_price, exit_price = self.needed(row, "entry_price"), self.needed(row, "exit_price")
        (opened_at, dated), (closed_at, _) = self.at(row, "entry_at"), self.at(row, "exit_at")
        if closed_at < opened_at:
            raise Refused(self.column("exit_at"), self.text(row, "exit_at"), "it is before entry")
        fee = self.fees(row)
        self.require_profit(row, instrument, side, quantity, exit_price - entry_price, fee)
        entry = Execution(
            row=row.number,
            instrument=instrument,
            side=side,
            quantity=quantity,
            price=entry_price,
            at=opened_at,
            effect="open",
            account=self.text(row, "account") or None,
            dated=dated,
        )
        leaving: Side = "sell" if side == "buy" else "buy"
        return [
            entry,
            replace(entry, side=leaving, price=exit_price, at=closed_at, fee=fee, effect="close"),
        ]

    def require_profit(
        self,
        row: Row,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        moved: Decimal,
        fee: Decimal,
    ) -> None:
        profit = self.number(row, "profit")
        if profit is None:
            return
        with localcontext(prec=PRECISION):
            expected = worth(instrument, quantity, moved if side == "buy" else -moved)
            expected -= fee if self.mapping.profit == "net" else 0
        require_balance(self.column("profit"), self.text(row, "profit"), profit, expected)

    def fees(self, row: Row) -> Decimal:
        """The sum of the columns of fees, positive when they cost."""
        names = self.mapping.columns.fees
        with localcontext(prec=PRECISION):
            total = sum(
                (
                    amount(row.text(one), one, decimal=self.mapping.decimal) or Decimal(0)
                    for one in names
                ),
                Decimal(0),
            )
            return total if self.mapping.fees == "cost" else -total

    def dealt(self, row: Row, end: FillKind) -> tuple[Side | None, Decimal]:
        """The side and the quantity, which is signed where nothing else says the side."""
        signed = self.needed(row, "quantity")
        if signed == 0:
            raise Refused(self.column("quantity"), "0", "a quantity is needed")
        said = self.text(row, "side")
        sides = self.mapping.words.side
        if said.casefold() in sides:
            return sides[said.casefold()], abs(signed)
        if end != "trade":
            return None, abs(signed)
        if sides:
            raise Refused(self.column("side"), said, f"one of {', '.join(sides)} is known")
        return "buy" if signed > 0 else "sell", abs(signed)

    def effect(self, row: Row) -> Effect | None:
        return self.mapping.words.effect.get(self.text(row, "effect").casefold())

    def at(self, row: Row, field: str, end: FillKind = "trade") -> tuple[datetime, bool]:
        """The moment of a field, in UTC, and whether only its day is said."""
        column, text = self.column(field), self.text(row, field)
        if field == "at" and self.mapping.columns.time:
            text = f"{text} {self.text(row, 'time')}".strip()
        if (on := self.day(text)) is not None:
            return of_day(on, self.zone or MARKET, ending=end != "trade"), True
        shown = clock(text, column, *self.mapping.moments)
        if shown.tzinfo is None and self.zone is None:
            raise Refused(column, text, "the moment has no offset from UTC; name its --zone")
        return moment(shown, self.zone or MARKET, column, text), False

    def day(self, text: str) -> date | None:
        for one in self.mapping.days:
            try:
                return day(text, "", one)
            except Refused:
                continue
        return None

    def instrument(self, row: Row) -> Instrument:
        symbol = self.text(row, "symbol")
        for prefix in self.mapping.prefixes:
            symbol = symbol.removeprefix(prefix)
        if terms := self.terms(row, symbol):
            return option(terms, self.column("symbol"), unit=self.number(row, "multiplier"))
        if not symbol:
            raise Refused(self.column("symbol"), "", "a symbol is needed")
        if self.mapping.instrument == "future":
            return self.future(row, symbol)
        named = symbol if self.mapping.instrument == "crypto" else None
        name = ticker(symbol, self.column("symbol"))
        return Instrument(self.mapping.instrument, name, symbol=named)

    def terms(self, row: Row, symbol: str) -> Contract | None:
        """The option of a row: by its symbol, its columns or its description."""
        if (known := contract(symbol) or described(self.text(row, "description"))) is not None:
            return known
        kind = OPTION_TYPES.get(self.text(row, "option_type").upper())
        strike = self.number(row, "strike")
        if kind is None or strike is None:
            return None
        formats = self.mapping.days or ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y")
        expiry = day(self.text(row, "expiry"), self.column("expiry"), *formats)
        return Contract(symbol.upper(), expiry, kind, strike)

    def future(self, row: Row, symbol: str) -> Instrument:
        root = future_root(symbol)
        sizes = self.mapping.multipliers
        size = self.number(row, "multiplier") or sizes.get(symbol) or sizes.get(root or "")
        size = size or self.multiplier
        if size is None:
            reason = "no multiplier is known; put it under [multipliers] or say --multiplier"
            raise Refused(self.column("symbol"), symbol, reason)
        return future(symbol, self.column("symbol"), size)
