"""What a ledger holds, as rows: once read from the database, once from the model."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from store.database import Store
from store.models import Base, Correction, Fill, Leg, Note, Point, Request, Trade, User
from store.queries.answer import money
from store.queries.get_overview import get_overview
from store.queries.get_trade_history import get_trade_history
from store.verifying import verify_user
from tests.model import Ledger
from tests.test_audit import entries, hashed

OPERATORS = {"fold", "unfolded"}  # What only an operator's transaction reads.
READABLE = [table for table in Base.metadata.sorted_tables if table.name not in OPERATORS]
Rows = list[tuple[Any, ...]]
COUNTERS = (User.last_trade, User.last_audit, User.ledger_version)
TRADES = (
    Trade.number, Trade.status, Trade.gross_pnl, Trade.fees, Trade.net_pnl, Trade.outcome,
    Trade.unrealised_pnl, Trade.opened_at, Trade.closed_at, Trade.source, Trade.external_id,
)  # fmt: skip
PARTS = {
    "legs": (Leg.trade_number, Leg.leg_number, Leg.instrument, Leg.multiplier, Leg.delivered),
    "fills": (
        Fill.trade_number, Fill.leg_number, Fill.fill_number, Fill.side, Fill.quantity,
        Fill.price, Fill.fee, Fill.filled_at, Fill.kind,
    ),
    "marks": (
        Point.trade_number, Point.taken_at, Point.mark_price, Point.unrealised_pnl,
    ),
    "notes": (Note.trade_number, Note.note_number, Note.body),
    "corrections": (Correction.number, Correction.replacement),
    "keys": (Request.request_key, Request.command),
}  # fmt: skip


async def trades_stored(store: Store, user_id: int) -> Rows:
    """The user's counters, then the trades in the order of their numbers."""
    async with store.read(user_id) as session:
        counters = await session.execute(select(*COUNTERS).where(User.user_id == user_id))
        trades = await session.execute(
            select(*TRADES).where(Trade.user_id == user_id).order_by(Trade.number)
        )
        return [*map(tuple, counters), *map(tuple, trades)]


def trades_of(model: Ledger) -> Rows:
    rows: Rows = [(len(model.trades), len(model.done), model.version)]
    for number, trade in model.trades.items():
        earned = (trade.gross, trade.fees, trade.net, trade.outcome)
        rows.append(
            (
                number, trade.status, *(earned if trade.flat else (None,) * 4),
                trade.unrealised, trade.opened_at, trade.closed_at,
                trade.source, trade.external_id,
            )
        )  # fmt: skip
    return rows


async def parts_stored(store: Store, user_id: int) -> dict[str, Rows]:
    """What the user's trades are made of, and the keys; each sorted."""
    async with store.read(user_id) as session:
        found = {
            name: await session.execute(
                select(*columns).where(columns[0].class_.user_id == user_id)
            )
            for name, columns in PARTS.items()
        }
    return {name: sorted(map(tuple, rows)) for name, rows in found.items()}


def parts_of(model: Ledger) -> dict[str, Rows]:
    legs = [
        (number, leg_number, leg)
        for number, trade in model.trades.items()
        for leg_number, leg in trade.legs.items()
    ]
    rows: dict[str, Iterable[tuple[Any, ...]]] = {
        "legs": ((*at, leg.instrument, leg.multiplier, int(leg.delivered)) for *at, leg in legs),
        "fills": (
            (*at, index, fill.side, fill.quantity, fill.price, fill.fee, fill.filled_at, fill.kind)
            for *at, leg in legs
            for index, fill in enumerate(leg.fills, start=1)
        ),
        "marks": (
            (number, at, *mark)
            for number, trade in model.trades.items()
            for at, mark in trade.marks.items()
        ),
        "notes": (
            (number, index, body)
            for number, trade in model.trades.items()
            for index, body in enumerate(trade.notes, start=1)
        ),
        "corrections": (
            (number, model.trades[number].replacement)
            for number in model.numbers("superseded", "void")
        ),
        "keys": ((key, said.name) for key, (said, _) in model.answers.items()),
    }
    return {name: sorted(found) for name, found in rows.items()}


async def check_audit(store: Store, user_id: int, model: Ledger) -> None:
    """One entry for each command that wrote, in one unbroken chain."""
    chain = await entries(store, user_id)
    assert [entry.command for entry in chain] == model.done
    assert [entry.entry_number for entry in chain] == list(range(1, len(chain) + 1))
    assert [entry.entry_hash for entry in chain] == [hashed(entry) for entry in chain]
    assert all(after.previous_hash == entry.entry_hash for entry, after in pairwise(chain))
    verified = await verify_user(store, user_id)
    assert (verified.wrong, verified.trades) == (None, len(model.trades))


async def check_answers(store: Store, user_id: int, model: Ledger) -> None:
    """What the questions answer about each account is what the model counts in it."""
    for name in {trade.account for trade in model.trades.values()}:
        async with store.read(user_id) as session:
            overview = await get_overview(session, account=name)
            totals = (await get_trade_history(session, account=name)).totals
        booked = [trade for trade in model.trades.values() if trade.account == name]
        closed = [trade for trade in booked if trade.status == "closed"]
        outcomes = Counter(trade.outcome for trade in closed)
        assert (totals.n, totals.wins, totals.losses, totals.breakevens) == (
            len(closed), outcomes["win"], outcomes["loss"], outcomes["breakeven"],
        )  # fmt: skip
        assert totals.net_pnl == money(sum((trade.net for trade in closed), Decimal(0)))
        statuses = Counter(trade.status for trade in booked)
        assert (overview.closed, overview.open) == (statuses["closed"], statuses["open"])
        assert (overview.superseded, overview.void) == (statuses["superseded"], statuses["void"])
