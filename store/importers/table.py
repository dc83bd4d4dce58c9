"""A CSV file as rows of text, cut strictly: every row has the fields of the header."""

from dataclasses import dataclass
from pathlib import Path

from store.errors import Invalid
from store.statements.refusing import Rejection, printable
from store.statements.source import Source, cut

MOST_ROWS = 100_000
COLUMNS_SHOWN = 30


@dataclass(frozen=True)
class Row:
    """`number` is the line its record begins on, as an editor shows it."""

    number: int
    fields: dict[str, str]

    def text(self, column: str) -> str:
        """What the column holds, without spaces around it; '' where there is no column."""
        return self.fields.get(column, "").strip()


@dataclass(frozen=True)
class Table:
    """`rejected` are rows with fewer or more fields than the header, `blank` empty lines."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    rejected: tuple[Rejection, ...]
    blank: int


def load(source: Source) -> Table:
    """The rows of a comma-separated file whose first row is its header.

    Raises:
        Invalid: it is no such file, has more than 1,000,000 rows, or its header has a column
            twice or without a name.
    """
    path = source.path
    records = cut(path, source.text, strict=True)
    first = next(records, None)
    if first is None:
        raise Invalid(f"{path.name} is empty; a CSV file with a header row is accepted.")
    header = checked_header(path, first[1])
    rows: list[Row] = []
    rejected: list[Rejection] = []
    blank = 0
    for number, fields in records:
        if not any(field.strip() for field in fields):
            blank += 1
        elif len(fields) != len(header):
            reason = f"the row has {len(fields)} fields, the header {len(header)}"
            rejected.append(Rejection(path.name, number, "row", printable(fields[0]), reason))
        else:
            rows.append(Row(number, dict(zip(header, fields, strict=True))))
        if len(rows) + len(rejected) > MOST_ROWS:
            raise Invalid(f"{path.name} has more than {MOST_ROWS:,} rows; split it.")
    return Table(path, header, tuple(rows), tuple(rejected), blank)


def checked_header(path: Path, fields: list[str]) -> tuple[str, ...]:
    header = tuple(field.strip() for field in fields)
    for position, name in enumerate(header, start=1):
        if not name:
            raise Invalid(f"{path.name}: column {position} has no name in row 1.")
        if name in header[: position - 1]:
            raise Invalid(f"{path.name} has the column '{printable(name)}' twice.")
    return header


def columns_shown(header: tuple[str, ...]) -> str:
    more = len(header) - COLUMNS_SHOWN
    listed = ", ".join(printable(name) for name in header[:COLUMNS_SHOWN])
    return f"{listed} and {more} more" if more > 0 else listed
