"""A file of trades as the book that the tools would make of it."""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from store.evidence.book import Book
from store.evidence.grid import FREE, WEEKDAYS, Value

MULTIPLIER = 100
EPOCH = date(1970, 1, 1).toordinal()


def read_book(path: Path) -> Book:
    """The closed trades of a CSV file in order of entry; moments are the market's own."""
    with path.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["entry_time"], row["id"]))
    return book_of({name: [row[name] for row in rows] for name in (rows[0] if rows else ())})


def book_of(columns: dict[str, Sequence[Any]]) -> Book:
    """Columns of text in order of entry. Risk is the premium, which a short option lacks:
    there the premium is the notional that its return falls back to."""
    if not columns:
        return Book((), (), (), (), {})
    entered = [datetime.fromisoformat(str(text)) for text in columns["entry_time"]]
    pnl = [float(text) for text in columns["pnl"]]
    sides = [
        1 if (kind == "CALL") == (direction == "long") else -1
        for kind, direction in zip(columns["option_type"], columns["direction"], strict=True)
    ]
    facts: dict[str, Sequence[Value]] = {
        "ticker": _words(columns["ticker"]),
        "strategy": _words(columns["strategy"]),
        "structure": ["single"] * len(pnl),
        "option_type": [str(kind).lower() for kind in columns["option_type"]],
        "direction": ["bullish" if side > 0 else "bearish" for side in sides],
        "scanner_score": _numbers(columns["scanner_score"]),
        "ai_score": _numbers(columns["ai_score"]),
        "abs_delta": [None if d is None else abs(d) for d in _numbers(columns["delta"])],
        "iv": _numbers(columns["iv"]),
        "dte": _numbers(columns["dte"]),
        "weekday": [WEEKDAYS[at.weekday()] for at in entered],
        "hour": [f"{at.hour:02d}" for at in entered],
        FREE + "market_regime": _words(columns["market_regime"]),
    }
    return Book(
        outcomes=[(value > 0) - (value < 0) for value in pnl],
        returns=[
            value / (float(price) * float(quantity) * MULTIPLIER) if float(price) else None
            for value, price, quantity in zip(
                pnl, columns["entry_price"], columns["quantity"], strict=True
            )
        ],
        sides=sides,
        days=[at.toordinal() - EPOCH for at in entered],
        facts=facts,
    )


def _words(column: Sequence[Any]) -> list[str | None]:
    return [str(text) or None for text in column]


def _numbers(column: Sequence[Any]) -> list[float | None]:
    return [None if text in ("", None) else float(text) for text in column]
