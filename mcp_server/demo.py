"""Try the server without a broker: record the demo ledger, ask it what an agent would ask.

    python -m mcp_server.demo --directory DIR

Everything stays in DIR; a database set up elsewhere is not touched. At the end stands the
configuration for Claude Code and Claude Desktop.
"""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from mcp import Client, StdioServerParameters
from mcp.types import TextContent
from rich.console import Console
from rich.progress import Progress

from store.database import Store
from store.demo import DemoSummary, record_demo
from store.errors import StoreError
from store.schema import prepare
from store.settings import load_settings

NAME = "trade-history-demo"
SERVER = ["-m", "mcp_server"]
ANSWER_SECONDS = 60
QUESTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "How did my PLTR trades do?",
        "get_trade_history",
        {"ticker": "PLTR", "limit": 5},
    ),
    (
        "Does a scanner score of 80 or more help?",
        "get_win_rate_by_score",
        {"min": 80, "max": 100},
    ),
    (
        "Which entry conditions work, and is PLTR one of them?",
        "get_best_entry_conditions",
        {"ticker": "PLTR"},
    ),
    (
        "How good are my LEAP calls?",
        "get_strategy_performance",
        {"strategy": "leap_call"},
    ),
    (
        "And against my other strategies?",
        "get_strategy_performance",
        {},
    ),
)


class DemoFailed(Exception):  # noqa: N818
    """The server was reached and did not answer; the text is its own."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the demo's database is, or is to be made.",
)
def main(directory: Path) -> None:
    """Record a demo ledger, put five questions to the real server, show how to connect it."""
    folder = directory.resolve()
    use_only(address(folder / "demo.db"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)  # Another project's .env must not choose the database.
        asyncio.run(demonstrate(folder))
    except (StoreError, DemoFailed, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)


def address(database: Path) -> str:
    """DATABASE_URL of a file, whatever is in its name."""
    return f"sqlite:///{quote(database.as_posix(), safe='/:')}"


def use_only(database_url: str) -> None:
    """Let this process, and the server it starts, know no database but this one."""
    for name in list(os.environ):
        if name.startswith("TRADE_HISTORY_") or name == "DATABASE_URL_FILE":
            del os.environ[name]
    os.environ["DATABASE_URL"] = database_url


async def demonstrate(folder: Path) -> None:
    summary = await record()
    print(f"The demo ledger, in {folder / 'demo.db'}:")
    print(
        f"{summary.closed_live} closed live trades, {summary.closed_paper} closed paper trades,"
        f" {summary.open} open, {summary.superseded} corrected. All of it is invented."
    )
    await ask_everything(dict(os.environ))
    print(configuration(os.environ["DATABASE_URL"]))


async def record() -> DemoSummary:
    store = Store(load_settings())
    try:
        await prepare(store)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("recording the demo ledger", total=None)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return await record_demo(store, show)
    finally:
        await store.close()


async def ask_everything(environment: dict[str, str]) -> None:
    """Every question through a server of its own process, as a desktop host does it."""
    server = StdioServerParameters(command=sys.executable, args=SERVER, env=environment)
    refused = None
    async with Client(server) as client:
        for question, tool, arguments in QUESTIONS:
            async with asyncio.timeout(ANSWER_SECONDS):
                result = await client.call_tool(tool, arguments)
            text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
            if result.is_error:
                # Raised below: leaving the client by an exception makes a group of it.
                refused = f"{tool} failed: {text}"
                break
            print(f"\n## {question}\n{call(tool, arguments)}\n\n{text}")
    if refused:
        raise DemoFailed(refused)


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """The call as an agent sends it."""
    return f"-> {tool} {json.dumps(arguments)}"


def configuration(database_url: str) -> str:
    """What connects this very server and database to Claude Code and Claude Desktop."""
    environment = {"DATABASE_URL": database_url}
    command = [
        "claude", "mcp", "add", NAME, "--env", f"DATABASE_URL={database_url}",
        "--", sys.executable, *SERVER,
    ]  # fmt: skip
    servers = {NAME: {"command": sys.executable, "args": SERVER, "env": environment}}
    return (
        "\n## Ask it yourself\nClaude Code:\n\n"
        f"{shlex.join(command)}\n\n"
        "Claude Desktop (claude_desktop_config.json):\n\n"
        f"{json.dumps({'mcpServers': servers}, indent=2)}"
    )


if __name__ == "__main__":
    main(prog_name="python -m mcp_server.demo")
