"""trade-history-mcp: serve the trade history to agents, over stdio or HTTP."""

# ruff: noqa: E402
import gc

gc.disable()  # A host waits for the first reply; collecting among imports is a fifth of it.

import asyncio
import signal
import sys
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
from mcp.server import MCPServer

from mcp_server.door import Door
from mcp_server.server import build
from mcp_server.settings import NetworkSettings, is_loopback
from store.database import Store
from store.errors import Invalid, StoreError, Unavailable, Unwalled
from store.settings import load, load_settings
from store.tokens import any_token

gc.freeze()  # What is imported stays.
gc.enable()

CONNECTIONS_MAX = 65_536
CLOSE_SECONDS = 3  # Clients that listen never leave by themselves.


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--transport",
    type=click.Choice(["stdio", "streamable-http", "sse"]),
    default="stdio",
    show_default=True,
    help="stdio for a program on this machine; streamable-http (at /mcp) or sse (at /sse).",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def main(transport: str, host: str, port: int) -> None:
    """Serve the trade history to AI agents (Model Context Protocol).

    DATABASE_URL chooses the database; unset, it is a SQLite file in your data directory.
    Where others can reach the server, every request needs a token (trade-history tokens).
    """
    try:
        network = load(NetworkSettings).require_whole()
        many = needs_tokens(transport, host, network)
        store = Store(load_settings())
    except StoreError as error:
        refuse(str(error))
    try:
        asyncio.run(serve(Door(store, many=many), transport, host, port, network))
    except StoreError as error:
        refuse(str(error))


def needs_tokens(transport: str, host: str, network: NetworkSettings) -> bool:
    """Whether requests have to say whose they are: beyond this machine, always.

    Raises:
        Invalid: the server could be reached by others and something is missing for that.
    """
    if transport == "stdio":
        return False
    reached = reached_by_others(host, network)
    if reached is None:
        return network.auth == "on" or (network.auth is None and network.oauth_issuer is not None)
    if network.auth == "off":
        raise Invalid(
            f"{reached} can be reached by others, so TRADE_HISTORY_AUTH=off is refused;"
            " 127.0.0.1, ::1 and localhost are accepted without tokens."
        )
    if network.public_url is None:
        raise Invalid(
            f"{reached} can be reached by others, so TRADE_HISTORY_PUBLIC_URL is needed: the"
            " address that clients use, like https://trades.example.com."
        )
    return True


def reached_by_others(host: str, network: NetworkSettings) -> str | None:
    """What opens this server to other machines: where it listens, or what stands before it."""
    if not is_loopback(host):
        return f"--host {host}"
    public = urlsplit(network.public_url or "http://localhost").hostname or ""
    return None if is_loopback(public) else f"TRADE_HISTORY_PUBLIC_URL={network.public_url}"


def refuse(problem: str) -> NoReturn:
    print(f"trade-history-mcp: {problem}", file=sys.stderr)
    sys.exit(2)


async def serve(door: Door, transport: str, host: str, port: int, network: NetworkSettings) -> None:
    """Answer until stdin ends or a signal says stop."""
    server = build(door, writing=network.writing == "on")
    try:
        if transport == "stdio":
            # The thread that reads stdin cannot be interrupted; nothing here needs a farewell.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            await server.run_stdio_async()
        else:
            await serve_http(server, door, transport, host, port, network)
    finally:
        await door.close()


async def serve_http(
    server: MCPServer[Any],
    door: Door,
    transport: str,
    host: str,
    port: int,
    network: NetworkSettings,
) -> None:
    import uvicorn  # Not needed on stdio.

    from mcp_server.asgi import PATHS, address, application, gate_of, only_from
    from mcp_server.rest import api

    gate = None
    if door.many:
        await require_keyholder(door, network)
        public = network.public_url or f"http://{address(host)}:{port}"
        network = network.model_copy(update={"public_url": public})
        gate = gate_of(door, transport, network)
    security = only_from(host, port, network.public_url)
    take_more_connections()
    config = uvicorn.Config(
        application(server, transport, security, gate, api(door)),
        host=host,
        port=port,
        http="h11",  # httptools keeps blanks that the protocol says to ignore.
        ws="none",  # No other protocol leads past the gate.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    asked = "tokens are asked for" if door.many else "without tokens, for this machine only"
    print(
        f"Serving on http://{address(host)}:{port}{PATHS[transport]} ({asked})",
        file=sys.stderr,
        flush=True,
    )
    await uvicorn.Server(config).serve()


def take_more_connections() -> None:
    """As many as the system lets this process have: silent ones must not lock others out."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def require_keyholder(door: Door, network: NetworkSettings) -> None:
    """Somebody must be able to come in; a store that is away is asked at the first request.

    Raises:
        Invalid: there is no token, and no issuer that could give one.
        Unwalled: the walls between users do not stand.
    """
    try:
        await door.ready()
    except Unwalled:
        raise
    except Unavailable as error:
        print(f"trade-history-mcp: {error}", file=sys.stderr)
        return
    try:
        async with door.store.operate() as session:
            found = await any_token(session)
    except Unavailable:
        return  # This login may not look across users, which is as it should be.
    if not found and network.oauth_issuer is None:
        raise Invalid(
            "Tokens are asked for and there is none: run `trade-history tokens create NAME`."
        )
