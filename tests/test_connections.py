"""Broker tokens and secret settings: sealed in the database, open in their own row only."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from store.connections import (
    connection_token,
    list_connections,
    put_connection,
    remove_connection,
)
from store.database import Store
from store.errors import Invalid, NotFound
from store.keyring import Keyring, MasterKey
from store.models import AuditEntry
from store.preferences import put_secret_setting, put_setting, secret_setting, settings_of
from store.schema import add_user
from store.verifying import verify_user
from tests.tampering import TABLES, owner_of

ROOT = Path(__file__).parents[1]
KEYRING = Keyring([MasterKey(bytes(32))])
TOKEN, KEY = "canary-tradier-9fK2", "canary-perplexity-7Qz"


@pytest.fixture
async def kept(store: Store) -> Store:
    """User 1 has two tokens and a secret setting, user 2 one token."""
    await add_user(store, 2, "other")
    async with store.write() as session:
        await put_connection(session, KEYRING, "tradier", "live", SecretStr(TOKEN))
        await put_connection(session, KEYRING, "tradier", "sandbox", SecretStr("for play"))
        await put_secret_setting(session, KEYRING, "perplexity key", SecretStr(KEY))
        await put_secret_setting(session, KEYRING, "another key", SecretStr("other"))
        await put_setting(session, "theme", "dark")
    async with store.write(2) as session:
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("theirs"))
        await put_secret_setting(session, KEYRING, "perplexity key", SecretStr("theirs"))
    return store


async def token_of(store: Store, user_id: int, environment: Any) -> str:
    async with store.read(user_id) as session:
        found = await connection_token(session, KEYRING, "tradier", environment)
    return found.get_secret_value()


async def secret_of(store: Store, user_id: int, name: str) -> str:
    async with store.read(user_id) as session:
        return (await secret_setting(session, KEYRING, name)).get_secret_value()


async def test_what_is_sealed_opens_for_its_user(kept: Store) -> None:
    assert await token_of(kept, 1, "live") == TOKEN
    assert await token_of(kept, 1, "sandbox") == "for play"
    assert await token_of(kept, 2, "live") == "theirs"
    assert await secret_of(kept, 1, "perplexity key") == KEY


async def test_a_token_that_is_put_again_replaces_the_first(kept: Store) -> None:
    async with kept.write() as session:
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("newer"))

    assert await token_of(kept, 1, "live") == "newer"
    async with kept.read() as session:
        assert len(await list_connections(session)) == 2


async def test_a_token_that_is_removed_is_gone_for_its_user_alone(kept: Store) -> None:
    async with kept.write() as session:
        await remove_connection(session, "tradier", "live")

    with pytest.raises(NotFound, match=r"No connection to tradier \(live\)"):
        await token_of(kept, 1, "live")
    assert await token_of(kept, 2, "live") == "theirs"
    with pytest.raises(NotFound):
        async with kept.write() as session:
            await remove_connection(session, "tradier", "live")


async def test_settings_show_no_secret(kept: Store) -> None:
    async with kept.read() as session:
        assert await settings_of(session) == {
            "another key": None, "perplexity key": None, "theme": "dark",
        }  # fmt: skip
        with pytest.raises(NotFound, match="No secret setting 'theme'"):
            await secret_setting(session, KEYRING, "theme")


async def test_a_full_dump_tells_no_secret(kept: Store, database_url: str) -> None:
    """Every row of every table, and of SQLite every byte of its files."""
    async with owner_of(database_url) as owner:
        dump = "".join([str(await owner.rows(table)) for table in TABLES]).encode()
    if kept.database.path is not None:
        dump += b"".join(file.read_bytes() for file in kept.database.path.parent.glob("trades.db*"))
    assert b"sandbox" in dump
    for secret in (TOKEN, KEY):
        for form in (secret, secret.encode().hex(), b64encode(secret.encode()).decode()[:-4]):
            assert form.encode() not in dump


MOVED = {
    "from another user": (
        "UPDATE broker_connections SET sealed_token = (SELECT sealed_token FROM broker_connections"
        " WHERE user_id = 2) WHERE user_id = 1 AND environment = 'live'"
    ),
    "from another environment": (
        "UPDATE broker_connections SET sealed_token = (SELECT sealed_token FROM broker_connections"
        " WHERE user_id = 1 AND environment = 'sandbox') WHERE user_id = 1 AND environment = 'live'"
    ),
    "from a setting": (
        "UPDATE broker_connections SET sealed_token = (SELECT value FROM user_settings"
        " WHERE user_id = 1 AND name = 'perplexity key') WHERE user_id = 1"
    ),
    "cut short": (
        "UPDATE broker_connections SET sealed_token = substr(sealed_token, 1, 60) WHERE user_id = 1"
    ),
}


@pytest.mark.parametrize("move", MOVED)
async def test_a_token_that_was_moved_to_another_row_does_not_open(
    kept: Store, database_url: str, move: str
) -> None:
    async with owner_of(database_url) as owner:
        await owner.say(MOVED[move])

    with pytest.raises(Invalid, match=r"does not open|malformed") as refused:
        await token_of(kept, 1, "live")
    assert "theirs" not in str(refused.value)


async def test_a_setting_that_was_moved_to_another_row_does_not_open(
    kept: Store, database_url: str
) -> None:
    async with owner_of(database_url) as owner:
        await owner.say(
            "UPDATE user_settings SET value = (SELECT value FROM user_settings WHERE user_id = 2)"
            " WHERE user_id = 1 AND name = 'perplexity key'",
            "UPDATE user_settings SET name = 'renamed' WHERE user_id = 1 AND name = 'another key'",
        )

    for name in ("perplexity key", "renamed"):
        with pytest.raises(Invalid, match="does not open"):
            await secret_of(kept, 1, name)


async def test_the_audit_says_who_set_what_and_nothing_of_the_secret(kept: Store) -> None:
    """Nor a hash of it, by which a short one could be guessed: another secret, the same hash."""
    async with kept.write() as session:
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("9"), author="ann")
        await put_secret_setting(session, KEYRING, "perplexity key", SecretStr("1"))
    async with kept.read() as session:
        mine = select(AuditEntry).where(AuditEntry.user_id == 1)
        entries = (await session.scalars(mine.order_by(AuditEntry.entry_number))).all()

    said = [(one.command, json.loads(one.result), one.author) for one in entries[1:]]
    live = {"broker": "tradier", "environment": "live"}
    assert said[0] == ("put_connection", live, "owner")
    assert said[-2] == ("put_connection", live, "ann")
    assert said[-1] == ("put_setting", {"name": "perplexity key", "sealed": True}, "owner")
    assert entries[1].content_hash == entries[-2].content_hash
    assert entries[3].content_hash == entries[-1].content_hash
    assert (await verify_user(kept, 1)).wrong is None


# --- From the command line


class Terminal:
    """`trade-history` as a process of its own, with a database and a folder for keys."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ, "DATABASE_URL": url, "TRADE_HISTORY_DATA_DIR": str(folder),
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    async def says(self, *arguments: str, typed: str = "", code: int = 0) -> str:
        """What the command writes, on both streams."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "store", *arguments],
            input=typed, capture_output=True, text=True, env=self.environment, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return str(done.stdout + done.stderr)


@pytest.fixture
def terminal(store: Store, database_url: str, tmp_path: Path) -> Terminal:
    folder = tmp_path / "home"
    folder.mkdir()
    return Terminal(database_url, folder)


async def test_a_token_is_set_listed_and_removed(terminal: Terminal, database_url: str) -> None:
    said = await terminal.says("connections", "set", "tradier", typed=f"{TOKEN}\n")
    play = ("--environment", "sandbox")
    said += await terminal.says("connections", "set", "tradier", *play, typed="for play")
    listed = await terminal.says("connections", "list")
    found = json.loads(await terminal.says("connections", "list", "--json"))
    removed = await terminal.says("connections", "remove", "tradier")
    again = await terminal.says("connections", "remove", "tradier", code=3)

    assert said == (
        "tradier (live): the token is kept, sealed.\n"
        "tradier (sandbox): the token is kept, sealed.\n"
    )
    assert "tradier (live): https://api.tradier.com/v1, token kept since 20" in listed
    assert [(one["broker"], one["environment"]) for one in found] == [
        ("tradier", "live"), ("tradier", "sandbox"),
    ]  # fmt: skip
    assert removed == "tradier (live): forgotten.\n"
    assert again == "trade-history: No connection to tradier (live).\n"
    assert TOKEN not in said + listed + removed + again + json.dumps(found)


async def test_an_empty_token_is_refused(terminal: Terminal) -> None:
    said = await terminal.says("connections", "set", "tradier", typed="\n", code=2)

    assert "1 to 8192 are accepted" in said
    assert await terminal.says("connections", "list") == "No connections yet.\n"


async def test_a_token_is_on_no_command_line(terminal: Terminal) -> None:
    """There is no argument for it."""
    said = await terminal.says("connections", "set", "tradier", TOKEN, code=2)

    assert "Got unexpected extra argument" in said
