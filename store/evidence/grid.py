"""Which facts known at entry are looked at, fixed before any outcome is seen.

A condition is named COLUMN, then '=', '>=' or '<', then a value, without spaces:
`option_type=call`, `scanner_score>=70`, `iv<0.2`. '=' with two numbers is a band: from the
first up to, not including, the next band's first (`scanner_score=60-69` holds at 69.5;
`abs_delta=0.2-0.4` does not at 0.4; dte is whole days, so `dte=8-21` includes both ends).
A free fact that is a number is cut at the quartiles of the whole book; of one that is a
word the 20 most frequent values are looked at.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

DIRECTION_LIKE = ("option_type", "direction")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WORDS = 20  # Values of a free fact that are looked at, the most frequent first.
FREE = "condition."  # What the name of a free fact begins with.


@dataclass(frozen=True)
class Condition:
    """`low <= value < high` of a number, an open end being None; or a word that is equal."""

    name: str
    column: str
    low: float | None = None
    high: float | None = None
    word: str | None = None

    def holds(self, value: float | str | None) -> bool:
        """Whether it holds for the value of its column; for an unknown one it does not."""
        if value is None or isinstance(value, str) or self.word is not None:
            return value is not None and value == self.word
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)

    @property
    def is_direction(self) -> bool:
        return self.column in DIRECTION_LIKE


def _bands(column: str, *rows: tuple[str, float | None, float | None]) -> tuple[Condition, ...]:
    return tuple(Condition(column + label, column, low, high) for label, low, high in rows)


_SCORE = (
    ("<50", None, 50.0),
    ("=50-59", 50.0, 60.0),
    ("=60-69", 60.0, 70.0),
    ("=70-79", 70.0, 80.0),
    ("=80-89", 80.0, 90.0),
    (">=90", 90.0, None),
    (">=60", 60.0, None),
    (">=70", 70.0, None),
    (">=80", 80.0, None),
)

GRID: tuple[Condition, ...] = (
    *_bands("scanner_score", *_SCORE),
    *_bands("ai_score", *_SCORE),
    *_bands(
        "abs_delta",
        ("<0.2", None, 0.2),
        ("=0.2-0.4", 0.2, 0.4),
        ("=0.4-0.6", 0.4, 0.6),
        ("=0.6-0.8", 0.6, 0.8),
        (">=0.8", 0.8, None),
    ),
    *_bands(
        "iv",
        ("<0.2", None, 0.2),
        ("=0.2-0.35", 0.2, 0.35),
        ("=0.35-0.5", 0.35, 0.5),
        ("=0.5-0.8", 0.5, 0.8),
        (">=0.8", 0.8, None),
    ),
    *_bands(
        "dte",
        ("=0-1", 0.0, 2.0),
        ("=2-7", 2.0, 8.0),
        ("=8-21", 8.0, 22.0),
        ("=22-60", 22.0, 61.0),
        (">=61", 61.0, None),
    ),
)
BANDED = tuple(dict.fromkeys(condition.column for condition in GRID))
WORDED = (
    "strategy", "structure", "option_type", "direction", "weekday", "hour", "ticker",
)  # fmt: skip

Value = float | str | None


def conditions_of(columns: Mapping[str, Sequence[Value]]) -> list[Condition]:
    """Every condition that some trade of these columns could meet, in a fixed order.

    A column holds one value a trade: a number, a word, or None where it is not known.
    """
    found = [condition for condition in GRID if condition.column in columns]
    for column in WORDED:
        found += _words(column, columns.get(column, ()))
    for column in sorted(name for name in columns if name.startswith(FREE)):
        found += _words(column, columns[column])[:WORDS]
        found += _quartiles(column, columns[column])
    return found


def _words(column: str, values: Iterable[Value]) -> list[Condition]:
    counts = Counter(value for value in values if isinstance(value, str))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [Condition(f"{column}={word}", column, word=word) for word in ranked]


def _quartiles(column: str, values: Iterable[Value]) -> list[Condition]:
    """Bands between the lower order statistics at a quarter, half and three quarters."""
    numbers = sorted(value for value in values if isinstance(value, (int, float)))
    if not numbers:
        return []
    cuts = sorted({numbers[len(numbers) * quarter // 4] for quarter in (1, 2, 3)} - {numbers[0]})
    edges = [None, *cuts, None]
    return [
        Condition(column + _label(low, high), column, low, high)
        for low, high in pairwise(edges)
        if (low, high) != (None, None)
    ]


def _label(low: float | None, high: float | None) -> str:
    if low is None:
        return f"<{high:.15g}"
    return f">={low:.15g}" if high is None else f"={low:.15g}-{high:.15g}"
