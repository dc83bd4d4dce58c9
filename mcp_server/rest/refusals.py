"""Every refusal under /api as a problem of RFC 9457, in the words of the store."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from mcp_server.door import MissingScope
from mcp_server.gate import AWAY_SECONDS
from mcp_server.problems import API, MEDIA_TYPE, problem_response
from mcp_server.tools import printable, sentences, shown
from store.errors import Conflict, Invalid, NotFound, Refused, StoreError, Unavailable
from store.importing import RowsRefused

STATUS: dict[type[StoreError], int] = {
    NotFound: 404, Conflict: 409, Invalid: 422, Refused: 403, Unavailable: 503,
}  # fmt: skip
SECRET = (f"{API}/settings", f"{API}/connections")  # What is said there is never repeated.
WAYS_TO_CLOSE = ("fills", "expiry", "settlement", "delivery")
ERRORS_MAX = 20
ROWS_MAX = 1_000
READ_MAX = 100  # 10,000 snapshots may be wrong in 30,000 places.


class FieldError(BaseModel):
    field: str
    detail: str


class RowError(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    row: int
    column: str
    value: str
    reason: str


class Problem(BaseModel):
    """Why a request is refused (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What was refused, its value, and what is accepted")
    errors: list[FieldError] | None = Field(None, description="By field, where fields are wrong")
    rejected: list[RowError] | None = Field(None, description="Of a file, the rows refused")


WHY = {
    400: "The body cannot be read",
    401: "A token is needed",
    403: "The token lacks a scope, or the tier's limit is reached",
    404: "What was named does not exist",
    405: "The method is not allowed",
    408: "The body did not come in time",
    409: "It contradicts what is recorded, or the key was used for other content",
    413: "The body is too large",
    415: "The content is of another type",
    422: "A value is not accepted",
    429: "More calls than the tier includes",
    503: "The database cannot be reached, or is busy",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of an operation, for its description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": WHY[status], "content": content} for status in statuses}


OF_READING = documented(401, 403, 404, 422, 429, 503)
OF_WRITING = documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


def translate(app: FastAPI) -> None:
    """Answer what `app` and the store refuse by problems."""

    async def refused_by_store(_request: Request, error: Exception) -> Response:
        return of_store(error)

    async def refused_by_schema(request: Request, error: Exception) -> Response:
        problems = cast(RequestValidationError, error).errors()
        return of_schema(problems, repeat=not request.url.path.startswith(SECRET))

    async def refused_by_http(request: Request, error: Exception) -> Response:
        return of_http(app, request, cast(HTTPException, error))

    async def crashed(_request: Request, _error: Exception) -> Response:
        return problem_response(500, "A bug in the server; its log says more.")

    app.add_exception_handler(StoreError, refused_by_store)
    app.add_exception_handler(RequestValidationError, refused_by_schema)
    app.add_exception_handler(HTTPException, refused_by_http)
    app.add_exception_handler(Exception, crashed)


def of_store(error: Exception) -> Response:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable) and error.again != "no":
        headers["retry-after"] = str(AWAY_SECONDS)
    if isinstance(error, MissingScope):
        headers["www-authenticate"] = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    if not isinstance(error, RowsRefused):
        return problem_response(status, str(error), headers)
    rows = [RowError.model_validate(one).model_dump() for one in error.rejected[:ROWS_MAX]]
    detail = "Rows of the file are refused, so none was recorded; take_good records the others."
    return problem_response(status, f"{len(error.rejected)} rows: {detail}", headers, rejected=rows)


def of_schema(problems: Sequence[Mapping[str, Any]], *, repeat: bool) -> Response:
    """What FastAPI says of a request, one sentence for each field."""
    said: dict[str, str] = {}
    for one in problems[:READ_MAX]:
        if one["type"] == "none_required":
            continue  # What may be left out may be null to pydantic, which a form has not.
        field = ".".join(place(one["loc"]))
        said.setdefault(field, in_words(field, one, repeat=repeat))
    # A list whose items are refused is called too short, which it is not.
    for field in [one for one in said if any(other.startswith(f"{one}.") for other in said)]:
        del said[field]
    errors = [{"field": field, "detail": detail} for field, detail in said.items()]
    return problem_response(422, sentences(said.values()), errors=errors[:ERRORS_MAX])


def place(loc: Sequence[int | str]) -> list[str]:
    """Where a value stands, without pydantic's names for the branches that it tried."""
    _part, *steps = [printable(str(step))[:80] for step in loc]
    if len(steps) > 1 and steps[0] in WAYS_TO_CLOSE:
        steps.pop(0)
    return [step for step in steps if not any(sign in step for sign in "([")] or ["body"]


def in_words(field: str, one: Mapping[str, Any], *, repeat: bool) -> str:
    if one["type"] == "missing":
        return f"'{field}' is missing; it is required."
    if one["type"] == "extra_forbidden":
        return f"'{field}' is unknown; {API}/openapi.json says what is accepted."
    value = shown(one["input"]) if repeat else "not accepted"
    reason = printable(one["msg"].removeprefix("Value error, ")).rstrip(".")[:200]
    reason = reason.replace("Tuple", "List").replace("dictionary", "object")
    return f"'{field}' is {value}: {reason[:1].lower()}{reason[1:]}."


def of_http(app: FastAPI, request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        where = shown(request.url.path)
        return problem_response(404, f"Nothing is at {where}; {API}/openapi.json lists what is.")
    if error.status_code == 405:
        allowed = methods_at(app, request.url.path) or headers.get("Allow", "")
        headers = {"allow": allowed}
        detail = f"{shown(request.method)} is not allowed here; {allowed} is."
        return problem_response(405, detail, headers)
    return problem_response(error.status_code, str(error.detail), headers)


def methods_at(app: FastAPI, path: str) -> str:
    """Every method of `path`; Starlette names those of the first route that fits."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
    return ", ".join(sorted(found))
