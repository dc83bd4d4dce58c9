"""Rows of a broker's JSON, whose fields are text whatever the broker wrote them as."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """`number` counts the file's objects, the first being 1."""

    number: int
    fields: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """The field, or the field inside of fields, as text; '' where there is none or it
        holds no plain value."""
        found: Any = self.fields
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, bool) or not isinstance(found, (str, int, Decimal)):
            return ""
        text = str(found).strip()
        return "" if text == "null" else text


def listed(found: Any, *names: str) -> list[Any] | None:
    """What lies under `names`, as a list: one object alone, `null` and "null" are lists of
    one and none. None where a name is missing."""
    for name in names:
        if found in (None, "null"):
            return []
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    if found in (None, "null"):
        return []
    return found if isinstance(found, list) else [found]


def numbered(objects: Iterable[Any]) -> Iterator[Record]:
    """Records of `objects`; lists inside (pages) are opened, what is no object is left empty."""
    flat = (one for page in objects for one in (page if isinstance(page, list) else [page]))
    for number, one in enumerate(flat, start=1):
        yield Record(number, one if isinstance(one, Mapping) else {})
