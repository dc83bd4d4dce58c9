"""Files of trades, as most tests of importing need them."""

from pathlib import Path
from typing import Any

from store.importers import ImportFile, read


def read_trades(path: Path | str, **options: Any) -> ImportFile:
    """`read`, of a format that has trades."""
    found = read(path, **options)
    assert isinstance(found, ImportFile)
    return found
