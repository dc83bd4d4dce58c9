"""Is any strategy better than the others, beyond luck?"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.evidence.dependence import Floats, dependence_of, week_of
from store.evidence.luck import permuted, seed_of, step_down
from store.evidence.thresholds import (
    CLOSED_MIN,
    FEWER_FROM,
    HOLM_FROM,
    PERMUTATIONS,
    PERMUTATIONS_FEWER,
    TOO_FEW_WEEKS,
)
from store.stats import WEEKS_MIN

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

TRADES_MIN = 10
SKEW_MIN = 3  # Gains, and losses, without which no skew can be seen.
PERMUTATIONS_LEAST = 99
COLUMNS = 64  # Indicators at once, so that memory stays flat.
TIE = 1e-9  # Difference that is only rounding.


@dataclass(frozen=True)
class Comparison:
    """How the strategies of one book compare. Returns are net P&L on risk (1 = 100 %).

    compared: how many strategies have 10 trades with a known return; 0 if fewer than 2 have.
    mean_return: of each of them, best first. p_adjusted: the chance that any of as many
    strategies looks this much better than the rest where none is; None where it cannot be
    told. best_by_luck: the best one's mean return to be expected where none is better.
    reason: why no strategy has a p_adjusted.
    """

    compared: int
    mean_return: Mapping[str, float]
    p_adjusted: Mapping[str, float | None]
    best_by_luck: float | None
    reason: str | None


def compare(
    groups: Sequence[str | None],
    returns: Sequence[float | None],
    sides: Sequence[int],
    days: Sequence[int],
    tickers: Sequence[Hashable] | None = None,
) -> Comparison:
    """Which strategies earn more on risk than the rest of the book, beyond luck.

    Closed trades in order of their day of entry, columns as in `Book`; `groups` names each
    one's strategy, None for none. Only trades with a known return count; the rest is all of
    them outside the strategy. The same data give the same answer.

    Welch's t against the rest, deflated for trades that share days and weeks and corrected
    for skew, is held against the best of all strategies when returns are dealt anew: step-down
    max-T (Westfall & Young 1993; Romano & Wolf 2005). As t is studentised, that also holds
    where strategies differ in spread (Chung & Romano 2013). Skew can be corrected only where
    it is seen: premium sold 15 times without a loss yet would be called an edge. A strategy
    and its rest need 3 gains and 3 losses each, or p_adjusted is None; so it is in a book
    of fewer than 50 closed trades or 5 weeks. With strategies of 15 to 200 trades that differ
    in spread and skew but not in mean, some p_adjusted was .05 or less in 2 to 4 % of books.

    best_by_luck is the mean over the same permutations of the best strategy's mean return
    (after the expected maximum of Bailey & Lopez de Prado 2014), any dependence set aside.
    """
    trades = _Trades.of(groups, returns, sides, days, tickers)
    if len(trades.names) < 2:
        why = f"fewer than 2 strategies have {TRADES_MIN} trades with a known return"
        return Comparison(0, {}, {}, None, why)
    values, sizes = trades.standardised_by_group(), trades.sizes
    seen, luck = contrasts(values[None, :], sizes), _dealt_anew(values, sizes)
    testable = trades.show_skew()
    reason = _why_untested(len(groups), trades.days, testable)
    ps = [None] * len(sizes) if reason else _adjusted(trades, seen, luck, testable)
    best_first = np.argsort(-seen.means[0], kind="stable").tolist()
    return Comparison(
        compared=len(sizes),
        mean_return={trades.names[k]: trades.as_return(seen.means[0, k]) for k in best_first},
        p_adjusted={trades.names[k]: ps[k] for k in best_first},
        best_by_luck=trades.as_return(luck.means.max(axis=1).mean()),
        reason=reason,
    )


@dataclass(frozen=True)
class _Trades:
    """Trades with a known return, in order of entry. `codes` say which of `names` each one's
    strategy is; what is compared to none has the number after the last."""

    names: list[str]
    codes: Ints
    returns: Floats
    sides: Ints
    days: Ints
    tickers: list[Hashable] | None

    @classmethod
    def of(
        cls,
        groups: Sequence[str | None],
        returns: Sequence[float | None],
        sides: Sequence[int],
        days: Sequence[int],
        tickers: Sequence[Hashable] | None,
    ) -> "_Trades":
        known = [k for k, one in enumerate(returns) if one is not None]
        counts = Counter(groups[k] for k in known)
        names = sorted(name for name, n in counts.items() if name is not None and n >= TRADES_MIN)
        number: dict[str | None, int] = {name: k for k, name in enumerate(names)}
        return cls(
            names=names,
            codes=np.array([number.get(groups[k], len(names)) for k in known], np.int64),
            returns=np.array([one for one in returns if one is not None], float),
            sides=np.array([sides[k] for k in known], np.int64),
            days=np.array([days[k] for k in known], np.int64),
            tickers=None if tickers is None else [tickers[k] for k in known],
        )

    @property
    def sizes(self) -> Ints:
        return np.bincount(self.codes)[: len(self.names)]

    @property
    def spread(self) -> float:
        return float(self.returns.std()) or 1.0

    def standardised_by_group(self) -> Floats:
        values: Floats = (self.returns - self.returns.mean()) / self.spread
        return values[np.argsort(self.codes, kind="stable")]

    def as_return(self, standardised: float) -> float:
        return float(self.returns.mean() + self.spread * standardised)

    def show_skew(self) -> Bools:
        """Whether each strategy, and its rest, has enough trades on either side of 0."""
        enough = np.ones(len(self.names), bool)
        for side in (self.returns > 0, self.returns < 0):
            inside = np.bincount(self.codes[side], minlength=len(enough))[: len(enough)]
            enough &= (inside >= SKEW_MIN) & (side.sum() - inside >= SKEW_MIN)
        return enough

    def design_effects(self) -> Floats:
        dependence = dependence_of(self.returns, self.sides, self.days, self.tickers)
        numbers = np.arange(len(self.names))
        parts = np.split(numbers, range(COLUMNS, len(numbers), COLUMNS))
        return np.concatenate(
            [dependence.design_effects((self.codes[:, None] == part) * 1.0) for part in parts]
        )


def _why_untested(closed: int, days: Ints, testable: Bools) -> str | None:
    if closed < CLOSED_MIN:
        return f"fewer than {CLOSED_MIN} closed trades"
    if len(np.unique(week_of(days))) < WEEKS_MIN:
        return TOO_FEW_WEEKS
    if not testable.any():
        return f"no strategy and its rest have {SKEW_MIN} gains and {SKEW_MIN} losses each"
    return None


def _adjusted(
    trades: _Trades, seen: "Contrasts", luck: "Contrasts", testable: Bools
) -> list[float | None]:
    # What is dealt anew shares no days: only what was seen is deflated.
    found = seen.deflated(trades.design_effects()).unskewed()[0, testable]
    ps = step_down(TIE - found, -luck.unskewed()[:, testable]).tolist()  # A tie is as good.
    return [ps.pop(0) if one else None for one in testable]


@dataclass(frozen=True)
class Contrasts:
    """Groups against all other trades of their row; each field is rows x groups.

    means: of the groups. t: Welch's, of the difference of means. skew: the difference's third
    cumulant over its standard error cubed.
    """

    means: Floats
    t: Floats
    skew: Floats

    def deflated(self, design_effects: Floats) -> "Contrasts":
        return Contrasts(self.means, self.t / np.sqrt(design_effects), self.skew)

    def unskewed(self) -> Floats:
        """t by Hall's cubic transformation (1992; Zhou & Dinh 2005, Biostatistics 6, 187-200,
        for two samples), which `stats.mean_interval` inverts; it never falls with t."""
        t, skew = self.t, self.skew
        return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6


def contrasts(rows: Floats, sizes: Ints) -> Contrasts:
    """Each row holds the trades of the first group, of the second and so on, by `sizes`, and
    at its end those of none. Two or more in and outside of each group. Values are expected to
    have mean 0 and spread 1, so that a spread of nothing can be told from rounding."""
    starts = np.r_[0, np.cumsum(sizes)]
    starts = starts[starts < rows.shape[1]]
    inside, outside = [], []
    powers = np.ones_like(rows)
    for _ in range(3):
        powers *= rows
        sums = np.add.reduceat(powers, starts, axis=1)
        inside.append(sums[:, : len(sizes)])
        outside.append(sums.sum(axis=1, keepdims=True) - inside[-1])
    own, others = _cumulants(inside, sizes), _cumulants(outside, rows.shape[1] - sizes)
    error = np.sqrt(np.maximum(own[1] + others[1], TIE / sizes))
    return Contrasts(own[0], (own[0] - others[0]) / error, (own[2] - others[2]) / error**3)


def _cumulants(sums: Sequence[Floats], n: Ints) -> tuple[Floats, Floats, Floats]:
    """First three cumulants of a mean of `n` values: sums of the values, squares and cubes."""
    mean, square, cube = (one / n for one in sums)
    third = cube - 3 * mean * square + 2 * mean**3
    return mean, (square - mean**2) / (n - 1), third / n**2


def _dealt_anew(values: Floats, sizes: Ints) -> Contrasts:
    parts = [
        contrasts(rows, sizes)
        for rows in permuted(values, _times(len(values)), seed_of(values, sizes))()
    ]
    return Contrasts(
        np.concatenate([part.means for part in parts]),
        np.concatenate([part.t for part in parts]),
        np.concatenate([part.skew for part in parts]),
    )


def _times(n: int) -> int:
    """Fewer in large books; beyond 20,000 trades so few that time stays flat, to 200,000."""
    if n <= FEWER_FROM:
        return PERMUTATIONS
    return max(PERMUTATIONS_LEAST, min(PERMUTATIONS_FEWER, PERMUTATIONS_FEWER * HOLM_FROM // n))
