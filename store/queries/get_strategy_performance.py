"""How has a strategy done, and how sure can one be?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import BigInteger, ColumnElement, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.evidence.book import Book
from store.evidence.thresholds import ALPHA, CLOSED_MIN
from store.models import Trade
from store.queries.answer import (
    Answer,
    Money,
    MoneyOrNone,
    Optional,
    Part,
    Rate,
    Ratio,
    Totals,
)
from store.queries.asking import Asked, Question, ask
from store.queries.books import Whole, closed_trades, worked_out
from store.queries.course import course_of
from store.queries.filters import Filters, question
from store.queries.remembering import remembered
from store.stats import (
    Kelly,
    Sums,
    enough_for_interval,
    kelly,
    mean_interval,
    measures,
    sqn,
    streak_chance,
)

if TYPE_CHECKING:
    from store.evidence.strategies import Comparison

GROUPS = 12


Basis = Literal["risk", "notional", "currency"]


class Streak(Part):
    length: int
    chance: Ratio = Field(description="Of one at least as long, were trades independent")


class Performance(Totals):
    n_r: int
    expectancy_r: Ratio
    expectancy_r_low: Ratio
    expectancy_r_high: Ratio
    return_on_risk: Ratio = Field(description="Mean; on notional where unknown")
    return_low: Ratio
    return_high: Ratio
    signs_disagree: Optional[bool] = Field(description="P&L in currency and on risk")
    sqn: Ratio
    kelly: Ratio = Field(description="Half or less of Kelly, at most 10 %")
    kelly_reason: Optional[str]
    max_drawdown: Money
    drawdown_order_p: Ratio = Field(description="Small: losses came in a bunch. No forecast")
    win_streak: Streak
    loss_streak: Streak
    holding_hours_wins: list[float] = Field(description="Quartiles: 25 %, median, 75 %")
    holding_hours_losses: list[float]


class StrategyRate(Rate):
    strategy: str | None
    expectancy_low: MoneyOrNone
    expectancy_high: MoneyOrNone
    profit_factor: Ratio
    profit_factor_low: Ratio
    profit_factor_high: Ratio
    mean_return: Ratio
    p_adjusted: Ratio = Field(description="Better than the rest by luck, of all compared")


class Compared(Part):
    """Whether any strategy stands out from the others.

    By net P&L on risk where every trade's is known, on notional where none's is; else in
    currency, for risk and notional cannot be compared.
    """

    strategies: int
    basis: Basis
    best_by_luck: Ratio = Field(description="Mean of the best, if all were alike; in basis")
    reason: Optional[str]


class StrategyPerformance(Answer):
    overall: Performance
    comparison: Optional[Compared]
    strategies: Optional[list[StrategyRate]]


WHOLE = Question()
BY_STRATEGY = Question(by=lambda: [Trade.strategy.label("strategy")])


@question(
    "account", "mode", "ticker", "option_type", "structure", "since", "until",
    first=("strategy",),
)  # fmt: skip
async def get_strategy_performance(
    session: AsyncSession,
    filters: Filters,
    limit: Annotated[int, Field(ge=1, le=50, description="Strategies compared")] = GROUPS,
) -> StrategyPerformance:
    """Win rate, expectancy, profit factor, drawdown, streaks, holding time and capped Kelly of
    a strategy over closed trades, each with n and interval; without a strategy, all compared,
    beside how good the best would look by luck."""
    alone = filters.strategy is not None
    asked = await ask(session, filters, WHOLE if alone else BY_STRATEGY)
    found = None if alone else await _comparison(session, asked)
    course = await _course(session, asked)
    overall = _performance(asked, course, await _drawdown_order_p(session, asked))
    strategies = None if alone else _strategies(asked, found)[:limit]
    return StrategyPerformance(
        summary=_summary(asked, overall, found),
        evidence="supported" if found and _better(found) else asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        overall=overall,
        comparison=_told(found) if found else None,
        strategies=strategies,
    )


def _summary(asked: Asked, whole: Performance, found: "_Found | None") -> str:
    if asked.book is None or not whole.n:
        return "No closed trades match."
    return (
        f"{whole.wins} wins, {whole.losses} losses, {whole.breakevens} break-even in"
        f" {whole.n} closed {asked.mode} trades: net {whole.net_pnl}"
        f" {asked.book.currency}, {whole.said()}.{_best_said(found, asked)}{asked.caveat}"
    )


def _best_said(found: "_Found | None", asked: Asked) -> str:
    if found is None or found.comparison.compared < 2:
        return ""
    best, currency = found.comparison.best_by_luck, asked.book.currency if asked.book else ""
    luck = ""
    if best is not None:
        money = found.basis == "currency"
        mean = f"{best:+.2f} {currency} a trade of any size" if money else f"{best:+.1%}"
        on = "" if money else f" on {found.basis} a trade"
        luck = f" luck alone would show a best mean of {mean}{on};"
    better = _better(found)
    said = f"{better or 'none'} stand{'' if better > 1 else 's'} out"
    return f" Of {found.comparison.compared} strategies compared{luck} {said} from the others."


def _better(found: "_Found") -> int:
    """How many strategies stand out."""
    return sum(p is not None and p <= ALPHA for p in found.comparison.p_adjusted.values())


# The whole: what was asked for, taken together.


def _performance(asked: Asked, row: Any, drawdown_order_p: float | None) -> Performance:
    base = Totals.of(asked.sums)
    decided = base.wins + base.losses
    won, lost = (row.win_streak or 0, row.loss_streak or 0) if row else (0, 0)
    r, ret = _Earned.of(row, "r"), _Earned.of(row, "ret")
    r_low, r_high = r.interval(asked.sums)
    ret_low, ret_high = ret.interval(asked.sums)
    bet = _bet(asked)
    return Performance(
        **vars(base),
        n_r=r.n,
        expectancy_r=r.mean,
        expectancy_r_low=r_low,
        expectancy_r_high=r_high,
        return_on_risk=ret.mean,
        return_low=ret_low,
        return_high=ret_high,
        signs_disagree=_signs_disagree(asked.sums, ret),
        sqn=sqn(r.n, r.mean, r.deviation) if r.mean is not None else None,
        kelly=bet.fraction,
        kelly_reason=bet.reason,
        max_drawdown=(row.drawdown if row else None) or Decimal(0),  # type: ignore[arg-type]
        drawdown_order_p=drawdown_order_p,
        win_streak=Streak(length=won, chance=_chance(won, decided, base.win_rate)),
        loss_streak=Streak(length=lost, chance=_chance(lost, decided, 1 - (base.win_rate or 0.0))),
        holding_hours_wins=_hours(row, "win"),
        holding_hours_losses=_hours(row, "loss"),
    )


def _bet(asked: Asked) -> Kelly:
    """Of a whole book or a whole strategy: the best of many parts has an edge by luck."""
    if asked.evidence != "descriptive":
        return Kelly(0.0, f"fewer than {CLOSED_MIN} closed trades in the book")
    if set(asked.filters.said()) - {"mode", "strategy"}:
        return Kelly(0.0, "told of a whole book or a whole strategy only")
    return kelly(asked.sums, measures(asked.sums).expectancy_low)


@dataclass(frozen=True)
class _Earned:
    """Powers of a ratio over the n trades where it is known."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, row: Any, name: str) -> "_Earned":
        if row is None:
            return cls()
        values = (getattr(row, f"{name}_{power}") for power in ("sum", "squares", "cubes"))
        return cls(getattr(row, f"{name}_n"), *map(float, values))

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None

    def interval(self, sums: Sums) -> tuple[float | None, float | None]:
        """Hall's, from 20 values and 5 wins and 5 losses of the trades on."""
        if not enough_for_interval(self.n, sums.wins, sums.losses):
            return None, None
        found = mean_interval(self.n, self.total, self.squares, self.cubes)
        return (found.low, found.high) if found else (None, None)

    @property
    def deviation(self) -> float:
        """Of the sample; 0 for a single value."""
        if self.n < 2:
            return 0.0
        return float(max(0.0, (self.squares - self.total**2 / self.n) / (self.n - 1)) ** 0.5)


