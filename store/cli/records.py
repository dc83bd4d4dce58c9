"""The record itself: verify it, hand it over."""

import json
import re
from collections.abc import Sequence

import click

from store.audit_trail import questions, writes
from store.cli.terminal import WRONG, as_json_option, run, say, say_json, user_option
from store.database import Store
from store.folding import wrong_fold
from store.users import list_users, require_user
from store.verifying import Head, Verified, verify_database, verify_user


class HeadType(click.ParamType[Head]):
    """NUMBER:HASH, as an earlier run printed it."""

    name = "NUMBER:HASH"

    def convert(
        self, value: str | Head, param: click.Parameter | None, ctx: click.Context | None
    ) -> Head:
        if isinstance(value, Head):
            return value
        found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", value)
        if found is None:
            self.fail(f"'{value[:80]}'; NUMBER:HASH as an earlier run printed it is accepted.")
        return Head(int(found[1]), found[2])


@click.command(epilog="Example: trade-history verify --all")
@user_option
@click.option("--all", "everybody", is_flag=True, help="Every user, and the fold of all.")
@click.option("--expect", type=HeadType(), help="A head that the chain must contain.")
@as_json_option
@click.pass_context
def verify(
    ctx: click.Context, user: int | None, everybody: bool, expect: Head | None, as_json: bool
) -> None:
    """Work out again everything that was recorded; name the first thing that is wrong.

    Keep the head that is printed elsewhere: --expect shows later that nothing before it was
    rewritten, not even by the owner of the database.
    """
    if everybody and (user or expect):
        raise click.UsageError("--all goes with neither --user nor --expect.")

    async def verified(store: Store) -> tuple[str | None, list[Verified]]:
        asked = [user or store.settings.user_id]
        if everybody:
            async with store.operate() as session:
                asked = [one.user_id for one in await list_users(session)]
        found = [await verify_user(store, one, expected=expect) for one in asked]
        wrong = await verify_database(store)
        if everybody and not wrong:
            async with store.operate() as session:
                wrong = await wrong_fold(session)
        return wrong, found

    wrong, found = run(verified, patient=True)
    say_verified(wrong, found, as_json)
    if wrong or any(one.wrong for one in found):
        ctx.exit(WRONG)


def say_verified(wrong: str | None, found: Sequence[Verified], as_json: bool) -> None:
    if as_json:
        users = [
            {"user": one.user_id, "entries": one.entries, "trades": one.trades,
             "open_trades": one.open_trades,
             "head": one.head and str(one.head), "wrong": one.wrong}
            for one in found
        ]  # fmt: skip
        say_json({"wrong": wrong, "users": users})
        return
    if wrong:
        say(f"WRONG: {wrong}")
    for one in found:
        if one.wrong:
            say(f"WRONG: of user {one.user_id}, {one.wrong}")
        else:
            open_ones = f"; {one.open_trades} more are open" if one.open_trades else ""
            say(f"User {one.user_id}: {one.entries} entries and"
                f" {one.trades - one.open_trades} trades are as they were recorded{open_ones};"
                f" head {one.head}")  # fmt: skip


@click.command(epilog="Example: trade-history audit > audit.jsonl")
@user_option
@click.option("--calls", is_flag=True, help="The questions that were asked, not the writes.")
def audit(user: int | None, calls: bool) -> None:
    """Print the audit as JSON lines, oldest first: every write, or with --calls every question."""

    async def printed(store: Store) -> None:
        async with store.read(user) as session:
            await require_user(session)
            async for line in (questions if calls else writes)(session):
                click.echo(json.dumps(line, ensure_ascii=True, default=str))

    run(printed, patient=True)
