"""What do these trades add up to, and how sure can one be?

Everything here is a pure function of plain values. Money is Decimal, statistics are float,
and what is not defined is None: never NaN, infinity or a stand-in such as 999.
"""

from collections import deque
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from math import cbrt, exp, log, sqrt
from statistics import NormalDist

MICRO = Decimal("0.000001")  # Money is kept in millionths of the account's currency.
RATE_CONFIDENCE = 0.95
MONEY_CONFIDENCE = 0.90
WEEKS_MIN = 5  # Weeks of entry below which dependence cannot be judged.
BLOCK_WEEKS, BLOCKS_MIN = 4, 8
KELLY_SHARE, KELLY_MAX = 0.5, 0.1


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Clusters:
    """Sums over the weeks (or other clusters) in which decided trades d, wins w, were entered:
    how many clusters, and their sums of w^2, w d and d^2."""

    n: int = 0
    ww: int = 0
    wd: int = 0
    dd: int = 0


@dataclass(frozen=True)
class Sums:
    """What SQL adds up over closed trades; `Sums()` is an empty book.

    `weeks` and `blocks` (of four weeks) say how the decided trades cluster by entry.
    """

    n: int = 0
    wins: int = 0
    losses: int = 0
    breakevens: int = 0
    gross_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    net_pnl: Decimal = Decimal(0)
    won: Decimal = Decimal(0)  # Net P&L of the winners.
    lost: Decimal = Decimal(0)  # Net P&L of the losers, as a positive number.
    squares: float = 0.0  # Of net P&L, in currency squared, every closed trade.
    cubes: float = 0.0
    won_squares: float = 0.0
    lost_squares: float = 0.0
    weeks: Clusters = Clusters()
    blocks: Clusters = Clusters()


@dataclass(frozen=True)
class Measures:
    """How a group of closed trades did. Ratios are unrounded; money has 6 decimals.

    win_rate is of wins and losses, with its 95 % interval; win_rate_all is of n.
    dependence_judged says whether the interval allows for trades that win or lose together.
    expectancy and profit_factor carry 90 % intervals, None where they would mislead: below
    20 trades, 5 wins or 5 losses. profit_factor_reason says why a profit factor is None.
    """

    win_rate: float | None
    win_rate_all: float | None
    win_rate_low: float | None
    win_rate_high: float | None
    dependence_judged: bool
    expectancy: Decimal | None
    expectancy_low: Decimal | None
    expectancy_high: Decimal | None
    profit_factor: float | None
    profit_factor_reason: str | None
    profit_factor_low: float | None
    profit_factor_high: float | None
    payoff_ratio: float | None


def measures(sums: Sums) -> Measures:
    """Win rate, expectancy, profit factor and payoff ratio, each with its uncertainty.

    Break-evens count in n, expectancy and win_rate_all, and in nothing else. An empty book
    gives None everywhere.
    """
    decided = sums.wins + sums.losses
    effect = design_effect(sums.wins, sums.losses, sums.weeks, sums.blocks)
    rate = wilson(sums.wins, sums.losses, effect or 1.0)
    enough = enough_for_interval(sums.n, sums.wins, sums.losses)
    mean = _expectancy_interval(sums) if enough else None
    factor = _profit_factor_interval(sums) if enough else None
    return Measures(
        win_rate=sums.wins / decided if decided else None,
        win_rate_all=sums.wins / sums.n if sums.n else None,
        win_rate_low=rate.low if rate else None,
        win_rate_high=rate.high if rate else None,
        dependence_judged=effect is not None,
        expectancy=_money(sums.net_pnl / sums.n) if sums.n else None,
        expectancy_low=_money(Decimal(mean.low)) if mean else None,
        expectancy_high=_money(Decimal(mean.high)) if mean else None,
        profit_factor=float(sums.won / sums.lost) if sums.lost else None,
        profit_factor_reason=_why_no_profit_factor(sums),
        profit_factor_low=factor.low if factor else None,
        profit_factor_high=factor.high if factor else None,
        payoff_ratio=_payoff_ratio(sums),
    )


def enough_for_interval(n: int, wins: int, losses: int) -> bool:
    """Whether an interval of a mean may be shown: 20 trades, 5 wins and 5 losses."""
    return n >= 20 and wins >= 5 and losses >= 5


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(MICRO, rounding=ROUND_HALF_EVEN) + 0  # Never "-0.000000".


def _expectancy_interval(sums: Sums) -> Interval | None:
    return mean_interval(sums.n, float(sums.net_pnl), sums.squares, sums.cubes)


def _why_no_profit_factor(sums: Sums) -> str | None:
    if sums.lost:
        return None
    return "no losing trades" if sums.wins else "no decided trades"


