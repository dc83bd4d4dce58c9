"""How has a strategy done, and how sure can one be?"""

from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    case,
    cast,
    func,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import BigInteger

from store.columns import PRICE_DIGITS, Number
from store.columns import Money as MoneyColumn
from store.models import Trade
from store.queries.answer import Answer, Money, Optional, Part, Rate, Ratio, Totals
from store.queries.asking import Asked, ask, sums, sums_of
from store.queries.filters import Filters, question
from store.stats import sqn, streak_chance

GROUPS = 12


class Streak(Part):
    length: int
    chance: Ratio = Field(description="Of one at least as long, were trades independent")


class Performance(Totals):
    n_r: int
    expectancy_r: Ratio
    sqn: Ratio
    max_drawdown: Money
    win_streak: Streak
    loss_streak: Streak
    holding_hours_wins: list[float] = Field(description="Quartiles: 25 %, median, 75 %")
    holding_hours_losses: list[float]


class StrategyRate(Rate):
    strategy: str | None
    profit_factor: Ratio


class StrategyPerformance(Answer):
    overall: Performance
    strategies: Optional[list[StrategyRate]]


@question(
    "account", "mode", "ticker", "option_type", "structure", "since", "until",
    first=("strategy",),
)  # fmt: skip
async def get_strategy_performance(
    session: AsyncSession,
    filters: Filters,
    limit: Annotated[int, Field(ge=1, le=50, description="Strategies compared")] = GROUPS,
) -> StrategyPerformance:
    """Win rate, expectancy, profit factor, drawdown, streaks and holding time of a strategy
    over closed trades, each with n and interval; without a strategy, all compared."""
    alone = filters.strategy is not None
    asked = await ask(session, filters, _whole if alone else partial(_compared, limit))
    overall = _performance(asked)
    strategies = None if alone else [_strategy_rate(row) for row in asked.rows]
    return StrategyPerformance(
        summary=_summary(asked, overall, strategies),
        evidence=asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        overall=overall,
        strategies=strategies,
    )


def _summary(asked: Asked, found: Performance, strategies: list[StrategyRate] | None) -> str:
    if asked.book is None or not found.n:
        return "No closed trades match."
    compared = ""
    if strategies and len(strategies) > 1:
        compared = f" The best of {len(strategies)} strategies looks good by luck alone, too."
    return (
        f"{found.wins} wins, {found.losses} losses, {found.breakevens} break-even in"
        f" {found.n} closed {asked.book.mode} trades: net {found.net_pnl}"
        f" {asked.book.currency}, {found.said()}.{compared}{asked.caveat}"
    )


def _whole(facts: Any) -> Select[Any]:
    """Drawdown, streaks, holding times and R of the trades, in order of exit: one row."""
    trades = (
        select(
            Trade.closed_at, Trade.number, Trade.net_pnl, Trade.outcome,
            Trade.holding_seconds, Trade.r_multiple,
        )
        .where(*facts)
        .cte("facts")
    )  # fmt: skip
    parts = [_drawdown(trades), _streaks(trades), _holding(trades), _r(trades)]
    joined: Any = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, true())
    columns = [column for part in parts for column in part.c]
    return select(literal(1).label("position"), *columns).select_from(joined)


def _drawdown(trades: Any) -> Any:
    """The deepest fall of cumulative net P&L below its peak, the peak starting at 0."""
    order = (trades.c.closed_at, trades.c.number)
    equity = select(
        trades.c.closed_at, trades.c.number,
        func.sum(trades.c.net_pnl).over(order_by=order, rows=(None, 0)).label("equity"),
    ).subquery("equity")  # fmt: skip
    order = (equity.c.closed_at, equity.c.number)
    peaks = select(
        equity.c.equity,
        func.max(equity.c.equity).over(order_by=order, rows=(None, 0)).label("peak"),
    ).subquery("peaks")
    fall = peaks.c.equity - case((peaks.c.peak > 0, peaks.c.peak), else_=0)
    deepest = func.min(case((fall < 0, fall), else_=0))
    return select(type_coerce(deepest, MoneyColumn).label("drawdown")).subquery("drawdown")


def _streaks(trades: Any) -> Any:
    """The longest runs of wins and of losses; break-evens are passed over."""
    order = (trades.c.closed_at, trades.c.number)
    run = func.row_number().over(order_by=order) - func.row_number().over(
        partition_by=trades.c.outcome, order_by=order
    )
    decided = (
        select(trades.c.outcome, run.label("run"))
        .where(trades.c.outcome != "breakeven")
        .subquery("decided")
    )
    runs = (
        select(decided.c.outcome, func.count().label("length"))
        .group_by(decided.c.outcome, decided.c.run)
        .subquery("runs")
    )
    return select(
        func.max(runs.c.length).filter(runs.c.outcome == "win").label("win_streak"),
        func.max(runs.c.length).filter(runs.c.outcome == "loss").label("loss_streak"),
    ).subquery("streaks")


