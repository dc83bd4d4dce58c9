"""Invented histories of trades whose truth is known: what they could have won by skill.

Every trade has a chance of winning, `p`. Without an edge it is the same for all; outcomes
are drawn through a normal factor that trades share by day, with or without memory, bearish
trades the other way round. Whatever is planted moves `p` of the trades it holds for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS_WITHOUT_EDGE = ("independent", "daily", "memory")
LIFTS, PREVALENCES = (0.10, 0.20, 0.30), (0.10, 0.25, 0.50)
PLANTED = tuple(
    f"planted_{100 * lift:.0f}_{100 * prevalence:.0f}"
    for lift in LIFTS
    for prevalence in PREVALENCES
)
KINDS = (*KINDS_WITHOUT_EDGE, *PLANTED, "trap", "faded")
SIZES = (30, 50, 100, 200, 500, 1000, 2000)

TICKERS = ("AAPL", "MSFT", "NVDA", "SPY", "QQQ", "TSLA", "AMD", "META", "IWM", "XLE")
STRATEGIES = ("leap_call", "swing", "momentum", "mean_reversion", "earnings")
REGIMES = ("bull", "bear", "range", "volatile")
FACTOR = 0.15  # Share of a trade's latent variance that its day decides.
# Logarithms of gains and losses on the premium: means and standard deviation.
GAIN, LOSS, SPREAD = -0.6, -0.9, 0.5
TRAP_GAIN, TRAP_LOSS = 0.2, 1.5  # Times the usual gain and loss.
MEMORY, DRIFT = 0.9, 0.95  # From day to day, of the factor and of what is traded.
WEEKDAYS = 5
MONDAY = np.datetime64("2023-01-02")
NORMAL = NormalDist()


@dataclass(frozen=True)
class History:
    """Columns of a file, and the truth: each trade's chance and its mean return on risk."""

    name: str
    kind: str
    columns: dict[str, NDArray[Any]]
    p: NDArray[np.float64]
    mean_return: NDArray[np.float64]
    planted: NDArray[np.bool_]
    condition: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.p)


def history(kind: str, n: int, seed: int) -> History:
    """One history of `n` closed trades of single options, bought or sold."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, n, KINDS.index(kind)]))
    facts = _entries(n, rng)
    base = rng.uniform(0.40, 0.60)
    planted, condition, lift = _plan(kind, facts, n, rng)
    p = np.full(n, base)
    if kind.startswith("planted") or kind in ("trap", "faded"):
        share = planted.mean()
        p = np.clip(base + lift * (planted - share), 0.02, 0.98)
    if kind == "faded":
        early = np.arange(n) < n // 2
        p = np.where(early, p, base)
    won = _outcomes(kind, p, facts, rng)
    gain_factor = np.where(planted, TRAP_GAIN, 1.0) if kind == "trap" else np.ones(n)
    loss_factor = np.where(planted, TRAP_LOSS, 1.0) if kind == "trap" else np.ones(n)
    gain = gain_factor * rng.lognormal(GAIN, SPREAD, n)
    loss = np.minimum(1.0, loss_factor * rng.lognormal(LOSS, SPREAD, n))
    mean_loss = np.where(loss_factor == 1, _mean_loss(1.0), _mean_loss(TRAP_LOSS))
    expected = p * gain_factor * exp(GAIN + SPREAD**2 / 2) - (1 - p) * mean_loss
    columns = {**facts, **_money(facts, np.where(won, gain, -loss), rng)}
    return History(f"{kind}_{n:04d}_{seed:05d}", kind, columns, p, expected, planted, condition)


def _mean_loss(factor: float) -> float:
    """Mean of a log-normal loss, times a factor, that cannot exceed the premium."""
    mean = LOSS + log(factor)
    whole = NORMAL.cdf(mean / SPREAD)
    return exp(mean + SPREAD**2 / 2) * NORMAL.cdf(-mean / SPREAD - SPREAD) + whole


def _entries(n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """What is known at entry, drawn without any regard to how the trade will end.

    What is traded, how, in which volatility and by which scores drifts over weeks and
    months, as it does: trades that share a fact then also share the market's mood.
    """
    days = int(max(20, n * rng.uniform(0.3, 3.0)))
    number = np.sort(rng.integers(0, days, n))
    minute = rng.integers(9 * 60 + 30, 16 * 60, n)
    entry = (MONDAY + number // WEEKDAYS * 7 + number % WEEKDAYS).astype("datetime64[m]") + minute
    order = np.argsort(entry, kind="stable")
    number = number[order]

    def drift(of: float) -> NDArray[np.float64]:
        steps: NDArray[np.float64] = of * walk(days, DRIFT, rng)[number]
        return steps

    def words(known: Sequence[str]) -> NDArray[Any]:
        weight = np.exp([rng.normal(0, 0.5) + drift(1.0) for _ in known])
        bound = (weight / weight.sum(axis=0)).cumsum(axis=0)
        place = (bound < rng.random(n)).sum(axis=0)
        found: NDArray[Any] = np.array(known)[np.minimum(place, len(known) - 1)]
        return found

    def often(low: float, high: float) -> NDArray[np.bool_]:
        chances: NDArray[np.bool_] = rng.random(n) < rng.uniform(low, high) + drift(0.1)
        return chances

    score = (drift(7.0) + rng.normal(0, 13, n) for _ in range(2))
    return {
        "day": number,
        "entry_time": entry[order],
        "ticker": words(TICKERS[: int(rng.integers(3, len(TICKERS) + 1))]),
        "strategy": words(STRATEGIES[: int(rng.integers(2, len(STRATEGIES) + 1))]),
        "option_type": np.where(often(0.4, 0.9), "CALL", "PUT"),
        "direction": np.where(often(0.6, 1.0), "long", "short"),
        "scanner_score": np.clip(68 + next(score), 0, 100).round(),
        "ai_score": np.clip(65 + next(score), 0, 100).round(),
        "delta": rng.uniform(0.05, 0.95, n).round(2),
        "iv": np.clip(np.exp(-1.1 + drift(0.4) + rng.normal(0, 0.3, n)), 0.08, 2.5).round(3),
        "dte": np.minimum(400, rng.lognormal(2.7, 1.0, n)).astype(int),
        "market_regime": words(REGIMES),
    }


def walk(days: int, memory: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A normal of variance 1 for each day that keeps the share `memory` of the day before."""
    steps = rng.standard_normal(days)
    for day in range(1, days):
        steps[day] = memory * steps[day - 1] + (1 - memory**2) ** 0.5 * steps[day]
    return steps


