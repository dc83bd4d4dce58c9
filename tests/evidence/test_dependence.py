"""How much less than they count trades weigh that won or lost together.

The second method is slow and explicit: every pair of trades, least squares over the pairs,
and a correlation matrix R with a' R a.
"""

from collections import defaultdict
from dataclasses import astuple
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.evidence.dependence import Dependence, clusters_of, dependence_of, week_of
from tests.evidence.oracles import (
    correlation_matrix,
    correlations,
    design_effect,
    finest_shared,
)

EPOCH = date(1970, 1, 1).toordinal()

Trades = tuple[list[float], list[int], list[int]]


@st.composite
def trades(draw: st.DrawFn, sides: tuple[int, ...] = (-1, 0, 1), decided: bool = True) -> Trades:
    n = draw(st.integers(4, 30))
    outcome = st.sampled_from([0.0, 1.0]) if decided else st.integers(-9, 9).map(float)
    y = draw(st.lists(outcome, min_size=n, max_size=n))
    s = draw(st.lists(st.sampled_from(sides), min_size=n, max_size=n))
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 3, 9, 30]), min_size=n, max_size=n))
    return y, s, np.cumsum([*steps]).tolist()


def model_of(found: Dependence) -> list[tuple[float, float]]:
    return [(level.unsigned, level.signed) for level in found.levels]


# Weeks.


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31)), st.integers(0, 20))
def test_two_days_share_a_week_if_the_iso_calendar_says_so(day: date, later: int) -> None:
    days = [day.toordinal() - EPOCH, day.toordinal() - EPOCH + later]
    one, other = week_of(np.array(days))
    iso = [date.fromordinal(d + EPOCH).isocalendar()[:2] for d in days]
    assert (one == other) == (iso[0] == iso[1])


def test_weeks_count_on_from_that_of_1970_01_01() -> None:
    """A Thursday: its week began three days before; Sunday is the 4th."""
    assert week_of(np.array([-4, -3, 0, 3, 4])).tolist() == [-1, 0, 0, 0, 1]


# Correlations.


@given(trades())
def test_correlations_are_those_of_every_pair_by_least_squares(given_trades: Trades) -> None:
    y, s, days = given_trades
    expected = correlations(y, s, days)
    assert model_of(dependence_of(y, s, days)) == [pytest.approx(one, abs=1e-9) for one in expected]


@given(trades(decided=False))
def test_the_correlations_of_returns_are_found_the_same_way(given_trades: Trades) -> None:
    y, s, days = given_trades
    expected = correlations(y, s, days)
    assert model_of(dependence_of(y, s, days)) == [pytest.approx(one, abs=1e-9) for one in expected]


@given(trades(sides=(-1, 1)))
def test_with_two_sides_the_correlations_are_the_published_formula(given_trades: Trades) -> None:
    """EVIDENCE 3: u = (E1 N - E2 M) / (N^2 - M^2), v = (E2 N - E1 M) / (N^2 - M^2)."""
    y, s, days = given_trades
    n, error = len(y), np.array(y) - np.mean(y)
    s2 = float(np.mean(error**2))
    for level, (u, v) in enumerate(model_of(dependence_of(y, s, days))):
        pairs = [
            (i, j)
            for i in range(n)
            for j in range(n)
            if i != j and finest_shared(days[i], days[j]) == level
        ]
        big_n, big_m = len(pairs), sum(s[i] * s[j] for i, j in pairs)
        if not (pairs and s2 and big_n**2 - big_m**2 >= 0.05 * big_n**2):
            continue
        e1 = sum(error[i] * error[j] for i, j in pairs) / s2 + big_n / (n - 1)
        e2 = sum(s[i] * s[j] * error[i] * error[j] for i, j in pairs) / s2 + big_m / (n - 1)
        square = big_n**2 - big_m**2
        assert u == pytest.approx(max(0, (e1 * big_n - e2 * big_m) / square), abs=1e-9)
        assert v == pytest.approx(max(0, (e2 * big_n - e1 * big_m) / square), abs=1e-9)


