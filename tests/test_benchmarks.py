"""The benchmarks run on both databases and report all four tools; no time is judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from store.database import Store
from tests.server.running import ROOT, environment

TINY = ("--trades", "600", "--users", "3", "--calls", "3")
TOOLS = [
    "get_trade_history",
    "get_win_rate_by_score",
    "get_best_entry_conditions",
    "get_strategy_performance",
]


def benchmark(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.tools", *TINY, *options],
        capture_output=True, text=True, cwd=ROOT, env=environment("sqlite://"), timeout=100,
    )  # fmt: skip


@pytest.fixture
def empty_database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path}/benchmark.db"
    # Its floor is a prepared statement, which a pooler would not keep.
    return str(request.getfixturevalue("direct_postgres_url"))


def test_the_four_tools_are_measured_and_written_down(empty_database: str, tmp_path: Path) -> None:
    written = tmp_path / "measured.json"

    run = benchmark("--database-url", empty_database, "--json", str(written))

    assert run.returncode == 0, run.stderr
    for tool in TOOLS:
        assert tool in run.stdout
    measured = json.loads(written.read_text())
    assert [one["tool"] for one in measured["tools"]] == TOOLS
    assert all(one["store_by_floor"] > 0 for one in measured["tools"])


def test_a_ledger_in_use_is_never_filled_with_invented_trades(
    store: Store, database_url: str
) -> None:
    run = benchmark("--database-url", database_url)

    assert run.returncode == 1
    assert "already has 1 users" in run.stderr
    assert "Traceback" not in run.stderr
