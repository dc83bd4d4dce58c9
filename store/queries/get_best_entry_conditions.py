"""Which facts known at entry go with winning, beyond luck?"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Label, bindparam, case
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Words
from store.evidence.book import Book
from store.evidence.verdicts import (
    CLAIMS,
    REFUSED,
    Tier,
    Verdict,
    Verdicts,
    nothing_yet,
    sentence,
    visible,
)
from store.models import Trade
from store.queries.answer import Answer, Counts, Evidence, Optional, Part, Rate, Ratio
from store.queries.asking import Asked, Question, ask, refuse_unknown
from store.queries.books import Whole, worked_out
from store.queries.filters import Filters, question
from store.stats import Sums, design_effect


class FoundCondition(Part):
    condition: str
    tier: str
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio = Field(description="Raw")
    win_rate_low: Ratio
    win_rate_high: Ratio
    shrunk_win_rate: Ratio = Field(description="After allowing for the choice")
    rest_win_rate: Ratio
    p_adjusted: Ratio
    mean_return: Ratio = Field(description="Mean net P&L on risk, else on notional")
    mean_return_low: Ratio
    mean_return_high: Ratio
    also: Optional[list[str]]
    sentence: Optional[str]


class OwnRate(Counts):
    """What is asked for by name: its raw rate, and what that is worth beside the book's."""

    shrunk_win_rate: Ratio
    tier: Tier


class EntryConditions(Answer):
    overall: Counts
    ticker: Optional[OwnRate]
    conditions: list[FoundCondition]
    conditions_checked: int
    risk_known: int = Field(description="Trades whose return is on risk; else on notional")
    smallest_visible_edge: Ratio = Field(
        description="Lift in win rate; 80 % power, quarter of trades"
    )
    reason: Optional[str]


@question("mode", first=("ticker",))
async def get_best_entry_conditions(
    session: AsyncSession,
    filters: Filters,
    avoid: Annotated[bool, Field(description="Ask for the worst instead")] = False,
    limit: Annotated[int, Field(ge=1, le=30)] = 5,
) -> EntryConditions:
    """Entry conditions that go with winning, tested against luck over the whole book (scores,
    greeks, IV, DTE, strategy, structure, day, hour, ticker, recorded facts, pairs). A ticker
    adds its own shrunk rate; testing a part picked first would find edges that are not there."""
    ticker = filters.ticker.strip().upper() if filters.ticker else None
    asked = await ask(session, Filters(mode=filters.mode), BY_TICKER, {"own": ticker})
    found = await evidence_of(session, asked, avoid=avoid)
    own = await _own(session, filters, asked, found, ticker)
    best = found.verdicts[0].tier if found.verdicts else "insufficient"
    evidence: Evidence = (own.tier if own else best) if asked.n else "none"
    return EntryConditions(
        summary=_of_ticker_said(own) + _summary(asked, found),
        evidence=evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        overall=Counts.model_validate(Rate.of(asked.sums)),
        ticker=own,
        conditions=[_found(verdict, found) for verdict in found.verdicts[:limit]],
        conditions_checked=found.checked,
        risk_known=found.risk_known,
        smallest_visible_edge=found.smallest_visible_edge,
        reason=found.reason,
    )


def _by_ticker() -> Sequence[Label[Any]]:
    """Whether it is the ticker `own`."""
    mine = Trade.ticker == bindparam("own", type_=Words)
    return [case((mine, 1), else_=0).label("mine")]


BY_TICKER = Question(by=_by_ticker)


async def evidence_of(session: AsyncSession, asked: Asked, *, avoid: bool) -> Verdicts:
    """The verdicts on every condition of the asked book, whole."""
    if asked.book is None or asked.too_large:
        nothing = judge_book(Book((), (), (), (), {}), avoid=avoid)
        return replace(nothing, reason=asked.too_large or nothing.reason)
    whole = Whole(asked.book.mode, asked.book.currency)
    name = "conditions to avoid" if avoid else "conditions"
    return await worked_out(session, whole, asked.version, name, partial(judge_book, avoid=avoid))


