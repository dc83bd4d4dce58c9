"""Every command that writes: once per caller's key, and on the record.

`begin` takes the user's row, so that a user's commands happen one after another, and
answers a repeated key with what it led to. `finish` raises the ledger version and appends
the audit entry, chained to the one before it, in the same transaction.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Label, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.database import token_of, user_of
from store.errors import Conflict, Invalid, NotFound, Refused
from store.fixed import canonical, content_hash
from store.models import AuditEntry, Correction, Request, Tier, User
from store.vocabulary import label

if TYPE_CHECKING:
    from store.records import TradeEntry

OWNER = "owner"

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
    """A command under way. The counters count on as trades and accounts are numbered."""

    name: str
    key: str | None
    author: str
    content_hash: str
    made_at: datetime
    last_account: int
    last_trade: int
    last_audit: int
    previous_hash: str
    tier: str
    accounts_max: int | None
    trades_max: int | None
    restated: int = 0  # Trades that others restate; counted where there is a limit.
    replay: Recorded | None = None

    def next_trade(self, *, restating: bool = False) -> int:
        """The number of a new trade; one that only restates another is never too many.

        Raises:
            Refused: the tier keeps no more.
        """
        self.last_trade += 1
        if not restating:
            self._require("trades", self.last_trade - self.restated, self.trades_max)
        return self.last_trade

    def next_account(self) -> int:
        """The number of a new account.

        Raises:
            Refused: the tier keeps no more.
        """
        self.last_account += 1
        self._require("accounts", self.last_account, self.accounts_max)
        return self.last_account

    def _require(self, what: str, wanted: int, limit: int | None) -> None:
        if limit is not None and wanted > limit:
            raise Refused(
                f"The tier {self.tier} keeps {limit} {what} and all are taken; nothing of"
                " this is recorded. What is recorded stays; a higher tier keeps more."
            )


async def begin(
    session: AsyncSession, name: str, content: dict[str, Any], *, key: str | None, author: str
) -> Command:
    """Start the command `name`; where its `replay` is set, it had been done before.

    Raises:
        Conflict: the key was used for something else.
    """
    if key is not None:
        require_key(key)
    author = label("author", author)
    user_id = user_of(session)
    counters = (
        await session.execute(
            select(
                User.last_account,
                User.last_trade,
                User.last_audit,
                User.audit_head,
                User.tier,
                # Not a join: having waited for the row, PostgreSQL would join a newer user with
                # an older tier, and find nobody.
                _limit(Tier.accounts),
                _limit(Tier.trades),
            )
            .where(User.user_id == user_id)
            .with_for_update()
        )
    ).one_or_none()
    if counters is None:
        raise NotFound(f"No user {user_id} in this store.")
    session.info["entry"] = counters.last_audit
    command = Command(
        name=name,
        key=key,
        author=author,
        content_hash=_content_hash(name, content),
        made_at=datetime.now(UTC),
        last_account=counters.last_account,
        last_trade=counters.last_trade,
        last_audit=counters.last_audit,
        previous_hash=counters.audit_head or FIRST,
        tier=counters.tier,
        accounts_max=counters.accounts,
        trades_max=counters.trades,
    )
    if counters.trades is not None:
        command.restated = await _restated(session)
    if key is not None:
        command.replay = await _replay(session, command)
    return command


def require_key(key: str) -> str:
    """The key.

    Raises:
        Invalid: it can be no caller's.
    """
    if not (1 <= len(key) <= KEY_LENGTH and key.isprintable()):
        raise Invalid(
            f"The key has {len(key)} characters; 1 to {KEY_LENGTH} printable ones are accepted."
        )
    return key


def opening_hash(entry: "TradeEntry") -> str:
    """Of what `open_trade` says, by which a repetition of it is known."""
    return _content_hash("open_trade", {"entry": entry})


def _content_hash(name: str, content: dict[str, Any]) -> str:
    return content_hash({"command": name, **content})


async def take_turn(session: AsyncSession) -> None:
    """Wait until no other transaction writes for the user, and keep others waiting: for what
    reads before its first command what that command depends on."""
    await session.execute(
        select(User.user_id).where(User.user_id == user_of(session)).with_for_update()
    )


def _limit(column: InstrumentedAttribute[int | None]) -> Label[int | None]:
    limit = select(column).where(Tier.name == User.tier).correlate(User)
    return limit.scalar_subquery().label(column.key)


async def _restated(session: AsyncSession) -> int:
    restated = select(func.count(Correction.replacement))
    return await session.scalar(restated.where(Correction.user_id == user_of(session))) or 0


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
    return replayed(request)


def replayed(request: Request) -> Recorded:
    """What the command under this key led to."""
    return Recorded(**{**json.loads(request.result), "replayed": True})


async def finish(
    session: AsyncSession, command: Command, recorded: Recorded, *, state: str | None = None
) -> Recorded:
    """Put the command on the record and give back `recorded`; `state` is the hash of what it
    fixed for ever."""
    result = asdict(recorded)
    await note_down(session, command, result, state=state)
    if command.key is not None:
        await session.execute(
            insert(Request).values(
                user_id=user_of(session),
                request_key=command.key,
                command=command.name,
                content_hash=command.content_hash,
                result=canonical(result),
                made_at=command.made_at,
            )
        )
    return recorded


async def note_down(
    session: AsyncSession,
    command: Command,
    result: dict[str, Any],
    *,
    state: str | None = None,
    answers_change: bool = True,
) -> None:
    """Append the audit entry of `command` and write the user's counters.

    Unless `answers_change` the ledger version stays, and so does what is remembered of it.
    """
    entry = {
        "user_id": user_of(session),
        "entry_number": command.last_audit + 1,
        "made_at": command.made_at,
        "author": command.author,
        "command": command.name,
        "content_hash": command.content_hash,
        "result": canonical(result),
        "previous_hash": command.previous_hash,
        "token": token_of(session),
        "state_hash": state,
    }
    entry["entry_hash"] = entry_hash(entry)
    await session.execute(insert(AuditEntry).values(entry))
    await session.execute(
        update(User)
        .where(User.user_id == user_of(session))
        .values(
            last_account=command.last_account,
            last_trade=command.last_trade,
            last_audit=command.last_audit + 1,
            audit_head=entry["entry_hash"],
            ledger_version=User.ledger_version + int(answers_change),
        )
    )
    session.info.update(entry=command.last_audit + 1, recorded=True)


def entry_hash(entry: dict[str, Any]) -> str:
    """The hash of an audit entry: of all its columns that are said, but for the hash itself."""
    return content_hash(
        {name: value for name, value in entry.items() if name != "entry_hash" and value is not None}
    )
