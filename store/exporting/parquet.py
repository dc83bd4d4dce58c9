"""Rows as a Parquet file: decimals exact, moments in UTC.

pyarrow is 160 MB, so it comes with `trade-history-mcp[parquet]` only.
"""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter
from sqlalchemy import Integer

from store.columns import Day, Moment, Scaled
from store.exporting.columns import CONDITIONS, Column

GROUP = 10_000  # Rows that are compressed together, and held in memory until then.
INTEGER_DIGITS = 19  # Of the 64-bit integers that the decimals are kept as.


class ParquetFile:
    def __init__(self, columns: Sequence[Column]) -> None:
        self.schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
        self.written = Written()
        self.writer = ParquetWriter(self.written, self.schema, compression="zstd")
        self.waiting: list[dict[str, Any]] = []

    def head(self) -> bytes:
        return self.written.taken()

    def rows(self, rows: Sequence[dict[str, Any]]) -> bytes:
        self.waiting.extend(rows)
        if len(self.waiting) >= GROUP:
            self._write()
        return self.written.taken()

    def tail(self) -> bytes:
        self._write()
        self.writer.close()
        return self.written.taken()

    def _write(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.Table.from_pylist(self.waiting, schema=self.schema))
            self.waiting.clear()


class Written(io.RawIOBase):
    """What was written and not yet taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.length = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self.parts.append(bytes(part))
        self.length += len(part)
        return len(part)

    def tell(self) -> int:
        return self.length

    def taken(self) -> bytes:
        found = b"".join(self.parts)
        self.parts.clear()
        return found


def arrow_type(column: Column) -> Any:
    kind = column.kind
    if column == CONDITIONS:
        return pa.map_(pa.string(), pa.string())
    if isinstance(kind, Scaled):
        return pa.decimal128(INTEGER_DIGITS, kind.digits)
    if isinstance(kind, Moment):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, Day):
        return pa.date32()
    return pa.int64() if isinstance(kind, Integer) else pa.string()
