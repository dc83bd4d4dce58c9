"""The history behind a trade as a block of plain text, for models that cannot call tools.

Nothing is worked out here: the lines put answers of `store.queries` side by side. They stand
in the order of their importance, and the last ones go first where there is no room.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from store.errors import Invalid, NotFound
from store.evidence.thresholds import CLOSED_MIN
from store.queries.answer import DEFINITIONS, Scope, Totals
from store.queries.check_setup import (
    Carries,
    Days,
    Delta,
    Named,
    Points,
    SetupChecked,
    Volatility,
    check_setup,
)
from store.queries.filters import NONE
from store.queries.get_best_entry_conditions import (
    EntryConditions,
    FoundCondition,
    get_best_entry_conditions,
)
from store.queries.get_strategy_performance import StrategyPerformance, get_strategy_performance
from store.queries.get_trade_history import TradeHistory, get_trade_history
from store.queries.get_win_rate_by_score import BANDS, Score, get_win_rate_by_score
from store.queries.likeness import STRATEGY, TICKER
from store.vocabulary import label

TOKEN_BYTES = 4  # What a token of English and numbers is estimated at.
CONDITIONS = 30  # As many as the question tells.
LAST_OF_BAND = 0.00000001  # Scores have 8 decimals.
TIERS = {
    "confirmed": "confirmed",
    "supported": "supported",
    "suggestive": "a hint only, not to be sized on",
    "faded": "stood out early, not in the recent half",
    "wins_but_loses_money": "wins more often but loses money",
    "loses_often_but_makes_money": "loses more often but makes money",
    "insufficient": "insufficient, so claim no edge",
}
READING = (
    "How to read this: wins are of net P&L; a win rate is wins of wins and losses. Say n and the"
    " interval with every rate; where evidence is insufficient, claim nothing. What was, not a"
    f" forecast and no advice. Definitions {DEFINITIONS}."
)


class Context(BaseModel):
    """`text` is at most `max_tokens` long; `left_out` names the lines there was no room for."""

    text: str
    tokens: int = Field(description="Bytes of text / 4, rounded up")
    left_out: list[str]


class Counted(Protocol):
    """What every rate comes with."""

    @property
    def n(self) -> int: ...
    @property
    def wins(self) -> int: ...
    @property
    def losses(self) -> int: ...
    @property
    def breakevens(self) -> int: ...
    @property
    def win_rate(self) -> float | None: ...
    @property
    def win_rate_low(self) -> float | None: ...
    @property
    def win_rate_high(self) -> float | None: ...


@dataclass(frozen=True)
class Line:
    """`kind` says in a word what is missing without it."""

    kind: str
    text: str


async def context(
    session: AsyncSession,
    *,
    ticker: Annotated[str, Field(description="Underlying, e.g. AAPL")],
    strategy: str | NONE = None,
    structure: Annotated[str | NONE, Field(description="E.g. single, vertical")] = None,
    option_type: Literal["call", "put"] | NONE = None,
    scanner_score: Points = None,
    ai_score: Points = None,
    delta: Delta = None,
    iv: Volatility = None,
    dte: Days = None,
    conditions: Named = None,
    mode: Annotated[
        Literal["live", "paper", "all"] | NONE,
        Field(description="Default: live if the ticker was traded live"),
    ] = None,
    max_tokens: Annotated[int, Field(description="At most; bytes / 4")] = 400,
) -> Context:
    """What the record says about a ticker, and about a trade in it that is about to be taken,
    as plain text for the prompt of a model.

    Every rate stands beside its n and interval. A ticker that was never traded is no error:
    the first line says so.

    Raises:
        Invalid: `max_tokens` has no room for the first line, or a name or fact is not accepted.
    """
    ticker = label("ticker", ticker).upper()
    strategy = label("strategy", strategy) if strategy else None
    history = await _history(session, ticker, mode)
    # One block is about one book: that in which the ticker was traded.
    book = mode or (history.scope.mode if history else None)
    checked = await check_setup(
        session,
        ticker=ticker,
        strategy=strategy,
        structure=structure,
        option_type=option_type,
        mode=book,
        scanner_score=scanner_score,
        ai_score=ai_score,
        delta=delta,
        iv=iv,
        dte=dte,
        conditions=conditions,
    )
    traded = "ticker" not in (checked.unseen or [])
    best = await get_best_entry_conditions(
        session, ticker=ticker if traded else None, mode=book, limit=CONDITIONS
    )
    worst = await get_best_entry_conditions(session, mode=book, avoid=True, limit=CONDITIONS)
    lines = [
        _of_ticker(ticker, history, checked, best),
        *_of_setup(checked),
        *_of_claims(checked, best, worst),
        Line("how to read this", READING),
    ]
    scores: dict[Score, float | None] = {"scanner": scanner_score, "ai": ai_score}
    for score, value in scores.items():
        if value is not None:
            lines.append(await _of_score(session, score, value, book, checked))
    if strategy and "strategy" not in (checked.unseen or []):
        performed = await get_strategy_performance(session, strategy=strategy, mode=book)
        lines.append(_of_strategy(strategy, performed, checked))
    if history is not None and history.totals.n:
        lines.append(Line("money", f"Ticker {_quoted(ticker)}: {_money(history.totals)}."))
    lines += _of_levels(checked)
    if history is not None and history.scope.left_out:
        lines.append(Line("not counted", f"Not counted: {'; '.join(history.scope.left_out)}."))
    return within(lines, max_tokens)


def within(lines: Sequence[Line], max_tokens: int) -> Context:
    """As many of `lines`, from the first on, as there is room for.

    Raises:
        Invalid: there is none for the first.
    """
    for kept in range(len(lines), 0, -1):
        left_out = list(dict.fromkeys(line.kind for line in lines[kept:]))
        for said in _left_out(left_out, len(lines) - kept):
            text = "\n".join([*(line.text for line in lines[:kept]), *said])
            if (tokens := tokens_of(text)) <= max_tokens:
                return Context(text=text, tokens=tokens, left_out=left_out)
    raise Invalid(
        f"max_tokens is {max_tokens}; the first line alone takes {tokens}, so {tokens} or more is"
        " accepted."
    )


def tokens_of(text: str) -> int:
    """Bytes in UTF-8 / 4, rounded up: an estimate that no tokenizer is needed for."""
    return -(-len(text.encode()) // TOKEN_BYTES)


def _left_out(kinds: Sequence[str], lines: int) -> Iterator[list[str]]:
    """The last line: by name, or by number where there is no room for names."""
    if not kinds:
        yield []
        return
    yield [f"Left out for want of room: {', '.join(kinds)}."]
    yield [f"({lines} lines left out)"]


async def _history(session: AsyncSession, ticker: str, mode: str | None) -> TradeHistory | None:
    try:
        return await get_trade_history(session, ticker=ticker, mode=mode, limit=1)
    except NotFound:
        return None  # Never traded.


# The lines, the most important first.


def _of_ticker(
    ticker: str, history: TradeHistory | None, checked: SetupChecked, best: EntryConditions
) -> Line:
    scope = history.scope if history else checked.scope
    book = ", ".join(filter(None, [_mode(scope), scope.currency]))
    if history is None or not history.totals.n:
        none = f"Own closed trades in {_quoted(ticker)}{book and f' ({book})'}: none (n=0)."
        return Line("ticker", f"{none} Evidence: none, so claim nothing about it.")
    period = f"{book}, closed {scope.first} to {scope.last}"
    judged = f" Dependence {history.totals.dependence}." if history.totals.dependence else ""
    return Line(
        "ticker",
        f"Own closed trades in {_quoted(ticker)} ({period}): {_rate(history.totals)}.{judged}"
        f" {_evidence(history, checked, best)}",
    )


def _evidence(history: TradeHistory, checked: SetupChecked, best: EntryConditions) -> str:
    if history.evidence == "insufficient":
        same = _elsewhere(history.scope, checked.scope) == ""
        n = f"{checked.scope.trades} of {CLOSED_MIN}" if same else f"fewer than {CLOSED_MIN}"
        return f"Evidence: insufficient ({n} closed trades in the book), so claim nothing."
    tier = best.ticker.tier if best.ticker else "insufficient"
    return f"Evidence that it differs from the rest of the book: {TIERS[tier]}."


def _of_setup(checked: SetupChecked) -> Iterator[Line]:
    if checked.estimate is None:
        return
    found, nearest = checked.estimate, checked.levels[0]
    each = ", ".join(f"{one.level} n={one.n}" for one in checked.levels)
    said = (
        f"Trades like this one: win rate about {found.win_rate:.0%} (95% {found.win_rate_low:.0%}"
        f" to {found.win_rate_high:.0%}; {each} taken together)."
    )
    if nearest.level != TICKER:  # Which the first line is about.
        said += f" Nearest, {nearest.level} ({', '.join(nearest.matched)}): {_rate(nearest)}."
    if checked.unseen:
        said += f" No closed trade has this {' and '.join(checked.unseen)}."
    yield Line("trades like this", said)


def _of_claims(
    checked: SetupChecked, best: EntryConditions, worst: EntryConditions
) -> Iterator[Line]:
    """What stands out from luck and holds for this setup: conditions that the caller named."""
    counted = {one.condition: one for one in (*worst.conditions, *best.conditions)}
    sides = (
        ("For it", checked.evidence_for),
        ("Against it", checked.evidence_against),
        ("No evidence", checked.no_evidence),
    )
    for side, carried in sides:
        for one in carried:
            yield Line("claims", f"{side}: {_claim(one, counted.get(one.condition))}.")
    if any(carried for _, carried in sides):
        return
    if best.reason is not None:
        yield Line("claims", f"No condition is tested: {best.reason}.")
        return
    edge = best.smallest_visible_edge
    seen = f"; an edge of {edge:.0%} could be seen by now" if edge is not None else ""
    checks = f"{best.conditions_checked} conditions checked over n={best.scope.trades}{seen}"
    yield Line("claims", f"Nothing known of this trade stands out from luck ({checks}).")


def _claim(one: Carries, found: FoundCondition | None) -> str:
    said = f"{_quoted(one.condition)}: {TIERS[one.tier]}; "
    if found is None:
        return f"{said}n={one.n}"
    luck = "" if found.p_adjusted is None else f", chance of luck {found.p_adjusted:.1%}"
    earned = _between("mean return", found.mean_return, found.mean_return_low,
                      found.mean_return_high)  # fmt: skip
    return f"{said}{_rate(found)}{luck}; {earned}"


async def _of_score(
    session: AsyncSession, score: Score, value: float, mode: str | None, checked: SetupChecked
) -> Line:
    """The score's fixed band in the whole book, for that is where it is tested."""
    low, band = next((low, name) for low, name in reversed(BANDS) if value >= low)
    above = [start for start, _ in BANDS if start > low]
    high = above[0] - LAST_OF_BAND if above else 100
    found = await get_win_rate_by_score(session, min=low, max=high, score=score, mode=mode)
    kind = f"{score} score"
    if not found.in_range.n + found.rest.n:
        return Line(kind, f"{kind.capitalize()}: no closed trade carries one (n=0).")
    return Line(
        kind,
        f"{kind.capitalize()} {band}, whole book{_elsewhere(found.scope, checked.scope)}:"
        f" {_rate(found.in_range)}; the rest: {_rate(found.rest)}. Beyond luck:"
        f" {found.whole_book_range.verdict.replace('_', ' ')}. The score predicts winning:"
        f" {found.whole_book_score.score_is_predictive}.",
    )


