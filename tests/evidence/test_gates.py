"""What a condition that stands out from luck has to pass before it is called an edge.

The rules are EVIDENCE 3, step 8; rates of the halves are counted by hand.
"""

import numpy as np
import pytest

from store.evidence.book import Book
from store.evidence.gates import Halves, tier_of
from store.evidence.sample import Sample
from store.evidence.verdicts import Tier

STEADY = Halves(early=0.7, recent=0.7, lift=0.2, lift_recent=0.2, fading=0.0)
FADED = Halves(early=0.9, recent=0.5, lift=0.2, lift_recent=0.0, fading=2.0)


def tier(
    p_adjusted: float | None = 0.01,
    mean: float | None = 0.1,
    rest: float | None = 0.0,
    halves: Halves | None = STEADY,
    *,
    is_direction: bool = False,
    avoid: bool = False,
) -> Tier:
    return tier_of(p_adjusted, mean, (mean, rest), halves, is_direction, avoid)


# The chance of luck.


@pytest.mark.parametrize(
    ("p_adjusted", "expected"),
    [
        (0.0, "supported"),
        (0.05, "supported"),
        (0.0501, "suggestive"),
        (0.2, "suggestive"),
        (0.2001, "insufficient"),
        (1.0, "insufficient"),
        (None, "insufficient"),
    ],
)
def test_up_to_one_in_twenty_is_supported_up_to_one_in_five_a_hint(
    p_adjusted: float | None, expected: Tier
) -> None:
    assert tier(p_adjusted) == expected


# Money.


@pytest.mark.parametrize("mean", [-0.1, 0.0])
@pytest.mark.parametrize("p_adjusted", [0.001, 0.15])
def test_a_condition_that_wins_but_does_not_earn_is_no_edge(mean: float, p_adjusted: float) -> None:
    assert tier(p_adjusted, mean, rest=-0.5) == "wins_but_loses_money"


@pytest.mark.parametrize("mean", [0.1, 0.0])
def test_a_condition_that_loses_often_but_does_not_lose_is_none_to_avoid(mean: float) -> None:
    assert tier(mean=mean, rest=0.5, avoid=True) == "loses_often_but_makes_money"


def test_a_condition_that_loses_money_is_worth_avoiding() -> None:
    assert tier(mean=-0.1, rest=0.0, avoid=True) == "supported"


@pytest.mark.parametrize("rest", [0.1, 0.2])
def test_a_condition_that_earns_no_more_than_the_rest_is_a_hint_at_most(rest: float) -> None:
    assert tier(mean=0.1, rest=rest) == "suggestive"
    assert tier(mean=-0.1, rest=-rest, avoid=True) == "suggestive"


def test_what_earned_nobody_knows_how_much_is_a_hint_at_most() -> None:
    assert tier(mean=None) == tier(mean=None, rest=None) == "suggestive"
    assert tier(mean=None, avoid=True) == "suggestive"


def test_an_unknown_rest_does_not_stand_in_the_way() -> None:
    assert tier(mean=0.1, rest=None) == "supported"
    assert tier(mean=-0.1, rest=None, avoid=True) == "supported"


def test_losing_money_is_said_before_having_faded_or_being_a_direction() -> None:
    assert tier(mean=-0.1, halves=FADED, is_direction=True) == "wins_but_loses_money"


# Direction and time.


def test_a_direction_is_at_most_a_hint() -> None:
    assert tier(0.0001, is_direction=True) == "suggestive"


@pytest.mark.parametrize("p_adjusted", [0.001, 0.15])
def test_what_stood_out_only_early_has_faded(p_adjusted: float) -> None:
    assert tier(p_adjusted, halves=FADED) == "faded"


def test_what_does_not_stand_out_has_nothing_to_fade() -> None:
    assert tier(0.5, mean=-1, halves=FADED) == "insufficient"


def test_without_trades_in_both_halves_nothing_is_said_about_fading() -> None:
    assert tier(halves=None) == "supported"


