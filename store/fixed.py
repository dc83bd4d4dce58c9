"""What is fixed for ever, as a hash: the audit keeps it beside the command that fixed it.

The locks stop every client but the owner of the database. What an owner altered
nevertheless, `verify` finds by working out these hashes again.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeAlias

from pydantic import BaseModel
from sqlalchemy import Select, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from store.database import user_of
from store.models import Check, Condition, Correction, Fill, Leg, Note, Point, Trade

Row: TypeAlias = Mapping[str, Any]

# By the names that hashes know them by.
PARTS = {"legs": Leg, "fills": Fill, "conditions": Condition, "snapshots": Point}
SUPPOSED = (
    "stop_loss", "take_profit", "scanner_score", "ai_score", "delta", "gamma", "theta", "vega",
    "iv", "stop_order_id", "target_order_id",
)  # fmt: skip
# What was known at entry is fixed from then on, though the trade is open still.
AT_ENTRY = (
    "user_id", "number", "account_id", "mode", "currency", "ticker", "strategy", "source",
    "recorded_at", *SUPPOSED,
)  # fmt: skip


def content_hash(content: Any) -> str:
    """SHA-256 of `content` as canonical JSON: sorted keys, decimals and moments as text."""
    return sha256(canonical(content).encode()).hexdigest()


def canonical(content: Any) -> str:
    return ENCODER.encode(content)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)


@dataclass(frozen=True)
class WholeTrade:
    """A trade's row and, by name, the rows of its legs, fills, conditions and snapshots."""

    row: Row
    parts: Mapping[str, list[Row]]

    @property
    def hash(self) -> str:
        """Of everything but the status, which a correction may still change."""
        said = {name: value for name, value in _said(self.row).items() if name != "status"}
        parts = {name: [_said(row) for row in rows] for name, rows in self.parts.items()}
        return content_hash({"trade": said, **parts})

    @property
    def supposes(self) -> bool:
        """Whether anything was thought of at entry: a score, a stop, a condition ..."""
        thought = any(self.row[name] is not None for name in SUPPOSED)
        return thought or bool(self.parts.get("conditions"))

    @property
    def entry_hash(self) -> str:
        """Of what was said at entry: what is not worked out from fills, and the conditions."""
        said = {name: value for name, value in _said(self.row).items() if name in AT_ENTRY}
        conditions = [_said(row) for row in self.parts.get("conditions", ())]
        return content_hash({"entry": said, "conditions": conditions})


async def whole_trades(session: AsyncSession, first: int, last: int) -> list[WholeTrade]:
    """The trades from number `first` to `last`, by number."""
    return await _trades(session, lambda number: number.between(first, last), PARTS)


async def trades_numbered(
    session: AsyncSession, numbers: Sequence[int], parts: Iterable[str] = PARTS
) -> list[WholeTrade]:
    """The trades of these numbers, by number, with the rows of the `parts` of these names."""
    return await _trades(session, lambda number: number.in_(numbers), parts)


async def whole_trade(session: AsyncSession, number: int) -> WholeTrade:
    """One trade with all its parts."""
    (trade,) = await whole_trades(session, number, number)
    return trade


async def correction_hash(session: AsyncSession, number: int) -> str:
    """Of why trade `number` no longer counts."""
    statement = _rows(Correction).where(
        Correction.user_id == user_of(session), Correction.number == number
    )
    return row_hash((await session.execute(statement)).mappings().one_or_none())


async def note_row(session: AsyncSession, number: int, note_number: int) -> Row | None:
    """A note of trade `number`, if there is one of that number."""
    statement = _rows(Note).where(
        Note.user_id == user_of(session),
        Note.trade_number == number,
        Note.note_number == note_number,
    )
    found: Row | None = (await session.execute(statement)).mappings().one_or_none()
    return found


