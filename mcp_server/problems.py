"""RFC 9457: what every refusal under /api looks like, whoever refuses."""

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

API = "/api"
MEDIA_TYPE = "application/problem+json"


def is_api(path: str) -> bool:
    """Whether programs ask there, which read problems; elsewhere agents do, which read
    JSON-RPC."""
    return path == API or path.startswith(f"{API}/")


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of a problem; its kind is its status, so its type is left at about:blank."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    said = {"cache-control": "no-store", **(headers or {})}
    body = json.dumps(problem(status, detail, **more))
    return Response(body, status, said, MEDIA_TYPE)
