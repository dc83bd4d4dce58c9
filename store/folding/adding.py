"""What a closed trade adds to the sums, in every dimension that there is."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    case,
    cast,
    extract,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Money, Words
from store.models import ONE, Fold, Strategy, Trade, Unfolded

Dimension: TypeAlias = Literal["whole", "strategy", "scanner_score", "ai_score", "ticker", "month"]
Mode: TypeAlias = Literal["paper", "live"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
KEY = ("dimension", "value", "mode", "currency")
COUNTS = ("n", "wins", "losses", "breakevens")
AMOUNTS = ("gross_pnl", "fees", "net_pnl")


class Key(NamedTuple):
    """What a sum is of: a whole score, `202601` for a month, empty where a trade has none."""

    dimension: Dimension
    value: str
    mode: Mode
    currency: str


class Tally(NamedTuple):
    """Counts and exact money of some closed trades."""

    n: int = 0
    wins: int = 0
    losses: int = 0
    breakevens: int = 0
    gross_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    net_pnl: Decimal = Decimal(0)

    def plus(self, other: "Tally", sign: int = 1) -> "Tally":
        pairs: Iterable[tuple[Any, Any]] = zip(self, other, strict=True)
        return Tally._make(one + sign * more for one, more in pairs)


NOTHING = Tally()


def facts_unfolded(*where: ColumnElement[bool]) -> Select[Any]:
    """What is not folded yet."""
    u = Unfolded
    return _facts(
        u, u.effect, u.strategy, (u.scanner_score, u.ai_score), cast(u.month, Words)
    ).where(*where)


def facts_of_closed() -> Select[Any]:
    """Every closed trade, once."""
    month = extract("year", Trade.closed_on) * 100 + extract("month", Trade.closed_on)
    scores = [
        type_coerce(score, BigInteger) // ONE for score in (Trade.scanner_score, Trade.ai_score)
    ]
    strategy = func.coalesce(_strategy_key(), Trade.strategy)
    once: ColumnElement[int] = literal_column("1")
    return _facts(Trade, once, strategy, scores, cast(month, Words)).where(Trade.status == "closed")


def _facts(
    of: type[Unfolded] | type[Trade],
    effect: Any,
    strategy: Any,
    scores: Sequence[Any],
    month: ColumnElement[str],
) -> Select[Any]:
    """A row for each trade: its value in each dimension, and what it adds, times `effect`."""

    def if_(outcome: str) -> ColumnElement[int]:
        return case((of.outcome == outcome, effect), else_=0).label(outcome)

    def money(column: Any) -> ColumnElement[Decimal]:
        return type_coerce(effect * type_coerce(column, BigInteger), Money).label(column.key)

    scanner_score, ai_score = (func.coalesce(cast(score, Words), "") for score in scores)
    return select(
        literal("", Words).label("whole"),
        func.coalesce(strategy, "").label("strategy"),
        scanner_score.label("scanner_score"),
        ai_score.label("ai_score"),
        of.ticker,
        month.label("month"),
        of.mode,
        of.currency,
        effect.label("n"),
        if_("win"),
        if_("loss"),
        if_("breakeven"),
        *(money(getattr(of, name)) for name in AMOUNTS),
    )


def _strategy_key() -> ColumnElement[str]:
    """What a strategy is called whoever wrote it, however it was written."""
    return (
        select(func.min(Strategy.name_key))
        .where(Strategy.user_id == Trade.user_id, Strategy.name == Trade.strategy)
        .correlate(Trade)
        .scalar_subquery()
    )


def added(facts: FromClause, dimensions: Iterable[Dimension]) -> CompoundSelect[Any]:
    """The sums of `facts`, by one dimension after the other."""
    c = facts.c
    return union_all(
        *(
            select(
                literal(dimension, Words).label("dimension"),
                c[dimension].label("value"),
                c.mode,
                c.currency,
                func.sum(c.n).label("n"),
                func.sum(c.win).label("wins"),
                func.sum(c.loss).label("losses"),
                func.sum(c.breakeven).label("breakevens"),
                *(func.sum(c[name], type_=Money).label(name) for name in AMOUNTS),
            ).group_by(c[dimension], c.mode, c.currency)
            for dimension in dimensions
        )
    )


def folded() -> Select[Any]:
    """What the fold holds."""
    return select(*Fold.__table__.columns)


def current(
    dimensions: Iterable[Dimension],
    mode: str | None = None,
    currency: str | None = None,
) -> Select[Any]:
    """What the fold and what is unfolded hold together: the truth of this moment."""
    asked = list(dimensions)
    said = {"mode": mode, "currency": currency}

    def of(model: Any) -> list[ColumnElement[bool]]:
        return [getattr(model, name) == value for name, value in said.items() if value]

    rest = facts_unfolded(*of(Unfolded)).cte("rest")
    both = union_all(
        folded().where(Fold.dimension.in_(asked), *of(Fold)), *added(rest, asked).selects
    ).subquery()
    keys = [both.c[name] for name in KEY]
    return select(
        *keys,
        *(func.sum(both.c[name]).label(name) for name in COUNTS),
        *(func.sum(both.c[name], type_=Money).label(name) for name in AMOUNTS),
    ).group_by(*keys)


def scanned() -> CompoundSelect[Any]:
    """What the trades themselves add up to: a scan of all of them for each dimension."""
    return added(facts_of_closed().subquery(), DIMENSIONS)


async def tallied(
    session: AsyncSession, statement: Select[Any] | CompoundSelect[Any]
) -> dict[Key, Tally]:
    """What `statement` sums, without what comes to nothing."""
    found = await session.execute(statement)
    width = len(KEY)
    # PostgreSQL sums integers as NUMERIC.
    tallies = (
        (Key(*row[:width]), Tally._make([*map(int, row[width : width + 4]), *row[width + 4 :]]))
        for row in found
    )
    return {key: tally for key, tally in tallies if tally != NOTHING}
