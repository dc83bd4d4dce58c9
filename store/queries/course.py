"""How trades went, one after the other: drawdown, streaks, holding times, R and returns."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    Text,
    case,
    cast,
    func,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from store.columns import PRICE_DIGITS, Number
from store.columns import Money as MoneyColumn
from store.models import Trade


class quartiles(FunctionElement[str]):  # noqa: N801 - named as the functions of SQL are.
    """Lower quartile, median and upper quartile of the rows of a select that is in order, each
    at rank q (n - 1) of the ranks from 0, linearly interpolated; a JSON array."""

    type = Text()
    inherit_cache = True


@compiles(quartiles, "sqlite")
def _sqlite_quartiles(element: Any, compiler: Any, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    # It sorts and gathers them once, however often they are named.
    ranked, last = f"json_group_array({value})", f"(count({value}) - 1)"

    def at(place: str) -> str:
        return f"json_extract({ranked}, '$[' || ({place}) || ']')"

    def quartile(quarter: int) -> str:
        low, part = (f"{quarter} * {last} {then} 4" for then in "/%")
        return f"{at(low)} + coalesce({at(low + ' + 1')} - {at(low)}, 0) * ({part}) / 4.0"

    return f"json_array({', '.join(map(quartile, (1, 2, 3)))})"


@compiles(quartiles, "postgresql")
def _postgresql_quartiles(element: Any, compiler: Any, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    ranked = f"percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY {value})"
    return f"array_to_json({ranked})::text"


def course_of(facts: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """One row for all trades that satisfy `facts`, in order of exit."""
    holding = [_holding(facts, outcome).label(f"{outcome}_holding") for outcome in ("win", "loss")]
    falls, earned = _falls_and_streaks(facts), _earned(facts)
    return select(*falls.c, *holding, *earned.c).select_from(falls.join(earned, true()))


def _falls_and_streaks(facts: Sequence[ColumnElement[bool]]) -> Any:
    """The deepest fall of cumulative net P&L below its peak, the peak starting at 0, and the
    longest runs of wins and of losses; break-evens are passed over.

    As few windows as it takes, for each costs more than reading the trades does: one of the
    index's own order, and one of the places it gave.
    """
    in_order: Any = {"order_by": (Trade.closed_at, Trade.number), "rows": (None, 0)}
    equity = select(
        Trade.outcome,
        func.count().over(**in_order).label("place"),
        func.sum(Trade.net_pnl).over(**in_order).label("equity"),
        func.count().filter(Trade.outcome == "win").over(**in_order).label("wins"),
        func.count().filter(Trade.outcome == "loss").over(**in_order).label("losses"),
    ).where(*facts).subquery("equity")  # fmt: skip
    so_far = equity.c
    by_place: Any = {"order_by": so_far.place, "rows": (None, 0)}
    won = case((so_far.outcome == "win", so_far.losses))
    lost = case((so_far.outcome == "loss", so_far.wins))
    course = select(
        so_far.equity, so_far.wins, so_far.losses,
        func.max(so_far.equity).over(**by_place).label("peak"),
        func.max(won).over(**by_place).label("losses_before"),
        func.max(lost).over(**by_place).label("wins_before"),
    ).subquery("course")  # fmt: skip
    now = course.c
    fall = now.equity - case((now.peak > 0, now.peak), else_=0)
    deepest = func.min(case((fall < 0, fall), else_=0))
    return select(
        type_coerce(deepest, MoneyColumn).label("drawdown"),
        func.max(now.wins - func.coalesce(now.wins_before, 0)).label("win_streak"),
        func.max(now.losses - func.coalesce(now.losses_before, 0)).label("loss_streak"),
    ).subquery("falls")


def _holding(facts: Sequence[ColumnElement[bool]], outcome: str) -> Any:
    """Quartiles of the holding time, in seconds."""
    ordered = (
        select(Trade.holding_seconds)
        .where(*facts, Trade.outcome == outcome)
        .order_by(Trade.holding_seconds)
        .subquery(f"{outcome}s")
    )
    return select(quartiles(*ordered.c)).scalar_subquery()


def _earned(facts: Sequence[ColumnElement[bool]]) -> Any:
    """Counts and powers of the R-multiples, and of the returns on risk, that are known."""
    return (
        select(*_powers("r", Trade.r_multiple), *_powers("ret", Trade.return_on_risk))
        .where(*facts)
        .subquery("earned")
    )


def _powers(name: str, column: Any) -> list[Any]:
    """How many, sum, sum of squares and of cubes; the sum exactly, for floats add up to other last
    digits in another order."""
    real = cast(type_coerce(column, BigInteger), Double) / 10**PRICE_DIGITS
    return [
        func.count(column).label(f"{name}_n"),
        func.coalesce(func.sum(column), literal(Decimal(0), Number)).label(f"{name}_sum"),
        func.coalesce(func.sum(real * real), 0.0).label(f"{name}_squares"),
        func.coalesce(func.sum(real * real * real), 0.0).label(f"{name}_cubes"),
    ]
