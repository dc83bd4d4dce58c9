"""Whether a score predicts, and whether a range of it beats the rest, beyond luck.

Expected numbers come from scipy, a published example, a hand calculation, or the definition
written as a slow loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.evidence.calibration import chi_square_tail, cochran_armitage, delong, isotonic
from store.evidence.dependence import dependence_of
from store.evidence.ranges import correlations, extremes, range_extremes
from store.evidence.scores import ScoreEvidence, evidence_of

Scored = list[tuple[float, bool]]
APART = 28  # Days between trades that share no day, no week and no block of four weeks.
SCORED = st.lists(st.tuples(st.integers(0, 6).map(float), st.booleans()), min_size=4, max_size=30)


@dataclass(frozen=True)
class Trades:
    """Trades with these scores and outcomes, `a_day` of them on each day."""

    score: Sequence[float | None]
    outcomes: Sequence[int]
    apart: int = APART
    a_day: int = 1

    def evidence(self, families: int = 1) -> ScoreEvidence:
        n = len(self.outcomes)
        days = [k // self.a_day * self.apart for k in range(n)]
        return evidence_of(self.outcomes, [1] * n, days, self.score, families=families)


def invented(n: int, chance: Any, seed: int = 1, *, digits: int = 0) -> Trades:
    """Scores from 30 to 100, each trade won with the chance that its score gives."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(30, 100, n).round(digits)
    won = rng.random(n) < np.vectorize(chance)(score)
    return Trades(score.tolist(), np.where(won, 1, -1).tolist())


def useless(n: int, seed: int = 1, **more: Any) -> Trades:
    return invented(n, lambda score: 0.5, seed, **more)


def arrays(trades: Trades) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array(trades.score, float), np.array(trades.outcomes) > 0


# Trend.


@pytest.mark.parametrize(
    ("drinks", "z2", "p_one_sided"),
    [
        ((1, 2, 3, 4, 5), None, 0.0882),
        ((0, 0.5, 1.5, 4, 8), None, 0.0039),
        ((0, 0.5, 1.5, 4, 7), 6.57, None),
    ],
)
def test_the_trend_is_that_of_the_published_example(
    drinks: tuple[float, ...], z2: float | None, p_one_sided: float | None
) -> None:
    """Malformed infants by drinks of the mother (Graubard & Korn 1987): p as StatXact prints
    them (cytel.com, example 6), z^2 from Agresti 2002, 5.3.5."""
    healthy, malformed = np.array([17066, 14464, 788, 126, 37]), np.array([48, 38, 5, 1, 1])
    s, n = np.array(drinks), healthy + malformed

    z = cochran_armitage(
        n.sum(), float(s @ n), float(s**2 @ n), malformed.sum(), float(s @ malformed)
    )

    assert z is not None
    if z2:
        assert z**2 == pytest.approx(z2, abs=0.005)
    if p_one_sided:
        assert scipy.stats.norm.sf(z) == pytest.approx(p_one_sided, abs=0.00005)


@given(SCORED)
def test_the_trend_is_the_correlation_of_score_and_outcome(trades: Scored) -> None:
    """z = r sqrt(n) (Agresti 2002, 3.4.1 and 5.3.5, with n for n - 1)."""
    s, y = np.array([s for s, _ in trades]), np.array([float(won) for _, won in trades])
    z = cochran_armitage(len(s), float(s.sum()), float(s @ s), float(y.sum()), float(s @ y))
    if np.ptp(s) == 0 or np.ptp(y) == 0:
        assert z is None
    else:
        expected = float(np.corrcoef(s, y)[0, 1]) * sqrt(len(s))
        assert z == pytest.approx(expected, abs=1e-9)


# Bands.


@pytest.mark.parametrize("df", range(1, 10))
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0, 3.84, 11.07, 40.0, 200.0])
def test_the_chi_square_tail_is_scipys(x: float, df: int) -> None:
    assert chi_square_tail(x, df) == pytest.approx(scipy.stats.chi2.sf(x, df), rel=1e-10)


