"""Files of brokers and journals, uploaded."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.problems import API
from mcp_server.rest.bodies import Unsaid
from mcp_server.rest.desk import Desk, TheDesk
from mcp_server.rest.exact import ExactRoute
from mcp_server.rest.imported import Imported, previewed, statement_recorded, trades_in
from mcp_server.rest.refusals import OF_WRITING
from store.accounts import Zone
from store.errors import Unavailable
from store.importers import ImportFile, formats, read
from store.importers.mapped.mapping import SHIPPED, known
from store.importing import import_file
from store.records import Mode, Name, Positive, Ticker
from store.statements.execution import Statement

IMPORT_SECONDS = 600.0
ENDING = re.compile(r"\.[a-z0-9]{1,6}")

router = APIRouter(prefix=API, tags=["imports"], route_class=ExactRoute)


def _known_format(name: str) -> str:
    if name not in formats():
        raise ValueError(f"{', '.join(formats())} are accepted")
    return name


def known_mappings() -> list[str]:
    """Those that are shipped: a file of this machine is not for callers to name."""
    return known(SHIPPED)


def _known_mapping(name: str) -> str:
    if name not in known_mappings():
        raise ValueError(f"{', '.join(known_mappings())} are accepted")
    return name


class Upload(BaseModel):
    """A file, and what it does not say itself; what it says wins."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="Up to 32 MB and 100,000 rows")
    format: Annotated[str, AfterValidator(_known_format)] | Unsaid = Field(
        None, description="Recognised unless said", json_schema_extra={"enum": [*formats()]}
    )
    account: Name | Unsaid = Field(None, description="Where trades go that name no account")
    mode: Mode | Unsaid = None
    zone: Zone | Unsaid = Field(None, description="Whose clock showed moments without offset")
    currency: Annotated[str, Field(pattern="^[A-Z]{3,10}$")] | Unsaid = None
    ticker: Ticker | Unsaid = Field(None, description="The underlying, where the file names none")
    multiplier: Positive | Unsaid = Field(
        None, description="Currency per point of price, where the file lacks it"
    )
    mapping: Annotated[str, AfterValidator(_known_mapping)] | Unsaid = Field(
        None, description="Columns by a mapping", json_schema_extra={"enum": [*known_mappings()]}
    )
    preview: Literal["true", "false"] = Field("false", description="Only say what it would do")
    take_good: Literal["true", "false"] = Field(
        "false", description="Record good rows though others are refused"
    )


@router.post("/imports", responses=OF_WRITING)
async def import_trades(
    desk: TheDesk, upload: Annotated[Upload, Form(media_type="multipart/form-data")]
) -> Imported:
    """Import the trades of a file, all of them or none; again, only what is new."""
    said = upload.model_dump(exclude={"file"}, exclude_none=True)
    with TemporaryDirectory() as folder:
        path = await kept(upload.file, Path(folder))
        try:
            async with asyncio.timeout(IMPORT_SECONDS):
                # Reading a large file takes seconds, in which others are to be answered.
                file = await desk.logged(
                    "read_file", said, lambda: asyncio.to_thread(opened, path, said)
                )
                if upload.preview == "true":
                    return await asyncio.to_thread(previewed, file)
                return await recorded(desk, file, said)
        except TimeoutError:
            raise Unavailable(
                f"The import took more than {IMPORT_SECONDS:.0f} s, so nothing was recorded; a"
                " smaller file is accepted.", away=False,
            ) from None  # fmt: skip


async def kept(upload: UploadFile, folder: Path) -> Path:
    """The upload as a file of ours: its own name is nobody's business but for the ending."""
    ending = Path(upload.filename or "").suffix.lower()
    path = folder / f"upload{ending if ENDING.fullmatch(ending) else ''}"
    content = await upload.read()
    await asyncio.to_thread(path.write_bytes, content)
    return path


def opened(path: Path, said: Mapping[str, Any]) -> ImportFile | Statement:
    options = {name: value for name, value in said.items() if name not in ("preview", "take_good")}
    return read(path, **options)


async def recorded(desk: Desk, file: ImportFile | Statement, said: dict[str, Any]) -> Imported:
    take_good = said["take_good"] == "true"

    async def work(session: AsyncSession) -> Imported:
        if isinstance(file, ImportFile):
            return trades_in(file, await import_file(session, file, take_good=take_good))
        return statement_recorded(file, await import_file(session, file, take_good=take_good))

    # Every trade and execution of a file is kept once, so that a broken connection may be made
    # good.
    return await desk.write("import_file", said, work, keyed=True)
