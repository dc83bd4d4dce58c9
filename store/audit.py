"""Every command that writes: once per caller's key, and on the record.

`begin` takes the user's row, so that a user's commands happen one after another, and
answers a repeated key with what it led to. `finish` raises the ledger version and appends
the audit entry, chained to the one before it, in the same transaction.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.errors import Conflict, Invalid, NotFound
from store.models import AuditEntry, Request, User

KEY_LENGTH = 200
FIRST = "0" * 64  # What the first entry of a user is chained to.


@dataclass(frozen=True)
class Recorded:
    """What a command did: the trade's number and status afterwards.

    `replayed` says that the key had been used before and nothing was written.
    `next_number` is the trade that a fill through zero opened.
    """

    number: int
    status: str
    next_number: int | None = None
    replayed: bool = False


@dataclass
class Command:
    """A command under way. `last_trade` counts on as trades are numbered."""

    name: str
    key: str | None
    author: str
    content_hash: str
    made_at: datetime
    last_trade: int
    last_audit: int
    previous_hash: str
    replay: Recorded | None = None

    def next_trade(self) -> int:
        self.last_trade += 1
        return self.last_trade


async def begin(
    session: AsyncSession, name: str, content: dict[str, Any], *, key: str | None, author: str
) -> Command:
    """Start the command `name`; where its `replay` is set, it had been done before.

    Raises:
        Conflict: the key was used for something else.
    """
    if key is not None and not (1 <= len(key) <= KEY_LENGTH and key.isprintable()):
        raise Invalid(
            f"The key has {len(key)} characters; 1 to {KEY_LENGTH} printable ones are accepted."
        )
    user_id = user_of(session)
    counters = (
        await session.execute(
            select(User.last_trade, User.last_audit, User.audit_head)
            .where(User.user_id == user_id)
            .with_for_update()
        )
    ).one_or_none()
    if counters is None:
        raise NotFound(f"No user {user_id} in this store.")
    command = Command(
        name=name,
        key=key,
        author=author,
        content_hash=content_hash({"command": name, **content}),
        made_at=datetime.now(UTC),
        last_trade=counters.last_trade,
        last_audit=counters.last_audit,
        previous_hash=counters.audit_head or FIRST,
    )
    if key is not None:
        command.replay = await _replay(session, command)
    return command


async def _replay(session: AsyncSession, command: Command) -> Recorded | None:
    request = await session.scalar(
        select(Request).where(
            Request.user_id == user_of(session), Request.request_key == command.key
        )
    )
    if request is None:
        return None
    if request.content_hash != command.content_hash:
        raise Conflict(
            f"This {command.name} was recorded before under the same key with other content."
            " What is recorded is restated by correct_trade; something new needs a new key."
        )
    return Recorded(**{**json.loads(request.result), "replayed": True})


async def finish(session: AsyncSession, command: Command, recorded: Recorded) -> Recorded:
    """Put the command on the record and give back `recorded`."""
    user_id = user_of(session)
    result = _canonical(asdict(recorded))
    entry = {
        "user_id": user_id,
        "entry_number": command.last_audit + 1,
        "made_at": command.made_at,
        "author": command.author,
        "command": command.name,
        "content_hash": command.content_hash,
        "result": result,
        "previous_hash": command.previous_hash,
    }
    entry_hash = content_hash(entry)
    await session.execute(insert(AuditEntry).values(**entry, entry_hash=entry_hash))
    if command.key is not None:
        await session.execute(
            insert(Request).values(
                user_id=user_id,
                request_key=command.key,
                command=command.name,
                content_hash=command.content_hash,
                result=result,
                made_at=command.made_at,
            )
        )
    await session.execute(
        update(User)
        .where(User.user_id == user_id)
        .values(
            last_trade=command.last_trade,
            last_audit=command.last_audit + 1,
            audit_head=entry_hash,
            ledger_version=User.ledger_version + 1,
        )
    )
    return recorded


def content_hash(content: dict[str, Any]) -> str:
    """SHA-256 of `content` as canonical JSON: sorted keys, decimals and moments as text."""
    return sha256(_canonical(content).encode()).hexdigest()


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
