"""A whole book of closed trades as columns, and what was worked out from it.

The book comes as one row of JSON arrays, one a column: thousands of trades in a few
milliseconds, and one statement. What is worked out from it is remembered until the user
records again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Text,
    case,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import MONEY_DIGITS, PRICE_DIGITS
from store.database import user_of
from store.evidence.book import Book
from store.evidence.grid import FREE, WEEKDAYS, Value
from store.models import Condition, Trade
from store.queries.remembering import remembered
from store.queries.summing import day_number

T = TypeVar("T")

OUTCOMES = {"win": 1, "breakeven": 0, "loss": -1}
SIDES = {"bullish": 1, "neutral": 0, "bearish": -1}
ONE = 10**PRICE_DIGITS


@dataclass(frozen=True)
class Whole:
    """Which book: all closed trades of one user in a mode and a currency."""

    mode: str
    currency: str


async def worked_out(
    session: AsyncSession, of: Whole, version: int, name: str, work: Callable[[Book], T]
) -> T:
    """`work` done on the book, or what it gave since the user last recorded. `name` tells one
    work from another."""

    async def read() -> Row[Any]:
        row: Row[Any] = (await session.execute(_statement(session, of))).one()
        return row

    found: T = await remembered(session, version, (of, name), read, lambda row: work(book_of(row)))
    return found


async def read_book(session: AsyncSession, of: Whole) -> Book:
    """The book in order of day of entry and number."""
    return book_of((await session.execute(_statement(session, of))).one())


def book_of(row: Row[Any]) -> Book:
    """The book in a row of JSON arrays."""
    columns = {name: json.loads(text or "[]") for name, text in row._mapping.items()
               if name != "free"}  # fmt: skip
    days, numbers = columns["day"], columns["number"]
    order = sorted(range(len(days)), key=lambda k: (days[k], numbers[k]))
    column = {name: [values[k] for k in order] for name, values in columns.items()}
    return Book(
        outcomes=[OUTCOMES[word] for word in column["outcome"]],
        returns=_numbers(column["return_on_risk"]),
        sides=[SIDES[word] for word in column["direction"]],
        days=column["day"],
        risked=[bool(known) for known in column["risked"]],
        net_pnls=[value / 10**MONEY_DIGITS for value in column["net_pnl"]],
        facts={**_facts(column), **_free(json.loads(row.free or "[]"), column["number"])},
    )


def _facts(column: dict[str, list[Any]]) -> dict[str, Sequence[Value]]:
    """What was known at entry. Only these are conditions, so nothing that came later is one."""
    delta = _numbers(column["delta"])
    return {
        **{name: _numbers(column[name]) for name in ("scanner_score", "ai_score", "iv")},
        "abs_delta": [None if value is None else abs(value) for value in delta],
        "dte": column["dte"],
        **{
            name: column[name]
            for name in ("strategy", "structure", "option_type", "direction", "ticker")
        },
        "weekday": [WEEKDAYS[day - 1] for day in column["entry_weekday"]],
        "hour": [f"{hour:02d}" for hour in column["entry_hour"]],
    }


def _numbers(kept: Sequence[int | None]) -> list[float | None]:
    """Exact integers of 1e-8 as floats; dividing rounds once, so 0.2 is what 0.2 is."""
    return [None if value is None else value / ONE for value in kept]


def _free(told: Sequence[Sequence[Any]], numbers: Sequence[int]) -> dict[str, list[Value]]:
    place = {number: k for k, number in enumerate(numbers)}
    facts: dict[str, list[Value]] = {}
    for trade, name, word, number in told:
        values = facts.setdefault(FREE + name, [None] * len(numbers))
        values[place[trade]] = word if number is None else number / ONE
    return facts


def closed_trades(user_id: int, of: Whole) -> list[ColumnElement[bool]]:
    """The predicates of the book."""
    return [
        Trade.user_id == user_id,
        Trade.status == "closed",
        Trade.currency == of.currency,
        *([] if of.mode == "all" else [Trade.mode == of.mode]),
    ]


def _statement(session: AsyncSession, of: Whole) -> Select[Any]:
    user_id, dialect = user_of(session), session.get_bind().dialect.name
    array, pair = (
        (func.json_group_array, func.json_array)
        if dialect == "sqlite"
        else (func.json_agg, func.json_build_array)
    )
    kept = [
        Trade.number, day_number(Trade.opened_on).label("day"), Trade.outcome, Trade.direction,
        *(type_coerce(column, BigInteger).label(column.key) for column in (
            Trade.return_on_risk, Trade.scanner_score, Trade.ai_score, Trade.delta, Trade.iv)),
        Trade.dte, Trade.strategy, Trade.structure, Trade.option_type, Trade.ticker,
        Trade.entry_weekday, Trade.entry_hour,
        type_coerce(Trade.net_pnl, BigInteger).label("net_pnl"),
        case((Trade.initial_risk.is_not(None), 1), else_=0).label("risked"),
    ]  # fmt: skip
    trades = select(*kept).where(*closed_trades(user_id, of)).cte("book")
    number = type_coerce(Condition.number, BigInteger)
    free = (
        select(
            cast(array(pair(Condition.trade_number, Condition.name, Condition.word, number)), Text)
        )
        .join(trades, trades.c.number == Condition.trade_number)
        .where(Condition.user_id == user_id)
        .scalar_subquery()
    )
    return select(
        free.label("free"),
        *(cast(array(column), Text).label(column.name) for column in trades.c),
    )