def test_independent_trades_have_pearsons_chi_square_over_the_bands() -> None:
    """scipy's contingency table, of the bands that have trades: no score reaches 90."""
    trades = invented(200, lambda score: 0.3 if score < 60 else 0.5)
    trades = Trades([min(s or 0, 89) for s in trades.score], trades.outcomes)
    score, won = arrays(trades)
    bands = [(score < 50), *((score >= low) & (score < low + 10) for low in (50, 60, 70, 80))]
    table = [[int((band & one).sum()) for band in bands] for one in (won, ~won)]

    expected = scipy.stats.chi2_contingency(table, correction=False).pvalue

    assert trades.evidence().bands_p == pytest.approx(expected, rel=1e-9)


# AUC.


@given(SCORED)
def test_the_auc_and_its_variance_are_those_of_every_pair(trades: Scored) -> None:
    """DeLong's placements by loops; the AUC also from scipy's Mann-Whitney U."""
    won = [s for s, win in trades if win]
    lost = [s for s, win in trades if not win]
    if len(won) < 2 or len(lost) < 2:
        return

    def above(one: float, other: float) -> float:
        return 1.0 if one > other else 0.5 if one == other else 0.0

    of_wins = [np.mean([above(w, x) for x in lost]) for w in won]
    of_losses = [np.mean([above(w, x) for w in won]) for x in lost]
    expected = np.var(of_wins, ddof=1) / len(won) + np.var(of_losses, ddof=1) / len(lost)

    auc, variance = delong(np.array([win for _, win in trades]), np.array([s for s, _ in trades]))

    u = scipy.stats.mannwhitneyu(won, lost).statistic
    assert auc == pytest.approx(u / len(won) / len(lost), abs=1e-12)
    assert variance == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_auc_lies_on_the_logit() -> None:
    """Of trades that do not depend on each other: logit(AUC) +- 1.96 se / (AUC (1 - AUC))."""
    trades = invented(120, lambda score: score / 120)
    found = trades.evidence()
    score, won = arrays(trades)
    auc, variance = delong(won, score)
    reach = scipy.stats.norm.ppf(0.975) * sqrt(variance) / (auc * (1 - auc))
    ends = [1 / (1 + exp(-(log(auc / (1 - auc)) + sign * reach))) for sign in (-1, 1)]
    assert [found.auc_low, found.auc_high] == pytest.approx(ends, rel=1e-9)


def test_a_score_that_tells_all_wins_from_losses_has_no_interval_of_its_auc() -> None:
    found = Trades([80.0] * 30 + [20.0] * 30, [1] * 30 + [-1] * 30).evidence()
    assert (found.auc, found.auc_low, found.predictive) == (1.0, None, "yes")


# Whether the score predicts.


def test_a_planted_rising_score_is_found() -> None:
    found = invented(500, lambda score: 0.2 + 0.006 * (score - 30)).evidence()
    assert (found.predictive, found.direction) == ("yes", "rising")


def test_a_score_that_misleads_is_found_to_fall() -> None:
    found = invented(500, lambda score: 0.8 - 0.006 * (score - 30)).evidence()
    assert (found.predictive, found.direction) == ("yes", "falling")
    assert found.auc is not None
    assert found.auc < 0.5


def test_a_best_middle_is_seen_by_the_bands_only() -> None:
    """Scores 30, 31, ... 99 ten times over; symmetric around 64.5, so there is no trend."""
    score = [float(s) for _ in range(10) for s in range(30, 100)]
    outcomes = [1 if (50 <= s < 79) == (k % 5 > 0) else -1 for k, s in enumerate(score)]

    found = Trades(score, outcomes).evidence()

    assert found.trend_p is not None
    assert found.bands_p is not None
    assert found.trend_p > 0.05
    assert found.bands_p < 1e-6
    assert (found.predictive, found.direction) == ("yes", None)


def test_a_useless_score_of_a_small_book_is_unclear_and_of_a_large_book_is_no() -> None:
    assert useless(100).evidence().predictive == "unclear"
    assert useless(4000).evidence().predictive == "no"


def test_trades_that_win_together_weaken_what_a_score_shows() -> None:
    """Ten trades of a day share score and outcome: as good as a tenth of the trades."""
    days = invented(60, lambda score: score / 130, seed=3)
    score = [s for s in days.score for _ in range(10)]
    outcomes = [o for o in days.outcomes for _ in range(10)]
    one = days.evidence()
    ten = Trades(score, outcomes, a_day=10).evidence()
    alone = Trades(score, outcomes).evidence()
    assert one.trend_z is not None
    assert ten.trend_z == pytest.approx(one.trend_z, rel=0.05)
    assert alone.trend_z == pytest.approx(sqrt(10) * one.trend_z, rel=1e-9)
    assert ten.auc_low == pytest.approx(one.auc_low, abs=0.01)
    assert ten.bands_p == pytest.approx(one.bands_p, abs=0.05)


