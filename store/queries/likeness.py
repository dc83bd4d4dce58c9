"""Which closed trades are like a setup? More and less alike, level by level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Label, and_, case, func, select, true

from store.evidence.grid import BANDED, FREE, GRID, WEEKDAYS, Condition, Value
from store.models import Condition as Fact
from store.models import Trade
from store.queries.filters import Filters
from store.queries.summing import Grouped
from store.stats import Sums

SAID = {"abs_delta": "delta"}  # What a fact is called by who asks.


@dataclass(frozen=True)
class Step:
    """A level: trades that are alike in all that is `matched`, and so meet the predicates."""

    level: str
    matched: list[str]
    predicates: list[ColumnElement[bool]]


WHOLE, STRATEGY, TICKER, BOTH, EXACT = (
    "whole book", "strategy", "ticker", "strategy and ticker", "exact",
)  # fmt: skip


def steps_of(given: Mapping[str, Value], filters: Filters, user_id: int) -> list[Step]:
    """From the whole book inward. A strategy and a ticker are also looked at alone."""

    def step(level: str, facts: Sequence[str]) -> Step:
        predicates = [one for fact in facts for one in _alike(fact, given[fact], filters, user_id)]
        return Step(level, [SAID.get(fact, fact) for fact in facts], predicates)

    named = [fact for fact in (STRATEGY, TICKER) if fact in given]
    more = [fact for fact in ("structure", "option_type", *BANDED) if fact in given]
    steps = [step(WHOLE, []), *(step(fact, [fact]) for fact in named)]
    if len(named) == 2:
        steps.append(step(BOTH, named))
    if more:
        steps.append(step(EXACT, [*named, *more]))
    return steps


def _alike(fact: str, value: Value, filters: Filters, user_id: int) -> list[ColumnElement[bool]]:
    """The predicates of trades that have the same word, or a number in the same band."""
    if fact in BANDED:
        return inside(_finest(fact, value), user_id)
    return Filters(**{fact: getattr(filters, fact)}).matching(user_id, closed=True)


def _finest(fact: str, value: Value) -> Condition:
    """The narrowest band that holds; the grid's thresholds are wider than its bands."""
    holding = [band for band in GRID if band.column == fact and band.holds(value)]
    return max(holding, key=lambda band: (band.low or 0.0, -(band.high or inf)))


def inside(condition: Condition, user_id: int) -> list[ColumnElement[bool]]:
    """The predicates of trades for which a condition holds."""
    if condition.column.startswith(FREE):
        name = condition.column.removeprefix(FREE)
        mine = (Fact.user_id == user_id, Fact.trade_number == Trade.number, Fact.name == name)
        held = _between(condition, Fact.word, Fact.number)
        return [select(Fact.name).where(*mine, *held).exists()]
    if condition.column == "weekday":
        return [Trade.entry_weekday == WEEKDAYS.index(condition.word or "") + 1]
    if condition.column == "hour":
        return [Trade.entry_hour == int(condition.word or 0)]
    column: Any = getattr(Trade, condition.column.removeprefix("abs_"))
    if condition.column == "abs_delta":
        column = func.abs(column, type_=column.type)
    return _between(condition, column, column)


def _between(condition: Condition, words: Any, numbers: Any) -> list[ColumnElement[bool]]:
    if condition.word is not None:
        return [words == condition.word]
    kept = int if condition.column == "dte" else (lambda end: Decimal(repr(end)))
    return [
        numbers.is_not(None),
        *([] if condition.low is None else [numbers >= kept(condition.low)]),
        *([] if condition.high is None else [numbers < kept(condition.high)]),
    ]


def levels(steps: Sequence[Step]) -> Sequence[Label[int]]:
    """Whether a trade belongs to each level, in their order."""
    return [
        case((and_(true(), *step.predicates), 1), else_=0).label(f"level_{place}")
        for place, step in enumerate(steps)
    ]


def sums_by_level(steps: Sequence[Step], groups: Grouped) -> dict[str, Sums]:
    """Of trades that were added up by `levels(steps)`."""
    found = {}
    for place, step in enumerate(steps):
        sums = groups.by(itemgetter(place))
        found[step.level] = sums.get(1, Sums())
    return found


def nested(steps: Sequence[Step], unseen: Sequence[str]) -> list[Step]:
    """Levels that lie inside each other; a ticker alone only where no strategy is seen."""
    levels = {step.level for step in steps}
    left_out = set(unseen)
    if STRATEGY in levels - left_out:
        left_out.add(TICKER)
    return [step for step in steps if step.level not in left_out]
