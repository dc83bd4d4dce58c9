"""Statements that are built and compiled once for each shape, and said to the driver itself.

What a question asks for comes as named parameters, so that a statement is the same text
whatever is asked: building and compiling one takes longer than the database takes to
answer it.
"""

from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Dialect, Select, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Count
from store.database import driver_of
from store.stopping import stopped_in_time

SHAPES = 500
USER: BindParameter[int] = bindparam("user_id", type_=Count)

Process = Callable[[Any], Any] | None


@dataclass(frozen=True)
class Compiled:
    """The text of a statement, and how values go in and come out."""

    text: str
    parameters: Sequence[tuple[str, Any, Process]]  # Name, the statement's own value, its form.
    results: Sequence[Process]
    row: Callable[..., Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        given = ((values.get(name, own), form) for name, own, form in self.parameters)
        return [value if form is None else form(value) for value, form in given]

    def read(self, row: Sequence[Any]) -> Any:
        return self.row(*(
            value if form is None else form(value)
            for value, form in zip(row, self.results, strict=True)
        ))  # fmt: skip


_compiled: dict[tuple[str, Hashable], Compiled] = {}


async def fetch(
    session: AsyncSession,
    build: Callable[[], Select[Any]],
    values: Mapping[str, Any],
    *,
    shape: Hashable | None,
) -> list[Any]:
    """The rows of the statement that `build` gives, each with its columns by name.

    `shape` stands for every statement that differs in `values` only; None is not kept.
    """
    dialect = session.get_bind().dialect
    found = _compiled.get((dialect.name, shape))
    if found is None:
        found = compiled(build(), dialect)
        if shape is not None:
            if len(_compiled) >= SHAPES:
                _compiled.clear()
            _compiled[dialect.name, shape] = found
    driver, bound = driver_of(session), found.bound(values)
    if dialect.name == "sqlite":
        async with stopped_in_time(driver, session.info["seconds"]):
            rows = await driver.execute_fetchall(found.text, bound)
    else:
        rows = await driver.fetch(found.text, *bound)
    return [found.read(row) for row in rows]


def compiled(statement: Select[Any], dialect: Dialect) -> Compiled:
    """`statement` in the words of `dialect`."""
    said = statement.compile(dialect=dialect)
    names: Sequence[str] = said.positiontup or ()
    columns = statement.selected_columns
    return Compiled(
        text=said.string,
        parameters=[
            (name, said.params[name], said.binds[name].type.dialect_impl(dialect)
             .bind_processor(dialect))
            for name in names
        ],
        results=[
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in columns
        ],
        row=namedtuple("Row", [column.key for column in columns]),  # type: ignore[misc]
    )  # fmt: skip
