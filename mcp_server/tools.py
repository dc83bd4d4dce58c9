"""Every query of the store becomes a read-only tool of the same name.

An agent sees the query's own name, parameters, docstring and result type. To add a tool,
add a file to `store/queries`; nothing here changes.

The SDK's own tool drops unknown arguments, quotes pydantic at the agent and writes the
answer down twice. So a question is a `Tool` with its own `run`; the rest is the SDK's.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from inspect import getdoc, signature
from math import isfinite
from typing import Any, ClassVar, Self, cast

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic.json_schema import models_json_schema

from mcp_server.door import Door
from store.calls import Outcome
from store.errors import StoreError, Unavailable
from store.queries import Query
from store.queries.answer import Told

READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
SHOWN = 80  # Characters of a refused value that are repeated.
NAMED = 5  # Refused arguments that are named.
TEXT_MAX = 1_000
PROSE = "\n\r\t"
INTEGER_MAX = 2**53  # JSON's; both databases hold it.


class Question(Tool):
    """A query of the store, as an agent meets it."""

    hints: ClassVar[ToolAnnotations] = READ_ONLY
    _door: Door = PrivateAttr()

    @classmethod
    def about(cls, query: Callable[..., Awaitable[BaseModel]], door: Door) -> Self:
        """`query`, answered through `door`."""
        tool = cast(
            Self,
            cls.from_function(
                query,
                title=query.__name__.removeprefix("get_").replace("_", " ").capitalize(),
                description=getdoc(query),
                # The parameter of the query that is not the agent's.
                context_kwarg="session",
                annotations=cls.hints,
                # The SDK would make a schema of its own, at twice the cost.
                structured_output=False,
            ),
        )
        tool._door = door
        tool.parameters = input_schema(tool.parameters)
        return tool

    async def run(
        self, arguments: dict[str, Any], context: object, convert_result: bool = False
    ) -> CallToolResult:
        """The answer for agents and for programs, each complete on its own.

        Only what the store refuses reaches the agent in words; anything else is a bug,
        which the SDK logs.
        """
        began = time.monotonic()
        try:
            accepted = self.accepted(arguments)
            answer = await self.answer(accepted)
            structured = answer.model_dump(mode="json")
            text = answer.text()
        except (StoreError, ToolError) as error:
            outcome: Outcome = "failed" if isinstance(error, Unavailable) else "refused"
            self._door.log(self.name, arguments, began, outcome)
            raise ToolError(str(error)) from None
        except asyncio.CancelledError:
            self._door.log(self.name, arguments, began, "failed")
            raise
        except Exception as error:
            self._door.log(self.name, arguments, began, "failed")
            raise UnexpectedToolError(
                f"{self.name} failed because of a bug in the server; its log says more."
            ) from error
        self._door.log(self.name, arguments, began, "answered", structured)
        return CallToolResult(content=[TextContent(text=text)], structured_content=structured)

    async def answer(self, accepted: dict[str, Any]) -> Told:
        """What the store says to `accepted` arguments."""
        told: Told = await self._door.answer(lambda session: self.fn(session, **accepted))
        return told

    def accepted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the query takes them; null and empty text count as not given.

        Raises:
            ToolError: one is unknown, or has a value that is not accepted.
        """
        known: dict[str, dict[str, Any]] = self.parameters["properties"]
        given = {name: value for name, value in arguments.items() if not is_blank(value)}
        if unknown := [name for name in given if name not in known]:
            raise ToolError(refused_names(unknown, list(known)))
        if unfit := [name for name, value in given.items() if is_unfit(value, known[name])]:
            raise ToolError(sentences(refused(name, given[name], known[name]) for name in unfit))
        try:
            model = self.fn_metadata.arg_model.model_validate(unpacked(given, known))
            accepted: dict[str, Any] = model.model_dump_one_level()
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
        else:
            endless = [name for name in given if is_endless(accepted[name])]
            if endless:
                raise ToolError(
                    sentences(refused(name, given[name], known[name]) for name in endless)
                )
            return accepted
        first: dict[str, Any] = {}
        for problem in problems:
            first.setdefault(str(problem["loc"][0]), problem)
        raise ToolError(sentences(problem_in_words(one, known) for one in first.values()))


def questions(queries: Iterable[Query], door: Door) -> list[Tool]:
    """Every query as a tool, in the order given."""
    return with_shapes([Question.about(query, door) for query in queries])


def with_shapes(tools: Sequence[Question]) -> list[Tool]:
    """The tools with the shapes of their answers. All of them at once, for they share parts,
    and whoever starts the server waits for this."""
    answers = [signature(tool.fn, eval_str=True).return_annotation for tool in tools]
    shapes, parts = models_json_schema([(answer, "serialization") for answer in answers])
    for tool, answer in zip(tools, answers, strict=True):
        tool.fn_metadata.output_schema = output_schema(shapes[answer, "serialization"] | parts)
    return list(tools)


