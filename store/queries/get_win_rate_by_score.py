"""Do trades with a score in this range win more often than the rest of the book?"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import PRICE_DIGITS
from store.errors import Invalid
from store.models import Trade
from store.queries.answer import Answer, Rate
from store.queries.asking import Asked, ask, sums, sums_of
from store.queries.filters import Filters, question
from store.stats import Sums

Bound = Annotated[float, Field(ge=0, le=100, description="Inclusive")]

# The lowest score of each band; a band ends where the next begins.
BANDS = ((0, "<50"), (50, "50-59"), (60, "60-69"), (70, "70-79"), (80, "80-89"), (90, ">=90"))


class Band(Rate):
    band: str


class WinRateByScore(Answer):
    score: Literal["scanner", "ai"]
    min: float
    max: float
    in_range: Rate
    rest: Rate = Field(description="Scored trades outside the range")
    bands: list[Band]
    unscored: int


@question("account", "mode", "ticker", "strategy", "option_type", "structure", "since", "until")
async def get_win_rate_by_score(
    session: AsyncSession,
    filters: Filters,
    min: Bound = 0,
    max: Bound = 100,
    score: Annotated[Literal["scanner", "ai"], Field(description="Which score")] = "scanner",
) -> WinRateByScore:
    """Win rate of closed trades whose entry score lies in [min, max], beside the rest of the
    book and fixed bands, each with n and interval. A range that was looked for proves nothing."""
    if min > max:
        raise Invalid(f"min {min:g} is above max {max:g}; min must not exceed max.")
    asked = await ask(session, filters, lambda facts: _by_band(score, min, max, facts))
    inside = _sum(asked, lambda row: row.own_inside == 1)
    rest = _sum(asked, lambda row: row.own_inside == 0 and row.own_band is not None)
    return WinRateByScore(
        summary=_summary(asked, score, min, max, Rate.of(inside), Rate.of(rest)),
        evidence=asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        score=score,
        min=min,
        max=max,
        in_range=Rate.of(inside),
        rest=Rate.of(rest),
        bands=[
            Band.of(_sum(asked, lambda row, low=low: row.own_band == low), band=name)
            for low, name in BANDS
        ],
        unscored=_sum(asked, lambda row: row.own_band is None).n,
    )


def _by_band(score: str, low: float, high: float, facts: Any) -> Select[Any]:
    """Sums by band and by whether the score is in the range; no band is no score."""
    column = Trade.scanner_score if score == "scanner" else Trade.ai_score
    band = case(*((column >= Decimal(start), start) for start, _ in reversed(BANDS)), else_=None)
    within = and_(column >= _kept(low, ROUND_CEILING), column <= _kept(high, ROUND_FLOOR))
    inside = case((within, 1), else_=0)
    grouped = (
        select(band.label("band"), inside.label("inside"), *sums())
        .where(*facts)
        .group_by(band, inside)
        .subquery()
    )
    place = func.row_number().over(order_by=(grouped.c.band, grouped.c.inside))
    return select(place.label("position"), *grouped.c)


def _kept(bound: float, rounding: str) -> Decimal:
    """A bound among the values that a score can have."""
    return Decimal(str(bound)).quantize(Decimal(1).scaleb(-PRICE_DIGITS), rounding=rounding)


def _sum(asked: Asked, kept: Any) -> Sums:
    return sum((sums_of(row, "own_") for row in asked.rows if kept(row)), Sums())


def _summary(asked: Asked, score: str, low: float, high: float, inside: Rate, rest: Rate) -> str:
    if asked.book is None or not asked.sums.n:
        return "No closed trades match."
    if not inside.n + rest.n:
        return f"None of {asked.sums.n} closed trades carries a {score} score.{asked.caveat}"
    return (
        f"{score} score {low:g} to {high:g}: {inside.said()}; the rest: {rest.said()}."
        f" The difference is described, not tested.{asked.caveat}"
    )
