"""Empty ledgers to record in: SQLite files, or databases of a durable PostgreSQL."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from benchmarks.faults.checking import Contradiction
from benchmarks.faults.commands import ACCOUNT
from store.accounts import AccountEntry, put_account
from store.database import Store
from store.schema import add_user, prepare, upgrade
from store.settings import Settings

if TYPE_CHECKING:
    from tests.postgres_server import Postmaster


@dataclass(frozen=True)
class SQLite:
    folder: Path
    name = "SQLite"

    def ledger(self, name: str, users: int = 1) -> str:
        """The URL of a new ledger for users 1 to `users`, each with an account."""
        url = f"sqlite:///{self.folder}/{name}.db"
        asyncio.run(make_ready(url, users))
        return url


@dataclass(frozen=True)
class PostgreSQL:
    postmaster: "Postmaster"
    name = "PostgreSQL"

    def ledger(self, name: str, users: int = 1) -> str:
        """The URL of a new ledger for users 1 to `users`, each with an account."""
        server = self.postmaster.server
        asyncio.run(server.create_database(name))
        asyncio.run(make_ready(server.url(name), users))
        return server.url(name)


@contextmanager
def sqlite() -> Iterator[SQLite]:
    """In the folder for temporary files; where that is in memory, syncing costs nothing."""
    with tempfile.TemporaryDirectory(prefix="trade-history-") as folder:
        yield SQLite(Path(folder))


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    from tests.postgres_server import DURABLE, postmaster

    with postmaster(DURABLE) as running:
        yield PostgreSQL(running)


def settings_for(url: str) -> Settings:
    return Settings(_env_file=None, DATABASE_URL=SecretStr(url), DATABASE_URL_FILE=None)


async def make_ready(url: str, users: int) -> None:
    settings = settings_for(url)
    await upgrade(settings)
    store = Store(settings)
    try:
        await prepare(store)
        for user_id in range(1, users + 1):
            await add_user(store, user_id, f"user {user_id}")
            async with store.write(user_id) as session:
                await put_account(session, AccountEntry(name=ACCOUNT, mode="paper"))
    finally:
        await store.close()


def require_sound(url: str) -> None:
    """Let SQLite look at every page and reference of its file; PostgreSQL has no such thing.

    Raises:
        Contradiction: the file is damaged.
    """
    path = settings_for(url).database().path
    if path is None:
        return
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        found += connection.execute("PRAGMA foreign_key_check").fetchall()
    if found != [("ok",)]:
        raise Contradiction(f"The SQLite file is damaged: {found[:3]}")
