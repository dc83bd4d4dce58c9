"""python -m mcp_server.demo: a ledger, five answers and a configuration, from one command."""

import json
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.running import environment

WITHIN_SECONDS = 100
HEADINGS = (
    '-> get_trade_history {"ticker": "PLTR", "limit": 5}',
    '-> get_win_rate_by_score {"min": 80, "max": 100}',
    '-> get_best_entry_conditions {"ticker": "PLTR"}',
    '-> get_strategy_performance {"strategy": "leap_call"}',
    "-> get_strategy_performance {}",
)


def demo(folder: Path, elsewhere: Path) -> subprocess.CompletedProcess[str]:
    """The command, for someone whose environment names another database."""
    return subprocess.run(
        [sys.executable, "-m", "mcp_server.demo", "--directory", str(folder)],
        env=environment(f"sqlite:///{elsewhere}"),
        cwd=elsewhere.parent,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )


@pytest.mark.timeout(2 * WITHIN_SECONDS)
def test_it_answers_from_its_own_database_and_can_be_repeated(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "a demo", tmp_path / "trades.db"

    first = demo(folder, elsewhere)

    assert first.returncode == 0, first.stderr
    assert "456 closed live trades, 84 closed paper trades, 8 open" in first.stdout
    lines = first.stdout.splitlines()
    assert [line for line in lines if line.startswith("-> ")] == list(HEADINGS)
    assert not elsewhere.exists()

    again = demo(folder, elsewhere)

    assert again.returncode == 0, again.stderr
    assert without_clock(again.stdout) == without_clock(first.stdout)


def without_clock(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if "as_of" not in line]


def test_what_it_prints_to_connect_names_this_python_and_its_database(tmp_path: Path) -> None:
    """The configuration is read as its reader would: JSON, and a shell's words."""
    from mcp_server.demo import address, configuration

    database = tmp_path / "a demo?" / "demo.db"
    printed = configuration(address(database))

    servers = json.loads(printed[printed.index("{") :])["mcpServers"]
    assert servers["trade-history-demo"]["command"] == sys.executable
    assert servers["trade-history-demo"]["args"] == ["-m", "mcp_server"]
    url = servers["trade-history-demo"]["env"]["DATABASE_URL"]
    [line] = [line for line in printed.splitlines() if line.startswith("claude ")]
    assert shlex.split(line)[-3:] == [sys.executable, "-m", "mcp_server"]
    assert f"DATABASE_URL={url}" in shlex.split(line)
    database.parent.mkdir()
    sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}", uri=True).close()


def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    refused = demo(file / "demo", tmp_path / "trades.db")

    assert refused.returncode == 1
    assert refused.stderr.startswith("demo: ")
    assert "Traceback" not in refused.stderr
