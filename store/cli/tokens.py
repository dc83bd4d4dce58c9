"""API tokens: make them, list them, revoke them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from store.cli.terminal import (
    NUMBER,
    as_json_option,
    run,
    say,
    say_done,
    say_json,
    say_list,
    user_option,
)
from store.database import Store
from store.tokens import SCOPES, NewToken, create_token, list_tokens, revoke_token


@click.group(epilog="Example: trade-history tokens list")
def tokens() -> None:
    """Keys by which programs reach one user's trades over the network."""


@tokens.command(epilog="Example: trade-history tokens create laptop --days 90")
@click.argument("name")
@user_option
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=["trades:read"],
    show_default=True,
    help="What it allows; may be said several times.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Until it expires; never unless said.")
@as_json_option
def create(
    name: str, user: int | None, scopes: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Make a token called NAME. It is shown once, now, and kept nowhere."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def made(store: Store) -> NewToken:
        async with store.write(user) as session:
            return await create_token(session, name, scopes, expires_at=expires_at)

    token = run(made)
    if as_json:
        say_json({"token": token.number, "text": token.text, "expires_at": expires_at})
        return
    say(token.text)
    click.echo(f"Token {token.number}: keep it now, it is not shown again.", err=True)


@tokens.command("list", epilog="Example: trade-history tokens list --json")
@user_option
@as_json_option
def list_(user: int | None, as_json: bool) -> None:
    """List the tokens; their secrets are not kept."""

    async def listed(store: Store) -> list[Mapping[str, Any]]:
        async with store.read(user) as session:
            return [
                {"token": one.token_number, "name": one.name, "scopes": one.scopes.split(),
                 "created_at": one.created_at, "expires_at": one.expires_at,
                 "revoked_at": one.revoked_at, "last_used_at": one.last_used_at}
                for one in await list_tokens(session)
            ]  # fmt: skip

    say_list(run(listed), token_line, as_json=as_json, none="No tokens yet.")


def token_line(one: Mapping[str, Any]) -> str:
    ended = f", revoked {one['revoked_at']:%Y-%m-%d}" if one["revoked_at"] else ""
    until = f", expires {one['expires_at']:%Y-%m-%d}" if one["expires_at"] else ""
    used = f"{one['last_used_at']:%Y-%m-%d %H:%M} UTC" if one["last_used_at"] else "never"
    return f"{one['token']}: {one['name']} ({' '.join(one['scopes'])}), used {used}{until}{ended}"


@tokens.command(epilog="Example: trade-history tokens revoke 1")
@click.argument("number", type=NUMBER)
@user_option
@as_json_option
def revoke(number: int, user: int | None, as_json: bool) -> None:
    """Make token NUMBER worthless, for good; running servers notice within seconds."""

    async def revoked(store: Store) -> None:
        async with store.write(user) as session:
            await revoke_token(session, number)

    run(revoked)
    say_done({"token": number, "revoked": True}, f"Token {number} is revoked.", as_json)