def _plan(
    kind: str, facts: dict[str, NDArray[Any]], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], dict[str, Any], float]:
    """Which trades the planted condition holds for, how it is said, and its lift."""
    if kind in KINDS_WITHOUT_EDGE:
        return np.zeros(n, bool), {}, 0.0
    lift, prevalence = 0.25, 0.25
    if kind.startswith("planted"):
        _, points, percent = kind.split("_")
        lift, prevalence = int(points) / 100, int(percent) / 100
    held = rng.random(n) < prevalence
    column = str(rng.choice(["ai_score", "scanner_score", "strategy", "market_regime", "iv"]))
    if column in ("ai_score", "scanner_score"):
        facts[column] = np.where(held, rng.integers(80, 101, n), rng.integers(30, 80, n)) * 1.0
        return held, {column: [80, 100]}, lift
    if column == "iv":
        below, above = rng.uniform(0.08, 0.34, n), rng.uniform(0.5, 1.2, n)
        facts[column] = np.where(held, rng.uniform(0.35, 0.4999, n),
                                 np.where(rng.random(n) < 0.5, below, above)).round(3)  # fmt: skip
        held = (facts[column] >= 0.35) & (facts[column] < 0.5)
        return held, {column: [0.35, 0.4999]}, lift
    facts[column] = np.where(held, "special", facts[column]).astype("U20")
    return held, {column: "special"}, lift


def _outcomes(
    kind: str, p: NDArray[np.float64], facts: dict[str, NDArray[Any]], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Won or not: p each, through the factor of the day in the kinds that have one."""
    n = len(p)
    share = 0.0 if kind == "independent" else FACTOR
    if kind.startswith("planted") or kind in ("trap", "faded"):
        share = float(rng.choice([0.0, FACTOR]))
    remembers = kind == "memory" or (kind not in KINDS_WITHOUT_EDGE and rng.random() < 0.5)
    factor = walk(int(facts["day"].max()) + 1, MEMORY if remembers else 0.0, rng)
    latent = share**0.5 * sides(facts) * factor[facts["day"]]
    latent = latent + (1 - share) ** 0.5 * rng.standard_normal(n)
    won: NDArray[np.bool_] = latent < np.array([NORMAL.inv_cdf(one) for one in p])
    return won


def sides(facts: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """+1 for a long call or short put, -1 for the others."""
    return np.where((facts["option_type"] == "CALL") == (facts["direction"] == "long"), 1.0, -1.0)


def _money(
    facts: dict[str, NDArray[Any]], returns: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Prices in cents that give each trade its return on premium, and its net P&L, exactly."""
    n = len(returns)
    sign = np.where(facts["direction"] == "long", 1, -1)
    entry = rng.integers(150, 1200, n)
    moved = np.where(returns > 0, np.ceil(returns * entry), np.floor(returns * entry)).astype(int)
    moved = np.where(sign < 0, np.minimum(moved, entry), moved)  # A short option gains no more.
    moved = np.where(moved == 0, 1, moved)
    quantity = rng.integers(1, 6, n)
    fees = 2 * quantity * 65
    moved = np.where(moved > 0, moved + 2, moved)  # A win also pays its fees.
    exit_ = np.maximum(0, entry + sign * moved)
    pnl = (exit_ - entry) * sign * quantity * 100 - fees
    held = rng.lognormal(6.5, 1.0, n).astype(int) + 1
    return {
        "exit_time": facts["entry_time"] + held,
        "entry_price": entry / 100,
        "exit_price": exit_ / 100,
        "quantity": quantity,
        "fees": fees / 100,
        "pnl": pnl / 100,
    }
