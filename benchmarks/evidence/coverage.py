"""How often does an interval hold what it should? On trades drawn from known distributions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence.histories import FACTOR, MEMORY, NORMAL, walk
from store.evidence.dependence import clusters_of, week_of
from store.stats import BLOCK_WEEKS, design_effect, enough_for_interval, mean_interval, wilson

Floats = NDArray[np.float64]
SIZES = (20, 30, 50, 100, 200, 500, 2000)
RATES = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Coverage:
    """Of `drawn` intervals, how many hold the truth, and how many lie wholly above it."""

    what: str
    n: int
    drawn: int
    holds: int
    above: int


def coverages(times: int, seed: int) -> Iterator[Coverage]:
    """Every interval at every size, from `times` samples each."""
    rng = np.random.default_rng(seed)
    for kind, share, memory in (
        ("independent", 0, 0),
        ("daily", FACTOR, 0),
        ("memory", FACTOR, MEMORY),
    ):
        for n in SIZES:
            yield _win_rate(kind, n, times, share, memory, rng)
    for what, draw, mean in MONEY:
        for n in SIZES[1:]:
            yield _expectancy(what, draw, mean, n, times, rng)


def _win_rate(
    kind: str, n: int, times: int, share: float, memory: float, rng: np.random.Generator
) -> Coverage:
    holds = above = 0
    for turn in range(times):
        rate = RATES[turn % len(RATES)]
        number = np.sort(rng.integers(0, max(15, int(n * rng.uniform(0.3, 3.0))), n))
        day = number // 5 * 7 + number % 5 + 4  # Trading days, from a Monday on.
        factor = walk(int(number.max()) + 1, memory, rng)
        side = np.where(rng.random(n) < 0.75, 1, -1)
        latent = share**0.5 * side * factor[number] + (1 - share) ** 0.5 * rng.standard_normal(n)
        won = latent < NORMAL.inv_cdf(rate)
        weeks = week_of(day)
        every = np.ones((n, 1), bool)
        (by_week,), (by_block,) = (
            clusters_of(every, won, codes) for codes in (weeks, weeks // BLOCK_WEEKS)
        )
        wins = int(won.sum())
        deff = design_effect(wins, n - wins, by_week, by_block) or 1.0
        interval = wilson(wins, n - wins, deff)
        if interval is not None:
            holds += interval.low <= rate <= interval.high
            above += interval.low > rate
    return Coverage(f"win rate, {kind}", n, times, holds, above)


def _long_options(n: int, rng: np.random.Generator) -> Floats:
    """A third win a multiple of the premium; the others lose most of it, at most all."""
    return np.where(rng.random(n) < 1 / 3, rng.exponential(1.4, n), -rng.uniform(0.2, 1.0, n))


def _short_premium(n: int, rng: np.random.Generator) -> Floats:
    """85 of 100 keep a small credit; the others lose several times as much."""
    return np.where(rng.random(n) < 0.85, rng.uniform(0.5, 1.0, n), -rng.exponential(4.0, n))


def _stock(n: int, rng: np.random.Generator) -> Floats:
    """Heavy tails on both sides (Student's t, 4 degrees of freedom)."""
    return 0.1 + rng.standard_t(4, n)


MONEY: tuple[tuple[str, Callable[[int, np.random.Generator], Floats], float], ...] = (
    ("expectancy, long options", _long_options, 1.4 / 3 - 0.6 * 2 / 3),
    ("expectancy, short premium", _short_premium, 0.85 * 0.75 - 0.15 * 4.0),
    ("expectancy, stock", _stock, 0.1),
)


def _expectancy(
    what: str,
    draw: Callable[[int, np.random.Generator], Floats],
    mean: float,
    n: int,
    times: int,
    rng: np.random.Generator,
) -> Coverage:
    """Of the intervals that are shown: with 5 wins and 5 losses."""
    drawn = holds = above = 0
    for _ in range(times):
        values = draw(n, rng)
        wins, losses = int((values > 0).sum()), int((values < 0).sum())
        if not enough_for_interval(n, wins, losses):
            continue
        sums = (float((values**power).sum()) for power in (1, 2, 3))
        interval = mean_interval(n, *sums)
        if interval is not None:
            drawn += 1
            holds += interval.low <= mean <= interval.high
            above += interval.low > mean
    return Coverage(what, n, drawn, holds, above)
