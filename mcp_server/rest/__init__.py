"""REST under /api: what agents ask by MCP, programs ask here, and record through it.

The same commands and questions of the store, the same tokens, limits and records.
"""

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse, Response

from mcp_server.door import Door
from mcp_server.problems import API
from mcp_server.rest import books, exports, imports, operating, trades
from mcp_server.rest.desk import Desk
from mcp_server.rest.page import page_of
from mcp_server.rest.questions import questions_router
from mcp_server.rest.refusals import Problem, translate
from mcp_server.rest.schemas import described
from mcp_server.server import program_version

ABOUT = """\
Record trades and ask what the record shows.

Money, prices and quantities are exact decimals: strings in answers, strings or numbers in
requests. Moments carry their offset from UTC. Whatever is refused is answered by a problem
(RFC 9457) that names the field, its value and what is accepted. Writes that record something
take an `Idempotency-Key`, so that a retry records nothing twice; accounts, settings and files
are their own key. Answers of the ledger carry an `ETag` that changes when something is
recorded."""

PAGE_ONLY = "default-src 'none'; style-src 'unsafe-inline'"


def api(door: Door) -> FastAPI:
    """The application under /api, which has no lifespan of its own."""
    app = FastAPI(
        title="Trade history",
        version=program_version(),
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # Its records would repeat what is refused, secrets too.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.desk = Desk(door)
    written = (trades.router, books.router, imports.router, exports.router, operating.router)
    for router in (*written, questions_router(door)):
        app.include_router(router)
    describe(app, with_tokens=door.many)
    translate(app)
    return app


def describe(app: FastAPI, *, with_tokens: bool) -> None:
    """Serve the description of `app`, for programs and for people."""
    made = described(
        get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        ),
        Problem,
        with_tokens=with_tokens,
    )
    app.openapi = lambda: made  # type: ignore[method-assign]

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(made)

    @app.get(f"{API}/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page_of(made), headers={"content-security-policy": PAGE_ONLY})
