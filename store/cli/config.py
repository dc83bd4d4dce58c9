"""Configuration that connects this ledger to the programs that ask it."""

from urllib.parse import urlsplit

import click

from store.cli.hosts import Setup, local_setups, remote_setups, started
from store.cli.terminal import as_json_option, say, say_json, shown
from store.settings import load_settings

HOSTS = ("claude-code", "claude-desktop", "cursor", "vscode", "chatgpt", "json")


class HttpUrl(click.ParamType[str]):
    """An address of a server."""

    name = "URL"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.fail(f"'{value[:80]}'; an address such as https://trades.example.com/mcp is"
                      " accepted.")  # fmt: skip
        if parts.username or parts.password:
            self.fail("the address has a login in it; it belongs into a token.")
        return value


@click.command(epilog="Example: trade-history config cursor > ~/.cursor/mcp.json")
@click.argument("host", type=click.Choice(HOSTS), required=False)
@click.option("--http", "url", type=HttpUrl(), help="Of a server that is reached at URL.")
@click.option("--name", default="trade-history", show_default=True, help="What it is called there.")
@as_json_option
def config(host: str | None, url: str | None, name: str, as_json: bool) -> None:
    """Print what connects HOST, or every one, to this ledger.

    The server is the one of this installation and the ledger that of this environment; hosts
    know neither. Passwords and keys are never printed: what to do about them is on stderr.
    With --http it is a server that runs already.
    """
    found = remote_setups(name, url) if url else local_setups(name, started(load_settings()))
    chosen = [setup for setup in found if host in (None, setup.host)]
    if as_json:
        say_json([vars(setup) for setup in chosen])
        return
    for setup in chosen:
        if host is None:
            say(f"## {setup.place}\n")
        say(setup.text + ("\n" if host is None else ""))
    if host is not None:
        click.echo(f"For {chosen[0].place}.", err=True)
    for line in advice(chosen):
        click.echo(shown(line), err=True)


def advice(setups: list[Setup]) -> list[str]:
    """Everything the reader has to do, each thing once."""
    return list(dict.fromkeys(line for setup in setups for line in setup.advice))
