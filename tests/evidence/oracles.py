"""Second methods: the same numbers by scipy, by explicit loops and by explicit matrices."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from store.evidence.shrinkage import SPREADS

Floats = NDArray[np.float64]

# Luck.


def mid_p(won: int, size: int, n: int, wins: int) -> float:
    law = scipy.stats.hypergeom(n, wins, size)
    return float(law.sf(won) + law.pmf(won) / 2)


# Dependence.


def finest_shared(one: int, other: int) -> int | None:
    """0 for a day, 1 for an ISO week, 2 for a block of four weeks, None for nothing."""
    for level, days in enumerate((1, 7, 28)):
        shift = 3 if days > 1 else 0
        if (one + shift) // days == (other + shift) // days:
            return level
    return None


def finest_with_ticker(
    one: int, other: int, day: Sequence[int], ticker: Sequence[str]
) -> int | None:
    """0 for a ticker's day, then 1 to 3 for what `finest_shared` calls 0 to 2."""
    level = finest_shared(day[one], day[other])
    if level == 0 and ticker[one] == ticker[other]:
        return 0
    return None if level is None else level + 1


def correlations(
    y: Sequence[float],
    s: Sequence[int],
    days: Sequence[int],
    tickers: Sequence[str] | None = None,
) -> list[tuple[float, float]]:
    """Unsigned and signed, by level, of the pairs that share it and nothing finer."""
    n, levels = len(y), 3 if tickers is None else 4
    error = np.array(y) - np.mean(y)
    scale = float(np.mean(error**2))
    rows: list[list[tuple[float, float]]] = [[] for _ in range(levels)]
    targets: list[list[float]] = [[] for _ in range(levels)]
    for i in range(n):
        for j in range(n):
            level = _level(i, j, days, tickers)
            if i != j and level is not None:
                rows[level].append((1.0, float(s[i] * s[j])))
                product = error[i] * error[j] / scale + 1 / (n - 1) if scale else 0.0
                targets[level].append(product)
    return [_fit(*one) for one in zip(rows, targets, strict=True)]


def _fit(rows: list[tuple[float, float]], targets: list[float]) -> tuple[float, float]:
    """EVIDENCE 3 in its matrix form: (E1, E2) = [[N, M], [M, B]] (u, v)."""
    if not rows:
        return 0.0, 0.0
    x, t = np.array(rows), np.array(targets)
    normal, right = x.T @ x, x.T @ t
    if np.linalg.det(normal) < 0.05 * normal[0, 0] ** 2 - 1e-9:
        return max(0.0, right[0] / normal[0, 0]), 0.0
    u, v = np.linalg.solve(normal, right)
    return max(0.0, float(u)), max(0.0, float(v))


def _level(one: int, other: int, days: Sequence[int], tickers: Sequence[str] | None) -> int | None:
    if tickers is None:
        return finest_shared(days[one], days[other])
    return finest_with_ticker(one, other, days, tickers)


def correlation_matrix(
    s: Sequence[int], days: Sequence[int], model: Any, tickers: Sequence[str] | None = None
) -> Floats:
    n = len(s)
    r = np.eye(n)
    for i in range(n):
        for j in range(n):
            level = _level(i, j, days, tickers)
            if i != j and level is not None:
                r[i, j] = model[level][0] + model[level][1] * s[i] * s[j]
    return r


def design_effect(a: Floats, r: Floats) -> float:
    """a' R a / a' a of the centred column, at least 1."""
    centred = a - a.mean()
    own = float(centred @ centred)
    return max(1.0, float(centred @ r @ centred) / own) if own > 1e-12 else 1.0


def cluster_effect(won: Sequence[int], clusters: Sequence[int]) -> float:
    """Cluster-robust variance of a mean of 0 and 1, over the binomial one; from residuals."""
    n, rate = len(won), sum(won) / len(won)
    if rate in (0, 1):
        return 1.0
    together = groupby(sorted(zip(clusters, won, strict=True)), key=lambda one: one[0])
    sums = [sum(w - rate for _, w in members) for _, members in together]
    g = len(sums)
    return g / (g - 1) * sum(one**2 for one in sums) / (n * rate * (1 - rate))


def wilson(rate: float, n_eff: float) -> tuple[float, float]:
    """The two r with |rate - r| = z sqrt(r (1 - r) / n_eff), as roots of the quadratic."""
    c = scipy.stats.norm.ppf(0.975) ** 2 / n_eff
    low, high = sorted(np.roots([1 + c, -(2 * rate + c), rate**2]).real)
    return float(low), float(high)


# Money.


def hall(values: Sequence[float]) -> tuple[float, float]:
    """Hall 1992, 90 %: the real root W of aW + ... = +-t / sqrt(n), by numpy's roots."""
    n, mean, sd = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    a, t = scipy.stats.skew(values), scipy.stats.t.ppf(0.95, n - 1) / n**0.5
    bounds = []
    for target in (t, -t):
        roots = np.roots([a**2 / 27, a / 3, 1, a / (6 * n) - target])
        w = roots[np.argmin(np.abs(roots.imag))].real
        bounds.append(mean - sd * float(w))
    return bounds[0], bounds[1]


# Shrinkage.


def shares_of(lift: float, error: float, weights: Sequence[float]) -> list[float]:
    joint = [
        weight * scipy.stats.norm.pdf(lift, 0, (spread**2 + error**2) ** 0.5)
        for weight, spread in zip(weights, SPREADS, strict=True)
    ]
    return [one / sum(joint) for one in joint]


def posterior(lift: float, error: float, weights: Sequence[float]) -> float:
    shares = shares_of(lift, error, weights)
    return sum(
        share * lift * spread**2 / (spread**2 + error**2)
        for share, spread in zip(shares, SPREADS, strict=True)
    )


def em(seen: Sequence[tuple[float, float]]) -> list[float]:
    """60 steps from even weights, 30 imaginary lifts of exactly nothing."""
    weights = [1 / len(SPREADS)] * len(SPREADS)
    for _ in range(60):
        counts = [30.0] + [0.0] * 8
        for lift, error in seen:
            for k, share in enumerate(shares_of(lift, error, weights)):
                counts[k] += share
        weights = [count / sum(counts) for count in counts]
    return weights
