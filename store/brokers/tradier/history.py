"""The history as executions: what it cost, and what expired, was assigned or exercised.

It is posted in the night after a day and has days without hours, no orders and no ids. The
`amount` of a trade is the cash that moved, so what quantity times price is off from it is what
it cost: the `commission` leaves out the fees of exchanges and regulators. Quantities are
negative where something was sold, or taken out of the account.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext

from store.brokers.tradier.answers import Answer, day, needed, number, text, within
from store.brokers.tradier.deals import ZONE, Deals, day_of, instrument, option
from store.columns import MONEY_DIGITS, rounded
from store.pnl import PRECISION
from store.records import FillKind
from store.statements.amounts import of_day
from store.statements.execution import CashRow, Execution, Instrument
from store.statements.refusing import Refused

CENT, HALF_A_CENT = Decimal("0.01"), Decimal("0.005")
LARGEST_FEE = Decimal(25)  # Beside the commission and a tenth of the deal.
SHARES = Decimal(100)  # Of a contract.
ENDINGS: dict[str, FillKind] = {
    "optexp": "expired", "expiration": "expired", "expired": "expired",
    "optasn": "assigned", "assignment": "assigned", "assigned": "assigned",
    "optexc": "exercised", "optexe": "exercised", "exercise": "exercised",
    "exercised": "exercised",
}  # fmt: skip
CASH = {
    "dividend": "dividend", "interest": "interest", "tax": "tax", "fee": "fee",
    "ach": "transfer", "wire": "transfer", "check": "transfer", "transfer": "transfer",
    "journal": "transfer", "adjustment": "other",
}  # fmt: skip


def of_history(events: Sequence[Answer]) -> Deals:
    """An execution for each trade and each ending of an option; other money apart."""
    deals = Deals()
    for row, event in enumerate(events, start=1):
        kind = text(event, "type").casefold()
        try:
            if kind == "trade":
                deals.executions.append(_traded(event, row))
            elif kind == "option":
                deals.executions.append(_ended(event, row))
            else:
                _moved(event, kind, row, deals)
        except Refused as error:
            deals.rejected.append(error.rejection("history", row))
    # Newest first, and of one day in the order of the day: what ends comes after what deals.
    deals.executions.reverse()
    deals.executions.sort(key=lambda one: one.at)
    deals.executions = _delivered(deals.executions)
    return deals


def _traded(event: Answer, row: int) -> Execution:
    trade = within(event, "trade")
    signed, price = needed(trade, "quantity"), needed(trade, "price")
    if not signed:
        raise Refused("quantity", "0", "a quantity other than 0 is needed")
    dealt = instrument(text(trade, "symbol"), "symbol")
    cash = number(event, "amount")
    commission = number(trade, "commission") or Decimal(0)
    return Execution(
        row=row,
        instrument=dealt,
        side="buy" if signed > 0 else "sell",
        quantity=abs(signed),
        price=price,
        at=of_day(day(event, "date"), ZONE),
        fee=commission if cash is None else _fee(cash, signed, price, dealt, commission),
        cash=cash,
        dated=True,
    )


def _fee(
    cash: Decimal, signed: Decimal, price: Decimal, dealt: Instrument, commission: Decimal
) -> Decimal:
    """What the amount is short of quantity times price: commission and all fees.

    Prices are shown with two digits, so an average may put it half a cent a share or point
    below the commission.

    Raises:
        Refused: the amount is of something else.
    """
    with localcontext(prec=PRECISION):
        size = abs(signed) * (SHARES if dealt.kind == "option" else 1)
        worth = size * price
        fee = (worth if signed < 0 else -worth) - cash
        least = commission - max(size * HALF_A_CENT, CENT)
        most = commission + worth / 10 + LARGEST_FEE
        if not least <= fee <= most:
            reason = f"quantity times price is {worth:f}, which leaves {fee:f} as fees"
            raise Refused("amount", f"{cash:f}", reason)
        return rounded(fee, MONEY_DIGITS)


def _ended(event: Answer, row: int) -> Execution:
    ending = within(event, "option")
    said = text(ending, "option_type").casefold()
    if said not in ENDINGS:
        raise Refused("option_type", said, "an expiration, assignment or exercise is needed")
    signed = needed(ending, "quantity")
    if not signed:
        raise Refused("quantity", "0", "a quantity other than 0 is needed")
    symbol = text(event, "symbol") or text(ending, "symbol")
    return Execution(
        row=row,
        instrument=option(symbol or text(ending, "description")),
        side="buy" if signed > 0 else "sell",
        quantity=abs(signed),
        price=Decimal(0),
        at=of_day(day(event, "date"), ZONE, ending=True),
        kind=ENDINGS[said],
        cash=Decimal(0),
        dated=True,
    )


def _moved(event: Answer, kind: str, row: int, deals: Deals) -> None:
    """Money that moved without a deal; shares that did are nothing to guess about."""
    part = within(event, kind, "adjustment", "journal", "transfer")
    if kind not in CASH:
        raise Refused("type", kind, f"one of trade, option, {', '.join(CASH)} is needed")
    cash = number(event, "amount") or Decimal(0)
    if kind in ("transfer", "adjustment", "journal") and number(part, "quantity"):
        raise Refused("type", kind, "shares or contracts moved without a deal; record that by hand")
    if cash:
        deals.cash.append(CashRow(row, CASH[kind], cash))
    else:
        deals.ignored[f"{CASH[kind]} without an amount"] += 1


def _delivered(executions: list[Execution]) -> list[Execution]:
    """Shares dealt at the strike of what was assigned or exercised that day are its delivery."""
    wanted: dict[tuple[date, str, Decimal | None], Decimal] = defaultdict(Decimal)
    for one in executions:
        if one.kind in ("assigned", "exercised"):
            shares = one.quantity * SHARES
            wanted[day_of(one.at), one.instrument.ticker, one.instrument.strike] += shares
    found = []
    for one in executions:
        place = (day_of(one.at), one.instrument.ticker, one.price)
        if one.instrument.kind == "equity" and 0 < one.quantity <= wanted.get(place, 0):
            wanted[place] -= one.quantity
            found.append(replace(one, delivery=True))
        else:
            found.append(one)
    return found