# Ranges.


def every_range(sizes: NDArray[Any], won: NDArray[Any], least: int = 10) -> list[float]:
    """z of every range of cells with 10 trades inside and outside, one by one."""
    n, wins = int(sizes.sum()), int(won.sum())
    found = []
    for low in range(len(sizes)):
        for high in range(low, len(sizes)):
            inside, w = int(sizes[low : high + 1].sum()), int(won[low : high + 1].sum())
            if least <= inside <= n - least:
                law = scipy.stats.hypergeom(n, wins, inside)
                found.append((w - law.mean()) / law.std())
    return found


def test_the_best_and_worst_of_all_ranges_are_found_in_every_permutation() -> None:
    rng = np.random.default_rng(5)
    sizes = np.array([3, 0, 12, 7, 1, 20, 9, 4, 0, 11])
    dealt = rng.multivariate_hypergeometric(sizes, 30, size=12)

    highest, lowest = range_extremes(sizes, dealt)

    zs = [every_range(sizes, row) for row in dealt]
    assert highest == pytest.approx([max(z) for z in zs], rel=1e-9)
    assert lowest == pytest.approx([min(z) for z in zs], rel=1e-9)


def test_no_range_is_better_than_the_best_of_all() -> None:
    """z and p of every whole-point range against the definition: 1 + permutations that go as
    far, over all + 1, times the scores that could have been asked."""
    trades = useless(80, digits=0)
    score, won = arrays(trades)
    found = trades.evidence(families=2)
    points, cell = np.unique(score, return_inverse=True)
    sizes = np.bincount(cell)
    best = max(every_range(sizes, np.bincount(cell, won)))

    verdicts = [found.range_verdict(low, high) for low in points for high in points]
    tested = [one for one in verdicts if one.p_adjusted is not None]
    top = max(tested, key=lambda one: one.z or 0)

    assert top.z == pytest.approx(best, rel=1e-9)
    highest, _ = extremes(sizes, int(won.sum()), seed=11)  # Another seed: nearly equal.
    expected = 2 * (1 + (highest >= best - 1e-9).sum()) / (len(highest) + 1)
    assert top.p_adjusted == pytest.approx(min(1.0, expected), abs=0.06)
    assert min(one.p_adjusted or 1 for one in tested if (one.z or 0) > 0) == top.p_adjusted


@pytest.mark.parametrize(("lift", "verdict"), [(0.4, "better"), (-0.4, "worse"), (0, "unclear")])
def test_a_planted_range_is_told_from_the_rest(lift: float, verdict: str) -> None:
    trades = invented(400, lambda score: 0.5 + lift * (70 <= score < 80))
    assert trades.evidence(families=2).range_verdict(70, 79).verdict == verdict


def test_better_for_wins_is_worse_for_losses() -> None:
    trades = invented(300, lambda score: 0.4 + 0.4 * (score >= 80))
    turned = Trades(trades.score, [-one for one in trades.outcomes])
    above, below = trades.evidence(), turned.evidence()
    for low, high in ((80, 100), (30, 60), (55, 62)):
        one, other = above.range_verdict(low, high), below.range_verdict(low, high)
        assert other.z == pytest.approx(-(one.z or 0))
        assert {one.verdict, other.verdict} in ({"better", "worse"}, {"unclear"})


def test_asking_two_scores_doubles_the_chance_of_luck() -> None:
    trades = useless(200)
    one, two = (trades.evidence(families).range_verdict(60, 66) for families in (1, 2))
    assert one.p_adjusted is not None
    assert two.p_adjusted == min(1.0, 2 * one.p_adjusted)


def test_a_range_counts_both_of_its_ends() -> None:
    trades = Trades([69.4, 69.5, 70, 100.0] * 15, [1, -1, 1, -1] * 15)
    found = trades.evidence()
    assert found.range_verdict(69.5, 70).n_in == 30
    assert found.range_verdict(69.5, 69.99).wins_in == 0
    assert found.range_verdict(100, 100).n_in == 15
    assert found.range_verdict(70, 100).wins_in == 15
    assert found.range_verdict(69, 69).n_in == 0
    assert found.range_verdict(80, 60).n_in == 0


