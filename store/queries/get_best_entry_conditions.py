"""Which facts known at entry go with winning, beyond luck?"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import PRICE_DIGITS, Number
from store.database import user_of
from store.edge import GRID, Band, Book, Cell, Verdict, Verdicts, judge
from store.models import Condition, Trade
from store.queries.answer import Answer, Evidence, Optional, Part, Rate, Ratio
from store.queries.asking import Asked, ask, refuse_unknown
from store.queries.filters import Filters, question
from store.stats import Sums

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WORDS = 20  # Values of a free condition that are looked at, the most frequent first.


class FoundCondition(Part):
    condition: str
    tier: str
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio
    rest_win_rate: Ratio
    p_adjusted: Ratio
    mean_return: Ratio = Field(description="Mean net P&L on risk")
    sentence: Optional[str]


class Base(Part):
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio


class EntryConditions(Answer):
    overall: Base
    ticker: Optional[FoundCondition]
    conditions: list[FoundCondition]
    conditions_checked: int
    smallest_visible_edge: Ratio = Field(description="Win rate; 80 % power, quarter of trades")
    reason: Optional[str]


@dataclass(frozen=True)
class _Group:
    """Sums of the trades that share one value of one column; `members` tell them apart."""

    n: int = 0
    wins: int = 0
    losses: int = 0
    breakevens: int = 0
    ret_n: int = 0
    ret_sum: float = 0.0
    ret_squares: float = 0.0
    ret_cubes: float = 0.0
    numbers: int = 0
    numbers_squared: int = 0

    def __add__(self, other: "_Group") -> "_Group":
        return replace(self, **{k: v + getattr(other, k) for k, v in vars(self).items()})

    def cell(self, name: str) -> Cell:
        given = {k: v for k, v in vars(self).items() if not k.startswith("numbers")}
        return Cell(name=name, members=(self.n, self.numbers, self.numbers_squared), **given)


@question("mode", first=("ticker",))
async def get_best_entry_conditions(
    session: AsyncSession,
    filters: Filters,
    avoid: Annotated[bool, Field(description="Ask for the worst instead")] = False,
    limit: Annotated[int, Field(ge=1, le=30)] = 5,
) -> EntryConditions:
    """Entry conditions that go with winning, tested against luck over the whole book (scores,
    greeks, IV, DTE, strategy, structure, day, hour, ticker, recorded facts). A ticker adds its
    own rate; picking a part to test first would find edges that are not there."""
    whole = Filters(mode=filters.mode)
    user_id = user_of(session)
    asked = await ask(session, whole, lambda facts: _every_condition(user_id, facts))
    groups = _groups(asked.rows)
    cells = list(_cells(groups))
    total = asked.sums
    found = judge(Book(total.n, total.wins, total.losses, total.breakevens), cells, avoid=avoid)
    own = await _of_ticker(session, filters, found)
    listed = [_found(verdict) for verdict in found.verdicts[:limit]]
    best = found.verdicts[0].tier if found.verdicts else "insufficient"
    evidence: Evidence = best if total.n else "none"
    return EntryConditions(
        summary=_of_ticker_said(own) + _summary(asked, found, avoid),
        evidence=evidence,
        scope=replace_filters(asked, filters),
        provenance=asked.provenance(),
        overall=_base(total),
        ticker=own,
        conditions=listed,
        conditions_checked=found.conditions_checked,
        smallest_visible_edge=found.smallest_visible_edge,
        reason=found.reason,
    )


def replace_filters(asked: Asked, filters: Filters) -> Any:
    """The scope with what was asked: the ticker does not narrow the test."""
    return asked.scope().model_copy(update={"filters": filters.said()})


def _base(total: Sums) -> Base:
    rate = Rate.of(total)
    return Base(**{name: getattr(rate, name) for name in Base.model_fields})


async def _of_ticker(
    session: AsyncSession, filters: Filters, found: Verdicts
) -> FoundCondition | None:
    if filters.ticker is None:
        return None
    name = f"ticker={filters.ticker.strip().upper()}"
    for verdict in found.verdicts:
        if name == verdict.name or name in verdict.also:
            return _found(replace(verdict, name=name))
    await refuse_unknown(session, filters)
    return None


def _of_ticker_said(own: FoundCondition | None) -> str:
    """The ticker that was asked for comes first; all else is about the whole book."""
    if own is None:
        return ""
    if own.tier == "insufficient":
        return f"The ticker asked for: not enough evidence (n={own.n}). Whole book: "
    return f"The ticker asked for: {own.tier} (n={own.n}). Whole book: "


def _summary(asked: Asked, found: Verdicts, avoid: bool) -> str:
    if asked.book is None or not asked.sums.n:
        return "No closed trades match."
    counts = {
        tier: sum(verdict.tier == tier for verdict in found.verdicts)
        for tier in ("supported", "suggestive")
    }
    against = "losing" if avoid else "winning"
    if any(counts.values()):
        said = (
            f"Conditions that go with {against}: {counts['supported']} supported,"
            f" {counts['suggestive']} suggestive."
        )
    else:
        said = (
            "Not enough evidence: nothing stands out from luck, which is not evidence of no edge."
        )
    visible = found.smallest_visible_edge
    edge = (
        "no edge could be visible yet"
        if visible is None
        else f"only an edge of about +{100 * visible:.0f} points would be visible yet"
    )
    return (
        f"{said} {asked.sums.n} closed {asked.book.mode} trades,"
        f" {found.conditions_checked} conditions checked; {edge}.{asked.caveat}"
    )


def _found(verdict: Verdict) -> FoundCondition:
    return FoundCondition(
        condition=verdict.name,
        tier=verdict.tier,
        n=verdict.n,
        wins=verdict.wins,
        losses=verdict.losses,
        breakevens=verdict.breakevens,
        win_rate=verdict.win_rate,
        win_rate_low=verdict.low,
        win_rate_high=verdict.high,
        rest_win_rate=verdict.rest_win_rate,
        p_adjusted=verdict.p_adjusted,
        mean_return=verdict.mean_ret,
        sentence=None if verdict.tier == "insufficient" else verdict.sentence,
    )


# From the grid to SQL: one select per column, grouped by value or by finest band.


def _every_condition(user_id: int, facts: Any) -> Select[Any]:
    """Sums by column and value. Only what was known at entry is a column here, so nothing
    that came later can be a condition."""
    trades = (
        select(
            Trade.number, Trade.outcome, Trade.return_on_risk, Trade.scanner_score,
            Trade.ai_score, func.abs(Trade.delta, type_=Trade.delta.type).label("abs_delta"),
            Trade.iv, Trade.dte, Trade.strategy, Trade.structure, Trade.option_type,
            Trade.direction, Trade.ticker, Trade.entry_weekday, Trade.entry_hour,
        )
        .where(*facts)
        .cte("facts")
    )  # fmt: skip
    selects = [
        _grouped(trades, column, _band_number(trades.c[column], _finest(column)))
        for column in dict.fromkeys(band.column for band in GRID)
    ]
    for column in ("strategy", "structure", "option_type", "direction", "ticker"):
        selects.append(_grouped(trades, column, trades.c[column]))
    for column in ("entry_weekday", "entry_hour"):
        selects.append(_grouped(trades, column, cast(trades.c[column], Text)))
    selects.append(_free(user_id, trades))
    every = union_all(*selects).subquery("every")
    place = func.row_number().over(order_by=(every.c.kind, every.c.value))
    return select(place.label("position"), *every.c)


def _grouped(trades: Any, kind: str, value: ColumnElement[Any]) -> Any:
    return (
        select(literal(kind).label("kind"), value.label("value"), *_group_sums(trades))
        .where(value.is_not(None))
        .group_by(value)
    )


def _free(user_id: int, trades: Any) -> Any:
    """The recorded words; numbers wait for bands that are fixed beforehand."""
    kind = literal("condition.") + Condition.name
    return (
        select(kind, Condition.word, *_group_sums(trades))
        .join(trades, trades.c.number == Condition.trade_number)
        .where(Condition.user_id == user_id, Condition.word.is_not(None))
        .group_by(Condition.name, Condition.word)
    )


def _group_sums(trades: Any) -> list[Any]:
    ret = cast(type_coerce(trades.c.return_on_risk, BigInteger), Double) / 10**PRICE_DIGITS
    return [
        func.count().label("n"),
        func.count().filter(trades.c.outcome == "win").label("wins"),
        func.count().filter(trades.c.outcome == "loss").label("losses"),
        func.count().filter(trades.c.outcome == "breakeven").label("breakevens"),
        func.count(trades.c.return_on_risk).label("ret_n"),
        # Exact: floats add up to other last digits in another order.
        func.coalesce(func.sum(trades.c.return_on_risk), literal(Decimal(0), Number)).label(
            "ret_sum"
        ),
        func.coalesce(func.sum(ret * ret), 0.0).label("ret_squares"),
        func.coalesce(func.sum(ret * ret * ret), 0.0).label("ret_cubes"),
        func.sum(trades.c.number).label("numbers"),
        func.sum(trades.c.number * trades.c.number).label("numbers_squared"),
    ]


def _finest(column: str) -> list[Band]:
    """The bands that divide the column: those that no other band divides further."""
    mine = [band for band in GRID if band.column == column]
    return [
        band
        for band in mine
        if not any(
            _low(band) <= _low(other) and _high(other) <= _high(band) and other is not band
            for other in mine
        )
    ]


def _low(band: Band) -> Decimal:
    return Decimal("-Infinity") if band.low is None else band.low


def _high(band: Band) -> Decimal:
    return Decimal("Infinity") if band.high is None else band.high


def _band_number(column: Any, bands: Sequence[Band]) -> ColumnElement[Any]:
    """The number of the band a value is in, as text."""

    def bound(value: Decimal) -> Any:
        return int(value) if isinstance(column.type, BigInteger) else value

    branches = [
        (
            and_(
                *([] if band.low is None else [column >= bound(band.low)]),
                *([] if band.high is None else [column < bound(band.high)]),
            ),
            str(number),
        )
        for number, band in enumerate(bands)
    ]
    return case(*branches, else_=null())


def _groups(rows: Iterable[Any]) -> dict[str, dict[str, _Group]]:
    """Every group by column and value."""
    found: dict[str, dict[str, _Group]] = defaultdict(dict)
    for row in rows:
        values = {name: getattr(row, f"own_{name}") for name in vars(_Group())}
        for name, value in values.items():
            values[name] = float(value) if name in _FLOATS else int(value)
        found[row.own_kind][row.own_value] = _Group(**values)
    return found


_FLOATS = ("ret_sum", "ret_squares", "ret_cubes")


def _cells(groups: dict[str, dict[str, _Group]]) -> Iterable[Cell]:
    """The family of conditions: every band of the grid, every value of the rest."""
    for band in GRID:
        finest = _finest(band.column)
        inside = [
            groups[band.column][str(number)]
            for number, fine in enumerate(finest)
            if _low(band) <= _low(fine) and _high(fine) <= _high(band)
            if str(number) in groups.get(band.column, {})
        ]
        if inside:
            yield sum(inside, _Group()).cell(band.name)
    banded = {band.column for band in GRID}
    for kind, values in groups.items():
        if kind in banded:
            continue
        ranked = sorted(values.items(), key=lambda item: (-item[1].n, item[0]))
        for value, group in ranked[: WORDS if kind.startswith("condition.") else None]:
            yield group.cell(_name(kind, value))


def _name(kind: str, value: str) -> str:
    if kind == "entry_weekday":
        return f"weekday={WEEKDAYS[int(value) - 1]}"
    if kind == "entry_hour":
        return f"hour={int(value):02d}"
    return f"{kind}={value}"
