"""Alpaca's account activities: the JSON of `GET /v2/account/activities`.

A list of activities, newest first, or a list of such lists (the pages of at most 100, saved
one after another). Numbers are text.
- FILL is an execution: `id`, `order_id`, `symbol` (OCC for options, BTC/USD for coins),
  `side` (buy, sell, sell_short), `qty` of this execution, `price`, `transaction_time` in UTC.
  `cum_qty` and `leaves_qty` are of the order: `cum_qty` counts this execution too, so it is
  never below `qty`.
- OPEXP, OPASN, OPEXC end an option on `date`; `qty` is the change of the position. OPTRD, the
  shares of an assignment or exercise, has the strike as `price` and its cash as `net_amount`;
  they share one id, so the type is part of it. Where price and cash disagree (Alpaca's own
  example has 90 for a strike of 150), the row is refused.
- CFEE is the fee of a coin. With `net_amount` it is cash. Paid in the coin itself it has
  `qty` below 0 and `price`: the coins leave the position at that price, and what they are
  worth is a fee, so that no cash moves.
- FEE, PTC: fees of the day, not of a deal, so they are cash and in no trade's P&L.
- DIV and its kin, INT, CSD, CSW, TRANS, JNLC, ACATC: cash. Splits, mergers, spin-offs,
  symbol changes, journals and transfers of shares change positions and are refused.

Paper and live accounts answer alike, so the user says which it is. Currency is US dollars.
Sources: docs.alpaca.markets (account activities, non-trade activities for option events,
crypto fees) and answers quoted in public clients.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Side
from store.statements.amounts import MARKET, above_zero, amount, day, needed, not_zero, of_day
from store.statements.balancing import cash_moved, require_balance, worth
from store.statements.ends import end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import shares_or_option
from store.statements.jsonrows import Record, numbered
from store.statements.reading import Outcome, Reading
from store.statements.refusing import MAY_CHANGE, Refused
from store.statements.source import Source

NAME = "alpaca"
SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "sell_short": "sell"}
ENDS: dict[str, FillKind] = {"OPEXP": "expired", "OPASN": "assigned", "OPEXC": "exercised"}
CASH = {
    "FEE": "fee", "PTC": "fee", "CFEE": "fee", "INT": "interest", "INTNRA": "tax",
    "INTTW": "tax", "CSD": "deposit", "CSW": "withdrawal", "TRANS": "transfer",
    "JNLC": "transfer", "ACATC": "transfer", "DIV": "dividend", "DIVCGL": "dividend",
    "DIVCGS": "dividend", "DIVNRA": "tax", "DIVROC": "dividend", "DIVTXEX": "dividend",
    "DIVFEE": "fee", "DIVFT": "tax", "DIVTW": "tax", "MISC": "other",
}  # fmt: skip
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
# Coins came without a slash once, and still do in fees; no share has six letters.
COIN = re.compile(r"(?P<coin>[A-Z0-9]{2,10})/(?P<quote>[A-Z]{3,4})|(?P<old>[A-Z0-9]{3,10})USD")
LAST_SECOND = time(23, 59, 59)


def fits(source: Source) -> bool:
    if not isinstance(source.json, list):
        return False
    first = next(numbered(source.json), None)
    return first is not None and bool(first.text("activity_type"))


def parse(source: Source, options: Options) -> Statement:
    if not isinstance(source.json, list):
        raise Invalid(f"{source.path.name} is no list of activities, as {NAME} has it.")
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source)
    seen: set[str] = set()
    reading.rows(numbered(source.json), lambda one: read(one, seen, zone))
    return reading.statement(NAME, "Alpaca", currency="USD", zone=zone.key)


def read(one: Record, seen: set[str], zone: ZoneInfo) -> Iterator[Outcome]:
    kind = one.text("activity_type").upper()
    name = f"{kind} {one.text('id')} {one.text('symbol')}"
    if one.text("id") and name in seen:
        yield "activities that are on two pages"
        return
    seen.add(name)
    if kind == "FILL":
        yield fill(one)
    elif kind in ENDS:
        yield end_of(one, ENDS[kind], zone)
    elif kind == "OPTRD":
        yield delivery(one, zone)
    elif kind not in CASH:
        raise Refused("activity_type", kind, MAY_CHANGE)
    elif moved := amount(one.text("net_amount"), "net_amount"):
        yield CashRow(one.number, CASH[kind], moved)
    elif kind == "CFEE":
        yield coin_fee(one, zone)
    else:
        yield f"{kind} without cash"


def dealt(one: Record) -> Instrument:
    symbol = one.text("symbol").upper()
    coin = COIN.fullmatch(symbol)
    if coin is None:
        return shares_or_option(symbol, "symbol")
    if coin["quote"] not in (None, "USD"):
        raise Refused("symbol", symbol, "its P&L is not in US dollars; record it by hand")
    ticker = coin["coin"] or coin["old"]
    return Instrument("crypto", ticker, symbol=f"{ticker}/USD")


def fill(one: Record) -> Execution:
    if one.text("side") not in SIDES:
        raise Refused("side", one.text("side"), f"one of {', '.join(SIDES)} is needed")
    quantity = above_zero(one.text("qty"), "qty")
    instrument = dealt(one)
    done = amount(one.text("cum_qty"), "cum_qty")
    if done is not None and done < quantity:
        raise Refused("cum_qty", one.text("cum_qty"), f"it is below the execution's {quantity:f}")
    return Execution(
        row=one.number,
        instrument=instrument,
        side=SIDES[one.text("side")],
        quantity=quantity,
        price=needed(one.text("price"), "price"),
        at=moment_of(one),
        effect=effect_of(one.text("side"), instrument),
        id=one.text("id") or None,
        order=one.text("order_id") or None,
    )


def effect_of(side: str, instrument: Instrument) -> Effect | None:
    """Coins are not sold short; of shares and options only a short sale says what it does."""
    if instrument.kind == "crypto":
        return "open" if side == "buy" else "close"
    return "open" if side == "sell_short" else None


def moment_of(one: Record) -> datetime:
    text = one.text("transaction_time")
    found = TIME.fullmatch(text)
    try:
        if found and 1970 <= int(text[:4]) < 2200:
            # Nanoseconds are cut: a moment has six digits.
            shown = f"{found[1]}{(found[2] or '.')[:7]:0<7}{found[3]}"
            return datetime.fromisoformat(shown).astimezone(UTC)
    except ValueError:
        pass
    raise Refused("transaction_time", text, "a moment such as 2026-01-31T15:30:00Z is needed")


def end_of(one: Record, kind: FillKind, zone: ZoneInfo) -> Execution:
    instrument = dealt(one)
    change = not_zero(one.text("qty"), "qty")
    cash = amount(one.text("net_amount"), "net_amount") or Decimal(0)
    ending = end(kind, instrument, abs(change), cash, "net_amount")
    return Execution(
        row=one.number,
        instrument=instrument,
        side="buy" if change > 0 else "sell",
        quantity=abs(change),
        price=ending.price,
        at=of_day(day(one.text("date"), "date", "%Y-%m-%d"), zone, ending=True),
        kind=ending.kind,
        id=named(one),
        cash=cash or None,
        dated=True,
    )


def named(one: Record) -> str | None:
    return f"{one.text('activity_type')} {one.text('id')}" if one.text("id") else None


def delivery(one: Record, zone: ZoneInfo) -> Execution:
    """The shares that an assignment or an exercise moved."""
    instrument = shares_or_option(one.text("symbol"), "symbol")
    change = not_zero(one.text("qty"), "qty")
    strike = needed(one.text("price"), "price")
    cash = needed(one.text("net_amount"), "net_amount")
    if instrument.kind != "equity":
        raise Refused("symbol", one.text("symbol"), "shares are needed")
    side: Side = "buy" if change > 0 else "sell"
    expected = cash_moved(side, worth(instrument, abs(change), strike))
    require_balance("net_amount", one.text("net_amount"), cash, expected)
    return Execution(
        row=one.number,
        instrument=instrument,
        side=side,
        quantity=abs(change),
        price=strike,
        at=of_day(day(one.text("date"), "date", "%Y-%m-%d"), zone, ending=True),
        id=named(one),
        cash=cash,
        dated=True,
        delivery=True,
    )


def coin_fee(one: Record, zone: ZoneInfo) -> Execution:
    """Coins that left as a fee, at the end of the day: sold at the stated price for a fee of
    as much."""
    instrument = dealt(one)
    change = needed(one.text("qty"), "qty")
    price = needed(one.text("price"), "price")
    if instrument.kind != "crypto" or change >= 0:
        raise Refused("qty", one.text("qty"), "a fee in coins is below 0")
    on = day(one.text("date"), "date", "%Y-%m-%d")
    return Execution(
        row=one.number,
        instrument=instrument,
        side="sell",
        quantity=-change,
        price=price,
        at=datetime.combine(on, LAST_SECOND, zone).astimezone(UTC),
        fee=worth(instrument, -change, price),
        effect="close",
        id=one.text("id") or None,
        cash=Decimal(0),
        dated=True,
    )


FORMAT = Format(NAME, "a JSON list of objects with activity_type", fits, parse)
