"""The tools: what an agent sees of the store's questions, and how it is refused."""

import logging
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, Tool
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.server import INSTRUCTIONS, build
from store import queries
from store.database import Store
from store.errors import Conflict, Invalid, NotFound
from store.queries.answer import Answer, Provenance, Scope
from tests.ledger import record
from tests.server.asking import ToolFailed, answer_in, ask, text_in, tokens
from tests.server.examples import LEDGER, arguments_for

NAMES = [query.__name__ for query in queries.load()]


class Echo(Answer):
    got: str


async def get_echo(
    session: AsyncSession,
    word: Annotated[str | SkipJsonSchema[None], Field(description="Any word")] = None,
    size: Annotated[Literal["small", "large"] | SkipJsonSchema[None], Field()] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    whole: bool = False,
) -> Echo:
    """Say what was asked."""
    if word == "missing":
        raise NotFound("No word 'missing'. Known words: here.")
    if word == "twice":
        raise Conflict("The word is there already.")
    if word == "late":
        raise Invalid("The word is late.")
    if word == "broken":
        raise ValueError("canary-secret")
    got = f"{word} {size} {limit} {share} {whole}"
    scope = Scope(
        filters={},
        mode=None,
        currency=None,
        zone=None,
        first=None,
        last=None,
        trades=0,
        left_out=[],
    )
    provenance = Provenance(as_of=datetime(2026, 1, 31, tzinfo=UTC), last_closed=None)
    return Echo(summary=got, evidence="none", scope=scope, provenance=provenance, got=got)


async def listed(store: Store) -> list[Tool]:
    async with Client(build(store)) as client:
        return (await client.list_tools()).tools


async def echo(store: Store, arguments: dict[str, Any]) -> str:
    async with Client(build(store, [get_echo])) as client:
        await client.list_tools()
        result = await client.session.call_tool("get_echo", arguments)
        return text_in(result) if result.is_error else str(result.structured_content)


@pytest.fixture
def dialect() -> str:
    """What an agent sees does not depend on the database."""
    return "sqlite"


async def test_every_question_of_the_store_is_a_tool(store: Store) -> None:
    assert [tool.name for tool in await listed(store)] == NAMES


async def test_tools_only_read(store: Store) -> None:
    hints = {"readOnlyHint": True, "destructiveHint": False}
    hints |= {"idempotentHint": True, "openWorldHint": False}

    for tool in await listed(store):
        assert tool.annotations is not None
        assert tool.annotations.model_dump(by_alias=True, exclude_none=True) == hints


async def test_any_host_can_read_the_parameters(store: Store) -> None:
    """Several hosts refuse references, unions and lists of types in them."""
    for tool in await listed(store):
        assert tool.input_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        for parameter in tool.input_schema["properties"].values():
            assert parameter["type"] in ("string", "integer", "number", "boolean", "array")
            if parameter["type"] == "array":
                assert parameter["items"] == {"type": "string"}
            assert not {"$ref", "anyOf", "oneOf", "title", "properties"} & parameter.keys()
            assert parameter.get("default", "") is not None


async def test_the_shape_of_an_answer_holds_everything_in_place(store: Store) -> None:
    for tool in await listed(store):
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert "summary" in tool.output_schema["properties"]
        assert not {"$ref", "$defs"} & set(keys_in(tool.output_schema))


async def test_all_tools_together_fit_into_3000_tokens(store: Store) -> None:
    seen = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in await listed(store)
    ]

    assert tokens(seen) <= 3_000


async def test_hosts_keep_descriptions_and_instructions_whole(store: Store) -> None:
    """They cut after 2,048 characters."""
    assert len(INSTRUCTIONS) <= 1_000
    for tool in await listed(store):
        assert tool.description
        assert len(tool.description) <= 2_048