def _payoff_ratio(sums: Sums) -> float | None:
    """Mean winner over mean loser; None while either side is empty."""
    if not (sums.wins and sums.losses and sums.lost):
        return None
    return float(sums.won * sums.losses / (sums.lost * sums.wins))


def _profit_factor_interval(sums: Sums) -> Interval | None:
    """90 % interval of the profit factor by the delta method on its logarithm.

    With X a trade's gain or 0 and Y its loss or 0, XY = 0 in every trade, so the covariance
    of the two sums cancels the 1/n of their variances and
    var(log PF) = sum X^2 / (sum X)^2 + sum Y^2 / (sum Y)^2 (Casella & Berger 2002, 5.5.4).
    """
    if not (sums.won and sums.lost):
        return None
    won, lost = float(sums.won), float(sums.lost)
    spread = sqrt(sums.won_squares / won**2 + sums.lost_squares / lost**2)
    reach = normal_quantile((1 + MONEY_CONFIDENCE) / 2) * spread
    return Interval(exp(log(won / lost) - reach), exp(log(won / lost) + reach))


def design_effect(wins: int, losses: int, weeks: Clusters, blocks: Clusters) -> float | None:
    """How many times the variance of the win rate exceeds that of independent trades.

    Cluster-robust variance by week of entry over the binomial one, at least 1 (Kish 1965);
    with 8 or more blocks of four weeks the larger of the two. None below 5 weeks: then it
    cannot be judged. The interval keeps z: with Student's t on weeks - 1 the interval of 20
    to 100 independent trades covers 98 to 99 %, with z 94 to 97 %, and 93 % or more where
    trades of a day win and lose together (`python -m benchmarks.evidence`).
    """
    if weeks.n < WEEKS_MIN:
        return None
    effects = [_variance_ratio(wins, losses, weeks)]
    if blocks.n >= BLOCKS_MIN:
        effects.append(_variance_ratio(wins, losses, blocks))
    return max(1.0, *effects)


def _variance_ratio(wins: int, losses: int, clusters: Clusters) -> float:
    if not (wins and losses):
        return 1.0
    n = wins + losses
    rate = wins / n
    spread = clusters.ww - 2 * rate * clusters.wd + rate**2 * clusters.dd
    return spread * clusters.n / (clusters.n - 1) / (n * rate * (1 - rate))


def wilson(
    wins: int, losses: int, deff: float = 1.0, confidence: float = RATE_CONFIDENCE
) -> Interval | None:
    """Interval of a win rate from 1 decided trade on; None without any.

    Wilson 1927 (score interval; Brown, Cai & DasGupta 2001, eq. 4) on the effective number
    of trades, (wins + losses) / deff. `deff`, at least 1, is the design effect of trades that
    share days or weeks.
    """
    n = wins + losses
    if n == 0:
        return None
    if deff < 1:
        raise ValueError(f"deff {deff} is below 1.")
    interval = score_interval(wins / n, n / deff, confidence)
    return Interval(interval.low if wins else 0.0, interval.high if losses else 1.0)


def score_interval(rate: float, n_eff: float, confidence: float = RATE_CONFIDENCE) -> Interval:
    """Wilson's interval of a rate seen in `n_eff` independent trades (above 0, any fraction)."""
    z2 = normal_quantile((1 + confidence) / 2) ** 2
    centre = (rate + z2 / (2 * n_eff)) / (1 + z2 / n_eff)
    half = sqrt(z2 * (rate * (1 - rate) + z2 / (4 * n_eff)) / n_eff) / (1 + z2 / n_eff)
    # Rounding alone could push a bound past the rate or out of [0, 1].
    return Interval(max(0.0, min(centre - half, rate)), min(1.0, max(centre + half, rate)))


def mean_interval(
    n: int, total: float, squares: float, cubes: float, confidence: float = MONEY_CONFIDENCE
) -> Interval | None:
    """Interval of a mean that allows for skew; None below 5 values or without any spread.

    Hall 1992 (JRSS B 54, 221-228), the cubic transformation of Student's t, inverted; with
    no skew it is the ordinary t interval. From the sums of the values, squares and cubes.
    """
    if n < 5:
        return None
    mean = total / n
    deviations = squares - mean * total
    if deviations <= 0:
        return None
    third = cubes / n - 3 * mean * squares / n + 2 * mean**3
    skew = third / (deviations / n) ** 1.5
    sd = sqrt(deviations / (n - 1))
    t = t_quantile((1 + confidence) / 2, n - 1)
    return Interval(
        mean - sd * _unskewed(t / sqrt(n), skew, n), mean - sd * _unskewed(-t / sqrt(n), skew, n)
    )


def _unskewed(x: float, skew: float, n: int) -> float:
    """Hall's inverse, 3/skew ((1 + skew (x - skew/6n))^(1/3) - 1), also where skew is 0.

    Written with c^3 - 1 = (c - 1)(c^2 + c + 1), so that nothing is divided by the skew.
    """
    y = x - skew / (6 * n)
    c = cbrt(1 + skew * y)
    return 3 * y / (c * c + c + 1)


