"""The description of the API as a page: it loads nothing and runs nothing."""

from collections.abc import Iterator
from html import escape
from typing import Any

from mcp_server.problems import API

STYLE = (
    "body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#8882;padding:.1em .3em}dd{margin:0 0 1rem 1rem;white-space:pre-line}"
)


def page_of(schema: dict[str, Any]) -> str:
    """What can be asked, in the words of the description."""
    about = schema["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(about["title"])}'
        f"</title><style>{STYLE}</style><h1>{escape(about['title'])} {escape(about['version'])}"
        f"</h1><p>{escape(about['description'])}</p><p>For programs: <a"
        f' href="{API}/openapi.json">openapi.json</a> (OpenAPI {escape(schema["openapi"])})</p>'
        f"<dl>{''.join(operations(schema))}</dl></html>"
    )


def operations(schema: dict[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, one in methods.items():
            names = ", ".join(parameter["name"] for parameter in one.get("parameters", []))
            said = f"\nParameters: {names}" if names else ""
            yield (
                f"<dt><code>{method.upper()} {escape(path)}</code></dt>"
                f"<dd>{escape(one.get('description', one['summary']) + said)}</dd>"
            )
