"""The accounts, as they stand, and new ones."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

import click

from store.accounts import MARKET_ZONE, list_accounts, put_account
from store.cli.terminal import as_json_option, run, say_done, say_list, user_option
from store.database import Store
from store.importers.format import account_of
from store.models import Account
from store.records import Mode


class AmountType(click.ParamType[Decimal]):
    """An exact amount of money."""

    name = "amount"

    def convert(
        self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            return Decimal(value)
        except InvalidOperation:
            self.fail(f"'{str(value)[:80]}'; a number such as 10 or 2.50 is accepted.")


@click.group(invoke_without_command=True, epilog="Example: trade-history accounts --json")
@user_option
@as_json_option
@click.pass_context
def accounts(ctx: click.Context, user: int | None, as_json: bool) -> None:
    """List the accounts, paper and live; `add` makes one."""
    if ctx.invoked_subcommand:
        return

    async def listed(store: Store) -> list[Mapping[str, Any]]:
        async with store.read(user) as session:
            return [as_dict(account) for account in await list_accounts(session)]

    say_list(run(listed), line, as_json=as_json, none="No accounts yet.")


@accounts.command(epilog="Example: trade-history accounts add Main --mode live --broker Tradier")
@click.argument("name")
@click.option(
    "--mode", type=click.Choice(get_args(Mode)), required=True, help="What its trades are."
)
@click.option("--broker", help="Who keeps it.")
@click.option("--currency", default="USD", show_default=True, help="What it is kept in.")
@click.option("--zone", default=MARKET_ZONE, show_default=True, help="Whose days its trades have.")
@click.option(
    "--tolerance",
    type=AmountType(),
    default="0",
    show_default=True,
    help="Net P&L up to which a trade counts as break-even.",
)
@user_option
@as_json_option
def add(user: int | None, as_json: bool, **said: Any) -> None:
    """Add an account called NAME. Of what is said of it here nothing changes later; again with
    the same changes nothing."""
    entry = account_of(**said)

    async def put(store: Store) -> Mapping[str, Any]:
        async with store.write(user) as session:
            return as_dict(await put_account(session, entry))

    made = run(put)
    say_done(made, line(made), as_json)


line = "{name}: {mode}, {currency}, {zone}".format_map


def as_dict(account: Account) -> dict[str, str | None]:
    return {
        "name": account.name,
        "mode": account.mode,
        "broker": account.broker,
        "currency": account.currency,
        "zone": account.zone,
        "tolerance": f"{account.tolerance:f}",
    }