@lru_cache(maxsize=64)
def normal_quantile(p: float) -> float:
    """The value a standard normal stays below with probability `p`, 0 < p < 1."""
    return NormalDist().inv_cdf(p)


def t_quantile(p: float, df: int) -> float:
    """The value Student's t stays below with probability `p`, 0 < p < 1, for df 4 and up.

    Cornish-Fisher in 1/df (Abramowitz & Stegun 1964, 26.7.5): right to .0009 at the 95th and
    97.5th percentile from df 4. Fewer degrees of freedom are refused, not approximated.
    """
    if df < 4:
        raise ValueError(f"t_quantile needs 4 or more degrees of freedom, not {df}.")
    z = normal_quantile(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(df) ** power for power, term in enumerate(terms))


def sqn(n: int, mean: float, sd: float) -> float | None:
    """System quality number, sqrt(min(n, 100)) mean / sd of R or of return on risk.

    Tharp 2008, capped at 100 trades. `sd` is the sample's (n - 1). None below 30 trades or
    without any spread.
    """
    if n < 30 or sd == 0:
        return None
    return sqrt(min(n, 100)) * mean / sd


def streak_chance(length: int, n: int, q: float) -> float:
    """Chance of a streak at least `length` long somewhere in `n` trades, each with chance `q`.

    Feller 1968, XIII.7. With f(i) the chance of none in i trades,
    f(i) = f(i-1) - (1-q) q^k f(i-k-1); its complement is added up instead, for a sum of
    positive terms keeps its digits where 1 - f would lose them. Takes time in n, memory in
    `length`. A streak of 0 is certain, one longer than n impossible.
    """
    if length <= 0:
        return 1.0
    if length > n:
        return 0.0
    whole: float = q**length
    chance, start = whole, (1 - q) * whole
    earlier = deque([0.0] * length + [chance])
    for _ in range(n - length):
        chance += start * (1 - earlier.popleft())
        earlier.append(chance)
    return min(1.0, chance)


@dataclass(frozen=True)
class Kelly:
    """Most that an average loss may cost, as a share of capital (1 = 100 %), 0 to 0.1.

    A ceiling, not advice. `reason` says why it is 0.
    """

    fraction: float
    reason: str | None = None


def kelly(sums: Sums, expectancy_low: Decimal | None) -> Kelly:
    """Half of Kelly's share, shrunk for how little is known; 0 unless an edge is shown.

    0.5 f max(0, 1 - 1/t^2), at most 10 %, where f = p - q / payoff (Kelly 1956), p is wins of
    all closed trades, so that break-evens count as not won, and t is mean net P&L over its
    standard error. Plugged in unshrunk, f over-bets by more than twice for one in four traders
    with a good edge at 60 trades (Baker & McHale 2013 on shrinking it).

    `expectancy_low` is that of `measures`: None, or not above 0, gives 0. So does a mean that
    is not above 0 once its error allows for trades that win and lose together (the design
    effect of the win rate).
    """
    payoff = _payoff_ratio(sums)
    if sums.n == 0:
        return Kelly(0.0, "no closed trades")
    if payoff is None:
        return Kelly(0.0, "no losing trades" if not sums.losses else "no winning trades")
    if expectancy_low is None:
        return Kelly(0.0, "fewer than 20 trades, 5 wins or 5 losses")
    if expectancy_low <= 0:
        return Kelly(0.0, "expectancy is not shown to be above 0")
    full = kelly_full(sums.wins, sums.n, payoff)
    if full <= 0:
        return Kelly(0.0, "break-evens counted as losses leave no edge")
    deff = design_effect(sums.wins, sums.losses, sums.weeks, sums.blocks) or 1.0
    t_squared = _t_squared(sums) / deff
    if t_squared <= normal_quantile((1 + MONEY_CONFIDENCE) / 2) ** 2:
        return Kelly(0.0, "expectancy is not shown to be above 0")
    return Kelly(min(KELLY_MAX, KELLY_SHARE * full * (1 - 1 / t_squared)))


def kelly_full(wins: int, n: int, payoff: float) -> float:
    """f = p - q / payoff, p = wins / n; below 0 where the odds are against the trader. Kelly's
    share itself, never to be told to anyone: `kelly` is."""
    p = wins / n
    return p - (1 - p) / payoff


def _t_squared(sums: Sums) -> float:
    """Square of mean net P&L over its standard error; infinite without any spread."""
    total = float(sums.net_pnl)
    deviations = sums.squares - total**2 / sums.n
    return total**2 * (sums.n - 1) / sums.n / deviations if deviations > 0 else float("inf")
