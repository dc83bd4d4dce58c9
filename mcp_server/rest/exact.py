"""How a request is read: numbers as they are written, nothing unknown, nothing endless.

FastAPI's own reading makes floats of JSON's numbers and drops parameters that it does not
know; both would record something else than what was said.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from mcp_server.tools import shown

BODY_MAX = 8 * 1024 * 1024  # 10,000 snapshots take 1.5 MB.
UPLOAD_MAX = 33 * 1024 * 1024  # A file of 32 MB, and what is said of it.
BODY_SECONDS = 60.0


class ExactRequest(Request):
    """A request whose body is limited in size and time, and whose numbers are exact."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            # Every number is a Decimal, so that 18 and 18.0 are read alike.
            return json.loads(
                body, parse_float=Decimal, parse_int=Decimal, parse_constant=no_constant
            )
        except (ValueError, ArithmeticError, RecursionError):
            raise HTTPException(400, "The body is not JSON; JSON in UTF-8 is accepted.") from None


class ExactRoute(APIRoute):
    """A route that refuses unknown parameters, other kinds of content and endless bodies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        field = self.body_field
        is_form = field is not None and isinstance(field.field_info, Form)
        kind = "multipart/form-data" if is_form else "application/json"
        known = {one.alias for one in self.dependant.query_params}

        async def handle(request: Request) -> Response:
            if not self.knows_its_own:
                require_known(known, request)
            if field is None:
                return await handler(request)
            require_kind(kind, request)
            largest = UPLOAD_MAX if is_form else BODY_MAX
            receive = limited(request.receive, largest, request.headers.get("content-length"))
            return await handler(ExactRequest(request.scope, receive))

        return handle

    @property
    def knows_its_own(self) -> bool:
        """Whether the unknown is refused elsewhere: by the question, or by a model."""
        kinds = [one.field_info.annotation for one in self.dependant.query_params]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        return "parameters" in (self.openapi_extra or {}) or bool(models)


def require_known(known: set[str], request: Request) -> None:
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        said = {"type": "extra_forbidden", "loc": ("query", unknown[0]), "msg": "", "input": None}
        raise RequestValidationError([said])


def require_kind(kind: str, request: Request) -> None:
    said = request.headers.get("content-type", "")
    if said.partition(";")[0].strip().lower() != kind:
        detail = f"The Content-Type is {shown(said)}; {kind} is accepted."
        raise HTTPException(415, detail, {"accept": kind})


def limited(receive: Receive, largest: int, length: str | None) -> Receive:
    """`receive` until there are more than `largest` bytes, or too much time has passed."""
    left = largest
    until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive_some() -> Message:
        nonlocal left
        if length is not None and length.isdecimal() and int(length) > largest:
            too_large(largest)
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"The body was not there after {BODY_SECONDS:.0f} s."
            ) from None
        left -= len(message.get("body", b""))
        if left < 0:
            too_large(largest)
        return message

    return receive_some


def too_large(largest: int) -> NoReturn:
    raise HTTPException(413, f"The body is too large; up to {largest >> 20} MB are accepted here.")


def no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
