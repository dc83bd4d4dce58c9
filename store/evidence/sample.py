"""A book as arrays: the outcomes that are tested, and how they depend on each other."""

from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from store.evidence.book import Book
from store.evidence.dependence import Dependence, Floats, dependence_of, week_of
from store.evidence.grid import Value
from store.evidence.luck import seed_of
from store.stats import BLOCK_WEEKS

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Closed trades in order of entry; `y`, `sides` and `days` run over the decided ones.

    y is 1 for what is looked for: a win, or for `avoid` a loss. `earned` is what trades can be
    compared by: returns, or money where some returns are on risk and others on notional.
    """

    outcomes: Ints
    returns: Floats
    earned: Floats
    decided: Bools
    y: Floats
    sides: Floats
    days: Ints
    tickers: tuple[Value, ...] | None

    @classmethod
    def of(cls, book: Book, *, avoid: bool = False) -> "Sample":
        outcomes = np.asarray(book.outcomes, np.int64)
        returns = np.array([np.nan if r is None else r for r in book.returns], float)
        decided = outcomes != 0
        return cls(
            outcomes=outcomes,
            returns=returns,
            earned=np.array(book.net_pnls, float) if book.basis == "mixed" else returns,
            decided=decided,
            y=(outcomes[decided] == (-1 if avoid else 1)).astype(float),
            sides=np.asarray(book.sides, float)[decided],
            days=np.asarray(book.days, np.int64)[decided],
            tickers=tuple(compress(book.facts["ticker"], decided))
            if "ticker" in book.facts
            else None,
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def total(self) -> int:
        return int(self.y.sum())

    @property
    def base(self) -> float:
        return self.total / len(self) if len(self) else 0.0

    @cached_property
    def dependence(self) -> Dependence:
        return dependence_of(self.y, self.sides, self.days, self.tickers)

    @cached_property
    def weeks(self) -> Ints:
        return week_of(self.days)

    @cached_property
    def blocks(self) -> Ints:
        return self.weeks // BLOCK_WEEKS

    def seed(self, *more: NDArray[np.generic]) -> int:
        """Of the permutations of these outcomes."""
        return seed_of(self.y, self.days, *more)
