"""The ledger from a terminal: migrate it, import files, see what it holds.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 2 refused, 3 not found,
4 contradicts what is recorded, 5 the database is not ready.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.exc import InterfaceError, OperationalError

from store import schema
from store.accounts import list_accounts
from store.database import Store
from store.errors import Conflict, Invalid, NotFound, StoreError, Unavailable
from store.importers import ImportFile, Rejection, formats, read
from store.importing import ImportResult, RowsRefused, import_file
from store.records import Mode
from store.settings import load_settings

Answer = TypeVar("Answer")

EXIT_CODES: dict[type[StoreError], int] = {Invalid: 2, NotFound: 3, Conflict: 4, Unavailable: 5}
LONG_FILE = 200  # Rows from which waiting is worth a progress bar.


class Commands(click.Group):
    """Commands whose refusals are a sentence and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoreError as error:
            code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 2)
            refuse(ctx, str(error), code)
        except (OperationalError, InterfaceError):
            refuse(ctx, "The store stopped answering; nothing of this command is recorded.", 5)


def refuse(ctx: click.Context, message: str, code: int) -> None:
    click.echo(f"trade-history: {shown(message)}", err=True)
    ctx.exit(code)


def shown(text: str) -> str:
    """Text that can do nothing to a terminal; line breaks are ours."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def say(text: str) -> None:
    click.echo(shown(text))


def say_json(answer: Any) -> None:
    click.echo(json.dumps(answer, ensure_ascii=True, indent=2, default=str))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trade-history-mcp")
def cli() -> None:
    """Your trade history: exact records, kept in the database that DATABASE_URL names."""


as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def run(work: Callable[[Store], Coroutine[Any, Any, Answer]]) -> Answer:
    """Do `work` on the configured store, its schema made ready first."""

    async def on_store() -> Answer:
        store = Store(load_settings())
        try:
            await schema.prepare(store)
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(on_store())


@cli.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", help="Where trades go that name no account.")
@click.option("--mode", type=click.Choice(["paper", "live"]), help="What they are.")
@click.option("--zone", help="Whose clock showed moments without offset: America/New_York.")
@click.option("--currency", help="What a new account is kept in; USD unless said.")
@click.option("--ticker", help="The underlying, where the file names none.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(formats())),
    help="The file's format; recognised unless said.",
)
@click.option("--preview", is_flag=True, help="Only say what would be imported.")
@click.option("--take-good", is_flag=True, help="Record good rows though others are refused.")
@as_json_option
def import_(
    file: Path,
    account: str | None,
    mode: Mode | None,
    zone: str | None,
    currency: str | None,
    ticker: str | None,
    format_: str | None,
    preview: bool,
    take_good: bool,
    as_json: bool,
) -> None:
    """Import the trades of FILE, all of them or none; again, only what is new."""
    found = read(
        file,
        format=format_,
        account=account,
        mode=mode,
        zone=zone,
        currency=currency,
        ticker=ticker,
    )
    if preview:
        say_json(as_dict(found)) if as_json else say_preview(found)
        return
    try:
        result = run(lambda store: imported(store, found, take_good=take_good))
    except RowsRefused as error:
        if as_json:
            say_json({"recorded": 0, "rejected": rejections(error.rejected)})
        raise
    if as_json:
        say_json(as_dict(found) | result_as_dict(result))
    else:
        say_result(found, result)


async def imported(store: Store, file: ImportFile, *, take_good: bool) -> ImportResult:
    with progress_of(file) as progress:
        async with store.write() as session:
            return await import_file(session, file, take_good=take_good, progress=progress)


@contextmanager
def progress_of(file: ImportFile) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr, for someone who watches a long file."""
    if len(file.trades) < LONG_FILE or not sys.stderr.isatty():
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Recording", total=len(file.trades))
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say_preview(file: ImportFile) -> None:
    say_file(file)
    say("Nothing was recorded: this is a preview.")


