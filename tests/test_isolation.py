"""Nothing that another user records changes any answer, whatever is asked."""

import random
import re
from inspect import signature
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference

from mcp_server.door import Door
from mcp_server.rest import api
from mcp_server.server import build
from store import queries
from store.checklist import CheckEntry, answer_checklist
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import StoreError
from store.memory import Memory
from store.preferences import put_setting
from store.recording import add_note
from tests.ledger import read as line
from tests.ledger import record, trade

OTHER = 2
RESOURCES = {"/api/trades": "get_trade_history", "/api/trades/{number}": "get_trade"}
AS_OF = re.compile(r'"as_of":"[^"]*"')
READ = [
    "trades://definitions", "trades://schema", "trades://overview",
    "trades://trade/1", "trades://trade/31", "trades://trade/40",
    "skill://review-my-trading/SKILL.md",
]  # fmt: skip
PROMPTS = {
    "pre_trade_check": {"ticker": "AAPL"},
    "post_mortem": {"number": "1"},
    "weekly_review": {},
    "strategy_review": {"strategy": "leap"},
    "score_calibration": {},
}
QUERIES = {query.__name__: query for query in queries.load()}
FILTERS: list[dict[str, Any]] = [
    {},
    {"ticker": "AAPL"},
    {"ticker": "aap"},
    {"ticker": "ONLYTHEIRS"},
    {"strategy": "leap"},
    {"strategy": "theirs only"},
    {"account": "main"},
    {"account": "second"},
    {"account": "theirs"},
    {"mode": "live"},
    {"mode": "paper"},
    {"mode": "all"},
    {"ticker": "SPY", "since": "2026-01-03", "until": "2026-01-20"},
    {"outcome": "loss", "option_type": "call"},
    {"structure": "single", "limit": 3},
    {"status": "open"},
    {"status": "all", "limit": 50, "response_format": "detailed"},
    {"status": "superseded"},
    {"order": "worst"},
    {"avoid": True, "limit": 30},
    {"min": 60, "max": 80},
    {"score": "ai"},
    {"number": 1, "notes": True},
    {"number": 3},
    {"number": 4, "marks": 60},
    {"number": 999},
]


def ledger(seed: int, n: int) -> str:
    chance = random.Random(seed)
    return "\n".join(
        f"2026-01-{chance.randint(1, 28):02d} {chance.choice(['AAPL', 'SPY', 'TSLA'])}"
        f" {chance.choice(['+120.5', '-80.25', '+0', '+33', '-7'])}"
        f" {chance.choice(['option call', 'option put', 'stop 95', ''])}"
        f" strategy {chance.choice(['leap', 'swing'])} fees 1.30"
        f" scanner {chance.randint(0, 100)} ai {chance.randint(0, 100)}"
        f" condition regime={chance.choice(['bull', 'bear'])}"
        + (" open" if chance.random() < 0.1 else "")
        for _ in range(n)
    )


async def fill(store: Store, user_id: int, seed: int, *, more: str = "") -> None:
    """Two accounts in two modes, a correction, a void trade, notes: all that answers read."""
    closed = "2026-01-04 AAPL +10 strategy leap\n2026-01-04 SPY -10 strategy leap\n"
    await record(store, closed + ledger(seed, 24) + more, user_id=user_id)
    await record(store, ledger(seed + 1, 6), account="second", mode="live", user_id=user_id)
    [still_open] = await record(store, "2026-01-29 SPY open", user_id=user_id)
    restated = trade({"account": "main", **line("2026-01-04 AAPL +11 strategy leap")})
    async with store.write(user_id) as session:
        await correct_trade(session, 1, restated, reason="the fill was wrong")
        await void_trade(session, 2, reason="never happened")
        await add_note(session, 1, f"a note of user {user_id}")
        check = CheckEntry(question=f"Is user {user_id} calm?", answer="yes")
        await answer_checklist(session, still_open, [check])
        await put_setting(session, "risk", f"of user {user_id}")


async def answer(store: Store, name: str, arguments: dict[str, Any]) -> Any:
    """The answer but for its moment; a refusal is an answer, too. Nothing is remembered."""
    store.memory = Memory()
    async with store.read(1) as session:
        try:
            found = await QUERIES[name](session, **arguments)
        except StoreError as refused:
            return str(refused)
    told = found.model_dump(mode="json")
    del told["provenance"]["as_of"]
    return told


def asked(name: str) -> list[dict[str, Any]]:
    """The argument sets that the question takes."""
    known = signature(QUERIES[name]).parameters
    needed = {"number": 1} if name == "get_trade" else {}
    return [needed | given for given in FILTERS if set(given) <= set(known)]


async def every_answer_by_rest(store: Store) -> dict[str, Any]:
    """What user 1 reads under /api, but for the moment and what says that it has changed."""
    store.memory = Memory()
    door = Door(store)
    app = api(door)
    told = {}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        paths = app.openapi()["paths"].items()
        # An operator's report is about all users.
        reads = [path for path, ways in paths if "get" in ways and "/operator/" not in path]
        for path, arguments in [(one, given) for one in reads for given in asked_by_rest(one)]:
            at = path.format(number=arguments.pop("number", 1)) if "{" in path else path
            response = await client.get(at, params=arguments)
            told[str(response.request.url)] = AS_OF.sub("", response.text)
    await door.calls.flush()
    return told


