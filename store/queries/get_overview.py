"""What does the store hold?"""

from typing import Any

from sqlalchemy import Select, and_, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store.evidence.thresholds import CLOSED_MIN
from store.models import Account, Trade
from store.queries.answer import Answer, Optional, Part
from store.queries.asking import Asked, Question, ask
from store.queries.filters import Filters, question

SHOWN = 10


class Named(Part):
    name: str | None
    n: int


class Overview(Answer):
    closed: int
    open: int
    superseded: int
    void: int
    enough_for_claims: bool
    scanner_scored: int
    ai_scored: int
    with_risk: int
    accounts: list[Named]
    tickers: list[Named]
    strategies: list[Named]
    tickers_in_all: Optional[int]


@question("mode", "account")
async def get_overview(session: AsyncSession, filters: Filters) -> Overview:
    """What the store holds: accounts, period, most traded tickers and strategies with their
    closed trades, score coverage, and whether there are enough trades for claims."""
    asked = await ask(session, filters, Question(own=_counts, any_status=True))
    n = {
        kind: {row.own_name: row.own_n for row in asked.rows if row.own_kind == kind}
        for kind in ("status", "scored", "account", "ticker", "strategy")
    }
    scored, status = n["scored"], n["status"]
    return Overview(
        summary=_summary(asked),
        evidence=asked.evidence,
        scope=asked.scope(),
        provenance=asked.provenance(),
        closed=asked.n,
        open=asked.book.open_n if asked.book else 0,
        superseded=status.get("superseded", 0),
        void=status.get("void", 0),
        enough_for_claims=asked.evidence == "descriptive",
        scanner_scored=scored.get("scanner", 0),
        ai_scored=scored.get("ai", 0),
        with_risk=scored.get("risk", 0),
        accounts=_named(n["account"]),
        tickers=_named(n["ticker"])[:SHOWN],
        strategies=_named(n["strategy"])[:SHOWN],
        tickers_in_all=len(n["ticker"]) if len(n["ticker"]) > SHOWN else None,
    )


def _summary(asked: Asked) -> str:
    if asked.book is None:
        return "The store is empty."
    return (
        f"{asked.n} closed and {asked.book.open_n} open {asked.mode} trades;"
        f" claims need {CLOSED_MIN} closed.{asked.caveat}"
    )


def _named(counts: dict[str | None, int]) -> list[Named]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    return [Named(name=name, n=n) for name, n in ranked]


def _counts(facts: Any) -> Select[Any]:
    """Counts by kind: every account, ticker and strategy, scores, and what was corrected."""
    trades = (
        select(
            Trade.user_id, Trade.account_id, Trade.status, Trade.ticker, Trade.strategy,
            Trade.scanner_score, Trade.ai_score, Trade.r_multiple,
        )
        .where(*facts)
        .cte("facts")
    ).c  # fmt: skip
    closed = trades.status == "closed"

    def grouped(kind: str, name: Any) -> Any:
        return (
            select(literal(kind).label("kind"), name.label("name"), func.count().label("n"))
            .where(closed)
            .group_by(name)
        )

    def known(word: str, column: Any) -> Any:
        return select(literal("scored"), literal(word), func.count(column)).where(closed)

    booked = and_(Account.user_id == trades.user_id, Account.account_id == trades.account_id)
    every = union_all(
        grouped("ticker", trades.ticker),
        grouped("strategy", trades.strategy),
        grouped("account", Account.name).where(booked),
        known("scanner", trades.scanner_score),
        known("ai", trades.ai_score),
        known("risk", trades.r_multiple),
        select(literal("status"), trades.status, func.count())
        .where(or_(trades.status == "superseded", trades.status == "void"))
        .group_by(trades.status),
    ).subquery("every")
    place = func.row_number().over(order_by=(every.c.kind, every.c.n.desc(), every.c.name))
    return select(place.label("position"), *every.c)
