"""API tokens: keys to one user's trades, shown once and kept as a hash.

A token reads `th_USER_NUMBER_SECRET`. It names its user so that it is looked up under that
user's identity, behind the same wall as everything else. The secret has 256 random bits, so
a plain hash holds; a slow one would only make refusing expensive.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, begin, note_down
from store.database import user_of
from store.errors import Conflict, Invalid, NotFound
from store.models import ApiToken, Tier, User
from store.vocabulary import label

Scope: TypeAlias = Literal["trades:read", "trades:write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
TOKEN = re.compile(r"th_([1-9][0-9]{0,15})_([1-9][0-9]{0,8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Caller:
    """Who asks from outside: a user, what the token allows, and its handle for the record."""

    user_id: int
    scopes: frozenset[str]
    token: str
    tier: str
    calls_per_minute: int | None


@dataclass(frozen=True)
class NewToken:
    """A token just made. `text` is the only copy of its secret."""

    number: int
    text: str

    def __repr__(self) -> str:
        return f"NewToken(number={self.number})"


async def create_token(
    session: AsyncSession,
    name: str,
    scopes: Sequence[str] = ("trades:read",),
    *,
    expires_at: datetime | None = None,
    author: str = OWNER,
) -> NewToken:
    """A new token of the session's user.

    Raises:
        Invalid: the name, a scope or the expiry is not accepted.
    """
    name = label("name of a token", name)
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise Invalid(f"No scope '{unknown[0][:40]}'; {', '.join(SCOPES)} are accepted.")
    if not scopes:
        raise Invalid(f"A token without a scope opens nothing; name one of {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at.tzinfo is None:
        raise Invalid("The expiry has no time zone; a moment with its offset is accepted.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Invalid("The token would have expired already; a later moment is accepted.")
    secret = secrets.token_urlsafe(32)
    said = token_content(name, " ".join(sorted(set(scopes))), expires_at, _hash(secret))
    command = await begin(session, "create_token", said, key=None, author=author)
    number = 1 + (
        await session.scalar(
            select(func.max(ApiToken.token_number)).where(ApiToken.user_id == user_of(session))
        )
        or 0
    )
    await session.execute(
        insert(ApiToken).values(
            user_id=user_of(session),
            token_number=number,
            created_at=command.made_at,
            **said,
        )
    )
    await note_down(session, command, {"token": number}, answers_change=False)
    return NewToken(number, f"th_{user_of(session)}_{number}_{secret}")


def token_content(
    name: str, scopes: str, expires_at: datetime | None, secret_hash: str
) -> dict[str, Any]:
    """What makes a token, as the audit takes its hash; `verify` works it out again."""
    return {
        "name": name,
        "scopes": scopes,
        "expires_at": expires_at and expires_at.astimezone(UTC),
        "secret_hash": secret_hash,
    }


async def list_tokens(session: AsyncSession) -> Sequence[ApiToken]:
    """All tokens of the user, the revoked ones too, in the order they were made."""
    found = await session.scalars(
        select(ApiToken).where(ApiToken.user_id == user_of(session)).order_by(ApiToken.token_number)
    )
    return found.all()


async def revoke_token(session: AsyncSession, number: int, *, author: str = OWNER) -> None:
    """Make a token worthless, for good.

    Raises:
        NotFound: the user has no such token.
        Conflict: it is revoked already.
    """
    command = await begin(session, "revoke_token", {"token": number}, key=None, author=author)
    mine = (ApiToken.user_id == user_of(session), ApiToken.token_number == number)
    found = await session.scalar(select(ApiToken).where(*mine))
    if found is None:
        raise NotFound(f"No token {number}.")
    if found.revoked_at is not None:
        raise Conflict(f"Token {number} is revoked already.")
    await session.execute(update(ApiToken).where(*mine).values(revoked_at=command.made_at))
    await note_down(session, command, {"token": number}, answers_change=False)


async def any_token(session: AsyncSession) -> bool:
    """Whether any user has a token that still opens something, as the operator sees it."""
    return bool(await session.scalar(select(exists().where(*_open_still()))))


async def is_open(session: AsyncSession, number: int) -> bool:
    """Whether the user's token still opens something: neither revoked nor expired."""
    open_still = select(ApiToken.token_number).where(
        ApiToken.user_id == user_of(session),
        ApiToken.token_number == number,
        *_open_still(),
    )
    return await session.scalar(open_still) is not None


def _open_still() -> tuple[ColumnElement[bool], ...]:
    now = datetime.now(UTC)
    return (
        ApiToken.revoked_at.is_(None),
        (ApiToken.expires_at.is_(None)) | (ApiToken.expires_at > now),
    )


def user_named_by(text: str) -> int | None:
    """Whose token `text` claims to be; None if it is no token of ours."""
    found = TOKEN.fullmatch(text)
    return int(found[1]) if found else None


async def caller_of(session: AsyncSession, text: str) -> Caller | None:
    """Who presents the token `text`; None if it is unknown, expired or revoked.

    The session must be of the user that the token names.
    """
    found = TOKEN.fullmatch(text)
    if found is None or int(found[1]) != user_of(session):
        return None
    row = (
        await session.execute(
            select(ApiToken, Tier)
            .join(User, User.user_id == ApiToken.user_id)
            .join(Tier, Tier.name == User.tier)
            .where(ApiToken.user_id == user_of(session), ApiToken.token_number == int(found[2]))
        )
    ).one_or_none()
    if row is None or not compare_digest(row.ApiToken.secret_hash, _hash(found[3])):
        return None
    token, tier = row.ApiToken, row.Tier
    if token.revoked_at or (token.expires_at and token.expires_at <= datetime.now(UTC)):
        return None
    return Caller(
        user_id=token.user_id,
        scopes=frozenset(token.scopes.split()),
        token=str(token.token_number),
        tier=tier.name,
        calls_per_minute=tier.calls_per_minute,
    )


async def caller_by_issuer(
    session: AsyncSession, scopes: frozenset[str], client: str
) -> Caller | None:
    """The session's user as an OAuth issuer's token names it, if there is such a user.

    What looks across users opens to a token of the store alone: the word `admin` of an issuer
    may mean anything.
    """
    tier = await session.scalar(
        select(Tier).join(User, User.tier == Tier.name).where(User.user_id == user_of(session))
    )
    if tier is None:
        return None
    return Caller(
        user_id=user_of(session),
        scopes=scopes - {"admin"},
        token=f"oauth:{client}",
        tier=tier.name,
        calls_per_minute=tier.calls_per_minute,
    )


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
