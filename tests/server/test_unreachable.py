"""While the database is away the server answers in words; it recovers by itself."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from mcp import Client
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.door import Door
from mcp_server.server import build
from store.database import Store
from store.errors import Unavailable
from tests.conftest import settings_for
from tests.postgres_server import Server
from tests.server.asking import answer_in, text_in
from tests.server.running import free_port, listening, on_stdio


async def test_tools_are_listed_and_calls_answered_while_the_database_is_down() -> None:
    store = Store(settings_for(f"postgresql://me:canary@127.0.0.1:{free_port()}/trades"))
    async with Client(build(store)) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("get_overview", {})
    await store.close()

    assert len(tools) > 3
    assert result.is_error
    assert "is unreachable: it does not answer; check that it runs" in text_in(result)
    assert "canary" not in text_in(result)


async def test_it_recovers_by_itself_when_the_database_comes_up(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    path.mkdir()  # Nobody can open a folder as a database.
    store = Store(settings_for(f"sqlite:///{path}"))
    async with Client(build(store)) as client:
        down = await client.call_tool("get_overview", {})
        path.rmdir()
        up = await client.call_tool("get_overview", {})
    await store.close()

    assert down.is_error
    assert "the file cannot be opened" in text_in(down)
    assert answer_in(up)["summary"]


async def test_it_says_how_long_the_database_has_been_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path}"))
    async with Client(build(store)) as client:
        first = await client.call_tool("get_overview", {})
        monkeypatch.setattr("mcp_server.door.time.monotonic", later(by=75))
        second = await client.call_tool("get_overview", {})
    await store.close()

    assert text_in(first).endswith("space left.")
    assert text_in(second).endswith("space left. This has lasted for 75 s.")


async def test_all_who_meet_it_away_are_told_once_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path}"))
    async with Client(build(store)) as client:
        await client.call_tool("get_overview", {})
        monkeypatch.setattr("mcp_server.door.time.monotonic", later(by=75))
        answers = await asyncio.gather(*(client.call_tool("get_overview", {}) for _ in range(5)))
    await store.close()

    assert {text_in(answer).count("This has lasted for 75 s.") for answer in answers} == {1}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_store_that_is_slow_is_not_said_to_be_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(store)

    async def slow(_session: AsyncSession) -> None:
        raise Unavailable("It took too long.", away=False)

    for by in (0, 75):
        monkeypatch.setattr("mcp_server.door.time.monotonic", later(by=by))
        with pytest.raises(Unavailable) as refused:
            await door.answer(slow)
        assert str(refused.value) == "It took too long."


async def test_calls_that_meet_an_unready_store_at_once_are_all_answered(tmp_path: Path) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path}/trades.db"))
    async with Client(build(store)) as client:
        answers = await asyncio.gather(*(client.call_tool("get_overview", {}) for _ in range(8)))
    await store.close()

    assert all(answer_in(answer)["summary"] for answer in answers)


async def test_a_database_that_is_not_migrated_is_said(postgres_url: str) -> None:
    store = Store(settings_for(postgres_url))
    async with Client(build(store)) as client:
        result = await client.call_tool("get_overview", {})
    await store.close()

    assert "run `trade-history migrate`" in text_in(result)


async def test_a_wrong_password_is_said_without_it(server: Server, postgres_url: str) -> None:
    wrong = f"postgresql://{server.user}:canary@{server.host}:{server.port}/postgres"
    store = Store(settings_for(wrong))
    async with Client(build(store)) as client:
        result = await client.call_tool("get_overview", {})
    await store.close()

    assert "the password or user name is refused; check DATABASE_URL" in text_in(result)
    assert "canary" not in text_in(result)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_it_recovers_when_the_database_has_dropped_its_connections(
    store: Store, direct_url: str
) -> None:
    async with Client(build(store)) as client:
        await client.call_tool("get_overview", {})
        await drop_connections(direct_url)
        answers = [await client.call_tool("get_overview", {}) for _ in range(3)]

    assert not any(answer.is_error for answer in answers)


@pytest.mark.parametrize("transport", ["stdio", "streamable-http"])
async def test_no_output_shows_the_password(transport: str, tmp_path: Path) -> None:
    url = f"postgresql://me:canary@127.0.0.1:{free_port()}/trades"
    errors = tmp_path / "errors.log"
    if transport == "stdio":
        from mcp.client.stdio import stdio_client

        with errors.open("w") as log:
            async with Client(stdio_client(on_stdio(url), errlog=log)) as client:
                result = await client.call_tool("get_overview", {})
    else:
        async with listening(transport, url, tmp_path) as running:
            async with Client(running.url) as client:
                result = await client.call_tool("get_overview", {})
            errors = running.log

    assert result.is_error
    assert "canary" not in text_in(result) + errors.read_text()


def later(by: float) -> object:
    import time

    now = time.monotonic
    return lambda: now() + by


async def drop_connections(direct_url: str) -> None:
    """As a restart, a failover or an idle limit does."""
    connection = await asyncpg.connect(direct_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
