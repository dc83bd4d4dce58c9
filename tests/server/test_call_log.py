"""The log of questions: each call once, as hashes that can be worked out again."""

import json
import logging
import signal
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from mcp import Client
from mcp.types import CallToolResult
from sqlalchemy import insert, select, text

from mcp_server.server import build
from store import calls as call_log
from store.accounts import AccountEntry, put_account
from store.audit_trail import AT_ONCE
from store.calls import CallLog, CallMade
from store.database import ROLE, Store
from store.models import ApiToken, Call
from tests.conftest import settings_for
from tests.ledger import record
from tests.postgres_server import connect
from tests.server.asking import answer_in
from tests.server.examples import LEDGER
from tests.server.running import free_port, listening, on_stdio, trade_history
from tests.server.signing_in import signed_in, token, until

ON = {"TRADE_HISTORY_AUTH": "on"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("get_overview", {}),
    ("get_trade_history", {"ticker": "AAPL", "limit": 2}),
    ("get_trade_history", {"ticker": "N\u00d6NE \u20ac"}),
    ("get_trade_history", {"ticker": 7}),
    ("get_strategy_performance", {"strategy": "leap_call"}),
    ("get_trade", {"number": 99}),
]


async def asked(client: Client) -> list[CallToolResult]:
    return [await client.call_tool(tool, arguments) for tool, arguments in ASKED]


async def logged(store: Store, user_id: int = 1) -> list[Call]:
    async with store.read(user_id) as session:
        found = await session.scalars(
            select(Call).where(Call.user_id == user_id).order_by(Call.called_at, Call.call_id)
        )
        return list(found)


