"""The operator's commands: report, fold, verify, rebuild."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.running import ROOT
from tests.test_cli import database, trade_history

__all__ = ["database"]
CSV = """external_id,ticker,opened_at,quantity,entry_price,closed_at,exit_price,fees,strategy
1,AAPL,2026-01-05T10:00:00Z,10,5,2026-01-06T10:00:00Z,6,0.50,leap
2,AAPL,2026-01-05T10:00:00Z,10,5,2026-02-06T10:00:00Z,4,0.50,leap
3,MSFT,2026-01-05T10:00:00Z,10,5,2026-02-06T10:00:00Z,5,0,
"""


@pytest.fixture
def ledger(database: Path, tmp_path: Path) -> Path:
    file = tmp_path / "trades.csv"
    file.write_text(CSV)
    trade_history("import", str(file), "--mode", "live")
    return database


@pytest.mark.usefixtures("ledger")
def test_the_report_says_every_rate_with_its_counts_and_interval() -> None:
    """By hand: 10 - 0.50 = 9.50, -10 - 0.50 = -10.50 and 0; Wilson of 1 in 2 is 9.5 to 90.5."""
    assert trade_history("operator", "report", "--by", "strategy").stdout == (
        "live, USD: n=3, 1 won, 1 lost, 1 break-even, win rate 50.0% (9.5% to 90.5%),"
        " net -1.00 (gross 0.00, fees 1.00)\n"
        "  leap: n=2, 1 won, 1 lost, 0 break-even, win rate 50.0% (9.5% to 90.5%),"
        " net -1.00 (gross 0.00, fees 1.00)\n"
        "  none: n=1, 0 won, 0 lost, 1 break-even, no decided trade,"
        " net 0.00 (gross 0.00, fees 0.00)\n"
        "Intervals: 95 %, Wilson; trades are taken as independent.\n"
    )
    assert "  and 1 more group (--limit)\n" in (
        trade_history("operator", "report", "--by", "ticker", "--limit", "1").stdout
    )
    assert trade_history("operator", "report", "--mode", "paper").stdout == "No closed trades.\n"


@pytest.mark.usefixtures("ledger")
def test_it_says_the_same_in_json_once_all_is_folded() -> None:
    report = ("operator", "report", "--by", "month", "--currency", "usd", "--json")
    before = json.loads(trade_history(*report).stdout)

    assert trade_history("operator", "fold").stdout == "3 changes folded.\n"
    assert json.loads(trade_history("operator", "fold", "--json").stdout) == {"folded": 0}

    assert json.loads(trade_history(*report).stdout) == before
    assert [one["net_pnl"] for one in before["books"][0]["groups"]] == ["9.50", "-10.50"]


def test_a_wrong_sum_is_named_and_made_anew(ledger: Path) -> None:
    trade_history("operator", "fold")
    assert trade_history("operator", "verify").exit_code == 0
    connection = sqlite3.connect(ledger)
    with connection:
        connection.execute("UPDATE fold SET n = 9, wins = 7 WHERE dimension = 'whole'")
    connection.close()

    for command in (("operator", "verify"), ("verify", "--all")):
        found = trade_history(*command)
        assert found.exit_code == 6
        assert "WRONG: n of all trades (live, USD) is 9, its trades come to 3\n" in found.stdout
    assert trade_history("verify").exit_code == 0  # The user's own record is as it was.
    assert trade_history("operator", "rebuild").stdout == (
        "The fold is made anew; 1 sum of it had been wrong.\n"
    )
    assert trade_history("verify", "--all").exit_code == 0


@pytest.mark.usefixtures("ledger")
def test_folding_goes_on_until_it_is_stopped() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "store", "operator", "fold", "--every", "1"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as folding:  # fmt: skip
        assert folding.stdout is not None
        said = [folding.stdout.readline(), folding.stdout.readline()]
        folding.terminate()

    assert said == ["3 changes folded.\n", "0 changes folded.\n"]
