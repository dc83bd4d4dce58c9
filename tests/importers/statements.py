"""Broker's files as tests read them: statements, and money by a second method."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from store.importers import Statement, read
from store.statements.execution import Execution

HERE = Path(__file__).parent


def statement(path: Path, **options: Any) -> Statement:
    found = read(path, **options)
    assert isinstance(found, Statement)
    return found


def of_text(folder: Path, text: str, **options: Any) -> Statement:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    return statement(path, **options)


def changed(folder: Path, name: str, *edits: tuple[str, str]) -> Statement:
    """The fixture `name` with texts, each of which it holds once, replaced."""
    text = (HERE / name).read_text(encoding="utf-8-sig")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return of_text(folder, text)


def refusals(found: Statement) -> list[str]:
    return [f"{one.row} {one.column}: {one.reason}" for one in found.rejected]


def shown(one: Execution) -> str:
    """An execution in a line: when (UTC), what, how many at which price, and the fee."""
    terms = one.instrument
    what = terms.ticker
    if terms.kind == "option":
        strike = (
            f"{terms.strike:f}".rstrip("0").rstrip(".")
            if "." in str(terms.strike)
            else terms.strike
        )
        what = f"{terms.ticker} {terms.expiry} {strike} {terms.option_type}"
    marks = [one.kind] if one.kind != "trade" else []
    marks += [one.effect] if one.effect and one.kind == "trade" else []
    marks += ["delivered"] if one.delivery else []
    return " ".join(
        [
            f"{one.at:%m-%d %H:%M:%S}",
            what,
            str(one.side),
            f"{plain(one.quantity)} @ {plain(one.price)} fee {plain(one.fee)}",
            *marks,
        ]
    )


def plain(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def money(executions: tuple[Execution, ...]) -> Decimal:
    """What the executions moved by quantity, price, multiplier and fee."""
    return sum(
        (
            (1 if one.side == "sell" else -1)
            * one.quantity
            * one.price
            * (one.instrument.multiplier or (100 if one.instrument.kind == "option" else 1))
            - one.fee
            for one in executions
        ),
        Decimal(0),
    )


def stated(executions: tuple[Execution, ...]) -> Decimal:
    """What the file says that they moved."""
    return sum((one.cash or Decimal(0) for one in executions), Decimal(0))
