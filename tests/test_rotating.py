"""Keys are rotated while everything stays open, however often it is killed half-way."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from store.connections import connection_token, put_connection
from store.database import Store
from store.errors import Invalid
from store.keyring import load_keyring, rotate_file
from store.models import AuditEntry, User
from store.preferences import put_secret_setting, secret_setting
from store.rotating import reseal_everything, used_key_ids
from store.schema import add_user
from store.settings import Settings
from store.verifying import verify_user
from tests.rotating_processes import KILLS, SECRETS, USERS, require_all_open
from tests.tampering import owner_of
from tests.test_connections import ROOT, Terminal


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    folder = tmp_path / "home"
    folder.mkdir()
    return Settings(
        _env_file=None, DATABASE_URL=SecretStr(database_url), TRADE_HISTORY_DATA_DIR=folder
    )


@pytest.fixture
def terminal(store: Store, settings: Settings, database_url: str) -> Terminal:
    return Terminal(database_url, settings.data_folder())


async def seal_some(store: Store, settings: Settings, secrets: int) -> None:
    keyring = load_keyring(settings)
    for user_id in USERS:
        await add_user(store, user_id, f"user {user_id}")
        async with store.write(user_id) as session:
            await put_connection(session, keyring, "tradier", "live", SecretStr(f"of {user_id}"))
            for number in range(secrets):
                name = f"secret {number}"
                await put_secret_setting(session, keyring, name, SecretStr(f"{user_id}: {name}"))


async def require_recorded(store: Store) -> None:
    """The chains hold, and say how many secrets were sealed again."""
    for user_id in USERS:
        assert (await verify_user(store, user_id)).wrong is None
        async with store.read(user_id) as session:
            mine = (AuditEntry.user_id == user_id, AuditEntry.command == "rotate_keys")
            entries = (await session.scalars(select(AuditEntry).where(*mine))).all()
        assert entries
        for entry in entries:
            assert entry.author == "operator"
            assert re.fullmatch(r'\{"key":"[0-9a-f]{8}","secrets":[0-9]+\}', entry.result)


async def test_everything_is_sealed_again_with_the_new_key(
    store: Store, settings: Settings
) -> None:
    await seal_some(store, settings, 3)
    told: list[int] = []
    new = rotate_file(settings)

    assert await reseal_everything(store, new, told.append) == 12

    assert await used_key_ids(store) == {new.current.id}
    assert told[-1] == 12
    async with store.read(2) as session:
        token = await connection_token(session, new, "tradier", "live")
        assert token.get_secret_value() == "of 2"
        assert (await secret_setting(session, new, "secret 1")).get_secret_value() == "2: secret 1"
    assert await reseal_everything(store, new) == 0
    await require_recorded(store)


async def test_rotating_changes_no_answer(store: Store, settings: Settings) -> None:
    await seal_some(store, settings, 1)

    async def versions() -> list[int]:
        async with store.operate() as session:
            return list(await session.scalars(select(User.ledger_version)))

    before = await versions()
    await reseal_everything(store, rotate_file(settings))

    assert await versions() == before


async def test_what_does_not_open_is_named_by_its_place_and_the_old_key_stays(
    store: Store, settings: Settings, database_url: str
) -> None:
    await seal_some(store, settings, 2)
    async with owner_of(database_url) as owner:
        await owner.say(
            "UPDATE user_settings SET value = (SELECT value FROM user_settings"
            " WHERE user_id = 2 AND name = 'secret 0') WHERE user_id = 1 AND name = 'secret 1'"
        )
    old = load_keyring(settings).current.id

    with pytest.raises(Invalid, match="user_settings/1/secret 1/value cannot be sealed again: "):
        await reseal_everything(store, rotate_file(settings))

    assert old in await used_key_ids(store)


async def test_a_token_that_is_replaced_meanwhile_is_waited_for(
    store: Store, settings: Settings
) -> None:
    """Whoever replaces one and whoever rotates take turns; neither undoes the other."""
    await seal_some(store, settings, 20)
    new = rotate_file(settings)

    async def replace(number: int) -> None:
        async with store.write(2) as session:
            await put_connection(session, new, "tradier", "live", SecretStr(f"new {number}"))
            name = f"secret {number}"
            await put_secret_setting(session, new, name, SecretStr("new"))

    await asyncio.gather(reseal_everything(store, new), *(replace(number) for number in range(9)))

    async with store.read(2) as session:
        token = await connection_token(session, new, "tradier", "live")
        assert token.get_secret_value().startswith("new ")
        for number in range(9):
            found = await secret_setting(session, new, f"secret {number}")
            assert found.get_secret_value() == "new"
    assert await used_key_ids(store) == {new.current.id}
    await require_recorded(store)


# --- From the command line


async def test_keys_are_listed_rotated_and_forgotten(
    store: Store, settings: Settings, terminal: Terminal
) -> None:
    await seal_some(store, settings, 2)
    (old,) = load_keyring(settings).ids

    assert await terminal.says("keys", "list") == f"{old}: seals, in use\n"
    rotated = await terminal.says("keys", "rotate")
    (new, kept) = load_keyring(settings).ids
    assert kept == old
    assert rotated == f"Key {new} seals; 9 secrets were sealed again with it.\n"
    assert json.loads(await terminal.says("keys", "list", "--json")) == [
        {"key": new, "current": True, "in_use": True, "missing": False},
        {"key": old, "current": False, "in_use": False, "missing": False},
    ]
    assert await terminal.says("keys", "forget", "--yes") == f"Kept: {new}.\n"
    assert load_keyring(settings).ids == (new,)
    assert (settings.data_folder() / "keys").stat().st_mode & 0o077 == 0


async def test_a_key_that_still_seals_something_is_not_forgotten(
    store: Store, settings: Settings, terminal: Terminal
) -> None:
    await seal_some(store, settings, 1)
    new, old = rotate_file(settings).ids

    assert await terminal.says("keys", "list") == f"{new}: seals, unused\n{old}: opens, in use\n"
    assert await terminal.says("keys", "forget", "--yes") == f"Kept: {new}, {old}.\n"
    # Begun before: it goes on with the key that is there.
    assert f"Key {new} seals; 6 secrets" in await terminal.says("keys", "rotate")


async def test_a_rotation_that_is_killed_again_and_again_loses_nothing(
    store: Store, settings: Settings, terminal: Terminal
) -> None:
    await seal_some(store, settings, SECRETS)

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.rotating_processes"],
        capture_output=True, text=True, env=terminal.environment, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills, halfway = map(int, done.stdout.splitlines()[-1].split())
    assert kills >= KILLS
    assert halfway > 0

    await terminal.says("keys", "rotate")
    current = load_keyring(settings).current.id
    assert await used_key_ids(store) == {current}
    assert await terminal.says("keys", "forget", "--yes") == f"Kept: {current}.\n"
    await require_all_open(store, load_keyring(settings))
    await require_recorded(store)


async def test_what_a_lost_key_sealed_stops_no_rotation(
    store: Store, settings: Settings, terminal: Terminal
) -> None:
    await seal_some(store, settings, 1)
    (lost,) = load_keyring(settings).ids
    (settings.data_folder() / "keys").unlink()
    async with store.write(USERS[0]) as session:
        keyring = load_keyring(settings)
        await put_secret_setting(session, keyring, "later", SecretStr("one more"))

    said = await terminal.says("keys", "rotate", code=6)

    _new, before = load_keyring(settings).ids
    assert "1 secrets were sealed again with it." in said
    assert f"lacks their keys: what {lost} sealed." in said
    listed = await terminal.says("keys", "list")
    assert f"{lost}: missing, in use\n" in listed
    assert f"{before}: opens, unused\n" in listed
