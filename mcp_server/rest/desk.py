"""Where a request under /api is done: as the user who asks, and on the log of calls."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.door import Door, Work
from mcp_server.server import program_version
from store.calls import Outcome
from store.errors import StoreError, Unavailable
from store.fixed import canonical
from store.queries.answer import DEFINITIONS
from store.users import require_user

PROGRAM = "program"

Result = TypeVar("Result")


def plain(result: Any) -> dict[str, Any] | None:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result)
    return None


class Desk:
    """The door, for requests: `name` and `said` are what the log of calls says of each."""

    def __init__(self, door: Door) -> None:
        self.door = door

    async def read(self, name: str, said: dict[str, Any], work: Work[Result]) -> Result:
        return await self.logged(name, said, lambda: self.door.answer(work))

    async def survey(self, name: str, said: dict[str, Any], work: Work[Result]) -> Result:
        return await self.logged(name, said, lambda: self.door.survey(work))

    async def write(
        self, name: str, said: dict[str, Any], work: Work[Result], *, keyed: bool
    ) -> Result:
        """What `work` wrote; `keyed` if it may be done again where a connection broke off."""
        return await self.logged(name, said, lambda: self.door.record(work, keyed=keyed))

    def author(self) -> str:
        """Who writes, for the record."""
        return self.door.author(PROGRAM)

    async def answer(
        self, request: Request, name: str, said: dict[str, Any], work: Work[BaseModel]
    ) -> Response:
        """What `work` reads of the ledger, as JSON; 304 where the client has it already.

        The ETag is weak: an answer says when it was given, and is otherwise the same as long
        as nothing is recorded.
        """

        async def tagged(session: AsyncSession) -> tuple[str, dict[str, Any] | None]:
            user = await require_user(session)
            tag = etag(user.user_id, user.ledger_version, name, said)
            if is_known(tag, request.headers.get("if-none-match", "")):
                return tag, None
            return tag, (await work(session)).model_dump(mode="json")

        tag, found = await self.logged(
            name, said, lambda: self.door.answer(tagged), lambda result: result[1]
        )
        headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
        if found is None:
            return Response(status_code=304, headers=headers)
        if cursor := found.get("next_cursor"):
            following = request.url.include_query_params(cursor=cursor)
            headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
        return JSONResponse(found, headers=headers)

    async def logged(
        self,
        name: str,
        said: dict[str, Any],
        do: Callable[[], Awaitable[Result]],
        told: Callable[[Result], dict[str, Any] | None] = plain,
    ) -> Result:
        """What `do` gives; the log keeps hashes of what was `said` and `told`."""
        began = time.monotonic()
        outcome: Outcome = "failed"
        answer = None
        try:
            result = await do()
            outcome, answer = "answered", told(result)
        except Unavailable:
            raise
        except StoreError:
            outcome = "refused"
            raise
        finally:
            self.door.log(name, said, began, outcome, answer)
        return result


def etag(user_id: int, version: int, name: str, said: dict[str, Any]) -> str:
    """What an answer depends on: the user's ledger, the question, and how this program
    answers it."""
    about = [program_version(), DEFINITIONS, user_id, version, name, said]
    return f'W/"{sha256(canonical(about).encode()).hexdigest()[:32]}"'


def is_known(tag: str, if_none_match: str) -> bool:
    known = [one.strip() for one in if_none_match.split(",")]
    return "*" in known or tag.removeprefix("W/") in (one.removeprefix("W/") for one in known)


async def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]
