"""The benchmarks run and report all four tools; no time is judged here."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.ratios import Compared
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
    return run("benchmarks.tools", *TINY, *options)


def run(module: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *options],
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


@pytest.mark.usefixtures("server")  # Where none can be started, there is nothing to measure.
def test_walls_are_measured_on_the_same_ledger_with_and_without_them(tmp_path: Path) -> None:
    written = tmp_path / "measured.json"

    run(
        "benchmarks.walls",
        "--trades",
        "600",
        "--users",
        "3",
        "--blocks",
        "2",
        "--json",
        str(written),
    )

    measured = json.loads(written.read_text())
    assert [(one["question"], one["what"]) for one in measured["ratios"]] == [
        (tool, what) for tool in TOOLS for what in ("question", "statements")
    ]
    for tool in TOOLS:
        for walled, opened in measured["plans"][tool]:
            # A policy adds checks, it takes no step away.
            assert Counter(opened) <= Counter(walled), (tool, walled, opened)


def test_the_fold_is_measured_and_held_against_scans(tmp_path: Path) -> None:
    written = tmp_path / "measured.json"

    changed = run("benchmarks.folding", "--changes", "60")
    measured = run("benchmarks.folding", "--trades", "600", "--users", "3", "--json", str(written))

    assert (changed.returncode, measured.returncode) == (0, 0), changed.stderr + measured.stderr
    assert "wrong: None" in changed.stdout
    found = json.loads(written.read_text())
    assert found["report from the fold, by ticker, ms"] > 0
    assert found["wrong"] is None


def test_a_ratio_is_of_medians_and_its_interval_of_blocks() -> None:
    """By hand: medians 30 and 10. One block alone gives 20/10, 30/10 or 90/10."""
    compared = Compared(
        "q", "question", [[20, 20], [30, 30], [90, 90]], [[10, 10], [10, 10], [10, 10]]
    )

    numbers = compared.numbers()

    assert (numbers["walled_p50"], numbers["open_p50"], numbers["ratio"]) == (30, 10, 3)
    assert (numbers["low"], numbers["high"]) == (2, 9)


def test_the_storage_of_trades_and_snapshots_is_weighed(tmp_path: Path) -> None:
    written = tmp_path / "weighed.json"

    done = run(
        "benchmarks.storage", "--trades", "4", "--points", "3", "--json", str(written)
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "bytes a snapshot of a closed trade" in done.stdout
    weighed = json.loads(written.read_text())
    assert (weighed["trades"], weighed["points"]) == (4, 12)
    assert {"trades", "trades ix_trades_book", "paths", "snapshots"} <= set(weighed["sizes"])
