"""A file as a format meets it: its text, its JSON, or its rows, nothing interpreted.

Brokers put titles above the header, totals below the last row, and several tables into one
file; so a row is found by what it holds, and short rows are filled up.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from store.errors import Invalid

LARGEST_FILE = 32 * 1024 * 1024
LONGEST_HEAD = 60  # Rows in which a header is looked for.
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SEPARATORS = (",", ";", "\t")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(frozen=True, slots=True)
class Row:
    """`number` is the line its record begins on, as an editor shows it. Columns are found
    whatever their case."""

    number: int
    fields: Sequence[str]
    places: dict[str, int]

    def text(self, *columns: str) -> str:
        """What the first of `columns` that the table has holds, without spaces around it; ''
        where there is none."""
        for column in columns:
            place = self.places.get(column.casefold())
            if place is not None:
                return self.fields[place].strip() if place < len(self.fields) else ""
        return ""

    @property
    def alone(self) -> bool:
        """Whether one field only holds something, as in titles, totals and disclaimers."""
        return sum(1 for field in self.fields if field.strip()) == 1

    def __bool__(self) -> bool:
        return any(field.strip() for field in self.fields)


@dataclass(frozen=True)
class Table:
    """Rows under one header. `rows` may be gone through again and again."""

    header: tuple[str, ...]
    rows: Sequence[Row]

    def has(self, *columns: str) -> bool:
        have = {column.casefold() for column in self.header}
        return all(column.casefold() in have for column in columns)


class Source:
    """The file `path`, read once, at most 32 MB of it.

    Raises:
        Invalid: it cannot be read, is larger, or is no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _text(path)

    @cached_property
    def head(self) -> str:
        """Its first letters, by which it is recognised."""
        return self.text[:4096].lstrip()

    @cached_property
    def json(self) -> Any:
        """The file as JSON, numbers exactly; None if it is none."""
        if not self.head.startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    @property
    def records(self) -> "Records":
        """The rows of a separated file with the line each begins on.

        Raises:
            Invalid: gone through, it is no such file.
        """
        return Records(self)

    @cached_property
    def separator(self) -> str:
        """What separates fields: of comma, semicolon and tab the one that its first lines have
        most of."""
        head = "\n".join(self.text.split("\n", LONGEST_HEAD)[:LONGEST_HEAD])
        return max(SEPARATORS, key=head.count)

    def has_header(self, *marks: str) -> bool:
        """Whether one of its first rows has all of `marks`; False for what is no such file."""
        if self.head.startswith(("{", "[", "<")):
            return False
        try:
            return self._header(marks) is not None
        except Invalid:
            return False

    def table(self, *marks: str) -> Table | None:
        """The rows under the first header that has all of `marks`, to the file's end; None
        where none of its first rows is one. Blank rows are left out."""
        index = self._header(marks)
        if index is None:
            return None
        records = self.records.after(index)
        _, header = next(records)
        return table_of(header, records)

    def _header(self, marks: Sequence[str]) -> int | None:
        wanted = {mark.casefold() for mark in marks}
        for index, (_, fields) in enumerate(self.records.first(LONGEST_HEAD)):
            if wanted <= {field.strip().casefold() for field in fields}:
                return index
        return None


@dataclass(frozen=True, slots=True)
class Records:
    """Cut from the text anew each time that they are gone through: together they would take
    many times its memory."""

    source: Source

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return cut(self.source.path, self.source.text, self.source.separator)

    def first(self, count: int) -> list[tuple[int, list[str]]]:
        return list(islice(self, count))

    def after(self, count: int) -> Iterator[tuple[int, list[str]]]:
        """Those that follow the first `count`."""
        return islice(self, count, None)


def table_of(header: Sequence[str], records: Iterable[tuple[int, Sequence[str]]]) -> Table:
    """`records` under `header`; of columns with the same name the first is found."""
    names = tuple(field.strip() for field in header)
    return Table(names, list(_filled(records, places_of(header))))


def places_of(header: Sequence[str]) -> dict[str, int]:
    """Where the columns of a header stand, by their names as a `Row` looks them up."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        places.setdefault(name.strip().casefold(), place)
    return places


def cut(
    path: Path, text: str, separator: str = ",", *, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on; quoted fields may hold line breaks.

    Raises:
        Invalid: it is no separated file, `strict` where quotes stand inside of fields.
    """
    # io.StringIO would hold four bytes for each letter.
    lines = (found[0] for found in LINE.finditer(text))
    reader = csv.reader(lines, delimiter=separator, strict=strict)
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Invalid(f"{path.name}, row {number} is not CSV: {error}.") from None
        yield number, fields


def _filled(records: Iterable[tuple[int, Sequence[str]]], places: dict[str, int]) -> Iterator[Row]:
    for number, fields in records:
        row = Row(number, fields, places)
        if row:
            yield row


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Invalid(f"{path.name} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise Invalid(f"{path.name} is larger than {LARGEST_FILE >> 20} MB; split it.")
    try:
        text = content.decode(BYTE_ORDER_MARKS.get(content[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise Invalid(
            f"{path.name} is not UTF-8: row {row} has the byte 0x{content[error.start]:02x}."
            " Save it as 'CSV UTF-8'."
        ) from None
    if (zero := text.find("\0")) >= 0:
        row = text[:zero].count("\n") + 1
        raise Invalid(f"{path.name} has a NUL in row {row}; text is accepted.")
    if not text.strip():
        raise Invalid(f"{path.name} is empty.")
    return text
