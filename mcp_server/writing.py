"""Every command of the store becomes a tool of the same name, where the operator lets agents
write.

Listed for every caller alike; a token that only reads is refused at the call. To add a
tool, add a file to `store/commands`; nothing here changes.
"""

from typing import Any, ClassVar

from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from mcp_server.door import Door
from mcp_server.tools import Question, with_shapes
from store import commands
from store.queries.answer import Told

# Said again, word for word, each is refused or answered with what it did: it happens once.
ADDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
REPLACES = ADDS.model_copy(update={"destructive_hint": True})
REPLACING = {"correct_trade", "void_trade"}  # A trade does not count any more.


INSTRUCTIONS = """

Some tools write to the record. Record only what the user stated or a broker confirmed, never an \
estimate; show a dry_run and let the user agree before you write. Give every call a key."""


class Adding(Question):
    """A command of the store, as an agent meets it."""

    hints: ClassVar[ToolAnnotations] = ADDS

    async def answer(self, accepted: dict[str, Any]) -> Told:
        said = {name: value for name, value in accepted.items() if name != "dry_run"}
        author = self._door.author()

        async def carry_out(session: Any) -> Told:
            told: Told = await self.fn(session, author=author, **said)
            return told

        if accepted["dry_run"]:
            return await self._door.rehearse(carry_out)
        return await self._door.record(carry_out, keyed=accepted["key"] is not None)


class Replacing(Adding):
    hints: ClassVar[ToolAnnotations] = REPLACES


def tools(door: Door) -> list[Tool]:
    """Every command as a tool, in alphabetical order."""
    return with_shapes(
        [
            (Replacing if command.__name__ in REPLACING else Adding).about(command, door)
            for command in commands.load()
        ]
    )
