"""Is the score worth anything, and is this range of it better than the rest?

Whether it predicts at all is asked of the whole scale: by a trend, by fixed bands (which see
what a trend cannot, such as a best middle) and by the AUC. A range that somebody chose is
compared with the best that luck finds among all ranges that could have been chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from math import erfc, exp, sqrt
from typing import Literal

import numpy as np

from store.evidence.book import Book
from store.evidence.calibration import chi_square_tail, cochran_armitage, delong
from store.evidence.dependence import Dependence, Floats
from store.evidence.family import Bools, singles
from store.evidence.grid import GRID, Value
from store.evidence.ranges import RANGE_MIN, Luck, Scale, lift_of
from store.evidence.sample import Sample
from store.evidence.shrinkage import Weights, fitted, shrunk
from store.evidence.thresholds import ALPHA, CLOSED_MIN, SIDE_MIN, TOO_FEW_WEEKS
from store.stats import RATE_CONFIDENCE, WEEKS_MIN, Interval, normal_quantile

COLUMN = "scanner_score"  # The grid cuts every score at the same places.
CUTS = tuple(condition for condition in GRID if condition.column == COLUMN)
BANDS_FROM = (50, 60, 70, 80, 90)  # Where the second to the sixth band begin.
TESTS = 2  # Of whether the score predicts: trend and bands.
USELESS = Interval(0.45, 0.55)  # Of the AUC.

Predictive = Literal["yes", "no", "unclear"]


@dataclass(frozen=True)
class RangeVerdict:
    """A range of scores beside all other scored trades; decided trades only.

    z is how many standard errors the range wins above the rest, trades that depend on each
    other allowed for. p_adjusted is the chance that luck takes the best of all ranges (for a
    negative z the worst) as far; None where nothing is tested. shrunk_win_rate allows for the
    range's being picked. All three are None where a side is empty or the book has a `reason`.
    """

    verdict: Literal["better", "worse", "unclear", "too_few"]
    z: float | None
    p_adjusted: float | None
    n_in: int
    wins_in: int
    n_out: int
    wins_out: int
    shrunk_win_rate: float | None


@dataclass(frozen=True)
class ScoreEvidence:
    """What one score of one book tells about winning.

    n, wins and losses are of decided trades with a score. trend_z is positive where higher
    scores win more often, trend_p is two-sided, bands_p is of any difference between the
    fixed bands; auc is the chance that a win was scored above a loss (ties count half), with
    its 95 % interval. Each is None where it is not defined. p_adjusted is the chance that a
    score as useless as luck shows such a trend or such bands, of as many scores as could be
    asked about; `predictive` goes by it. `direction` is that of a significant
    trend. `reason` says why nothing may be claimed.
    """

    n: int
    wins: int
    losses: int
    trend_z: float | None
    trend_p: float | None
    direction: Literal["rising", "falling"] | None
    bands_p: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    p_adjusted: float | None
    predictive: Predictive
    reason: str | None
    _scale: "Scale" = field(repr=False, compare=False)
    _luck: "Luck | None" = field(repr=False, compare=False)

    def range_verdict(self, low: float, high: float) -> RangeVerdict:
        """Whether trades scored `low` to `high`, both included, win more often than the rest.

        The chance that any range of a useless score is called better is at most 5 %, however
        often one asks, and as much for worse. Fewer than 10 trades inside or outside are too
        few, and so is every range of a book with a `reason`. Where more than 101 scores occur,
        those outside have to lie in other whole points than those inside.
        """
        scale = self._scale
        start, end = scale.span(low, high)
        n_in, wins_in = scale.counts(start, end)
        counts = (n_in, wins_in, self.n - n_in, self.wins - wins_in)
        untested = RangeVerdict("too_few", None, None, *counts, None)
        if self._luck is None or not n_in:
            return untested
        first, last = scale.cells_of(start, end)
        whole_n, whole_wins = scale.counts(int(scale.cells[first]), int(scale.cells[last]))
        if whole_n == self.n:
            return untested
        effect = self._luck.design_effect(first, last)
        lift, error = lift_of(self.n, self.wins, n_in, wins_in, effect)
        z = lift / error
        worth = float(shrunk([lift], [error], self._luck.mixture)[0])
        shrunk_win_rate = self.wins / self.n + worth * (1 - n_in / self.n)
        if n_in < RANGE_MIN or self.n - whole_n < RANGE_MIN:
            return RangeVerdict("too_few", z, None, *counts, shrunk_win_rate)
        # Luck chose among whole cells. A range that cuts one must stand out with the trades it
        # holds and with all of its cells, or more could be picked than was tested.
        lift, error = lift_of(self.n, self.wins, whole_n, whole_wins, effect)
        p = self._luck.chance(z, lift / error)
        verdict: Literal["better", "worse"] = "better" if z > 0 else "worse"
        return RangeVerdict(verdict if p <= ALPHA else "unclear", z, p, *counts, shrunk_win_rate)


def evidence_of(
    outcomes: Sequence[int],
    sides: Sequence[int],
    days: Sequence[int],
    scores: Sequence[float | None],
    *,
    tickers: Sequence[Value] | None = None,
    families: int = 1,
) -> ScoreEvidence:
    """What one score, 0 to 100, of a whole book is worth; the columns are those of a `Book`.

    Break-evens and trades without a score (None) count in nothing but the 50 closed trades
    that a claim needs. `families` is how many scores of the book can be asked about: chances
    of ranges are multiplied by it. The same columns give the same answer.
    """
    score = np.array([np.nan if one is None else one for one in scores], float)
    scored = ~np.isnan(score)
    outcome, side, day = (np.asarray(one, np.int64)[scored] for one in (outcomes, sides, days))
    facts = {} if tickers is None else {"ticker": list(compress(tickers, scored))}
    sample = Sample.of(Book(outcome.tolist(), (), side.tolist(), day.tolist(), facts))
    trades = _Trades.of(sample, score[scored][sample.decided])
    scale = Scale.of(trades.score, trades.won)
    reason = _why_unclear(len(outcome), trades)
    trend_z = trades.trend_z()
    trend_p = None if trend_z is None else erfc(abs(trend_z) / sqrt(2))
    bands_p = trades.bands_p()
    auc, interval = trades.auc()
    trend: Literal["rising", "falling"] = "rising" if (trend_z or 0.0) > 0 else "falling"
    return ScoreEvidence(
        n=trades.n,
        wins=trades.wins,
        losses=trades.n - trades.wins,
        trend_z=trend_z,
        trend_p=trend_p,
        direction=trend if reason is None and _adjusted(families, trend_p) <= ALPHA else None,
        bands_p=bands_p,
        auc=auc,
        auc_low=interval.low if interval else None,
        auc_high=interval.high if interval else None,
        p_adjusted=None if reason else _adjusted(families, trend_p, bands_p),
        predictive="unclear"
        if reason
        else _predictive(_adjusted(families, trend_p, bands_p), interval),
        reason=reason,
        _scale=scale,
        _luck=None
        if reason
        else Luck.of(
            trades.score,
            trades.dependence,
            scale,
            trades.mixture(),
            sample.seed(trades.score),
            families,
        ),
    )


def _why_unclear(closed: int, trades: "_Trades") -> str | None:
    if closed < CLOSED_MIN:
        return f"fewer than {CLOSED_MIN} closed trades with a score"
    if trades.wins < SIDE_MIN:
        return f"fewer than {SIDE_MIN} wins"
    if trades.n - trades.wins < SIDE_MIN:
        return f"fewer than {SIDE_MIN} losses"
    if trades.weeks < WEEKS_MIN:
        return TOO_FEW_WEEKS
    if trades.score.min() == trades.score.max():
        return "every trade has the same score"
    return None


def _adjusted(families: int, *ps: float | None) -> float:
    """The smallest, for two tests of each score that could be asked about (Bonferroni)."""
    return min(1.0, TESTS * families * min((p for p in ps if p is not None), default=1.0))


def _predictive(p_adjusted: float, auc: Interval | None) -> Predictive:
    if p_adjusted <= ALPHA:
        return "yes"
    if auc and USELESS.low <= auc.low and auc.high <= USELESS.high:
        return "no"
    return "unclear"


@dataclass(frozen=True)
class _Trades:
    """Decided trades with a score, in order of entry."""

    score: Floats
    won: Bools
    dependence: Dependence
    weeks: int

    @classmethod
    def of(cls, sample: Sample, score: Floats) -> "_Trades":
        dependence = sample.dependence if len(sample) else Dependence(np.zeros(0), ())
        return cls(score, sample.y > 0, dependence, len(np.unique(sample.weeks)))

    @property
    def n(self) -> int:
        return len(self.score)

    @property
    def wins(self) -> int:
        return int(self.won.sum())

    @property
    def varied(self) -> bool:
        return 0 < self.wins < self.n

    def lift(self, inside: Bools) -> tuple[float, float]:
        effect = float(self.dependence.design_effects(inside[:, None])[0])
        return lift_of(self.n, self.wins, int(inside.sum()), int(self.won[inside].sum()), effect)

    def mixture(self) -> Weights:
        """How the lifts of the grid's bands and thresholds of a score spread."""
        held = singles({COLUMN: self.score.tolist()}, CUTS, np.ones(self.n, bool))
        lifts = [self.lift(one.held) for one in held]
        return fitted([lift for lift, _ in lifts], [error for _, error in lifts])

    def score_effect(self) -> float:
        """Design effect of the score; shifted, for scores that are equal to differ by 0."""
        return float(self.dependence.design_effects((self.score - self.score[0])[:, None])[0])

    def trend_z(self) -> float | None:
        """Cochran-Armitage z over the root of the design effect; None where undefined."""
        if not self.varied:
            return None
        s = self.score - self.score[0]
        total = float(s[self.won].sum())
        z = cochran_armitage(self.n, float(s.sum()), float(s @ s), self.wins, total)
        return None if z is None else z / sqrt(self.score_effect())

    def bands_p(self) -> float | None:
        """Pearson's chi-square over the fixed bands that have trades, over the mean design
        effect of their indicators; None for a single band.

        Rao & Scott 1981 (JASA 76, 221-230), first order: the mean is weighted by 1 less the
        band's share, which gives the statistic its expectation, bands - 1.
        """
        band = np.unique(np.digitize(self.score, BANDS_FROM), return_inverse=True)[1]
        sizes = np.bincount(band)
        if not self.varied or len(sizes) < 2:
            return None
        base = self.wins / self.n
        excess = np.bincount(band, self.won) - sizes * base
        statistic = float((excess**2 / sizes).sum()) / (base * (1 - base))
        effects = self.dependence.design_effects(band[:, None] == np.arange(len(sizes)))
        effect = float((effects * (1 - sizes / self.n)).sum()) / (len(sizes) - 1)
        return chi_square_tail(statistic / effect, len(sizes) - 1)

    def auc(self) -> tuple[float | None, Interval | None]:
        """AUC, None without a win or a loss, and its interval, on the logit lest it leave
        [0, 1]; None below 5 wins or 5 losses and where the score tells all of them apart."""
        if not self.varied:
            return None, None
        auc, variance = delong(self.won, self.score)
        if min(self.wins, self.n - self.wins) < SIDE_MIN or not variance or not 0 < auc < 1:
            return auc, None
        error = sqrt(variance * self.score_effect()) / (auc * (1 - auc))
        reach = normal_quantile((1 + RATE_CONFIDENCE) / 2) * error
        odds = auc / (1 - auc)
        low, high = odds * exp(-reach), odds * exp(reach)
        return auc, Interval(low / (1 + low), high / (1 + high))
