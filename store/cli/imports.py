"""Files into the ledger."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from store.accounts import AccountEntry
from store.cli.completion import account_names
from store.cli.terminal import as_json_option, counted, run, say, say_json, say_list, user_option
from store.database import Store
from store.errors import Invalid
from store.importers import ImportFile, Rejection, Statement, formats, read
from store.importers.mapped import FOLDER
from store.importers.mapped.mapping import save
from store.importing import ImportResult, RowsRefused, StatementResult, import_file
from store.importing.preview import StatementPreview, preview
from store.records import Mode
from store.settings import load_settings

LONG_FILE = 200  # Rows from which waiting is worth a progress bar.


class Exact(click.ParamType[Decimal]):
    """A number, exactly as it is written."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        try:
            found = Decimal(value)
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or found <= 0:
            self.fail(f"'{value}' is refused; a number above 0 is accepted.", param, ctx)
        return found


@click.command("formats", epilog="Example: trade-history formats")
@as_json_option
def formats_(as_json: bool) -> None:
    """List the formats of files that `import` reads, and by what it knows them."""
    say_list(
        [{"format": one.name, "known_by": one.known_by} for one in formats().values()],
        "{format}: {known_by}".format_map,
        as_json=as_json,
        none="No formats.",
    )


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
@click.option(
    "--multiplier", type=Exact(), help="Currency per point of price, where the file lacks it."
)
@click.option("--map", "mapping", help="A mapping of columns: a saved or shipped one, or a file.")
@click.option("--save-map", help="Save the mapping of --map under this name.")
@click.option("--preview", "only_preview", is_flag=True, help="Only say what is in the file.")
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
    multiplier: Decimal | None,
    mapping: str | None,
    save_map: str | None,
    only_preview: bool,
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
        multiplier=multiplier,
        mapping=mapping,
    )
    if save_map is not None:
        say_saved(mapping, save_map)
    if only_preview:
        say_preview(found, as_json=as_json)
        return
    try:
        if isinstance(found, Statement):
            result = run(
                lambda store: imported_statement(store, found, take_good=take_good, user=user)
            )
            if as_json:
                say_json(statement_as_dict(found) | result_as_dict(result))
            else:
                say_statement_result(found, result)
        else:
            trades = run(lambda store: imported(store, found, take_good=take_good, user=user))
            if as_json:
                say_json(as_dict(found) | trades_as_dict(trades))
            else:
                say_result(found, trades)
    except RowsRefused as error:
        if as_json:
            say_json({"recorded": 0, "rejected": rejections(error.rejected)})
        raise


def say_saved(mapping: str | None, name: str) -> None:
    if mapping is None:
        raise Invalid("--save-map saves the mapping of --map, which is missing.")
    saved = save(Path(mapping), name, load_settings().data_folder() / FOLDER)
    click.echo(f"The mapping is saved: --map {saved.stem} uses it from now on.", err=True)


async def imported(
    store: Store, file: ImportFile, *, take_good: bool, user: int | None
) -> ImportResult:
    with progress_of(len(file.trades)) as progress:
        # Every trade of a file has a key, so that a broken connection may be made good.
        return await store.record(
            lambda session: import_file(session, file, take_good=take_good, progress=progress),
            user,
            keyed=True,
        )


async def imported_statement(
    store: Store, statement: Statement, *, take_good: bool, user: int | None
) -> StatementResult:
    with progress_of(len(statement.executions)) as progress:
        # Executions are kept once, so that a broken connection may be made good.
        return await store.record(
            lambda session: import_file(session, statement, take_good=take_good, progress=progress),
            user,
            keyed=True,
        )


