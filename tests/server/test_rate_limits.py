"""What a tier allows: calls a minute of each token, accounts and trades of a user."""

import asyncio
import json
import os
import re
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import MCPError

from store.corrections import correct_trade
from store.database import Store
from store.errors import Refused
from store.users import TierName, put_tier, set_limits
from tests.ledger import read, record, trade
from tests.server.running import free_port, listening, refused_to_start, trade_history
from tests.server.signing_in import bearer, post, refusal, signed_in, token, until_status
from tests.test_tokens import everything

HTTP = "streamable-http"
ON = {"TRADE_HISTORY_AUTH": "on"}
CSV = str(Path(__file__).parents[1] / "importers" / "generic.csv")
REDIS = os.environ.get("TEST_REDIS_URL")
NEEDS_REDIS_CLIENT = pytest.mark.skipif(
    find_spec("coredis") is None, reason="trade-history-mcp[redis] is not installed"
)


async def limited(
    store: Store,
    user_id: int = 1,
    *,
    tier: TierName = "free",
    calls: int | None = None,
    accounts: int | None = None,
    trades: int | None = None,
) -> None:
    """Put the user into a tier of these limits."""
    async with store.operate(user_id, write=True) as session:
        await set_limits(session, tier, calls_per_minute=calls, accounts=accounts, trades=trades)
        await put_tier(session, tier)