async def checks_of(session: AsyncSession, first: int, last: int) -> Sequence[Row]:
    """The checks of the trades from number `first` to `last`, in their order."""
    within = Check.trade_number.between(first, last)
    statement = _rows(Check).where(Check.user_id == user_of(session), within)
    found: Sequence[Row] = (
        (await session.execute(statement.order_by(*_key(Check)))).mappings().all()
    )
    return found


async def notes_of(session: AsyncSession, first: int, last: int) -> Sequence[Row]:
    """The notes of the trades from number `first` to `last`, in their order."""
    within = Note.trade_number.between(first, last)
    statement = _rows(Note).where(Note.user_id == user_of(session), within)
    found: Sequence[Row] = (await session.execute(statement.order_by(*_key(Note)))).mappings().all()
    return found


async def conditions_of(session: AsyncSession, first: int, last: int) -> Sequence[Row]:
    """The conditions of the trades from number `first` to `last`, in the database's order."""
    within = Condition.trade_number.between(first, last)
    statement = _rows(Condition).where(Condition.user_id == user_of(session), within)
    found: Sequence[Row] = (
        (await session.execute(statement.order_by(*_key(Condition)))).mappings().all()
    )
    return found


def with_parts(trades: Sequence[Row], parts: Mapping[str, Sequence[Row]]) -> list[WholeTrade]:
    """Rows of trades with the rows of their parts, which are given by name."""
    by_number: dict[int, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in parts.items():
        for row in rows:
            by_number[row["trade_number"]][name].append(row)
    return [WholeTrade(row, by_number[row["number"]]) for row in trades]


async def _trades(
    session: AsyncSession, chosen: Callable[[Any], Any], of: Iterable[str]
) -> list[WholeTrade]:
    mine = user_of(session)
    parts: dict[str, Sequence[Row]] = {}
    for name in of:
        model: Any = PARTS[name]
        statement = _rows(model).where(model.user_id == mine, chosen(model.trade_number))
        rows = await session.execute(statement.order_by(*_key(model)))
        parts[name] = rows.mappings().all()
    trades = _rows(Trade).where(Trade.user_id == mine, chosen(Trade.number))
    found = (await session.execute(trades.order_by(Trade.number))).mappings().all()
    return with_parts(found, parts)


def row_hash(row: Row | None) -> str:
    if row is None:
        raise LookupError("what a command has just written is not there")
    return content_hash(_said(row))


def rows_hash(rows: Sequence[Row]) -> str:
    """Of several rows, in their order."""
    return content_hash([row_hash(row) for row in rows])


def batch_hash(trades: Sequence[WholeTrade], still_open: Container[int]) -> str:
    """Of trades that one command recorded: of those that were left open, of what was known at
    entry."""
    return content_hash(
        [trade.entry_hash if trade.row["number"] in still_open else trade.hash for trade in trades]
    )


def keys_hash(requests: Sequence[Row]) -> str:
    """Of the callers' keys of one batch and what they led to, in the order of their trades."""
    said = ("request_key", "content_hash", "result")
    return content_hash([[request[name] for name in said] for request in requests])


def state_hash(
    *,
    trade: str | None = None,
    correction: str | None = None,
    note: str | None = None,
    checks: str | None = None,
) -> str | None:
    """One hash for all that a command fixed; None where it fixed nothing."""
    fixed = {"trade": trade, "correction": correction, "note": note, "checks": checks}
    said = {name: value for name, value in fixed.items() if value is not None}
    return content_hash(said) if said else None


def _rows(model: type[DeclarativeBase]) -> Select[Any]:
    return select(*model.__table__.columns)


def _key(model: type[DeclarativeBase]) -> list[Any]:
    return list(inspect(model).primary_key)


def _said(row: Row) -> dict[str, str]:
    """A row without its nulls, so that a column added later changes no older hash."""
    return {name: _words(value) for name, value in row.items() if value is not None}


def _words(value: Any) -> str:
    """Decimals with all the digits that are kept, moments and days as ISO 8601 writes them."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
