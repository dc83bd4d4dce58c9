"""The trades that match, whole, by number, a page at a time."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import list_accounts
from store.database import user_of
from store.fixed import PARTS, Row, WholeTrade, trades_numbered
from store.models import Account, Condition, Correction, Note, Trade
from store.queries.filters import Filters

PAGE = 200


@dataclass(frozen=True)
class Exported:
    """A trade with what belongs to it; `snapshots` and `notes` are None where not asked for."""

    whole: WholeTrade
    account: Account
    corrections: Sequence[Row]
    snapshots: Sequence[Row] | None
    notes: Sequence[Row] | None

    @property
    def trade(self) -> Row:
        return self.whole.row

    @property
    def legs(self) -> list[Row]:
        return self.part("legs")

    def fills_of(self, leg: Row) -> list[Row]:
        return [fill for fill in self.part("fills") if fill["leg_number"] == leg["leg_number"]]

    def part(self, table: str) -> list[Row]:
        return self.whole.parts.get(table, [])


async def paged(
    session: AsyncSession, filters: Filters, *, notes: bool, snapshots: bool
) -> AsyncIterator[list[Exported]]:
    accounts = {one.account_id: one for one in await list_accounts(session)}
    parts = [name for name in PARTS if snapshots or name != "snapshots"]
    last = 0
    while numbers := await _numbers(session, filters, last):
        corrected = await _corrections(session, numbers)
        noted = await _notes(session, numbers) if notes else {}
        yield [
            Exported(
                whole=one,
                account=accounts[one.row["account_id"]],
                corrections=corrected.get(one.row["number"], []),
                snapshots=one.parts.get("snapshots", []) if snapshots else None,
                notes=noted.get(one.row["number"], []) if notes else None,
            )
            for one in await trades_numbered(session, numbers, parts)
        ]
        last = numbers[-1]


async def condition_names(session: AsyncSession, filters: Filters) -> list[str]:
    """The names of all facts known at entry of the trades that match, sorted."""
    mine = user_of(session)
    statement = (
        select(Condition.name)
        .join(
            Trade,
            and_(Trade.user_id == Condition.user_id, Trade.number == Condition.trade_number),
        )
        .where(Condition.user_id == mine, *_matching(filters, mine))
        .distinct()
    )
    return sorted(await session.scalars(statement))


async def ambiguous_ids(session: AsyncSession) -> set[tuple[int, str]]:
    """External ids that trades of one account have from several sources."""
    statement = (
        select(Trade.account_id, Trade.external_id)
        .where(
            Trade.user_id == user_of(session),
            Trade.status.in_(("open", "closed")),
            Trade.external_id.is_not(None),
        )
        .group_by(Trade.account_id, Trade.external_id)
        .having(func.count() > 1)
    )
    return {(row.account_id, str(row.external_id)) for row in await session.execute(statement)}


async def _numbers(session: AsyncSession, filters: Filters, after: int) -> list[int]:
    mine = user_of(session)
    statement = (
        select(Trade.number)
        .where(Trade.user_id == mine, Trade.number > after, *_matching(filters, mine))
        .order_by(Trade.number)
        .limit(PAGE)
    )
    return list(await session.scalars(statement))


def _matching(filters: Filters, user_id: int) -> list[ColumnElement[bool]]:
    ended = Trade.closed_at.is_not(None)
    return [
        *filters.in_status(),
        or_(
            and_(ended, *filters.matching(user_id, closed=True)),
            and_(~ended, *filters.matching(user_id, closed=False)),
        ),
    ]


async def _corrections(session: AsyncSession, numbers: Sequence[int]) -> dict[int, list[Row]]:
    """By number: what it corrects, and what it is corrected by."""
    columns = Correction.__table__.columns
    statement = select(*columns).where(
        Correction.user_id == user_of(session),
        or_(Correction.number.in_(numbers), Correction.replacement.in_(numbers)),
    )
    found: dict[int, list[Row]] = defaultdict(list)
    rows: Any = await session.execute(statement.order_by(Correction.number))
    for row in rows.mappings():
        found[row["number"]].append(row)
        if row["replacement"] is not None:
            found[row["replacement"]].append(row)
    return found


async def _notes(session: AsyncSession, numbers: Sequence[int]) -> dict[int, list[Row]]:
    statement = select(*Note.__table__.columns).where(
        Note.user_id == user_of(session), Note.trade_number.in_(numbers)
    )
    found: dict[int, list[Row]] = defaultdict(list)
    rows: Any = await session.execute(statement.order_by(Note.trade_number, Note.note_number))
    for note in rows.mappings():
        found[note["trade_number"]].append(note)
    return found
