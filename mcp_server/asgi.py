"""Everything that is served over HTTP, as one ASGI application behind one gate.

From outside to inside: Host and Origin (who may address this server from a browser), the
metadata that tells a client where tokens come from, the gate (whose token, how often), then
MCP and, under /api, REST.
"""

from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.auth.routes import build_resource_metadata_url
from mcp.server.transport_security import (
    TransportSecurityMiddleware,
    TransportSecuritySettings,
)
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.door import Door
from mcp_server.problems import is_api, problem_response
from mcp_server.settings import NetworkSettings
from store.tokens import SCOPES

PATHS = {"streamable-http": "/mcp", "sse": "/sse"}
METADATA = "/.well-known/"
ADDRESSED = {
    421: "The Host is not a name of this server; ask it by its own address.",
    403: "The Origin is another site; programs and pages of this server are accepted.",
}
SESSIONS_MAX = 1_000  # Of older clients; each is kept for half an hour, at 40 kB.


def application(
    server: MCPServer[Any],
    transport: str,
    security: TransportSecuritySettings,
    gate: Callable[[ASGIApp], ASGIApp] | None = None,
    api: ASGIApp | None = None,
) -> ASGIApp:
    """The server over HTTP, with `api` beside it: for whoever reaches it, or for those whom
    `gate` lets through."""
    if transport == "sse":
        inside: ASGIApp = server.sse_app(transport_security=security)
    else:
        inside = server.streamable_http_app(transport_security=security, max_sessions=SESSIONS_MAX)
    if api is not None:
        inside = beside_api(inside, api)
    return guarded(gate(inside) if gate else inside, security)


def beside_api(agents: ASGIApp, api: ASGIApp) -> ASGIApp:
    """Requests of programs go to `api`; all others, and the lifespan, to `agents`."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        of_programs = scope["type"] == "http" and is_api(scope["path"])
        await (api if of_programs else agents)(scope, receive, send)

    return either


def gate_of(door: Door, transport: str, network: NetworkSettings) -> Callable[[ASGIApp], ASGIApp]:
    """What lets only those through whose token says who they are."""
    # What reads tokens and counts calls is not needed without them.
    from mcp_server.callers import Callers
    from mcp_server.gate import Gate, Limiter
    from mcp_server.oauth import Issuer

    limiter = Limiter(network.rate_limit_url.get_secret_value())
    if network.oauth_issuer is None:
        return lambda inside: Gate(inside, Callers(door), limiter)
    resource = AnyHttpUrl(f"{network.public_url}{PATHS[transport]}")
    issuer = Issuer(
        network.oauth_issuer,
        network.oauth_audience or str(resource),
        str(network.oauth_jwks_url),
        network.oauth_user_claim,
    )
    callers, url = Callers(door, issuer), str(build_resource_metadata_url(resource))
    return lambda inside: beside_metadata(
        Gate(inside, callers, limiter, url), resource, issuer.issuer
    )


def beside_metadata(gate: ASGIApp, resource: AnyHttpUrl, issuer: str) -> ASGIApp:
    """RFC 9728: what this resource is called and who gives tokens for it, open to all.

    The SDK's own would add a slash to an issuer's name, which has to be said exactly.
    """
    said = {
        "resource": str(resource),
        "authorization_servers": [issuer],
        "scopes_supported": [scope for scope in SCOPES if scope != "admin"],
        "bearer_methods_supported": ["header"],
    }

    async def metadata(_request: Request) -> Response:
        return JSONResponse(said, headers={"cache-control": "public, max-age=3600"})

    path = str(build_resource_metadata_url(resource).path)
    routes = Router([Route(path, metadata)])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        open_to_all = scope["type"] == "http" and scope["path"].startswith(METADATA)
        await (routes if open_to_all else gate)(scope, receive, send)

    return either


def only_from(host: str, port: int, public_url: str | None = None) -> TransportSecuritySettings:
    """Requests addressed to this server by its names, and pages served from it; no others.

    A web page elsewhere could otherwise reach the server through the user's browser.
    """
    names = dict.fromkeys([address(host), "127.0.0.1", "localhost", "[::1]"])
    hosts = [f"{name}:{port}" for name in names]
    if port == 80:
        hosts += names  # Clients leave out the port that goes without saying.
    origins = [f"http://{host}" for host in hosts]
    if public_url is not None:
        scheme, _, rest = public_url.partition("://")
        hosts.append(rest.partition("/")[0])
        origins.append(f"{scheme}://{hosts[-1]}")
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )


def guarded(application: ASGIApp, security: TransportSecuritySettings) -> ASGIApp:
    """`application` behind the Host and Origin check, on every path.

    The SDK checks too, but its SSE endpoint logs each refusal as a crash, and begins a
    second response when a stream has ended.
    """
    check = TransportSecurityMiddleware(security)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # Nothing else is served, and nothing else would be guarded.
        refusal = await check.validate_request(Request(scope), is_post=False)
        if refusal is not None and is_api(scope["path"]):
            status = refusal.status_code
            refusal = problem_response(status, ADDRESSED.get(status, "The request is refused."))
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