@pytest.mark.parametrize("tool", NAMES)
async def test_an_unknown_argument_is_refused_with_the_known_ones(store: Store, tool: str) -> None:
    with pytest.raises(ToolFailed, match=r"^Unknown argument 'limt'; accepted are \w+(, \w+)*\.$"):
        await ask(store, tool, limt=5)


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"limit": 0}, "Argument 'limit' is 0; a whole number from 1 to 100 is accepted."),
        ({"limit": "ten"}, "Argument 'limit' is 'ten'; a whole number from 1 to 100 is accepted."),
        ({"limit": 1.5}, "Argument 'limit' is 1.5; a whole number from 1 to 100 is accepted."),
        ({"limit": [1]}, "Argument 'limit' is [1]; a whole number from 1 to 100 is accepted."),
        ({"share": "nan"}, "Argument 'share' is 'nan'; a number from 0 to 1 is accepted."),
        ({"share": "1e999"}, "Argument 'share' is '1e999'; a number from 0 to 1 is accepted."),
        ({"whole": "perhaps"}, "Argument 'whole' is 'perhaps'; true or false is accepted."),
        ({"size": "tiny"}, "Argument 'size' is 'tiny'; small or large is accepted."),
        ({"word": 7}, "Argument 'word' is 7; text is accepted."),
        ({"word": {"a": 1}}, "Argument 'word' is {'a': 1}; text is accepted."),
        ({"word": "a\nb\x00"}, "Argument 'word' is 'a?b?'; text is accepted."),
        ({"size": "\u202e\U000e0041é"}, "Argument 'size' is '???'; small or large is accepted."),
        (
            {"limit": 2**60, "size": "x"},
            "Argument 'limit' is 1152921504606846976; a whole number from 1 to 100 is accepted.",
        ),
        (
            {"size": "x", "whole": "perhaps"},
            "Argument 'size' is 'x'; small or large is accepted."
            " Argument 'whole' is 'perhaps'; true or false is accepted.",
        ),
        (
            {str(number): 1 for number in range(9)},
            "Unknown argument '0', '1', '2', '3', '4' and 4 more;"
            " accepted are word, size, limit, share, whole.",
        ),
    ],
)
async def test_a_refused_argument_is_named_with_what_is_accepted(
    store: Store, arguments: dict[str, Any], refusal: str
) -> None:
    assert await echo(store, arguments) == refusal


@pytest.mark.parametrize("name", ["word", "x" * 5_000])
async def test_a_refusal_stays_short(store: Store, name: str) -> None:
    assert len(await echo(store, {name: "x" * 100_000})) < 250


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        ({}, "None None 20 0.5 False"),
        ({"word": None, "limit": None, "size": ""}, "None None 20 0.5 False"),
        ({"limit": "60", "share": "0.25", "whole": "true"}, "None None 60 0.25 True"),
        ({"word": "60", "size": "small"}, "60 small 20 0.5 False"),
    ],
)
async def test_what_models_write_is_understood(
    store: Store, arguments: dict[str, Any], got: str
) -> None:
    async with Client(build(store, [get_echo])) as client:
        result = await client.session.call_tool("get_echo", arguments)

    assert text_in(result).startswith(got)


@pytest.mark.parametrize(
    ("word", "refusal"),
    [
        ("missing", "No word 'missing'. Known words: here."),
        ("twice", "The word is there already."),
        ("late", "The word is late."),
    ],
)
async def test_what_the_store_refuses_reaches_the_agent_in_its_words(
    store: Store, word: str, refusal: str
) -> None:
    assert await echo(store, {"word": word}) == refusal


async def test_a_bug_tells_the_agent_nothing_and_the_log_one_line(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    from mcp_server.server import OneLine

    said = await echo(store, {"word": "broken"})

    assert said == "get_echo failed because of a bug in the server; its log says more."
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    line = OneLine("%(message)s").format(record)
    assert "\n" not in line
    assert "ValueError: canary-secret" in line


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_an_unknown_tool_is_a_protocol_error(store: Store, mode: Any) -> None:
    async with Client(build(store), mode=mode) as client:
        with pytest.raises(
            MCPError, match=r"^Unknown tool: 'get_nothing'; known are check_setup"
        ) as refused:
            await client.session.call_tool("get_nothing", {})

    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("tool", NAMES)
async def test_text_and_structure_say_the_same(store: Store, tool: str) -> None:
    await record(store, LEDGER)

    async with Client(build(store)) as client:
        [asked] = [one for one in (await client.list_tools()).tools if one.name == tool]
        result = await client.call_tool(tool, arguments_for(asked))

    assert text_in(result).startswith(answer_in(result)["summary"])


def keys_in(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [key for one in schema for key in keys_in(one)]
    if not isinstance(schema, dict):
        return []
    return [*schema, *(key for one in schema.values() for key in keys_in(one))]
