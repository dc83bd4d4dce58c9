"""How trades went, one after the other: drawdown, streaks, holding times, R and returns."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
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

from store.columns import PRICE_DIGITS, Number
from store.columns import Money as MoneyColumn
from store.models import Trade


def course_of(facts: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """One row for all trades that satisfy `facts`, in order of exit."""
    trades = (
        select(
            Trade.closed_at, Trade.number, Trade.net_pnl, Trade.outcome,
            Trade.holding_seconds, Trade.r_multiple, Trade.return_on_risk,
        )
        .where(*facts)
        .cte("facts")
    )  # fmt: skip
    parts = [_drawdown(trades), _streaks(trades), _holding(trades), _earned(trades)]
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


def _earned(trades: Any) -> Any:
    """Counts and powers of the R-multiples, and of the returns on risk, that are known."""
    r, ret = trades.c.r_multiple, trades.c.return_on_risk
    return select(
        func.count(r).label("r_n"),
        *_powers("r", r),
        func.count(ret).label("ret_n"),
        *_powers("ret", ret),
    ).subquery("earned")


def _powers(name: str, column: Any) -> list[Any]:
    """Sum, sum of squares and of cubes; the sum exactly, for floats add up to other last
    digits in another order."""
    real = cast(type_coerce(column, BigInteger), Double) / 10**PRICE_DIGITS
    return [
        func.coalesce(func.sum(column), literal(Decimal(0), Number)).label(f"{name}_sum"),
        func.coalesce(func.sum(real * real), 0.0).label(f"{name}_squares"),
        func.coalesce(func.sum(real * real * real), 0.0).label(f"{name}_cubes"),
    ]
