"""The conditions of a book that have enough trades to be tested, alone and in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.evidence.grid import Condition, Value

INSIDE_MIN, INSIDE_SHARE = 8, 0.02
PAIR_MIN, PAIR_SHARE = 15, 0.03

ALIKE = 0.9  # Correlation from which a condition is as good as a direction.
CHUNK = 50_000

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A condition, or two that hold together; `also` names what holds for the same trades.

    `with_direction` says that it holds for nearly the trades of a direction.
    """

    parts: tuple[Condition, ...]
    held: Bools  # By closed trade.
    also: tuple[str, ...] = ()
    with_direction: bool = False

    @property
    def name(self) -> str:
        return " & ".join(part.name for part in self.parts)

    @property
    def is_direction(self) -> bool:
        return self.with_direction or any(part.is_direction for part in self.parts)


def singles(
    facts: Mapping[str, Sequence[Value]], grid: Sequence[Condition], decided: Bools
) -> list[Candidate]:
    """Conditions with max(8, 2 %) decided trades inside and as many outside.

    Of those that hold for the same decided trades one is left, a direction-like one first:
    a strategy that is every call of the book, or nearly so (correlation .9 and more), cannot
    be told from the market's trend either.
    """
    columns = {name: _coded(values) for name, values in facts.items()}
    least = max(INSIDE_MIN, ceil(INSIDE_SHARE * int(decided.sum())))
    same: dict[bytes, list[tuple[Condition, Bools]]] = {}
    for condition in grid:
        held = columns[condition.column].held(condition)
        if enough(held, decided, least):
            same.setdefault(held[decided].tobytes(), []).append((condition, held))
    found = [_one_of(group) for group in same.values()]
    directions = [one.held for one in found if one.is_direction]
    return [
        replace(
            one, with_direction=any(_correlation(one.held, held) >= ALIKE for held in directions)
        )
        for one in found
    ]


def _correlation(one: Bools, other: Bools) -> float:
    """Of two indicators, neither of which is constant (phi)."""
    n, both = len(one), np.count_nonzero(one & other)
    a, b = np.count_nonzero(one), np.count_nonzero(other)
    return float((n * both - a * b) / (a * (n - a) * b * (n - b)) ** 0.5)


def overlap(one: Bools, other: Bools) -> float:
    """Jaccard: trades in both over trades in either."""
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def enough(held: Bools, decided: Bools, least: int) -> bool:
    inside = int(np.count_nonzero(held & decided))
    return least <= inside <= int(np.count_nonzero(decided)) - least


def _one_of(group: Sequence[tuple[Condition, Bools]]) -> Candidate:
    (first, held), *others = sorted(group, key=lambda one: not one[0].is_direction)
    return Candidate((first,), held, tuple(other.name for other, _ in others))


@dataclass(frozen=True)
class _Column:
    """One fact of every trade: a number (NaN where unknown) and the code of a word."""

    numbers: NDArray[np.float64]
    words: NDArray[np.int64]
    codes: Mapping[str, int]

    def held(self, condition: Condition) -> Bools:
        if condition.word is not None:
            return np.equal(self.words, self.codes.get(condition.word, -1))
        low = -np.inf if condition.low is None else condition.low
        high = np.inf if condition.high is None else condition.high
        held: Bools = (self.numbers >= low) & (self.numbers < high)
        return held


def _coded(values: Sequence[Value]) -> _Column:
    codes: dict[str, int] = {}
    if not any(isinstance(value, str) for value in values):  # None becomes NaN.
        return _Column(np.array(values, float), np.full(len(values), -2), codes)
    words = [codes.setdefault(v, len(codes)) if isinstance(v, str) else -2 for v in values]
    numbers = [np.nan if v is None or isinstance(v, str) else v for v in values]
    return _Column(np.array(numbers, float), np.array(words, np.int64), codes)


@dataclass(frozen=True)
class Pairs:
    """The pairs that deviate most from the book, and how many there are to look at."""

    strongest: list[Candidate]
    looked_at: int


def pairs(candidates: Sequence[Candidate], decided: Bools, y: Any, most: int) -> Pairs:
    """Pairs of conditions on different facts, with max(15, 3 %) decided trades inside and out.

    Directions are left out: a pair with one could not be more than suggestive. So is a pair
    that holds for all trades of one of its two. The `most` with the highest standardised
    excess of `y` are given.
    """
    usable = [one for one in candidates if not one.is_direction]
    if len(usable) < 2:
        return Pairs([], 0)
    n = int(np.count_nonzero(decided))
    both, wins = _in_both([one.held[decided] for one in usable], np.asarray(y, np.float32))
    alone = np.diag(both)
    least = max(PAIR_MIN, ceil(PAIR_SHARE * n))
    columns = np.unique([one.parts[0].column for one in usable], return_inverse=True)[1]
    fit = np.triu(columns[:, None] != columns[None, :], 1)
    fit &= (both >= least) & (both <= n - least)
    fit &= both < np.minimum(alone[:, None], alone[None, :])
    first, second = np.nonzero(fit)
    inside, won, base = both[fit].astype(float), wins[fit].astype(float), float(np.mean(y))
    spread = np.sqrt(np.maximum(base * (1 - base) * inside * (n - inside) / n, 1e-12))
    ranked = np.argsort(-(won - inside * base) / spread, kind="stable")[:most]
    strongest = [_joined(usable[first[k]], usable[second[k]]) for k in ranked]
    return Pairs(strongest, len(inside))


def _in_both(held: Sequence[Bools], y: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Trades, and wins among them, for which two conditions hold: conditions x conditions."""
    both, wins = np.zeros((2, len(held), len(held)))
    for start in range(0, len(y), CHUNK):  # Some trades at a time, so that memory stays flat.
        part = slice(start, start + CHUNK)
        rows = np.array([one[part] for one in held], np.float32)
        both += rows @ rows.T
        wins += rows @ (rows * y[part]).T
    return both, wins


def _joined(one: Candidate, other: Candidate) -> Candidate:
    return Candidate((*one.parts, *other.parts), one.held & other.held)
