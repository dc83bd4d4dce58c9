"""How do all users' closed trades do? The operator's question, over whole books only."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store.folding.adding import NOTHING, Dimension, Key, Mode, Tally, current, tallied
from store.queries.answer import Counts, Money, Part, Ratio, Shown
from store.queries.get_win_rate_by_score import BANDS
from store.stats import wilson

By: TypeAlias = Literal["strategy", "scanner_score", "ai_score", "ticker", "month"]
GROUPS = 50
INTERVALS = "95 %, Wilson; trades are taken as independent"


class Results(Counts):
    """Counts, win rate of wins and losses, and money of some closed trades."""

    win_rate_all: Ratio = Field(description="Of n")
    gross_pnl: Money
    fees: Money
    net_pnl: Money


class Group(Results):
    value: str | None = Field(description="None: trades that have none")


class Book(Part):
    """All closed trades of one mode in one currency, whoever made them."""

    mode: Mode
    currency: str
    overall: Results
    groups: list[Group] = Field(description="Scores and months in order, else most trades first")
    groups_left_out: int


class Report(Shown):
    by: By | None
    intervals: str = INTERVALS
    books: list[Book] = Field(description="Live before paper; currencies are never summed")


async def report(
    session: AsyncSession,
    *,
    by: By | None = None,
    mode: Mode | None = None,
    currency: str | None = None,
    limit: int = GROUPS,
) -> Report:
    """Closed trades of every user by mode and currency, exact to this moment; `session` is an
    operator's. With `by` also in groups, at most `limit` a book."""
    dimensions: list[Dimension] = ["whole", *([by] if by else [])]
    books: dict[tuple[Mode, str], dict[Key, Tally]] = defaultdict(dict)
    for key, tally in (await tallied(session, current(dimensions, mode, currency))).items():
        books[key.mode, key.currency][key] = tally
    return Report(
        by=by,
        books=[_book(*whose, books[whose], by, limit) for whose in sorted(books)],
    )


def _book(
    mode: Mode, currency: str, tallies: Mapping[Key, Tally], by: By | None, limit: int
) -> Book:
    groups = _grouped(by, tallies) if by else []
    return Book(
        mode=mode,
        currency=currency,
        overall=Results.model_validate(_results(tallies[Key("whole", "", mode, currency)])),
        groups=[
            Group.model_validate({**_results(tally), "value": value or None})
            for value, tally in groups[:limit]
        ],
        groups_left_out=max(0, len(groups) - limit),
    )


def _grouped(by: By, tallies: Mapping[Key, Tally]) -> list[tuple[str, Tally]]:
    """The groups of a book, in the order in which they are told."""
    found = [(key.value, tally) for key, tally in tallies.items() if key.dimension == by]
    if by in ("scanner_score", "ai_score"):
        return _banded(found)
    if by == "month":
        return [(f"{value[:4]}-{value[4:]}", tally) for value, tally in sorted(found)]
    return sorted(found, key=lambda one: (-one[1].n, one[0]))


def _banded(scores: Iterable[tuple[str, Tally]]) -> list[tuple[str, Tally]]:
    """The bands of scores that have trades; last what has no score."""
    bands = dict.fromkeys([*(name for _, name in BANDS), ""], NOTHING)
    for score, tally in scores:
        # The highest band that begins at the score or below it.
        band = next(name for low, name in reversed(BANDS) if low <= int(score)) if score else ""
        bands[band] = bands[band].plus(tally)
    return [(band, tally) for band, tally in bands.items() if tally.n]


def _results(tally: Tally) -> dict[str, object]:
    decided = tally.wins + tally.losses
    rate = wilson(tally.wins, tally.losses)
    return {
        **tally._asdict(),
        "win_rate": tally.wins / decided if decided else None,
        "win_rate_low": rate.low if rate else None,
        "win_rate_high": rate.high if rate else None,
        "win_rate_all": tally.wins / tally.n,
    }
