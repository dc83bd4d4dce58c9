"""Trades from a terminal: list them, show one, record, close and correct them."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from store import commands
from store.cli.arguments import terminal_command
from store.cli.terminal import as_json_option, run, say, say_json, shown, user_option
from store.commands.command import Command
from store.queries import Query
from store.queries.answer import Told
from store.queries.get_trade import get_trade
from store.queries.get_trade_history import get_trade_history

PAGE = 20
NUMERIC = {
    "number", "quantity", "price", "fee", "entry_price", "exit_price", "net_pnl", "gross_pnl",
    "fees", "mark_price", "unrealised_pnl", "strike", "multiplier", "trade", "with",
    "entry", "with_entry", "exit", "with_exit", "entry_slippage", "exit_slippage",
    "slippage_amount", "fees_difference", "net_difference",
}  # fmt: skip
EXAMPLES = {
    "record_trade": "record --account Main --ticker AAPL --quantity 100 --entry-price 10.50"
    " --opened-at 2026-01-05T10:15:00-05:00",
    "add_fill": "fill 12 --side sell --quantity 40 --price 11.20"
    " --filled-at 2026-01-06T11:00:00-05:00",
    "close_trade": "close 12 --price 11.80 --closed-at 2026-01-07T15:30:00-05:00",
    "correct_trade": "correct 12 --exit-price 11.75 --reason 'typing error' --dry-run",
    "void_trade": "void 12 --reason 'recorded twice'",
    "add_note": "note 12 'held over earnings'",
}


@click.group(epilog="Example: trade-history trades list")
def trades() -> None:
    """List trades and show one; record, close, correct and void them."""


def reading(query: Query, say_answer: Callable[[Told], None]) -> Callable[..., None]:
    """What a command does that asks `query`."""

    def carry_out(*, user: int | None, as_json: bool, **asked: Any) -> None:
        answer: Told = run(
            lambda store: store.answer(lambda session: query(session, **asked), user)
        )
        say_json(answer.model_dump(mode="json")) if as_json else say_answer(answer)

    return carry_out


def writing(command: Command) -> Callable[..., None]:
    """What a command does that writes."""

    def carry_out(*, user: int | None, as_json: bool, dry_run: bool, **said: Any) -> None:
        async def work(session: Any) -> Told:
            return await command(session, **said)

        answer: Told = run(
            lambda store: (
                store.rehearse(work, user)
                if dry_run
                else store.record(work, user, keyed=said["key"] is not None)
            )
        )
        if as_json:
            say_json(answer.model_dump(mode="json"))
        elif dry_run:
            say_whole(answer)
        else:
            say_changes(answer)

    return carry_out


def say_listed(answer: Told) -> None:
    """The totals in a sentence, the trades in a table, and how to go on."""
    fields = answer.model_dump(mode="json")
    say(fields["summary"])
    say_table(fields["trades"])
    if cursor := fields.get("next_cursor"):
        click.echo(f"More: --cursor {cursor}", err=True)


def say_whole(answer: Told) -> None:
    """The sentence, then every field of the trade: one a line, rows in tables."""
    fields = answer.model_dump(mode="json", exclude={"evidence", "scope", "provenance"})
    say(fields.pop("summary"))
    for name, value in fields.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            say(f"{name}:")
            say_table(value)
        elif isinstance(value, dict):
            say_fields(name, value)
        elif value not in (None, [], False):
            say(f"{name}: {value}")


def say_changes(answer: Told) -> None:
    fields = answer.model_dump(mode="json")
    say(fields["summary"])
    say_table(fields.get("changes") or [])


def say_fields(name: str, fields: Mapping[str, Any]) -> None:
    said = {field: value for field, value in fields.items() if value not in (None, [], {})}
    if said:
        say(f"{name}:")
    for field, value in said.items():
        say(f"  {field}: {value}")


def say_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows under the names of their fields, but for fields that all leave empty. In a pipe
    every row is a line, however long, and nothing is drawn or coloured."""
    if not rows:
        return
    columns = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if any(row.get(name) is not None for row in rows)
    ]
    seen = sys.stdout.isatty()
    table = Table(box=SIMPLE_HEAD if seen else None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in NUMERIC else "left", no_wrap=True)
    for row in rows:
        # As plain text: markup in a name is a name.
        table.add_row(*(Text(cell(row.get(name))) for name in columns))
    width = shutil.get_terminal_size().columns if seen else 10_000
    console = Console(width=width, no_color=not seen)
    with console.capture() as drawn:
        console.print(table, crop=seen)
    for line in drawn.get().splitlines():
        click.echo(line.rstrip())


def cell(value: Any) -> str:
    return "-" if value is None else shown(str(value)).replace("\n", " ")


SHARED = (user_option, as_json_option)

trades.add_command(
    terminal_command(
        "list",
        get_trade_history,
        reading(get_trade_history, say_listed),
        *SHARED,
        defaults={"limit": PAGE},
        example="list --ticker AAPL --status all",
        short="List trades, with totals over all that match",
    )
)
trades.add_command(
    terminal_command("show", get_trade, reading(get_trade, say_whole), *SHARED, example="show 12")
)
for command in commands.load():
    verb = command.__name__.removesuffix("_trade").removeprefix("add_")
    trades.add_command(
        terminal_command(
            verb, command, writing(command), *SHARED, example=EXAMPLES[command.__name__]
        )
    )
