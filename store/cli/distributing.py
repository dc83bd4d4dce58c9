"""The ledger over several machines."""

import asyncio

import click

from store import distributing
from store.cli.terminal import as_json_option, counted, say, say_json
from store.settings import load_settings


@click.command(epilog="Example: trade-history distribute --dry-run")
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
@as_json_option
def distribute(dry_run: bool, as_json: bool) -> None:
    """Spread the ledger over the machines of a Citus cluster, each user's rows on one of them.

    DATABASE_URL names the coordinator, as a superuser. Stop what serves from the database
    meanwhile: connections from before see nothing afterwards."""
    done = asyncio.run(distributing.distribute(load_settings(), preview=dry_run))
    if as_json:
        say_json(
            {
                "distributed": done.distributed,
                "copied": done.copied,
                "statements": done.statements if dry_run else None,
            }
        )
    elif dry_run:
        say("\n".join(f"{one};" for one in ("BEGIN", *done.statements, "COMMIT")))
        say(f"{distributing.LOGINS.strip()};")
    else:
        say(
            f"{counted(len(done.distributed), 'table')} distributed by user,"
            f" {len(done.copied)} copied to every machine."
        )
