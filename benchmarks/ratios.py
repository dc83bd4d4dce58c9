"""How many times as long one side takes as another, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RESAMPLES = 2_000


@dataclass
class Compared:
    """The milliseconds of every call of two sides, block by block.

    A block is made of calls that took turns: what disturbs one side of it disturbs both.
    """

    question: str
    what: str
    walled: list[list[float]] = field(default_factory=list)
    open: list[list[float]] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """Medians, their ratio, and its 95 % interval from resampling blocks (percentiles)."""
        walled, opened = np.array(self.walled), np.array(self.open)
        chosen = np.random.default_rng(1).integers(len(walled), size=(RESAMPLES, len(walled)))
        ratios = np.median(walled[chosen], axis=(1, 2)) / np.median(opened[chosen], axis=(1, 2))
        low, high = np.quantile(ratios, (0.025, 0.975))
        return {
            "question": self.question,
            "what": self.what,
            "walled_p50": float(np.median(walled)),
            "open_p50": float(np.median(opened)),
            "ratio": float(np.median(walled) / np.median(opened)),
            "low": float(low),
            "high": float(high),
        }


HEADINGS = ("p50 in ms", "of the", "walled", "open", "ratio", "95 %")


def table(compared: Sequence[dict[str, Any]]) -> str:
    rows = [HEADINGS, *(_row(numbers) for numbers in compared)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(numbers: dict[str, Any]) -> tuple[str, ...]:
    return (
        numbers["question"],
        numbers["what"],
        f"{numbers['walled_p50']:.2f}",
        f"{numbers['open_p50']:.2f}",
        f"{numbers['ratio']:.3f}",
        f"{numbers['low']:.3f} to {numbers['high']:.3f}",
    )
