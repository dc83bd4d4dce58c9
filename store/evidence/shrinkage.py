"""What is a lift worth that was picked because it was high?

Adaptive shrinkage (Stephens 2017, Biostatistics 18, 275-294): the lifts of all conditions
are taken as drawn from a mixture of normals around 0, fitted by EM with a penalty towards
none at all; each is then replaced by its posterior mean.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPREADS = (0.0, 0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.18, 0.25)
NULL_PENALTY = 30.0
STEPS = 60


Weights = tuple[float, ...]  # Of SPREADS, adding up to 1.
NOTHING: Weights = (1.0, *(0.0,) * (len(SPREADS) - 1))


def fitted(lifts: Any, errors: Any) -> Weights:
    """The mixture that fits these lifts, each with its standard error (above 0)."""
    lift, variance = np.asarray(lifts, float), np.asarray(errors, float) ** 2
    if not len(lift):
        return NOTHING
    weights = np.full(len(SPREADS), 1 / len(SPREADS))
    penalty = np.r_[NULL_PENALTY, np.zeros(len(SPREADS) - 1)]
    for _ in range(STEPS):
        weights = _shares(weights, lift, variance).sum(axis=1) + penalty
        weights /= weights.sum()
    return tuple(weights.tolist())


def shrunk(lifts: Any, errors: Any, mixture: Weights) -> Floats:
    """Posterior mean of each lift, seen with its standard error (above 0 unless `NOTHING`)."""
    lift, variance = np.asarray(lifts, float), np.asarray(errors, float) ** 2
    if mixture == NOTHING:
        return np.zeros(len(lift))
    shares = _shares(np.array(mixture), lift, variance)
    spread = np.array(SPREADS)[:, None] ** 2
    kept = (shares * spread / (spread + variance)).sum(axis=0)
    return kept * lift  # type: ignore[no-any-return]


def _shares(weights: Floats, lift: Floats, variance: Floats) -> Floats:
    """How likely each lift came from each spread: spreads x lifts, columns adding up to 1."""
    total = np.array(SPREADS)[:, None] ** 2 + variance
    log_density = -0.5 * (np.log(total) + lift**2 / total)
    with np.errstate(divide="ignore"):
        log_share = np.log(weights)[:, None] + log_density
    share = np.exp(log_share - log_share.max(axis=0))
    return share / share.sum(axis=0)  # type: ignore[no-any-return]


def shrunk_win_rate(
    wins: int, decided: int, base_rate: float, book_decided: int, deff: float, mixture: Weights
) -> float:
    """The win rate of a group of a book (`decided` above 0), drawn towards the book's.

    base + shrunk lift x (1 - decided / book_decided); the lift is against the rest of the
    book, its standard error allows for trades that win together. A group that is the whole
    book keeps its rate.
    """
    outside = book_decided - decided
    if outside <= 0 or not 0 < base_rate < 1:
        return wins / decided
    rest = (base_rate * book_decided - wins) / outside
    error = (base_rate * (1 - base_rate) * (1 / decided + 1 / outside) * deff) ** 0.5
    lift = float(shrunk([wins / decided - rest], [error], mixture)[0])
    return base_rate + lift * (1 - decided / book_decided)
