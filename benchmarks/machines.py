"""What is measured where: a database's settings, the server on stdio, the machine."""

import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters
from pydantic import SecretStr

from store.database import Store
from store.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
# What is measured is worked out each time, unless it is said that it is remembered.
WORKED_OUT = {"TRADE_HISTORY_ANSWERS_REMEMBERED": "0"}


def settings_for(url: str, user_id: int) -> Settings:
    return Settings(
        _env_file=None,
        DATABASE_URL=SecretStr(url),
        DATABASE_URL_FILE=None,
        TRADE_HISTORY_USER_ID=user_id,
        TRADE_HISTORY_ANSWERS_REMEMBERED=0,
    )


def on_stdio(folder: Path, url: str, user_id: int, *command: str) -> StdioServerParameters:
    ours = ("TRADE_HISTORY", "DATABASE_URL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    chosen = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "TRADE_HISTORY_USER_ID": str(user_id),
        **WORKED_OUT,
    }
    return StdioServerParameters(
        command=sys.executable, args=list(command), env=inherited | chosen, cwd=folder
    )


async def machine(settings: Settings) -> dict[str, Any]:
    facts = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": ", ".join(f"{name} {version(name)}" for name in ("mcp", "sqlalchemy")),
    }
    if settings.database().dialect == "sqlite":
        facts["database"] = f"SQLite {sqlite3.sqlite_version}"
        return facts
    async with Store(settings).connections.engine.connect() as connection:
        shown = await connection.exec_driver_sql("SHOW server_version")
        facts["database"] = f"PostgreSQL {shown.scalar_one()}"
    return facts


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)
