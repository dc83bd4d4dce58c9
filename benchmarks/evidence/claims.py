"""What the tool claims of a file, in the columns of the file."""

from pathlib import Path
from typing import Any

from benchmarks.evidence.reading import read_book
from store.evidence.conditions import judge
from store.evidence.grid import FREE, Condition
from store.evidence.verdicts import CLAIMS, Verdict

LARGEST = {"scanner_score": 100, "ai_score": 100, "abs_delta": 1, "iv": 1e6, "dte": 1e6}
BELOW = 1e-9  # A band ends before the next begins, a range of a claim includes its ends.


def claims_of(path: Path) -> dict[str, Any]:
    """The favourable claims about one file; nothing that the file's columns cannot say.

    Raises:
        UnreadableError: the file is not one of these columns.
    """
    found = judge(read_book(path))
    return {
        "dataset": path.stem,
        "claims": [
            {
                "condition": {_column(part): _value(part) for part in verdict.parts},
                "win_rate": round(verdict.shrunk_win_rate, 4),
                "tier": _tier(verdict),
            }
            for verdict in found.verdicts
            if verdict.tier in (*CLAIMS, "suggestive")
            if all(part.column != "direction" for part in verdict.parts)
        ],
    }


def _tier(verdict: Verdict) -> str:
    return "supported" if verdict.tier in CLAIMS else verdict.tier


def _column(part: Condition) -> str:
    return part.column.removeprefix(FREE)


def _value(part: Condition) -> Any:
    if part.column == "hour":
        return int(part.word or 0)
    if part.word is not None:
        return part.word.upper() if part.column == "option_type" else part.word
    low = 0.0 if part.low is None else part.low
    return [low, LARGEST[part.column] if part.high is None else part.high - BELOW]
