"""What starting the server does not have to pay for."""

import subprocess
import sys

LISTED = """
import asyncio, sys
from mcp import Client
from mcp_server.server import build
from store.database import Store
from store.settings import Settings

async def main():
    async with Client(build(Store(Settings(_env_file=None, DATABASE_URL="sqlite://")))) as client:
        print(len((await client.list_tools()).tools))

asyncio.run(main())
print(*sorted({"numpy", "scipy", "store.evidence.conditions"} & set(sys.modules)))
"""


def test_the_server_lists_its_tools_without_numpy() -> None:
    """It costs 0.1 s to import, and is needed when evidence is worked out."""
    told = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True)

    assert told.stderr == ""
    assert told.stdout.splitlines() == ["7", ""]
