"""Which trades were made, and what do they come to?"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Count
from store.errors import Invalid
from store.models import Account, Trade
from store.queries.answer import Answer, MoneyOrNone, Optional, Part, Plain, PlainOrNone, Totals
from store.queries.asking import Asked, Question, ask
from store.queries.filters import NONE, Filters, Status, question, when

Order = Literal["newest", "oldest", "worst", "best"]


class TradeLine(Part):
    number: int
    ticker: str
    strategy: str | None
    opened_on: Optional[date]
    closed_on: date | None
    quantity: Plain
    entry_price: Plain
    exit_price: PlainOrNone
    net_pnl: MoneyOrNone
    outcome: str | None
    exit_reason: Optional[str]
    status: Optional[str]
    account: Optional[str]
    structure: Optional[str]
    direction: Optional[str]
    gross_pnl: Optional[str]
    fees: Optional[str]
    r_multiple: Optional[str]
    scanner_score: Optional[str]
    ai_score: Optional[str]
    delta: Optional[str]
    iv: Optional[str]
    dte: Optional[int]


DETAILS = (
    "opened_on", "structure", "direction", "gross_pnl", "fees", "r_multiple", "scanner_score",
    "ai_score", "delta", "iv", "dte",
)  # fmt: skip


class TradeHistory(Answer):
    totals: Totals = Field(description="All closed trades that match, not only those listed")
    trades: list[TradeLine]
    next_cursor: Optional[str]


@question(
    "strategy", "account", "mode", "option_type", "structure", "since", "until", "outcome",
    "status", first=("ticker",),
)  # fmt: skip
async def get_trade_history(
    session: AsyncSession,
    filters: Filters,
    order: Annotated[Order, Field(description="worst: largest loss first")] = "newest",
    limit: Annotated[int, Field(ge=1, le=100)] = 5,
    cursor: Annotated[str | NONE, Field(description="next_cursor of the page before")] = None,
    response_format: Literal["concise", "detailed"] = "concise",
) -> TradeHistory:
    """Totals (n, win rate, net P&L) over all trades that match, then the trades themselves,
    page by page. For one whole trade use get_trade."""
    if filters.status not in (None, "closed") and order in ("worst", "best"):
        raise Invalid(f"order {order} needs closed trades; newest or oldest is accepted here.")
    after = _read_cursor(cursor, order, filters) if cursor else None
    page_of = Question(own=_page, shape=(order, filters.status, after is not None))
    value, number = after or (None, None)
    asked = await ask(
        session,
        filters,
        page_of,
        {"rows": limit + 1, "after_key": value, "after_number": number},
    )
    page, more = asked.rows[:limit], len(asked.rows) > limit
    totals = Totals.of(asked.sums)
    return TradeHistory(
        summary=_summary(asked, totals, len(page)),
        evidence=asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        totals=totals,
        trades=[_line(row, filters, response_format) for row in page],
        next_cursor=_cursor(page[-1], order, filters) if more else None,
    )


def _summary(asked: Asked, totals: Totals, shown: int) -> str:
    if asked.book is None or not (totals.n or shown):
        return "No trades match."
    return (
        f"{totals.n} closed {asked.mode} trades match: net {totals.net_pnl}"
        f" {asked.book.currency}, {totals.said()}; {shown} shown.{asked.caveat}"
    )


def _key(status: Status | None, order: Order) -> ColumnElement[Any]:
    return Trade.net_pnl.expression if order in ("worst", "best") else when(status)


def _page(order: Order, status: Status | None, further_on: bool, facts: Any) -> Select[Any]:
    """One page and one row more, which tells whether there is another page. `further_on`, it
    begins after the parameters `after_key` and `after_number`."""
    key, rising = _key(status, order), order in ("oldest", "worst")
    by = (key, Trade.number) if rising else (key.desc(), Trade.number.desc())
    kept = list(facts)
    if further_on:
        value = bindparam("after_key", type_=key.type)
        number = bindparam("after_number", type_=Count)
        further = key > value if rising else key < value
        beside = Trade.number > number if rising else Trade.number < number
        kept.append(or_(further, and_(key == value, beside)))
    rows = (
        select(
            key.label("order_key"), Trade.number, Trade.ticker, Trade.strategy, Trade.structure,
            Trade.direction, Trade.opened_on, Trade.closed_on, Trade.quantity,
            Trade.entry_price, Trade.exit_price, Trade.net_pnl, Trade.outcome,
            Trade.exit_reason, Trade.status, Trade.gross_pnl, Trade.fees, Trade.r_multiple,
            Trade.scanner_score, Trade.ai_score, Trade.delta, Trade.iv, Trade.dte,
            Account.name.label("account"),
        )
        .join(
            Account,
            and_(Account.user_id == Trade.user_id, Account.account_id == Trade.account_id),
        )
        .where(*kept)
        .order_by(*by)
        .limit(bindparam("rows", type_=Integer()))
        .subquery("page")
    )  # fmt: skip
    listed: tuple[Any, Any] = (rows.c.order_key, rows.c.number)
    if not rising:
        listed = (rows.c.order_key.desc(), rows.c.number.desc())
    return select(func.row_number().over(order_by=listed).label("position"), *rows.c)


def _line(row: Any, filters: Filters, response_format: str) -> TradeLine:
    values = {
        name: getattr(row, f"own_{name}")
        for name in TradeLine.model_fields
        if name not in (*DETAILS, "account", "status")
    }
    if filters.status not in (None, "closed"):
        values["status"] = row.own_status
    if row.own_closed_on is None:
        values["opened_on"] = row.own_opened_on
    if response_format == "detailed":
        values["account"] = row.own_account
        for name in DETAILS:
            value = getattr(row, f"own_{name}")
            values[name] = format(value.normalize(), "f") if isinstance(value, Decimal) else value
    return TradeLine(**values)


def _cursor(row: Any, order: Order, filters: Filters) -> str:
    value = row.own_order_key
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    made = [text, row.own_number]
    return urlsafe_b64encode(json.dumps([*made, _seal(made, order, filters)]).encode()).decode()


def _seal(made: list[Any], order: Order, filters: Filters) -> str:
    """What tells a cursor of this list from an altered one, or one of another list."""
    return sha256(json.dumps([made, order, filters.said()]).encode()).hexdigest()[:12]


def _read_cursor(cursor: str, order: Order, filters: Filters) -> tuple[Any, int]:
    """The key and number after which the page begins.

    Raises:
        Invalid: it is no cursor of this list in this order.
    """
    try:
        text, number, seal = json.loads(urlsafe_b64decode(cursor.encode()))
        if seal != _seal([text, number], order, filters):
            raise ValueError
        value = Decimal(text) if order in ("worst", "best") else datetime.fromisoformat(text)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise Invalid(
            f"The cursor is not one of this list in order {order}; pass next_cursor as it was"
            " given, with the same arguments."
        ) from None
    return value, number
