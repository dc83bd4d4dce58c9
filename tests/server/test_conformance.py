"""The official MCP conformance suite against the running server, in both protocol revisions.

What a baseline lists is expected to fail, for the reason above it; all else has to pass, and
what passes has to leave the baseline. Each message is checked against the protocol's schema
in every scenario, those of the baselines included.
"""

from pathlib import Path

import pytest

from store.database import Store
from tests.ledger import record
from tests.server.examples import LEDGER
from tests.server.node_programs import installed, node_environment, run, tool
from tests.server.running import listening

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"


@pytest.fixture
def dialect() -> str:
    """The protocol does not depend on the database."""
    return "sqlite"


@pytest.fixture(scope="session")
async def conformance() -> Path:
    return await installed(PACKAGE, "conformance")


@pytest.mark.timeout(240)  # The package may have to be installed first.
@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
async def test_the_server_conforms_but_for_what_it_has_no_use_for(
    conformance: Path, store: Store, database_url: str, tmp_path: Path, revision: str
) -> None:
    await record(store, LEDGER)
    expected = Path(__file__).with_name(f"conformance-baseline.{revision}.yml")

    async with listening("streamable-http", database_url, tmp_path) as server:
        checks = ["--suite", "all", "--spec-version", revision, "--expected-failures", expected]
        command = [tool("node"), conformance, "server", "--url", server.url, *checks]
        code, said = await run([*map(str, command), "-o", str(tmp_path)], node_environment())

    assert code == 0, said.partition("=== SUMMARY ===")[2] or said


@pytest.mark.timeout(240)
@pytest.mark.parametrize("part", ["enumeration", "manifest"])
async def test_its_skill_conforms_to_the_extension(
    conformance: Path, store: Store, database_url: str, tmp_path: Path, part: str
) -> None:
    """Extensions are not on the protocol's own timeline, so that each has to be asked for."""
    async with listening("streamable-http", database_url, tmp_path) as server:
        checks = ["--scenario", f"sep-2640-skills-{part}", "--force"]
        command = [tool("node"), conformance, "server", "--url", server.url, *checks]
        code, said = await run(
            [*map(str, command), "--spec-version", "2026-07-28", "-o", str(tmp_path)],
            node_environment(),
        )

    assert code == 0, said
    assert "SKIPPED: scenario" not in said
