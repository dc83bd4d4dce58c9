"""A file of trades as the book that the tools would make of it."""

import csv
from collections.abc import Callable, Mapping
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.evidence.files import COLUMNS
from store.evidence.book import Book
from store.evidence.grid import FREE, WEEKDAYS, Value

T = TypeVar("T")
Row = Mapping[str, str]

MULTIPLIER = 100
SCORES = ("scanner_score", "ai_score")
KINDS = {"CALL": "CALL", "PUT": "PUT"}
WAYS = {"long": "long", "short": "short"}
EPOCH = date(1970, 1, 1).toordinal()
SIDES = {("CALL", "long"): 1, ("PUT", "short"): 1, ("CALL", "short"): -1, ("PUT", "long"): -1}


class UnreadableError(ValueError):
    """A file that cannot be read, in words that name the place."""


def read_book(path: Path) -> Book:
    """The closed trades of a CSV file in order of entry; moments are the market's own.

    Raises:
        UnreadableError: a column is missing, or a cell is not what its column holds.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UnreadableError(f"{path.name}: no column {', '.join(missing)}")
        try:
            trades = [_trade(path, reader.line_num, row) for row in reader]
        except UnicodeDecodeError:
            raise UnreadableError(f"{path.name} is no UTF-8 text") from None
    trades.sort(key=lambda trade: trade["entered"])  # Ties stay in the order of the file.
    names = [name for name in (trades[0] if trades else ()) if name not in NOT_FACTS]
    return Book(
        outcomes=[trade["outcome"] for trade in trades],
        returns=[trade["return"] for trade in trades],
        sides=[trade["side"] for trade in trades],
        days=[trade["entered"].toordinal() - EPOCH for trade in trades],
        facts={name: [trade[name] for trade in trades] for name in names},
        risked=[True] * len(trades),  # All returns are on the premium.
        net_pnls=[trade["pnl"] for trade in trades],
    )


NOT_FACTS = ("entered", "pnl", "outcome", "return", "side")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _trade(path: Path, line: int, row: Row) -> dict[str, Any]:
    """What a row says. Risk is the premium, which a short option lacks: there the premium is
    the notional that its return falls back to."""

    def read(name: str, as_what: Callable[[str], T], what: str) -> T:
        try:
            return as_what(row[name].strip())
        except (ValueError, KeyError):
            raise UnreadableError(
                f"{path.name}, line {line}: {name} is {row[name][:40]!r}; {what} is accepted"
            ) from None

    def number(name: str) -> float:
        return read(name, _finite, "a number")

    def number_or_none(name: str) -> float | None:
        return number(name) if row[name].strip() else None

    entered = read("entry_time", datetime.fromisoformat, "a moment such as 2026-01-05T10:15")
    pnl, premium = number("pnl"), number("entry_price") * number("quantity") * MULTIPLIER
    kind = read("option_type", lambda text: KINDS[text.upper()], "CALL or PUT")
    way = read("direction", lambda text: WAYS[text.lower()], "long or short")
    side, delta = SIDES[kind, way], number_or_none("delta")
    facts: dict[str, Value] = {
        "ticker": row["ticker"].strip() or None,
        "strategy": row["strategy"].strip() or None,
        "structure": "single",
        "option_type": kind.lower(),
        "direction": "bullish" if side > 0 else "bearish",
        "scanner_score": number_or_none("scanner_score"),
        "ai_score": number_or_none("ai_score"),
        "abs_delta": None if delta is None else abs(delta),
        "iv": number_or_none("iv"),
        "dte": number_or_none("dte"),
        "weekday": WEEKDAYS[entered.weekday()],
        "hour": f"{entered.hour:02d}",
        FREE + "market_regime": row["market_regime"].strip() or None,
    }
    for name in SCORES:
        if facts[name] is not None and not 0 <= number(name) <= 100:
            raise UnreadableError(
                f"{path.name}, line {line}: {name} is {row[name]}; 0 to 100 is accepted"
            )
    return {
        "entered": entered,
        "pnl": pnl,
        "outcome": (pnl > 0) - (pnl < 0),
        "return": pnl / premium if premium else None,
        "side": side,
        **facts,
    }
