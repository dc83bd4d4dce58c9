"""Many rows of one table in one message to the driver.

A row is bound by its columns' types as everywhere, and a fault is the same one; what is left
out is the work that SQLAlchemy does for each row of a statement.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Base

Bound: TypeAlias = tuple[Any, ...]  # A row as the driver takes it, in the order of its columns.
Processor: TypeAlias = Callable[[Any], Any] | None


class Sheet(NamedTuple):
    """The columns of a table as one database keeps them."""

    table: str
    names: tuple[str, ...]
    binding: tuple[Processor, ...]
    reading: tuple[Processor, ...]

    def bound(self, row: Mapping[str, Any]) -> Bound:
        """`row` as it is kept; what it does not name is null.

        Raises:
            ValueError, TypeError: a value cannot be kept as it is.
        """
        return tuple(
            [
                bind(value) if bind is not None and value is not None else value
                for bind, value in zip(self.binding, map(row.get, self.names), strict=True)
            ]
        )

    def read(self, bound: Bound) -> dict[str, Any]:
        """What a row that is kept so is read as."""
        return {
            name: read(value) if read is not None and value is not None else value
            for name, read, value in zip(self.names, self.reading, bound, strict=True)
        }


async def sheet_of(session: AsyncSession, model: type[Base]) -> Sheet:
    return _sheet(model, (await session.connection()).dialect)


@lru_cache(maxsize=64)
def _sheet(model: type[Base], dialect: Dialect) -> Sheet:
    columns = list(model.__table__.columns)
    types = [column.type.dialect_impl(dialect) for column in columns]
    return Sheet(
        table=model.__tablename__,
        names=tuple(column.name for column in columns),
        binding=tuple(one.bind_processor(dialect) for one in types),
        reading=tuple(one.result_processor(dialect, None) for one in types),
    )


async def insert_bound(session: AsyncSession, sheet: Sheet, rows: Sequence[Bound]) -> None:
    marks = ", ".join(_marks(session, len(sheet.names)))
    columns = ", ".join(sheet.names)
    await _say(session, f"INSERT INTO {sheet.table} ({columns}) VALUES ({marks})", rows)  # noqa: S608


async def update_bound(
    session: AsyncSession,
    sheet: Sheet,
    rows: Iterable[Bound],
    *,
    values: Sequence[str],
    key: Sequence[str],
) -> None:
    """Set the columns `values` of the rows that have the `key` of `rows`."""
    marks = _marks(session, len(values) + len(key))
    said = [f"{name} = {mark}" for name, mark in zip((*values, *key), marks, strict=True)]
    setting, where = ", ".join(said[: len(values)]), " AND ".join(said[len(values) :])
    places = [sheet.names.index(name) for name in (*values, *key)]
    picked = [tuple([row[place] for place in places]) for row in rows]
    await _say(session, f"UPDATE {sheet.table} SET {setting} WHERE {where}", picked)  # noqa: S608


def _marks(session: AsyncSession, count: int) -> list[str]:
    if session.get_bind().dialect.name == "sqlite":
        return ["?"] * count
    return [f"${place}" for place in range(1, count + 1)]


async def _say(session: AsyncSession, statement: str, rows: Sequence[Bound]) -> None:
    if rows:
        await (await session.connection()).exec_driver_sql(statement, list(rows))
