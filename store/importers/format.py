"""What an importer says about its format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from store.accounts import AccountEntry
from store.errors import Invalid
from store.importers.imported import ImportFile, Options
from store.importers.table import Table


@dataclass(frozen=True)
class Format:
    """`marks` are the columns by which a file is recognised, whatever else it has."""

    name: str
    marks: tuple[str, ...]
    parse: Callable[[Table, Options], ImportFile]

    def fits(self, header: Sequence[str]) -> bool:
        have = {column.casefold() for column in header}
        return all(mark.casefold() in have for mark in self.marks)


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
