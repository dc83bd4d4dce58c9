"""The store in words: what its numbers mean, and which tables and columns it has.

For prompts that work on the database itself. The columns are read off the models, so that
they say what is there.
"""

import re
from collections.abc import Iterator
from functools import cache
from inspect import getdoc
from pathlib import Path
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table

from store.columns import Day, Moment, Scaled
from store.models import (
    Account,
    Base,
    Condition,
    Correction,
    Fill,
    Leg,
    Note,
    PricePath,
    Snapshot,
    Strategy,
    Trade,
)
from store.queries.answer import DEFINITIONS

# The ledger itself, without what runs it: users, tokens, keys of requests, the audit.
LEDGER: tuple[type[Base], ...] = (
    Account, Strategy, Trade, Leg, Fill, Condition, Snapshot, PricePath, Correction, Note,
)  # fmt: skip
ONE_OF = re.compile(r"^(\w+) IN \(([^)]+)\)$")
PREAMBLE = """\
# Tables of the ledger

Every table has `user_id`, and every key begins with it. Only trades whose status is `closed` \
count; `superseded` and `void` ones were corrected. Sums over scaled integers are exact: sum \
first, divide after. The views `trades_readable`, `legs_readable`, `fills_readable` and \
`snapshots_readable` show the same rows in plain units. The snapshots of an open trade are rows \
of `snapshots`, those of any other one row of `paths`; the view `points` shows all of them, with \
the columns of `snapshots`, as `snapshots_readable` does.
"""


@cache
def definitions() -> str:
    """What each number of an answer means, in Markdown; the README says the same."""
    text = Path(__file__).with_name("definitions.md").read_text(encoding="utf-8")
    return f"{text}\nVersion {DEFINITIONS} of the definitions.\n"


@cache
def schema() -> str:
    """Tables, columns and units of the ledger, in Markdown."""
    return "\n".join([PREAMBLE, *(line for model in LEDGER for line in _table(model))])


def _table(model: type[Base]) -> Iterator[str]:
    table: Table = model.__table__  # type: ignore[assignment]
    about = " ".join(str(getdoc(model)).split())
    words = dict(_allowed(table))
    yield f"## {table.name}\n"
    yield f"{about} Key: {', '.join(table.primary_key.columns.keys())}.\n"
    for column in table.columns:
        null = ", or null" if column.nullable else ""
        listed = f": {words[column.name]}" if column.name in words else ""
        yield f"- `{column.name}` {_kind(column)}{null}{listed}"
    yield ""


def _kind(column: Column[Any]) -> str:
    """How a column's values are kept, with their unit."""
    match column.type:
        case Scaled(digits=digits):
            return f"integer in units of 1e-{digits}"
        case Moment():
            return "moment in UTC"
        case Day():
            return "day in the account's zone"
        case other:
            return "text" if other.python_type is str else "integer"


def _allowed(table: Table) -> Iterator[tuple[str, str]]:
    """The words that a column takes, where a constraint lists them."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            found = ONE_OF.match(str(constraint.sqltext))
            if found:
                yield found[1], found[2].replace("'", "")
