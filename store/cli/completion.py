"""What a shell completes: commands, options, and the names that are at hand."""

import asyncio
import os
import re
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from store import schema
from store.accounts import list_accounts
from store.database import Store
from store.errors import StoreError
from store.settings import load_settings

PROGRAM = "trade-history"
VARIABLE = "_TRADE_HISTORY_COMPLETE"


@click.command(epilog="Example: trade-history completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes this program's commands and options.

    Its users read it at their start: bash and zsh from ~/.bashrc and ~/.zshrc, fish from
    ~/.config/fish/completions/trade-history.fish.
    """
    kind: Any = get_completion_class(shell)
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())


def account_names(
    _ctx: click.Context, _option: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Accounts whose names begin so. Only a file is asked: a pressed key waits for no network
    and makes no ledger."""

    async def names() -> list[str]:
        settings = load_settings()
        if settings.database().path is None or not schema.is_there(settings):
            return []
        store = Store(settings)
        try:
            async with store.read() as session:
                return [account.name for account in await list_accounts(session)]
        finally:
            await store.close()

    try:
        found = asyncio.run(names())
    except StoreError:  # There is nobody to tell.
        found = []
    begun = begun.replace("\\", "").casefold()
    return [CompletionItem(typed(name)) for name in found if name.casefold().startswith(begun)]


def typed(name: str) -> str:
    """A name as one types it: zsh and fish escape what they insert, bash does not, and its
    script loses every other backslash when it reads what is printed here."""
    if not os.environ.get(VARIABLE, "").startswith("bash"):
        return name
    return re.sub(r"[^\w@%+=:,./-]", r"\\\\\g<0>", name)