def _holding(trades: Any) -> Any:
    """Quartiles of the holding time of wins and losses, linearly interpolated.

    A value counts by its nearness to the wanted rank p (n - 1), within one rank of it.
    """
    place = func.row_number().over(
        partition_by=trades.c.outcome, order_by=(trades.c.holding_seconds, trades.c.number)
    )
    ranked = select(
        trades.c.outcome,
        trades.c.holding_seconds,
        cast(place - 1, Double).label("rank"),
        func.count().over(partition_by=trades.c.outcome).label("n"),
    ).subquery("ranked")

    def quartile(outcome: str, fraction: float) -> ColumnElement[Any]:
        apart = func.abs(ranked.c.rank - fraction * (ranked.c.n - 1))
        weight = case((apart < 1, 1 - apart), else_=0.0)
        mine = ranked.c.outcome == outcome
        return func.sum(ranked.c.holding_seconds * weight).filter(mine)

    return select(
        *(
            quartile(outcome, quarter / 4).label(f"{outcome}_{quarter}")
            for outcome in ("win", "loss")
            for quarter in (1, 2, 3)
        )
    ).subquery("holding")


def _r(trades: Any) -> Any:
    """Count, sum and sum of squares of the R-multiples that are known."""
    r = cast(type_coerce(trades.c.r_multiple, BigInteger), Double) / 10**PRICE_DIGITS
    return select(
        func.count(trades.c.r_multiple).label("n_r"),
        func.coalesce(func.sum(trades.c.r_multiple), literal(Decimal(0), Number)).label("r_sum"),
        func.coalesce(func.sum(r * r), 0.0).label("r_squares"),
    ).subquery("r")


def _performance(asked: Asked) -> Performance:
    row = asked.rows[0] if asked.rows else None
    total = asked.sums
    decided = total.wins + total.losses
    rate = total.wins / decided if decided else 0.0
    won, lost = (row.own_win_streak or 0, row.own_loss_streak or 0) if row else (0, 0)
    n_r = row.own_n_r if row else 0
    r_sum = float(row.own_r_sum) if row else 0.0
    mean_r = r_sum / n_r if n_r else None
    deviation = _deviation(n_r, r_sum, row.own_r_squares) if row else 0.0
    base = Totals.of(total)
    return Performance(
        **vars(base),
        n_r=n_r,
        expectancy_r=mean_r,
        sqn=sqn(n_r, mean_r, deviation) if mean_r is not None else None,
        max_drawdown=(row.own_drawdown if row else None) or Decimal(0),  # type: ignore[arg-type]
        win_streak=Streak(length=won, chance=_chance(won, decided, rate)),
        loss_streak=Streak(length=lost, chance=_chance(lost, decided, 1 - rate)),
        holding_hours_wins=_hours(row, "win"),
        holding_hours_losses=_hours(row, "loss"),
    )


def _deviation(n: int, total: float, squares: float) -> float:
    """Sample standard deviation from sums; 0 for a single value."""
    if n < 2:
        return 0.0
    return float(max(0.0, (squares - total * total / n) / (n - 1)) ** 0.5)


def _chance(length: int, decided: int, rate: float) -> float | None:
    return streak_chance(length, decided, rate) if length else None


def _hours(row: Any, outcome: str) -> list[float]:
    values = [getattr(row, f"own_{outcome}_{quarter}", None) for quarter in (1, 2, 3)]
    return [round(value / 3600, 1) for value in values if value is not None]


def _compared(limit: int, facts: Any) -> Select[Any]:
    """The whole beside every strategy: a row each by net P&L, best first, ties by name."""
    place = func.row_number().over(order_by=(func.sum(Trade.net_pnl).desc(), Trade.strategy))
    each = (
        select(place.label("position"), Trade.strategy, *sums())
        .where(*facts)
        .group_by(Trade.strategy)
        .order_by(place)
        .limit(limit)
        .subquery("each")
    )
    whole = _whole(facts).subquery("whole")
    own = [column for column in whole.c if column.name != "position"]
    return select(*each.c, *own).select_from(each.join(whole, true()))


def _strategy_rate(row: Any) -> StrategyRate:
    total = Totals.of(sums_of(row, "own_"))
    return StrategyRate(**vars(total), strategy=row.own_strategy)
