"""Files into the ledger."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from store.cli.completion import account_names
from store.cli.terminal import as_json_option, run, say, say_json, user_option
from store.database import Store
from store.importers import ImportFile, Rejection, formats, read
from store.importing import ImportResult, RowsRefused, import_file
from store.records import Mode

LONG_FILE = 200  # Rows from which waiting is worth a progress bar.


@click.command("import", epilog="Example: trade-history import trades.csv --mode live")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--account",
    help="Where trades go that name no account.",
    shell_complete=account_names,
)
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
@user_option
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
    user: int | None,
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
        result = run(lambda store: imported(store, found, take_good=take_good, user=user))
    except RowsRefused as error:
        if as_json:
            say_json({"recorded": 0, "rejected": rejections(error.rejected)})
        raise
    if as_json:
        say_json(as_dict(found) | result_as_dict(result))
    else:
        say_result(found, result)


async def imported(
    store: Store, file: ImportFile, *, take_good: bool, user: int | None
) -> ImportResult:
    with progress_of(file) as progress:
        # Every trade of a file has a key, so that a broken connection may be made good.
        return await store.record(
            lambda session: import_file(session, file, take_good=take_good, progress=progress),
            user,
            keyed=True,
        )


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
