"""The API is what its description says: schemathesis asks whatever the description allows, and
what it does not allow, with all of its checks."""

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from store.database import Store
from store.users import set_limits
from tests.ledger import record
from tests.server.examples import LEDGER
from tests.server.running import environment, listening
from tests.server.signing_in import token

CONTRACT = Path(__file__).parent / "contract"
EXAMPLES = "4"  # Of each operation and phase, beside all that the coverage phase makes.


@pytest.mark.timeout(900)
async def test_nothing_is_found_between_the_api_and_its_description(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)
    text = await token(store, 1, ["trades:read", "trades:write", "admin"])
    async with store.operate(write=True) as session:
        await set_limits(session, "pro", calls_per_minute=None, accounts=None, trades=None)
    variables = {"TRADE_HISTORY_AUTH": "on", "TRADE_HISTORY_DATA_DIR": str(tmp_path)}
    async with listening("streamable-http", database_url, tmp_path, **variables) as server:
        found, said = await asked_by_schemathesis(server.port, text, tmp_path)
        assert "Traceback" not in server.log.read_text()

    assert found == 0, said
    selected = re.search(r"Selected: ([0-9]+)", said)
    assert selected is not None
    assert int(selected[1]) >= 30  # All operations.


async def asked_by_schemathesis(port: int, text: str, folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("st"), "run",
        f"http://127.0.0.1:{port}/api/openapi.json",
        "--header", f"Authorization: Bearer {text}",
        "--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure",
        "--no-color",
        cwd=shutil.copytree(CONTRACT, folder / "contract"), env=environment("sqlite://"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()
