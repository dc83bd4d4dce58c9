"""The sums that every rate is made of, and how their trades cluster by week of entry.

SQL adds trades up by group and outcome, and counts them by group and week: small tables,
however many trades there are. They come as two JSON texts, so that they ride along in one
row of an answer; what belongs together is added up here, exactly.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from operator import mul
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Label,
    Text,
    case,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from store.columns import MONEY_DIGITS
from store.models import Trade
from store.stats import BLOCK_WEEKS, Clusters, Sums

Key = tuple[Any, ...]
Weeks = dict[int, tuple[int, int]]  # Week of entry: wins and decided trades.
MONEY_COLUMNS = 10  # After the key.
Name = TypeVar("Name", bound=Hashable)
WIN, BREAKEVEN, LOSS = 1, 0, -1


class day_number(FunctionElement[int]):  # noqa: N801 - named as the functions of SQL are.
    """Days from 1970-01-01 to a market day."""

    type = BigInteger()
    inherit_cache = True


@compiles(day_number, "sqlite")
def _sqlite_day(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST(julianday({compiler.process(element.clauses, **kw)}) - 2440587.5 AS INTEGER)"


@compiles(day_number, "postgresql")
def _postgresql_day(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} - DATE '1970-01-01')"


class rows_as_json(FunctionElement[str]):  # noqa: N801
    """All rows of a select as one JSON array of arrays; null where there is none on PostgreSQL."""

    type = Text()
    inherit_cache = True


@compiles(rows_as_json, "sqlite")
def _sqlite_rows(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kw)}))"


@compiles(rows_as_json, "postgresql")
def _postgresql_rows(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_agg(json_build_array({compiler.process(element.clauses, **kw)}))::text"


def as_json(rows: Any) -> Any:
    """A scalar select of all rows of the subquery `rows`."""
    return select(rows_as_json(*rows.c)).scalar_subquery()


def grouped(by: Sequence[Label[Any]], trades: Sequence[ColumnElement[bool]]) -> list[Label[Any]]:
    """Two columns for `Grouped.of`: closed trades that satisfy `trades`, added up `by`."""
    sign = case((Trade.outcome == "win", WIN), (Trade.outcome == "loss", LOSS), else_=BREAKEVEN)
    net = type_coerce(Trade.net_pnl, BigInteger)
    real = cast(net, Double) / 10**MONEY_DIGITS
    # 1970-01-01 was a Thursday: the days since then, plus 3, over 7 are ISO weeks.
    week = (day_number(Trade.opened_on) + 3) // 7
    money = (
        select(
            *by,
            sign.label("sign"),
            func.count().label("n"),
            *(func.sum(type_coerce(column, BigInteger)).label(column.key)
              for column in (Trade.gross_pnl, Trade.fees, Trade.net_pnl)),
            func.sum(real * real).label("squares"),
            func.sum(real * real * real).label("cubes"),
            func.min(Trade.closed_on).label("first"),
            func.max(Trade.closed_on).label("last"),
            func.max(Trade.closed_at).label("last_closed"),
        )
        .where(*trades)
        .group_by(*by, sign)
        .subquery()
    )  # fmt: skip
    weeks = (
        select(
            *by,
            week.label("week"),
            func.count().filter(Trade.outcome == "win").label("wins"),
            func.count().label("decided"),
        )
        .where(*trades, Trade.outcome != "breakeven")
        .group_by(*by, week)
        .subquery()
    )
    return [as_json(money).label("money"), as_json(weeks).label("weeks")]


@dataclass(frozen=True)
class Grouped:
    """Sums by group as SQL gave them. `money`: the group's key, sign of the outcome, n, gross
    P&L, fees, net P&L and the sums of its squares and cubes, first and last day and last moment
    of exit. `weeks`: the key, the week of entry, wins and decided trades."""

    money: Sequence[Sequence[Any]] = ()
    weeks: Sequence[Sequence[Any]] = ()

    @classmethod
    def of(cls, row: Any) -> "Grouped":
        return cls(json.loads(row.money or "[]"), json.loads(row.weeks or "[]"))

    @cached_property
    def total(self) -> Sums:
        return self.by(lambda key: ()).get((), Sums())

    @property
    def n(self) -> int:
        return sum(row[-MONEY_COLUMNS + 1] for row in self.money)

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The first and the last day of exit."""
        firsts, lasts = ([row[place] for row in self.money] for place in (-3, -2))
        return (
            date.fromisoformat(min(firsts)) if firsts else None,
            date.fromisoformat(max(lasts)) if lasts else None,
        )

    @property
    def last_closed(self) -> datetime | None:
        """The last moment of exit, in UTC."""
        moments = [datetime.fromisoformat(row[-1]) for row in self.money]
        return max(moments).astimezone(UTC) if moments else None

    def by(self, group: Callable[[Key], Name | None]) -> dict[Name, Sums]:
        """The sums of each group that `group` gives for a key; None belongs to no group."""
        money: defaultdict[Name, list[Sequence[Any]]] = defaultdict(list)
        for row in self.money:
            if (name := group(tuple(row[:-MONEY_COLUMNS]))) is not None:
                money[name].append(row[-MONEY_COLUMNS:])
        weeks: defaultdict[Name, list[Weeks]] = defaultdict(list)
        for key, some in self._weeks.items():
            if (name := group(key)) is not None:
                weeks[name].append(some)
        return {name: _sums(rows, _merged(weeks[name])) for name, rows in money.items()}

    @cached_property
    def _weeks(self) -> dict[Key, Weeks]:
        found: defaultdict[Key, Weeks] = defaultdict(dict)
        for *key, week, wins, decided in self.weeks:
            found[tuple(key)][week] = (wins, decided)
        return found