@pytest.mark.parametrize(
    ("lift_recent", "fading", "faded"),
    [
        (0.10, 1.646, True),
        (0.10, 1.645, False),
        (0.1001, 5.0, False),
        (-0.1, 1.7, True),
        (0.0, 1.6, False),
    ],
)
def test_faded_is_at_most_half_the_lift_and_a_fall_beyond_chance(
    lift_recent: float, fading: float, faded: bool
) -> None:
    assert Halves(0.8, 0.6, 0.2, lift_recent, fading).faded is faded


# The halves of a book.


def sample(outcomes: list[int], *, avoid: bool = False) -> Sample:
    n = len(outcomes)
    return Sample.of(
        Book(outcomes, [0.0] * n, [1] * n, [28 * k for k in range(n)], {}), avoid=avoid
    )


EARLY = [1, 1, 1, -1, 1, -1, -1, -1]  # Inside 3 of 4, outside 1 of 4.
RECENT = [1, 1, -1, -1, 1, 1, 1, -1]  # Inside 2 of 4, outside 3 of 4.
INSIDE = np.array([True] * 4 + [False] * 4)
BOTH = np.concatenate([INSIDE, INSIDE])


def test_the_halves_compare_inside_with_outside_before_and_after() -> None:
    """Lifts .75 - .25 and .5 - .75; over all 5/8 - 4/8; variance 9/16 x 7/16 x 4/4 x deff."""
    halves = Halves.of(sample(EARLY + RECENT), BOTH, 1.5)
    assert halves is not None
    assert (halves.early, halves.recent) == (0.75, 0.5)
    assert (halves.lift, halves.lift_recent) == pytest.approx((0.125, -0.25))
    assert halves.fading == pytest.approx((0.5 + 0.25) / (9 / 16 * 7 / 16 * 1.5) ** 0.5)


def test_halves_of_unequal_size_weigh_as_much_as_they_have_trades() -> None:
    """Inside 2 and 3 trades, outside 4 and 3: (1/2 + 1/4 + 1/3 + 1/3) x .25."""
    outcomes = [1, 1, -1, -1, 1, -1, 1, -1, -1, -1, 1, 1]
    inside = np.array([True] * 2 + [False] * 4 + [True] * 3 + [False] * 3)
    halves = Halves.of(sample(outcomes), inside, 1.0)
    assert halves is not None
    assert (halves.early, halves.recent) == pytest.approx((1.0, 1 / 3))
    assert halves.lift_recent == pytest.approx(1 / 3 - 2 / 3)
    fall = (1 - 1 / 4) - (1 / 3 - 2 / 3)
    assert halves.fading == pytest.approx(fall / (0.25 * (1 / 2 + 1 / 4 + 2 / 3)) ** 0.5)


def test_breakevens_belong_to_no_half() -> None:
    """Four break-evens in front would otherwise move the middle of the book."""
    plain = Halves.of(sample(EARLY + RECENT), BOTH, 1.0)
    outcomes = [0, 0, 0, 0, *EARLY, *RECENT]
    assert Halves.of(sample(outcomes), np.array([True, False] * 2 + BOTH.tolist()), 1.0) == plain


def test_the_middle_trade_of_an_odd_book_is_recent() -> None:
    outcomes, inside = [1, -1, 1, -1, 1], np.array([True, False, True, True, False])
    halves = Halves.of(sample(outcomes), inside, 1.0)
    assert halves is not None
    assert (halves.early, halves.recent) == (1.0, 0.5)


def test_for_avoid_the_halves_count_losses() -> None:
    halves = Halves.of(sample(EARLY + RECENT, avoid=True), BOTH, 1.0)
    assert halves is not None
    assert (halves.early, halves.recent, halves.lift) == pytest.approx((0.25, 0.5, -0.125))


@pytest.mark.parametrize("missing", range(4))
def test_a_half_without_trades_on_a_side_cannot_be_compared(missing: int) -> None:
    """Each half has trades inside and outside, but one of the four is taken away."""
    inside = [True, True, False, False] * 2
    group = slice(2 * missing, 2 * missing + 2)
    inside[group] = [not held for held in inside[group]]
    assert Halves.of(sample([1, -1] * 4), np.array(inside), 1.0) is None


def test_a_book_that_only_wins_has_not_faded() -> None:
    halves = Halves.of(sample([1] * 16), BOTH, 1.0)
    assert halves is not None
    assert (halves.fading, halves.faded) == (0.0, False)
