"""How often does chance alone do as well as the best of many?

Every p here is of the wins among the trades of a condition, given the wins of the whole book:
the hypergeometric tail, half of the probability of exactly what was seen taken off (mid-p,
Lancaster 1961).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from math import erfc, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TINIEST = 1e-300
CHUNK = 4_000_000  # Outcomes permuted at once, so that memory stays flat.


def log_factorials(n: int) -> Floats:
    """log 0!, log 1!, ... log n!"""
    logs: Floats = np.r_[0.0, np.cumsum(np.log(np.arange(1, n + 1)))]
    return logs


def mid_p_row(size: int, n: int, wins: int, logs: Floats) -> Floats:
    """P(H > w) + P(H = w) / 2 for w = 0 .. size, H the wins among `size` trades drawn from
    `n` with `wins`; `logs` are the log factorials up to n or beyond."""
    w = np.arange(size + 1)
    low, high = max(0, size + wins - n), min(size, wins)
    can = w[low : high + 1]
    log_chance = (
        logs[wins] - logs[can] - logs[wins - can]
        + logs[n - wins] - logs[size - can] - logs[n - wins - size + can]
        - logs[n] + logs[size] + logs[n - size]
    )  # fmt: skip
    chance = np.zeros(size + 2)
    chance[can] = np.exp(log_chance)
    at_least: Floats = np.cumsum(chance[::-1])[::-1]
    # Divided by its own sum, for logs of factorials of large books cancel to 1e-9.
    p: Floats = (at_least[1:] + chance[:-1] / 2) / at_least[0]
    return p


def mid_ps(found: Ints, sizes: Ints, n: int, wins: int) -> Floats:
    """The mid-p of each condition: `found` wins among its `sizes` trades."""
    logs = log_factorials(n)
    rows = {int(size): mid_p_row(int(size), n, wins, logs) for size in np.unique(sizes)}
    return np.array([rows[int(size)][int(w)] for size, w in zip(sizes, found, strict=True)])


def deflated(p: Floats, design_effects: Floats) -> Floats:
    """The p whose normal quantile is that of `p` over the root of the design effect.

    At a design effect of 1 it is `p` to the last bit, for `step_down` counts ties.
    """
    return np.array(
        [
            one if deff == 1 else _weakened(one, deff)
            for one, deff in zip(p.tolist(), design_effects.tolist(), strict=True)
        ]
    )


def _weakened(p: float, deff: float) -> float:
    z = NormalDist().inv_cdf(min(max(p, TINIEST), 1 - 1e-16)) / sqrt(deff)
    return erfc(-z / sqrt(2)) / 2  # NormalDist.cdf of Python 3.11 is 0 from 1e-17 down.


def seed_of(*arrays: NDArray[Any]) -> int:
    """Of the permutations: the same data give the same answer."""
    digest = sha256()
    for values in arrays:
        digest.update(np.ascontiguousarray(values).tobytes())
    return int.from_bytes(digest.digest()[:8], "big")


def permuted(values: NDArray[Any], times: int, seed: int) -> Callable[[], Any]:
    """A generator of `times` reorderings of `values`, in chunks of rows; same seed, same rows."""

    def chunks() -> Any:
        rng = np.random.default_rng(seed)
        rows = max(1, CHUNK // max(1, len(values)))
        for start in range(0, times, rows):
            many = np.tile(values, (min(rows, times - start), 1))
            yield rng.permuted(many, axis=1, out=many)

    return chunks


def permuted_ps(y: NDArray[Any], held: NDArray[Any], times: int, seed: int) -> Floats:
    """Mid-p of every condition when outcomes are dealt anew: times x conditions."""
    n, wins = len(y), int(y.sum())
    logs = log_factorials(n)
    sizes, which = np.unique(held.sum(axis=0, dtype=np.int64), return_inverse=True)
    table = np.ones((len(sizes), int(sizes.max(initial=0)) + 1))
    for row, size in enumerate(sizes):
        table[row, : size + 1] = mid_p_row(int(size), n, wins, logs)
    weights = held.astype(np.float32)
    parts = [
        table[which, (many @ weights).astype(np.int32)]
        for many in permuted(y.astype(np.float32), times, seed)()
    ]
    return np.concatenate(parts)


def step_down(ps: Floats, by_luck: Floats) -> Floats:
    """p-values adjusted by the permuted ones of the same conditions (times x conditions).

    Westfall & Young 1993, step-down min-P: the chance that the best of all conditions that
    rank no higher looks this good by luck. In the order given; never falling with p.
    """
    order = np.argsort(ps, kind="stable")
    best = np.minimum.accumulate(by_luck[:, order[::-1]], axis=1)[:, ::-1]
    counts = 1 + (best <= ps[order]).sum(axis=0)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.maximum.accumulate(counts / (len(by_luck) + 1))
    return adjusted


def holm(ps: Sequence[float] | Floats) -> Floats:
    """p-values adjusted for their number, in the order given (Holm 1979).

    The chance of any false one at or below a level is at most that level, however the tests
    depend on each other. At most 1, and in the order of the p-values.
    """
    given = np.asarray(ps, float)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty(len(given))
    factors = np.arange(len(given), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * given[order]))
    return adjusted
