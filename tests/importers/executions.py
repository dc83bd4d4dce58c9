"""A statement's executions as short lines, and what they moved."""

from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from store.importers import Statement, read
from store.statements.execution import Execution


def statement(path: Path, **options: Any) -> Statement:
    found = read(path, **options)
    assert isinstance(found, Statement)
    return found


def of_text(folder: Path, text: str, name: str = "statement.csv", **options: Any) -> Statement:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return statement(path, **options)


def changed(path: Path, folder: Path, *edits: tuple[str, str]) -> Path:
    """A copy of `path` in which each old text, which it has once, is the new one."""
    text = path.read_text(encoding="utf-8-sig")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    copy = folder / path.name
    copy.write_text(text, encoding="utf-8")
    return copy


def lines(found: Statement) -> list[str]:
    return [line(one) for one in found.executions]


def line(one: Execution) -> str:
    """`2026-01-05 14:30:00 buy 2 AAPL 260116 call 150 at 1.5 fee 1.3 expired`, moments in UTC."""
    traded = one.instrument
    words = [f"{one.at:%Y-%m-%d %H:%M:%S}", one.side or "end", plain(one.quantity), traded.ticker]
    if traded.kind == "option" and traded.expiry and traded.strike:
        words += [f"{traded.expiry:%y%m%d}", str(traded.option_type), plain(traded.strike)]
    words += ["at", plain(one.price), "fee", plain(one.fee)]
    words += [] if one.kind == "trade" else [one.kind]
    words += ["delivery"] if one.delivery else []
    return " ".join(words)


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def moved(found: Statement) -> Decimal:
    """What all executions moved, by their prices and fees."""
    with localcontext(prec=60):
        return sum(
            (
                (1 if one.side == "sell" else -1) * one.quantity * one.price * one.instrument.unit
                - one.fee
                for one in found.executions
            ),
            Decimal(0),
        )


def refusals(found: Statement) -> list[tuple[int, str]]:
    return [(one.row, one.column) for one in found.rejected]
