"""What a set of legs is: its name, its direction, its largest loss.

All of it follows from the value of the legs when their options expire, as a function of
the underlying's price: a broken line with a corner at each strike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Literal

from store.columns import MONEY_DIGITS, rounded
from store.pnl import PRECISION


@dataclass(frozen=True)
class Held:
    """A leg as entered: `quantity` is signed (+ long, - short), `cost` is what it cost in
    currency (negative when received)."""

    instrument: str
    quantity: Decimal
    multiplier: Decimal
    cost: Decimal
    option_type: Literal["call", "put"] | None = None
    strike: Decimal | None = None
    expiry: date | None = None

    def value(self, price: Decimal) -> Decimal:
        """Worth at expiry with the underlying at `price`."""
        if self.option_type is None or self.strike is None:
            each = price
        elif self.option_type == "call":
            each = max(price - self.strike, Decimal(0))
        else:
            each = max(self.strike - price, Decimal(0))
        return each * self.quantity * self.multiplier


def strikes(legs: Sequence[Held]) -> list[Decimal]:
    return sorted({leg.strike for leg in legs if leg.strike is not None})


def _rise(legs: Sequence[Held]) -> Decimal:
    """Slope of the value beyond the highest strike."""
    return sum(
        (leg.quantity * leg.multiplier for leg in legs if leg.option_type != "put"), Decimal(0)
    )


def _fall(legs: Sequence[Held]) -> Decimal:
    """What the value gains for each 1.0 the price falls below the lowest strike."""
    puts = (leg.quantity * leg.multiplier for leg in legs if leg.option_type == "put")
    rest = (leg.quantity * leg.multiplier for leg in legs if leg.option_type is None)
    return sum(puts, Decimal(0)) - sum(rest, Decimal(0))


def direction(legs: Sequence[Held]) -> Literal["bullish", "bearish", "neutral"]:
    """Whether the legs earn when the underlying rises, falls, or neither.

    The value at the highest strike against that at the lowest decides, beyond them the
    slopes: a long straddle is neutral, a short put bullish.
    """
    corners = strikes(legs)
    lean = Decimal(0)
    if corners:
        lean = sum((leg.value(corners[-1]) - leg.value(corners[0]) for leg in legs), Decimal(0))
    lean = lean or _rise(legs) - _fall(legs)
    return "bullish" if lean > 0 else "bearish" if lean < 0 else "neutral"


def loss_max(legs: Sequence[Held]) -> Decimal | None:
    """The defined maximum loss in currency: premium paid, or width less credit.

    None where there is none to define: shares, short options alone, several expiries, or a
    position that can lose without limit.
    """
    one_expiry = len({leg.expiry for leg in legs}) == 1
    all_options = all(leg.instrument == "option" for leg in legs)
    bought = any(leg.quantity > 0 for leg in legs)
    if not (one_expiry and all_options and bought) or _rise(legs) < 0:
        return None
    with localcontext(prec=PRECISION):
        cost = sum((leg.cost for leg in legs), Decimal(0))
        corners = [Decimal(0), *strikes(legs)]
        worst = min(sum((leg.value(price) for leg in legs), Decimal(0)) for price in corners)
        loss = rounded(cost - worst, MONEY_DIGITS)
    return loss if loss > 0 else None


def name(legs: Sequence[Held]) -> str | None:
    """The usual name of the structure, None where it has none.

    single, vertical, straddle, strangle, calendar, diagonal, butterfly, iron_butterfly,
    iron_condor, condor, covered_call, protective_put, collar.
    """
    if len(legs) == 1:
        return "single"
    options = [leg for leg in legs if leg.instrument == "option"]
    if len(options) != len(legs):
        return _with_shares(legs, options)
    expiries = len({leg.expiry for leg in options})
    shape = sorted(
        (leg.strike or Decimal(0), leg.option_type or "", leg.quantity) for leg in options
    )
    kinds = "".join(kind[0] for _, kind, _ in shape)
    signs = "".join("+" if quantity > 0 else "-" for _, _, quantity in shape)
    if len(legs) == 2:
        return _of_two(shape, expiries)
    if expiries > 1:
        return None
    sizes = [abs(quantity) for _, _, quantity in shape]
    if len(legs) == 3 and kinds in ("ccc", "ppp") and signs in ("+-+", "-+-"):
        return "butterfly" if sizes[0] == sizes[2] and sizes[1] == 2 * sizes[0] else None
    if len(legs) == 4 and signs in ("+--+", "-++-") and len(set(sizes)) == 1:
        # At one strike the call sorts before the put.
        return _OF_FOUR.get((kinds, len(strikes(options))))
    return None


_OF_FOUR = {
    ("cccc", 4): "condor",
    ("pppp", 4): "condor",
    ("ppcc", 4): "iron_condor",
    ("pcpc", 3): "iron_butterfly",
}


def _of_two(shape: Sequence[tuple[Decimal, str, Decimal]], expiries: int) -> str | None:
    (low, low_kind, low_quantity), (high, high_kind, high_quantity) = shape
    opposite = low_quantity == -high_quantity
    if low_kind == high_kind and opposite:
        if expiries == 1:
            return "vertical"
        return "calendar" if low == high else "diagonal"
    if low_kind != high_kind and low_quantity == high_quantity and expiries == 1:
        return "straddle" if low == high else "strangle"
    return None


def _with_shares(legs: Sequence[Held], options: Sequence[Held]) -> str | None:
    shares = [leg for leg in legs if leg.instrument == "equity"]
    if len(shares) != 1 or len(shares) + len(options) != len(legs):
        return None
    called = sum(-leg.quantity * leg.multiplier for leg in options if leg.option_type == "call")
    if shares[0].quantity <= 0 or called > shares[0].quantity * shares[0].multiplier:
        return None
    written = {(leg.option_type, leg.quantity > 0) for leg in options}
    names: dict[frozenset[tuple[str | None, bool]], str] = {
        frozenset({("call", False)}): "covered_call",
        frozenset({("put", True)}): "protective_put",
        frozenset({("call", False), ("put", True)}): "collar",
    }
    return names.get(frozenset(written)) if len(written) == len(options) else None
