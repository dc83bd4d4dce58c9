"""The command line: imports, schema, accounts; refusals in a sentence and an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from store.cli import cli

HERE = Path(__file__).parent / "importers"
GENERIC, OMEGA = str(HERE / "generic.csv"), str(HERE / "option_omega.csv")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "trades.db"
    monkeypatch.chdir(tmp_path)  # No .env of the developer's.
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


def trade_history(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.usefixtures("database")
def test_a_file_is_imported_into_a_store_that_makes_itself() -> None:
    result = trade_history("import", OMEGA)

    assert result.exit_code == 0
    assert "Recorded 10 trades, 0 were already there." in result.stdout
    assert "1,158.00" in result.stdout
    assert "SPX is assumed" in result.stdout


@pytest.mark.usefixtures("database")
def test_importing_again_says_that_all_was_there() -> None:
    trade_history("import", GENERIC)

    answer = json.loads(trade_history("import", GENERIC, "--json").stdout)

    assert (answer["recorded"], answer["already_there"]) == (0, 6)
    assert answer["stored_net_pnl"] == "353.050000"


def test_a_preview_touches_no_database(database: Path) -> None:
    result = trade_history("import", GENERIC, "--preview")

    assert result.exit_code == 0
    assert "generic_csv, 6 trades (5 closed), 0 rows refused" in result.stdout
    assert not database.exists()


@pytest.mark.usefixtures("database")
def test_refused_rows_are_listed_and_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        "ticker,opened_at,quantity,entry_price\nAAPL,2026-01-05T15:00:00Z,1,1\n"
        "MSFT,2026-01-05T15:00:00Z,\x1b[31m,1\n"
    )

    result = trade_history("import", str(path), "--mode", "live", "--json")

    assert result.exit_code == 2
    assert "bad.csv, row 3, quantity '\\x1b[31m'" in result.stderr
    assert json.loads(result.stdout)["rejected"][0]["row"] == 3
    taken = trade_history("import", str(path), "--mode", "live", "--take-good")
    assert "Recorded 1 trade, 0 were already there." in taken.stdout


@pytest.mark.usefixtures("database")
def test_markup_in_names_is_printed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(
        "ticker,opened_at,quantity,entry_price,account\n"
        "AAPL,2026-01-05T15:00:00Z,1,1,[red]=1+1[/red]\n",
        encoding="utf-8",
    )

    trade_history("import", str(path), "--mode", "live")

    assert trade_history("accounts").stdout == ("[red]=1+1[/red]: live, USD, America/New_York\n")


@pytest.mark.usefixtures("database")
def test_an_account_of_the_other_mode_is_a_conflict() -> None:
    trade_history("import", OMEGA)

    result = trade_history("import", OMEGA, "--mode", "live")

    assert result.exit_code == 4
    assert result.stderr.startswith("trade-history: The account 'Option Omega' is paper")
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("database")
def test_accounts_are_listed() -> None:
    assert trade_history("accounts").stdout == "No accounts yet.\n"
    trade_history("import", GENERIC)

    answer = json.loads(trade_history("accounts", "--json").stdout)

    assert [(one["name"], one["mode"]) for one in answer] == [
        ("Margin", "live"),
        ("Futures sim", "paper"),
    ]


@pytest.mark.usefixtures("database")
def test_the_schema_is_migrated_shown_and_taken_back() -> None:
    assert json.loads(trade_history("status", "--json").stdout)["up_to_date"] is False
    assert "up to date" in trade_history("migrate").stdout
    assert json.loads(trade_history("status", "--json").stdout)["up_to_date"] is True
    assert "not there yet" in trade_history("rollback", "base", "--yes").stdout


@pytest.mark.usefixtures("database")
def test_taking_everything_back_is_asked_first() -> None:
    trade_history("migrate")

    for revision in ("base", "0001"):
        assert trade_history("rollback", revision).exit_code == 1
    assert "up to date" in trade_history("status").stdout


@pytest.mark.usefixtures("database")
def test_an_unknown_revision_is_refused() -> None:
    result = trade_history("rollback", "nowhere", "--yes")

    assert result.exit_code == 2
    assert "No revision 'nowhere'" in result.stderr


def test_an_unreachable_store_says_so_without_its_password(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/ledger")

    result = trade_history("accounts")

    assert result.exit_code == 5
    assert "unreachable" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.usefixtures("database")
def test_a_missing_file_is_a_usage_error() -> None:
    result = trade_history("import", "nowhere.csv")

    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr


@pytest.mark.usefixtures("database")
def test_the_module_is_the_same_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "store", "import", GENERIC, "--preview"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(HERE.parents[1]), "PATH": ""},
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "353.05" in ran.stdout


@pytest.mark.parametrize("command", ["verify", "audit"])
def test_a_ledger_that_is_not_there_is_not_found_and_not_made(command: str, database: Path) -> None:
    result = trade_history(command)

    assert result.exit_code == 3
    assert "There is no ledger at sqlite:///" in result.stderr
    assert not database.exists()


def test_to_ask_where_the_schema_stands_makes_nothing(database: Path) -> None:
    assert "not there yet" in trade_history("status").stdout
    assert not database.exists()


def test_a_new_file_is_for_its_owners_eyes_only(database: Path) -> None:
    trade_history("migrate")

    assert database.stat().st_mode & 0o777 == 0o600
