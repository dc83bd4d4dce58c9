"""Broker's files as tests read them: statements, and money by a second method."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from store.database import Store
from store.importers import Statement, read
from store.importing import StatementResult, import_file
from store.models import Trade
from store.statements.execution import Execution
from store.verifying import verify_user

HERE = Path(__file__).parent
SAMPLES = HERE.parents[2] / "shared" / "samples"
SAMPLE = SAMPLES / "tradetally" / "trading-calculation-contracts.json"


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
    marks: list[str] = [one.kind] if one.kind != "trade" else []
    what = terms.ticker
    if terms.kind == "option":
        what += f" {terms.expiry} {plain(terms.strike or Decimal(0))} {terms.option_type}"
    if one.effect and not marks:
        marks.append(one.effect)
    if one.delivery:
        marks.append("delivered")
    deal = f"{one.side} {plain(one.quantity)} @ {plain(one.price)} fee {plain(one.fee)}"
    return " ".join([f"{one.at:%m-%d %H:%M:%S}", what, deal, *marks])


def plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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


def sample_case(name: str) -> str:
    """The CSV of a published calculation contract; the test is skipped where it is not here."""
    if not SAMPLE.exists():
        pytest.skip("the sample is not here")
    cases = json.loads(SAMPLE.read_text(encoding="utf-8"))["csv_import_cases"]
    return str(next(one["csv"] for one in cases if one["id"] == name))


async def recorded(store: Store, found: Statement) -> list[str]:
    """The trades that `found` makes, in lines by ticker: its structure, status and net P&L. It
    is imported twice, and the second time nothing may change."""
    await _import(store, found)
    trades = await _trades(store)
    again = await _import(store, found)
    assert (again.new, again.recorded, again.extended, again.restated) == (0, 0, 0, 0)
    assert await _trades(store) == trades
    checked = await verify_user(store, 1)
    assert checked.wrong is None, checked.wrong
    return trades


async def _import(store: Store, found: Statement) -> StatementResult:
    result = await store.record(
        lambda session: import_file(session, found, take_good=True), keyed=True
    )
    assert result.unopened == ()
    return result


async def _trades(store: Store) -> list[str]:
    async with store.read() as session:
        return sorted(
            f"{one.ticker} {one.structure} {one.status}"
            + ("" if one.net_pnl is None else f" {plain(one.net_pnl)}")
            for one in await session.scalars(select(Trade))
        )
