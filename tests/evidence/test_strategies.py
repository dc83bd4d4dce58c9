"""Strategies against each other, the order of losses, and how much Kelly would risk.

Second methods: scipy's Welch test, loops written from the papers, hand calculations, and the
twelve trades of EVIDENCE 6, checked there against seven libraries.
"""

import random
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.evidence.reordering import drawdown_percentile
from store.evidence.strategies import Comparison, Contrasts, compare, contrasts
from store.stats import Sums, kelly, kelly_full, measures
from tests.test_stats import FORTY, TWELVE, sums

Floats = NDArray[np.float64]

DAY = 19_359  # 2023-01-02, a Monday.
APART = 28  # Days, so that no two trades share a block of four weeks.


def book(**returns: Sequence[float]) -> tuple[list[str | None], list[float | None]]:
    """Strategies with their returns, `none` for trades without one."""
    groups = [None if name == "none" else name for name, rs in returns.items() for _ in rs]
    return groups, [r for rs in returns.values() for r in rs]


def comparison(groups: Sequence[str | None], returns: Sequence[float | None]) -> Comparison:
    """Of trades that share no day, week or month."""
    days = [DAY + APART * k for k in range(len(groups))]
    return compare(groups, returns, [1] * len(groups), days)


def draws(seed: int, n: int, mean: float = 0.0) -> list[float]:
    drawn: list[float] = (mean + 0.4 * np.random.default_rng(seed).standard_normal(n)).tolist()
    return drawn


# Is any strategy better?


def test_a_strategy_that_earns_half_a_risk_more_is_found_among_three() -> None:
    groups, returns = book(swing=draws(1, 60), leaps=draws(2, 60, 0.5), scalp=draws(3, 60))

    found = comparison(groups, returns)

    assert found.compared == 3
    assert found.reason is None
    assert list(found.mean_return) == list(found.p_adjusted)
    assert next(iter(found.mean_return)) == "leaps"
    assert {name for name, p in found.p_adjusted.items() if p is not None and p <= 0.05} == {
        "leaps"
    }


def test_returns_are_means_of_what_is_known_best_first() -> None:
    groups, returns = book(a=[0.1, -0.3] * 5, b=[0.5, -0.1] * 5, c=[9.0] * 9, none=[-1.0] * 40)
    groups, returns = [*groups, "a"], [*returns, None]

    found = comparison(groups, returns)

    assert found.compared == 2  # c has fewer than 10 trades.
    assert list(found.mean_return) == ["b", "a"]
    assert found.mean_return == pytest.approx({"a": -0.1, "b": 0.2})


