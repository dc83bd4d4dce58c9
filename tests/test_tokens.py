"""API tokens: shown once, kept as a hash, of one user, revocable for good."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from store.accounts import AccountEntry, put_account
from store.database import ROLE, Store
from store.errors import Conflict, Invalid, NotFound
from store.models import ApiToken, AuditEntry, Base
from store.schema import add_user
from store.tokens import (
    SCOPES,
    Caller,
    NewToken,
    any_token,
    caller_of,
    create_token,
    list_tokens,
    revoke_token,
    user_named_by,
)

SOON = 3.0  # Seconds until a short-lived token expires.


async def made(store: Store, user_id: int = 1, **more: Any) -> NewToken:
    async with store.write(user_id) as session:
        return await create_token(session, "laptop", **more)


async def caller(store: Store, text: str, user_id: int = 1) -> Caller | None:
    return await store.answer(lambda session: caller_of(session, text), user_id)


async def everything(store: Store) -> str:
    """Every row of every table, as the owner of the database sees it."""
    async with store.connections.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        rows = []
        for table in Base.metadata.tables:
            if store.database.dialect == "sqlite":
                rows += await raw.execute_fetchall(f"SELECT * FROM {table}")
            else:
                rows += await raw.fetch(f"SELECT * FROM {table}")
    return "\n".join(repr(tuple(row)) for row in rows)


async def test_a_token_names_its_user_and_number_and_ends_in_256_random_bits(store: Store) -> None:
    first, second = await made(store), await made(store)

    assert re.fullmatch(r"th_1_1_[A-Za-z0-9_-]{43}", first.text)
    assert second.text.startswith("th_1_2_")
    assert first.text[-43:] != second.text[-43:]


async def test_the_secret_is_nowhere_in_the_database_but_as_its_hash(store: Store) -> None:
    token = await made(store)
    secret = token.text.split("_", 3)[3]

    kept = await everything(store)

    assert secret not in kept
    assert sha256(secret.encode()).hexdigest() in kept


async def test_a_token_shows_no_secret_when_it_is_printed(store: Store) -> None:
    token = await made(store)

    assert token.text[-43:] not in f"{token!r} {token} {[token]}"


async def test_a_token_speaks_for_its_user_within_its_scopes(store: Store) -> None:
    token = await made(store, scopes=("trades:write", "trades:read", "trades:read"))

    assert await caller(store, token.text) == Caller(
        user_id=1,
        scopes=frozenset({"trades:read", "trades:write"}),
        token="1",
        tier="pro",
        calls_per_minute=600,
    )


async def test_a_revoked_token_opens_nothing(store: Store) -> None:
    kept, revoked = await made(store), await made(store)

    async with store.write() as session:
        await revoke_token(session, 2)

    assert await caller(store, revoked.text) is None
    assert await caller(store, kept.text) is not None


async def test_an_expired_token_opens_nothing(store: Store) -> None:
    token = await made(store, expires_at=datetime.now(UTC) + timedelta(seconds=SOON))
    assert await caller(store, token.text) is not None

    await asyncio.sleep(SOON)

    assert await caller(store, token.text) is None


async def test_a_token_with_another_users_number_opens_nothing(store: Store) -> None:
    await add_user(store, 2, "another")
    token = await made(store)
    await made(store, 2)
    forged = token.text.replace("th_1_", "th_2_")

    assert user_named_by(forged) == 2
    assert await caller(store, forged, 2) is None
    assert await caller(store, token.text, 2) is None
    assert await caller(store, forged, 1) is None


async def test_a_token_of_a_user_that_does_not_exist_opens_nothing(store: Store) -> None:
    token = await made(store)

    assert await caller(store, token.text.replace("th_1_", "th_9999999999999999_"), 1) is None
    assert await caller(store, token.text.replace("th_1_", "th_77_"), 77) is None


@pytest.mark.parametrize(
    "forged",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text[:-43] + "A" * 43,
        lambda text: text.replace("th_1_1_", "th_1_2_"),
        lambda text: text.replace("th_1_1_", "th_01_1_"),
        lambda text: text.replace("th_1_1_", "th_1_1_1_"),
        lambda text: text.replace("th_1_1_", "th_\u0661_1_"),
        lambda text: text[:-1] + "\u00e9",
        lambda text: text[:-1] + "\ud800",
        lambda text: text.replace("th_1_", "th_1;SELECT_"),
        lambda text: text * 10_000,
        lambda text: f"th_{'9' * 40}_1_{text[-43:]}",
        lambda _text: "",
        lambda _text: "th_1_1_",
    ],
)
async def test_a_text_that_is_not_quite_a_token_opens_nothing(store: Store, forged: Any) -> None:
    token = await made(store)

    assert await caller(store, forged(token.text)) is None


async def test_tokens_are_listed_by_number_with_the_revoked_ones(store: Store) -> None:
    await made(store)
    await made(store)
    async with store.write() as session:
        await revoke_token(session, 1)

    found = await store.answer(list_tokens)

    assert [(one.token_number, one.revoked_at is None) for one in found] == [(1, False), (2, True)]


async def test_a_user_neither_sees_nor_revokes_tokens_of_another(store: Store) -> None:
    await add_user(store, 2, "another")
    token = await made(store)

    async with store.write(2) as session:
        assert await list_tokens(session) == []
        with pytest.raises(NotFound, match=r"No token 1\."):
            await revoke_token(session, 1)

    assert await caller(store, token.text) is not None


async def test_any_token_is_one_that_still_opens_something(store: Store) -> None:
    async def found() -> bool:
        async with store.operate() as session:
            return await any_token(session)

    assert not await found()
    await made(store, expires_at=datetime.now(UTC) + timedelta(seconds=SOON))
    await made(store)
    assert await found()
    async with store.write() as session:
        await revoke_token(session, 2)
    await asyncio.sleep(SOON)
    assert not await found()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scopes": ["trades:read", "trades:all"]},
         f"No scope 'trades:all'; {', '.join(SCOPES)} are accepted."),
        ({"scopes": []},
         f"A token without a scope opens nothing; name one of {', '.join(SCOPES)}."),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
         "The token would have expired already; a later moment is accepted."),
        ({"expires_at": datetime(2999, 1, 1)},  # noqa: DTZ001
         "The expiry has no time zone; a moment with its offset is accepted."),
    ],
)  # fmt: skip
async def test_a_token_that_could_not_be_used_is_not_made(
    store: Store, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await made(store, **more)

    assert str(refused.value) == said
    assert await store.answer(list_tokens) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 200, "a\u202eb", "a\x1b[31m"])
async def test_a_name_that_cannot_be_read_is_refused(store: Store, name: str) -> None:
    async with store.write() as session:
        with pytest.raises(Invalid, match="name of a token has"):
            await create_token(session, name)


async def test_what_is_not_there_or_revoked_already_is_said(store: Store) -> None:
    await made(store)
    async with store.write() as session:
        await revoke_token(session, 1)

    async with store.write() as session:
        with pytest.raises(Conflict, match=r"Token 1 is revoked already\."):
            await revoke_token(session, 1)
        with pytest.raises(NotFound, match=r"No token 7\."):
            await revoke_token(session, 7)


async def test_tokens_made_at_the_same_moment_have_numbers_of_their_own(store: Store) -> None:
    tokens = await asyncio.gather(*(made(store) for _ in range(8)))

    assert sorted(token.number for token in tokens) == list(range(1, 9))


async def audit(store: Store) -> list[AuditEntry]:
    async with store.read() as session:
        return list(await session.scalars(select(AuditEntry).order_by(AuditEntry.entry_number)))


async def test_the_audit_tells_of_tokens_without_their_secrets(store: Store) -> None:
    token = await made(store)
    async with store.write() as session:
        await revoke_token(session, 1)

    entries = (await audit(store))[-2:]

    assert [(one.command, json.loads(one.result)) for one in entries] == [
        ("create_token", {"token": 1}),
        ("revoke_token", {"token": 1}),
    ]
    shown = " ".join(str(vars(one)) for one in entries)
    assert token.text[-43:] not in shown
    assert sha256(token.text[-43:].encode()).hexdigest() not in shown


async def test_the_audit_names_the_token_that_a_write_was_made_for(store: Store) -> None:
    async with store.write(token="7") as session:
        await put_account(session, AccountEntry(name="main", mode="paper"))
    async with store.write() as session:
        await put_account(session, AccountEntry(name="second", mode="paper"))

    assert [one.token for one in (await audit(store))[-2:]] == ["7", None]


@pytest.fixture(params=["ours", "raw"])
async def client(
    request: pytest.FixtureRequest, store: Store, direct_url: str
) -> AsyncIterator[Any]:
    """Says a statement to the database itself: as the application's role, or as whoever owns
    the file or the tables. The store has token 1, which is open, and 2, which is revoked."""
    await made(store)
    await made(store)
    async with store.write() as session:
        await revoke_token(session, 2)
    if store.database.dialect == "sqlite":
        connection = sqlite3.connect(direct_url.removeprefix("sqlite:///"))
        for pragma in ("foreign_keys", "recursive_triggers"):
            connection.execute(f"PRAGMA {pragma} = {'ON' if request.param == 'ours' else 'OFF'}")

        async def say(statement: str) -> None:
            with connection:
                connection.execute(statement)

        yield say
        connection.close()
        return
    postgres = await asyncpg.connect(direct_url)

    async def say_(statement: str) -> None:
        async with postgres.transaction():
            if request.param == "ours":
                await postgres.execute(f"SET LOCAL ROLE {ROLE}; SET LOCAL app.user_id = '1'")
            await postgres.execute(statement)

    yield say_
    await postgres.close()


COLUMNS = [column.name for column in ApiToken.__table__.columns]
MOMENT = "'2020-01-01T00:00:00.000000Z'"


def copied(**changed: str) -> str:
    said = ", ".join(changed.get(name, name) for name in COLUMNS)
    return f"({', '.join(COLUMNS)}) SELECT {said} FROM api_tokens"


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE api_tokens SET {column} = {value}" for column, value in (
            ("user_id", "2"), ("token_number", "9"), ("name", "'x'"), ("scopes", "'admin'"),
            ("secret_hash", f"'{'0' * 64}'"), ("created_at", MOMENT), ("expires_at", MOMENT),
        )),
        "UPDATE api_tokens SET revoked_at = NULL WHERE token_number = 2",
        f"UPDATE api_tokens SET revoked_at = {MOMENT} WHERE token_number = 2",
        "DELETE FROM api_tokens",
        "DELETE FROM api_tokens WHERE token_number = 1",
        f"INSERT INTO api_tokens {copied(scopes=repr('admin'))} WHERE token_number = 1"
        " ON CONFLICT (user_id, token_number) DO UPDATE SET scopes = 'admin'",
        f"INSERT INTO api_tokens {copied(token_number='3', secret_hash=repr('plain'))}"
        " WHERE token_number = 1",
    ],
)  # fmt: skip
async def test_the_database_refuses_to_alter_a_token(
    store: Store, client: Any, statement: str
) -> None:
    before = await everything(store)

    with pytest.raises((sqlite3.IntegrityError, asyncpg.PostgresError)):
        await client(statement)

    assert await everything(store) == before


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT OR REPLACE INTO api_tokens {copied(revoked_at='NULL')} WHERE token_number = 2",
        "UPDATE OR REPLACE api_tokens SET token_number = 1 WHERE token_number = 2",
    ],
)
async def test_no_token_is_replaced_unseen(store: Store, client: Any, statement: str) -> None:
    before = await everything(store)

    with pytest.raises(sqlite3.IntegrityError):
        await client(statement)

    assert await everything(store) == before


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_tokens_are_not_emptied(store: Store, client: Any) -> None:
    before = await everything(store)

    with pytest.raises(asyncpg.PostgresError):
        await client("TRUNCATE api_tokens CASCADE")

    assert await everything(store) == before
