"""What a trade earned, from its fills alone.

Gross P&L is the sum over closed lots of (exit - entry) x quantity x multiplier, +1 long and
-1 short, lots matched first in, first out inside a leg. Net P&L is gross minus fees. All
arithmetic is exact; a trade's gross is rounded half-even to the money kept (1e-6) once, at
the end.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from functools import reduce
from math import gcd
from typing import Literal

from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded

PRECISION = 60  # price 19 digits x quantity 19 x multiplier 19, with room to sum
Outcome = Literal["win", "loss", "breakeven"]


@dataclass(frozen=True)
class Fill:
    """One execution: `quantity` is positive, `fee` positive when it costs."""

    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal
    filled_at: datetime
    fee: Decimal = Decimal(0)

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "buy" else -self.quantity


@dataclass(frozen=True)
class Lot:
    """A quantity that was opened and closed: `fees` are both sides', pro rata."""

    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_at: datetime
    closed_at: datetime
    gross: Decimal
    fees: Decimal

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees


@dataclass(frozen=True)
class Position:
    """A leg after its fills: `open_quantity` is signed, + long and - short."""

    sign: int
    multiplier: Decimal
    lots: tuple[Lot, ...]
    open_quantity: Decimal
    open_cost: Decimal
    entered_quantity: Decimal
    entered_cost: Decimal

    @property
    def gross(self) -> Decimal:
        return sum((lot.gross for lot in self.lots), Decimal(0))


class FlipsError(ValueError):
    """A fill is larger than the position it closes; `excess` is what would be left."""

    def __init__(self, excess: Decimal) -> None:
        super().__init__(f"the fill closes more than is open, by {excess}")
        self.excess = excess


def position(fills: Sequence[Fill], multiplier: Decimal) -> Position:
    """The position that `fills`, in their order of execution, leave in one instrument.

    The first fill gives the side. `open_cost` and `entered_cost` are price x quantity
    without multiplier.

    Raises:
        FlipsError: a fill would take the position through zero; `split` it first.
    """
    with localcontext(prec=PRECISION):
        sign = 1 if fills[0].side == "buy" else -1
        waiting: deque[Fill] = deque()
        lots: list[Lot] = []
        entered = [fill for fill in fills if fill.signed * sign > 0]
        for fill in fills:
            if fill.signed * sign > 0:
                waiting.append(fill)
            else:
                lots += _close(waiting, fill, sign, multiplier)
        return Position(
            sign=sign,
            multiplier=multiplier,
            lots=tuple(lots),
            open_quantity=sign * sum((fill.quantity for fill in waiting), Decimal(0)),
            open_cost=_cost(waiting),
            entered_quantity=sum((fill.quantity for fill in entered), Decimal(0)),
            entered_cost=_cost(entered),
        )


def _cost(fills: Iterable[Fill]) -> Decimal:
    return sum((fill.price * fill.quantity for fill in fills), Decimal(0))


def _close(waiting: deque[Fill], closing: Fill, sign: int, multiplier: Decimal) -> list[Lot]:
    """Match `closing` against the oldest waiting entries, splitting the last one it meets."""
    lots = []
    while closing.quantity:
        if not waiting:
            raise FlipsError(closing.quantity)
        entry = waiting.popleft()
        if entry.quantity > closing.quantity:
            entry, rest = split(entry, closing.quantity)
            waiting.appendleft(rest)
        exit_, closing = split(closing, entry.quantity)
        lots.append(
            Lot(
                quantity=entry.quantity,
                entry_price=entry.price,
                exit_price=exit_.price,
                opened_at=entry.filled_at,
                closed_at=exit_.filled_at,
                gross=sign * (exit_.price - entry.price) * entry.quantity * multiplier,
                fees=entry.fee + exit_.fee,
            )
        )
    return lots


def split(fill: Fill, quantity: Decimal) -> tuple[Fill, Fill]:
    """`fill` in two: the first of `quantity`, the second of the rest.

    The fee is pro-rated and rounded to the money kept; the remainder stays with the second,
    so the parts sum to the whole.
    """
    if quantity >= fill.quantity:
        return fill, replace(fill, quantity=Decimal(0), fee=Decimal(0))
    with localcontext(prec=PRECISION):
        fee = rounded(fill.fee * quantity / fill.quantity, MONEY_DIGITS)
        first = replace(fill, quantity=quantity, fee=fee)
        return first, replace(fill, quantity=fill.quantity - quantity, fee=fill.fee - fee)


