"""What every command shares: how it says things, refuses, and reaches the store.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 2 refused, 3 not found,
4 contradicts what is recorded, 5 the database is not ready, 6 something recorded is wrong.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from pydantic import SecretStr
from sqlalchemy.exc import InterfaceError, OperationalError

from store import schema
from store.database import Store
from store.errors import Conflict, Invalid, NotFound, Refused, StoreError, Unavailable
from store.settings import Settings, load_settings

Answer = TypeVar("Answer")

EXIT_CODES: dict[type[StoreError], int] = {
    Invalid: 2,
    Refused: 2,
    NotFound: 3,
    Conflict: 4,
    Unavailable: 5,
}


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


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def say(text: str) -> None:
    click.echo(shown(text))


def say_json(answer: Any) -> None:
    click.echo(json.dumps(answer, ensure_ascii=True, indent=2, default=str))


def say_list(
    found: Sequence[Mapping[str, Any]],
    line: Callable[[Mapping[str, Any]], str],
    *,
    as_json: bool,
    none: str,
) -> None:
    """A table on a terminal, one line for each elsewhere, or all of them as JSON; `none` where
    nothing was found."""
    if as_json:
        say_json(found)
    elif not found:
        say(none)
    elif sys.stdout.isatty():
        say_table(found)
    else:
        for one in found:
            say(line(one))


def say_table(found: Sequence[Mapping[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD  # Costs a tenth of a second, and pipes need none of it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(name.replace("_", " ") for name in found[0]), box=SIMPLE_HEAD)
    for one in found:
        # As Text, for markup in a name is the user's own.
        table.add_row(*(Text(shown(cell(value))) for value in one.values()))
    Console().print(table)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def say_done(what: Mapping[str, Any], line: str, as_json: bool) -> None:
    """What a command did, as JSON or as a line."""
    say_json(what) if as_json else say(line)


def said_secret(what: str) -> SecretStr:
    """A secret from stdin, or asked for where somebody sits there."""
    if sys.stdin.isatty():
        return SecretStr(click.prompt(what, hide_input=True, err=True))
    return SecretStr(sys.stdin.readline().strip())


PATIENT_SECONDS = 600
WRONG = 6
NUMBER = click.IntRange(1, 2**53)  # As far as programs of every kind count.
user_option = click.option("--user", type=NUMBER, help="Whose; TRADE_HISTORY_USER_ID unless said.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def run(work: Callable[[Store], Coroutine[Any, Any, Answer]], *, patient: bool = False) -> Answer:
    """Do `work` on the configured store, its schema made ready first.

    `patient` is what reads all that is recorded: its statements may take minutes, and a ledger
    that is not there is none to make.
    """

    async def on_store() -> Answer:
        settings = load_settings()
        if patient:
            require_there(settings)
            settings = settings.model_copy(update={"statement_timeout_seconds": PATIENT_SECONDS})
        store = Store(settings)
        try:
            await schema.prepare(store)
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(on_store())


def require_there(settings: Settings) -> None:
    if not schema.is_there(settings):
        raise NotFound(f"There is no ledger at {settings.database().name}.")