def _of_strategy(strategy: str, found: StrategyPerformance, checked: SetupChecked) -> Line:
    return Line(
        "strategy",
        f"Strategy {_quoted(strategy)}{_elsewhere(found.scope, checked.scope)}:"
        f" {_rate(found.overall)}; {_money(found.overall)}; max drawdown"
        f" {found.overall.max_drawdown}.",
    )


def _of_levels(checked: SetupChecked) -> Iterator[Line]:
    """What no other line is about: from near to the whole book."""
    for one in checked.levels[1:]:
        if one.n and one.level not in (TICKER, STRATEGY):
            yield Line("levels", f"{one.level.capitalize()}: {_rate(one)}.")


# Words for numbers.


def _rate(one: Counted) -> str:
    if not one.n:
        return "n=0"
    counts = f"n={one.n}: {one.wins} won, {one.losses} lost, {one.breakevens} break-even"
    if one.win_rate is None:
        return f"{counts}, no win rate"
    return f"{counts}, {_between('win rate', one.win_rate, one.win_rate_low, one.win_rate_high)}"


def _between(what: str, value: float | None, low: float | None, high: float | None) -> str:
    """A fraction in percent beside its interval: 95 % of a win rate, 90 % of returns."""
    if value is None:
        return f"{what} unknown"
    level = "95%" if what == "win rate" else "90%"
    if low is None or high is None:
        return f"{what} {value:.1%} (too few for an interval)"
    return f"{what} {value:.1%} ({level} {low:.1%} to {high:.1%})"


def _money(totals: Totals) -> str:
    said = f"n={totals.n}, net P&L {totals.net_pnl}, expectancy {totals.expectancy} a trade"
    if totals.expectancy_low is None:
        said += " (too few for an interval)"
    else:
        said += f" (90% {totals.expectancy_low} to {totals.expectancy_high})"
    if totals.profit_factor is None or totals.profit_factor_low is None:
        return said
    low, high = totals.profit_factor_low, totals.profit_factor_high
    return f"{said}, profit factor {totals.profit_factor:.2f} (90% {low:.2f} to {high:.2f})"


def _mode(scope: Scope) -> str | None:
    return "live and paper" if scope.mode == "all" else scope.mode


def _elsewhere(scope: Scope, usual: Scope) -> str:
    """Said where a line is about another book than the rest."""
    if (scope.mode, scope.currency) == (usual.mode, usual.currency):
        return ""
    return f" ({_mode(scope)}, {scope.currency})"


def _quoted(name: str) -> str:
    """A name that the caller gave, as what it is: a name."""
    return json.dumps(name, ensure_ascii=False)
