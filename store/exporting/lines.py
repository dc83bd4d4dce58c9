"""Rows as lines of text: JSON, or CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Self

from store.exporting.columns import Column
from store.exporting.generic_rows import HEADER
from store.importers.formulas import guarded
from store.importers.generic_csv import CONDITION


class JsonLines:
    """One object a line, in ASCII; without `columns` the rows are text already."""

    def __init__(self, columns: Sequence[Column] | None) -> None:
        self.columns = columns

    def head(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[dict[str, Any]]) -> bytes:
        return b"".join(json.dumps(self._said(row)).encode() + b"\n" for row in rows)

    def tail(self) -> bytes:
        return b""

    def _said(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.columns is None:
            return row
        return {column.name: column.text(row[column.name]) for column in self.columns}


class CsvLines:
    """Comma-separated lines in UTF-8, in which no text is a formula."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.header = [column.name for column in columns]

    @classmethod
    def generic(cls, conditions: Sequence[str]) -> Self:
        """The format that an import reads; its rows are text already."""
        lines = cls(())
        lines.header = [*HEADER, *(CONDITION + name for name in conditions)]
        return lines

    def head(self) -> bytes:
        return self._lines([{name: name for name in self.header}])

    def rows(self, rows: Sequence[dict[str, Any]]) -> bytes:
        return self._lines([self._said(row) for row in rows])

    def tail(self) -> bytes:
        return b""

    def _said(self, row: dict[str, Any]) -> dict[str, Any]:
        if not self.columns:
            return row
        return {column.name: _field(column, row[column.name]) for column in self.columns}

    def _lines(self, rows: Sequence[dict[str, Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.DictWriter(text, self.header, restval="", lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def _field(column: Column, value: Any) -> Any:
    return guarded(value) if isinstance(value, str) else column.text(value)
