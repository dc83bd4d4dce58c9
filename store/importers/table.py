"""A CSV file as rows of text: decoded, measured and cut, nothing interpreted."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from store.errors import Invalid
from store.importers.imported import Rejection, printable

LARGEST_FILE = 32 * 1024 * 1024
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


def load(path: Path) -> Table:
    """The rows of a comma-separated file in UTF-8, with or without a byte order mark.

    Raises:
        Invalid: it cannot be read as that, is beyond 32 MB or 100,000 rows, or its header
            has a column twice or without a name.
    """
    records = cut(path, decoded(path))
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


def decoded(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Invalid(f"{path.name} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise Invalid(f"{path.name} is larger than {LARGEST_FILE >> 20} MB; split it.")
    zero = content.find(b"\0")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where, byte = row_of(content, error.start), content[error.start]
        raise Invalid(
            f"{path.name} is not UTF-8: row {where} has the byte 0x{byte:02x}."
            " Save it as 'CSV UTF-8'."
        ) from None
    if zero >= 0:
        raise Invalid(f"{path.name} has a NUL in row {row_of(content, zero)}; text is accepted.")
    return text


def row_of(content: bytes, offset: int) -> int:
    return len(content[:offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


def cut(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on; quoted fields may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Invalid(f"{path.name}, row {number} is not CSV: {error}.") from None
        yield number, fields


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
