"""What does history say about a trade that is about to be taken?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.evidence.grid import BANDED, GRID, Condition, Value
from store.evidence.setups import Estimate, Level, estimate
from store.evidence.verdicts import CLAIMS, RANKS, Verdict, Verdicts, sentence
from store.models import Trade
from store.queries.answer import Answer, Evidence, MoneyOrNone, Optional, Part, Rate, Ratio
from store.queries.asking import Asked, ask
from store.queries.filters import NONE, Filters, question
from store.queries.get_best_entry_conditions import evidence_of
from store.queries.summing import summed, sums_of
from store.stats import Sums, design_effect
from store.vocabulary import name_key

SHOWN = 5
# From the whole book inward: what each level asks of a trade, beside what the one before did.
LEVELS = (
    ("strategy", ("strategy",)),
    ("ticker", ("ticker",)),
    ("exact", ("structure", "option_type", *BANDED)),
)
FACTS = tuple(fact for _, facts in LEVELS for fact in facts)
SAID = {"abs_delta": "delta"}  # What a fact is called by who asks.

Points = Annotated[float, Field(ge=0, le=100)] | NONE
Delta = Annotated[float, Field(ge=-1, le=1)] | NONE
Volatility = Annotated[float, Field(ge=0, le=100, description="0.3 = 30 %")] | NONE
Days = Annotated[int, Field(ge=0, le=10_000)] | NONE


class LikeIt(Part):
    """Closed trades that are alike in what is `matched`, numbers by their fixed band."""

    level: str
    matched: list[str]
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio
    expectancy: MoneyOrNone


class Shrunk(Part):
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio


class Carries(Part):
    """A condition that this setup meets and that stands out from luck in the whole book."""

    condition: str
    tier: str
    n: int
    shrunk_win_rate: Ratio
    rest_win_rate: Ratio
    sentence: str


class SetupChecked(Answer):
    estimate: Optional[Shrunk] = Field(description="All levels together, 95 % interval")
    levels: list[LikeIt]
    evidence_for: list[Carries]
    evidence_against: list[Carries]
    missing: list[str]


@question("structure", "option_type", "mode", first=("ticker", "strategy"))
async def check_setup(
    session: AsyncSession,
    filters: Filters,
    scanner_score: Points = None,
    ai_score: Points = None,
    delta: Delta = None,
    iv: Volatility = None,
    dte: Days = None,
) -> SetupChecked:
    """What history says about a trade about to be taken: closed trades like it, from exact
    match to the whole book, one shrunk win rate, and which of its conditions carry evidence
    for or against. Give what is known. It gives no advice."""
    given = _given(filters, scanner_score, ai_score, delta, iv, dte)
    steps = _steps(given, filters, user_of(session))
    asked = await ask(session, Filters(mode=filters.mode), lambda facts: _levels(steps, facts))
    best = await evidence_of(session, asked, avoid=False)
    worst = await evidence_of(session, asked, avoid=True)
    sums = {row.own_level: sums_of(row, "own_") for row in asked.rows}
    groups = [sums.get(step.level, Sums()) for step in steps]
    found = _estimate(groups, best)
    carried = [_carried(family, given) for family in (best, worst)]
    return SetupChecked(
        summary=_summary(asked, steps[-1].level, groups[-1], found, carried),
        evidence=_evidence(asked, best, worst, given),
        scope=asked.scope(),
        provenance=asked.provenance(),
        estimate=_shrunk(found),
        levels=[
            LikeIt(**{**vars(Rate.of(group)), "level": step.level, "matched": step.matched})
            for step, group in zip(reversed(steps), reversed(groups), strict=True)
        ],
        evidence_for=carried[0],
        evidence_against=carried[1],
        missing=_missing(given, best, worst),
    )


def _given(
    filters: Filters,
    scanner_score: float | None,
    ai_score: float | None,
    delta: float | None,
    iv: float | None,
    dte: int | None,
) -> dict[str, Value]:
    """What is known of the setup, by column of the grid."""
    facts: dict[str, Value] = {
        "strategy": filters.strategy,
        "ticker": filters.ticker.strip().upper() if filters.ticker else None,
        "structure": name_key(filters.structure).replace(" ", "_") if filters.structure else None,
        "option_type": filters.option_type,
        "scanner_score": scanner_score,
        "ai_score": ai_score,
        "abs_delta": None if delta is None else abs(delta),
        "iv": iv,
        "dte": dte,
    }
    return {name: value for name, value in facts.items() if value is not None}


# Trades like it, level by level.


@dataclass(frozen=True)
class Step:
    """A level that asks for something more than the one before: all that is `matched`."""

    level: str
    matched: list[str]
    predicates: list[ColumnElement[bool]]


def _steps(given: Mapping[str, Value], filters: Filters, user_id: int) -> list[Step]:
    """From the whole book inward."""
    steps = [Step("whole book", [], [])]
    matched: list[str] = []
    asked: list[ColumnElement[bool]] = []
    for level, facts in LEVELS:
        more = [fact for fact in facts if fact in given]
        if not more:
            continue
        for fact in more:
            asked = [*asked, *_alike(fact, given[fact], filters, user_id)]
        matched = [*matched, *(SAID.get(fact, fact) for fact in more)]
        steps.append(Step(level, matched, asked))
    return steps


def _alike(fact: str, value: Value, filters: Filters, user_id: int) -> list[ColumnElement[bool]]:
    """The predicates of trades that have the same word, or a number in the same band."""
    if fact not in BANDED:
        named = Filters(**{fact: getattr(filters, fact)})
        return named.matching(user_id, closed=True)
    column: Any = func.abs(Trade.delta, type_=Trade.delta.type)
    column = column if fact == "abs_delta" else getattr(Trade, fact)
    band = _finest(fact, value)
    ends = (None if end is None else _kept(fact, end) for end in (band.low, band.high))
    low, high = ends
    return [
        column.is_not(None),
        *([] if low is None else [column >= low]),
        *([] if high is None else [column < high]),
    ]


def _kept(fact: str, end: float) -> Any:
    return int(end) if fact == "dte" else Decimal(str(end))


def _finest(fact: str, value: Value) -> Condition:
    """The narrowest band that holds; the grid's thresholds are wider than its bands."""
    holding = [band for band in GRID if band.column == fact and band.holds(value)]
    return max(holding, key=lambda band: (band.low or 0.0, -(band.high or inf)))


