"""What is a setup's chance of winning, from trades that are more and less like it?"""

from collections.abc import Sequence
from dataclasses import dataclass

from store.stats import RATE_CONFIDENCE, Interval, normal_quantile

SPREAD_MIN = 0.03  # Points by which groups are taken to differ at least, from level to level.


@dataclass(frozen=True)
class Level:
    """Decided trades as like the setup as this level asks, those of nearer levels included;
    `deff` is the design effect of their win rate."""

    wins: int
    decided: int
    deff: float = 1.0


@dataclass(frozen=True)
class Estimate:
    win_rate: float
    interval: Interval


def estimate(levels: Sequence[Level], spread_variance: float) -> Estimate | None:
    """One win rate for a setup, with its 95 % interval; None without a decided trade.

    `levels` run from the whole book to the nearest trades, each inside the one before. Going
    inward, a level's true rate is taken to lie around that of the trades outside it with
    `spread_variance` (how far conditions of this book differ, at least 3 points), and is
    then moved by its own trades as far as they carry: a Kalman filter over the rings between
    levels, so that no trade counts twice. A ring without trades only widens the interval.
    """
    if not levels or not levels[0].decided:
        return None
    whole = levels[0]
    base = whole.wins / whole.decided
    # One win and one loss are lent to a book that only wins or only loses.
    rate = (whole.wins + 1) / (whole.decided + 2)
    scatter = rate * (1 - rate)
    mean, variance = base, float("inf")
    for outer, inner in zip(levels, (*levels[1:], Level(0, 0)), strict=True):
        wins, decided = outer.wins - inner.wins, outer.decided - inner.decided
        variance += max(spread_variance, SPREAD_MIN**2)
        if decided:
            noise = scatter * outer.deff / decided
            share = 1.0 if variance == float("inf") else variance / (variance + noise)
            mean += share * (wins / decided - mean)
            variance = noise if variance == float("inf") else (1 - share) * variance
    reach = normal_quantile((1 + RATE_CONFIDENCE) / 2) * variance**0.5
    return Estimate(mean, Interval(max(0.0, mean - reach), min(1.0, mean + reach)))
