"""A book of closed trades, column by column, as every question of evidence sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from store.evidence.grid import Value

Basis = Literal["risk", "notional", "mixed"]


@dataclass(frozen=True)
class Book:
    """Closed trades of one user, mode and currency in order of their day of entry.

    outcomes: 1 win, 0 break-even, -1 loss. returns: net P&L on risk (1 = 100 %), on the
    notional at entry where risk is unknown (`risked` says where it is known), None where
    neither is. net_pnls: in currency. sides: 1 bullish, -1 bearish, 0 neutral. days: of entry
    in the market's zone, counted from 1970-01-01, never falling. facts: what was known at
    entry, by column of `grid`; nothing that came later has a place here.
    """

    outcomes: Sequence[int]
    returns: Sequence[float | None]
    sides: Sequence[int]
    days: Sequence[int]
    facts: Mapping[str, Sequence[Value]]
    risked: Sequence[bool] = ()
    net_pnls: Sequence[float] = ()

    @property
    def basis(self) -> Basis:
        """What its returns are on; `mixed`: some on risk, others on notional."""
        if all(self.risked):
            return "risk"
        return "mixed" if any(self.risked) else "notional"

    def __len__(self) -> int:
        return len(self.outcomes)

    def numbers(self, column: str) -> list[float | None]:
        """A fact that is a number; None for every trade where it was never recorded."""
        values = self.facts.get(column, (None,) * len(self))
        return [None if isinstance(value, str) else value for value in values]

    def words(self, column: str) -> list[str | None]:
        """A fact that is a word, likewise."""
        values = self.facts.get(column, (None,) * len(self))
        return [value if isinstance(value, str) else None for value in values]

    def first(self, n: int) -> "Book":
        """The first `n` trades."""
        facts = {name: values[:n] for name, values in self.facts.items()}
        return Book(
            self.outcomes[:n],
            self.returns[:n],
            self.sides[:n],
            self.days[:n],
            facts,
            self.risked[:n],
            self.net_pnls[:n],
        )
