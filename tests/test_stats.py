"""What closed trades add up to, and how sure one can be of it.

The twelve trades are EVIDENCE 6, checked there against seven libraries. Other expected
numbers come from a hand calculation, a published table, or scipy.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import astuple
from decimal import Decimal
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from store.stats import (
    Clusters,
    Interval,
    Measures,
    Sums,
    design_effect,
    mean_interval,
    measures,
    normal_quantile,
    sqn,
    streak_chance,
    t_quantile,
    wilson,
)

TWELVE = [Decimal(net) for net in (120, -80, 0, 45, "1.2", "-1.3", -200, 310, -60, 15, -100, 90)]
FORTY = [Decimal(30)] * 20 + [Decimal(-10)] * 16 + [Decimal(-100)] * 4


def sums(net_pnls: Sequence[Decimal]) -> Sums:
    won = [net for net in net_pnls if net > 0]
    lost = [-net for net in net_pnls if net < 0]
    return Sums(
        n=len(net_pnls),
        wins=len(won),
        losses=len(lost),
        breakevens=len(net_pnls) - len(won) - len(lost),
        gross_pnl=sum(net_pnls, Decimal(0)) + len(net_pnls),
        fees=Decimal(len(net_pnls)),
        net_pnl=sum(net_pnls, Decimal(0)),
        won=sum(won, Decimal(0)),
        lost=sum(lost, Decimal(0)),
        squares=math.fsum(float(net) ** 2 for net in net_pnls),
        cubes=math.fsum(float(net) ** 3 for net in net_pnls),
        won_squares=math.fsum(float(net) ** 2 for net in won),
        lost_squares=math.fsum(float(net) ** 2 for net in lost),
    )


# The twelve trades.


def test_the_win_rate_of_the_twelve_trades_is_of_wins_and_losses() -> None:
    answer = measures(sums(TWELVE))
    assert answer.win_rate == pytest.approx(6 / 11)
    assert answer.win_rate_all == 0.5


def test_the_expectancy_of_the_twelve_trades_counts_the_breakeven() -> None:
    assert measures(sums(TWELVE)).expectancy == Decimal("11.658333")


def test_the_profit_factor_of_the_twelve_trades_divides_money() -> None:
    assert measures(sums(TWELVE)).profit_factor == pytest.approx(1.3170, abs=5e-5)


def test_the_payoff_ratio_of_the_twelve_trades_is_mean_win_over_mean_loss() -> None:
    assert measures(sums(TWELVE)).payoff_ratio == pytest.approx(1.0975, abs=5e-5)


def test_the_plain_kelly_of_the_twelve_trades_follows_from_their_measures() -> None:
    """p - (1 - p) / payoff, with zeros as losses: .0444 (EVIDENCE 6)."""
    answer = measures(sums(TWELVE))
    assert answer.win_rate_all is not None
    assert answer.payoff_ratio is not None
    kelly = answer.win_rate_all - (1 - answer.win_rate_all) / answer.payoff_ratio
    assert kelly == pytest.approx(0.0444, abs=5e-5)


def test_the_sqn_formula_gives_the_twelve_trades_their_published_number() -> None:
    """.3164 at n = 12; shown at n = 48, twice as much, for 12 is below the 30 required."""
    pnls = [float(net) for net in TWELVE]
    mean, sd = statistics.fmean(pnls), statistics.stdev(pnls)
    assert sqn(48, mean, sd) == pytest.approx(2 * 0.3164, abs=1e-4)


def test_twelve_trades_are_too_few_for_an_interval_of_money() -> None:
    answer = measures(sums(TWELVE))
    assert (answer.expectancy_low, answer.expectancy_high) == (None, None)
    assert (answer.profit_factor_low, answer.profit_factor_high) == (None, None)


def test_quantstats_agrees_on_the_twelve_trades() -> None:
    pandas = pytest.importorskip("pandas")
    oracle = pytest.importorskip("quantstats.stats")
    returns = pandas.Series([float(net) / 1000 for net in TWELVE])
    answer = measures(sums(TWELVE))
    assert answer.win_rate == pytest.approx(oracle.win_rate(returns))
    assert answer.profit_factor == pytest.approx(oracle.profit_factor(returns))
    assert answer.payoff_ratio == pytest.approx(oracle.payoff_ratio(returns))


# What is undefined.


def test_an_empty_book_has_no_measures_but_a_reason() -> None:
    answer = measures(Sums())
    known = [value for value in astuple(answer) if value is not None]
    assert known == [False, "no decided trades"]
    assert not answer.dependence_judged
    assert answer.profit_factor_reason == "no decided trades"


def test_without_losing_trades_there_is_no_profit_factor_but_a_reason() -> None:
    answer = measures(sums([Decimal(5), Decimal(0)]))
    assert (answer.profit_factor, answer.payoff_ratio) == (None, None)
    assert answer.profit_factor_reason == "no losing trades"


def test_without_winning_trades_the_profit_factor_is_zero() -> None:
    answer = measures(sums([Decimal(-5)]))
    assert (answer.profit_factor, answer.profit_factor_reason) == (0.0, None)
    assert answer.payoff_ratio is None


def test_breakevens_alone_have_an_expectancy_but_no_win_rate() -> None:
    answer = measures(sums([Decimal(0)] * 3))
    assert (answer.win_rate, answer.win_rate_low, answer.win_rate_all) == (None, None, 0.0)
    assert answer.expectancy == 0


@pytest.mark.parametrize(
    ("net_pnl", "n", "expectancy"),
    [
        ("0.000005", 2, "0.000002"),
        ("0.000007", 2, "0.000004"),
        ("-0.000005", 2, "-0.000002"),
        ("-0.000001", 3, "0.000000"),
    ],
)
def test_expectancy_is_rounded_half_even_to_six_digits_and_never_minus_zero(
    net_pnl: str, n: int, expectancy: str
) -> None:
    answer = measures(Sums(n=n, net_pnl=Decimal(net_pnl)))
    assert str(answer.expectancy) == expectancy


@pytest.mark.parametrize(
    ("wins", "losses", "shown"),
    [
        (15, 5, True),
        (5, 15, True),
        (14, 5, False),
        (4, 30, False),
        (30, 4, False),
        (5, 30, True),
        (30, 5, True),
    ],
)
def test_intervals_of_money_need_twenty_trades_five_wins_and_five_losses(
    wins: int, losses: int, shown: bool
) -> None:
    answer = measures(sums([Decimal(7)] * wins + [Decimal(-4)] * losses))
    assert (answer.expectancy_low is not None) is shown
    assert (answer.profit_factor_high is not None) is shown


@given(st.lists(st.decimals(-1000, 1000, places=2), max_size=60))
def test_no_measure_is_ever_nan_or_infinite(net_pnls: list[Decimal]) -> None:
    numbers = [v for v in astuple(measures(sums(net_pnls))) if isinstance(v, float | Decimal)]
    assert all(math.isfinite(number) for number in numbers)


# Win rate interval.


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high"),
    [
        (81, 182, 0.2553, 0.3662),
        (15, 133, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 28, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    wins: int, losses: int, low: float, high: float
) -> None:
    """Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3."""
    interval = wilson(wins, losses)
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(0, 5000), st.integers(0, 5000), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(wins: int, losses: int, confidence: float) -> None:
    assume(wins + losses > 0)
    interval = wilson(wins, losses, confidence=confidence)
    oracle = scipy.stats.binomtest(wins, wins + losses).proportion_ci(confidence, method="wilson")
    assert interval is not None
    assert interval.low == pytest.approx(oracle.low, rel=1e-9, abs=1e-12)
    assert interval.high == pytest.approx(oracle.high, rel=1e-9, abs=1e-12)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(1, 50))
def test_wilson_lies_within_zero_and_one_and_contains_the_rate(
    wins: int, losses: int, deff: float
) -> None:
    assume(wins + losses > 0)
    interval = wilson(wins, losses, deff)
    assert interval is not None
    assert 0 <= interval.low <= wins / (wins + losses) <= interval.high <= 1


def test_a_design_effect_of_four_counts_four_trades_as_one() -> None:
    shared, independent = wilson(120, 80, deff=4), wilson(30, 20)
    assert shared is not None
    assert independent is not None
    assert astuple(shared) == pytest.approx(astuple(independent))


def test_no_decided_trade_has_no_win_rate_interval() -> None:
    assert wilson(0, 0) is None


def test_a_design_effect_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"deff 0\.5 is below 1"):
        wilson(5, 5, deff=0.5)


# Trades that win or lose together.


def clusters(groups: Sequence[Sequence[bool]]) -> Clusters:
    """The sums of groups of decided trades, True a win."""
    counts = [(sum(group), len(group)) for group in groups if group]
    return Clusters(
        len(counts),
        sum(w * w for w, _ in counts),
        sum(w * d for w, d in counts),
        sum(d * d for _, d in counts),
    )


def effect(weeks: Sequence[Sequence[bool]], blocks: Sequence[Sequence[bool]] = ()) -> float | None:
    trades = [won for week in weeks for won in week]
    wins = sum(trades)
    return design_effect(wins, len(trades) - wins, clusters(weeks), clusters(blocks))


def robust(groups: Sequence[Sequence[bool]]) -> float:
    """Cluster-robust variance of the mean over r (1 - r) / n, from the residuals themselves."""
    trades = [won for group in groups for won in group]
    n, g, rate = len(trades), len(groups), Fraction(sum(trades), len(trades))
    sums = [sum((won - rate for won in group), Fraction(0)) for group in groups]
    variance = Fraction(g, g - 1) * sum(one * one for one in sums) / n**2
    return float(variance / (rate * (1 - rate) / n))


def test_weeks_that_win_or_lose_as_a_whole_multiply_the_variance_by_their_size() -> None:
    """Six weeks of 4, three won: residuals +-2, so 6/5 x 6 x 4 / (24 / 4) = 4.8."""
    assert effect([[True] * 4, [False] * 4] * 3) == pytest.approx(4.8)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=5, max_size=12))
def test_the_design_effect_is_the_cluster_robust_variance_over_the_binomial(
    weeks: list[list[bool]],
) -> None:
    assume(len({won for week in weeks for won in week}) == 2)
    assert effect(weeks) == pytest.approx(max(1, robust(weeks)))


def test_weeks_that_balance_are_not_better_than_independent_trades() -> None:
    assert effect([[True, False]] * 10) == 1.0


@pytest.mark.parametrize(("weeks", "judged"), [(4, False), (5, True)])
def test_dependence_is_judged_from_five_weeks_on(weeks: int, judged: bool) -> None:
    groups = [[True, True], [False, False], [True, False]] * 2
    assert (effect(groups[:weeks]) is not None) is judged


@pytest.mark.parametrize(("blocks", "judged"), [(7, False), (8, True)])
def test_blocks_of_four_weeks_count_from_eight_on_where_they_say_more(
    blocks: int, judged: bool
) -> None:
    """Weeks of one trade, blocks of four that win or lose as a whole."""
    whole = [[k % 2 == 0] * 4 for k in range(blocks)]
    weeks = [[won] for block in whole for won in block]
    assert effect(weeks, whole) == pytest.approx(robust(whole) if judged else robust(weeks))


def test_blocks_that_say_less_than_weeks_change_nothing() -> None:
    weeks = [[True] * 3, [False] * 3] * 8
    blocks = [[True, False] * 3] * 8
    assert effect(weeks, blocks) == pytest.approx(robust(weeks))


@pytest.mark.parametrize("won", [True, False])
def test_a_book_that_only_wins_or_only_loses_has_no_design_effect(won: bool) -> None:
    assert effect([[won] * 3] * 9, [[won] * 3] * 9) == 1.0


def test_sums_begin_at_nothing() -> None:
    *numbers, weeks, blocks = astuple(Sums())
    assert set(numbers) == set(weeks) == set(blocks) == {0}


def test_no_trades_have_no_design_effect() -> None:
    assert design_effect(0, 0, Clusters(), Clusters()) is None


def test_the_win_rate_interval_of_a_book_allows_for_its_weeks() -> None:
    """12 of 24 in weeks that win or lose as a whole count as 24 / 4.8 = 5 trades."""
    weeks = clusters([[True] * 4, [False] * 4] * 3)
    answer = measures(Sums(n=24, wins=12, losses=12, weeks=weeks))
    expected = wilson(12, 12, deff=4.8)
    assert expected is not None
    assert answer.dependence_judged
    assert (answer.win_rate_low, answer.win_rate_high) == pytest.approx(astuple(expected))


def test_in_fewer_than_five_weeks_the_interval_says_that_dependence_was_not_judged() -> None:
    """Four weeks that win or lose as a whole, taken for 16 independent trades."""
    weeks = clusters([[True] * 4, [False] * 4] * 2)
    answer = measures(Sums(n=16, wins=8, losses=8, weeks=weeks))
    expected = scipy.stats.binomtest(8, 16).proportion_ci(0.95, method="wilson")
    assert not answer.dependence_judged
    assert (answer.win_rate_low, answer.win_rate_high) == pytest.approx(
        (expected.low, expected.high)
    )


# Quantiles.


@pytest.mark.parametrize("df", [4, 5, 7, 10, 20, 50, 1000])
@pytest.mark.parametrize("p", [0.025, 0.05, 0.5, 0.95, 0.975])
def test_the_t_quantile_is_right_to_a_thousandth_from_four_degrees_of_freedom(
    p: float, df: int
) -> None:
    assert t_quantile(p, df) == pytest.approx(scipy.stats.t.ppf(p, df), abs=9e-4)


def test_a_t_quantile_below_four_degrees_of_freedom_is_refused() -> None:
    with pytest.raises(ValueError, match="4 or more degrees of freedom, not 3"):
        t_quantile(0.975, 3)


def test_the_normal_quantile_is_the_tabled_one() -> None:
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


# Expectancy interval.


def hall(values: Sequence[float], confidence: float = 0.90) -> Interval:
    interval = mean_interval(
        len(values),
        math.fsum(values),
        math.fsum(v**2 for v in values),
        math.fsum(v**3 for v in values),
        confidence,
    )
    assert interval is not None
    return interval


def test_without_skew_the_expectancy_interval_is_student_s() -> None:
    values = [float(v) for v in range(-12, 13)]
    low, high = scipy.stats.t.interval(
        0.90, 24, loc=0, scale=np.std(values, ddof=1) / math.sqrt(25)
    )
    assert astuple(hall(values)) == pytest.approx((low, high), abs=1e-6)


@given(st.lists(st.integers(-100, 100), min_size=20, max_size=40))
def test_the_expectancy_bounds_solve_hall_s_cubic(values: list[int]) -> None:
    """Hall 1992: g(W) = W + aW^2/3 + a^2W^3/27 + a/6n is +-t/sqrt(n) at the bounds."""
    assume(len(set(values)) > 3)
    n, sd, skew = len(values), statistics.stdev(values), scipy.stats.skew(values)
    interval, t = hall(values), t_quantile(0.95, n - 1) / math.sqrt(n)
    for bound, expected in ((interval.low, t), (interval.high, -t)):
        w = (statistics.fmean(values) - bound) / sd
        g = w + skew * w**2 / 3 + skew**2 * w**3 / 27 + skew / (6 * n)
        assert g == pytest.approx(expected, abs=1e-6)


def test_a_rare_big_loss_does_not_pass_for_profit_as_it_does_with_the_plain_t() -> None:
    """Short premium without an edge, 20 trades, skew about -4 (EVIDENCE 2: 17 % against 3.6 %).

    Four trades in five win about 1, the fifth loses about 4; the target is 5 %, and .065
    leaves three standard errors of 2,000 histories.
    """
    rng = np.random.default_rng(20260105)
    won = rng.lognormal(-0.045, 0.3, (2000, 20))
    lost = 4 * rng.lognormal(-0.32, 0.8, (2000, 20))
    pnls = np.where(rng.random((2000, 20)) < 0.8, won, -lost)
    t = scipy.stats.t.ppf(0.95, 19)
    plain = pnls.mean(1) - t * pnls.std(1, ddof=1) / math.sqrt(20) > 0
    skewed = [hall(row.tolist()).low > 0 for row in pnls]
    assert plain.mean() > 0.13
    assert np.mean(skewed) < 0.065


def test_the_expectancy_bounds_of_a_book_are_money() -> None:
    answer = measures(sums(FORTY))
    interval = hall([float(net) for net in FORTY])
    assert answer.expectancy == 1
    assert answer.expectancy_low == Decimal(interval.low).quantize(Decimal("0.000001"))
    assert answer.expectancy_high == Decimal(interval.high).quantize(Decimal("0.000001"))


def test_a_mean_without_spread_or_with_four_values_has_no_interval() -> None:
    assert mean_interval(30, 60.0, 120.0, 240.0) is None
    assert mean_interval(4, 10.0, 30.0, 100.0) is None


# Profit factor interval.


def bounds(answer: Measures) -> tuple[float, float]:
    assert answer.profit_factor_low is not None
    assert answer.profit_factor_high is not None
    return answer.profit_factor_low, answer.profit_factor_high


def test_the_profit_factor_interval_is_the_delta_method_on_the_log() -> None:
    """By hand for FORTY: 600 won in 20 x 30^2, 560 lost in 16 x 10^2 + 4 x 100^2."""
    spread = math.sqrt(18_000 / 600**2 + 41_600 / 560**2)
    expected = [600 / 560 * math.exp(sign * 1.644854 * spread) for sign in (-1, 1)]
    assert bounds(measures(sums(FORTY))) == pytest.approx(expected, rel=1e-6)


def test_the_profit_factor_interval_covers_the_truth_nine_times_in_ten() -> None:
    """Wins exponential with mean 120, losses with mean 100, evenly: the truth is 1.2."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        size = np.where(rng.random(200) < 0.5, 120.0, -100.0) * rng.exponential(1, 200)
        answer = measures(sums([Decimal(f"{net:.4f}") for net in size]))
        low, high = bounds(answer)
        covered += low <= 1.2 <= high
    assert 0.87 <= covered / 1000 <= 0.93


