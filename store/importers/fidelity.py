"""Fidelity's account history, newest first: Accounts > Activity & Orders > History > Download.

`History_for_Account_X12345678.csv` of one account or `Accounts_History.csv` of several, under
blank lines and a title, above a disclaimer. Columns, with or without ` ($)`:

`Run Date, [Account, Account Number,] Action, Symbol, Description, Type, Price ($), Quantity,
Commission ($), Fees ($), Accrued Interest ($), Amount ($), [Cash Balance ($),] Settlement Date`

Exports of several accounts have `Exchange Quantity, Exchange Currency, Currency, Price,
Quantity, Exchange Rate` in the middle, and some of them head that `Quantity, Currency,
Price`: then the currency stands under Quantity, the price under Currency and the quantity
under Price.

- Days only, New York's. What is said to be `as of` a day happened then.
- `Action` says what happened: YOU BOUGHT or YOU SOLD, OPENING or CLOSING TRANSACTION;
  EXPIRED; ASSIGNED or EXERCISED, and the shares as YOU BOUGHT ASSIGNED PUTS.
- A day's rows are in no order of time: what closes comes after what opens. Shares sold were
  held, unless they are said to be sold short.
- `Quantity` is positive for what came in, so an assigned short put has 1, an expired long
  option -1. Options are ` -NVDA260710P195`, prices per share, `Amount` is net of commission
  and fees, which are positive when they cost.
- The price is shown rounded; where the amount shows more of it, it is taken from there.
- A cancelled trade takes its original away, and both are counted; its correction is a trade.
- Money market funds (tickers ending in XX, a share being a dollar) are cash and counted, as
  are bonds and CDs (nine-letter CUSIPs). Shares that moved without a deal (transfers, splits,
  mergers) are refused.

Layout: exports published by users and the readers of several open projects.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Side
from store.statements.amounts import MARKET, amount, day, ended, of_day
from store.statements.balancing import by_stated_fee
from store.statements.cash import cash_kind
from store.statements.contracts import contract
from store.statements.ends import end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import left_out, option, shares
from store.statements.reading import Outcome, Reading
from store.statements.refusing import NO_DEAL, Refused
from store.statements.source import Row, Source

MARKS = ("Run Date", "Action", "Symbol")
CURRENCY = "USD"
DAYS = ("%m/%d/%Y", "%m-%d-%Y", "%b-%d-%Y", "%Y-%m-%d")
AS_OF = re.compile(r" as of ([A-Z][a-z]{2}-\d\d-\d{4}|\d{4}-\d\d-\d\d|\d\d-\d\d-\d\d)\b", re.I)
AS_OF_DAYS = ("%b-%d-%Y", "%Y-%m-%d", "%m-%d-%y")
ENDS: dict[str, FillKind] = {"EXPIRED": "expired", "ASSIGNED": "assigned", "EXERCISED": "exercised"}
DEALS = ("YOU BOUGHT", "YOU SOLD", "REINVESTMENT", "BUY CANCEL", "SELL CANCEL")
DELIVERED = re.compile(r"YOU (BOUGHT|SOLD) (ASSIGNED|EXERCISED) ")
ACCOUNT = re.compile(r"[A-Z0-9-]{1,20}")
SHARES, STANDARD = re.compile(r"\((\d+) SHS\)"), "100"


def fits(source: Source) -> bool:
    return source.has_header(*MARKS, "Amount ($)") or source.has_header(*MARKS, "Amount")


def parse(source: Source, options: Options) -> Statement:
    table = source.table(*MARKS)
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source)
    rows = [row for row in table.rows if not row.alone] if table else []
    reading.rows(rows, lambda row: [_outcome(row, zone)])
    _take_back(reading, {row.number: row for row in rows if " CANCEL" in _action(row)})
    return reading.statement("fidelity", "Fidelity", currency=CURRENCY, zone=zone.key)


def _take_back(reading: Reading, cancels: Mapping[int, Row]) -> None:
    """Leave out each cancelled trade with the row that cancelled it."""
    for cancel in [one for one in reading.executions if one.row in cancels]:
        reading.executions.remove(cancel)
        original = next((one for one in reading.executions if _undoes(cancel, one)), None)
        if original is None:
            row = cancels[cancel.row]
            reason = "the trade that it cancels is not in this file"
            reading.reject(row.number, Refused("Action", row.text("Action"), reason))
        else:
            reading.executions.remove(original)
            reading.ignored["cancelled trades"] += 2


def _undoes(cancel: Execution, one: Execution) -> bool:
    return (
        (one.instrument, one.account, one.quantity, one.price)
        == (cancel.instrument, cancel.account, cancel.quantity, cancel.price)
        and one.side != cancel.side
        and one.cash == -(cancel.cash or 0)
    )


def _action(row: Row) -> str:
    return row.text("Action").upper()


def _outcome(row: Row, zone: ZoneInfo) -> Outcome:
    action, symbol = _action(row), row.text("Symbol").upper()
    on = day(row.text("Run Date"), "Run Date", *DAYS)
    currency, price, quantity = _figures(row)
    if currency not in ("", CURRENCY):
        raise Refused("Currency", currency, f"only amounts in {CURRENCY} can be recorded")
    cash = amount(row.text("Amount ($)", "Amount"), "Amount")
    if not quantity:
        return CashRow(row.number, cash_kind(action, cash or Decimal(0)), cash or Decimal(0))
    if " CORE ACCOUNT " in action:
        return "money market funds"
    if word := left_out(symbol):
        return word
    first = action.split(" ", 1)[0]
    if first in ENDS:
        return _end(row, ENDS[first], quantity, cash or Decimal(0), _as_of(action, on), zone)
    if not action.startswith(DEALS):
        raise Refused("Action", row.text("Action"), NO_DEAL)
    if price is None or cash is None:
        raise Refused("Amount", row.text("Amount ($)", "Amount"), "a price and an amount needed")
    return _deal(row, price, quantity, cash, _as_of(action, on), zone)


def _figures(row: Row) -> tuple[str, Decimal | None, Decimal | None]:
    """Currency, price and quantity, wherever they stand."""
    currency, price = row.text("Currency").upper(), row.text("Price ($)", "Price")
    quantity = row.text("Quantity")
    if quantity.isalpha():
        currency, price, quantity = quantity.upper(), row.text("Currency"), price
    return currency, amount(price, "Price"), amount(quantity, "Quantity")


def _as_of(action: str, on: date) -> date:
    said = AS_OF.search(action)
    return day(said[1].title(), "Action", *AS_OF_DAYS) if said else on


def _deal(
    row: Row, price: Decimal, quantity: Decimal, cash: Decimal, on: date, zone: ZoneInfo
) -> Execution:
    action = _action(row)
    side: Side = "buy" if quantity > 0 else "sell"
    if ("BOUGHT" in action and side == "sell") or ("SOLD" in action and side == "buy"):
        raise Refused("Quantity", str(quantity), "its sign is not that of the action")
    instrument = _instrument(row)
    delivered = DELIVERED.match(action) is not None
    units = abs(quantity) * instrument.unit
    fee = sum(
        (
            amount(row.text(f"{name} ($)", name), name) or Decimal(0)
            for name in ("Commission", "Fees")
        ),
        Decimal(0),
    )
    deal = by_stated_fee(side, units, price, fee, cash, "Amount")
    return Execution(
        row.number,
        instrument,
        side,
        abs(quantity),
        deal.price,
        of_day(on, zone, ending=delivered),
        deal.fee,
        effect=_effect(action),
        account=_account(row),
        cash=cash,
        dated=True,
        delivery=delivered,
    )


def _end(
    row: Row, kind: FillKind, quantity: Decimal, cash: Decimal, on: date, zone: ZoneInfo
) -> Execution:
    instrument = _instrument(row)
    ending = end(kind, instrument, abs(quantity), cash)
    return Execution(
        row.number,
        instrument,
        "buy" if quantity > 0 else "sell",
        abs(quantity),
        ending.price,
        ended(on, instrument.expiry, zone),
        kind=ending.kind,
        effect="close",
        account=_account(row),
        cash=cash,
        dated=True,
    )


def _instrument(row: Row) -> Instrument:
    symbol = row.text("Symbol").upper()
    terms = contract(symbol) if symbol.startswith("-") else None
    if terms is not None:
        said = SHARES.search(row.text("Description")) or SHARES.search(row.text("Action"))
        if said is not None and said[1] != STANDARD:
            raise Refused("Description", said[0], "only options on 100 shares can be recorded")
        return option(terms, "Symbol")
    return shares(symbol, "Symbol")


def _effect(action: str) -> Effect | None:
    """Shares that were sold were held, unless the action says that they were sold short or
    that an option delivered them."""
    if "OPENING TRANSACTION" in action or "SHORT" in action:
        return "open"
    if "CLOSING TRANSACTION" in action or " COVER " in action:
        return "close"
    return "close" if action.startswith("YOU SOLD") and not DELIVERED.match(action) else None


def _account(row: Row) -> str | None:
    """The account's number; older exports have it behind the account's name."""
    named = re.search(r"\b([A-Z]?\d{8,9})$", row.text("Account"))
    number = row.text("Account Number") or (named[1] if named else "")
    if number and not ACCOUNT.fullmatch(number):
        raise Refused("Account Number", number, "a number such as X12345678 is needed")
    return number or None


FORMAT = Format("fidelity", f"the columns {', '.join(MARKS)}, Amount", fits, parse)
