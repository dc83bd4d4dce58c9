"""How much less than they count do trades weigh that won or lost together?

Trades of one day, week or month share the market's mood; bullish ones gain what bearish ones
lose. A group of trades that lies in few days then shows a higher or lower win rate than
others by luck more often than its number says. The design effect is how many times.

Kish 1965 and Moulton 1990 for the effect itself. Pooling it over the whole book, signed by
the side of the trades, and using it inside a permutation test is our own: validated by
simulation (`python -m benchmarks.evidence`), not by a published theorem.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.stats import BLOCK_WEEKS, Clusters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Starts = NDArray[np.intp]

CHUNK = 2_000_000  # Values worked on at once.
SIDED = 0.05  # Below this share of the determinant both sides cannot be told apart.
MONDAY = 3  # 1970-01-01 was a Thursday: the days since then, plus 3, over 7 are ISO weeks.


def week_of(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """ISO weeks, counted on from the one of 1970-01-01, of days since 1970-01-01."""
    return (days + MONDAY) // 7


@dataclass(frozen=True)
class Level:
    """Where the groups of one level begin, and the correlation of trades inside them.

    `unsigned` is what any two trades of a group share, `signed` what two of one side share
    and two of opposite sides have inverted. Both are at least 0.
    """

    starts: Starts
    unsigned: float
    signed: float


@dataclass(frozen=True)
class Dependence:
    """Correlations of a book's outcomes within tickers of a day, days, weeks and blocks.

    `sides` and `levels` run over the trades in `order`, which is by day and ticker; None is
    the order that they came in.
    """

    sides: Floats
    levels: tuple[Level, ...]
    order: Ints | None = None

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the trades (along the last axis) in the order of `sides`."""
        return values if self.order is None else values[..., self.order]

    def design_effects(self, held: NDArray[Any]) -> Floats:
        """How many times the variance of each column's win rate exceeds that of independent
        trades; at least 1. `held` is trades x columns, in the order of `dependence_of`; a
        column may be an indicator or any score."""
        return np.concatenate([np.ones(0), *map(self._effects, _rows_of(held))])

    def _effects(self, rows: Floats) -> Floats:
        """Of some columns, laid out as rows."""
        centred = self.arranged(rows - rows.mean(axis=1, keepdims=True))
        own = finer = (centred**2).sum(axis=1)
        signed = centred * self.sides
        finer_signed = (signed**2).sum(axis=1)
        variance = own.copy()
        for level in self.levels:
            shared = _squared_sums(centred, level.starts)
            shared_signed = _squared_sums(signed, level.starts)
            variance += level.unsigned * (shared - finer)
            variance += level.signed * (shared_signed - finer_signed)
            finer, finer_signed = shared, shared_signed
        ratio = np.divide(variance, own, out=np.ones_like(own), where=own > 0)
        effects: Floats = np.maximum(1.0, ratio)
        return effects


def dependence_of(
    values: Sequence[float] | Floats,
    sides: Any,
    days: Any,
    tickers: Sequence[Hashable] | None = None,
) -> Dependence:
    """The correlations in `values` (outcomes or returns) of trades in order of their day.

    `sides`: +1 bullish, -1 bearish, 0 neutral. `days` count from 1970-01-01, never falling.
    Pairs that share a day tell the day's correlation, those that share a week but no day the
    week's, those that share a block of four weeks but no week the block's; with `tickers`,
    pairs of one ticker and day have a correlation of their own: one signal in several orders
    or accounts is nearly one trade. Moments of the pairs' products, corrected for the mean
    being estimated (1 / (n - 1)).
    """
    y, s = np.asarray(values, float), np.asarray(sides, float)
    day = np.asarray(days, np.int64)
    codes, order = [day, week_of(day), week_of(day) // BLOCK_WEEKS], None
    if tickers is not None:
        number: dict[Hashable, int] = {}
        ticker = np.array([number.setdefault(one, len(number)) for one in tickers], np.int64)
        order = np.lexsort((ticker, day))
        y, s = y[order], s[order]
        codes.insert(0, (day * len(number) + ticker)[order])  # The others keep their order.
    error = y - y.mean()
    scale = float((error**2).mean())
    levels = []
    finer = _Moments.of(error, s, None)
    for code in codes:
        starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
        own = _Moments.of(error, s, starts)
        levels.append(Level(starts, *(own - finer).correlations(len(y), scale)))
        finer = own
    return Dependence(s, tuple(levels), order)


@dataclass(frozen=True)
class _Moments:
    """Sums over ordered pairs within groups, each trade paired with itself too:
    of e e', s s' e e', of 1, s s' and (s s')^2."""

    plain: float
    signed: float
    pairs: float
    sided: float
    both: float

    @classmethod
    def of(cls, error: Floats, sides: Floats, starts: Starts | None) -> "_Moments":
        values = (error, sides * error, np.ones_like(error), sides, sides**2)
        if starts is None:
            return cls(*(float((value**2).sum()) for value in values))
        return cls(*(float(_squared_sums(value, starts)) for value in values))

    def __sub__(self, finer: "_Moments") -> "_Moments":
        return _Moments(*(a - b for a, b in zip(_parts(self), _parts(finer), strict=True)))

    def correlations(self, n: int, scale: float) -> tuple[float, float]:
        """Unsigned and signed correlation that explain the pairs' mean products."""
        if self.pairs == 0 or scale == 0:
            return 0.0, 0.0
        plain = self.plain / scale + self.pairs / (n - 1)
        signed = self.signed / scale + self.sided / (n - 1)
        determinant = self.pairs * self.both - self.sided**2
        if determinant < SIDED * self.pairs**2:
            return max(0.0, plain / self.pairs), 0.0
        return (
            max(0.0, (plain * self.both - signed * self.sided) / determinant),
            max(0.0, (signed * self.pairs - plain * self.sided) / determinant),
        )


def clusters_of(held: NDArray[Any], won: NDArray[Any], weeks: Any) -> list[Clusters]:
    """Per column of `held` (decided trades x columns), sums over the weeks in which it has
    trades; `won` and `weeks` run over the trades, weeks never falling."""
    starts = np.flatnonzero(np.r_[True, weeks[1:] != weeks[:-1]])
    found = []
    for rows in _rows_of(held):
        d = np.add.reduceat(rows, starts, axis=1)
        w = np.add.reduceat(rows * won, starts, axis=1)
        sums = ((d > 0).sum(axis=1), (w * w).sum(axis=1), (w * d).sum(axis=1), (d * d).sum(axis=1))
        found += [Clusters(*map(int, one)) for one in zip(*sums, strict=True)]
    return found


def _rows_of(columns: NDArray[Any]) -> Iterator[Floats]:
    """Columns as rows, which add up several times faster, some at a time to keep memory flat."""
    width = max(1, CHUNK // max(1, len(columns)))
    for start in range(0, columns.shape[1], width):
        yield np.ascontiguousarray(columns[:, start : start + width].T, dtype=np.float64)


def _parts(moments: _Moments) -> tuple[float, ...]:
    return (moments.plain, moments.signed, moments.pairs, moments.sided, moments.both)


def _squared_sums(values: NDArray[Any], starts: Starts) -> Any:
    """Sum over the groups of the square of their sum, along the last axis."""
    return (np.add.reduceat(values, starts, axis=-1) ** 2).sum(axis=-1)
