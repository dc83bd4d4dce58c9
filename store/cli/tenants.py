"""Users and tiers: the commands of whoever runs a store for several people."""

from collections.abc import Mapping
from typing import Any

import click

from store.cli.terminal import NUMBER, as_json_option, run, say_done, say_list
from store.database import Store
from store.schema import add_user
from store.users import (
    OPERATOR,
    TIERS,
    TierName,
    list_tiers,
    list_users,
    next_user,
    put_tier,
    set_limits,
)

LIMIT = click.IntRange(0, 2**53)


@click.group(epilog="Example: trade-history users list")
def users() -> None:
    """The people whose trades are kept here, each behind a wall."""


@users.command("list", epilog="Example: trade-history users list --json")
@as_json_option
def list_(as_json: bool) -> None:
    """List the users with their tiers and how many trades they have recorded."""

    async def listed(store: Store) -> list[Mapping[str, Any]]:
        async with store.operate() as session:
            return [
                {"user": user.user_id, "name": user.name, "tier": user.tier,
                 "trades": user.last_trade}
                for user in await list_users(session)
            ]  # fmt: skip

    say_list(
        run(listed),
        "{user}: {name}, {tier}, {trades} trades".format_map,
        as_json=as_json,
        none="No users yet.",
    )


@users.command(epilog="Example: trade-history users add Ann --tier free")
@click.argument("name")
@click.option("--tier", type=click.Choice(TIERS), default="free", show_default=True)
@as_json_option
def add(name: str, tier: TierName, as_json: bool) -> None:
    """Add a user called NAME; says its number."""

    async def added(store: Store) -> int:
        while True:  # Somebody else may be adding a user, too.
            async with store.operate() as session:
                number = await next_user(session)
            if await add_user(store, number, name, tier=tier, author=OPERATOR):
                return number

    number = run(added)
    say_done({"user": number, "tier": tier}, f"User {number}, tier {tier}.", as_json)


@users.command(epilog="Example: trade-history users tier 2 pro")
@click.argument("user", type=NUMBER)
@click.argument("tier", type=click.Choice(TIERS))
@as_json_option
def tier(user: int, tier: TierName, as_json: bool) -> None:
    """Give USER another TIER; what is recorded beyond its limits stays."""

    async def put(store: Store) -> None:
        async with store.operate(user, write=True) as session:
            await put_tier(session, tier)

    run(put)
    say_done({"user": user, "tier": tier}, f"User {user} has the tier {tier}.", as_json)


@click.command(epilog="Example: trade-history tiers free --calls 60 --trades 1000")
@click.argument("tier", type=click.Choice(TIERS), required=False)
@click.option("--calls", type=LIMIT, help="Calls a minute of one token; 0 is without limit.")
@click.option("--accounts", type=LIMIT, help="Accounts of a user; 0 is without limit.")
@click.option("--trades", type=LIMIT, help="Trades of a user; 0 is without limit.")
@as_json_option
def tiers(
    tier: TierName | None,
    calls: int | None,
    accounts: int | None,
    trades: int | None,
    as_json: bool,
) -> None:
    """What the tiers include; with TIER and limits, what it includes from now on."""
    said = {"calls_per_minute": calls, "accounts": accounts, "trades": trades}
    changed = {name: value for name, value in said.items() if value is not None}
    if bool(changed) != bool(tier):
        raise click.UsageError("Name a tier and at least one limit, or neither.")

    async def listed(store: Store) -> list[dict[str, Any]]:
        async with store.operate(write=tier is not None) as session:
            found = {
                one.name: {"calls_per_minute": one.calls_per_minute, "accounts": one.accounts,
                           "trades": one.trades}
                for one in await list_tiers(session)
            }  # fmt: skip
            if tier is not None:
                found[tier] |= {name: value or None for name, value in changed.items()}
                await set_limits(session, tier, **found[tier])
            return [{"tier": name, **limits} for name, limits in found.items()]

    say_list(run(listed), tier_line, as_json=as_json, none="No tiers.")


def tier_line(one: Mapping[str, Any]) -> str:
    limits = [
        f"{one[name] or 'any number of'} {words}"
        for name, words in (
            ("calls_per_minute", "calls a minute"), ("accounts", "accounts"), ("trades", "trades"),
        )
    ]  # fmt: skip
    return f"{one['tier']}: {', '.join(limits)}"
