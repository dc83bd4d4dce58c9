"""Many rows of one table in one message to the driver.

A row is bound by its columns' types as everywhere, and a fault is the same one; what is left
out is the work that SQLAlchemy does for each row of a statement. SQLite takes row after row of
one prepared statement; PostgreSQL takes columns as arrays, which is two to five times as fast as
row after row and no slower than COPY into a temporary table (COPY into a table under row-level
security is refused). There a statement names the user whose rows they are, so that where users
are on several machines it goes to one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import Base

Bound: TypeAlias = tuple[Any, ...]  # A row as the driver takes it, in the order of its columns.
Processor: TypeAlias = Callable[[Any], Any] | None


class Sheet(NamedTuple):
    """The columns of a table as one database keeps them."""

    table: str
    names: tuple[str, ...]
    types: tuple[str, ...]
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
        types=tuple(str(one.compile(dialect)) for one in types),
        binding=tuple(one.bind_processor(dialect) for one in types),
        reading=tuple(one.result_processor(dialect, None) for one in types),
    )


async def insert_bound(session: AsyncSession, sheet: Sheet, rows: Sequence[Bound]) -> None:
    """Insert rows of the session's user."""
    into = f"INSERT INTO {sheet.table} ({', '.join(sheet.names)})"
    if _is_sqlite(session):
        await _row_by_row(session, f"{into} VALUES ({', '.join('?' * len(sheet.names))})", rows)
    else:
        # The user is of a table: Citus sends the statement on then, and else makes it a COPY.
        whose = {name: f"new.{name}" for name in sheet.names} | {"user_id": "u.user_id"}
        new = f"unnest({_arrays(sheet.types)}) AS new ({', '.join(sheet.names)})"
        one = f"u.user_id = ${len(sheet.names) + 1}"
        said = f"SELECT {', '.join(whose.values())} FROM users u, {new} WHERE {one}"  # noqa: S608
        await _by_columns(session, f"{into} {said}", rows)


async def update_bound(
    session: AsyncSession,
    sheet: Sheet,
    rows: Sequence[Bound],
    *,
    values: Sequence[str],
    key: Sequence[str],
) -> None:
    """Set the columns `values` of the session's user's rows that have the `key` of `rows`."""
    names = *values, *key
    places = [sheet.names.index(name) for name in names]
    picked = [tuple([row[place] for place in places]) for row in rows]
    update = f"UPDATE {sheet.table} AS old SET"
    if _is_sqlite(session):
        setting = ", ".join(f"{name} = ?" for name in values)
        same = " AND ".join(f"{name} = ?" for name in key)
        await _row_by_row(session, f"{update} {setting} WHERE {same}", picked)
    else:
        setting = ", ".join(f"{name} = new.{name}" for name in values)
        same = " AND ".join(f"old.{name} = new.{name}" for name in key)
        new = f"unnest({_arrays([sheet.types[place] for place in places])})"
        one = f"old.user_id = ${len(names) + 1}"
        said = f"{update} {setting} FROM {new} AS new ({', '.join(names)}) WHERE {one} AND {same}"
        await _by_columns(session, said, picked)


def _is_sqlite(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _arrays(types: Iterable[str]) -> str:
    return ", ".join(f"${place}::{kept}[]" for place, kept in enumerate(types, start=1))


async def _row_by_row(session: AsyncSession, statement: str, rows: Sequence[Bound]) -> None:
    if rows:
        await (await session.connection()).exec_driver_sql(statement, list(rows))


async def _by_columns(session: AsyncSession, statement: str, rows: Sequence[Bound]) -> None:
    if rows:
        columns = map(list, zip(*rows, strict=True))
        said = (*columns, user_of(session))
        await (await session.connection()).exec_driver_sql(statement, said)