def test_a_range_and_the_rest_are_the_book() -> None:
    found = useless(150).evidence()
    inside = found.range_verdict(60, 80)
    assert (inside.n_in + inside.n_out, inside.wins_in + inside.wins_out) == (found.n, found.wins)


@pytest.mark.parametrize(("low", "high"), [(0, 100), (101, 102), (0, 10.5), (0, 90)])
def test_fewer_than_ten_trades_inside_or_outside_are_too_few(low: float, high: float) -> None:
    """The whole scale, nothing, nine trades, all but nine."""
    trades = Trades([10.0] * 9 + [50.0] * 60 + [95.0] * 9, [1, -1] * 39)
    verdict = trades.evidence().range_verdict(low, high)
    assert (verdict.verdict, verdict.p_adjusted) == ("too_few", None)


def test_trades_that_win_together_weaken_a_range_by_their_design_effect() -> None:
    """The effect of a range, from sums over cells, is that of its indicator trade by trade."""
    rng = np.random.default_rng(2)
    n = 300
    days, side = np.sort(rng.integers(0, 90, n)), rng.choice([-1, 1, 1, 1, 1], n)
    score = np.clip(60 + 15 * rng.standard_normal(90)[days] + rng.normal(0, 8, n), 0, 100).round()
    won = rng.normal(0, 1, n) + side * rng.normal(0, 2, 90)[days] > 0
    found = evidence_of(np.where(won, 1, -1).tolist(), side.tolist(), days.tolist(), score.tolist())
    dependence = dependence_of(won.astype(float), side, days)
    effects = []
    for low, high in ((0, 60), (55, 70), (70, 100)):
        inside = (score >= low) & (score <= high)
        effects.append(float(dependence.design_effects(inside[:, None])[0]))
        law = scipy.stats.hypergeom(n, int(won.sum()), int(inside.sum()))
        z = (int(won[inside].sum()) - law.mean()) / law.std() / sqrt(effects[-1])
        assert found.range_verdict(low, high).z == pytest.approx(z, rel=1e-9)
    assert max(effects) > 1.5


