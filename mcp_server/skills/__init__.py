"""The skill that comes with the server: how to review a trading record with its tools.

The Skills extension (SEP-2640): each file is a resource, and an entry says its size and hash.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import Resource
from mcp.types import INVALID_PARAMS, PaginatedRequestParams, RequestParams

from mcp_server.tools import shown

NAME = "review-my-trading"
URI = f"skill://{NAME}/SKILL.md"
DAY_MS = 86_400_000
LASTING = {"resultType": "complete", "ttlMs": DAY_MS, "cacheScope": "public"}


class SkillNamed(RequestParams):
    uri: str


class SkillText(Resource):
    async def read(self) -> str:
        return text()


class Skills(Extension):
    identifier = "io.modelcontextprotocol/skills"

    def resources(self) -> Sequence[ResourceBinding]:
        return [
            ResourceBinding(
                SkillText(
                    uri=URI,
                    name=NAME,
                    title="Review my trading",
                    description=frontmatter()["description"],
                    mime_type="text/markdown",
                )
            )
        ]

    def methods(self) -> Sequence[MethodBinding]:
        return [
            MethodBinding("skills/list", PaginatedRequestParams, listed),
            MethodBinding("skills/get", SkillNamed, got),
        ]


async def listed(
    _ctx: ServerRequestContext[Any], _params: PaginatedRequestParams
) -> dict[str, Any]:
    return {**LASTING, "skills": [entry()]}


async def got(_ctx: ServerRequestContext[Any], params: SkillNamed) -> dict[str, Any]:
    if params.uri != URI:
        raise MCPError(
            code=INVALID_PARAMS,
            message=f"Unknown skill: {shown(params.uri)}; {URI} is known.",
            data={"uri": params.uri},
        )
    return {**LASTING, "skill": entry()}


def entry() -> dict[str, Any]:
    """The skill with all its files, as `skills/list` and `skills/get` say it."""
    raw = text().encode()
    file = {"uri": URI, "digest": f"sha256:{sha256(raw).hexdigest()}", "size": len(raw)}
    return {"uri": URI, "frontmatter": frontmatter(), "resources": [file]}


def frontmatter() -> dict[str, str]:
    """The lines between the first two rules: one name and value each."""
    _, head, _ = text().split("---\n", 2)
    pairs = (line.partition(": ") for line in head.splitlines())
    return {name: value for name, _, value in pairs}


@cache
def text() -> str:
    # As bytes, for what is hashed is what is read, whatever the machine's ends of lines.
    return (Path(__file__).parent / NAME / "SKILL.md").read_bytes().decode()