def asked_by_rest(path: str) -> list[dict[str, Any]]:
    name = RESOURCES.get(path, path.rsplit("/", 1)[1])
    if name in QUERIES:
        return [dict(given) for given in asked(name)]
    return [{"number": number} for number in (1, 2, 3, 999)] if "{number}" in path else [{}]


async def every_answer(store: Store) -> dict[str, Any]:
    return {
        f"{name} {arguments}": await answer(store, name, arguments)
        for name in QUERIES
        for arguments in asked(name)
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_another_user_records_changes_no_answer(store: Store, seed: int) -> None:
    await fill(store, 1, seed)
    before = await every_answer(store)
    by_rest = await every_answer_by_rest(store) if seed == 1 else {}

    theirs = "\n2026-01-09 ONLYTHEIRS +5\n2026-01-09 AAPL +9999 strategy 'theirs only'"
    await fill(store, OTHER, seed + 10, more=theirs)
    await record(store, ledger(seed + 20, 20), account="theirs", mode="live", user_id=OTHER)

    after = await every_answer(store)
    for call, told in before.items():
        assert after[call] == told, call
    assert by_rest in ({}, await every_answer_by_rest(store))


async def test_a_user_without_trades_has_an_empty_store_beside_a_full_one(store: Store) -> None:
    before = await every_answer(store)

    await fill(store, OTHER, 5)

    assert await every_answer(store) == before


def test_every_question_is_asked_in_several_ways() -> None:
    """A new question joins this property by its parameters."""
    assert {name: len(asked(name)) >= 3 for name in QUERIES} == dict.fromkeys(QUERIES, True)


async def test_everything_that_the_server_offers_is_asked_here(store: Store) -> None:
    """A kind of offer that is new here has to join this property."""
    async with Client(build(store)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        offered = client.server_capabilities
        resources = {one.uri for one in (await client.list_resources()).resources}
        templates = (await client.list_resource_templates()).resource_templates
        prompts = {one.name for one in (await client.list_prompts()).prompts}

    assert tools == set(QUERIES)
    assert resources == {uri for uri in READ if "/trade/" not in uri}
    assert [one.uri_template for one in templates] == ["trades://trade/{number}"]
    assert prompts == set(PROMPTS)
    assert offered.completions is not None
    assert set(offered.extensions or {}) == {"io.modelcontextprotocol/skills"}


async def everything_read(store: Store) -> dict[str, str]:
    """Every resource, prompt and completion as user 1 gets it, but for its moment."""
    found: dict[str, str] = {}
    store.memory = Memory()
    async with Client(build(store)) as client:
        for uri in READ:
            try:
                [content] = (await client.read_resource(uri)).contents
                text = content.model_dump()["text"]
                found[uri] = re.sub(r'"as_of":"[^"]+"', "", text)
            except MCPError as refused:
                found[uri] = str(refused)
        for name, arguments in PROMPTS.items():
            found[name] = (await client.get_prompt(name, arguments)).model_dump_json()
        for argument in ("ticker", "strategy", "account", "number"):
            for typed in ("", "A", "o", "t", "1", "4"):
                asked = {"name": argument, "value": typed}
                given = await client.complete(PromptReference(name="pre_trade_check"), asked)
                found[f"{argument} {typed}"] = given.completion.model_dump_json()
    return found


async def test_nor_what_is_read_filled_in_or_completed(store: Store) -> None:
    await fill(store, 1, 3)
    before = await everything_read(store)

    await fill(store, OTHER, 13, more="\n2026-01-09 ONLYTHEIRS +5\n2026-01-09 TTT +1")
    await record(store, ledger(23, 9), account="theirs", mode="live", user_id=OTHER)

    assert await everything_read(store) == before
    assert "ONLYTHEIRS" not in str(before)


async def test_what_is_remembered_for_one_user_is_told_to_no_other(store: Store) -> None:
    """Two users at the same ledger version, asked the same, nothing forgotten in between."""
    books = {1: "+10", OTHER: "-10"}
    for user_id, net in books.items():
        lines = [f"2026-{1 + i // 28:02d}-{1 + i % 28:02d} SPY {net}" for i in range(60)]
        await record(store, "\n".join(lines), user_id=user_id)
    for name in ("get_best_entry_conditions", "get_strategy_performance", "check_setup"):
        found = {}
        for _ in range(2):
            for user_id in books:
                async with store.read(user_id) as session:
                    told = await QUERIES[name](session)
                found[user_id] = told.model_dump(mode="json")
        texts = [str(one).replace(one["provenance"]["as_of"], "") for one in found.values()]
        assert texts[0] != texts[1], name
    async with store.read(OTHER) as session:
        answer = await QUERIES["get_best_entry_conditions"](session)
    assert answer.model_dump()["overall"]["losses"] == 60
