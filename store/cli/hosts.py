"""What the programs that hold agents (hosts) want to be told to start or reach the server.

Nothing here is a secret: where one belongs stands a placeholder, and `advice` says what to
put there.
"""

import json
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from store.database_url import PLACEHOLDER, home_expanded, without_password
from store.settings import Settings

SERVER = "trade-history-mcp"
TOKEN = "YOUR-TOKEN"  # noqa: S105 - what stands where the reader's own belongs
ROOT = Path(__file__).resolve().parents[2]
WITHHELD_ADVICE = (
    "DATABASE_URL has a password, which is not printed: put it in the place of [YOUR-PASSWORD],"
    " or write the whole address into a file only you can read and name that in"
    " DATABASE_URL_FILE instead."
)
KEYS_ADVICE = (
    "TRADE_HISTORY_KEYS is secret and not printed; write the keys into a file only you can read"
    " and name it in TRADE_HISTORY_KEYS_FILE."
)
TOKEN_ADVICE = (
    f"Put a token in the place of {TOKEN}; `trade-history tokens create NAME` makes one on the"
    " server."
)


NODE_ADVICE = "Claude Desktop sends a token by way of mcp-remote, which needs Node.js."
CLAUDE_CODE = "Claude Code: a command for a shell"
CLAUDE_DESKTOP = "Claude Desktop: Settings, Developer, Edit Config (claude_desktop_config.json)"
CURSOR = "Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json of a project"
VS_CODE = "VS Code: .vscode/mcp.json, or the command MCP: Open User Configuration"
ANY_HOST = "Claude Code and others: .mcp.json of a project"
CHATGPT = "ChatGPT: Settings, Connectors, Developer mode, the address of a new connector"
CHATGPT_OAUTH = (
    "ChatGPT knows no fixed tokens: the server needs OAuth (TRADE_HISTORY_OAUTH_ISSUER,"
    " _JWKS_URL and _AUDIENCE)."
)
CHATGPT_NEEDS = (
    "ChatGPT starts no programs and reaches HTTPS only: run `trade-history-mcp --transport\n"
    "streamable-http` behind a proxy with TLS, with TRADE_HISTORY_PUBLIC_URL and OAuth set\n"
    "(it knows no fixed tokens), and give it that address, ending in /mcp."
)
PATHS = ("database_url_file", "keys_file", "data_dir")
NUMBERS = ("user_id", "pool_size", "statement_timeout_seconds", "pg_prepared")


@dataclass(frozen=True)
class Setup:
    """What one host is told: `text` goes to `place` as it is, `advice` is for the reader."""

    host: str
    place: str
    text: str
    advice: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Started:
    """The server as a program that the host starts."""

    command: list[str]
    env: dict[str, str]
    advice: list[str]


def started(settings: Settings) -> Started:
    """The server of this installation, on the ledger of these settings.

    Hosts start it in a folder and an environment of their own, so every path is absolute and
    everything that is set here is said, also what came from `.env`.
    """
    env, advice = environment(settings)
    found = shutil.which(SERVER, path=os.pathsep.join(script_folders()))
    if found:
        return Started([os.path.abspath(found)], env, advice)
    # Not installed: run from a checkout.
    return Started([sys.executable, "-m", "mcp_server"], {**env, "PYTHONPATH": str(ROOT)}, advice)


def script_folders() -> list[str]:
    user = sysconfig.get_preferred_scheme("user")
    return [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", user)]


def environment(settings: Settings) -> tuple[dict[str, str], list[str]]:
    """The variables that lead a process to this ledger, and what is to be done about those
    that are secret."""
    given = settings.database_url
    env = {"DATABASE_URL": said_address(settings, given)} if given else {}
    advice = [WITHHELD_ADVICE] if PLACEHOLDER in env.get("DATABASE_URL", "") else []
    paths = {
        name: getattr(settings, name) for name in ("database_url_file", "keys_file", "data_dir")
    }
    if not given and not settings.database_url_file:
        paths["data_dir"] = settings.data_folder()  # Whatever home folder a host gives.
    env |= {variable(name): absolute(variable(name), path) for name, path in paths.items() if path}
    if settings.keys:
        advice.append(KEYS_ADVICE)
    said = [name for name in NUMBERS if name in settings.model_fields_set]
    return env | {variable(name): str(getattr(settings, name)) for name in said}, advice


def said_address(settings: Settings, given: SecretStr) -> str:
    """The address with an absolute path, or without its password.

    Raises:
        Invalid: it cannot be used.
    """
    database = settings.database()
    if database.path is not None:
        return f"sqlite:///{quote(os.path.abspath(database.path), safe='/:')}"
    return without_password(given.get_secret_value())


def variable(name: str) -> str:
    return str(Settings.model_fields[name].validation_alias)


def absolute(name: str, path: Path) -> str:
    return os.path.abspath(home_expanded(name, path))


def local_setups(name: str, server: Started) -> list[Setup]:
    """For hosts that start the server themselves, called `name` there."""
    command, *arguments = server.command
    entry = {"command": command, "args": arguments, "env": server.env}
    given = [part for pair in server.env.items() for part in ("--env", "=".join(pair))]
    added = shlex.join(["claude", "mcp", "add", name, *given, "--", *server.command])
    return [
        Setup(host, place, text, server.advice)
        for host, place, text in (
            ("claude-code", CLAUDE_CODE, added),
            ("claude-desktop", CLAUDE_DESKTOP, servers(name, entry)),
            ("cursor", CURSOR, servers(name, entry)),
            ("vscode", VS_CODE, pretty({"servers": {name: {"type": "stdio", **entry}}})),
            ("json", ANY_HOST, servers(name, entry)),
        )
    ] + [Setup("chatgpt", CHATGPT, CHATGPT_NEEDS)]


def remote_setups(name: str, url: str) -> list[Setup]:
    """For hosts that reach a server at `url`, whose token the reader puts in."""
    header = f"Bearer {TOKEN}"
    added = ["claude", "mcp", "add", "--transport", "http", name, url,
             "--header", f"Authorization: {header}"]  # fmt: skip
    entry = {"url": url, "headers": {"Authorization": header}}
    # A blank inside of an argument is lost on Windows, so it is in a variable.
    passed_on = {
        "command": "npx",
        "args": ["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"],
        "env": {"AUTHORIZATION": header},
    }
    asked = {"type": "promptString", "id": "token", "password": True,
             "description": "Token of the trade history"}  # fmt: skip
    prompted = {"type": "http", "url": url, "headers": {"Authorization": "Bearer ${input:token}"}}
    vs_code = pretty({"inputs": [asked], "servers": {name: prompted}})
    insert = [TOKEN_ADVICE]
    reached = url.startswith("https://")
    return [
        Setup("claude-code", CLAUDE_CODE, shlex.join(added), insert),
        Setup("claude-desktop", CLAUDE_DESKTOP, servers(name, passed_on), [NODE_ADVICE, *insert]),
        Setup("cursor", CURSOR, servers(name, entry), insert),
        Setup("vscode", VS_CODE, vs_code, ["VS Code asks for the token once and keeps it."]),
        Setup("json", ANY_HOST, servers(name, {"type": "http", **entry}), insert),
        Setup(
            "chatgpt",
            CHATGPT,
            url if reached else CHATGPT_NEEDS,
            [CHATGPT_OAUTH] if reached else [],
        ),
    ]


def servers(name: str, entry: Mapping[str, Any]) -> str:
    return pretty({"mcpServers": {name: entry}})


def pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2)
