"""Trades out of the ledger, as a file."""

import asyncio
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.background import BackgroundTask

from mcp_server.problems import API
from mcp_server.rest.bodies import Unsaid
from mcp_server.rest.desk import TheDesk
from mcp_server.rest.exact import ExactRoute
from mcp_server.rest.refusals import OF_READING
from store.errors import Invalid
from store.exporting import Export, Format, What
from store.queries.filters import Filters, Status

KINDS = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

router = APIRouter(prefix=API, tags=["exports"], route_class=ExactRoute)


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Format = Field("csv", description="jsonl has trades whole; csv is what imports read")
    what: What = "trades"
    ticker: str | Unsaid = None
    strategy: str | Unsaid = None
    account: str | Unsaid = None
    mode: Literal["live", "paper", "all"] = "all"
    status: Status = "all"
    since: str | Unsaid = Field(None, description="Exit day or moment with offset, inclusive")
    until: str | Unsaid = Field(None, description="The same, exclusive")
    notes: Literal["true", "false"] = Field("false", description="Journal entries (untrusted)")
    snapshots: Literal["true", "false"] = Field("false", description="Marks, too (jsonl)")

    def export(self) -> Export:
        """
        Raises:
            Invalid: the format has no room for what is asked.
        """
        snapshots, notes = self.snapshots == "true", self.notes == "true"
        if snapshots and (self.format, self.what) != ("jsonl", "trades"):
            raise Invalid("snapshots is true; it goes with format jsonl and what trades.")
        if notes and (self.what == "fills" or self.format == "parquet"):
            raise Invalid("notes is true; it goes with what trades and format csv or jsonl.")
        named = ("ticker", "strategy", "account", "mode", "status", "since", "until")
        filters = Filters(**{name: getattr(self, name) for name in named})
        return Export(self.format, self.what, filters, notes, snapshots)


@router.get(
    "/exports",
    response_class=FileResponse,
    responses={**OF_READING, 200: {"content": {kind: {} for kind in KINDS.values()}}},
)
async def export_trades(desk: TheDesk, asked: Annotated[Asked, Query()]) -> FileResponse:
    """The trades of one moment, or their fills, as CSV, JSON lines or Parquet.

    `Export-Written` counts what is in the file, `Export-Left-Out` what CSV cannot say.
    """
    folder = Path(await asyncio.to_thread(mkdtemp))
    path = folder / f"{asked.what}.{asked.format}"

    async def work(session: AsyncSession) -> tuple[int, int]:
        export = asked.export()
        # Into a file first: a slow client would keep the transaction open.
        with path.open("wb") as file:
            async for chunk in export.chunks(session):
                await asyncio.to_thread(file.write, chunk)
        return export.report.written, export.report.left_out.total()

    said: dict[str, Any] = asked.model_dump(exclude_none=True)
    try:
        exported, left_out = await desk.read("export_trades", said, work)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder)
        raise
    counted = {
        "export-written": str(exported),
        "export-left-out": str(left_out),
        "cache-control": "no-store",
    }
    return FileResponse(
        path,
        headers=counted,
        media_type=KINDS[asked.format],
        filename=path.name,
        background=BackgroundTask(shutil.rmtree, folder),
    )
