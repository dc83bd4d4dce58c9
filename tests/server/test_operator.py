"""The operator's report by REST: what all users' trades add up to, for tokens made for it."""

from pathlib import Path

from store.database import Store
from tests.ledger import record
from tests.server.running import listening
from tests.server.signing_in import token
from tests.server.test_rest import HTTP, program, refusal

ADMIN = ("trades:read", "admin")


async def two_users(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +120 fees 1 strategy leap", mode="live", user_id=1)
    await record(store, "2026-02-05 SPY -20 strategy Leap", mode="live", user_id=2)


async def test_the_scope_admin_opens_it_and_no_other(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await two_users(store)
    users, operators = await token(store, 1), await token(store, 2, ADMIN)
    variables = {"TRADE_HISTORY_AUTH": "on", "TRADE_HISTORY_DATA_DIR": str(tmp_path)}
    async with (
        listening(HTTP, database_url, tmp_path, **variables) as server,
        program(server, users) as user,
        program(server, operators) as operator,
    ):
        refused = await user.get("/operator/report")
        told = (await operator.get("/operator/report?by=strategy")).json()
        own = (await operator.get("/questions/get_overview")).json()
        unknown = await operator.get("/operator/report?by=user")
        unsaid = await operator.get("/operator/report?ticker=SPY")

    assert refusal(refused, 403).startswith("The token lacks the scope admin, without which")
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="admin"'
    )
    [book] = told["books"]
    assert (book["mode"], book["currency"], book["overall"]["n"]) == ("live", "USD", 2)
    assert (book["overall"]["net_pnl"], book["overall"]["win_rate"]) == ("100.00", 0.5)
    assert [(one["value"], one["n"]) for one in book["groups"]] == [("leap", 2)]
    assert own["scope"]["trades"] == 1  # A user is asked about the own trades, as ever.
    refusal(unknown, 422)
    assert "'ticker' is unknown" in refusal(unsaid, 422)


async def test_on_this_machine_without_tokens_whoever_asks_is_the_operator(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await two_users(store)
    async with (
        listening(HTTP, database_url, tmp_path, TRADE_HISTORY_DATA_DIR=str(tmp_path)) as server,
        program(server) as api,
    ):
        told = (await api.get("/operator/report?by=month&mode=live&currency=USD&limit=1")).json()

    [book] = told["books"]
    assert [one["value"] for one in book["groups"]] == ["2026-01"]
    assert book["groups_left_out"] == 1
