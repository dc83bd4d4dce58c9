"""Settings, accounts, completion, and what every command has in common."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from store.cli import cli
from tests.server.running import ROOT, environment
from tests.test_cli import GENERIC, database, trade_history

__all__ = ["database"]
SECRET = "canary-4qZ"
# They print what has a form of its own.
WITHOUT_JSON = {"audit", "completion"}
BASH = shutil.which("bash")

pytestmark = pytest.mark.usefixtures("database")


def typed(text: str, *arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments, input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_setting_is_kept_shown_and_forgotten() -> None:
    assert trade_history("settings", "list").stdout == "No settings yet.\n"
    assert trade_history("settings", "set", "theme", "dark").stdout == "theme: kept.\n"
    trade_history("settings", "set", "theme", "light")

    assert trade_history("settings", "get", "theme").stdout == "light\n"
    assert trade_history("settings", "list").stdout == "theme: light\n"
    assert trade_history("settings", "unset", "theme").stdout == "theme: forgotten.\n"
    assert trade_history("settings", "get", "theme").exit_code == 3
    assert trade_history("settings", "unset", "theme").exit_code == 3
    assert trade_history("verify").exit_code == 0


def test_a_secret_setting_is_written_and_never_read(tmp_path: Path) -> None:
    environ = {"TRADE_HISTORY_DATA_DIR": str(tmp_path / "data")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*next(iter(environ.items())))
        assert typed(f"{SECRET}\n", "settings", "set", "api key", "--secret").exit_code == 0
        listed = json.loads(trade_history("settings", "list", "--json").stdout)
        refused = trade_history("settings", "get", "api key")
        audit = trade_history("audit").stdout
        assert SECRET not in refused.output + audit + trade_history("settings", "list").output
        assert trade_history("settings", "unset", "api key").exit_code == 0

    assert listed == [{"name": "api key", "value": None, "secret": True}]
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "is secret and not shown" in refused.stderr


@pytest.mark.parametrize("arguments", [["theme"], ["theme", SECRET, "--secret"]])
def test_a_secret_is_not_taken_from_the_command_line(arguments: list[str]) -> None:
    refused = trade_history("settings", "set", *arguments)

    assert refused.exit_code == 2
    assert SECRET not in refused.output


def test_settings_belong_to_their_user() -> None:
    trade_history("users", "add", "Ann")
    trade_history("settings", "set", "theme", "dark", "--user", "2")

    assert trade_history("settings", "list").stdout == "No settings yet.\n"
    assert trade_history("settings", "list", "--user", "2").stdout == "theme: dark\n"


def test_an_account_is_added_once_and_says_what_it_is() -> None:
    said = ["Xetra", "--mode", "live", "--broker", "Flatex", "--currency", "EUR", "--zone",
            "Europe/Berlin", "--tolerance", "2.50"]  # fmt: skip

    added = trade_history("accounts", "add", *said, "--json")
    again = trade_history("accounts", "add", *said)
    other = trade_history("accounts", "add", "xetra", "--mode", "live")

    assert json.loads(added.stdout) == {
        "name": "Xetra", "mode": "live", "broker": "Flatex", "currency": "EUR",
        "zone": "Europe/Berlin", "tolerance": "2.500000",
    }  # fmt: skip
    assert again.stdout == "Xetra: live, EUR, Europe/Berlin\n"
    assert other.exit_code == 4
    assert len(json.loads(trade_history("accounts", "--json").stdout)) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Main"], "--mode"),
        (["Main", "--mode", "live", "--tolerance", "much"], "'much'; a number such as"),
        (["Main", "--mode", "live", "--tolerance", "-1"], "tolerance is refused"),
        (["Main", "--mode", "live", "--currency", "usd"], "currency is refused"),
        (["Main", "--mode", "live", "--zone", "Mars"], "an IANA time zone is needed"),
    ],
)
def test_an_account_that_cannot_be_is_refused(arguments: list[str], words: str) -> None:
    refused = trade_history("accounts", "add", *arguments)

    assert refused.exit_code == 2
    assert words in refused.stderr
    assert trade_history("accounts").stdout == "No accounts yet.\n"


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_in_json(name: str) -> None:
    command = COMMANDS[name]
    only_a_group = isinstance(command, click.Group) and not command.invoke_without_command
    options = {option for one in command.params for option in one.opts}

    assert "--json" in options or only_a_group or name in WITHOUT_JSON


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words are read as the program reads them, but for what a shell does."""
    (tmp_path / "trades.csv").write_text("")
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)  # Only the words are asked of.

    help_text = trade_history(*name.split(), "--help").stdout
    example = " ".join(help_text.partition("Example: trade-history ")[2].split())

    assert f"{example} ".startswith(f"{name} ")
    words = shlex.split(example)
    ends = [at for at, word in enumerate(words) if word in (">", ">>", "<")]
    assert trade_history(*words[: min(ends, default=len(words))]).exit_code == 0


def test_a_list_is_a_table_on_a_terminal_and_lines_in_a_pipe(database: Path) -> None:
    trade_history("import", GENERIC)
    trade_history("accounts", "add", "[red]evil[/red]", "--mode", "paper")

    seen = on_a_terminal("accounts", f"sqlite:///{database}")

    [first, *_] = [line.split() for line in seen.splitlines() if line.strip()]
    assert first == ["name", "mode", "broker", "currency", "zone", "tolerance"]
    assert "[red]evil[/red]" in seen
    assert trade_history("accounts").stdout.startswith("Margin: live, USD, America/New_York\n")


def on_a_terminal(command: str, url: str) -> str:
    """What somebody sees who runs the program."""
    master, slave = pty.openpty()
    program = [sys.executable, "-m", "store", command]
    with subprocess.Popen(
        program, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT,
        env=environment(url, TERM="dumb", COLUMNS="120"),
    ) as process:  # fmt: skip
        os.close(slave)
        seen = b""
        while part := end_is_empty(master):
            seen += part
    os.close(master)
    assert process.returncode == 0
    return seen.decode().replace("\r\n", "\n")


def end_is_empty(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # As Linux says that the other end is closed.
        return b""


@pytest.mark.skipif(BASH is None, reason="bash completes nothing where there is none")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("trade-history exp", ["export"]),
        ("trade-history export --format j", ["jsonl"]),
        ("trade-history settings ", ["get", "list", "set", "unset"]),
        ("trade-history export --account f", ["Futures\\ sim"]),
        ("trade-history completion z", ["zsh"]),
    ],
)
def test_bash_completes(line: str, found: list[str], database: Path, tmp_path: Path) -> None:
    """A real bash reads the script that is printed, and asks the program as it would."""
    trade_history("import", GENERIC)
    script = trade_history("completion", "bash").stdout
    program = tmp_path / "bin" / "trade-history"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m store "$@"\n')
    program.chmod(0o755)
    words = line.split(" ")
    asked = (
        f"{script}\nCOMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}\n"
        '_trade_history_completion trade-history\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )

    ran = subprocess.run(
        [str(BASH), "--norc", "-c", asked],
        env=environment(
            f"sqlite:///{database}", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        ),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (sorted(ran.stdout.split("\n")[:-1]), ran.returncode) == (found, 0), ran.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(shell: str) -> None:
    printed = trade_history("completion", shell).stdout

    assert f"_TRADE_HISTORY_COMPLETE={shell}_complete" in printed
