"""How often chance alone does as well as the best of many: tails, permutations, families.

Expected numbers come from a hand calculation, exact integers, scipy, or the definition
written as a slow loop.
"""

from fractions import Fraction
from itertools import combinations
from math import comb, factorial, log

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.evidence import luck
from store.evidence.luck import (
    deflated,
    holm,
    log_factorials,
    mid_p_row,
    mid_ps,
    permuted,
    permuted_ps,
    step_down,
)
from tests.evidence import oracles

Floats = NDArray[np.float64]


def mid_p(won: int, size: int, n: int, wins: int) -> float:
    return float(mid_p_row(size, n, wins, log_factorials(n))[won])


# One condition.


def test_log_factorials_are_those_of_the_exact_numbers() -> None:
    expected = [log(factorial(k)) for k in range(31)]
    assert log_factorials(30) == pytest.approx(expected, rel=1e-13)


def test_mid_p_counts_half_of_the_result_itself() -> None:
    """3 wins of 4 from 4 of 8: P(H = 4) + P(H = 3) / 2 = (1 + 16 / 2) / 70."""
    assert mid_p(3, 4, 8, 4) == pytest.approx(9 / 70, rel=1e-13)


@given(st.data())
def test_mid_p_agrees_with_exact_integer_arithmetic(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 300))
    wins = data.draw(st.integers(0, n))
    size = data.draw(st.integers(0, n))
    won = data.draw(st.integers(max(0, size + wins - n), min(size, wins)))
    ways = [comb(wins, k) * comb(n - wins, size - k) for k in range(won, size + 1)]
    exact = Fraction(2 * sum(ways[1:]) + ways[0], 2 * comb(n, size))
    assert mid_p(won, size, n, wins) == pytest.approx(float(exact), rel=1e-11)


@given(st.integers(50, 5000), st.floats(0.1, 0.9), st.floats(0.05, 0.95), st.floats(-4, 6))
def test_mid_p_agrees_with_scipy(n: int, base: float, share: float, sigmas: float) -> None:
    wins, size = round(n * base), round(n * share)
    law = scipy.stats.hypergeom(n, wins, size)
    low, high = law.support()
    won = int(np.clip(round(law.mean() + sigmas * law.std()), low, high))
    expected = law.sf(won) + law.pmf(won) / 2
    assert mid_p(won, size, n, wins) == pytest.approx(expected, rel=1e-7, abs=1e-14)


@pytest.mark.parametrize("sigmas", [-3.0, 0.0, 3.0, 8.0, 20.0])
def test_mid_p_keeps_its_digits_at_a_hundred_thousand_trades(sigmas: float) -> None:
    n, wins, size = 100_000, 55_000, 25_000
    won = 13_750 + round(sigmas * (25_000 * 0.55 * 0.45 * 0.75) ** 0.5)
    way = here = comb(wins, won) * comb(n - wins, size - won)
    more = 0
    for k in range(won, size):
        way = way * (wins - k) * (size - k) // ((k + 1) * (n - wins - size + k + 1))
        more += way
        if way.bit_length() < more.bit_length() - 60:
            break
    exact = Fraction(2 * more + here, 2 * comb(n, size))
    assert mid_p(won, size, n, wins) == pytest.approx(float(exact), rel=1e-8)


@given(st.data())
def test_wins_and_losses_have_tails_that_add_up_to_one(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 2000))
    wins = data.draw(st.integers(0, n))
    size = data.draw(st.integers(0, n))
    won = data.draw(st.integers(max(0, size + wins - n), min(size, wins)))
    tails = mid_p(won, size, n, wins) + mid_p(size - won, size, n, n - wins)
    assert tails == pytest.approx(1, abs=1e-12)


def test_what_cannot_happen_is_beyond_either_end() -> None:
    """4 of 10 trades with 8 wins have 2 to 4: fewer is certain to be surpassed."""
    assert mid_p_row(4, 10, 8, log_factorials(10))[:2] == pytest.approx([1, 1])
    assert mid_p_row(9, 10, 3, log_factorials(10))[4:] == pytest.approx([0] * 6, abs=0)


def test_each_condition_gets_the_chance_of_its_own_size_and_wins() -> None:
    found, sizes = np.array([20, 30, 12, 20]), np.array([30, 50, 30, 30])
    expected = [oracles.mid_p(w, s, 120, 60) for w, s in zip(found, sizes, strict=True)]
    assert mid_ps(found, sizes, 120, 60) == pytest.approx(expected)


# Trades that win or lose together.


def test_a_design_effect_of_four_halves_the_normal_deviate() -> None:
    """p = .0013499 is z = 3; z = 1.5 is p = .0668072 (tabled)."""
    assert deflated(np.array([0.001349898]), np.array([4.0])) == pytest.approx([0.0668072])