def _signs_disagree(sums: Sums, ret: _Earned) -> bool | None:
    """True where money was made but risk not paid for, or the other way round."""
    return True if float(sums.net_pnl) * ret.total < 0 else None


def _chance(length: int, decided: int, rate: float | None) -> float | None:
    return streak_chance(length, decided, rate) if length and rate is not None else None


def _hours(row: Any, outcome: str) -> list[float]:
    values = json.loads(getattr(row, f"{outcome}_holding", None) or "[]")
    return [round(value / 3600, 1) for value in values if value is not None]


async def _course(session: AsyncSession, asked: Asked) -> Any:
    """How the trades asked about went one after the other; None where there are none."""
    if asked.book is None or not asked.n:
        return None
    whole = Whole(asked.book.mode, asked.book.currency)

    async def read() -> Any:
        return (await session.execute(course_of(_asked_about(session, asked, whole)))).one()

    key = ("course", whole, tuple(asked.filters.said().items()))
    return await remembered(session, asked.version, key, read)


def _asked_about(session: AsyncSession, asked: Asked, whole: Whole) -> list[ColumnElement[bool]]:
    user_id = user_of(session)
    return [*closed_trades(user_id, whole), *asked.filters.matching(user_id, closed=True)]


async def _drawdown_order_p(session: AsyncSession, asked: Asked) -> float | None:
    if asked.book is None or not asked.n:
        return None
    whole = Whole(asked.book.mode, asked.book.currency)
    key = ("drawdown", whole, tuple(asked.filters.said().items()))

    async def read() -> Sequence[int]:
        from store.evidence.reordering import REORDERED_MAX  # Imports numpy.

        return await _net_pnls(session, asked, whole) if asked.n <= REORDERED_MAX else ()

    def work(net_pnls: Sequence[int]) -> tuple[float | None]:
        from store.evidence.reordering import drawdown_percentile

        return (drawdown_percentile(net_pnls),)

    found: tuple[float | None] = await remembered(session, asked.version, key, read, work)
    return found[0]