def test_a_strategy_that_only_had_two_good_days_is_not_better() -> None:
    """Days differ for all; the same returns would be evidence if each were of another day."""
    a, b, c = draws(4, 15, 0.3), draws(5, 15, 0.5), draws(6, 15, 0.2)
    groups, returns = book(
        a=[*a, *(r + 0.3 for r in a)], b=[*b, *(r - 0.9 for r in b)], c=[*c, *(r - 0.5 for r in c)]
    )
    six_days = [DAY + APART * (k // 15) for k in range(90)]

    apart = comparison(groups, returns).p_adjusted["a"]
    together = compare(groups, returns, [1] * 90, six_days).p_adjusted["a"]

    assert apart is not None
    assert apart <= 0.01
    assert together is not None
    assert together > 0.05


def test_a_strategy_that_has_hardly_lost_yet_is_not_judged() -> None:
    groups, returns = book(premium=[0.2] * 38 + [-1.0] * 2, swing=draws(7, 60))

    found = comparison(groups, returns)

    assert found.p_adjusted["premium"] is None
    # The rest of swing is premium, of which the same is true.
    assert found.p_adjusted["swing"] is None
    assert found.mean_return["premium"] == pytest.approx(0.14)
    assert found.reason == "no strategy and its rest have 3 gains and 3 losses each"


def test_below_50_closed_trades_only_luck_is_told() -> None:
    groups, returns = book(a=draws(8, 25, 2.0), b=draws(9, 24))

    found = comparison(groups, returns)

    assert found.p_adjusted == {"a": None, "b": None}
    assert found.reason == "fewer than 50 closed trades"
    assert found.best_by_luck is not None
    assert found.best_by_luck > np.mean([r for r in returns if r is not None])


def test_closed_trades_without_a_known_return_count_towards_the_50() -> None:
    groups, returns = book(a=draws(8, 25), b=draws(9, 24))

    assert comparison([*groups, None], [*returns, None]).reason is None


@pytest.mark.parametrize(
    ("groups", "returns"),
    [
        ([], []),
        (["a"] * 60, [0.1, -0.1] * 30),
        ([None] * 60, [0.1, -0.1] * 30),
        (["a"] * 30 + ["b"] * 9, [0.1] * 39),
        (["a"] * 30 + ["b"] * 30, [0.1] * 30 + [None] * 30),
    ],
    ids=["no trades", "one strategy", "no names", "nine trades", "no returns"],
)
def test_fewer_than_two_strategies_are_nothing_to_compare(
    groups: list[str | None], returns: list[float | None]
) -> None:
    assert comparison(groups, returns) == Comparison(
        0, {}, {}, None, "fewer than 2 strategies have 10 trades with a known return"
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -0.7])
def test_where_all_trades_return_the_same_none_is_better(value: float) -> None:
    found = comparison(*book(a=[value] * 30, b=[value] * 30))

    assert found.p_adjusted == {"a": None, "b": None}
    assert found.best_by_luck == pytest.approx(value)


def test_strategies_with_the_same_returns_are_not_better_than_each_other() -> None:
    returns = [0.3, -0.2, 0.1, -0.4, 0.5] * 8

    found = comparison(*book(a=returns, b=returns, c=returns))

    assert set(found.p_adjusted) == {"a", "b", "c"}
    assert all(p is not None and p > 0.3 for p in found.p_adjusted.values())


def test_chances_agree_with_a_loop_written_from_the_papers() -> None:
    """Welch's t and moments by scipy, other random orders, step-down as Romano & Wolf 2005
    word it. 4,000 orders against 1,999: two Monte Carlo errors are below .03."""
    lottery = (np.random.default_rng(12).lognormal(-1, 1.2, 25) - 0.5).tolist()
    groups, together = book(
        a=draws(10, 20, 0.35), b=draws(11, 30, 0.1), c=lottery, none=draws(13, 15)
    )
    ends = [0, 20, 50, 75]

    found = comparison(groups, together)

    rng = np.random.default_rng(99)
    values = np.array(together, float)
    orders = np.array([values, *(rng.permutation(values) for _ in range(4000))])
    table = np.column_stack(
        [_hall_t(orders, slice(ends[k], ends[k + 1])) for k in range(len(ends) - 1)]
    )
    expected = _step_down_by_hand(table[0], table[1:])
    adjusted = [found.p_adjusted[name] for name in "abc"]
    assert adjusted == pytest.approx(expected, abs=0.03)
    assert found.best_by_luck == pytest.approx(
        np.mean([max(row[a:b].mean() for a, b in pairwise(ends)) for row in orders[1:]]), abs=0.005
    )


def _hall_t(rows: Floats, part: slice) -> Floats:
    inside, outside = rows[:, part], np.delete(rows, part, axis=1)
    t: Floats = scipy.stats.ttest_ind(inside, outside, axis=1, equal_var=False).statistic
    n, m = inside.shape[1], outside.shape[1]
    error = np.sqrt(inside.var(axis=1, ddof=1) / n + outside.var(axis=1, ddof=1) / m)
    third = (
        scipy.stats.moment(inside, 3, axis=1) / n**2 - scipy.stats.moment(outside, 3, axis=1) / m**2
    )
    skew = third / error**3
    return np.asarray(t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6)


def _step_down_by_hand(seen: Floats, by_luck: Floats) -> list[float]:
    adjusted = [0.0] * len(seen)
    remaining, floor = sorted(range(len(seen)), key=lambda k: -seen[k]), 0.0
    while remaining:
        best = remaining[0]
        as_good = sum(max(row[k] for k in remaining) >= seen[best] for row in by_luck)
        floor = max(floor, (1 + as_good) / (1 + len(by_luck)))
        adjusted[best] = floor
        remaining = remaining[1:]
    return adjusted


def test_t_is_the_one_of_scipy_for_each_group_of_each_row() -> None:
    rng = np.random.default_rng(14)
    rows, sizes = rng.standard_t(3, (5, 60)), np.array([10, 25])  # And 25 of no group.

    found = contrasts(rows, sizes)

    for k, part in enumerate([slice(0, 10), slice(10, 35)]):
        rest = np.delete(rows, part, axis=1)
        welch = scipy.stats.ttest_ind(rows[:, part], rest, axis=1, equal_var=False)
        assert found.t[:, k] == pytest.approx(welch.statistic)
        assert found.means[:, k] == pytest.approx(rows[:, part].mean(axis=1))


def test_an_all_embracing_last_group_has_no_rest_beyond_the_others() -> None:
    rows = np.array([[-1.0, 1.0, -1.0, 1.0, 0.0, 0.5]])

    found = contrasts(rows, np.array([2, 4]))

    assert found.t[0, 0] == pytest.approx(-found.t[0, 1])
    assert found.skew[0, 0] == pytest.approx(-found.skew[0, 1])


def test_half_a_spread_of_nothing_leaves_t_finite() -> None:
    found = contrasts(np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([2, 2]))

    assert np.isfinite(found.unskewed()).all()
    assert found.t[0, 0] > 1000


small_returns = st.lists(st.integers(-20, 20), min_size=60, max_size=80)


@settings(max_examples=20, deadline=None)
@given(small_returns, st.randoms(use_true_random=False), st.sampled_from([0.001, 0.05, 3.0]))
def test_neither_names_nor_the_unit_change_what_is_luck(
    hundredths: list[int], dice: random.Random, unit: float
) -> None:
    groups: list[str | None] = [dice.choice(["a", "b", "c", None]) for _ in hundredths]

    found = comparison(groups, [r / 100 for r in hundredths])
    scaled = comparison(groups, [r / 100 * unit for r in hundredths])

    for name, p in found.p_adjusted.items():
        if p is None:
            assert scaled.p_adjusted[name] is None
        else:  # Rounding gives the scaled data another seed.
            assert scaled.p_adjusted[name] == pytest.approx(p, abs=0.08)
            assert 1 / 2000 <= p <= 1
    ranked = [p for p in found.p_adjusted.values() if p is not None]
    assert found == comparison(groups, [r / 100 for r in hundredths])
    assert found.best_by_luck is None or found.best_by_luck >= np.mean(hundredths) / 100 - 1e-9
    assert len(ranked) <= found.compared


# Did losses come in a bunch?


def test_losses_in_one_bunch_are_told_from_losses_spread_out() -> None:
    bunched = [10] * 15 + [-10] * 15
    spread = [10, -10] * 15

    # Only one order in 155 million is as deep: none of 1,000, and the one that happened.
    assert drawdown_percentile(bunched) == 1 / 1001
    assert drawdown_percentile(spread) == 1.0  # None falls by less than one loss.


@pytest.mark.parametrize(
    "net_pnls",
    [[], [-1] * 19, [1] * 30, [0] * 30, [1, -1] * 10_001],
    ids=["none", "19 trades", "no loss", "all break-even", "20,002 trades"],
)
def test_where_order_says_nothing_there_is_no_share(net_pnls: list[int]) -> None:
    assert drawdown_percentile(net_pnls) is None


def test_a_book_that_only_loses_the_same_falls_as_deep_in_any_order() -> None:
    assert drawdown_percentile([-0.1] * 20) == 1.0


def test_a_loss_on_the_first_trade_is_a_fall() -> None:
    """From a peak of 0, one loss of 100 among small gains is the drawdown of every order."""
    assert drawdown_percentile([1] * 29 + [-100]) == 1.0


def test_the_share_agrees_with_a_loop_over_other_orders() -> None:
    """EVIDENCE 6's twelve trades twice: their drawdown, -235.10, is of an order that repeats.
    2,000 orders against 1,000: two Monte Carlo errors are below .05."""
    twice = [float(net) for net in TWELVE] * 2
    deepest = _drawdown(twice)
    dice = random.Random(15)
    orders = [dice.sample(twice, len(twice)) for _ in range(2000)]

    as_deep = sum(_drawdown(order) <= deepest + 1e-9 for order in orders)

    assert _drawdown([float(net) for net in TWELVE]) == pytest.approx(-235.10)
    assert drawdown_percentile(twice) == pytest.approx(as_deep / 2000, abs=0.05)


def _drawdown(net_pnls: list[float]) -> float:
    totals = [0.0, *accumulate(net_pnls)]
    return min(total - max(totals[: k + 1]) for k, total in enumerate(totals))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=20, max_size=60))
