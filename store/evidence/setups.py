"""What is a setup's chance of winning, from trades that are more and less like it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from store.evidence.shrinkage import SPREADS, Weights
from store.stats import Interval, score_interval

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


def estimate(levels: Sequence[Level], mixture: Weights) -> Estimate | None:
    """One win rate for a setup, with its 95 % interval; None without a decided trade.

    `levels` run from the whole book to the nearest trades, each inside the one before. Going
    inward, a level's true rate is taken to lie around that of the trades outside it as far
    as conditions of this book do (`mixture`, of shrinkage.SPREADS, at least 3 points), and is
    then moved by its own trades as far as they carry: a filter over the rings between levels,
    so that no trade counts twice (normal mixtures collapsed to one normal at each step:
    Harrison & Stevens 1976, JRSS B 38). A ring without trades only widens the interval,
    which is Wilson's for as many independent trades as would be as certain.
    """
    if not levels or not levels[0].decided:
        return None
    whole = levels[0]
    mean, variance = whole.wins / whole.decided, inf
    # One win and one loss are lent to a book that only wins or only loses.
    lent = (whole.wins + 1) / (whole.decided + 2)
    scatter = lent * (1 - lent)
    for outer, inner in zip(levels, (*levels[1:], Level(0, 0)), strict=True):
        wins, decided = outer.wins - inner.wins, outer.decided - inner.decided
        seen = None if not decided else (wins / decided, scatter * outer.deff / decided)
        mean, variance = _moved(mean, variance, seen, mixture)
    return Estimate(mean, score_interval(mean, scatter / variance))


def _moved(
    mean: float, variance: float, seen: tuple[float, float] | None, mixture: Weights
) -> tuple[float, float]:
    """Mean and variance one level further in; `seen` are its ring's rate and error squared."""
    spread = np.maximum(SPREADS, SPREAD_MIN) ** 2
    weights = np.array(mixture)
    if variance == inf:  # The outermost trades: there is nothing to draw them towards.
        return seen or (mean, variance)
    if seen is None:
        return mean, variance + float(weights @ spread)
    rate, noise = seen
    before = variance + spread
    total = before + noise
    weights = weights * np.exp(-0.5 * (rate - mean) ** 2 / total) / np.sqrt(total)
    weights /= weights.sum()
    means = mean + before / total * (rate - mean)
    found = float(weights @ means)
    return found, float(weights @ (before * noise / total + means**2)) - found**2
