"""What does history say about a trade that is about to be taken?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.errors import Invalid
from store.evidence.grid import BANDED, FREE, Condition, Value
from store.evidence.verdicts import CLAIMS, RANKS, REFUSED, Verdict, Verdicts, order, sentence
from store.queries.answer import Answer, Evidence, MoneyOrNone, Optional, Part, Rate, Ratio, Totals
from store.queries.asking import Asked, Question, ask
from store.queries.books import Whole, closed_trades
from store.queries.filters import NONE, Filters, question
from store.queries.get_best_entry_conditions import evidence_of
from store.queries.likeness import (
    SAID,
    STRATEGY,
    TICKER,
    WHOLE,
    Step,
    inside,
    levels,
    nested,
    steps_of,
    sums_by_level,
)
from store.queries.summing import Grouped, grouped
from store.stats import Sums, design_effect
from store.vocabulary import name_key

if TYPE_CHECKING:
    from store.evidence.setups import Estimate

SHOWN = 5
FACTS_MAX = 20
WORDS = ("strategy", "ticker", "structure", "option_type")

Points = Annotated[float, Field(ge=0, le=100)] | NONE
Delta = Annotated[float, Field(ge=-1, le=1)] | NONE
Volatility = Annotated[float, Field(ge=0, le=100, description="0.3 = 30 %")] | NONE
Days = Annotated[int, Field(ge=0, le=10_000)] | NONE
Named = Annotated[list[str], Field(description="Recorded facts, weekday, hour: name=value")] | NONE


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
    expectancy_low: MoneyOrNone
    expectancy_high: MoneyOrNone


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
    mean_return: Ratio
    mean_return_low: Ratio
    mean_return_high: Ratio
    sentence: str


class SetupChecked(Answer):
    estimate: Optional[Shrunk] = Field(description="All levels together, 95 % interval")
    levels: list[LikeIt]
    evidence_for: list[Carries]
    evidence_against: list[Carries]
    no_evidence: list[Carries] = Field(description="Stood out, but lost money or faded")
    unseen: Optional[list[str]] = Field(description="No closed trade has it")
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
    conditions: Named = None,
) -> SetupChecked:
    """What history says about a trade about to be taken: closed trades like it, from exact
    match to the whole book, one shrunk win rate, and which of its conditions carry evidence
    for or against. Give what is known. It gives no advice."""
    numbers = {
        "scanner_score": scanner_score,
        "ai_score": ai_score,
        "abs_delta": None if delta is None else abs(delta),
        "iv": iv,
        "dte": dte,
    }
    given = _given(filters, numbers, conditions or [])
    steps = steps_of(given, filters, user_of(session))
    asked = await ask(
        session, Filters(mode=filters.mode), Question(by=lambda: levels(steps)), kept=False
    )
    sums = sums_by_level(steps, asked.groups)
    best = await evidence_of(session, asked, avoid=False)
    worst = await evidence_of(session, asked, avoid=True)
    met = [*_met(best, given), *_met(worst, given)]
    found = await _estimate(session, asked, steps, sums, met, best)
    return SetupChecked(
        summary=_summary(asked, steps, sums, found, met),
        evidence=_evidence(asked, met),
        scope=asked.scope(),
        provenance=asked.provenance(),
        estimate=None if found is None else _shrunk(found),
        levels=[_like_it(step, sums) for step in reversed(steps)],
        evidence_for=_told(one for one in met if one.carries and not one.family.avoid),
        evidence_against=_told(one for one in met if one.carries and one.family.avoid),
        no_evidence=_told(one for one in met if not one.carries),
        unseen=_unseen(steps, sums) or None,
        missing=_missing(given, best, worst),
    )


def _given(
    filters: Filters, numbers: Mapping[str, float | None], conditions: Sequence[str]
) -> dict[str, Value]:
    """What is known of the setup, by column of the grid."""
    facts: dict[str, Value] = {
        "strategy": filters.strategy,
        "ticker": filters.ticker.strip().upper() if filters.ticker else None,
        "structure": name_key(filters.structure).replace(" ", "_") if filters.structure else None,
        "option_type": filters.option_type,
        **numbers,
    }
    if len(conditions) > FACTS_MAX:
        raise Invalid(f"conditions has {len(conditions)} facts; at most {FACTS_MAX} are accepted.")
    for fact in conditions:
        name, equals, value = (part.strip() for part in fact.partition("="))
        if not (name and equals and value):
            raise Invalid("A fact in conditions has no name or no value; name=value is accepted.")
        facts.update([_fact(name, value)])
    return {name: value for name, value in facts.items() if value is not None}


def _fact(name: str, value: str) -> tuple[str, Value]:
    """A recorded fact, or the weekday or hour of entry, by its column of the grid."""
    if name == "weekday":
        return name, value.title()[:3]
    if name == "hour":
        return name, value.zfill(2)
    return FREE + name.removeprefix(FREE), _number_or_word(value)


def _number_or_word(text: str) -> Value:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return float(number) if number.is_finite() else text


# Trades like it, level by level.


def _like_it(step: Step, sums: Mapping[str, Sums]) -> LikeIt:
    rate = Totals.of(sums.get(step.level, Sums()))
    return LikeIt(**{**vars(rate), "level": step.level, "matched": step.matched})


def _unseen(steps: Sequence[Step], sums: Mapping[str, Sums]) -> list[str]:
    named = [step.level for step in steps if step.level in (STRATEGY, TICKER)]
    return [level for level in named if not sums.get(level, Sums()).n]


# What it comes to.


@dataclass(frozen=True)
class _Met:
    """What stands out from luck and holds for this setup, as far as it is known."""

    verdict: Verdict
    family: Verdicts

    @property
    def carries(self) -> bool:
        """Evidence: neither lost money nor faded."""
        return self.verdict.tier not in REFUSED


def _met(family: Verdicts, given: Mapping[str, Value]) -> list[_Met]:
    return [
        _Met(verdict, family)
        for verdict in family.verdicts
        if verdict.tier != "insufficient" and all(_meets(part, given) for part in verdict.parts)
    ]


def _meets(part: Condition, given: Mapping[str, Value]) -> bool:
    value = given.get(part.column)
    if part.column == STRATEGY and isinstance(value, str) and part.word is not None:
        return name_key(part.word) == name_key(value)
    return part.holds(value)


async def _estimate(
    session: AsyncSession,
    asked: Asked,
    steps: Sequence[Step],
    sums: Mapping[str, Sums],
    met: Sequence[_Met],
    family: Verdicts,
) -> "Estimate | None":
    """From the whole book inward, each level inside the one before: first the trades that
    meet the strongest claim that the setup meets, for those are known to differ."""
    from store.evidence.setups import Level, estimate  # Imports numpy: see store.evidence.

    inward = nested(steps, _unseen(steps, sums))
    claims = [one.verdict for one in met if one.verdict.tier in CLAIMS]
    if claims and asked.book is not None:
        user_id = user_of(session)
        claim = [one for part in min(claims, key=order).parts for one in inside(part, user_id)]
        inner = [Step(step.level, [], [*step.predicates, *claim]) for step in inward]
        book = closed_trades(user_id, Whole(asked.book.mode, asked.book.currency))
        row = (await session.execute(select(*grouped(levels(inner), book)))).one()
        by_level = sums_by_level(inner, Grouped.of(row))
        groups = [sums.get(WHOLE, Sums()), *(by_level.get(one.level, Sums()) for one in inward)]
    else:
        groups = [sums.get(one.level, Sums()) for one in inward]
    return estimate(
        [
            Level(
                wins=one.wins,
                decided=one.wins + one.losses,
                deff=design_effect(one.wins, one.losses, one.weeks, one.blocks) or 1.0,
            )
            for one in groups
        ],
        family.prior_weights,
    )


def _shrunk(found: "Estimate") -> Shrunk:
    low, high = found.interval.low, found.interval.high
    return Shrunk(win_rate=found.win_rate, win_rate_low=low, win_rate_high=high)


def _told(met: Iterable[_Met]) -> list[Carries]:
    return [
        Carries(
            condition=one.verdict.name,
            tier=one.verdict.tier,
            n=one.verdict.n,
            shrunk_win_rate=one.verdict.shrunk_win_rate,
            rest_win_rate=one.verdict.rest_win_rate,
            mean_return=one.verdict.mean_return,
            mean_return_low=one.verdict.mean_return_low,
            mean_return_high=one.verdict.mean_return_high,
            sentence=sentence(one.verdict, one.family),
        )
        for one in islice(met, SHOWN)
    ]


def _evidence(asked: Asked, met: Sequence[_Met]) -> Evidence:
    """The highest tier among the evidence for this setup."""
    favour = [one.verdict.tier for one in met if one.carries and not one.family.avoid]
    if asked.evidence != "descriptive" or not favour:
        return asked.evidence
    return min(favour, key=RANKS.__getitem__)


def _missing(given: Mapping[str, Value], *families: Verdicts) -> list[str]:
    """What was not said: facts that trades are compared by, and those that claims are about."""
    claimed = [
        part.column
        for family in families
        for verdict in family.verdicts
        if verdict.tier in CLAIMS
        for part in verdict.parts
    ]
    names = dict.fromkeys([*WORDS, *BANDED, *claimed])
    return [SAID.get(name, name) for name in names if name not in given]


def _summary(
    asked: Asked,
    steps: Sequence[Step],
    sums: Mapping[str, Sums],
    found: "Estimate | None",
    met: Sequence[_Met],
) -> str:
    if found is None:
        return f"No decided trades to compare with.{asked.caveat}"
    nearest = steps[-1].level
    claims = [one for one in met if one.verdict.tier in CLAIMS]
    against = sum(one.family.avoid for one in claims)
    refused = sum(not one.carries for one in met)
    low, high = found.interval.low, found.interval.high
    unseen = " and ".join(_unseen(steps, sums))
    return (
        f"Trades like this: win rate about {found.win_rate:.0%} (95% {low:.0%} to {high:.0%}), all"
        f" levels together; nearest ({nearest}): {Rate.of(sums.get(nearest, Sums())).said()}."
        + (f" No closed trade has this {unseen}." if unseen else "")
        + f" Claims about its conditions: {len(claims) - against} for, {against} against"
        + (f"; {refused} lost money or faded" if refused else "")
        + f". What was, not a forecast and no advice.{asked.caveat}"
    )