def test_correlations_of_cells_are_those_of_their_pairs_of_trades() -> None:
    """By loops over all pairs: the correlation of the finest level that a pair shares."""
    rng = np.random.default_rng(3)
    n, cells = 60, 4
    days, side, cell = (
        np.sort(rng.integers(0, 80, n)),
        rng.choice([-1, 1], n),
        rng.integers(0, cells, n),
    )
    y = (rng.random(n) < 0.5 + 0.3 * (days % 2) * side).astype(float)
    dependence = dependence_of(y, side, days)
    levels = (days, (days + 3) // 7, (days + 3) // 28)
    expected = np.zeros((cells, cells))
    for i in range(n):
        for j in range(n):
            rho = float(i == j)
            shared = [k for k, codes in enumerate(levels) if codes[i] == codes[j]]
            if i != j and shared:
                level = dependence.levels[shared[0]]
                rho = level.unsigned + level.signed * side[i] * side[j]
            expected[cell[i], cell[j]] += rho
    assert correlations(dependence, cell, cells) == pytest.approx(expected, abs=1e-9)


def test_a_range_that_cuts_a_point_of_many_scores_needs_the_whole_point_to_stand_out() -> None:
    """Of 70.00 to 70.99 only the winners are picked: more than all ranges of whole points
    could show by luck, but the point as a whole wins half, like the rest."""
    score = [70 + k / 100 for k in range(100)] + [float(s) for s in range(40, 60)] * 10
    outcomes = [1 if k < 50 else -1 for k in range(100)] + [1, -1] * 100
    verdict = Trades(score, outcomes).evidence().range_verdict(70, 70.49)
    assert (verdict.n_in, verdict.wins_in, verdict.verdict) == (50, 50, "unclear")
    assert verdict.z is not None
    assert verdict.z > 5


def test_scores_that_lie_within_one_point_are_told_apart_while_they_are_few() -> None:
    """Recorded from 0 to 1: the scores that occur are the cells, as long as there are 101."""
    rng = np.random.default_rng(4)
    score = rng.integers(0, 100, 400) / 100
    won = rng.random(400) < 0.3 + 0.4 * (score >= 0.7)
    found = Trades(score.tolist(), np.where(won, 1, -1).tolist()).evidence()
    assert found.range_verdict(0.7, 1).verdict == "better"


def test_too_many_scores_within_one_point_are_not_compared() -> None:
    score = [k / 300 for k in range(300)]
    verdict = Trades(score, [1, -1] * 150).evidence().range_verdict(0, 0.5)
    assert (verdict.verdict, verdict.n_in, verdict.z) == ("too_few", 151, None)


# Shrinkage.


def test_a_range_picked_for_its_luck_is_shrunk_to_the_book() -> None:
    trades = useless(200)
    found = trades.evidence()
    picked = [found.range_verdict(low, low + 5) for low in range(30, 95)]
    best = max((one for one in picked if one.n_in >= 8), key=lambda one: one.wins_in / one.n_in)
    base = found.wins / found.n
    assert best.wins_in / best.n_in > base + 0.15
    assert best.shrunk_win_rate == pytest.approx(base, abs=0.02)


def test_a_real_lift_is_kept() -> None:
    trades = invented(3000, lambda score: 0.4 + 0.3 * (score >= 70))
    verdict = trades.evidence().range_verdict(70, 100)
    assert verdict.shrunk_win_rate == pytest.approx(0.7, abs=0.04)


# Small and odd books.


def test_an_empty_book_gives_nothing() -> None:
    found = evidence_of([], [], [], [])
    assert (found.n, found.trend_z, found.bands_p, found.auc) == (0, None, None, None)
    assert (found.predictive, found.reason) == (
        "unclear",
        "fewer than 50 closed trades with a score",
    )
    assert found.range_verdict(0, 100).n_in == 0


@pytest.mark.parametrize(
    ("score", "outcomes", "reason"),
    [
        ([70.0], [1], "fewer than 50 closed trades with a score"),
        ([None] * 80, [1, -1] * 40, "fewer than 50 closed trades with a score"),
        ([70.0, 60.0] * 24 + [None] * 40, [1, -1] * 44, "fewer than 50 closed trades with a score"),
        ([70.0, 60.0] * 40, [1] * 80, "fewer than 5 losses"),
        ([70.0, 60.0] * 40, [-1] * 76 + [1] * 4, "fewer than 5 wins"),
        ([70.0, 60.0] * 40, [0] * 80, "fewer than 5 wins"),
        ([70.1] * 80, [1, -1] * 40, "every trade has the same score"),
    ],
)
def test_a_book_that_cannot_tell_says_why(
    score: list[float | None], outcomes: list[int], reason: str
) -> None:
    found = Trades(score, outcomes).evidence()
    verdict = found.range_verdict(65, 100)
    assert (found.reason, found.predictive, found.direction) == (reason, "unclear", None)
    assert (verdict.verdict, verdict.p_adjusted) == ("too_few", None)


def test_one_score_for_all_has_an_auc_of_one_half_and_no_trend() -> None:
    found = Trades([70.1] * 80, [1, -1] * 40).evidence()
    assert (found.auc, found.auc_low, found.trend_z, found.bands_p) == (0.5, None, None, None)


def test_break_evens_count_as_closed_and_in_nothing_else() -> None:
    decided = useless(45)
    score, outcomes = [*decided.score, 50.0, 90.0, 99.0, 70, 70], [*decided.outcomes, 0, 0, 0, 0, 0]
    found = Trades(score, outcomes).evidence()
    assert (found.n, found.reason) == (45, None)
    assert found.auc == decided.evidence().auc


def test_trades_without_a_score_change_nothing() -> None:
    trades = useless(100)
    score = [value for one in trades.score for value in (one, None)]
    outcomes = [value for one in trades.outcomes for value in (one, 1)]
    assert Trades(score, outcomes, a_day=2).evidence() == trades.evidence()


def test_the_same_trades_give_the_same_answer() -> None:
    one, other = useless(200).evidence(), useless(200).evidence()
    assert one == other
    assert one.range_verdict(50, 70) == other.range_verdict(50, 70)


# Fit.


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=8))
def test_the_fit_is_scipys_isotonic_regression(bands: list[tuple[int, int]]) -> None:
    wins, decided = [min(w, n) for w, n in bands], [n for _, n in bands]
    rates = [w / n for w, n in zip(wins, decided, strict=True)]
    expected = scipy.optimize.isotonic_regression(rates, weights=decided).x
    assert isotonic(wins, decided) == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_band_without_trades_has_no_fit() -> None:
    """30/60 and 10/40 pool to 40/100; the empty band between them stays empty."""
    assert isotonic([30, 0, 10, 9], [60, 0, 40, 10]) == [0.4, None, 0.4, 0.9]
    assert isotonic([0, 0], [0, 0]) == [None, None]


