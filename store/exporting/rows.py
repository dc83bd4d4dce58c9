"""A trade as rows of an export, its values still exact."""

from collections.abc import Sequence
from typing import Any

from store.exporting.columns import (
    ACCOUNT,
    CONDITIONS,
    CORRECTION_COLUMNS,
    FILL_COLUMNS,
    LEG_COLUMNS,
    NOTE_COLUMNS,
    NUMBER,
    OWN_FILL_COLUMNS,
    SNAPSHOT_COLUMNS,
    TRADE_COLUMNS,
    Column,
)
from store.exporting.pages import Exported
from store.queries.answer import plain


def flat(one: Exported) -> list[dict[str, Any]]:
    """One row of the trade's own columns."""
    return [{**one.trade, ACCOUNT.name: one.account.name, CONDITIONS.name: conditions(one)}]


def complete(one: Exported) -> list[dict[str, Any]]:
    """One row with everything that belongs to the trade, as text."""
    (own,) = flat(one)
    legs = [
        {**said(LEG_COLUMNS, leg),
         "fills": [said(OWN_FILL_COLUMNS, fill) for fill in one.fills_of(leg)]}
        for leg in one.legs
    ]  # fmt: skip
    row = {
        **said(TRADE_COLUMNS, own),
        "zone": one.account.zone,
        "tolerance": plain(one.account.tolerance),
        "legs": legs,
        "corrections": [said(CORRECTION_COLUMNS, found) for found in one.corrections],
    }
    if one.snapshots is not None:
        row["snapshots"] = [said(SNAPSHOT_COLUMNS, mark) for mark in one.snapshots]
    if one.notes is not None:
        row["untrusted_notes"] = [said(NOTE_COLUMNS, note) for note in one.notes]
    return [row]


def fill_rows(one: Exported) -> list[dict[str, Any]]:
    """A row of each fill, with what it is a fill of."""
    trade = {**one.trade, NUMBER.name: one.trade["number"], ACCOUNT.name: one.account.name}
    every = [{**trade, **leg, **fill} for leg in one.legs for fill in one.fills_of(leg)]
    return [{column.name: row[column.name] for column in FILL_COLUMNS} for row in every]


def conditions(one: Exported) -> dict[str, str | None]:
    """The facts known at entry, as text."""
    return {
        fact["name"]: plain(fact["word"] if fact["number"] is None else fact["number"])
        for fact in one.part("conditions")
    }


def said(columns: Sequence[Column], row: Any) -> dict[str, Any]:
    return {column.name: column.text(row[column.name]) for column in columns}
