"""The ledger from a terminal: fill it, see what it holds, run it for others."""

import click

from store.cli.accounts import accounts
from store.cli.compare import compare
from store.cli.completion import completion
from store.cli.config import config
from store.cli.connections import connections
from store.cli.context import context_
from store.cli.demo import demo
from store.cli.distributing import distribute
from store.cli.export import export
from store.cli.imports import formats_, import_
from store.cli.keys import keys
from store.cli.market import market
from store.cli.migrating import migrate, rollback, status
from store.cli.operating import operator
from store.cli.records import audit, verify
from store.cli.settings import settings
from store.cli.sync import sync
from store.cli.tenants import tiers, users
from store.cli.terminal import Commands
from store.cli.tokens import tokens
from store.cli.trades import trades


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: trade-history COMMAND --help",
)
@click.version_option(package_name="trade-history-mcp")
def cli() -> None:
    """Your trade history: exact records, kept in the database that DATABASE_URL names."""


COMMANDS = (
    import_, trades, compare, formats_, sync, market, export, accounts, settings, connections,
    context_, verify, audit,
    migrate, status, rollback, distribute,
    users, tiers, tokens, keys, operator,
    config, completion, demo,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The command `trade-history`."""
    cli(prog_name="trade-history")
