"""Tradier's account history: the JSON of `GET /v1/accounts/{account}/history`.

`{"history": {"event": [...]}}`, newest first; an account with one event has an object in the
place of the list, one with none has the text "null". An event has `amount` (cash moved,
negative when paid), `date` (a day, written as midnight UTC) and `type`, and under the type's
name what it was:
- `trade`: `symbol` (OCC for options), `quantity` (negative when sold), `price`, `commission`,
  `description`, `trade_type`. The commission leaves out the fees of exchanges and regulators,
  which are in the amount only: the fee is what the amount is beyond quantity x price. Where
  that is less than the commission, by more than the price can be rounded, or beyond a tenth of
  the deal and 25, the row is refused: something else than a fee is in it, such as a contract of
  other than 100 shares.
- `option`: an expiry, an assignment or an exercise, `quantity` being the change of the
  position. The documented event names no option; those that do not, by a symbol or a
  description such as `CALL GE 06/22/18 14`, are refused.
- dividend, interest, fee, tax, ach, wire, check, transfer, adjustment: cash. A journal of
  shares has no amount and is counted as ignored.

Events have no ids and no times; numbers and "null" are written as text in places. Currency is
US dollars. The account's number is not inside. Sources: Tradier's documented response and
responses quoted in public clients.
"""

from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Side
from store.statements.amounts import MARKET, amount, day, ended, needed, not_zero, of_day
from store.statements.balancing import by_cash, most_fees
from store.statements.contracts import described
from store.statements.ends import end
from store.statements.execution import CashRow, Execution, Statement
from store.statements.instruments import option, shares_or_option
from store.statements.jsonrows import Record, listed, numbered
from store.statements.reading import Outcome, Reading
from store.statements.refusing import MAY_CHANGE, Refused
from store.statements.source import Source

NAME = "tradier"
DAYS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d")
CASH = {
    "dividend": "dividend", "interest": "interest", "fee": "fee", "tax": "tax", "ach": "transfer",
    "wire": "transfer", "check": "transfer", "transfer": "transfer", "adjustment": "other",
    "journal": "other",
}  # fmt: skip
ENDS: dict[str, FillKind] = {
    "OPTEXP": "expired", "EXPIRATION": "expired", "ASSIGNMENT": "assigned", "OPTASN": "assigned",
    "EXERCISE": "exercised", "OPTEXE": "exercised",
}  # fmt: skip


def fits(source: Source) -> bool:
    return listed(source.json, "history", "event") is not None and isinstance(source.json, dict)


def parse(source: Source, options: Options) -> Statement:
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source, assumed=["fees are what the amounts are beyond prices"])
    events = numbered(listed(source.json, "history", "event") or [])
    reading.rows(events, lambda event: read(event, zone))
    return reading.statement(NAME, "Tradier", currency="USD", zone=zone.key)


def read(event: Record, zone: ZoneInfo) -> Iterator[Outcome]:
    kind = event.text("type").lower()
    if kind == "trade":
        yield trade(event, zone)
    elif kind == "option":
        yield end_of(event, zone)
    elif kind not in CASH:
        raise Refused("type", event.text("type"), MAY_CHANGE)
    elif moved := amount(event.text("amount"), "amount"):
        yield CashRow(event.number, CASH[kind], moved)
    else:
        yield f"{kind} without cash"


def trade(event: Record, zone: ZoneInfo) -> Execution:
    instrument = shares_or_option(event.text("trade", "symbol"), "symbol")
    signed = not_zero(event.text("trade", "quantity"), "quantity")
    side: Side = "buy" if signed > 0 else "sell"
    shown = needed(event.text("trade", "price"), "price")
    moved = needed(event.text("amount"), "amount")
    commission = amount(event.text("trade", "commission"), "commission") or Decimal(0)
    units = abs(signed) * instrument.unit
    most = commission + most_fees(units * shown)
    deal = by_cash(side, units, shown, commission, most, moved, "amount")
    return Execution(
        row=event.number,
        instrument=instrument,
        side=side,
        quantity=abs(signed),
        price=deal.price,
        at=of_day(day(event.text("date"), "date", *DAYS), zone),
        fee=deal.fee,
        cash=moved,
        dated=True,
    )


def end_of(event: Record, zone: ZoneInfo) -> Execution:
    said = event.text("option", "option_type").upper()
    if said not in ENDS:
        raise Refused("option_type", said, f"one of {', '.join(ENDS)} is known")
    symbol = event.text("option", "symbol") or event.text("symbol")
    named = described(event.text("option", "description"))
    if not symbol and named is None:
        reason = "the event names no option; end it by hand, or import the gain/loss instead"
        raise Refused("symbol", "", reason)
    if symbol or named is None:
        instrument = shares_or_option(symbol, "symbol")
    else:
        instrument = option(named, "description")
    signed = not_zero(event.text("option", "quantity"), "quantity")
    cash = amount(event.text("amount"), "amount") or Decimal(0)
    ending = end(ENDS[said], instrument, abs(signed), cash, "amount")
    return Execution(
        row=event.number,
        instrument=instrument,
        side="buy" if signed > 0 else "sell",
        quantity=abs(signed),
        price=ending.price,
        at=ended(day(event.text("date"), "date", *DAYS), instrument.expiry, zone),
        kind=ending.kind,
        cash=cash,
        dated=True,
    )


FORMAT = Format(NAME, "JSON with history.event", fits, parse)
