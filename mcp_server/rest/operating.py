"""What is asked over all users, under the scope `admin`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.problems import API
from mcp_server.rest.bodies import Unsaid
from mcp_server.rest.desk import TheDesk
from mcp_server.rest.exact import ExactRoute
from mcp_server.rest.refusals import OF_READING
from store.folding import Report, report
from store.folding.adding import Mode
from store.folding.report import GROUPS, By

router = APIRouter(prefix=f"{API}/operator", tags=["operator"], route_class=ExactRoute)


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: By | Unsaid = Field(None, description="Also in groups")
    mode: Mode | Unsaid = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,10}$")] | Unsaid = None
    limit: Annotated[int, Field(ge=1, le=10_000, description="Groups at most")] = GROUPS


@router.get("/report", responses=OF_READING)
async def operator_report(desk: TheDesk, asked: Annotated[Asked, Query()]) -> Report:
    """How everybody's closed trades do, by mode and currency, exact to this moment.

    Needs a token with the scope `admin`, which only whoever runs the store can make.
    """
    said: dict[str, Any] = asked.model_dump(exclude_none=True)

    async def work(session: AsyncSession) -> Report:
        return await report(session, **said)

    return await desk.survey("operator_report", said, work)
