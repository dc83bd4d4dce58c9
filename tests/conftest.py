"""Every test that takes `store` runs on SQLite and on a real PostgreSQL."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from store.database import Store
from store.schema import prepare, upgrade
from store.settings import Settings
from tests.pgbouncer import behind_pgbouncer
from tests.postgres_server import NoPostgres, Server, postgres_server, skip_or_fail

NUMBERS = count(1)
TEMPLATE = "template_ledger"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that are given more time come first, then those with most tests: so
    processes that take a file each end at about the same time."""
    long = {item.path for item in items if item.get_closest_marker("timeout")}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in long, -tests[item.path]))


def settings_for(url: str) -> Settings:
    return Settings(_env_file=None, DATABASE_URL=SecretStr(url))


def in_own_loop(work: Coroutine[Any, Any, Any]) -> None:
    """Fixtures that a test asks for by name are made while its loop is running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of this run."""
    try:
        with postgres_server() as alone, behind_pgbouncer(alone) as server:
            yield server
    except NoPostgres as reason:
        skip_or_fail(reason)


@pytest.fixture(scope="session")
def postgres_template(server: Server) -> str:
    """A migrated database, to be copied: migrating once is enough."""

    async def make() -> None:
        await server.create_database(TEMPLATE)
        # A pooler would stay connected, and a database in use cannot be copied.
        await upgrade(settings_for(server.direct(server.url(TEMPLATE))))

    in_own_loop(make())
    return TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "trades.db"
    in_own_loop(upgrade(settings_for(f"sqlite:///{path}")))
    return path


@pytest.fixture
async def postgres_url(server: Server) -> AsyncIterator[str]:
    """An empty database of its own on the real server."""
    name = f"empty_{next(NUMBERS)}"
    await server.create_database(name)
    yield server.url(name)
    await server.drop_database(name)


@pytest.fixture
def direct_postgres_url(server: Server, postgres_url: str) -> str:
    return server.direct(postgres_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def database_url(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[str]:
    """A migrated database of its own, as DATABASE_URL would name it."""
    if dialect == "sqlite":
        path = tmp_path / "trades.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Server = request.getfixturevalue("server")
    name = f"ledger_{next(NUMBERS)}"
    await server.create_database(name, request.getfixturevalue("postgres_template"))
    yield server.url(name)
    await server.drop_database(name)


@pytest.fixture
def direct_url(database_url: str, request: pytest.FixtureRequest) -> str:
    """`database_url` past a pooler, for tests that speak to the driver themselves."""
    if database_url.startswith("sqlite"):
        return database_url
    server: Server = request.getfixturevalue("server")
    return server.direct(database_url)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty, migrated ledger with its local user."""
    store = Store(settings_for(database_url))
    await prepare(store)
    yield store
    await store.close()
