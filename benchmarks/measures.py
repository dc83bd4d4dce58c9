"""Timed calls, what they come to, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

NAMES = {
    "floor": "floor",
    "store": "store",
    "again": "asked again",
    "stdio": "stdio",
    "empty_stdio": "empty, stdio",
    "http": "HTTP",
    "empty_http": "empty, HTTP",
}
TRANSPORTS = ("stdio", "http")


def quantile(times: Sequence[float], fraction: float) -> float:
    """The nearest-rank quantile."""
    ranked = sorted(times)
    return ranked[max(0, ceil(fraction * len(ranked)) - 1)]


def summed_up(times: Sequence[float]) -> dict[str, float]:
    return {"p50": quantile(times, 0.5), "p99": quantile(times, 0.99)}


@dataclass
class Measured:
    """The milliseconds of every call of one tool, by kind; or why there are none."""

    tool: str
    calls: dict[str, list[float]] = field(default_factory=dict)
    refused: str | None = None

    def numbers(self) -> dict[str, Any]:
        """Milliseconds, and the ratios of medians that the design sets targets for."""
        found: dict[str, Any] = {"tool": self.tool}
        if self.refused:
            return found | {"refused": self.refused}
        found |= {kind: summed_up(times) for kind, times in self.calls.items()}
        store = found["store"]["p50"]
        found["store_by_floor"] = store / found["floor"]["p50"]
        for way in TRANSPORTS:
            if way in found:
                expected = found[f"empty_{way}"]["p50"] + store
                found[f"{way}_by_empty_and_store"] = found[way]["p50"] / expected
        return found


def table(measured: Sequence[Measured]) -> str:
    kinds = [kind for kind in NAMES if any(kind in one.calls for one in measured)]
    ways = [way for way in TRANSPORTS if way in kinds]
    headings = (
        "p50/p99 in ms",
        *(NAMES[kind] for kind in kinds),
        "store/floor",
        *(f"{NAMES[way]}/(empty+store)" for way in ways),
    )
    return columns([headings, *(_row(one.numbers(), kinds, ways) for one in measured)])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows below each other, the first column to the left."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(numbers: dict[str, Any], kinds: Sequence[str], ways: Sequence[str]) -> tuple[str, ...]:
    if "refused" in numbers:
        return (numbers["tool"], *["-"] * len(kinds), *["-"] * (1 + len(ways)))
    times = (f"{numbers[kind]['p50']:.2f}/{numbers[kind]['p99']:.2f}" for kind in kinds)
    ratios = (numbers["store_by_floor"], *(numbers[f"{way}_by_empty_and_store"] for way in ways))
    return (numbers["tool"], *times, *(f"{ratio:.2f}" for ratio in ratios))