async def _net_pnls(session: AsyncSession, asked: Asked, whole: Whole) -> Sequence[int]:
    """Net P&L of the trades asked about, in order of exit, in millionths."""
    found = await session.scalars(
        select(type_coerce(Trade.net_pnl, BigInteger))
        .where(*_asked_about(session, asked, whole))
        .order_by(Trade.closed_at, Trade.number)
    )
    return found.all()


# Strategy by strategy.


@dataclass(frozen=True)
class _Found:
    comparison: "Comparison"
    basis: Basis


async def _comparison(session: AsyncSession, asked: Asked) -> _Found | None:
    """Of all strategies of the whole book; None where filters leave a part of it, for a part
    that was picked first proves nothing."""
    if asked.book is None or asked.n != asked.book.book_n or asked.too_large:
        return None
    whole = Whole(asked.book.mode, asked.book.currency)
    return await worked_out(session, whole, asked.version, "strategies", _compare)


def _compare(book: Book) -> _Found:
    from store.evidence.strategies import compare  # Imports numpy: see store.evidence.

    known = sum(book.risked)
    basis: Basis = "risk" if known == len(book) else "currency" if known else "notional"
    values = book.net_pnls if basis == "currency" else book.returns
    strategies, tickers = book.words("strategy"), book.words("ticker")
    return _Found(compare(strategies, values, book.sides, book.days, tickers), basis)


def _told(found: _Found) -> Compared:
    return Compared(
        strategies=found.comparison.compared,
        basis=found.basis,
        best_by_luck=found.comparison.best_by_luck,
        reason=found.comparison.reason,
    )


def _strategies(asked: Asked, found: "_Found | None") -> list[StrategyRate]:
    """Each strategy by net P&L, best first, ties by name."""
    groups = asked.groups.by(lambda key: (key[0],))
    ranked = sorted(groups.items(), key=lambda item: (-item[1].net_pnl, item[0][0] or ""))
    return [_strategy_rate(key[0], sums, found) for key, sums in ranked]


def _strategy_rate(name: str | None, sums: Sums, found: "_Found | None") -> StrategyRate:
    compared = found.comparison if found else None
    in_money = found is not None and found.basis == "currency"
    return StrategyRate(
        **vars(Totals.of(sums)),
        strategy=name,
        mean_return=compared.mean_return.get(name or "") if compared and not in_money else None,
        p_adjusted=compared.p_adjusted.get(name or "") if compared else None,
    )