@pytest.mark.parametrize(("weeks", "reason"), [(4, "trades of fewer than 5 weeks"), (5, None)])
def test_trades_of_a_few_weeks_say_nothing_of_a_score(weeks: int, reason: str | None) -> None:
    rows = [(40.0 + k % 60, k % 60 > 30) for k in range(120)]
    found = evidence_of(
        [1 if won else -1 for _, won in rows],
        [1] * 120,
        [7 * (k * weeks // 120) for k in range(120)],
        [score for score, _ in rows],
    )
    assert found.reason == reason
    assert (found.predictive == "yes") is (reason is None)


def test_a_score_is_held_against_every_score_that_could_have_been_asked_about() -> None:
    """p_adjusted is the smaller of trend and bands, twice, for each of the scores; at .05 it
    decides. Found here: a trend whose p is between .05 / 4 and .05 / 2."""
    rng = np.random.default_rng(12)
    for _ in range(400):
        score = rng.integers(0, 101, 80).astype(float).tolist()
        won = (rng.random(80) < 0.35 + 0.003 * np.array(score)).tolist()
        columns = [1 if one else -1 for one in won], [1] * 80, [APART * k for k in range(80)], score
        one, two = (evidence_of(*columns, families=k) for k in (1, 2))
        assert one.trend_p is not None
        assert one.bands_p is not None
        smaller = min(one.trend_p, one.bands_p)
        assert one.p_adjusted == pytest.approx(min(1.0, 2 * smaller))
        assert two.p_adjusted == pytest.approx(min(1.0, 4 * smaller))
        if 0.0125 < smaller < 0.025:
            assert (one.predictive, two.predictive) == ("yes", "unclear")
            break
    else:
        pytest.fail("no such trend was drawn")


@pytest.mark.parametrize(("high_wins", "said"), [(198, "no"), (188, "unclear"), (212, "unclear")])
def test_a_score_is_called_useless_only_where_its_auc_cannot_be_far_from_a_half(
    high_wins: int, said: str
) -> None:
    """400 trades at 0 and 400 at 100, 400 wins: AUC .5 +- 2/400 is within .46 to .54; .47 and
    .53 reach to .435 and .565, though their trend (z 1.7) is not significant."""
    score = [0.0, 100.0] * 400
    wins = {0.0: 400 - high_wins, 100.0: high_wins}
    seen = {0.0: 0, 100.0: 0}
    outcomes = []
    for one in score:
        seen[one] += 1
        outcomes.append(1 if seen[one] <= wins[one] else -1)
    found = evidence_of(outcomes, [1] * 800, [APART * k for k in range(800)], score)
    assert found.auc == pytest.approx(0.5 + (high_wins - 200) / 400)
    assert found.predictive == said
    assert found.direction is None


def test_copies_of_a_signal_make_a_score_no_surer() -> None:
    """Each signal in three orders of one ticker: the trend's z is nearly that of the signals;
    without the tickers it would be root 3 times as large, two signals a day aside."""
    rng = np.random.default_rng(9)
    score = rng.integers(0, 101, 150).astype(float)
    won = rng.random(150) < 0.3 + 0.004 * score
    days, tickers = [28 * (k // 2) for k in range(150)], [f"T{k % 2}" for k in range(150)]

    def three(column: Any) -> list[Any]:
        return [one for one in column for _ in range(3)]

    outcomes = np.where(won, 1, -1).tolist()
    alone = evidence_of(outcomes, [1] * 150, days, score.tolist(), tickers=tickers)
    copied = evidence_of(
        three(outcomes), [1] * 450, three(days), three(score.tolist()), tickers=three(tickers)
    )
    assert alone.trend_z is not None
    assert copied.trend_z == pytest.approx(alone.trend_z, rel=0.1)
    assert (
        alone.p_adjusted
        == evidence_of(
            outcomes, [1] * 150, days, score.tolist(), tickers=tickers, families=1
        ).p_adjusted
    )