def test_millionths_and_currency_have_one_share_and_it_repeats(net_pnls: list[int]) -> None:
    share = drawdown_percentile(net_pnls, times=500)

    assert share == drawdown_percentile(net_pnls, times=500)
    assert (share is None) == (min(net_pnls) >= 0)
    if share is not None:
        micros = drawdown_percentile([net * 1_000_000 for net in net_pnls], times=500)
        assert 0 <= share <= 1
        assert micros == pytest.approx(share, abs=0.2)  # Another seed.


# How much would Kelly risk?


def test_twelve_trades_have_the_share_of_evidence_6_and_are_too_few_for_any() -> None:
    found = measures(sums(TWELVE))

    assert found.payoff_ratio is not None
    assert kelly_full(6, 12, found.payoff_ratio) == pytest.approx(0.0444, abs=5e-5)
    assert kelly(sums(TWELVE), found.expectancy_low).fraction == 0.0
    assert kelly(sums(TWELVE), found.expectancy_low).reason == (
        "fewer than 20 trades, 5 wins or 5 losses"
    )


def test_half_of_the_share_is_shrunk_by_how_little_is_known() -> None:
    """By hand: 60 wins of 11, 40 losses of 10: payoff 1.1, f = .6 - .4 / 1.1 = .236364;
    mean 2.6, sum of squares 11,260, variance (11,260 - 676) / 99, t^2 = 676 x 99 / 10,584
    = 6.323129; .5 x .236364 x (1 - 1 / 6.323129) = .099491."""
    found = kelly(sums([Decimal(11)] * 60 + [Decimal(-10)] * 40), Decimal("0.8"))

    assert found.fraction == pytest.approx(0.099491, abs=1e-6)
    assert found.reason is None


