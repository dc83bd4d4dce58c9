"""An invented year to look at, in a ledger of its own."""

import asyncio
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import click
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from store import schema
from store.cli.hosts import local_setups, started
from store.cli.terminal import as_json_option, say, say_json
from store.database import Store
from store.demo import DemoSummary, record_demo
from store.errors import Invalid
from store.settings import Settings, load_settings

NAME = "trade-history-demo"


@click.command(epilog="Example: trade-history demo --directory demo")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its ledger is made; the folder demo in the data folder unless said.",
)
@as_json_option
def demo(directory: Path | None, as_json: bool) -> None:
    """Record an invented year of trades in a ledger of its own, and say how to ask it.

    Your own ledger is not touched. Again, it finds what is there and records nothing twice.
    """
    settings = settings_in((directory or load_settings().data_folder() / "demo").absolute())
    summary = asyncio.run(recorded(settings))
    server = started(settings)
    setup, *_others = local_setups(NAME, server)
    if as_json:
        say_json({"database": settings.database().name, **asdict(summary), "connect": setup.text})
        return
    say(
        f"The demo ledger, in {settings.database().path}: {summary.closed_live} closed live"
        f" trades, {summary.closed_paper} closed paper trades, {summary.open} open,"
        f" {summary.superseded} corrected. All of it is invented."
    )
    say(f"\nLet Claude Code ask it (trade-history config shows the others):\n\n{setup.text}")
    look = f"DATABASE_URL={shlex.quote(server.env['DATABASE_URL'])} trade-history accounts"
    say(f"\nLook at it here:\n\n{look}")


def settings_in(folder: Path) -> Settings:
    """What leads to the demo in `folder`, whatever database is set up."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Invalid(f"{folder} cannot be made: {error.strerror}.") from None
    url = f"sqlite:///{quote((folder / 'demo.db').as_posix(), safe='/:')}"
    return Settings(
        _env_file=None,
        DATABASE_URL=SecretStr(url),
        DATABASE_URL_FILE=None,
        TRADE_HISTORY_DATA_DIR=folder,
        TRADE_HISTORY_USER_ID=1,
    )


async def recorded(settings: Settings) -> DemoSummary:
    store = Store(settings)
    try:
        await schema.prepare(store)
        shown = sys.stderr.isatty()
        with Progress(console=Console(stderr=True), transient=True, disable=not shown) as progress:
            task = progress.add_task("Recording", total=None)
            return await record_demo(
                store, lambda done, total: progress.update(task, completed=done, total=total)
            )
    finally:
        await store.close()
