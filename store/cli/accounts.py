"""The accounts, as they stand."""

from collections.abc import Mapping

import click

from store.accounts import list_accounts
from store.cli.terminal import as_json_option, run, say_list
from store.database import Store


@click.command()
@as_json_option
def accounts(as_json: bool) -> None:
    """List the accounts, paper and live."""
    say_list(
        run(listed_accounts),
        "{name}: {mode}, {currency}, {zone}".format_map,
        as_json=as_json,
        none="No accounts yet.",
    )


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
