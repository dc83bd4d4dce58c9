"""trade-history export: the program itself, into files and pipes."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.server.running import trade_history
from tests.test_cli import GENERIC

HEADER = "external_id,opened_at,closed_at,account,mode,ticker,direction,strategy"


@pytest.fixture
async def ledger(tmp_path: Path) -> str:
    """The address of a ledger with the six trades of the documented example."""
    url = f"sqlite:///{tmp_path / 'trades.db'}"
    code, _, errors = await trade_history(url, tmp_path, "import", GENERIC)
    assert code == 0, errors
    return url


async def test_what_is_exported_can_be_imported_elsewhere(ledger: str, tmp_path: Path) -> None:
    """353.05 is worked out by hand in test_generic_csv."""
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"

    code, _, errors = await trade_history(ledger, tmp_path, "export", "--out", "out.csv", "--notes")
    imported = await trade_history(elsewhere, tmp_path, "import", "out.csv", "--json")

    assert (code, errors) == (0, "")
    assert json.loads(imported[1])["stored_net_pnl"] == "353.050000"
    for asked in (["--notes", "--format", "csv"], ["--what", "fills", "--format", "jsonl"]):
        both = [await trade_history(url, tmp_path, "export", *asked) for url in (ledger, elsewhere)]
        assert both[0] == both[1]


async def test_stdout_has_the_trades_and_nothing_else(ledger: str, tmp_path: Path) -> None:
    code, output, errors = await trade_history(ledger, tmp_path, "export", "--ticker", "tsla")

    assert (code, errors) == (0, "")
    assert output.startswith(HEADER)
    assert [line.split(",")[5] for line in output.splitlines()[1:]] == ["TSLA"]


async def test_a_file_is_for_its_owners_eyes_and_replaced_whole(
    ledger: str, tmp_path: Path
) -> None:
    out = tmp_path / "trades.jsonl"
    out.write_text("older")
    out.chmod(0o644)

    done = await trade_history(
        ledger, tmp_path, "export", "--format", "jsonl", "--out", str(out), "--json"
    )
    refused = await trade_history(ledger, tmp_path, "export", "--out", str(out), "--ticker", "NO")

    assert json.loads(done[1])["written"] == len(out.read_text().splitlines()) == 6
    assert out.stat().st_mode & 0o777 == 0o600
    assert refused[0] == 3
    assert "older" not in out.read_text()
    assert [path.name for path in tmp_path.glob(".trades*")] == []


async def test_what_is_left_out_is_said_on_stderr(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'demo' / 'demo.db'}"
    await trade_history(url, tmp_path, "demo", "--directory", "demo")

    code, output, errors = await trade_history(url, tmp_path, "export")

    assert code == 0
    assert "Left out, for CSV cannot say them: trades 219 of several legs" in errors
    assert "--format jsonl has them whole." in errors
    assert (
        "  trade-history accounts add Main --mode live --currency USD --zone America/New_York"
        " --tolerance 10\n"
    ) in errors
    assert "Left out" not in output


async def test_parquet_goes_to_a_file(ledger: str, tmp_path: Path) -> None:
    code, output, errors = await trade_history(
        ledger, tmp_path, "export", "--format", "parquet", "--what", "fills", "--out", "f.parquet"
    )

    assert (code, output, errors) == (0, "f.parquet: 11 fills.\n", "")
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet").num_rows == 11


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--json"], 2, "--json goes with --out"),
        (["--snapshots"], 2, "--snapshots goes with"),
        (["--notes", "--what", "fills"], 2, "--notes goes with"),
        (["--out", "missing/out.csv"], 2, "No such file or directory"),
        (["--out", "/dev/null"], 2, "/dev/null is not a file"),
        (["--since", "yesterday"], 2, "since is 'yesterday'"),
        (["--account", "Mian"], 3, "No account Mian. Known, nearest first: Margin"),
    ],
)
async def test_refusals(
    ledger: str, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    found, output, errors = await trade_history(ledger, tmp_path, "export", *arguments)

    assert (found, output) == (code, "")
    assert words in errors


async def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    code, _, errors = await trade_history(f"sqlite:///{tmp_path / 'no.db'}", tmp_path, "export")

    assert code == 3
    assert "There is no ledger" in errors
    assert not (tmp_path / "no.db").exists()


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    from store.private_file import replacing

    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("older")
    link.symlink_to(target)

    with replacing(link) as file:
        file.write(b"newer")

    assert link.is_symlink()
    assert target.read_text() == "newer"
