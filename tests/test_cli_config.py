"""trade-history config and demo: what is printed is what a host runs."""

import json
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from store.database import Store
from store.database_url import without_password
from tests.ledger import record
from tests.server.running import listening, trade_history
from tests.server.signing_in import signed_in, token

PASSWORD = "hunter2/with@raw"
POSTGRESQL = f"postgresql://me:{PASSWORD}@db.example.com:6543/ledger?sslmode=require"
LOCAL = {"claude-desktop": "mcpServers", "cursor": "mcpServers", "json": "mcpServers",
         "vscode": "servers"}  # fmt: skip


async def printed(url: str, folder: Path, *arguments: str, **variables: str) -> str:
    code, output, errors = await trade_history(url, folder, "config", *arguments, **variables)
    assert code == 0, errors
    return output


async def trades_through(command: str, args: list[str], env: dict[str, str], folder: Path) -> int:
    """How many closed trades a client of the server so started is told of."""
    server = StdioServerParameters(command=command, args=args, env=env, cwd=folder)
    async with Client(server) as client:
        result = await client.call_tool("get_trade_history", {})
    assert result.structured_content is not None
    return int(result.structured_content["totals"]["n"])


@pytest.mark.parametrize(("host", "key"), LOCAL.items())
async def test_what_is_printed_for_a_host_starts_the_server_on_this_ledger(
    host: str, key: str, tmp_path: Path
) -> None:
    """From another folder, and with nothing of this environment but what is printed."""
    url = f"sqlite:///{tmp_path / 'a ledger?'.replace('?', '%3F')}.db"
    await imported(url, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    [(name, entry)] = json.loads(await printed(url, tmp_path, host))[key].items()

    assert name == "trade-history"
    assert entry.get("type", "stdio") == "stdio"
    assert await trades_through(entry["command"], entry["args"], entry["env"], elsewhere) == 1


async def test_what_is_printed_for_claude_code_is_a_command_of_a_shell(tmp_path: Path) -> None:
    url = "sqlite:///trades.db"  # Below the folder in which the command is run.
    await imported(url, tmp_path)

    line = await printed(url, tmp_path, "claude-code", "--name", "mine")

    claude, command = map(list, split(shlex.split(line), "--"))
    assert claude[:4] == ["claude", "mcp", "add", "mine"]
    pairs = dict(one.split("=", 1) for one in claude[4:] if one != "--env")
    assert await trades_through(command[0], command[1:], pairs, tmp_path.parent) == 1


async def test_a_ledger_of_the_data_folder_is_named_by_it(tmp_path: Path) -> None:
    env = json.loads(await printed("", tmp_path, "json", TRADE_HISTORY_DATA_DIR="kept"))

    assert env["mcpServers"]["trade-history"]["env"]["TRADE_HISTORY_DATA_DIR"] == str(
        tmp_path / "kept"
    )


async def test_no_password_and_no_key_is_ever_printed(tmp_path: Path) -> None:
    key = "c2VjcmV0" * 5 + "c2U="
    for arguments in ([], ["cursor"], ["--json"], ["--http", "https://t.example.com/mcp"]):
        code, output, errors = await trade_history(
            POSTGRESQL, tmp_path, "config", *arguments, TRADE_HISTORY_KEYS=key
        )
        assert code == 0, errors
        assert "hunter2" not in output + errors
        assert key not in output + errors
    _, output, errors = await trade_history(
        POSTGRESQL, tmp_path, "config", "json", TRADE_HISTORY_KEYS=key
    )
    [entry] = json.loads(output)["mcpServers"].values()
    assert entry["env"]["DATABASE_URL"] == (
        "postgresql://me:[YOUR-PASSWORD]@db.example.com:6543/ledger?sslmode=require"
    )
    assert "DATABASE_URL_FILE" in errors
    assert "TRADE_HISTORY_KEYS_FILE" in errors


async def test_an_address_in_a_file_stays_there(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """On both databases: the server that is started reads the file itself."""
    await record(store, "2026-01-05 AAPL +1")
    file = tmp_path / "address"
    file.write_text(database_url)
    file.chmod(stat.S_IRUSR)

    output = await printed("", tmp_path, "json", DATABASE_URL_FILE="address")

    [entry] = json.loads(output)["mcpServers"].values()
    assert entry["env"]["DATABASE_URL_FILE"] == str(file)
    assert "DATABASE_URL" not in entry["env"]
    assert await trades_through(entry["command"], entry["args"], entry["env"], Path("/")) == 1


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgres://host/db", "postgres://host/db"),
        ("postgres://me@host/db", "postgres://me@host/db"),
        ("psql 'postgresql://me:a%40b@host/db'", "postgresql://me:[YOUR-PASSWORD]@host/db"),
        ("postgresql://me:a@b@c@host:1/db", "postgresql://me:[YOUR-PASSWORD]@host:1/db"),
    ],
)
def test_an_address_without_its_password_is_otherwise_the_same(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("host", ["cursor", "json", "claude-code", "vscode"])
async def test_over_http_the_printed_header_opens_the_door(
    host: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, "2026-01-05 AAPL +1")
    text = await token(store)
    asked = {"TRADE_HISTORY_AUTH": "on"}
    async with listening("streamable-http", database_url, tmp_path, **asked) as server:
        output = await printed("sqlite://", tmp_path, host, "--http", server.url)

        url, header = reached(host, output)
        assert url == server.url
        kind, given = header.replace("${input:token}", "YOUR-TOKEN").split(" ")
        assert (kind, given) == ("Bearer", "YOUR-TOKEN")
        async with signed_in(server, text) as client:
            result = await client.call_tool("get_trade_history", {})
    assert result.structured_content is not None
    assert result.structured_content["totals"]["n"] == 1


def reached(host: str, output: str) -> tuple[str, str]:
    """The address and the header that a host of this kind reads in what is printed."""
    if host == "claude-code":
        words = shlex.split(output)
        assert words[:5] == ["claude", "mcp", "add", "--transport", "http"]
        return words[6], words[-1].removeprefix("Authorization: ")
    [entry] = json.loads(output)["servers" if host == "vscode" else "mcpServers"].values()
    return entry["url"], entry["headers"]["Authorization"]


async def test_claude_desktop_reaches_a_server_through_mcp_remote(tmp_path: Path) -> None:
    output = await printed("", tmp_path, "claude-desktop", "--http", "https://t.example.com/mcp")

    [entry] = json.loads(output)["mcpServers"].values()
    assert entry["args"][1:3] == ["mcp-remote", "https://t.example.com/mcp"]
    # A variable and not an argument: a blank inside of an argument is lost on Windows.
    assert entry["args"][-1] == "Authorization:${AUTHORIZATION}"
    assert entry["env"] == {"AUTHORIZATION": "Bearer YOUR-TOKEN"}


async def test_chatgpt_is_told_what_is_needed(tmp_path: Path) -> None:
    said = await printed("", tmp_path, "chatgpt")
    assert "HTTPS" in said
    assert "TRADE_HISTORY_PUBLIC_URL" in said
    address = "https://trades.example.com/mcp"
    assert await printed("", tmp_path, "chatgpt", "--http", address) == f"{address}\n"


@pytest.mark.parametrize("url", ["trades.example.com", "ftp://x/mcp", "https://a:b@x/mcp"])
async def test_what_is_no_address_of_a_server_is_refused(url: str, tmp_path: Path) -> None:
    code, output, _ = await trade_history("", tmp_path, "config", "--http", url)

    assert (code, output) == (2, "")


async def test_the_demo_is_a_ledger_of_its_own_and_says_how_to_ask_it(tmp_path: Path) -> None:
    mine = f"sqlite:///{tmp_path / 'mine.db'}"

    code, output, errors = await trade_history(mine, tmp_path, "demo", "--directory", "a demo")
    again = await trade_history(mine, tmp_path, "demo", "--directory", "a demo", "--json")

    assert (code, errors) == (0, "")
    assert "456 closed live trades, 84 closed paper trades, 8 open, 1 corrected" in output
    assert json.loads(again[1])["recorded"] == 0
    assert not (tmp_path / "mine.db").exists()
    claude, command = split(shlex.split(json.loads(again[1])["connect"]), "--")
    pairs = dict(one.split("=", 1) for one in claude[4:] if one != "--env")
    assert await trades_through(command[0], command[1:], pairs, tmp_path) == 456


def split(words: list[str], at: str) -> tuple[list[str], list[str]]:
    return words[: words.index(at)], words[words.index(at) + 1 :]


async def imported(url: str, folder: Path) -> None:
    (folder / "one.csv").write_text(
        "ticker,opened_at,closed_at,quantity,entry_price,exit_price\n"
        "AAPL,2026-01-05T15:00:00Z,2026-01-06T15:00:00Z,1,10,12\n"
    )
    found: Any = await trade_history(url, folder, "import", "one.csv", "--mode", "live")
    assert found[0] == 0, found[2]