def say_file(file: ImportFile) -> None:
    closed = sum(trade.net_pnl is not None for trade in file.trades)
    say(
        f"{file.path.name}: {file.format}, {len(file.trades)} trades ({closed} closed),"
        f" {len(file.rejected)} rows refused"
    )
    for account in file.accounts:
        say(f"  account   {account.name} ({account.mode}, {account.currency}, {account.zone})")
    say(f"  net P&L   {amount(file.file_net_pnl)}{said_rounding(file.rounding)}")
    for assumption in file.assumed:
        say(f"  assumed   {assumption}")
    for name, count in file.ignored.items():
        say(f"  ignored   {name}: {count}")
    for rejection in file.rejected:
        say(f"  refused   {rejection}")


def say_result(file: ImportFile, result: ImportResult) -> None:
    say_file(file)
    say(
        f"Recorded {result.recorded} trades, {result.already_there} were already there."
        f" Their net P&L in the store is {amount(result.stored_net_pnl)}."
    )


def said_rounding(rounding: Decimal) -> str:
    return f" (rounding in all {rounding:f})" if rounding else ""


def amount(value: Decimal) -> str:
    """Thousands separated, two decimals at least, none lost."""
    decimals = max(2, -int(value.normalize().as_tuple().exponent)) if value else 2
    return f"{value:,.{decimals}f}"


def as_dict(file: ImportFile) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "format": file.format,
        "accounts": [account.model_dump(mode="json") for account in file.accounts],
        "trades": len(file.trades),
        "closed": sum(trade.net_pnl is not None for trade in file.trades),
        "file_net_pnl": f"{file.file_net_pnl:f}",
        "rounding": f"{file.rounding:f}",
        "assumed": list(file.assumed),
        "ignored": dict(file.ignored),
        "rejected": rejections(file.rejected),
    }


def result_as_dict(result: ImportResult) -> dict[str, Any]:
    return {
        "recorded": result.recorded,
        "already_there": result.already_there,
        "stored_net_pnl": f"{result.stored_net_pnl:f}",
    }


def rejections(rejected: tuple[Rejection, ...]) -> list[dict[str, Any]]:
    return [
        {"file": one.file, "row": one.row, "column": one.column, "value": one.value,
         "reason": one.reason}
        for one in rejected
    ]  # fmt: skip


@cli.command()
@as_json_option
def migrate(as_json: bool) -> None:
    """Bring the database's schema up to this program's."""
    say_schema(asyncio.run(schema.upgrade(load_settings())), as_json)


@cli.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask before 'base', which removes all trades.")
@as_json_option
def rollback(revision: str, yes: bool, as_json: bool) -> None:
    """Take the schema back to REVISION; `base` removes the ledger with all it holds."""
    settings = load_settings()
    if revision == "base" and not yes:
        name = settings.database().name
        click.confirm(shown(f"Remove every trade from {name}?"), abort=True, err=True)
    say_schema(asyncio.run(schema.downgrade(settings, revision)), as_json)


@cli.command()
@as_json_option
def status(as_json: bool) -> None:
    """Say which database is used and where its schema stands; changes nothing."""
    say_schema(asyncio.run(schema.status(load_settings())), as_json)


def say_schema(found: schema.SchemaStatus, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "database": found.database,
                "schema": found.current,
                "newest": found.head,
                "up_to_date": found.up_to_date,
                "known": found.known,
            }
        )
        return
    say(f"{found.database}: schema {found.current or 'not there yet'}, {advice(found)}")


def advice(found: schema.SchemaStatus) -> str:
    if found.up_to_date:
        return "up to date"
    if not found.known:
        return f"newer than this program, which knows {found.head}"
    return f"newest is {found.head}; run `trade-history migrate`"


@cli.command()
@as_json_option
def accounts(as_json: bool) -> None:
    """List the accounts, paper and live."""
    found = run(listed_accounts)
    if as_json:
        say_json(found)
        return
    for account in found:
        say("{name}: {mode}, {currency}, {zone}".format_map(account))
    if not found:
        say("No accounts yet.")


async def listed_accounts(store: Store) -> list[Mapping[str, str | None]]:
    async with store.read() as session:
        return [
            {
                "name": account.name,
                "mode": account.mode,
                "broker": account.broker,
                "currency": account.currency,
                "zone": account.zone,
                "tolerance": f"{account.tolerance:f}",
            }
            for account in await list_accounts(session)
        ]


def main() -> None:
    """The command `trade-history`."""
    cli(prog_name="trade-history")