# System quality.


def test_sqn_stops_growing_at_a_hundred_trades() -> None:
    assert sqn(400, 0.2, 1.0) == sqn(100, 0.2, 1.0) == 2.0


def test_sqn_needs_thirty_trades_and_some_spread() -> None:
    assert (sqn(29, 0.2, 1.0), sqn(30, 0.2, 0.0)) == (None, None)


# Streaks.


@pytest.mark.parametrize("q", [Fraction(1, 2), Fraction(3, 10)])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 10, 11])
def test_the_chance_of_a_streak_is_that_of_counting_every_history(length: int, q: Fraction) -> None:
    n, chance = 10, Fraction(0)
    for history in product("WL", repeat=n):
        if "W" * length in "".join(history):
            wins = history.count("W")
            chance += q**wins * (1 - q) ** (n - wins)
    assert streak_chance(length, n, float(q)) == pytest.approx(float(chance), rel=1e-12)


def test_a_million_trades_keep_the_digits_of_a_tiny_streak_chance() -> None:
    """q^k (1 + (n - k)(1 - q)) is the chance where a second streak cannot matter."""
    chance = 0.5**60 * (1 + (10**6 - 60) * 0.5)
    assert streak_chance(60, 10**6, 0.5) == pytest.approx(chance, rel=1e-9)


@pytest.mark.parametrize(
    ("length", "n", "q", "chance"),
    [(0, 5, 0.5, 1.0), (6, 5, 1.0, 0.0), (5, 5, 1.0, 1.0), (1, 5, 0.0, 0.0), (1, 0, 0.5, 0.0)],
)
def test_sure_and_impossible_streaks(length: int, n: int, q: float, chance: float) -> None:
    assert streak_chance(length, n, q) == chance