@contextmanager
def progress_of(rows: int) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr, for someone who watches a long file."""
    if rows < LONG_FILE or not sys.stderr.isatty():
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Recording", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say_preview(found: ImportFile | Statement, *, as_json: bool) -> None:
    if isinstance(found, Statement):
        seen = preview(found)
        if as_json:
            say_json(statement_as_dict(found) | preview_as_dict(seen))
            return
        say_statement(found, found.accounts.values(), seen.rejected)
        say(f"  trades    {seen.trades}, of which {seen.open} are open at its end")
        say_unopened(seen.unopened)
    elif as_json:
        say_json(as_dict(found))
        return
    else:
        say_file(found, found.accounts)
    say("Nothing was recorded: this is a preview.")


def say_file(file: ImportFile, accounts: Sequence[AccountEntry]) -> None:
    closed = sum(trade.net_pnl is not None for trade in file.trades)
    say(
        f"{file.path.name}: {file.format}, {counted(len(file.trades), 'trade')} ({closed} closed),"
        f" {counted(len(file.rejected), 'row')} refused"
    )
    for account in accounts:
        say(f"  account   {account.name} ({account.mode}, {account.currency}, {account.zone})")
    say(f"  net P&L   {amount(file.file_net_pnl)}{said_rounding(file.rounding)}")
    say_about(file)
    for rejection in file.rejected:
        say(f"  refused   {rejection}")


def say_statement(
    statement: Statement, accounts: Iterable[AccountEntry], rejected: tuple[Rejection, ...]
) -> None:
    say(
        f"{statement.path.name}: {statement.format},"
        f" {counted(len(statement.executions), 'execution')},"
        f" {counted(len(rejected), 'row')} refused"
    )
    for account in accounts:
        say(f"  account   {account.name} ({account.mode}, {account.currency}, {account.zone})")
    say_about(statement)
    for rejection in rejected:
        say(f"  refused   {rejection}")


def say_about(file: ImportFile | Statement) -> None:
    for assumption in file.assumed:
        say(f"  assumed   {assumption}")
    for name, count in file.ignored.items():
        say(f"  ignored   {name}: {count}")


def say_unopened(unopened: Any) -> None:
    for one in unopened:
        say(
            f"  unopened  {one.ticker}: {counted(one.executions, 'execution')} of what was opened"
            f" before the first file, which moved {amount(one.cash)}"
        )


def say_result(file: ImportFile, result: ImportResult) -> None:
    say_file(file, result.accounts)
    say(
        f"Recorded {counted(result.recorded, 'trade')}, {result.already_there} were already there."
        f" Their net P&L in the store is {amount(result.stored_net_pnl)}."
    )


def say_statement_result(statement: Statement, result: StatementResult) -> None:
    """The reconciliation: every execution and every amount of the file, and where it is."""
    say_statement(statement, result.accounts, result.rejected)
    say_unopened(result.unopened)
    say(f"  cash      {amount(result.cash)} by the file's prices and fees")
    say(
        f"            {amount(result.in_trades)} in the store's trades (fees {amount(result.fees)})"
    )
    if result.by_hand:
        say(f"            {amount(result.by_hand)} in trades that were corrected by hand")
    if result.stated != result.worked_out:
        say(
            f"            its own amounts come to {amount(result.stated)}, prices and fees to"
            f" {amount(result.worked_out)}: fractions of cents"
        )
    if result.rounding:
        say(f"            rounding to the digits kept: {result.rounding.normalize():f}")
    for kind, moved in result.other_cash.items():
        say(f"  not dealt {kind}: {amount(moved)}")
    say(
        f"{result.new} of {counted(result.executions, 'execution')} are new:"
        f" {counted(result.recorded, 'trade')} recorded, {result.extended} extended,"
        f" {result.restated} restated. {counted(result.there, 'trade')} in all,"
        f" {result.left_open} open."
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


def trades_as_dict(result: ImportResult) -> dict[str, Any]:
    return {
        "accounts": [account.model_dump(mode="json") for account in result.accounts],
        "recorded": result.recorded,
        "already_there": result.already_there,
        "stored_net_pnl": f"{result.stored_net_pnl:f}",
    }


def statement_as_dict(statement: Statement) -> dict[str, Any]:
    return {
        "file": str(statement.path),
        "format": statement.format,
        "accounts": [account.model_dump(mode="json") for account in statement.accounts.values()],
        "executions": len(statement.executions),
        "assumed": list(statement.assumed),
        "ignored": dict(statement.ignored),
        "rejected": rejections(statement.rejected),
    }


def preview_as_dict(seen: StatementPreview) -> dict[str, Any]:
    return {
        "trades": seen.trades,
        "open": seen.open,
        "unopened": unopened_as_dicts(seen.unopened),
        "rejected": rejections(seen.rejected),
    }


def result_as_dict(result: StatementResult) -> dict[str, Any]:
    return {
        "accounts": [account.model_dump(mode="json") for account in result.accounts],
        "new": result.new,
        "recorded": result.recorded,
        "extended": result.extended,
        "restated": result.restated,
        "trades": result.there,
        "open": result.left_open,
        "cash": f"{result.cash:f}",
        "in_trades": f"{result.in_trades:f}",
        "by_hand": f"{result.by_hand:f}",
        "fees": f"{result.fees:f}",
        "stated": f"{result.stated:f}",
        "rounding": f"{result.rounding:f}",
        "other_cash": {kind: f"{moved:f}" for kind, moved in result.other_cash.items()},
        "unopened": unopened_as_dicts(result.unopened),
        "rejected": rejections(result.rejected),
    }


def unopened_as_dicts(unopened: Any) -> list[dict[str, Any]]:
    return [
        {"ticker": one.ticker, "executions": one.executions, "cash": f"{one.cash:f}"}
        for one in unopened
    ]


def rejections(rejected: tuple[Rejection, ...]) -> list[dict[str, Any]]:
    return [
        {"file": one.file, "row": one.row, "column": one.column, "value": one.value,
         "reason": one.reason}
        for one in rejected
    ]  # fmt: skip
