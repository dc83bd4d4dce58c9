"""Do trades with a score in this range win more often, and is the score worth anything?"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Label, and_, bindparam, case, null
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import PRICE_DIGITS, Number
from store.errors import Invalid
from store.evidence.book import Book
from store.models import Trade
from store.queries.answer import Answer, MoneyOrNone, Optional, Part, Rate, Ratio
from store.queries.asking import Asked, Question, ask
from store.queries.books import Whole, worked_out
from store.queries.filters import Filters, question
from store.stats import Sums

if TYPE_CHECKING:
    from store.evidence.scores import ScoreEvidence

Bound = Annotated[float, Field(ge=0, le=100, description="Inclusive")]
Score = Literal["scanner", "ai"]

# The lowest score of each band; a band ends where the next begins.
BANDS = ((0, "<50"), (50, "50-59"), (60, "60-69"), (70, "70-79"), (80, "80-89"), (90, ">=90"))


class RangeRate(Rate):
    expectancy_low: MoneyOrNone
    expectancy_high: MoneyOrNone


class Band(Part):
    band: str
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio
    isotonic: Ratio = Field(description="Fit that never falls with the score")


class RangeVerdict(Part):
    """Adjusted for every range that could have been asked for."""

    verdict: Literal["better", "worse", "unclear", "too_few"]
    p_adjusted: Ratio
    shrunk_win_rate: Ratio


class Predictive(Part):
    """Whether the score tells wins from losses at all."""

    score_is_predictive: Literal["yes", "no", "unclear"]
    p_adjusted: Ratio = Field(description="Of trend and bands, of every score")
    trend: Optional[str]
    trend_p: Ratio
    bands_p: Ratio = Field(description="Chi-square over the bands")
    auc: Ratio
    auc_low: Ratio
    auc_high: Ratio
    reason: Optional[str]


class WinRateByScore(Answer):
    score: Score
    min: float
    max: float
    in_range: RangeRate
    rest: RangeRate = Field(description="Scored trades outside the range")
    whole_book_range: RangeVerdict
    whole_book_score: Predictive
    bands: list[Band]
    unscored: int


@question("account", "mode", "ticker", "strategy", "option_type", "structure", "since", "until")
async def get_win_rate_by_score(
    session: AsyncSession,
    filters: Filters,
    min: Bound = 0,
    max: Bound = 100,
    score: Annotated[Score, Field(description="Which score")] = "scanner",
) -> WinRateByScore:
    """Win rate of closed trades whose entry score lies in [min, max], beside the rest and fixed
    bands. Whether the range beats the rest and the score predicts at all is tested on the
    whole book, adjusted for every range that could have been asked."""
    if min > max:
        raise Invalid(f"min {min:g} is above max {max:g}; min must not exceed max.")
    bounds = {"low": _kept(min, ROUND_CEILING), "high": _kept(max, ROUND_FLOOR)}
    asked = await ask(session, filters, Question(by=_by_score, shape=(score,)), bounds)
    evidence = await _evidence(session, asked, score)
    by_band = asked.groups.by(lambda key: ("band", key[0]))
    by_side = asked.groups.by(lambda key: key[1])
    inside, rest = (by_side.get(side, Sums()) for side in (1, 0))
    verdict = RangeVerdict.model_validate(evidence.range_verdict(min, max))
    predictive = _predictive(evidence)
    return WinRateByScore(
        summary=_summary(
            asked, score, min, max, Rate.of(inside), Rate.of(rest), verdict, predictive
        ),
        evidence="supported" if _claims(asked, verdict, predictive) else asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        score=score,
        min=min,
        max=max,
        in_range=RangeRate.of(inside),
        rest=RangeRate.of(rest),
        whole_book_range=verdict,
        whole_book_score=predictive,
        bands=_bands([by_band.get(("band", low), Sums()) for low, _ in BANDS]),
        unscored=by_band.get(("band", None), Sums()).n,
    )


def _claims(asked: Asked, verdict: RangeVerdict, predictive: Predictive) -> bool:
    """Whether something is claimed about the very trades that were asked about."""
    whole = asked.book is not None and asked.n == asked.book.book_n
    claimed = verdict.verdict in ("better", "worse") or predictive.score_is_predictive == "yes"
    return whole and asked.evidence == "descriptive" and claimed


def _by_score(score: Score) -> Sequence[Label[Any]]:
    """The band, none being no score, and whether the score lies in `low` to `high`."""
    column: Any = Trade.scanner_score if score == "scanner" else Trade.ai_score
    band = case(*((column >= Decimal(start), start) for start, _ in reversed(BANDS)), else_=null())
    low, high = (bindparam(name, type_=Number) for name in ("low", "high"))
    within = and_(column >= low, column <= high)
    side = case((within, 1), (column.is_not(None), 0), else_=null())
    return band.label("band"), side.label("side")


def _kept(bound: float, rounding: str) -> Decimal:
    """A bound among the values that a score can have."""
    return Decimal(str(bound)).quantize(Decimal(1).scaleb(-PRICE_DIGITS), rounding=rounding)


async def _evidence(session: AsyncSession, asked: Asked, score: Score) -> "ScoreEvidence":
    """What the whole book says of the score: filters do not narrow it, for a part that was
    picked first proves nothing."""
    if asked.book is None or asked.too_large:
        nothing = _score_evidence(score, Book((), (), (), (), {}))
        return replace(nothing, reason=asked.too_large or nothing.reason)
    whole = Whole(asked.book.mode, asked.book.currency)
    return await worked_out(
        session, whole, asked.version, f"{score} score", partial(_score_evidence, score)
    )


def _score_evidence(score: Score, book: Book) -> "ScoreEvidence":
    from store.evidence.scores import evidence_of  # Imports numpy: see store.evidence.

    columns = {name: book.numbers(f"{name}_score") for name in ("scanner", "ai")}
    recorded = sum(any(value is not None for value in column) for column in columns.values())
    return evidence_of(
        book.outcomes,
        book.sides,
        book.days,
        columns[score],
        tickers=book.facts.get("ticker"),
        families=max(1, recorded),
    )


def _predictive(evidence: "ScoreEvidence") -> Predictive:
    return Predictive(
        score_is_predictive=evidence.predictive,
        p_adjusted=evidence.p_adjusted,
        trend=evidence.direction,
        trend_p=evidence.trend_p,
        bands_p=evidence.bands_p,
        auc=evidence.auc,
        auc_low=evidence.auc_low,
        auc_high=evidence.auc_high,
        reason=evidence.reason,
    )


def _bands(groups: list[Sums]) -> list[Band]:
    from store.evidence.calibration import isotonic  # Imports numpy: see store.evidence.

    fit = isotonic([one.wins for one in groups], [one.wins + one.losses for one in groups])
    return [
        Band(**{**vars(Rate.of(one)), "band": name, "isotonic": rate})
        for one, (_, name), rate in zip(groups, BANDS, fit, strict=True)
    ]


def _summary(
    asked: Asked,
    score: Score,
    low: float,
    high: float,
    inside: Rate,
    rest: Rate,
    verdict: RangeVerdict,
    predictive: Predictive,
) -> str:
    if asked.book is None or not asked.n:
        return "No closed trades match."
    if not inside.n + rest.n:
        return f"None of {asked.n} closed trades carries a {score} score.{asked.caveat}"
    asked_range = f"{score} score {low:g} to {high:g}: {inside.said()}"
    compared = f"; the rest: {rest.said()}." if rest.n else "."
    if predictive.reason is not None:
        return f"{asked_range}{compared} Not tested: {predictive.reason}.{asked.caveat}"
    tested = f" {_VERDICTS[verdict.verdict]}" if rest.n else ""
    return f"{asked_range}{compared}{tested} {_predictive_said(predictive)}{asked.caveat}"


def _predictive_said(found: Predictive) -> str:
    if found.score_is_predictive == "yes":
        return (
            "Whole book: the score goes with winning; the chance of this by luck is"
            f" {found.p_adjusted:.1%}. Not a forecast."
        )
    if found.score_is_predictive == "no":
        return "Whole book: the score does not tell wins from losses (AUC between .45 and .55)."
    return "Whole book: whether the score predicts anything is unclear."


_VERDICTS = {
    "better": "Whole book: this range wins more often, beyond the best of all ranges by luck.",
    "worse": "Whole book: this range wins less often, beyond the worst of all ranges by luck.",
    "unclear": "Whole book: the difference is within what the best of all ranges shows by luck.",
    "too_few": "Too few trades inside or outside this range to compare.",
}
