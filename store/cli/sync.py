"""Brokers' accounts into the ledger over the network."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import click

from store.brokers.tradier.client import Tradier
from store.brokers.tradier.comparing import Difference
from store.brokers.tradier.syncing import Synced, accounts_of, sync_account
from store.brokers.tradier.watching import Round, rounds
from store.cli.imports import amount, rejections
from store.cli.terminal import as_json_option, run, say, say_json, user_option
from store.connections import ENVIRONMENTS, BrokerEnvironment, connection_token
from store.database import Store
from store.derived import plain
from store.keyring import load_keyring


@click.group(epilog="Example: trade-history sync tradier")
def sync() -> None:
    """Record what was dealt at a broker; nothing is ever ordered there."""


@sync.command("tradier", epilog="Example: trade-history sync tradier --watch --every 60")
@click.option("--environment", type=click.Choice(ENVIRONMENTS), default="live", show_default=True)
@click.option("--account", help="Tradier's number of the one to sync; all unless said.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Read the history from this day on, on which nothing should be open.",
)
@click.option("--watch", is_flag=True, help="Again and again, with marks of what is open.")
@click.option("--every", type=click.IntRange(10, 86_400), default=60, show_default=True,
              help="Seconds between two rounds of --watch.")  # fmt: skip
@user_option
@as_json_option
def tradier(
    environment: BrokerEnvironment,
    account: str | None,
    since: datetime | None,
    watch: bool,
    every: int,
    user: int | None,
    as_json: bool,
) -> None:
    """Record the executions of Tradier accounts, and say what differs."""
    if watch and since:
        raise click.UsageError("--since goes without --watch; sync once with it before.")

    async def once(store: Store) -> list[Synced]:
        async with connected(store, environment, user) as broker:
            return [
                await sync_account(
                    store, broker, environment, number,
                    since=since.date() if since else None, user_id=user,
                )
                for number in await accounts_of(broker, account)
            ]  # fmt: skip

    async def watched(store: Store) -> None:
        async with connected(store, environment, user) as broker:
            async for one in rounds(
                store, broker, environment, every_seconds=every, account=account, user_id=user
            ):
                say_round(one, as_json=as_json)

    if watch:
        run(until_stopped(watched))
        return
    synced = run(once)
    if as_json:
        say_json([as_dict(one) for one in synced])
        return
    for one in synced:
        say_synced(one)
    if not synced:
        say("The connection has no accounts.")


@asynccontextmanager
async def connected(
    store: Store, environment: BrokerEnvironment, user: int | None
) -> AsyncIterator[Tradier]:
    async with store.read(user) as session:
        keyring = load_keyring(store.settings)
        token = await connection_token(session, keyring, "tradier", environment)
    async with Tradier.connect(token, environment) as broker:
        yield broker


def until_stopped(work: Any) -> Any:
    """`work` on a store until SIGTERM or SIGINT asks to stop, which is no failure."""

    async def stoppable(store: Store) -> None:
        task = asyncio.ensure_future(work(store))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            click.echo("Stopped; what was under way is undone.", err=True)

    return stoppable


def say_round(one: Round, *, as_json: bool) -> None:
    if as_json:
        said: Mapping[str, Any] = {
            "synced": [as_dict(synced) for synced in one.synced],
            "marked": one.marked,
            "problem": one.problem,
            "next_seconds": one.next_seconds,
        }
        click.echo(json.dumps(said, default=str))  # A line a round.
    elif one.problem is not None:
        click.echo(f"{one.problem} Next try in {one.next_seconds:.0f} seconds.", err=True)
    else:
        for synced in one.synced:
            say_synced(synced)
        say(f"{one.marked} open trades are marked.")


def say_synced(one: Synced) -> None:
    since = f"since {one.since}" if one.since else "the whole history"
    say(
        f"{one.account}: {since}: {one.result.new} executions are new;"
        f" {one.result.recorded} trades recorded, {one.result.extended} extended,"
        f" {one.result.restated + len(one.restated)} restated, {one.result.left_open} are open."
    )
    if one.unposted:
        say(f"  not posted  {one.unposted} orders count without fees until Tradier posts them")
    for name, count in one.ignored.items():
        say(f"  ignored     {name}: {count}")
    for rejection in one.rejected:
        say(f"  refused     {rejection}")
    for unopened in one.result.unopened:
        say(f"  unopened    {unopened.ticker}: {unopened.executions} executions close what was"
            " opened before the history begins")  # fmt: skip
    for difference in one.positions:
        say(f"  position    {difference.instrument}: {plain(difference.ledger)} in the ledger,"
            f" {plain(difference.tradier)} at Tradier")  # fmt: skip
    for difference in one.gains:
        say(f"  gain        {difference.instrument}: {amount(difference.ledger)} in the ledger,"
            f" {amount(difference.tradier)} at Tradier")  # fmt: skip


def as_dict(one: Synced) -> dict[str, Any]:
    return {
        "number": one.number,
        "account": one.account,
        "since": one.since,
        "new": one.result.new,
        "recorded": one.result.recorded,
        "extended": one.result.extended,
        "restated": one.result.restated + len(one.restated),
        "open": one.result.left_open,
        "unposted": one.unposted,
        "ignored": one.ignored,
        "rejected": rejections(one.rejected),
        "unopened": [vars(unopened) for unopened in one.result.unopened],
        "positions": [differing(difference) for difference in one.positions],
        "gains": [differing(difference) for difference in one.gains],
    }


def differing(one: Difference) -> dict[str, str]:
    return {
        "instrument": one.instrument,
        "ledger": plain(one.ledger),
        "tradier": plain(one.tradier),
    }