async def test_calls_beyond_the_tiers_limit_are_told_to_wait(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    mine, also_mine, theirs = await token(store), await token(store), await token(store, 2)
    await limited(store, calls=3)
    async with listening(HTTP, database_url, tmp_path, **ON) as server:
        allowed = [(await post(server, mine)).status_code for _ in range(3)]
        refused = [await post(server, mine) for _ in range(2)]
        others = [(await post(server, text)).status_code for text in (also_mine, theirs)]

    assert allowed == [200, 200, 200]
    for response in refused:
        assert response.status_code == 429
        seconds = int(response.headers["retry-after"])
        assert 1 <= seconds <= 60
        assert refusal(response) == (
            f"More than 3 calls in a minute, the limit of the tier free; wait {seconds} s."
        )
    assert others == [200, 200]


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_calls_at_the_same_moment_are_all_counted(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    await limited(store, calls=5)
    async with listening(HTTP, database_url, tmp_path, **ON) as server:
        responses = await asyncio.gather(*(post(server, text) for _ in range(20)))

    assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 15


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_sdk_client_shows_how_long_to_wait(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    await limited(store, calls=8)
    async with listening(HTTP, database_url, tmp_path, **ON) as server:
        said = await called_too_often(server, text)

    assert re.fullmatch(
        r"More than 8 calls in a minute, the limit of the tier free; wait \d+ s\.", said
    )


async def called_too_often(server: Any, text: str) -> str:
    async with signed_in(server, text) as client:
        for _ in range(20):
            try:
                await client.call_tool("get_overview", {})
            except MCPError as error:
                return str(error)
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_messages_over_sse_are_counted_too(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    await limited(store, calls=2)
    async with (
        listening("sse", database_url, tmp_path, **ON) as server,
        httpx2.AsyncClient(headers=bearer(text)) as client,
    ):
        where = f"http://127.0.0.1:{server.port}/messages/?session_id=0"
        codes = [(await client.post(where, json={})).status_code for _ in range(3)]

    assert codes[2] == 429
    assert 429 not in codes[:2]


async def test_another_tier_takes_effect_while_the_server_runs(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    await limited(store, calls=1)
    async with listening(HTTP, database_url, tmp_path, **ON) as server:
        await until_status(server, text, 429)
        code, _, _ = await trade_history(database_url, tmp_path, "users", "tier", "1", "pro")
        await until_status(server, text, 200)
        await trade_history(database_url, tmp_path, "tiers", "pro", "--calls", "1")
        await until_status(server, text, 429)
        await trade_history(database_url, tmp_path, "tiers", "pro", "--calls", "0")
        await until_status(server, text, 200)

    assert code == 0


# Accounts and trades.


async def test_a_trade_beyond_the_limit_is_refused_and_nothing_of_it_recorded(
    store: Store,
) -> None:
    await limited(store, trades=2)
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +1")
    before = await everything(store)

    with pytest.raises(Refused) as refused:
        await record(store, "2026-01-07 MSFT +1")

    assert str(refused.value) == (
        "The tier free keeps 2 trades and all are taken; nothing of this is recorded. What is"
        " recorded stays; a higher tier keeps more."
    )
    assert await everything(store) == before


async def test_at_the_limit_what_is_recorded_can_still_be_corrected(store: Store) -> None:
    await limited(store, trades=1)
    await record(store, "2026-01-05 AAPL +1")
    restated = trade({"account": "main", **read("2026-01-05 AAPL +2")})

    async with store.write() as session:
        corrected = await correct_trade(session, 1, restated, reason="the price")

    assert (corrected.number, corrected.status) == (2, "closed")


async def test_an_account_beyond_the_limit_is_refused_and_nothing_of_it_recorded(
    store: Store,
) -> None:
    await limited(store, accounts=1)
    await record(store, "2026-01-05 AAPL +1")
    before = await everything(store)

    with pytest.raises(Refused, match=r"The tier free keeps 1 accounts and all are taken;"):
        await record(store, "2026-01-05 AAPL +1", account="second")

    assert await everything(store) == before


async def test_the_limit_of_one_user_is_not_anothers(store: Store) -> None:
    await limited(store, trades=1)
    await record(store, "2026-01-05 AAPL +1")

    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +1", user_id=2)


async def test_what_is_beyond_a_lowered_limit_stays(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +1")
    await limited(store, trades=1)

    with pytest.raises(Refused):
        await record(store, "2026-01-07 MSFT +1")
    await limited(store, tier="pro", trades=None)
    assert await record(store, "2026-01-07 MSFT +1") == [3]


async def test_an_import_beyond_the_limit_records_nothing(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await limited(store, trades=5)  # The file has 6.
    before = await everything(store)

    code, output, errors = await trade_history(database_url, tmp_path, "import", CSV)

    assert (code, output) == (2, "")
    assert "The tier free keeps 5 trades and all are taken;" in errors
    assert await everything(store) == before


async def test_limits_and_tiers_are_set_by_command(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    async def run(*arguments: str) -> str:
        code, output, errors = await trade_history(database_url, tmp_path, *arguments)
        assert (code, errors) == (0, "")
        return output

    assert await run("tiers") == (
        "free: 30 calls a minute, 2 accounts, 500 trades\n"
        "basic: 120 calls a minute, 10 accounts, 25000 trades\n"
        "pro: 600 calls a minute, any number of accounts, any number of trades\n"
    )
    changed = json.loads(await run("tiers", "free", "--calls", "7", "--trades", "0", "--json"))
    assert changed[0] == {
        "tier": "free", "calls_per_minute": 7, "accounts": 2, "trades": None
    }  # fmt: skip
    assert await run("users", "add", "Ann") == "User 2, tier free.\n"
    assert await run("users", "tier", "2", "basic") == "User 2 has the tier basic.\n"
    assert [one["tier"] for one in json.loads(await run("users", "list", "--json"))] == [
        "pro", "basic"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("tiers", "free"), 2, "Name a tier and at least one limit, or neither."),
        (("tiers", "--calls", "5"), 2, "Name a tier and at least one limit, or neither."),
        (("tiers", "free", "--calls", "-1"), 2, "-1 is not in the range"),
        (("tiers", "free", "--calls", "9" * 30), 2, "is not in the range"),
        (("tiers", "gold", "--calls", "5"), 2, "'gold' is not one of 'free', 'basic', 'pro'"),
        (("users", "tier", "77", "pro"), 3, "No user 77 in this store."),
        (("users", "tier", "9" * 30, "pro"), 2, "is not in the range"),
        (("tokens", "create", "x", "--user", "77"), 3, "No user 77 in this store."),
        (("tokens", "list", "--user", "9" * 30), 2, "is not in the range"),
        (("tokens", "revoke", "9" * 30), 2, "is not in the range"),
        (("tokens", "revoke", "9"), 3, "No token 9."),
    ],
)
async def test_a_wrong_command_is_refused_in_words(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    store: Store,
    database_url: str,
    tmp_path: Path,
) -> None:
    ended, output, errors = await trade_history(database_url, tmp_path, *arguments)

    assert (ended, output) == (code, "")
    assert said in errors
    assert "Traceback" not in errors


# Where calls are counted for several servers.

UNUSABLE = (
    "trade-history-mcp: TRADE_HISTORY_RATE_LIMIT_URL cannot be used; memory:// or"
    " redis://host:port is accepted, the latter where trade-history-mcp[redis] is installed.\n"
)


@pytest.mark.parametrize(
    "url",
    ["canary", "http://:canary@host", "redis://:canary@host:port", "redis://[canary", "://canary"],
)
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_wrong_place_to_count_is_refused_without_its_password(
    url: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)

    code, said = await refused_to_start(
        database_url, tmp_path, "--transport", HTTP, **ON, TRADE_HISTORY_RATE_LIMIT_URL=url
    )

    assert (code, said) == (2, UNUSABLE)


@pytest.mark.skipif(find_spec("coredis") is not None, reason="it is installed")
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_redis_without_its_client_is_refused(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)

    code, said = await refused_to_start(
        database_url, tmp_path, "--transport", HTTP,
        **ON, TRADE_HISTORY_RATE_LIMIT_URL="redis://:canary@127.0.0.1:6379",
    )  # fmt: skip

    assert (code, said) == (2, UNUSABLE)


@NEEDS_REDIS_CLIENT
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_while_redis_is_away_calls_are_refused_without_its_password(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    url = f"redis://:canary@127.0.0.1:{free_port()}"
    async with listening(
        HTTP, database_url, tmp_path, **ON, TRADE_HISTORY_RATE_LIMIT_URL=url
    ) as server:
        response = await post(server, text)
        log = server.log.read_text()

    assert response.status_code == 503
    assert refusal(response) == "The calls of tokens cannot be counted: Redis is away."
    assert response.headers["retry-after"] == "5"
    assert "canary" not in response.text + log
    assert "Traceback" not in log


@NEEDS_REDIS_CLIENT
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_redis_that_says_nothing_is_not_waited_for(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Accepts, and answers nothing.
        url = f"redis://:canary@127.0.0.1:{silent.getsockname()[1]}"
        async with listening(
            HTTP, database_url, tmp_path, **ON, TRADE_HISTORY_RATE_LIMIT_URL=url
        ) as server:
            response = await post(server, text)
            log = server.log.read_text()

    assert response.status_code == 503
    assert "canary" not in response.text + log


@NEEDS_REDIS_CLIENT
@pytest.mark.skipif(REDIS is None, reason="TEST_REDIS_URL names no Redis")
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_servers_that_share_a_redis_count_together(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    user = 1_000_000 + os.getpid()  # Not one that an earlier run has counted.
    text = await token(store, user)
    await limited(store, user, calls=4)
    shared = {**ON, "TRADE_HISTORY_RATE_LIMIT_URL": str(REDIS)}
    async with (
        listening(HTTP, database_url, tmp_path, **shared) as one,
        listening(HTTP, database_url, tmp_path, **shared) as other,
    ):
        codes = [(await post(server, text)).status_code for server in (one, other) * 3]

    assert codes == [200] * 4 + [429] * 2


@NEEDS_REDIS_CLIENT
@pytest.mark.skipif(REDIS is None, reason="TEST_REDIS_URL names no Redis")
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_wrong_password_of_redis_is_not_shown(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    wrong = re.sub(r"//.*@", "//:canary@", str(REDIS))
    async with listening(
        HTTP, database_url, tmp_path, **ON, TRADE_HISTORY_RATE_LIMIT_URL=wrong
    ) as server:
        response = await post(server, text)
        log = server.log.read_text()

    assert response.status_code == 503
    assert "canary" not in response.text + log
