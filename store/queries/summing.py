"""The sums that every rate is made of, and how their trades cluster by week of entry.

Trades are added up by week first, then over the weeks: so one scan gives the sums and,
beside them, what the design effect of the win rate needs.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Label,
    Row,
    Select,
    and_,
    cast,
    distinct,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from store.columns import MONEY_DIGITS
from store.columns import Money as MoneyColumn
from store.models import Trade
from store.stats import BLOCK_WEEKS, Clusters, Sums

COUNTS = ("n", "wins", "losses", "breakevens")
AMOUNTS = ("gross_pnl", "fees", "net_pnl", "won", "lost")
POWERS = ("squares", "cubes", "won_squares", "lost_squares")
CLUSTERS = ("n", "ww", "wd", "dd")


class day_number(FunctionElement[int]):  # noqa: N801 - named as the functions of SQL are.
    """Days from 1970-01-01 to a market day."""

    type = BigInteger()
    inherit_cache = True


@compiles(day_number, "sqlite")
def _sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST(julianday({compiler.process(element.clauses, **kw)}) - 2440587.5 AS INTEGER)"


@compiles(day_number, "postgresql")
def _postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} - DATE '1970-01-01')"


def summed(
    by: Sequence[Label[Any]],
    trades: Sequence[ColumnElement[bool]],
    *,
    where: ColumnElement[bool] | None = None,
    beside: Mapping[str, tuple[ColumnElement[Any], Any]] | None = None,
) -> Select[Any]:
    """The columns of `stats.Sums` over `trades` (of them, those of `where`), grouped `by`.

    `beside` adds columns: an aggregate over the trades of a week, and the function that adds
    up weeks. 1970-01-01 was a Thursday: the days since then, plus 3, over 7 are ISO weeks.
    """
    week = ((day_number(Trade.opened_on) + 3) // 7).label("week")
    more = beside or {}
    inner = (
        select(
            *by,
            week,
            *_sums(where),
            *(aggregate.label(name) for name, (aggregate, _) in more.items()),
        )
        .where(*trades)
        .group_by(*by, week)
        .subquery()
    )
    keys = [inner.c[key.name] for key in by]
    block = inner.c.week // BLOCK_WEEKS
    wins, decided = inner.c.wins, inner.c.wins + inner.c.losses
    weeks = select(
        *inner.c,
        decided.label("decided"),
        block.label("block"),
        func.sum(wins).over(partition_by=[*keys, block]).label("block_wins"),
        func.sum(decided).over(partition_by=[*keys, block]).label("block_decided"),
    ).subquery()
    keys = [weeks.c[key.name] for key in by]
    return select(
        *keys,
        *(func.sum(weeks.c[name]).label(name) for name in (*COUNTS, *AMOUNTS, *POWERS)),
        *_clusters(weeks),
        *(
            add(weeks.c[name], type_=weeks.c[name].type).label(name)
            for name, (_, add) in more.items()
        ),
    ).group_by(*keys)


def _sums(where: ColumnElement[bool] | None) -> list[Label[Any]]:
    """Counts, money and powers of net P&L, in the order of `stats.Sums`."""
    net = Trade.net_pnl
    real = cast(type_coerce(net, BigInteger), Double) / 10**MONEY_DIGITS
    win, loss = Trade.outcome == "win", Trade.outcome == "loss"

    def kept(*also: ColumnElement[bool]) -> ColumnElement[bool] | None:
        given = [condition for condition in (where, *also) if condition is not None]
        return and_(*given) if given else None

    def count(*also: ColumnElement[bool]) -> ColumnElement[int]:
        condition = kept(*also)
        return func.count() if condition is None else func.count().filter(condition)

    def total(column: Any, *also: ColumnElement[bool]) -> ColumnElement[Any]:
        condition = kept(*also)
        summed = func.sum(column)
        return summed if condition is None else summed.filter(condition)

    zero = literal(Decimal(0), MoneyColumn)
    return [
        count().label("n"),
        count(win).label("wins"),
        count(loss).label("losses"),
        count(Trade.outcome == "breakeven").label("breakevens"),
        func.coalesce(total(Trade.gross_pnl), zero).label("gross_pnl"),
        func.coalesce(total(Trade.fees), zero).label("fees"),
        func.coalesce(total(net), zero).label("net_pnl"),
        func.coalesce(total(net, win), zero).label("won"),
        func.coalesce(-total(net, loss), zero).label("lost"),
        func.coalesce(total(real * real), 0.0).label("squares"),
        func.coalesce(total(real * real * real), 0.0).label("cubes"),
        func.coalesce(total(real * real, win), 0.0).label("won_squares"),
        func.coalesce(total(real * real, loss), 0.0).label("lost_squares"),
    ]


def _clusters(weeks: Any) -> list[Label[Any]]:
    """Over weeks, and over blocks: a week's wins times its block's, summed over the weeks,
    are the squares of the blocks' wins, summed over the blocks."""
    c = weeks.c
    some = c.decided > 0
    return [
        func.count().filter(some).label("week_n"),
        func.sum(c.wins * c.wins).label("week_ww"),
        func.sum(c.wins * c.decided).label("week_wd"),
        func.sum(c.decided * c.decided).label("week_dd"),
        func.count(distinct(c.block)).filter(some).label("block_n"),
        func.sum(c.wins * c.block_wins).label("block_ww"),
        func.sum(c.wins * c.block_decided).label("block_wd"),
        func.sum(c.decided * c.block_decided).label("block_dd"),
    ]


def sums_of(row: Row[Any], prefix: str = "") -> Sums:
    """The `Sums` in a row of `summed`."""

    def clusters(level: str) -> Clusters:
        # PostgreSQL sums integers as NUMERIC.
        return Clusters(*(int(getattr(row, f"{prefix}{level}_{name}")) for name in CLUSTERS))

    values: dict[str, Any] = {
        name: getattr(row, prefix + name) for name in (*COUNTS, *AMOUNTS, *POWERS)
    }
    values.update((name, int(values[name])) for name in COUNTS)
    return Sums(**values, weeks=clusters("week"), blocks=clusters("block"))
