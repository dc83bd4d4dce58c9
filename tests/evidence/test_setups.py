"""What a setup's chance of winning is, from trades that are more and less like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.evidence.setups import SPREAD_MIN, Level, estimate

Z = 1.959963984540054  # 97.5th percentile of the normal, from tables.


def test_without_a_decided_trade_there_is_no_estimate() -> None:
    assert estimate([], 0.01) is None
    assert estimate([Level(0, 0)], 0.01) is None


def test_a_whole_book_alone_keeps_its_rate_and_its_error() -> None:
    """60 of 100: error sqrt(p q / 100) with p = 61/102, one win and one loss being lent."""
    found = estimate([Level(60, 100)], 0.01)

    assert found is not None
    assert found.win_rate == 0.6
    p = 61 / 102
    assert found.interval.high - 0.6 == pytest.approx(Z * (p * (1 - p) / 100) ** 0.5)
    assert 0.6 - found.interval.low == pytest.approx(found.interval.high - 0.6)


def test_a_nearer_level_moves_the_estimate_by_its_share_of_the_variance() -> None:
    """By hand. Book 50 of 100, inside it 16 of 20: outside 34 of 80 = .425, error^2
    .25/80 = .003125; between levels .01 is added: .013125; the 20 are seen with .25/20 = .0125.
    Share .013125 / .025625 = .512195; estimate .425 + .512195 x (.8 - .425) = .617073."""
    found = estimate([Level(50, 100), Level(16, 20)], 0.01)

    assert found is not None
    assert found.win_rate == pytest.approx(0.617073, abs=1e-6)
    variance = (1 - 0.512195) * 0.013125
    assert found.interval.low == pytest.approx(0.617073 - Z * variance**0.5, abs=1e-5)


def test_levels_without_trades_of_their_own_only_widen_the_interval() -> None:
    alone, deeper = (estimate([Level(50, 100), *more], 0.01) for more in ([], [Level(0, 0)]))

    assert alone is not None
    assert deeper is not None
    assert deeper.win_rate == alone.win_rate == 0.5
    assert (deeper.interval.high - 0.5) ** 2 - (alone.interval.high - 0.5) ** 2 == pytest.approx(
        Z**2 * 0.01
    )


def test_trades_that_depend_on_each_other_weigh_less() -> None:
    free, bound = (
        estimate([Level(50, 100, 1.0), Level(16, 20, deff)], 0.01) for deff in (1.0, 4.0)
    )

    assert free is not None
    assert bound is not None
    assert 0.5 < bound.win_rate < free.win_rate < 0.8
    assert bound.interval.high - bound.interval.low > free.interval.high - free.interval.low


def test_groups_are_taken_to_differ_by_three_points_at_least() -> None:
    levels = [Level(50, 100), Level(16, 20)]

    assert SPREAD_MIN == 0.03
    assert estimate(levels, 0.0) == estimate(levels, 0.0009)


@pytest.mark.parametrize("wins", [0, 5])
def test_a_book_of_only_wins_or_losses_stays_inside_the_scale(wins: int) -> None:
    found = estimate([Level(wins, 5), Level(wins // 5, min(1, wins))], 0.01)

    assert found is not None
    assert 0 <= found.interval.low <= found.win_rate <= found.interval.high <= 1
    assert found.interval.low < found.interval.high


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=4),
    st.floats(0, 0.06),
)
def test_the_estimate_lies_between_the_rates_of_the_rings(
    rings: list[tuple[int, int]], spread: float
) -> None:
    """`rings` are wins and losses from the outermost inward; levels hold all inside them."""
    levels = [
        Level(sum(w for w, _ in rings[k:]), sum(w + n for w, n in rings[k:]))
        for k in range(len(rings))
    ]
    found = estimate(levels, spread)
    rates = [wins / (wins + losses) for wins, losses in rings if wins + losses]

    if rings[0] == (0, 0) and rates:  # Nothing outside: the book's rate is where it begins.
        rates.append(levels[0].wins / levels[0].decided)
    if not rates:
        assert found is None
    else:
        assert found is not None
        assert min(rates) - 1e-12 <= found.win_rate <= max(rates) + 1e-12
        assert found.interval.low <= found.win_rate <= found.interval.high