def _levels(steps: Sequence[Step], facts: Any) -> Select[Any]:
    """Sums of each level."""
    every = union_all(
        *(
            _level(step.level, summed([literal("all").label("every")], [*facts, *step.predicates]))
            for step in steps
        )
    ).subquery("every")
    place = func.row_number().over(order_by=every.c.level)
    return select(place.label("position"), *every.c)


def _level(name: str, sums: Select[Any]) -> Select[Any]:
    own = sums.subquery()
    return select(literal(name).label("level"), *own.c)


# What it comes to.


def _estimate(groups: Sequence[Sums], found: Verdicts) -> Estimate | None:
    """`groups` from the whole book inward."""
    from store.evidence.shrinkage import spread_variance  # Imports numpy: see store.evidence.

    levels = [
        Level(
            wins=one.wins,
            decided=one.wins + one.losses,
            deff=design_effect(one.wins, one.losses, one.weeks, one.blocks) or 1.0,
        )
        for one in groups
    ]
    return estimate(levels, spread_variance(found.prior_weights))


def _shrunk(found: Estimate | None) -> Shrunk | None:
    if found is None:
        return None
    interval = found.interval
    return Shrunk(win_rate=found.win_rate, win_rate_low=interval.low, win_rate_high=interval.high)


def _met(family: Verdicts, given: Mapping[str, Value]) -> list[Verdict]:
    """What stands out from luck, and holds for this setup as far as it is known."""
    return [
        verdict
        for verdict in family.verdicts
        if verdict.tier != "insufficient" and all(_meets(part, given) for part in verdict.parts)
    ]


def _meets(part: Condition, given: Mapping[str, Value]) -> bool:
    value = given.get(part.column)
    if part.column == "strategy" and isinstance(value, str) and part.word is not None:
        return name_key(part.word) == name_key(value)
    return part.holds(value)


def _carried(family: Verdicts, given: Mapping[str, Value]) -> list[Carries]:
    return [
        Carries(
            condition=verdict.name,
            tier=verdict.tier,
            n=verdict.n,
            shrunk_win_rate=verdict.shrunk_win_rate,
            rest_win_rate=verdict.rest_win_rate,
            sentence=sentence(verdict, family),
        )
        for verdict in _met(family, given)[:SHOWN]
    ]


def _evidence(
    asked: Asked, best: Verdicts, worst: Verdicts, given: Mapping[str, Value]
) -> Evidence:
    """The highest tier among what this setup meets."""
    tiers = [verdict.tier for family in (best, worst) for verdict in _met(family, given)]
    if asked.evidence != "descriptive" or not tiers:
        return asked.evidence
    return min(tiers, key=RANKS.__getitem__)


def _missing(given: Mapping[str, Value], *families: Verdicts) -> list[str]:
    """What was not said: facts that trades are compared by, and those that claims are about."""
    claimed = [
        part.column
        for family in families
        for verdict in family.verdicts
        if verdict.tier in CLAIMS
        for part in verdict.parts
    ]
    names = dict.fromkeys([*FACTS, *claimed])
    return [SAID.get(name, name) for name in names if name not in given]


def _summary(
    asked: Asked,
    nearest: str,
    sums: Sums,
    found: Estimate | None,
    carried: Sequence[Sequence[Carries]],
) -> str:
    if found is None:
        return "No closed trades to compare with."
    favour, against = map(len, carried)
    low, high = found.interval.low, found.interval.high
    return (
        f"Trades like this have won about {found.win_rate:.0%} (95% {low:.0%} to {high:.0%}), all"
        f" levels together; nearest level ({nearest}): {Rate.of(sums).said()}. Conditions of it"
        f" that stand out from luck: {favour} for, {against} against. What was, not a forecast"
        f" and no advice.{asked.caveat}"
    )
