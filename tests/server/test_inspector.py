"""The official MCP Inspector lists and calls every tool, on both transports and eras.

It checks answers against the announced shapes with formats, which the Python client does not.
"""

import asyncio
import json
import re
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mcp_server.server import build
from store.database import Store
from tests.ledger import record
from tests.server.asking import answer_in
from tests.server.examples import LEDGER, arguments_for
from tests.server.node_programs import installed, node_environment, run, tool
from tests.server.running import SERVER, environment, listening

PACKAGE = "@modelcontextprotocol/inspector@2.12.0"
AT_ONCE = 3


@pytest.fixture
def dialect() -> str:
    """The shapes of answers do not depend on the database."""
    return "sqlite"


@pytest.fixture(scope="session")
async def inspector() -> Path:
    return await installed(PACKAGE, "mcp-inspector")


async def test_the_inspector_lists_and_calls_every_tool(
    inspector: Path, store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)
    async with Client(build(store)) as client:
        tools = (await client.list_tools()).tools
        answers = [await client.call_tool(one.name, arguments_for(one)) for one in tools]
    async with listening("streamable-http", database_url, tmp_path) as server:
        # The Inspector gives a program on stdio nothing of its own environment.
        given = environment(database_url)
        told = [f"{name}={given[name]}" for name in ("DATABASE_URL", "PYTHONPATH")]
        on_stdio = [sys.executable, *SERVER, *chain.from_iterable(("-e", one) for one in told)]
        targets = [on_stdio, [server.url, "--transport", "http"]]
        calls = [
            [*target, "--protocol-era", era, "--format", "json", *asked]
            for target in targets
            for era in ("legacy", "modern")
            for asked in (LISTING, *(calling(one.name, arguments_for(one)) for one in tools))
        ]
        turns = asyncio.Semaphore(AT_ONCE)

        async def outcome(call: list[str]) -> tuple[int, str]:
            async with turns:
                return await run(
                    [tool("node"), str(inspector), "--cli", *call],
                    node_environment(database_url, **kept(tmp_path)),
                )

        outcomes = await asyncio.gather(*map(outcome, calls))

    for call, (code, output) in zip(calls, outcomes, strict=True):
        assert code == 0, f"{' '.join(call)}: {output}"
    said = [json.loads(output) for _code, output in outcomes]
    summaries = [answer_in(answer)["summary"] for answer in answers]
    while said:
        listed, *called = said[: 1 + len(tools)]
        del said[: 1 + len(tools)]
        assert [one["name"] for one in listed["result"]["tools"]] == [one.name for one in tools]
        assert not listed.get("schemaFindings")  # What other hosts may not understand.
        assert [one["result"]["structuredContent"]["summary"] for one in called] == summaries


async def test_the_inspector_reads_what_else_is_offered(
    inspector: Path, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Lists, a resource and a prompt in both protocols; the skill with its hashes."""
    await record(store, LEDGER)
    asked: list[list[str]] = [
        ["resources/list"],
        ["resources/templates/list"],
        ["resources/read", "--uri", "trades://trade/1"],
        ["prompts/list"],
        ["prompts/get", "--prompt-name", "post_mortem", "--prompt-args", "number=1"],
    ]
    eras = ["legacy"] * len(asked) + ["modern"] * (len(asked) + 1)
    questions = [*asked, *asked, ["skills/list", "--verify"]]
    async with listening("streamable-http", database_url, tmp_path) as server:
        said = []
        for era, question in zip(eras, questions, strict=True):
            said.append(
                await run(
                    [tool("node"), str(inspector), "--cli", server.url, "--transport", "http",
                     "--protocol-era", era, "--format", "json", "--method", *question],
                    node_environment(database_url, **kept(tmp_path)),
                )
            )  # fmt: skip

    assert [code for code, _ in said] == [0] * len(said), said
    *both, verified = [json.loads(output) for _, output in said]
    legacy, modern = both[: len(asked)], both[len(asked) :]
    for older, newer in zip(legacy, modern, strict=True):
        assert unstamped(older) == unstamped(newer)
    assert (verified["ok"], verified["outcome"]) == (True, "verified")


def unstamped(output: dict[str, Any]) -> str:
    """The result without what only today's protocol says beside it, and without its moment."""
    beside = ("_meta", "resultType", "ttlMs", "cacheScope")
    result = {name: one for name, one in output["result"].items() if name not in beside}
    return re.sub(r'as_of\\":\\"[^"]+', "", json.dumps(result))


LISTING = ["--method", "tools/list", "--strict"]


def calling(name: str, arguments: dict[str, Any]) -> list[str]:
    asked = json.dumps(arguments)
    return ["--method", "tools/call", "--tool-name", name, "--tool-args-json", asked]


def kept(folder: Path) -> dict[str, str]:
    """The Inspector keeps its catalogue and sign-ins at home unless told otherwise."""
    return {
        "MCP_CATALOG_PATH": str(folder / "catalog.json"),
        "MCP_STORAGE_DIR": str(folder / "inspector"),
    }
