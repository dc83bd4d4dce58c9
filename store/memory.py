"""What a process remembers between questions: results, each good for one ledger version."""

from asyncio import Event
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

ENTRIES = 1_024  # Of about two hundred users: each has five or so.


class Memory:
    """The results used last, at most `entries`; under one key a newer version replaces an older.

    The version counts what a user has recorded, so that every replica that reads the same
    version gives the same answer, whatever it remembers.
    """

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        self.busy: dict[Hashable, Event] = {}  # What is being worked out.
        self._known: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Hashable, version: int) -> Any | None:
        """What was kept under `key` for exactly this version, else None."""
        kept = self.last(key)
        return kept[1] if kept is not None and kept[0] == version else None

    def last(self, key: Hashable) -> tuple[int, Any] | None:
        """What was kept under `key`, with its version."""
        kept = self._known.get(key)
        if kept is not None:
            self._known.move_to_end(key)
        return kept

    def keep(self, key: Hashable, version: int, result: Any) -> None:
        kept = self._known.get(key)
        if kept is not None and kept[0] > version:
            return  # A reader that began earlier.
        self._known[key] = (version, result)
        self._known.move_to_end(key)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)
