"""Formulas that tell whether a score sorts wins from losses."""

from collections.abc import Sequence
from math import erfc, exp, gamma, sqrt

import numpy as np

from store.evidence.dependence import Floats
from store.evidence.sample import Bools


def cochran_armitage(n: int, s: float, s2: float, y: float, sy: float) -> float | None:
    """z of a linear trend of the win rate in the score; positive if it rises.

    From the sums over trades of 1, score, score^2, win and score x win. Armitage 1955
    (Biometrics 11, 375-386); Agresti 2002, 5.3.5. None where scores or outcomes do not vary.
    """
    if not n:
        return None
    variance = (y / n) * (1 - y / n) * (s2 - s * s / n)
    return (sy - s * y / n) / sqrt(variance) if variance > 0 else None


def chi_square_tail(x: float, df: int) -> float:
    """The chance that chi-square with `df` (1, 2, ...) degrees of freedom exceeds x >= 0.

    Abramowitz & Stegun 1964, 26.4.4 and 26.4.5.
    """
    half = x / 2
    tail = erfc(sqrt(half)) if df % 2 else exp(-half)
    for k in range(2 - df % 2, df, 2):
        tail += half ** (k / 2) * exp(-half) / gamma(k / 2 + 1)
    return tail


def delong(won: Bools, score: Floats) -> tuple[float, float]:
    """AUC and its variance; there must be a win and a loss.

    DeLong, DeLong & Clarke-Pearson 1988 (Biometrics 44, 837-845), a tie counting half: from
    the share of losses that each win is scored above, and of wins that each loss is below.
    What a single win, or a single loss, adds to the variance cannot be told and is left out.
    """
    level = np.unique(score, return_inverse=True)[1]
    wins, losses = np.bincount(level, won), np.bincount(level, ~won)
    won_above = (np.cumsum(losses) - losses / 2) / losses.sum()
    lost_below = 1 - (np.cumsum(wins) - wins / 2) / wins.sum()
    auc = float(wins @ won_above / wins.sum())
    variance = 0.0
    for count, share in ((wins, won_above), (losses, lost_below)):
        total = float(count.sum())
        if total > 1:
            variance += float(count @ (share - auc) ** 2) / (total - 1) / total
    return auc, variance


def isotonic(wins: Sequence[int], decided: Sequence[int]) -> list[float | None]:
    """Win rates of bands in order, made never to fall from one to the next.

    The weighted least-squares fit, by pooling adjacent violators (Barlow, Bartholomew,
    Bremner & Brunk 1972, 1.2). None for a band without decided trades: it has no weight.
    """
    pools: list[tuple[int, int, int]] = []  # Wins, decided trades, bands.
    for won, of in zip(wins, decided, strict=True):
        if of:
            pools.append((won, of, 1))
        # Rates are compared by products, which are exact.
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
            last, before = pools.pop(), pools.pop()
            pools.append((last[0] + before[0], last[1] + before[1], last[2] + before[2]))
    fit = iter([won / of for won, of, bands in pools for _ in range(bands)])
    return [next(fit) if of else None for of in decided]