@dataclass(frozen=True)
class Result:
    """What a trade's legs come to. Prices are net per unit, for showing only.

    A unit is the greatest common divisor of the legs' entered quantities: 3 verticals are 3
    units. For one leg the price is the average paid or received; for several it is the
    debit (positive) or credit (negative) of a unit per share, and the exit price is what a
    unit was worth when it ended.
    """

    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal | None
    gross: Decimal
    fees: Decimal
    unit_value: Decimal  # currency per 1.0 of the net price, all units together
    sign: int  # of the trade's P&L when its net price rises
    flat: bool

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees


def result(entered: Sequence[Position], positions: Sequence[Position], fees: Decimal) -> Result:
    """The whole of a trade: `entered` are the legs dealt at entry, `positions` all legs.

    Shares delivered by assignment are a leg of `positions` but not of `entered`: they change
    what the trade earns, not what was entered.
    """
    with localcontext(prec=PRECISION):
        quantity = common([leg.entered_quantity for leg in entered])
        unit_value = quantity * max(leg.multiplier for leg in entered)
        if len(entered) == 1:
            sign = entered[0].sign
            entry = entered[0].entered_cost / entered[0].entered_quantity
        else:
            sign = 1
            cash = sum(leg.sign * leg.entered_cost * leg.multiplier for leg in entered)
            entry = cash / unit_value
        gross = sum((leg.gross for leg in positions), Decimal(0))
        flat = not any(leg.open_quantity for leg in positions)
        return Result(
            quantity=quantity,
            entry_price=rounded(entry, PRICE_DIGITS),
            exit_price=rounded(entry + sign * gross / unit_value, PRICE_DIGITS) if flat else None,
            gross=rounded(gross, MONEY_DIGITS),
            fees=fees,
            unit_value=unit_value,
            sign=sign,
            flat=flat,
        )


def common(quantities: Sequence[Decimal]) -> Decimal:
    scaled = [int(quantity.scaleb(PRICE_DIGITS)) for quantity in quantities]
    return Decimal(reduce(gcd, scaled)).scaleb(-PRICE_DIGITS)


def unrealised(trade: Result, positions: Sequence[Position], mark_price: Decimal) -> Decimal:
    """Net P&L if what is open were closed at `mark_price`, fees so far paid.

    With one leg open that is its price; with several it is the net price of a unit of what
    is open, a debit positive.
    """
    held = [leg for leg in positions if leg.open_quantity]
    if not held:
        return trade.net
    with localcontext(prec=PRECISION):
        sign = held[0].sign if len(held) == 1 else 1
        units = common([abs(leg.open_quantity) for leg in held])
        worth = sign * mark_price * units * max(leg.multiplier for leg in held)
        paid = sum(leg.sign * leg.open_cost * leg.multiplier for leg in held)
        gross = sum((leg.gross for leg in positions), Decimal(0))
        return rounded(gross + worth - paid - trade.fees, MONEY_DIGITS)


def outcome(net: Decimal, tolerance: Decimal) -> Outcome:
    """A win is a net P&L above +tolerance, a loss below -tolerance, else it is break-even."""
    if net > tolerance:
        return "win"
    return "loss" if net < -tolerance else "breakeven"


def risk_from_stop(trade: Result, stop_loss: Decimal) -> Decimal | None:
    """|entry - stop at entry| x quantity x multiplier; a stop at the entry risks nothing
    that R could be measured by, so None."""
    with localcontext(prec=PRECISION):
        risk = rounded(abs(trade.entry_price - stop_loss) * trade.unit_value, MONEY_DIGITS)
    return risk or None


def r_multiple(net: Decimal, risk: Decimal | None) -> Decimal | None:
    """Net P&L in units of the initial risk; None where the risk is not known."""
    if risk is None:
        return None
    with localcontext(prec=PRECISION):
        return rounded(net / risk, PRICE_DIGITS)