def judge_book(book: Book, *, avoid: bool) -> Verdicts:
    from store.evidence.conditions import judge  # Imports numpy: see store.evidence.

    return judge(book, avoid=avoid)


def shrunk_rate(sums: Sums, found: Verdicts) -> float | None:
    """A group's win rate, drawn towards the book's as its conditions show that groups lie."""
    from store.evidence.shrinkage import shrunk_win_rate  # Imports numpy.

    decided = sums.wins + sums.losses
    if found.base_rate is None or not decided:
        return found.base_rate
    deff = design_effect(sums.wins, sums.losses, sums.weeks, sums.blocks) or 1.0
    return shrunk_win_rate(
        sums.wins, decided, found.base_rate, found.n_decided, deff, found.prior_weights
    )


async def _own(
    session: AsyncSession, filters: Filters, asked: Asked, found: Verdicts, ticker: str | None
) -> OwnRate | None:
    if ticker is None:
        return None
    sums = asked.groups.by(lambda key: key[0]).get(1)
    if sums is None:
        await refuse_unknown(session, filters)
        return None
    return OwnRate(
        **Counts.model_validate(Rate.of(sums)).model_dump(),
        shrunk_win_rate=shrunk_rate(sums, found),
        tier=_tier_named(f"ticker={ticker}", found),
    )


def _tier_named(name: str, found: Verdicts) -> Tier:
    for verdict in found.verdicts:
        if name == verdict.name or name in verdict.also:
            return verdict.tier
    return "insufficient"


def _of_ticker_said(own: OwnRate | None) -> str:
    """The ticker that was asked for comes first; all else is about the whole book."""
    if own is None:
        return ""
    shrunk = "" if own.shrunk_win_rate is None else f", about {own.shrunk_win_rate:.0%} wins"
    tier = "not enough evidence" if own.tier == "insufficient" else own.tier
    return f"The ticker asked for: {tier} (n={own.n}{shrunk}). Whole book: "


def _summary(asked: Asked, found: Verdicts) -> str:
    if asked.book is None or not asked.n:
        return "No closed trades match."
    if asked.too_large:
        return f"{asked.n} closed {asked.mode} trades.{asked.caveat}"
    tiers = [verdict.tier for verdict in found.verdicts]
    claims, hints = sum(tier in CLAIMS for tier in tiers), tiers.count("suggestive")
    against = "losing" if found.avoid else "winning"
    refused = sum(tier in REFUSED for tier in tiers)
    if claims or hints or refused:
        confirmed = tiers.count("confirmed")
        said = (
            f"Conditions that go with {against}: {claims} supported ({confirmed} confirmed),"
            f" {hints} suggestive"
            + (f"; {refused} stood out but {_REFUSED[found.avoid]} or faded." if refused else ".")
        )
        said += f" {asked.n} closed {asked.mode} trades, {found.checked} conditions checked."
        return f"{said} {visible(found)}{asked.caveat}"
    return f"Not enough evidence. {nothing_yet(found)}{asked.caveat}"


_REFUSED = {False: "lost money", True: "made money"}


def _found(verdict: Verdict, family: Verdicts) -> FoundCondition:
    return FoundCondition(
        condition=verdict.name,
        tier=verdict.tier,
        n=verdict.n,
        wins=verdict.wins,
        losses=verdict.losses,
        breakevens=verdict.breakevens,
        win_rate=verdict.win_rate,
        win_rate_low=verdict.low,
        win_rate_high=verdict.high,
        shrunk_win_rate=verdict.shrunk_win_rate,
        rest_win_rate=verdict.rest_win_rate,
        p_adjusted=verdict.p_adjusted,
        mean_return=verdict.mean_return,
        mean_return_low=verdict.mean_return_low,
        mean_return_high=verdict.mean_return_high,
        also=list(verdict.also) or None,
        # What stands for every insufficient condition alike is said once, in the summary.
        sentence=None if verdict.tier == "insufficient" else sentence(verdict, family),
    )