def hashed(what: Any) -> str:
    """SHA-256 of compact JSON with sorted keys, in ASCII: as any program can work it out."""
    said = json.dumps(what, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(said.encode("ascii")).hexdigest()


def expected(results: Sequence[CallToolResult]) -> list[tuple[Any, ...]]:
    """What the log must say of `ASKED`, from what the client sent and got."""
    return [
        (
            tool,
            hashed(arguments),
            "refused" if result.is_error else "answered",
            None if result.is_error else hashed(result.structured_content),
            None if result.is_error else answer_in(result)["scope"]["trades"],
        )
        for (tool, arguments), result in zip(ASKED, results, strict=True)
    ]


def said(calls: Sequence[Call]) -> list[tuple[Any, ...]]:
    return [
        (one.tool, one.arguments_hash, one.outcome, one.result_hash, one.trades_used)
        for one in calls
    ]


async def test_every_call_in_process_is_on_the_log_when_it_has_ended(store: Store) -> None:
    await record(store, LEDGER)
    began = datetime.now(UTC)
    async with Client(build(store)) as client:
        results = await asked(client)

    calls = await logged(store)

    assert said(calls) == expected(results)
    assert {one.outcome for one in calls} == {"answered", "refused"}
    assert all(began - timedelta(seconds=1) <= one.called_at <= datetime.now(UTC) for one in calls)
    assert all(one.milliseconds >= 0 and one.token is None for one in calls)


async def test_every_call_over_stdio_is_on_the_log_when_the_host_has_left(
    store: Store, database_url: str
) -> None:
    await record(store, LEDGER)
    async with Client(on_stdio(database_url)) as client:
        results = await asked(client)

    async def ended() -> list[Call] | None:
        calls = await logged(store)
        return calls if len(calls) == len(ASKED) else None

    assert said(await until(ended)) == expected(results)


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
async def test_every_call_over_http_is_on_the_log_with_its_token(
    transport: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)
    mine, theirs = await token(store), await token(store, 2)
    async with listening(transport, database_url, tmp_path, **ON) as server:
        async with signed_in(server, mine) as client:
            results = await asked(client)
        async with signed_in(server, theirs) as client:
            await client.call_tool("get_overview", {})
        server.process.send_signal(signal.SIGTERM)
        await server.process.wait()

    calls, of_others = await logged(store), await logged(store, 2)

    assert said(calls) == expected(results)
    assert {one.token for one in calls} == {"1"}
    assert [(one.tool, one.token) for one in of_others] == [("get_overview", "1")]
    async with store.read() as session:
        used = await session.scalar(select(ApiToken.last_used_at).where(ApiToken.user_id == 1))
    assert used == calls[-1].called_at


async def test_a_call_that_met_a_bug_is_logged_as_failed(store: Store) -> None:
    from store.queries.get_overview import get_overview
    from tests.test_tokens import everything

    async def get_nothing(session: Any) -> Any:
        raise ZeroDivisionError("canary")

    get_nothing.__annotations__["return"] = get_overview.__annotations__["return"]
    async with Client(build(store, [get_nothing])) as client:
        result = await client.call_tool("get_nothing", {})

    [call] = await logged(store)
    assert result.is_error
    assert (call.tool, call.outcome, call.result_hash) == ("get_nothing", "failed", None)
    assert "canary" not in await everything(store)


async def test_what_was_asked_is_not_in_the_log(store: Store) -> None:
    from tests.test_tokens import everything

    async with Client(build(store)) as client:
        await client.call_tool("get_trade_history", {"ticker": "CANARY"})

    assert "CANARY" not in await everything(store)


CHANGES = (
    "UPDATE calls SET tool = 'x'",
    "UPDATE calls SET outcome = 'failed'",
    "UPDATE calls SET called_at = '2020-01-01T00:00:00.000000Z'",
    "DELETE FROM calls",
)


@pytest.mark.parametrize("by", ["ours", "raw"])
@pytest.mark.parametrize("change", CHANGES)
async def test_no_client_changes_the_log(
    by: str, change: str, store: Store, database_url: str
) -> None:
    async with Client(build(store)) as client:
        await client.call_tool("get_overview", {})
    before = said(await logged(store))

    with pytest.raises((sqlite3.IntegrityError, asyncpg.PostgresError)):
        await directly(database_url, change, as_role=by == "ours")

    assert said(await logged(store)) == before


async def directly(database_url: str, statement: str, *, as_role: bool) -> None:
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        try:
            connection.execute(f"PRAGMA recursive_triggers = {'ON' if as_role else 'OFF'}")
            connection.execute(statement)
        finally:
            connection.close()
        return
    postgres = await connect(database_url)
    try:
        async with postgres.transaction():
            if as_role:
                await postgres.execute(f"SET LOCAL ROLE {ROLE}; SET LOCAL app.user_id = '1'")
            await postgres.execute(statement)
    finally:
        await postgres.close()


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_no_call_is_replaced_unseen(store: Store, database_url: str) -> None:
    async with Client(build(store)) as client:
        await client.call_tool("get_overview", {})

    with pytest.raises(sqlite3.IntegrityError):
        await directly(
            database_url, "INSERT OR REPLACE INTO calls SELECT * FROM calls", as_role=False
        )


def a_call(user_id: int = 1, **changed: Any) -> CallMade:
    usual: dict[str, Any] = {
        "user_id": user_id, "called_at": datetime(2026, 1, 5, tzinfo=UTC),
        "tool": "get_overview", "token": None, "arguments_hash": "0" * 64,
        "outcome": "answered", "result_hash": "1" * 64, "trades_used": 3, "milliseconds": 1,
    }  # fmt: skip
    return CallMade(**(usual | changed))


async def test_calls_beyond_the_queue_are_answered_and_their_loss_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(call_log, "CAPACITY", 3)
    async with Client(build(store)) as client:
        results = [await client.call_tool("get_overview", {}) for _ in range(5)]

    assert not any(result.is_error for result in results)
    assert len(await logged(store)) == 3
    assert "2 calls were answered and are missing in the log of calls" in caplog.text


@pytest.mark.parametrize("url", ["postgresql://me:canary@127.0.0.1:{port}/x", "sqlite:///{folder}"])
async def test_with_the_database_away_the_loss_is_said(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(settings_for(url.format(port=free_port(), folder=tmp_path)))
    log = CallLog(store)
    for _ in range(4):
        log.add(a_call())
    await log.flush()
    await store.close()

    assert "is unreachable" in caplog.text
    assert "4 calls were answered and are missing in the log of calls" in caplog.text
    assert "Traceback" not in caplog.text
    assert "canary" not in caplog.text


async def test_a_farewell_that_takes_too_long_says_what_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(call_log, "FAREWELL_SECONDS", 0.2)
    log = CallLog(store)
    async with store.connections.engine.connect() as blocker:
        await blocker.execute(text("BEGIN IMMEDIATE" if sqlite(store) else "BEGIN"))
        if not sqlite(store):
            await blocker.execute(text("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE"))
        for _ in range(4):
            log.add(a_call())
        await log.flush()
        await blocker.execute(text("ROLLBACK"))

    assert "4 calls are not logged: no time was left" in caplog.text
    assert await logged(store) == []


def sqlite(store: Store) -> bool:
    return store.database.dialect == "sqlite"


async def test_calls_that_one_user_cannot_log_are_no_loss_to_another(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    log = CallLog(store)
    log.add(a_call(77))  # There is no such user.
    log.add(a_call())
    await log.flush()

    assert len(await logged(store)) == 1
    assert "1 calls were answered and are missing" in caplog.text


async def test_the_last_use_of_a_token_never_goes_back(store: Store) -> None:
    await token(store)
    later = datetime(2026, 3, 1, tzinfo=UTC)
    log = CallLog(store)
    log.add(a_call(token="1", called_at=later))
    await log.flush()
    log.add(a_call(token="1", called_at=later - timedelta(days=1)))
    await log.flush()

    async with store.read() as session:
        used = await session.scalar(select(ApiToken.last_used_at))
    assert used == later


# What is handed over.


async def test_all_calls_are_printed_as_json_lines_in_order(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """More than two pages, many at one moment: a page ends in the middle of them."""
    first = datetime(2026, 1, 5, tzinfo=UTC)
    many = [
        {
            "user_id": 1, "called_at": first + timedelta(seconds=number // 700),
            "call_id": uuid4().hex, "tool": f"tool-{number}", "arguments_hash": "0" * 64,
            "outcome": "answered", "milliseconds": 1, "token": "=1+1\u202e\x1b[31m",
        }
        for number in range(2 * AT_ONCE + 100)
    ]  # fmt: skip
    async with store.write() as session:
        await session.execute(insert(Call), many)

    code, output, errors = await trade_history(database_url, tmp_path, "audit", "--calls")

    assert (code, errors) == (0, "")
    lines = [json.loads(line) for line in output.splitlines()]
    order = sorted(many, key=lambda one: (one["called_at"], one["call_id"]))
    assert [line["tool"] for line in lines] == [one["tool"] for one in order]
    assert lines[0]["token"] == "=1+1\u202e\x1b[31m"
    assert output.isascii()
    assert "\x1b" not in output
    assert all(line.startswith('{"') for line in output.splitlines())


async def test_all_writes_are_printed_as_json_lines_in_order(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    async with store.write(token="4") as session:
        for number in range(AT_ONCE + 5):
            entry = AccountEntry(name=f"=cmd|{number}\u00e9", mode="paper")
            await put_account(session, entry, author="@SUM(1)")

    code, output, errors = await trade_history(database_url, tmp_path, "audit")

    assert (code, errors) == (0, "")
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["entry_number"] for line in lines] == list(range(1, AT_ONCE + 7))
    for before, after in pairwise(lines):
        assert after["previous_hash"] == before["entry_hash"]
    assert {line["token"] for line in lines} == {None, "4"}
    assert output.isascii()
    assert all(line.startswith('{"') for line in output.splitlines())


async def test_the_record_of_one_user_is_not_handed_to_another(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, "2026-01-05 AAPL +1", user_id=2)

    for option in ((), ("--calls",)):
        _, output, _ = await trade_history(database_url, tmp_path, "audit", *option)
        assert {json.loads(line)["user_id"] for line in output.splitlines()} <= {1}