def test_no_more_than_a_tenth_is_ever_risked() -> None:
    wins = sums([Decimal(30)] * 80 + [Decimal(-10)] * 20)

    assert kelly(wins, Decimal(1)).fraction == 0.1


@pytest.mark.parametrize(
    ("net_pnls", "low", "reason"),
    [
        ([], None, "no closed trades"),
        ([5] * 30, None, "no losing trades"),
        ([5] * 10 + [0] * 20, None, "no losing trades"),
        ([-5] * 30, None, "no winning trades"),
        ([5] * 10 + [-5] * 4, None, "fewer than 20 trades, 5 wins or 5 losses"),
        ([5] * 20 + [-5] * 20, Decimal(0), "expectancy is not shown to be above 0"),
        ([5] * 21 + [-5] * 20, Decimal("0.01"), "expectancy is not shown to be above 0"),
        (
            [6] * 30 + [-5] * 10 + [0] * 60,
            Decimal(1),
            "break-evens counted as losses leave no edge",
        ),
    ],
)
def test_a_share_of_nothing_has_a_reason(
    net_pnls: list[int], low: Decimal | None, reason: str
) -> None:
    found = kelly(sums([Decimal(net) for net in net_pnls]), low)

    assert (found.fraction, found.reason) == (0.0, reason)


def test_a_losing_book_risks_nothing() -> None:
    assert kelly(sums(FORTY), measures(sums(FORTY)).expectancy_low).fraction == 0.0


@given(st.lists(st.integers(-50, 60), max_size=80))
def test_kelly_stays_within_its_bounds_and_needs_a_shown_edge(cents: list[int]) -> None:
    total: Sums = sums([Decimal(cent) / 100 for cent in cents])
    low = measures(total).expectancy_low

    found = kelly(total, low)

    assert 0 <= found.fraction <= 0.1
    assert (found.reason is None) == (found.fraction > 0)
    if found.fraction:
        assert low is not None
        assert low > 0


