"""Files that were made to break their reader: every row is read or refused, nothing else."""

import csv
import io
from pathlib import Path

import pytest

from store.errors import Invalid
from store.importers import formats, read
from store.statements.source import Source
from tests.importers.files import HERE, statement

FILES = {
    "etrade": "Activity/Trade Date",
    "fidelity": "Run Date",
    "robinhood": "Activity Date",
    "tastytrade": "Date",
    "thinkorswim": "DATE",
}
# Elsewhere a row may belong to another: a leg to its spread, cash to the option it settles.
ROW_BY_ROW = ("etrade", "fidelity", "tastytrade")
POISONS = [
    "9" * 400,
    "1e999",
    "NaN",
    "-Infinity",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "12/31/9999",
    "\u202e\x1b[31m",
    "\u0661\u0662",
    "0",
    "-1",
    "",
    "(((1)))",
]


def rows_of(name: str) -> list[list[str]]:
    text = (HERE / f"{name}.csv").read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


def written(folder: Path, rows: list[list[str]]) -> Path:
    path = folder / "hostile.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_its_own_format_only(name: str) -> None:
    source = Source(HERE / f"{name}.csv")

    assert [one.name for one in formats().values() if one.fits(source)] == [name]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("poison", POISONS)
def test_whatever_a_field_holds_its_row_is_read_or_refused(
    tmp_path: Path, name: str, poison: str
) -> None:
    rows = rows_of(name)
    header = next(index for index, row in enumerate(rows) if FILES[name] in row)
    width = len(rows[header])
    for shift in range(width):
        changed = [list(row) for row in rows]
        for index, row in enumerate(changed[header + 1 :]):
            if len(row) == width:  # Another column in each row.
                row[(index + shift) % width] = poison

        found = statement(written(tmp_path, changed))

        assert all(str(one).isprintable() for one in found.rejected)
        if name in ROW_BY_ROW:
            outcomes = len(found.executions) + len(found.cash) + len(found.rejected)
            assert outcomes + sum(found.ignored.values()) == len(
                [row for row in changed[header + 1 :] if sum(map(bool, row)) > 1]
            )
        for one in found.executions:
            assert one.quantity > 0
            assert one.price.is_finite()
            assert one.fee.is_finite()


@pytest.mark.parametrize("name", FILES)
def test_a_header_of_ten_thousand_columns_is_read(tmp_path: Path, name: str) -> None:
    rows = rows_of(name)
    wide = [
        row + [f"x{place}" for place in range(10_000)] if FILES[name] in row else row
        for row in rows
    ]

    found, plain = statement(written(tmp_path, wide)), statement(HERE / f"{name}.csv")

    assert (found.executions, found.rejected == ()) == (plain.executions, plain.rejected == ())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path: Path, name: str) -> None:
    text = (HERE / f"{name}.csv").read_text(encoding="utf-8-sig")
    path = tmp_path / "cut.csv"
    for end in range(400, len(text), 97):
        path.write_text(text[:end], encoding="utf-8")
        try:
            found = read(path)
        except Invalid:
            continue
        assert all(str(one).isprintable() for one in getattr(found, "rejected", ()))
