"""Timed calls, what they come to, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

KINDS = ("floor", "store", "end_to_end", "empty")


@dataclass(frozen=True)
class Measured:
    """The milliseconds of every call of one tool, by kind."""

    tool: str
    calls: dict[str, list[float]]

    def at(self, kind: str, fraction: float) -> float:
        """The nearest-rank quantile."""
        ranked = sorted(self.calls[kind])
        return ranked[max(0, ceil(fraction * len(ranked)) - 1)]

    def numbers(self) -> dict[str, Any]:
        """Milliseconds, and the ratios of medians that the design sets targets for."""
        found: dict[str, Any] = {"tool": self.tool}
        for kind in KINDS:
            found[kind] = {"p50": self.at(kind, 0.5), "p99": self.at(kind, 0.99)}
        floor, store, whole, empty = (found[kind]["p50"] for kind in KINDS)
        found["store_by_floor"] = store / floor
        found["end_to_end_by_empty_and_store"] = whole / (empty + store)
        return found


HEADINGS = (
    "p50/p99 in ms", "floor", "store", "end to end", "empty call", "store/floor",
    "e2e/(empty+store)",
)  # fmt: skip


def table(measured: Sequence[Measured]) -> str:
    rows = [HEADINGS, *(_row(one.numbers()) for one in measured)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(numbers: dict[str, Any]) -> tuple[str, ...]:
    times = (f"{numbers[kind]['p50']:.2f}/{numbers[kind]['p99']:.2f}" for kind in KINDS)
    ratios = (numbers["store_by_floor"], numbers["end_to_end_by_empty_and_store"])
    return (numbers["tool"], *times, *(f"{ratio:.2f}" for ratio in ratios))
