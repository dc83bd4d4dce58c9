"""What a lift is worth that was picked because it was high.

The second method is the textbook's: densities by scipy, posteriors and EM steps in loops.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.evidence.shrinkage import (
    NOTHING,
    NULL_PENALTY,
    SPREADS,
    STEPS,
    fitted,
    shrunk,
    shrunk_win_rate,
)
from tests.evidence.oracles import em, posterior

EVEN = (1 / len(SPREADS),) * len(SPREADS)

LIFTS = st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 0.3)), min_size=1, max_size=8)


def test_the_mixture_is_that_of_the_evidence_document() -> None:
    assert list(SPREADS) == [0, 0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.18, 0.25]
    assert [NULL_PENALTY, STEPS] == [30, 60]


@given(LIFTS, st.integers(0, 1000))
def test_a_shrunk_lift_is_the_posterior_mean(seen: list[tuple[float, float]], seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(SPREADS))).tolist()
    expected = [posterior(lift, error, weights) for lift, error in seen]
    lifts, errors = zip(*seen, strict=True)
    assert shrunk(lifts, errors, tuple(weights)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "seen",
    [
        [(0.30, 0.05)],
        [(0.1, 0.1), (-0.2, 0.08), (0.02, 0.2)],
        [(0.15 + 0.01 * k, 0.04) for k in range(25)],
    ],
)
def test_the_mixture_is_fitted_by_sixty_steps_of_em(seen: list[tuple[float, float]]) -> None:
    lifts, errors = zip(*seen, strict=True)
    assert fitted(lifts, errors) == pytest.approx(tuple(em(seen)), abs=1e-9)


def test_one_spread_alone_shrinks_by_the_ratio_of_variances() -> None:
    """All weight on .04, standard error .03: .0016 / (.0016 + .0009) = .64 is kept."""
    weights = tuple(float(spread == 0.04) for spread in SPREADS)
    assert shrunk([0.1, -0.2], [0.03, 0.03], weights) == pytest.approx([0.064, -0.128])


@given(LIFTS)
def test_a_lift_keeps_its_sign_and_never_grows(seen: list[tuple[float, float]]) -> None:
    lifts, errors = zip(*seen, strict=True)
    for before, after in zip(lifts, shrunk(lifts, errors, fitted(lifts, errors)), strict=True):
        assert abs(after) <= abs(before)
        assert after * before >= 0


def test_a_lift_seen_more_exactly_is_shrunk_less() -> None:
    kept = shrunk([0.1] * 3, [0.02, 0.05, 0.15], EVEN)
    assert kept[0] > kept[1] > kept[2]


@given(LIFTS)
def test_the_weights_add_up_to_one(seen: list[tuple[float, float]]) -> None:
    lifts, errors = zip(*seen, strict=True)
    assert sum(fitted(lifts, errors)) == pytest.approx(1)


def test_where_nothing_was_seen_nothing_is_believed() -> None:
    assert fitted([], []) == NOTHING
    assert shrunk([], [], NOTHING).tolist() == []


def test_without_any_spread_every_lift_is_worth_nothing() -> None:
    """Also in a book that only wins, whose lifts are 0 without any error."""
    assert shrunk([0.2, -0.1, 0.0], [0.05, 0.1, 0.0], NOTHING).tolist() == [0, 0, 0]


def test_one_high_lift_alone_is_mostly_taken_for_luck() -> None:
    """Thirty imaginary conditions without a lift stand against it."""
    (kept,) = shrunk([0.15], [0.06], fitted([0.15], [0.06]))
    assert 0 < kept < 0.05


def test_lifts_of_pure_luck_shrink_to_almost_nothing() -> None:
    rng = np.random.default_rng(4)
    errors = rng.uniform(0.03, 0.12, 60)
    lifts = rng.normal(0, errors)
    kept = shrunk(lifts, errors, fitted(lifts, errors))
    assert np.abs(kept).max() < 0.15 * np.abs(lifts).max()


def test_the_best_of_many_real_lifts_are_worth_what_is_left_of_them() -> None:
    """True lifts N(0, .13^2), errors .1: the best tenth, raw, is .1 too high."""
    rng = np.random.default_rng(8)
    true = rng.normal(0, 0.13, 4000)
    lifts, errors = true + rng.normal(0, 0.1, 4000), np.full(4000, 0.1)
    mixture = fitted(lifts, errors)
    best = lifts > np.quantile(lifts, 0.9)
    assert (lifts - true)[best].mean() > 0.08
    assert shrunk(lifts, errors, mixture)[best].mean() == pytest.approx(true[best].mean(), abs=0.02)
    spread = sum(w * sd**2 for w, sd in zip(mixture, SPREADS, strict=True))
    assert spread == pytest.approx(lifts.var() - 0.1**2, rel=0.15)


# The win rate of any group.


@pytest.mark.parametrize(("wins", "decided", "deff"), [(30, 40, 1.5), (5, 160, 1.0), (1, 1, 4.0)])
def test_a_win_rate_is_drawn_towards_that_of_the_book(wins: int, decided: int, deff: float) -> None:
    """A book of 200 with 90 wins; error sqrt(p q (1/n_c + 1/(n - n_c)) deff), by loops."""
    outside = 200 - decided
    error = (0.45 * 0.55 * (1 / decided + 1 / outside) * deff) ** 0.5
    lift = wins / decided - (90 - wins) / outside
    expected = 0.45 + posterior(lift, error, EVEN) * outside / 200
    assert shrunk_win_rate(wins, decided, 0.45, 200, deff, EVEN) == pytest.approx(expected)


def test_where_nothing_is_believed_every_group_has_the_rate_of_the_book() -> None:
    assert shrunk_win_rate(9, 10, 0.45, 200, 1.0, NOTHING) == 0.45


@pytest.mark.parametrize("decided", [200, 201])
def test_a_group_that_is_the_whole_book_keeps_its_rate(decided: int) -> None:
    assert shrunk_win_rate(80, decided, 0.4, 200, 1.0, EVEN) == 80 / decided


@pytest.mark.parametrize(("wins", "base"), [(10, 1.0), (0, 0.0)])
def test_in_a_book_that_only_wins_or_only_loses_a_group_does_too(wins: int, base: float) -> None:
    assert shrunk_win_rate(wins, 10, base, 200, 1.0, EVEN) == base


def test_all_trades_but_one_are_drawn_to_the_book_like_any_others() -> None:
    """199 of 200: the lift is against one trade, and little of it is kept."""
    rate = shrunk_win_rate(100, 199, 0.5, 200, 1.0, EVEN)
    assert rate == pytest.approx(0.5, abs=0.001)
    assert rate != 100 / 199
