"""A format that is named for a file which is nothing of the kind: refused, never a crash."""

from pathlib import Path

import pytest

from store.errors import Invalid
from store.importers import formats, read


@pytest.mark.parametrize("name", list(formats()))
@pytest.mark.parametrize(
    "content",
    [
        b"T\xc3\x98", b"{}", b"[]", b"null", b"5", b'"a"', b"[[1]]", b'[{"a": 1}]', b'{"a": [1]}',
        b"<", b"<a/>", b"a,b\n1,2\n", b"PK\x03\x04",
    ],
)  # fmt: skip
def test_a_file_of_another_kind_gives_no_trade(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    try:
        found = read(path, format=name, mode="live")
    except Invalid:
        return
    assert not getattr(found, "trades", ())
    assert not getattr(found, "executions", ())
