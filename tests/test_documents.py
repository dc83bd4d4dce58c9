"""What the documents say to type is what the program takes, and prints."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from store.cli import cli
from store.importers import formats
from tests.test_cli import HERE, database, trade_history

__all__ = ["database"]

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BROKERS = (ROOT / "docs" / "brokers.md").read_text()
README = (ROOT / "README.md").read_text()
# The file of the documents' command, and the tests' own file of that format.
FILES = {
    "flex.xml": "ibkr_flex.xml",
    "U123_2026.csv": "ibkr_activity.csv",
    "U123.TRANSACTIONS.1Y.csv": "ibkr_transactions.csv",
    "Individual_XXX123_Transactions.csv": "schwab.csv",
    "2026-03-21-AccountStatement.csv": "thinkorswim.csv",
    "tastytrade_transactions_history.csv": "tastytrade.csv",
    "activity.csv": "robinhood.csv",
    "Accounts_History.csv": "fidelity.csv",
    "Webull_Orders_Records.csv": "webull.csv",
    "transactions.csv": "etrade.csv",
    "history.json": "tradier.json",
    "activities.json": "alpaca.json",
    "list.csv": "tradingview.csv",
    "ReportHistory.html": "metatrader5.html",
    "binance.csv": "binance.csv",
    "option_omega.csv": "option_omega.csv",
    "option_omega_live.csv": "option_omega_live.csv",
}

pytestmark = pytest.mark.usefixtures("database")


def commands(text: str) -> Iterator[list[str]]:
    """What comes after `trade-history` in blocks and in tables; nothing of the shell's."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    blocks = "".join(content for language, content in fenced if not language)
    lines = re.findall(r"^trade-history (.+)$", blocks, re.M)
    cells = re.findall(r"\| `trade-history ([^`]+)`(?= \|)", text)
    for line in [*lines, *cells]:
        yield shlex.split(re.split(r" [<>] ", line)[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_exists_with_its_options(document: Path) -> None:
    for words in commands(document.read_text()):
        command: click.Command = cli
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        if not isinstance(command, click.Group):
            known = {name for one in command.params for name in one.opts}
            said = {word for word in words if re.match(r"--[a-z]", word)}
            assert said <= known, (document.name, command.name)
        else:
            assert not words or command.invoke_without_command, (document.name, words)


@pytest.mark.parametrize("text", [README, BROKERS], ids=["README", "brokers"])
def test_every_import_is_read_as_it_is_said(text: str, tmp_path: Path) -> None:
    said = {words[1]: words[1:] for words in commands(text) if words[0] == "import"}
    assert set(FILES) <= set(said)

    read = set()
    for file, own in FILES.items():
        (tmp_path / file).write_bytes((HERE / own).read_bytes())
        result = trade_history("import", *said[file], "--preview")
        assert result.exit_code == 0, result.output
        read.add(result.stdout.split(": ")[1].split(",")[0])
    assert read == set(formats()) - {"generic_csv", "tradier_gainloss"}


def test_an_import_prints_what_the_readme_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    own = next(words for words in commands(README) if words[1:2] and "tastytrade.csv" in words[1])
    shown = re.search(r"^```text\n(tastytrade\.csv: .*?)^```", README, re.M | re.S)

    assert shown
    assert trade_history(*own).stdout == shown[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(), re.M)
            made = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles]
            assert anchor in made, target