@pytest.mark.parametrize(("weeks", "reason"), [(4, "trades of fewer than 5 weeks"), (5, None)])
def test_strategies_of_a_few_weeks_are_not_told_apart(weeks: int, reason: str | None) -> None:
    values = [0.5, -0.4, 0.7, -0.3] * 30
    names = [("a", "b")[k // 2 % 2] for k in range(120)]
    found = compare(names, values, [1] * 120, [7 * (k * weeks // 120) for k in range(120)])
    assert found.reason == reason
    assert (found.p_adjusted["a"] is None) is (reason is not None)


def test_copies_of_a_trade_weigh_as_one() -> None:
    """Every signal in three accounts: as likely luck as the signals alone, or nearly."""
    rng = np.random.default_rng(5)
    names = rng.choice(["a", "b", "c"], 60).tolist()
    values = (rng.normal(0, 1, 60) + np.where(np.array(names) == "a", 0.5, 0)).tolist()
    days = [28 * (k // 2) for k in range(60)]
    tickers = [f"T{k % 2}" for k in range(60)]

    def three(column: Sequence[Any]) -> list[Any]:
        return [one for one in column for _ in range(3)]

    alone = compare(names, values, [1] * 60, days, tickers)
    copied = compare(three(names), three(values), [1] * 180, three(days), three(tickers))
    naive = compare(three(names), three(values), [1] * 180, [28 * k for k in range(180)])
    p_alone, p_copied, p_naive = (found.p_adjusted["a"] or 0.0 for found in (alone, copied, naive))
    assert p_naive < p_alone / 3
    assert p_copied == pytest.approx(p_alone, rel=0.4)


@given(st.integers(0, 10**6))
def test_the_skew_is_the_third_cumulant_of_the_difference_of_means(seed: int) -> None:
    """k3 / n^2 of the group less that of the rest, over Welch's error cubed; scipy's moments."""
    rng = np.random.default_rng(seed)
    sizes = np.array([7, 12])
    row = rng.exponential(1.0, 30)
    row = (row - row.mean()) / row.std()
    found = contrasts(row[None, :], sizes)
    for k, (start, end) in enumerate(((0, 7), (7, 19))):
        group, rest = row[start:end], np.r_[row[:start], row[end:]]
        error = (group.var(ddof=1) / len(group) + rest.var(ddof=1) / len(rest)) ** 0.5
        third = [scipy.stats.moment(one, 3) / len(one) ** 2 for one in (group, rest)]
        assert found.skew[0, k] == pytest.approx((third[0] - third[1]) / error**3)
        assert found.t[0, k] == pytest.approx((group.mean() - rest.mean()) / error)


def test_halls_transformation_by_hand() -> None:
    """t 2, skew .6: 2 + .6 x 4 / 3 + .36 x 8 / 27 + .1 = 3.00667; without skew t itself."""
    found = Contrasts(np.zeros((1, 2)), np.array([[2.0, 2.0]]), np.array([[0.6, 0.0]])).unskewed()
    assert found.tolist() == [[pytest.approx(3.006667, abs=1e-6), 2.0]]


@pytest.mark.parametrize(("n", "smallest"), [(60, 1 / 2000), (1000, 1 / 2000), (1002, 1 / 1000)])
def test_the_smallest_chance_is_one_in_as_many_as_were_dealt(n: int, smallest: float) -> None:
    """Returns without skew, 1 on average in one strategy and -1 in the other."""
    names = ["good", "bad"] * (n // 2)
    good = (-0.5, 0.5, 1.5, 2.5)
    values = [good[k // 2 % 4] * (-1 if k % 2 else 1) for k in range(n)]
    found = compare(names, values, [1] * n, [APART * k for k in range(n)])
    assert found.p_adjusted["good"] == pytest.approx(smallest)


@pytest.mark.parametrize(("losses", "told"), [(2, False), (3, True)])
def test_three_losses_show_a_skew_and_two_do_not(losses: int, told: bool) -> None:
    """The others are told apart all the same."""
    values = [-1.0] * losses + [0.4] * (20 - losses) + [0.5, -0.4] * 30
    names = ["few"] * 20 + ["a", "b", "b", "a"] * 15
    found = compare(names, values, [1] * 80, [APART * k for k in range(80)])
    assert found.reason is None
    assert (found.p_adjusted["few"] is not None) is told
    assert found.p_adjusted["a"] is not None