@given(st.floats(1e-250, 0.999), st.floats(1.001, 30))
def test_deflating_divides_the_normal_quantile_by_the_root(p: float, deff: float) -> None:
    expected = scipy.stats.norm.cdf(scipy.stats.norm.ppf(p) / deff**0.5)
    assert deflated(np.array([p]), np.array([deff])) == pytest.approx([expected], rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_without_dependence_a_chance_stays_the_same_to_the_last_bit(ps: list[float]) -> None:
    assert deflated(np.array(ps), np.ones(len(ps))).tolist() == ps


def test_certain_and_impossible_chances_stay_chances_when_deflated() -> None:
    low, high = deflated(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    assert 0 < low < 1e-100
    assert 0.999 < high < 1


def test_each_condition_is_deflated_by_its_own_design_effect() -> None:
    ps, effects = np.array([0.01, 0.01, 0.2]), np.array([1.0, 2.0, 2.0])
    deviates = scipy.stats.norm.ppf(ps) / np.sqrt(effects)
    assert deflated(ps, effects) == pytest.approx(scipy.stats.norm.cdf(deviates))


# Outcomes dealt anew.


def rows_of(values: Floats, times: int, seed: int) -> Floats:
    return np.concatenate(list(permuted(values, times, seed)()))


@pytest.mark.parametrize("times", [1, 2, 7])
def test_every_row_is_a_reordering_of_the_values(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(luck, "CHUNK", 21)  # Three rows at once.
    values = np.arange(7.0)
    rows = rows_of(values, times, 5)
    assert rows.shape == (times, 7)
    assert (np.sort(rows, axis=1) == values).all()
    assert values.tolist() == list(range(7))


def test_books_larger_than_a_chunk_are_dealt_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luck, "CHUNK", 3)
    assert [len(rows) for rows in permuted(np.arange(7.0), 3, 5)()] == [1, 1, 1]
    monkeypatch.setattr(luck, "CHUNK", 15)
    assert [len(rows) for rows in permuted(np.arange(7.0), 5, 5)()] == [2, 2, 1]


def test_the_same_seed_deals_the_same_and_another_seed_something_else() -> None:
    values = np.arange(50.0)
    assert (rows_of(values, 20, 1) == rows_of(values, 20, 1)).all()
    assert (rows_of(values, 20, 1) != rows_of(values, 20, 2)).any()


def test_the_rows_can_be_dealt_again_from_the_start() -> None:
    deal = permuted(np.arange(9.0), 4, 3)
    assert (np.concatenate(list(deal())) == np.concatenate(list(deal()))).all()


def test_every_value_comes_to_every_place_equally_often() -> None:
    """5 places, 4,000 rows: 800 each, standard deviation 25."""
    rows = rows_of(np.arange(5.0), 4000, 11)
    counts = [[int((rows[:, place] == value).sum()) for value in range(5)] for place in range(5)]
    assert scipy.stats.chisquare(np.ravel(counts)).pvalue > 0.001


def test_permuted_chances_are_scipy_s_of_the_wins_that_were_dealt() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(60) < 0.6).astype(float)
    held = (rng.random((60, 5)) < [0.2, 0.2, 0.5, 0.7, 0.9]).astype(np.float32)
    found = permuted_ps(y, held, 8, 99)
    for row, dealt in enumerate(rows_of(y, 8, 99)):
        for column in range(5):
            inside = held[:, column] > 0
            expected = oracles.mid_p(int(dealt[inside].sum()), int(inside.sum()), 60, int(y.sum()))
            assert found[row, column] == pytest.approx(expected)


def test_the_chance_of_what_was_seen_is_among_the_permuted_ones_bit_for_bit() -> None:
    """Ties count, so both must come out of one table."""
    y = np.array([1.0, 0.0] * 20)
    held = np.array([[1.0]] * 12 + [[0.0]] * 28, np.float32)
    dealt = {float(p) for p in permuted_ps(y, held, 300, 1).ravel()}
    row = mid_p_row(12, 40, 20, log_factorials(40))
    assert dealt <= set(row.tolist())


# The best of many.


def naive_step_down(ps: list[float], by_luck: Floats) -> list[float]:
    order = sorted(range(len(ps)), key=lambda k: ps[k])
    adjusted, last = [0.0] * len(ps), 0.0
    for place, k in enumerate(order):
        as_good = 1
        for row in by_luck:
            as_good += min(row[other] for other in order[place:]) <= ps[k]
        last = adjusted[k] = max(last, as_good / (len(by_luck) + 1))
    return adjusted


@given(
    st.lists(st.sampled_from([0.01, 0.02, 0.05, 0.2, 0.5]), min_size=1, max_size=6),
    st.integers(0, 10**6),
)
def test_step_down_follows_its_definition(ps: list[float], seed: int) -> None:
    """Westfall & Young 1993; few distinct values, so that ties are common."""
    rng = np.random.default_rng(seed)
    by_luck = rng.choice([0.01, 0.02, 0.05, 0.2, 0.5, 0.9], (30, len(ps)))
    assert step_down(np.array(ps), by_luck) == pytest.approx(naive_step_down(ps, by_luck))


def test_step_down_by_hand() -> None:
    """Best first: .02 is matched in two of four rows (3/5); of the rest .3 is in one (2/5),
    which may not be below 3/5."""
    by_luck = np.array([[0.5, 0.01], [0.02, 0.9], [0.6, 0.7], [0.4, 0.25]])
    assert step_down(np.array([0.02, 0.3]), by_luck) == pytest.approx([0.6, 0.6])


def test_luck_that_does_exactly_as_well_counts_as_doing_as_well() -> None:
    assert step_down(np.array([0.05]), np.full((3, 1), 0.05)) == pytest.approx([1.0])
    assert step_down(np.array([0.05]), np.full((3, 1), 0.051)) == pytest.approx([0.25])


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less() -> None:
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    """Marcus, Peritz & Gabriel 1976: the worst Bonferroni p of all families it belongs to."""
    everyone = range(len(ps))
    families = [set(f) for size in everyone for f in combinations(everyone, size + 1)]
    worst = [max(len(f) * min(ps[j] for j in f) for f in families if i in f) for i in everyone]
    assert holm(ps) == pytest.approx([min(1.0, p) for p in worst])


@given(st.lists(st.floats(0, 1), max_size=40))
def test_holm_keeps_the_order_and_never_lowers_a_p(ps: list[float]) -> None:
    adjusted = holm(ps).tolist()
    pairs = sorted(zip(ps, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert all(before <= after <= 1 for before, after in pairs)
