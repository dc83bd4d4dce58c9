"""What a setup's chance of winning is, from trades that are more and less like it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.evidence.dependence import Floats
from store.evidence.setups import SPREAD_MIN, Estimate, Level, estimate
from store.evidence.shrinkage import NOTHING, SPREADS, Weights
from store.stats import score_interval, wilson

# All groups differ by a standard deviation of 9 points.
NINE: Weights = tuple(float(spread == 0.09) for spread in SPREADS)


def found(levels: list[Level], mixture: Weights = NINE) -> Estimate:
    result = estimate(levels, mixture)
    assert result is not None
    return result


def width(result: Estimate) -> float:
    return result.interval.high - result.interval.low


def test_without_a_decided_trade_there_is_no_estimate() -> None:
    assert estimate([], NINE) is None
    assert estimate([Level(0, 0)], NINE) is None


@pytest.mark.parametrize(("wins", "losses"), [(60, 40), (1, 1), (300, 20)])
def test_a_whole_book_alone_keeps_its_rate_and_its_interval(wins: int, losses: int) -> None:
    result = found([Level(wins, wins + losses)])
    own = wilson(wins, losses)

    assert own is not None
    assert result.win_rate == wins / (wins + losses)
    assert width(result) == pytest.approx(own.high - own.low, rel=1e-9)


def test_a_nearer_level_moves_the_estimate_by_its_share_of_the_variance() -> None:
    """By hand. Book 50 of 100, inside it 16 of 20: outside 34 of 80 = .425, error^2
    .25/80 = .003125; between levels .0081 is added: .011225; the 20 are seen with
    .25/20 = .0125. Share .011225 / .023725 = .473130; .425 + .473130 x .375 = .602424;
    variance .011225 x .526870 = .005914: as certain as .25 / .005914 = 42.27 trades."""
    result = found([Level(50, 100), Level(16, 20)])

    assert result.win_rate == pytest.approx(0.602424, abs=1e-6)
    expected = score_interval(0.602424, 42.272)
    assert result.interval.low == pytest.approx(expected.low, abs=1e-4)
    assert result.interval.high == pytest.approx(expected.high, abs=1e-4)


def test_a_mixture_is_the_mean_of_its_parts_by_their_likelihood() -> None:
    """The same by explicit Bayes on a grid of true rates, for a mixture of two spreads."""
    mixture = tuple({0.02: 0.8, 0.18: 0.2}.get(spread, 0.0) for spread in SPREADS)
    result = found([Level(50, 100), Level(17, 20)], mixture)

    grid = np.linspace(-1, 2, 30_001)
    outside, error = 33 / 80, 0.25 / 80

    def normal(x: Floats, mean: float, variance: float) -> Floats:
        density: Floats = np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(variance)
        return density

    prior = sum(
        weight * normal(grid, outside, error + spread**2)
        for weight, spread in ((0.8, SPREAD_MIN), (0.2, 0.18))
    )
    posterior = prior * normal(grid, 17 / 20, 0.25 / 20)
    assert result.win_rate == pytest.approx(
        float((grid * posterior).sum() / posterior.sum()), abs=1e-6
    )


def test_levels_without_trades_of_their_own_only_widen_the_interval() -> None:
    alone, deeper = found([Level(50, 100)]), found([Level(50, 100), Level(0, 0)])

    assert deeper.win_rate == alone.win_rate == 0.5
    assert width(deeper) > width(alone)
    # Variances add: .25/100 + .0081, as certain as .25 / .0106 = 23.58 trades.
    assert deeper.interval.low == pytest.approx(score_interval(0.5, 0.25 / 0.0106).low)


def test_trades_that_depend_on_each_other_weigh_less() -> None:
    free, bound = (found([Level(50, 100, 1.0), Level(16, 20, deff)]) for deff in (1.0, 4.0))

    assert 0.5 > 0.425 < bound.win_rate < free.win_rate < 0.8
    assert width(bound) > width(free)


def test_groups_are_taken_to_differ_by_three_points_at_least() -> None:
    """Nothing known to differ: .425 + .3750 x (.0040250 / (.0040250 + .0125)) = .516339."""
    result = found([Level(50, 100), Level(16, 20)], NOTHING)

    assert SPREAD_MIN == 0.03
    assert result.win_rate == pytest.approx(0.425 + 0.375 * 0.004025 / 0.016525, abs=1e-6)


@pytest.mark.parametrize("wins", [0, 5])
def test_a_book_of_only_wins_or_losses_stays_inside_the_scale(wins: int) -> None:
    result = found([Level(wins, 5), Level(wins // 5, min(1, wins))])

    assert 0 <= result.interval.low <= result.win_rate <= result.interval.high <= 1
    assert width(result) > 0.3


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=4),
    st.lists(st.floats(0, 1), min_size=len(SPREADS), max_size=len(SPREADS)),
)
def test_the_estimate_lies_between_the_rates_of_the_rings(
    rings: list[tuple[int, int]], weights: list[float]
) -> None:
    """`rings` are wins and losses from the outermost inward; levels hold all inside them."""
    mixture = tuple((np.array(weights) + 0.01) / (np.array(weights) + 0.01).sum())
    levels = [
        Level(sum(w for w, _ in rings[k:]), sum(w + n for w, n in rings[k:]))
        for k in range(len(rings))
    ]
    result = estimate(levels, mixture)
    rates = [wins / (wins + losses) for wins, losses in rings if wins + losses]

    if not rates:
        assert result is None
    else:
        assert result is not None
        assert min(rates) - 1e-9 <= result.win_rate <= max(rates) + 1e-9
        assert result.interval.low <= result.win_rate <= result.interval.high
