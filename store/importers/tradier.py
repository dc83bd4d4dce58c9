"""Tradier's account history: the JSON of `GET /v1/accounts/{account}/history`.

`{"history": {"event": [...]}}`, newest first; an account with one event has an object in the
place of the list, one with none has the text "null". An event has `amount` (cash moved,
negative when paid), `date` (a day, written as midnight UTC) and `type`, and under the type's
name what it was:
- `trade`: `symbol` (OCC for options), `quantity` (negative when sold), `price`, `commission`,
  `description`, `trade_type`. The commission leaves out the fees of exchanges and regulators,
  which are in the amount only: the fee is what the amount is beyond quantity x price. Where
  that is less than the commission, or beyond a tenth of the deal and 25, the row is refused:
  something else than a fee is in it, such as a contract of other than 100 shares.
- `option`: an expiry, an assignment or an exercise, `quantity` being the change of the
  position. The documented event names no option; those that do not are refused.
- dividend, interest, fee, tax, ach, wire, check, transfer, adjustment: cash. A journal of
  shares has no amount and is counted as ignored.

Events have no ids and no times; numbers and "null" are written as text in places. Currency is
US dollars. The account's number is not inside. Sources: Tradier's documented response and
responses quoted in public clients.
"""

from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements.amounts import amount, day, needed, of_day
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.gathering import Gathered, cash_moved, value
from store.statements.instruments import instrument_of
from store.statements.jsonrows import Record, listed, numbered
from store.statements.refusing import Refused
from store.statements.source import Source

NAME = "tradier"
MARKET = ZoneInfo("America/New_York")
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
LARGEST_FEE = Decimal(25)
ROUNDED_PRICE = Decimal("0.005")


def fits(source: Source) -> bool:
    return listed(source.json, "history", "event") is not None and isinstance(source.json, dict)


def parse(source: Source, options: Options) -> Statement:
    found = Gathered(source)
    for event in numbered(listed(source.json, "history", "event") or []):
        with found.row(event.number):
            read(event, found)
    return found.statement(
        NAME,
        "Tradier",
        newest_first=True,
        currency="USD",
        assumed=("fees are what the amounts are beyond prices",),
    )


def read(event: Record, found: Gathered) -> None:
    kind = event.text("type").lower()
    if kind == "trade":
        found.executions.append(trade(event))
    elif kind == "option":
        found.executions.append(ending(event))
    elif kind not in CASH:
        reason = "it may change a position; record the trades it touches by hand"
        raise Refused("type", event.text("type"), reason)
    elif moved := amount(event.text("amount"), "amount"):
        found.cash.append(CashRow(event.number, CASH[kind], moved))
    else:
        found.ignored[f"{kind} without cash"] += 1


def trade(event: Record) -> Execution:
    instrument = instrument_of(event.text("trade", "symbol"), "symbol")
    signed = needed(event.text("trade", "quantity"), "quantity")
    if signed == 0:
        raise Refused("quantity", event.text("trade", "quantity"), "a quantity is needed")
    side: Side = "buy" if signed > 0 else "sell"
    price = needed(event.text("trade", "price"), "price")
    moved = needed(event.text("amount"), "amount")
    return Execution(
        row=event.number,
        instrument=instrument,
        side=side,
        quantity=abs(signed),
        price=price,
        at=of_day(day(event.text("date"), "date", *DAYS), MARKET),
        fee=fee_of(event, instrument, side, abs(signed), price, moved),
        cash=moved,
        dated=True,
    )


def fee_of(
    event: Record,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    moved: Decimal,
) -> Decimal:
    """What the amount is beyond the price; prices are shown with two digits, so an average may
    put it half a cent a share or point below the commission."""
    worth = value(instrument, quantity, price)
    with localcontext(prec=PRECISION):
        fee = cash_moved(side, worth, Decimal(0)) - moved
        commission = amount(event.text("trade", "commission"), "commission") or Decimal(0)
        least = commission - max(value(instrument, quantity, ROUNDED_PRICE), Decimal("0.01"))
        most = commission + worth / 10 + LARGEST_FEE
    if not least <= fee <= most:
        reason = f"quantity and price come to {worth:f}, which leaves {fee:f} as fees"
        raise Refused("amount", event.text("amount"), reason)
    return fee


def ending(event: Record) -> Execution:
    said = event.text("option", "option_type").upper()
    if said not in ENDS:
        raise Refused("option_type", said, f"one of {', '.join(ENDS)} is known")
    symbol = event.text("option", "symbol") or event.text("symbol")
    if not symbol:
        reason = "the event names no option; end it by hand, or import the gain/loss instead"
        raise Refused("symbol", "", reason)
    instrument = instrument_of(symbol, "symbol")
    if instrument.kind != "option":
        raise Refused("symbol", symbol, "an option's OCC symbol is needed")
    signed = needed(event.text("option", "quantity"), "quantity")
    return Execution(
        row=event.number,
        instrument=instrument,
        side="buy" if signed > 0 else "sell",
        quantity=abs(signed),
        price=Decimal(0),
        at=of_day(day(event.text("date"), "date", *DAYS), MARKET, ending=True),
        kind=ENDS[said],
        dated=True,
    )


FORMAT = Format(NAME, "JSON with history.event", fits, parse)
