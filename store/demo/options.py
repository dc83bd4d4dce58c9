"""What an option is worth: Black and Scholes 1973, without dividends.

Good enough to give the demo's premiums and greeks the right size and sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Literal

from store.demo.market import tick

RATE = 0.04
NORMAL = NormalDist()


@dataclass(frozen=True)
class Option:
    """One leg: `sign` is +1 bought, -1 sold."""

    kind: Literal["call", "put"]
    strike: Decimal
    expiry: date
    sign: int


@dataclass(frozen=True)
class Greeks:
    """Per share: theta per calendar day, vega per point of implied volatility."""

    price: float
    delta: float
    gamma: float
    theta: float
    vega: float

    def times(self, sign: int) -> "Greeks":
        return Greeks(*(sign * value for value in vars(self).values()))

    def plus(self, other: "Greeks") -> "Greeks":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Greeks(*(mine + theirs for mine, theirs in pairs))


def greeks(option: Option, spot: float, day: date, iv: float) -> Greeks:
    """The option bought; on its last day half a day is left."""
    years = max((option.expiry - day).days, 0.5) / 365
    strike = float(option.strike)
    spread = iv * sqrt(years)
    d1 = (log(spot / strike) + (RATE + iv**2 / 2) * years) / spread
    discounted = strike * exp(-RATE * years)
    side = 1 if option.kind == "call" else -1
    below = NORMAL.cdf(side * (d1 - spread))
    return Greeks(
        price=side * (spot * NORMAL.cdf(side * d1) - discounted * below),
        delta=side * NORMAL.cdf(side * d1),
        gamma=NORMAL.pdf(d1) / (spot * spread),
        theta=(-spot * NORMAL.pdf(d1) * iv / (2 * sqrt(years)) - side * RATE * discounted * below)
        / 365,
        vega=spot * NORMAL.pdf(d1) * sqrt(years) / 100,
    )


def together(options: Sequence[Option], spot: float, day: date, iv: float) -> Greeks:
    """The legs as held, one of each."""
    total = Greeks(0, 0, 0, 0, 0)
    for option in options:
        total = total.plus(greeks(option, spot, day, iv).times(option.sign))
    return total


def quote(option: Option, spot: float, day: date, iv: float) -> Decimal:
    """The price at which the option deals."""
    return tick(greeks(option, spot, day, iv).price)


def spot_for(options: Sequence[Option], net: float, day: date, iv: float, around: float) -> float:
    """The underlying's price at which bullish legs are worth `net`, by bisection.

    Where they never are, the end of the range that comes nearest.
    """
    low, high = around * 0.4, around * 2.5
    for _ in range(45):
        middle = (low + high) / 2
        if together(options, middle, day, iv).price < net:
            low = middle
        else:
            high = middle
    return (low + high) / 2
