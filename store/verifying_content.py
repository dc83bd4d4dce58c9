"""Accounts, tokens and callers' keys against the entries of the audit that made them.

An entry keeps a hash of its command's arguments; what came of them is still there, so the
hash can be worked out again.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, list_accounts
from store.batches import BATCH
from store.database import user_of
from store.executions import KEEPING, rows_of_entry
from store.fixed import Row, content_hash, keys_hash, rows_hash
from store.models import ApiToken, AuditEntry, Execution, Request
from store.tokens import list_tokens, token_content

PLANTED = "a caller's key is kept of a command that was never done"


class Wrong(Exception):  # noqa: N818
    """What was found first; the text names it."""


class Keyed(NamedTuple):
    """Trades that one command recorded, each under a caller's key, and the hash of the keys."""

    first: int
    last: int
    hash: str


@dataclass
class Made:
    """What the audit tells of: by number, the hash of what made it; tokens' ends."""

    accounts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    revoked: dict[int, datetime] = field(default_factory=dict)
    keyed: list[Keyed] = field(default_factory=list)  # In the order of their trades.

    def add(self, entry: AuditEntry, account: int | None, token: int | None) -> None:
        if account is not None:
            self.accounts[account] = entry.content_hash
        elif token is not None and entry.command == "create_token":
            self.tokens[token] = entry.content_hash
        elif token is not None:
            self.revoked[token] = entry.made_at


async def check_content(session: AsyncSession, made: Made) -> None:
    """
    Raises:
        Wrong: an account, a token or a caller's key is not what the audit tells of.
    """
    await _check_accounts(session, made)
    await _check_tokens(session, made)
    await _check_keys(session)
    await _check_keys_of_batches(session, made.keyed)


async def check_executions(session: AsyncSession, kept: Mapping[int, AuditEntry]) -> None:
    """
    Raises:
        Wrong: executions are not what the entries of the audit kept, or are on no record.
    """
    for number, entry in kept.items():
        try:
            rows = await rows_of_entry(session, number)
        except ValueError:
            raise Wrong(
                f"a value of the executions of audit entry {number} cannot be read"
            ) from None
        if rows_hash(rows) != entry.state_hash:
            raise Wrong(f"the executions are not what audit entry {number} kept")
    planted = await session.scalar(
        select(Execution.execution_id)
        .outerjoin(
            AuditEntry,
            and_(
                AuditEntry.user_id == Execution.user_id,
                AuditEntry.entry_number == Execution.audit_entry,
                AuditEntry.command == KEEPING,
            ),
        )
        .where(Execution.user_id == user_of(session), AuditEntry.user_id.is_(None))
        .limit(1)
    )
    if planted is not None:
        raise Wrong("an execution is on no record")


async def _check_accounts(session: AsyncSession, made: Made) -> None:
    for account in await list_accounts(session):
        said = made.accounts.get(account.account_id)
        if said is None:
            continue  # Made before accounts were on the record; counted elsewhere.
        try:
            entry = AccountEntry(
                **{name: getattr(account, name) for name in AccountEntry.model_fields}
            )
        except ValueError:
            raise Wrong(f"account {account.account_id} is none that could be made") from None
        if content_hash({"command": "put_account", "entry": entry}) != said:
            raise Wrong(f"account {account.account_id} is not what was made")


async def _check_tokens(session: AsyncSession, made: Made) -> None:
    tokens = {token.token_number: token for token in await list_tokens(session)}
    for number in sorted(tokens.keys() ^ made.tokens.keys()):
        raise Wrong(f"token {number} is {'on no record' if number in tokens else 'missing'}")
    for number, token in tokens.items():
        if content_hash({"command": "create_token", **_content(token)}) != made.tokens[number]:
            raise Wrong(f"token {number} is not what was made")
        if token.revoked_at != made.revoked.get(number):
            raise Wrong(f"token {number} is not revoked as the audit tells")


def _content(token: ApiToken) -> dict[str, object]:
    return token_content(token.name, token.scopes, token.expires_at, token.secret_hash)


async def _check_keys(session: AsyncSession) -> None:
    """A planted key would answer a new command with what it never did."""
    told = and_(
        AuditEntry.user_id == Request.user_id,
        AuditEntry.command == Request.command,
        AuditEntry.content_hash == Request.content_hash,
        AuditEntry.result == Request.result,
    )
    planted = await session.scalar(
        select(Request.command)
        .outerjoin(AuditEntry, told)
        .where(
            Request.user_id == user_of(session),
            Request.command != BATCH,
            AuditEntry.user_id.is_(None),
        )
        .limit(1)
    )
    if planted is not None:
        raise Wrong(PLANTED)


async def _check_keys_of_batches(session: AsyncSession, keyed: Sequence[Keyed]) -> None:
    rows = await session.execute(
        select(Request.request_key, Request.content_hash, Request.result).where(
            Request.user_id == user_of(session), Request.command == BATCH
        )
    )
    firsts = [batch.first for batch in keyed]
    found: dict[Keyed, dict[int, Row]] = {batch: {} for batch in keyed}
    for row in rows.mappings():
        number = _number(row["result"])
        place = bisect_right(firsts, number) - 1
        if place < 0 or number > keyed[place].last or number in found[keyed[place]]:
            raise Wrong(PLANTED)
        found[keyed[place]][number] = dict(row)
    for batch, requests in found.items():
        if keys_hash([requests[number] for number in sorted(requests)]) != batch.hash:
            raise Wrong(
                f"the callers' keys of the trades {batch.first} to {batch.last} are not as they"
                " were recorded"
            )


def _number(result: str) -> int:
    try:
        return int(json.loads(result)["number"])
    except (ValueError, TypeError, KeyError):
        raise Wrong(PLANTED) from None
