"""Every question of the store by GET: the parameters, words and answers are its own.

To add one, add a file to `store/queries`; nothing here changes.
"""

from collections.abc import Awaitable, Callable, Iterator
from inspect import getdoc, signature
from typing import Any

from fastapi import APIRouter, Request, Response
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.door import Door
from mcp_server.problems import API
from mcp_server.rest.desk import TheDesk
from mcp_server.rest.exact import ExactRoute
from mcp_server.rest.refusals import OF_READING
from mcp_server.tools import TEXT_MAX, Question, is_blank, refused
from store.context import context
from store.errors import Invalid
from store.queries import load

# Questions that are resources, too: their path, and the operation's name there.
RESOURCES = {
    "get_trade_history": ("/trades", "list_trades"),
    "get_trade": ("/trades/{number}", "read_trade"),
}
TEXT = {"minLength": 1, "maxLength": TEXT_MAX, "pattern": r"^(?!\s*$)[^\x00-\x1f\x7f]+$"}


def questions_router(door: Door) -> APIRouter:
    router = APIRouter(prefix=API, route_class=ExactRoute)
    for query in load():
        question = Question.about(query, door)
        add(router, question, f"/questions/{question.name}", question.name, "questions")
        if resource := RESOURCES.get(question.name):
            add(router, question, *resource, "trades")
    add(router, Question.about(context, door), "/context", "context", "questions")
    return router


def add(router: APIRouter, question: Question, path: str, name: str, tag: str) -> None:
    router.add_api_route(
        path,
        answering(question),
        methods=["GET"],
        name=name,
        tags=[tag],
        summary=question.title,
        description=getdoc(question.fn),
        response_model=signature(question.fn, eval_str=True).return_annotation,
        responses=OF_READING,
        openapi_extra={"parameters": list(described(question.parameters, path))},
    )


def answering(question: Question) -> Callable[..., Awaitable[Response]]:
    known = question.parameters["properties"]

    async def answer(desk: TheDesk, request: Request) -> Response:
        given = arguments_of(request, known)

        async def work(session: AsyncSession) -> BaseModel:
            found: BaseModel = await question.fn(session, **accepted(question, given))
            return found

        return await desk.answer(request, question.name, given, work)

    return answer


def arguments_of(request: Request, known: dict[str, Any]) -> dict[str, Any]:
    """The arguments as an agent would give them: a list where the question takes one."""
    given: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        takes_many = known.get(name, {}).get("type") == "array"
        given[name] = values if takes_many or len(values) > 1 else values[0]
    return given | request.path_params


def accepted(question: Question, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the question takes them.

    Raises:
        Invalid: one is unknown, said twice, empty, or has a value that is not accepted.
    """
    known = question.parameters["properties"]
    for name, value in given.items():
        if name not in known:
            continue
        if isinstance(value, list) and known[name].get("type") != "array":
            raise Invalid(f"Argument '{name}' is said {len(value)} times; once is accepted.")
        if is_blank(value):
            raise Invalid(refused(name, value, known[name]))
    try:
        return question.accepted(given)
    except ToolError as error:
        raise Invalid(str(error)) from None


def described(schema: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """A question's parameters as OpenAPI has them."""
    for name, one in schema["properties"].items():
        inside = f"{{{name}}}" in path
        kind = {key: value for key, value in one.items() if key != "description"}
        if kind.get("type") == "string" and "enum" not in kind:
            kind |= TEXT
        if kind.get("type") == "array":
            kind |= {"items": TEXT | {"type": "string"}}
        yield {
            "name": name,
            "in": "path" if inside else "query",
            "required": inside or name in schema.get("required", []),
            "schema": kind,
            **({"description": one["description"]} if "description" in one else {}),
        }
