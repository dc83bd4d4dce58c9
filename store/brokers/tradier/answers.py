"""Tradier's JSON as it comes: of nothing, of one, of many.

Where nothing is there it says null, "null" or an empty text instead of a list, and where one
thing is there it says that thing instead of a list of it. Numbers are numbers, or text now and
then; nothing is a float here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from store.errors import Invalid
from store.statements.amounts import amount
from store.statements.refusing import Refused

Answer: TypeAlias = Mapping[str, Any]
NOTHING = (None, "null", "")


def members(answer: Any, outer: str, inner: str) -> list[Answer]:
    """The things in `{outer: {inner: ...}}`.

    Raises:
        Invalid: that is not what came.
    """
    within = answer.get(outer) if isinstance(answer, dict) else answer
    found = within.get(inner) if isinstance(within, dict) else within
    if found in NOTHING:
        return []
    things = found if isinstance(found, list) else [found]
    if not isinstance(answer, dict) or not all(isinstance(one, dict) for one in things):
        raise Invalid(f"Tradier answered something else than {outer}; nothing of it is recorded.")
    return things


def legs(order: Answer) -> list[Answer]:
    return members({"legs": {"leg": order.get("leg")}}, "legs", "leg")


def text(thing: Answer, name: str) -> str:
    """What is said, without blanks around it; '' where nothing is."""
    found = thing.get(name)
    if found in NOTHING or isinstance(found, (dict, list, bool)):
        return ""
    return str(found).strip()


def number(thing: Answer, name: str) -> Decimal | None:
    """Raises:
    Refused: what is said is no number.
    """
    return amount(text(thing, name), name)


def needed(thing: Answer, name: str) -> Decimal:
    found = number(thing, name)
    if found is None:
        raise Refused(name, "", "a number is needed")
    return found


def moment(thing: Answer, name: str) -> datetime:
    """Raises:
    Refused: it is no moment with an offset.
    """
    said = text(thing, name)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1990 <= found.year < 2200:
        raise Refused(name, said, "a moment such as 2026-01-05T14:30:00.000Z is needed")
    return found.astimezone(UTC)
