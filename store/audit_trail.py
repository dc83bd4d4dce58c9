"""The record of a user, line by line, for whoever has to show it: every write, every call."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import AuditEntry, Base, Call

AT_ONCE = 1_000


async def writes(session: AsyncSession) -> AsyncIterator[dict[str, Any]]:
    """The audit, oldest first: who wrote what, when, by which token, and the chain's hashes."""
    number = 0
    while rows := await _page(session, AuditEntry, AuditEntry.entry_number > number):
        for row in rows:
            yield row
        number = rows[-1]["entry_number"]


async def questions(session: AsyncSession) -> AsyncIterator[dict[str, Any]]:
    """The log of calls, oldest first: what was asked, as hashes, and how it ended."""
    after: tuple[Any, ...] = ()
    while rows := await _page(session, Call, *_later(after)):
        for row in rows:
            yield row
        after = (rows[-1]["called_at"], rows[-1]["call_id"])


def _later(after: tuple[Any, ...]) -> list[Any]:
    if not after:
        return []
    at, call_id = after
    return [(Call.called_at > at) | ((Call.called_at == at) & (Call.call_id > call_id))]


async def _page(session: AsyncSession, model: type[Base], *where: Any) -> list[dict[str, Any]]:
    columns = inspect(model).columns
    statement = (
        select(*columns)
        .where(columns["user_id"] == user_of(session), *where)
        .order_by(*inspect(model).primary_key)
        .limit(AT_ONCE)
    )
    return [dict(row) for row in (await session.execute(statement)).mappings()]
