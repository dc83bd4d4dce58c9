"""Trades out of the ledger, into a file or a pipe."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click

from store.cli.completion import account_names
from store.cli.terminal import as_json_option, run, say, say_json, shown, user_option
from store.database import Store
from store.errors import Invalid
from store.exporting import Export, Format, What
from store.exporting.generic_rows import CORRECTED
from store.exporting.report import Report
from store.private_file import replacing
from store.queries.filters import Filters, Status

Write = Callable[[bytes], Any]


@click.command(epilog="Example: trade-history export --format jsonl --out trades.jsonl")
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="csv",
    show_default=True,
    help="csv is what `import` reads; jsonl has trades whole.",
)
@click.option("--what", type=click.Choice(get_args(What)), default="trades", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, for your eyes only; stdout unless said.",
)
@click.option("--ticker", help="Only of this underlying.")
@click.option("--strategy", help="Only of this strategy.")
@click.option("--account", help="Only of this account.", shell_complete=account_names)
@click.option(
    "--mode", type=click.Choice(["live", "paper", "all"]), default="all", show_default=True
)
@click.option("--status", type=click.Choice(get_args(Status)), default="all", show_default=True)
@click.option("--since", help="Day of exit (of entry while open) or moment, inclusive.")
@click.option("--until", help="The same, exclusive.")
@click.option("--notes", is_flag=True, help="Journal entries, too.")
@click.option("--snapshots", is_flag=True, help="Marks while they were open, too (jsonl).")
@user_option
@as_json_option
def export(
    format_: Format,
    what: What,
    out: Path | None,
    notes: bool,
    snapshots: bool,
    user: int | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """Write trades, or their fills, as CSV, JSON lines or Parquet.

    CSV of trades has one row each, as `import` reads it: fees of both sides in one number,
    without order ids. What it cannot say is left out and counted on stderr: spreads, several
    entries or exits. JSON lines has everything. A text that a spreadsheet would run as a
    formula stands behind an apostrophe, which `import` takes away again.
    """
    if snapshots and (format_, what) != ("jsonl", "trades"):
        raise click.UsageError("--snapshots goes with --format jsonl and --what trades.")
    if notes and (what == "fills" or format_ == "parquet"):
        raise click.UsageError("--notes goes with --what trades as csv or jsonl.")
    if as_json and out is None:
        raise click.UsageError("--json goes with --out: without it the trades are on stdout.")
    asked = Export(format_, what, Filters(**filters), notes, snapshots)
    with opened(out, text=format_ != "parquet") as write:

        async def written(store: Store) -> None:
            async with store.read(user) as session:
                async for chunk in asked.chunks(session):
                    write(chunk)

        run(written, patient=True)
    say_left_out(asked.report)
    if as_json:
        say_json(as_dict(asked, out))
    elif out is not None:
        say(f"{out}: {asked.report.written} {what}.")


@contextmanager
def opened(out: Path | None, *, text: bool) -> Iterator[Write]:
    """Where the chunks go. A terminal gets text that can do nothing to it."""
    if out is not None:
        try:
            with replacing(out) as file:
                yield file.write
        except OSError as error:
            raise Invalid(f"{out} cannot be written: {error.strerror}.") from None
    elif not sys.stdout.isatty():
        yield sys.stdout.buffer.write
    elif text:
        yield show
    else:
        raise click.UsageError("Parquet is nothing for a terminal; name a file with --out.")


def show(chunk: bytes) -> None:
    click.echo(shown(chunk.decode()), nl=False)


def say_left_out(report: Report) -> None:
    for line in left_out(report):
        click.echo(shown(line), err=True)


def left_out(report: Report) -> Iterator[str]:
    """What the file does not say, and how to have it nevertheless."""
    counted = [f"{count} {reason}" for reason, count in report.left_out.most_common()]
    if counted:
        yield f"Left out, for CSV cannot say them: trades {', '.join(counted)}."
    if set(report.left_out) - {CORRECTED}:
        yield "--format jsonl has them whole."
    if report.unsaid_notes:
        yield f"Without their notes, for they have several: {report.unsaid_notes} trades."
    if report.unsaid_accounts:
        yield "CSV has no currency, zone and tolerance. Before you import it elsewhere, run there:"
    for account in report.unsaid_accounts.values():
        told = [
            "trade-history", "accounts", "add", account.name, "--mode", account.mode,
            "--currency", account.currency, "--zone", account.zone,
            "--tolerance", f"{account.tolerance.normalize():f}",
        ]  # fmt: skip
        yield f"  {shlex.join(told)}"


def as_dict(asked: Export, out: Path | None) -> dict[str, Any]:
    return {
        "file": str(out),
        "format": asked.format,
        "what": asked.what,
        "written": asked.report.written,
        "left_out": dict(asked.report.left_out),
        "without_notes": asked.report.unsaid_notes,
    }
