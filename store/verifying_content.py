"""Accounts, tokens and callers' keys against the entries of the audit that made them.

An entry keeps a hash of its command's arguments; what came of them is still there, so the
hash can be worked out again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, list_accounts
from store.database import user_of
from store.executions import KEEPING, rows_of_entry
from store.fixed import content_hash, rows_hash
from store.models import ApiToken, AuditEntry, Execution, Request
from store.tokens import list_tokens, token_content


class Wrong(Exception):  # noqa: N818
    """What was found first; the text names it."""


@dataclass
class Made:
    """What the audit tells of: by number, the hash of what made it; tokens' ends."""

    accounts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    revoked: dict[int, datetime] = field(default_factory=dict)

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
        .where(Request.user_id == user_of(session), AuditEntry.user_id.is_(None))
        .limit(1)
    )
    if planted is not None:
        raise Wrong("a caller's key is kept of a command that was never done")
