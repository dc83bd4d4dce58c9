"""What an importer says about its format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from store.accounts import AccountEntry
from store.errors import Invalid
from store.importers.imported import ImportFile, Options
from store.importers.table import Table, load
from store.statements.execution import Statement
from store.statements.source import Source, cut


@dataclass(frozen=True)
class Format:
    """`known_by` says in words what `fits` looks for; `parse` reads a file that fits."""

    name: str
    known_by: str
    fits: Callable[[Source], bool]
    parse: Callable[[Source, Options], ImportFile | Statement]


def of_columns(
    name: str, marks: Sequence[str], parse: Callable[[Table, Options], ImportFile]
) -> Format:
    """A format whose first row is a header with the columns `marks`, whatever else it has."""

    def fits(source: Source) -> bool:
        if source.json is not None or source.head.startswith("<"):
            return False
        first = next(cut(source.path, source.text, strict=True), (0, []))[1]
        have = {column.strip().casefold() for column in first}
        return all(mark.casefold() in have for mark in marks)

    return Format(
        name,
        f"the columns {', '.join(marks)}",
        fits,
        lambda source, options: parse(load(source), options),
    )


def account_of(**values: Any) -> AccountEntry:
    """An account as the user named it; what was not said has the account's own default."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return AccountEntry.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = str(first["loc"][0]) if first["loc"] else "account"
    raise Invalid(
        f"The account's {place} is refused: {first['msg'].removeprefix('Value error, ')}."
    )
