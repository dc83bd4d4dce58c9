"""How far does luck take the best of all ranges of a score that one could have asked about?"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from store.evidence.dependence import Dependence, Floats, Starts
from store.evidence.sample import Bools, Ints
from store.evidence.shrinkage import Weights
from store.evidence.thresholds import PERMUTATIONS

RANGE_MIN = 10  # Decided trades in a range, and outside it.
CELLS = 101
TIE = 1e-9  # The same z computed in two ways differs by less.


@dataclass(frozen=True)
class Scale:
    """Scores that occur, ascending, and the trades and wins below each (and below infinity).

    `cells` say where each cell begins among them, and end with their number: a cell is a
    score or, where more than 101 occur, all of a whole point.
    """

    scores: Floats
    below: Ints
    wins_below: Ints
    cells: Ints

    @classmethod
    def of(cls, score: Floats, won: Bools) -> "Scale":
        scores, place = np.unique(score, return_inverse=True)
        size = np.bincount(place, minlength=len(scores))
        wins = np.bincount(place[won], minlength=len(scores))
        points = scores if len(scores) <= CELLS else np.floor(scores)
        cells = np.append(np.unique(points, return_index=True)[1], len(scores))
        return cls(scores, np.append(0, size.cumsum()), np.append(0, wins.cumsum()), cells)

    def span(self, low: float, high: float) -> tuple[int, int]:
        """Where the scores from `low` to `high` begin and end."""
        start = int(np.searchsorted(self.scores, low, "left"))
        return start, max(start, int(np.searchsorted(self.scores, high, "right")))

    def counts(self, start: int, end: int) -> tuple[int, int]:
        """Trades and wins."""
        trades, wins = self.below, self.wins_below
        return int(trades[end] - trades[start]), int(wins[end] - wins[start])

    def cells_of(self, start: int, end: int) -> tuple[int, int]:
        """Where the cells that these scores (some) touch begin and end."""
        first, last = np.searchsorted(self.cells, [start, end - 1], "right")
        return int(first) - 1, int(last)


@dataclass(frozen=True)
class Luck:
    """What luck makes of the best range and the worst, and how lifts of scores spread.

    `highest` and `lowest` are sorted: the largest z of all ranges, and the largest -z, in
    each of the permutations. `correlations` are summed over all pairs of a trade of a lower
    cell and one of a lower cell (cells + 1 squared), a trade with itself counting 1.
    """

    correlations: Floats
    below: Ints  # Trades of lower cells.
    highest: Floats
    lowest: Floats
    mixture: Weights
    families: int

    @classmethod
    def of(
        cls,
        score: Floats,
        dependence: Dependence,
        scale: Scale,
        mixture: Weights,
        seed: int,
        families: int,
    ) -> "Luck":
        below = scale.below[scale.cells]
        highest, lowest = extremes(np.diff(below), int(scale.wins_below[-1]), seed)
        place = np.searchsorted(scale.scores, score)
        cell = np.searchsorted(scale.cells, place, "right") - 1
        pairs = correlations(dependence, cell, len(below) - 1)
        return cls(
            correlations=np.pad(pairs, ((1, 0), (1, 0))).cumsum(0).cumsum(1),
            below=below,
            highest=np.sort(highest),
            lowest=np.sort(-lowest),
            mixture=mixture,
            families=families,
        )

    def design_effect(self, first: int, last: int) -> float:
        """Of the trades of cells `first` up to `last`, not included; neither none nor all."""
        sums, share = self.correlations, (self.below[last] - self.below[first]) / self.below[-1]
        inside = sums[last, last] - sums[first, last] - sums[last, first] + sums[first, first]
        across = sums[last, -1] - sums[first, -1]
        variance = inside - 2 * share * across + share**2 * sums[-1, -1]
        return max(1.0, float(variance / (self.below[-1] * share * (1 - share))))

    def chance(self, z: float, z_whole: float) -> float:
        """That luck takes its best (for a negative `z` its worst) as far as both."""
        seen = min(z, z_whole) if z > 0 else min(-z, -z_whole)
        by_luck = self.highest if z > 0 else self.lowest
        as_far = len(by_luck) - int(np.searchsorted(by_luck, seen - TIE))
        return min(1.0, self.families * (1 + as_far) / (len(by_luck) + 1))


def lift_of(n: int, wins: int, n_in: int, wins_in: int, effect: float) -> tuple[float, float]:
    """Win rate of `n_in` of `n` trades less that of the others, and its standard error.

    The error is that of drawing them without regard to who won (hypergeometric), times the
    root of the design effect. Both sides, and both outcomes, must have trades.
    """
    n_out = n - n_in
    variance = wins * (n - wins) / (n * (n - 1)) * (1 / n_in + 1 / n_out)
    return wins_in / n_in - (wins - wins_in) / n_out, sqrt(variance * effect)


def correlations(dependence: Dependence, cell: Ints, cells: int) -> Floats:
    """Correlations of outcomes, summed over the pairs of trades of each two cells.

    The design effect of any range follows from them, as `Dependence.design_effects` gives it
    trade by trade, without going through the trades again.
    """
    cell = dependence.arranged(cell)
    weights = np.ones(len(cell)), dependence.sides
    finer = [np.diag(np.bincount(cell, w**2, cells)).astype(float) for w in weights]
    total = finer[0].copy()
    for level in dependence.levels:
        shared = [_products(level.starts, cell, cells, weight) for weight in weights]
        total += level.unsigned * (shared[0] - finer[0]) + level.signed * (shared[1] - finer[1])
        finer = shared
    return total


def _products(starts: Starts, cell: Ints, cells: int, weights: Floats) -> Floats:
    """Sum over the groups of the product of the weights that each two cells have in it."""
    begins = np.zeros(len(cell), np.int64)
    begins[starts[1:]] = 1
    key = np.cumsum(begins) * cells + cell
    sums = np.bincount(key, weights, len(starts) * cells).astype(float).reshape(-1, cells)
    return sums.T @ sums  # type: ignore[no-any-return]


def extremes(sizes: Ints, wins: int, seed: int) -> tuple[Floats, Floats]:
    """Largest and smallest z of all ranges of cells, for each permutation of the outcomes.

    `sizes` are the trades of the cells in order. Every range with 10 trades inside and 10
    outside counts. Wins per cell are drawn as permuting trades would deal them (multivariate
    hypergeometric), so that neither time nor memory grows with the trades.
    """
    rng = np.random.default_rng(seed)
    dealt = rng.multivariate_hypergeometric(sizes, wins, size=PERMUTATIONS, method="marginals")
    return range_extremes(sizes, dealt)


def range_extremes(sizes: Ints, dealt: Ints) -> tuple[Floats, Floats]:
    """Largest and smallest z of all ranges in each row of `dealt`, the wins of each cell."""
    n, wins = int(sizes.sum()), int(dealt[0].sum())
    below = np.r_[0, np.cumsum(sizes)]
    excess = np.zeros((len(below), len(dealt)))
    np.cumsum(dealt.T, axis=0, out=excess[1:])
    excess -= (below * (wins / n))[:, None]
    highest, lowest = np.full(len(dealt), -np.inf), np.full(len(dealt), np.inf)
    for first in range(len(sizes)):  # One lower bound at a time keeps memory flat.
        size = below[first:] - below[first]
        start, end = np.searchsorted(size, [RANGE_MIN, n - RANGE_MIN + 1])
        if start >= end:
            continue
        inside = size[start:end]
        spread = np.sqrt(inside * (n - inside) * (wins * (n - wins) / (n * n * (n - 1))))
        z = (excess[first + start : first + end] - excess[first]) / spread[:, None]
        np.maximum(highest, z.max(axis=0), out=highest)
        np.minimum(lowest, z.min(axis=0), out=lowest)
    return highest, lowest