def _merged(parts: Sequence[Weeks]) -> Weeks:
    if len(parts) == 1:
        return parts[0]
    found: Weeks = {}
    for part in parts:
        _add(found, part.items())
    return found


def _add(weeks: Weeks, more: Iterable[tuple[int, tuple[int, int]]]) -> None:
    for week, (wins, decided) in more:
        known = weeks.get(week)
        weeks[week] = (wins + known[0], decided + known[1]) if known else (wins, decided)


def _sums(rows: Sequence[Sequence[Any]], weeks: Weeks) -> Sums:
    counts, nets, squares = ({WIN: 0, BREAKEVEN: 0, LOSS: 0} for _ in range(3))
    gross = fees = 0
    cubes = 0.0
    for sign, n, own_gross, own_fees, own_net, own_squares, own_cubes, *_dates in rows:
        counts[sign] += n
        gross, fees = gross + own_gross, fees + own_fees
        nets[sign] += own_net
        squares[sign] += own_squares
        cubes += own_cubes
    blocks: Weeks = {}
    _add(blocks, ((week // BLOCK_WEEKS, counted) for week, counted in weeks.items()))
    return Sums(
        n=sum(counts.values()),
        wins=counts[WIN],
        losses=counts[LOSS],
        breakevens=counts[BREAKEVEN],
        gross_pnl=kept_money(gross),
        fees=kept_money(fees),
        net_pnl=kept_money(sum(nets.values())),
        won=kept_money(nets[WIN]),
        lost=kept_money(-nets[LOSS]),
        squares=float(sum(squares.values())),
        cubes=cubes,
        won_squares=float(squares[WIN]),
        lost_squares=float(squares[LOSS]),
        weeks=_clusters(weeks),
        blocks=_clusters(blocks),
    )


def _clusters(weeks: Weeks) -> Clusters:
    wins, decided = tuple(zip(*weeks.values(), strict=True)) or ((), ())
    return Clusters(len(weeks), _dot(wins, wins), _dot(wins, decided), _dot(decided, decided))


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(map(mul, left, right))


def kept_money(kept: int) -> Decimal:
    """An amount as it is kept, in currency."""
    return Decimal(kept).scaleb(-MONEY_DIGITS)
