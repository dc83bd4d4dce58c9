"""thinkorswim's account statement, live and paperMoney: Monitor > Account Statement > Export
to File. TD Ameritrade wrote the same.

One file holds several tables, each under its title and ended by a blank line:
- `Account Trade History`, newest first: `Exec Time, Spread, Side, Qty, Pos Effect, Symbol, Exp,
  Strike, Type, Price, Net Price, Order Type`. A spread has a row for each leg, of which only
  the first has Exec Time and Spread. `Qty` is negative when sold, `Price` the leg's own.
- `Cash Balance`, oldest first: `DATE, TIME, TYPE, REF #, DESCRIPTION, Misc Fees, Commissions &
  Fees, AMOUNT, BALANCE`: TRD are deals, a spread in one row; RAD options that ended, EXP the
  shares that they delivered, the others cash. `AMOUNT` is without fees, which are negative
  when they cost. `REF #` is the order's, `="5229435487"`.

Each deal of the trade history must have its cash, at its second or the one after, to the cent;
from there come its order and its fees, which a spread's legs share by size. A deal that only
Cash Balance has is read from its words, if it has one leg. A table of the trade history alone
is read too, without fees.

- Times have no zone: they are the platform's, which the user sets. The rows `Cash balance at
  the start of business day 02.09 CST` tell which: that is midnight in Chicago. Without them
  times are New York's.
- Futures, their options and forex are refused: Cash Balance does not hold them. Orders, open
  positions and profits are not read. Money market funds and bonds are counted.
- paperMoney does not write that an option expired, and its adjustments by hand name no
  position: they are cash.

Layout: exports published by users and the readers of several open projects.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from itertools import takewhile

from store.columns import MONEY_DIGITS, rounded
from store.importers.format import Format
from store.importers.imported import Options
from store.importers.thinkorswim import words
from store.importers.thinkorswim.balance import CLOCKS, Clock, Entries, alone, moved
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import Mode, Side
from store.statements.amounts import clock as parsed
from store.statements.amounts import needed, not_zero
from store.statements.balancing import HALF_CENT, by_stated_fee, cash_moved, divided, worth
from store.statements.contracts import OPTION_TYPES, Contract
from store.statements.execution import Effect, Execution, Instrument, Statement
from store.statements.instruments import left_out, option, shares
from store.statements.reading import Outcome, Reading, oldest_first
from store.statements.refusing import Refused
from store.statements.source import Row, Source, Table, table_of

TRADES = ("Exec Time", "Side", "Qty", "Pos Effect", "Symbol", "Exp", "Strike", "Type", "Price")
CASH = ("DATE", "TIME", "TYPE", "REF #", "DESCRIPTION", "AMOUNT", "BALANCE")
STATEMENT = re.compile(r"Account Statement for ([A-Z0-9*-]{1,30})\b")
SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell", "BOT": "buy", "SLD": "sell"}
EFFECTS: dict[str, Effect] = {"TO OPEN": "open", "TO CLOSE": "close"}


@dataclass(frozen=True)
class Leg:
    """A row of the trade history. `units` is quantity x multiplier."""

    row: Row
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    effect: Effect | None

    @property
    def units(self) -> Decimal:
        return self.quantity * self.instrument.unit

    @property
    def cash(self) -> Decimal:
        """What the leg moves at its price, without fees."""
        return cash_moved(self.side, worth(self.instrument, self.quantity, self.price))


def fits(source: Source) -> bool:
    if source.head.startswith(("{", "[", "<")) or "Pos Effect" not in source.text:
        return False
    return _section(source, TRADES) is not None


def parse(source: Source, options: Options) -> Statement:
    trades, cash = _section(source, TRADES), _section(source, CASH)
    groups, balance = _groups(trades), list(cash.rows) if cash else []
    clock, entries = Clock(balance, zone_named(options.zone)), Entries()
    reading = Reading(source)
    reading.rows([row for row in balance if row.text("TYPE") == "TRD"], entries.enter)
    reading.rows(
        [group[0] for group in groups.values()],
        lambda row: _deal(groups[row.number], entries, clock),
    )
    # The trade history is newest first, Cash Balance is not.
    dealt, reading.executions = oldest_first(reading.executions), []
    reading.rows([entry.row for entry in entries.left()], lambda row: [alone(row, clock)])
    others = [row for row in balance if row.text("TYPE") not in ("", "BAL", "TRD")]
    reading.rows(others, lambda row: [moved(row, clock)])
    reading.assumed += _assumed(clock, entries)
    account = STATEMENT.search(source.head)
    found = reading.statement("thinkorswim", "thinkorswim", currency="USD", mode=_mode(source))
    executions = sorted((*dealt, *found.executions), key=lambda one: one.at)
    return replace(
        found,
        executions=tuple(
            replace(one, account=account[1] if account else None) for one in executions
        ),
    )


def _mode(source: Source) -> Mode | None:
    if "papermoney" in source.head.casefold():
        return "paper"
    return "live" if STATEMENT.search(source.head) else None


def _assumed(clock: Clock, entries: Entries) -> Iterator[str]:
    if not clock.starts:
        yield f"The file does not say whose its times are; they are taken as {clock.zone.key}'s."
    if not entries.any:
        yield "The file has no Cash Balance, so fees are not known and are 0."


def _section(source: Source, marks: Sequence[str]) -> Table | None:
    """The rows under the first header with all `marks`, to the next title."""
    wanted = {mark.casefold() for mark in marks}
    for index, (_, fields) in enumerate(source.records):
        have = {field.strip().casefold() for field in fields}
        if wanted <= have and "amount(usd)" not in have:  # Forex Statements has that too.
            below = source.records.after(index + 1)
            return table_of(fields, takewhile(lambda record: not _is_title(record[1]), below))
    return None


def _is_title(fields: Sequence[str]) -> bool:
    return bool(fields and fields[0].strip()) and not any(field.strip() for field in fields[1:])


def _groups(trades: Table | None) -> dict[int, list[Row]]:
    """The legs of each deal, by the number of its first row."""
    groups: list[list[Row]] = []
    for row in trades.rows if trades else ():
        if row.text("Exec Time") or not groups:
            groups.append([])
        groups[-1].append(row)
    return {group[0].number: group for group in groups}


def _deal(group: Sequence[Row], entries: Entries, clock: Clock) -> Iterator[Outcome]:
    text = group[0].text("Exec Time")
    shown = parsed(text, "Exec Time", *CLOCKS)
    legs = [_leg(row) for row in group]
    with localcontext(prec=PRECISION):
        gross = sum((leg.cash for leg in legs), Decimal(0))
        rounding = HALF_CENT + sum((leg.units for leg in legs), Decimal(0)) * HALF_CENT
    found = entries.take(shown, legs[0].instrument.ticker, gross, rounding)
    if entries.any and not found:
        reason = f"Cash Balance has no deal of {rounded(gross, 2)} at this moment"
        raise Refused("Exec Time", text, reason)
    if word := left_out(legs[0].instrument.ticker):
        yield word
        return
    if found:
        legs = _adding_up(legs, sum((entry.amount for entry in found), Decimal(0)))
    fees = divided(sum((entry.fee for entry in found), Decimal(0)), [leg.units for leg in legs])
    at = clock.moment(shown, "Exec Time", text)
    for leg, fee in zip(legs, fees, strict=True):
        yield Execution(
            leg.row.number,
            leg.instrument,
            leg.side,
            leg.quantity,
            leg.price,
            at,
            fee,
            effect=leg.effect,
            order=found[0].order or None if found else None,
            cash=rounded(leg.cash - fee, MONEY_DIGITS) if found else None,
        )


def _adding_up(legs: Sequence[Leg], cash: Decimal) -> list[Leg]:
    """`legs` that come to `cash`: what their prices were rounded by is the last one's."""
    *others, last = legs
    with localcontext(prec=PRECISION):
        due = cash - sum((leg.cash for leg in others), Decimal(0))
    price = by_stated_fee(last.side, last.units, last.price, Decimal(0), due, "AMOUNT").price
    return [*others, replace(last, price=price)]


def _leg(row: Row) -> Leg:
    side = SIDES.get(row.text("Side").upper())
    if side is None:
        raise Refused("Side", row.text("Side"), "BUY or SELL is needed")
    quantity = abs(not_zero(row.text("Qty"), "Qty"))
    effect = EFFECTS.get(row.text("Pos Effect").upper())
    price = needed(row.text("Price"), "Price")
    return Leg(row, _instrument(row), side, quantity, price, effect)


def _instrument(row: Row) -> Instrument:
    symbol, kind = row.text("Symbol").upper(), row.text("Type").upper()
    if symbol.startswith("/"):
        raise Refused("Symbol", symbol, "futures and their options are not in Cash Balance")
    if kind in OPTION_TYPES:
        expiry = words.expiry(row.text("Exp"), "Exp")
        strike = needed(row.text("Strike"), "Strike")
        return option(Contract(symbol, expiry, OPTION_TYPES[kind], strike), "Symbol")
    if kind not in ("STOCK", "ETF", "FUND"):
        raise Refused("Type", row.text("Type"), "a STOCK, ETF, FUND, CALL or PUT is needed")
    return shares(symbol, "Symbol")


FORMAT = Format("thinkorswim", f"a table with the columns {', '.join(TRADES)}", fits, parse)
