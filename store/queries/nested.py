"""Rows inside a row: a select as one JSON value, so that a whole trade is one round trip."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator

from store.columns import Day, Moment, Scaled


class Rows(TypeDecorator[list[dict[str, Any]]]):
    """A JSON array of objects whose values are read as the columns they came from."""

    impl = Text
    cache_ok = True

    def __init__(self, types: tuple[tuple[str, Any], ...]) -> None:
        super().__init__()
        self.types = types

    def process_result_value(self, value: Any, dialect: Dialect) -> list[dict[str, Any]]:
        return [
            {name: _read(row[name], kind, dialect) for name, kind in self.types}
            for row in json.loads(value or "[]")
        ]


def rows_of(dialect: str, statement: Select[Any]) -> ColumnElement[list[dict[str, Any]]]:
    """The rows of an ordered select, in its order, as one column of another select."""
    inner = statement.subquery()
    pairs = [part for column in inner.c for part in (literal_column(f"'{column.name}'"), column)]
    every = (
        func.json_group_array(func.json_object(*pairs))
        if dialect == "sqlite"
        else func.json_agg(func.json_build_object(*pairs))
    )
    kind = Rows(tuple((column.name, column.type) for column in inner.c))
    return type_coerce(select(cast(every, Text)).scalar_subquery(), kind)


def _read(value: Any, kind: Any, dialect: Dialect) -> Any:
    if isinstance(kind, Moment) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(kind, (Scaled, Day)):
        return kind.process_result_value(value, dialect)
    return value
