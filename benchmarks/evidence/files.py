"""Histories on disk: a CSV file each, and beside them one file with the truth."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence.histories import History

TRUTH = "truth.jsonl"
COLUMNS = (
    "id", "ticker", "strategy", "option_type", "direction", "scanner_score", "ai_score", "delta",
    "iv", "dte", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "fees",
    "pnl", "market_regime",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What made a history: each trade's chance of winning, and the trades an edge was planted
    in, in order of entry."""

    name: str
    kind: str
    p: NDArray[np.float64]
    planted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.p)


def write(history: History, folder: Path) -> dict[str, Any]:
    """The file of one history; gives its line of the truth."""
    columns = {**history.columns, "id": range(1, len(history) + 1)}
    with (folder / f"{history.name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(zip(*(columns[name] for name in COLUMNS), strict=True))
    return {
        "dataset": history.name,
        "kind": history.kind,
        "condition": history.condition,
        "p": history.p.round(4).tolist(),
        "planted": np.flatnonzero(history.planted).tolist(),
    }


def read_truth(folder: Path) -> Iterator[Truth]:
    with (folder / TRUTH).open() as lines:
        for line in map(json.loads, lines):
            planted = np.zeros(len(line["p"]), bool)
            planted[line["planted"]] = True
            yield Truth(line["dataset"], line["kind"], np.array(line["p"]), planted)
