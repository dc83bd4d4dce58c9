"""trade-history-mcp: serve the trade history to agents, over stdio or loopback HTTP."""

# ruff: noqa: E402
import gc

gc.disable()  # A host waits for the first reply; collecting among imports is a fifth of it.

import asyncio
import signal
import sys
from ipaddress import ip_address
from typing import Any, NoReturn

import click
from mcp.server import MCPServer
from mcp.server.transport_security import (
    TransportSecurityMiddleware,
    TransportSecuritySettings,
)
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.server import build
from store.database import Store
from store.errors import StoreError
from store.settings import load_settings

gc.freeze()  # What is imported stays.
gc.enable()

CLOSE_SECONDS = 3  # Clients that listen never leave by themselves.


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--transport",
    type=click.Choice(["stdio", "streamable-http", "sse"]),
    default="stdio",
    show_default=True,
    help="stdio for a program on this machine; streamable-http (at /mcp) or sse (at /sse).",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def main(transport: str, host: str, port: int) -> None:
    """Serve the trade history to AI agents (Model Context Protocol).

    DATABASE_URL chooses the database; unset, it is a SQLite file in your data directory.
    """
    if transport != "stdio" and not is_loopback(host):
        refuse(
            f"--host {host} can be reached by others, which needs a token, and this version has"
            " no authentication yet; 127.0.0.1, ::1 and localhost are accepted."
        )
    try:
        store = Store(load_settings())
    except StoreError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"The folder of the database cannot be made: {error.strerror}.")
    asyncio.run(serve(store, transport, host, port))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse(problem: str) -> NoReturn:
    print(f"trade-history-mcp: {problem}", file=sys.stderr)
    sys.exit(2)


async def serve(store: Store, transport: str, host: str, port: int) -> None:
    """Answer until stdin ends or a signal says stop."""
    server = build(store)
    try:
        if transport == "stdio":
            # The thread that reads stdin cannot be interrupted; nothing here needs a farewell.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            await server.run_stdio_async()
        else:
            await serve_http(server, transport, host, port)
    finally:
        await store.close()


async def serve_http(server: MCPServer[Any], transport: str, host: str, port: int) -> None:
    import uvicorn  # Not needed on stdio.

    security = only_from(host, port)
    if transport == "sse":
        application, path = server.sse_app(transport_security=security), "/sse"
    else:
        application, path = server.streamable_http_app(transport_security=security), "/mcp"
    config = uvicorn.Config(
        guarded(application, security),
        host=host,
        port=port,
        http="h11",  # httptools keeps blanks that the protocol says to ignore.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    print(f"Serving on http://{address(host)}:{port}{path}", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve()


def only_from(host: str, port: int) -> TransportSecuritySettings:
    """Requests addressed to this machine by name, and pages served from it; no others.

    A web page elsewhere could otherwise reach the server through the user's browser.
    """
    names = dict.fromkeys([address(host), "127.0.0.1", "localhost", "[::1]"])
    hosts = [f"{name}:{port}" for name in names]
    if port == 80:
        hosts += names  # Clients leave out the port that goes without saying.
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"http://{host}" for host in hosts],
    )


def guarded(application: ASGIApp, security: TransportSecuritySettings) -> ASGIApp:
    """`application` behind the Host and Origin check, on every path.

    The SDK checks too, but its SSE endpoint logs each refusal as a crash, and begins a
    second response when a stream has ended.
    """
    check = TransportSecurityMiddleware(security)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        refusal = await check.validate_request(Request(scope), is_post=False)
        await (refusal or application)(scope, receive, one_response(send))

    return guard


def one_response(send: Send) -> Send:
    """`send` that joins what follows to the first response, and stops at its end."""
    started = complete = False

    async def send_on(message: Message) -> None:
        nonlocal started, complete
        again = message["type"] == "http.response.start" and started
        if not again and not complete:
            started = True
            complete = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

    return send_on


def address(host: str) -> str:
    """`host` as a URL writes it."""
    return f"[{host}]" if ":" in host else host