def unpacked(given: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Lists that come as the text of JSON, as some hosts send them. Nothing else is read so:
    the SDK would, and a strategy named null would be none."""

    def read(name: str, value: Any) -> Any:
        if known[name].get("type") != "array" or not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value

    return {name: read(name, value) for name, value in given.items()}


def is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def is_unfit(value: object, schema: dict[str, Any]) -> bool:
    """What no argument takes, and a database or a search would trip over; ends of lines and
    tabs are for what may be longer than a line."""
    if isinstance(value, str):
        longest = schema.get("maxLength", TEXT_MAX)
        fine = PROSE if longest > TEXT_MAX else ""
        return len(value) > longest or any(
            (sign < " " and sign not in fine) or sign == "\x7f" for sign in value
        )
    return isinstance(value, int) and abs(value) > INTEGER_MAX


def is_endless(value: object) -> bool:
    """Infinity, or not a number: neither is text that JSON has, but "nan" reads as one."""
    return isinstance(value, float) and not isfinite(value)


def refused_names(unknown: list[str], known: list[str]) -> str:
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    names = ", ".join(shown(name) for name in unknown[:NAMED])
    accepted = f"accepted are {', '.join(known)}" if known else "none is accepted"
    return f"Unknown argument {names}{more}; {accepted}."


def problem_in_words(problem: Any, known: dict[str, dict[str, Any]]) -> str:
    """One sentence for one of pydantic's errors; a validator of ours speaks for itself."""
    name = str(problem["loc"][0])
    if problem["type"] == "missing":
        return f"Argument '{name}' is missing; {wanted(known[name])} is accepted."
    if problem["type"] == "value_error":
        reason = problem["msg"].removeprefix("Value error, ").rstrip(".")
        return f"Argument '{name}' is {shown(problem['input'])}: {printable(reason)[:200]}."
    return refused(name, problem["input"], known[name])


def refused(name: str, value: object, schema: dict[str, Any]) -> str:
    return f"Argument '{name}' is {shown(value)}; {wanted(schema)} is accepted."


def wanted(schema: dict[str, Any]) -> str:
    """What a parameter takes, in words, from its own schema."""
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        *others, last = map(str, schema["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "array": "a list of texts",
    }
    kind = kinds.get(schema.get("type", ""), "text")
    if kind == "text" and "maxLength" in schema:
        return f"text of at most {schema['maxLength']} characters"
    between = f" from {low}" if low is not None else ""
    return f"{kind}{between}" + (f" to {high}" if high is not None else "")


def shown(value: object) -> str:
    """A value given by the caller, safe to repeat: short, on one line, nothing hidden in it."""
    if isinstance(value, str):
        text = f"'{value[: SHOWN + 1]}'"
    else:
        text = str(value) if isinstance(value, Decimal) else repr(value)
    text = printable(text)
    return text if len(text) <= SHOWN + 2 else f"{text[:SHOWN]}..."


def printable(text: str) -> str:
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)


def sentences(problems: Iterable[str]) -> str:
    return " ".join(list(problems)[:NAMED])


def input_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter list that any host can read: flat, no titles, nothing beside what is named."""
    properties = {
        name: {key: value for key, value in one.items() if key != "title" and value is not None}
        for name, one in schema.get("properties", {}).items()
    }
    required = {"required": schema["required"]} if schema.get("required") else {}
    return {
        "type": "object",
        "properties": properties,
        **required,
        "additionalProperties": False,
    }


def output_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The shape of an answer without what repeats its names, each part where it is used."""
    shared: dict[str, dict[str, Any]] = schema.get("$defs", {})
    root = {key: value for key, value in schema.items() if key not in ("$defs", "description")}
    lean: dict[str, Any] = lean_schema(root, shared)
    return lean


def lean_schema(node: Any, shared: dict[str, dict[str, Any]]) -> Any:
    if isinstance(node, list):
        return [lean_schema(one, shared) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        # The docstring of a model describes it to programmers; a field's words are for agents.
        part = shared[node["$ref"].rsplit("/", 1)[-1]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        own = {key: value for key, value in part.items() if key != "description"}
        return lean_schema(own | beside, shared)
    return {
        key: named(value, shared) if key == "properties" else lean_schema(value, shared)
        for key, value in node.items()
        if key not in ("title", "default")
    }


def named(properties: dict[str, Any], shared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Properties by name, where a name may well be 'title'."""
    return {name: lean_schema(one, shared) for name, one in properties.items()}
