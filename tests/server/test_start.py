"""What a host starts and lists loads nothing that only some questions or transports need."""

import subprocess
import sys
from pathlib import Path

from tests.server.running import environment

LISTS = """
import asyncio, sys
from mcp import Client
from mcp_server.cli import build
from mcp_server.door import Door
from store.database import Store
from store.settings import load_settings

async def main():
    async with Client(build(Door(Store(load_settings())))) as client:
        assert (await client.list_tools()).tools

asyncio.run(main())
print(*sys.modules)
"""
# Of REST, permuting, migrating, PostgreSQL, secrets, limits, files, prices and the terminal.
LATER = {
    "fastapi",
    "numpy",
    "alembic",
    "asyncpg",
    "sqlalchemy.dialects.postgresql",
    "limits",
    "mcp_server.rest",
    "mcp_server.writing",
    "mcp_server.asgi",
    "store.schema",
    "store.records",
    "store.recording",
    "store.commands",
    "store.importers",
    "store.brokers",
    "store.sealing",
    "store.cli",
    "store.demo",
    "tzdata",
}


def test_listing_the_tools_loads_only_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTS],
        env=environment(f"sqlite:///{tmp_path}/trades.db"),
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    loaded = set(done.stdout.split())
    assert {"mcp_server.tools", "store.queries.get_trade_history"} <= loaded
    assert not loaded & LATER
    assert not (tmp_path / "trades.db").exists()