def test_two_bullish_trades_a_day_that_always_agree_are_fully_correlated() -> None:
    """10 days of 2: every product is s2, so u = 1 + 1/19; weeks and blocks hold no more pairs."""
    y = [1.0, 1.0, 0.0, 0.0] * 5
    days = [28 * (k // 2) for k in range(20)]
    model = model_of(dependence_of(y, [1] * 20, days))
    assert model == [pytest.approx((20 / 19, 0)), (0, 0), (0, 0)]


def test_bulls_that_win_when_bears_lose_share_the_market_with_their_sign() -> None:
    """Per day two bulls and two bears: s s' e e' is s2 for all 12 ordered pairs, M = -4.

    E1 = -4 + 12/19, E2 = 12 - 4/19 (times 5 days), so v = (E2 N - E1 M) / (N^2 - M^2).
    """
    y = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0] * 2 + [1.0, 1.0, 0.0, 0.0]
    s = [1, 1, -1, -1] * 5
    days = [28 * (k // 4) for k in range(20)]
    (u, v), *coarser = model_of(dependence_of(y, s, days))
    e1, e2 = 5 * (-4 + 12 / 19), 5 * (12 - 4 / 19)
    assert v == pytest.approx((e2 * 60 + e1 * 20) / (60**2 - 20**2))
    assert u == pytest.approx((e1 * 60 + e2 * 20) / (60**2 - 20**2))
    assert coarser == [(0, 0), (0, 0)]


@pytest.mark.parametrize(("bulls", "two_sided"), [(149, True), (164, False)])
def test_a_book_with_hardly_a_bear_has_no_sides_to_tell_apart(bulls: int, two_sided: bool) -> None:
    """Two days of n trades, one a bear that goes against the rest. N^2 - M^2 over N^2 is
    8 (n - 2) / n^2: .0526 for 150, .0479 for 165, and .05 is required."""
    day = [-1] + [1] * bulls
    y = [0.0] + [1.0] * bulls + [1.0] + [0.0] * bulls
    s, days = day * 2, [0] * len(day) + [100] * len(day)
    (u, v), *_ = model_of(dependence_of(y, s, days))
    assert (u, v) == pytest.approx(correlations(y, s, days)[0])
    assert (v > 0.5) is two_sided


@pytest.mark.parametrize(
    ("days", "level"), [([0, 0], 0), ([-3, 3], 1), ([-4, 3], None), ([4, 24], 2), ([24, 25], None)]
)
def test_a_pair_tells_the_finest_level_it_shares(days: list[int], level: int | None) -> None:
    """Days -3 to 3 are the ISO week of 1970-01-01 and the first of the block to day 24."""
    y, all_days = [1.0, 1.0, 0.0, 0.0], [*days, 1000, 2000]
    model = model_of(dependence_of(y, [1] * 4, all_days))
    assert [u > 0 for u, _ in model] == [k == level for k in range(3)]


def test_trades_that_disagree_within_a_day_have_no_negative_correlation() -> None:
    y, days = [1.0, 0.0] * 10, [28 * (k // 2) for k in range(20)]
    assert model_of(dependence_of(y, [1] * 20, days)) == [(0, 0)] * 3


@pytest.mark.parametrize("y", [[1.0] * 6, [0.0] * 6, [1.0]])
def test_a_book_that_only_wins_or_has_one_trade_has_no_correlation(y: list[float]) -> None:
    assert model_of(dependence_of(y, [1] * len(y), [0] * len(y))) == [(0, 0)] * 3


# Design effects.


@given(trades(), st.integers(0, 10**6))
def test_the_design_effect_is_the_quadratic_form_of_the_correlation_matrix(
    given_trades: Trades, seed: int
) -> None:
    y, s, days = given_trades
    rng = np.random.default_rng(seed)
    held = np.column_stack([rng.random(len(y)) < 0.5, rng.random(len(y)) < 0.2])
    found = dependence_of(y, s, days)
    matrix = correlation_matrix(s, days, model_of(found))
    expected = [design_effect(a, matrix) for a in held.T.astype(float)]
    assert found.design_effects(held.astype(np.float32)) == pytest.approx(expected, rel=1e-5)


@given(trades(), st.integers(0, 10**6))
def test_a_score_has_a_design_effect_too(given_trades: Trades, seed: int) -> None:
    y, s, days = given_trades
    scores = np.random.default_rng(seed).uniform(0, 100, (len(y), 1))
    found = dependence_of(y, s, days)
    expected = design_effect(scores[:, 0], correlation_matrix(s, days, model_of(found)))
    assert found.design_effects(scores) == pytest.approx([expected])


def test_every_condition_has_its_own_design_effect_in_a_market_that_moves_both_sides() -> None:
    """Sixty trades, five a day, of both sides, that mostly go the day's way."""
    rng = np.random.default_rng(6)
    s = rng.choice([-1, 1], 60).tolist()
    mood = np.repeat(rng.choice([-1, 1], 12), 5)
    y = (mood * s * rng.choice([1, 1, 1, 1, -1], 60) > 0).astype(float).tolist()
    days = [k // 5 * 3 for k in range(60)]
    found = dependence_of(y, s, days)
    held = rng.random((60, 4)) < [0.2, 0.4, 0.6, 0.8]
    held[:, 3] = (np.arange(60) % 10 < 5) & (np.array(s) > 0)
    matrix = correlation_matrix(s, days, model_of(found))
    expected = [design_effect(a, matrix) for a in held.T.astype(float)]
    assert found.levels[0].signed > 0.3
    assert max(expected) > 1.5
    assert found.design_effects(held) == pytest.approx(expected)


def test_the_unit_of_a_score_does_not_matter() -> None:
    y, days = [1.0, 1.0, 0.0, 0.0] * 5, [28 * (k // 2) for k in range(20)]
    score = np.repeat(np.random.default_rng(1).random(10), 2)[:, None]
    found = dependence_of(y, [1] * 20, days)
    assert found.design_effects(score / 1000) == pytest.approx(found.design_effects(score * 100))
    assert found.design_effects(score)[0] > 1.5


def test_twins_count_as_one_trade_where_a_condition_holds_for_whole_days() -> None:
    """u = 20/19 for the one other trade of the day: 1 + 20/19."""
    y = [1.0, 1.0, 0.0, 0.0] * 5
    days = [28 * (k // 2) for k in range(20)]
    held = np.array([[1.0]] * 8 + [[0.0]] * 12)
    effects = dependence_of(y, [1] * 20, days).design_effects(held)
    assert effects == pytest.approx([1 + 20 / 19])


def test_a_condition_that_splits_every_day_is_not_penalised() -> None:
    y = [1.0, 1.0, 0.0, 0.0] * 5
    days = [28 * (k // 2) for k in range(20)]
    held = np.array([[1.0], [0.0]] * 10)
    assert dependence_of(y, [1] * 20, days).design_effects(held).tolist() == [1.0]


def test_independent_trades_have_a_design_effect_of_exactly_one() -> None:
    held = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    found = dependence_of([1.0, 1.0, 0.0, 1.0], [1] * 4, [0, 100, 200, 300])
    assert found.design_effects(held).tolist() == [1.0, 1.0]


@given(trades(), st.integers(0, 10**6))
def test_a_condition_and_its_opposite_have_the_same_design_effect(
    given_trades: Trades, seed: int
) -> None:
    y, s, days = given_trades
    held = (np.random.default_rng(seed).random((len(y), 1)) < 0.4).astype(float)
    found = dependence_of(y, s, days)
    assert found.design_effects(held) == pytest.approx(found.design_effects(1 - held))


def test_the_design_effect_finds_the_correlation_that_was_put_in() -> None:
    """Days of 4 trades, latent correlation .5: of the wins it is 2/pi asin(.5) = 1/3
    (Sheppard 1899), so a condition of whole days has 1 + 3/3 = 2."""
    rng = np.random.default_rng(5)
    effects = []
    for _ in range(60):
        mood = np.repeat(rng.normal(size=150), 4) * 0.5**0.5 + rng.normal(size=600) * 0.5**0.5
        days = np.repeat(np.arange(150) * 28, 4)
        held = np.repeat(rng.random(150) < 0.5, 4).astype(float)[:, None]
        found = dependence_of((mood > 0).astype(float), np.ones(600), days)
        effects.append(float(found.design_effects(held)[0]))
    assert np.mean(effects) == pytest.approx(2, abs=0.1)


# Tickers.


TICKERS = st.lists(st.sampled_from("ABC"), min_size=30, max_size=30)


@given(trades(), TICKERS)
def test_a_tickers_trades_of_a_day_have_a_correlation_of_their_own(
    given_trades: Trades, names: list[str]
) -> None:
    y, s, days = given_trades
    tickers = names[: len(y)]
    expected = correlations(y, s, days, tickers)
    found = model_of(dependence_of(y, s, days, tickers))
    assert found == [pytest.approx(one, abs=1e-9) for one in expected]


@given(trades(), TICKERS, st.integers(0, 10**6))
def test_the_quadratic_form_holds_with_tickers_in_whatever_order_of_the_day(
    given_trades: Trades, names: list[str], seed: int
) -> None:
    y, s, days = given_trades
    tickers = names[: len(y)]
    held = np.random.default_rng(seed).random((len(y), 2)) < [0.5, 0.2]
    found = dependence_of(y, s, days, tickers)
    matrix = correlation_matrix(s, days, model_of(found), tickers)
    expected = [design_effect(a, matrix) for a in held.T.astype(float)]
    assert found.design_effects(held) == pytest.approx(expected, rel=1e-9)


def test_one_signal_in_three_orders_counts_once() -> None:
    """Four tickers a day, each bought three times with one outcome, days far apart: a
    condition of whole signals has a design effect of 3, a little more for the mean that is
    taken from the same trades; by days alone it would be near 1."""
    rng = np.random.default_rng(3)
    signals = rng.random(200) < 0.5
    y, days = np.repeat(signals, 3).astype(np.float64), np.repeat(np.arange(200) // 4 * 28, 3)
    tickers = [f"T{k % 4}" for k in range(200) for _ in range(3)]
    held = np.repeat(rng.random(200) < 0.3, 3)[:, None]
    whole = dependence_of(y, np.ones(600), days, tickers).design_effects(held)
    days_only = dependence_of(y, np.ones(600), days).design_effects(held)
    assert whole[0] == pytest.approx(3.0, abs=0.05)
    assert days_only[0] < 2.0


def test_unknown_tickers_are_one() -> None:
    y, days = [1.0, 1.0, 0.0, 0.0] * 5, [28 * (k // 2) for k in range(20)]
    named, unnamed = (dependence_of(y, [1] * 20, days, [name] * 20) for name in ("A", None))
    assert model_of(named) == model_of(unnamed)


# Clusters of one condition.


@given(trades(), st.integers(0, 10**6))
def test_clusters_add_up_what_each_week_has_inside_the_condition(
    given_trades: Trades, seed: int
) -> None:
    y, _, days = given_trades
    weeks = week_of(np.array(days))
    held = np.random.default_rng(seed).random((len(y), 3)) < [0.2, 0.5, 1.0]
    found = clusters_of(held, np.array(y), weeks)
    for column in range(3):
        per_week: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for k in np.flatnonzero(held[:, column]):
            per_week[int(weeks[k])][0] += int(y[k])
            per_week[int(weeks[k])][1] += 1
        sums = [
            len(per_week),
            sum(w * w for w, _ in per_week.values()),
            sum(w * d for w, d in per_week.values()),
            sum(d * d for _, d in per_week.values()),
        ]
        assert list(astuple(found[column])) == sums
