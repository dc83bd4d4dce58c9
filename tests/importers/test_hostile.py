"""Files that are made to harm: none is taken for a broker's, none takes long."""

from pathlib import Path

import pytest

from store.errors import Invalid
from store.importers import formats, read
from store.statements.source import Source

WIDE = ",".join(f"column {number}" for number in range(10_000))
FILES = {
    "wide.csv": WIDE + "\n" + "," * 9_999 + "\n",
    "formulas.csv": "=cmd|' /C calc'!A0,@SUM(1)\n1,2\n",
    "deep.json": "[" * 100_000,
    "nothing.json": "[]",
    "numbers.json": "[1, 2, 1e999, NaN]",
    "longest.json": '{"history": ' + "9" * 5_000 + "}",
    "entities.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "page.html": "<html><body><h1>Trade</h1></body></html>",
    "words.txt": "to be or not to be\n" * 1_000,
}


@pytest.mark.parametrize("name", FILES)
def test_no_format_takes_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")

    assert [one.name for one in formats().values() if one.fits(Source(path))] == []
    with pytest.raises(Invalid, match="is in no known format"):
        read(path)
