"""Books of closed trades written as a few lots."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from store.evidence.book import Book
from store.evidence.grid import GRID, Value

APART = 28  # Days between trades that share no day, no week and no block of four weeks.


@dataclass(frozen=True)
class Lot:
    """Trades with these facts; wins, losses and break-evens are spread evenly over the book."""

    facts: Mapping[str, Value]
    wins: int
    losses: int
    breakevens: int = 0
    gain: float | None = 0.5  # Return on risk of a winner ...
    loss: float | None = -0.3  # ... and of a loser.
    side: int = 1
    since: float = 0.0  # Part of the book's time that the lot spans.
    until: float = 1.0
    first: Literal["any", "wins", "losses"] = "any"  # What comes before all the rest.

    def rows(self) -> list[tuple[float, int, "Lot"]]:
        """When, from 0 to 1, with which outcome."""
        kinds = [(1, self.wins), (-1, self.losses), (0, self.breakevens)]
        if self.first == "any":
            spread = [((k + 0.5) / count, kind) for kind, count in kinds for k in range(count)]
        else:
            kinds.sort(key=lambda one: one[0], reverse=self.first == "wins")
            ordered = [kind for kind, count in kinds for _ in range(count)]
            spread = [((k + 0.5) / len(ordered), kind) for k, kind in enumerate(ordered)]
        span = self.until - self.since
        return [(self.since + span * at, kind, self) for at, kind in spread]

    def return_of(self, outcome: int) -> float | None:
        return {1: self.gain, -1: self.loss, 0: 0.0}[outcome]


def book_of(*lots: Lot, apart: int = APART) -> Book:
    """The trades of the lots, one every `apart` days."""
    rows = sorted((row for lot in lots for row in lot.rows()), key=lambda row: row[0])
    columns = dict.fromkeys(name for lot in lots for name in lot.facts)
    return Book(
        outcomes=[outcome for _, outcome, _ in rows],
        returns=[lot.return_of(outcome) for _, outcome, lot in rows],
        sides=[lot.side for _, _, lot in rows],
        days=[apart * k for k in range(len(rows))],
        facts={name: [lot.facts.get(name) for _, _, lot in rows] for name in columns},
    )


@dataclass(frozen=True)
class Invented:
    """Random trades: `share` of them hold `strategy=edge`, which adds `lift` to their chance."""

    n: int
    base: float = 0.5
    lift: float = 0.0
    share: float = 0.25

    def book(self, seed: int) -> Book:
        rng = np.random.default_rng(seed)
        edge = rng.random(self.n) < self.share
        won = rng.random(self.n) < self.base + self.lift * edge
        facts: dict[str, Any] = {
            "strategy": [
                "edge" if e else f"s{k}"
                for e, k in zip(edge, rng.integers(0, 4, self.n), strict=True)
            ],
            "weekday": [f"d{k}" for k in rng.integers(0, 5, self.n)],
            "dte": rng.integers(0, 90, self.n).tolist(),
            "iv": rng.uniform(0.1, 1, self.n).tolist(),
            "scanner_score": rng.uniform(30, 100, self.n).tolist(),
        }
        return Book(
            outcomes=np.where(won, 1, -1).tolist(),
            returns=np.where(won, 1.0, -0.2).tolist(),
            sides=[1] * self.n,
            days=[k // 2 for k in range(self.n)],
            facts=facts,
        )


def banded(column: str) -> list[str]:
    """The names of the bands of a column, without the column."""
    return [band.name.removeprefix(column) for band in GRID if band.column == column]
