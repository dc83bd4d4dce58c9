"""Brokers' files as tests read and record them, and their money by a second method."""

import json
from collections import defaultdict
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from store.database import Store
from store.importers import ImportFile, Statement, read
from store.importers import fitting as formats_fitting
from store.importing import StatementResult, import_file
from store.models import Trade
from store.statements.execution import Execution, Instrument
from store.statements.source import Source
from store.verifying import verify_user

HERE = Path(__file__).parent
SAMPLES = HERE.parents[2] / "shared" / "samples"
SAMPLE = SAMPLES / "tradetally" / "trading-calculation-contracts.json"
MULTIPLIER = {"option": Decimal(100)}


def statement(path: Path, **options: Any) -> Statement:
    """`read`, of a format that has executions."""
    found = read(path, **options)
    assert isinstance(found, Statement)
    return found


def read_trades(path: Path | str, **options: Any) -> ImportFile:
    """`read`, of a format that has trades."""
    found = read(path, **options)
    assert isinstance(found, ImportFile)
    return found


def written(folder: Path, text: str, name: str = "statement.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def of_text(folder: Path, text: str, name: str = "statement.csv", **options: Any) -> Statement:
    return statement(written(folder, text, name), **options)


def changed(path: Path, folder: Path, *edits: tuple[str, str]) -> Path:
    """A copy of `path` in which each old text, which it has once, is the new one."""
    text = path.read_text(encoding="utf-8-sig")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return written(folder, text, path.name)


def changed_statement(folder: Path, name: str, *edits: tuple[str, str]) -> Statement:
    """As `changed`, of the fixture `name`, and read."""
    return statement(changed(HERE / name, folder, *edits))


def sample_case(name: str) -> str:
    """The CSV of a published calculation contract; the test is skipped where it is not here."""
    if not SAMPLE.exists():
        pytest.skip("the sample is not here")
    cases = json.loads(SAMPLE.read_text(encoding="utf-8"))["csv_import_cases"]
    return str(next(one["csv"] for one in cases if one["id"] == name))


def fitting(path: Path) -> list[str]:
    return [one.name for one in formats_fitting(Source(path))]


def refusals(found: Statement) -> list[str]:
    return [f"{one.row} {one.column}: {one.reason}" for one in found.rejected]


def refused(found: Statement | ImportFile) -> list[tuple[int, str]]:
    return [(one.row, one.column) for one in found.rejected]


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


def cash(found: Statement) -> dict[str, Decimal]:
    """Per ticker: sales less purchases less fees, by quantity, price and multiplier."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for one in found.executions:
            size = one.instrument.multiplier or MULTIPLIER.get(one.instrument.kind, Decimal(1))
            worth = one.price * one.quantity * size
            sums[one.instrument.ticker] += (worth if one.side == "sell" else -worth) - one.fee
    return dict(sums)


def moved(found: Statement) -> Decimal:
    """What all executions moved."""
    with localcontext(prec=60):
        return sum(cash(found).values(), Decimal(0))


def stated(found: Statement) -> Decimal:
    """What the file says that they moved."""
    return sum((one.cash or Decimal(0) for one in found.executions), Decimal(0))


def open_tickers(found: Statement) -> dict[str, Decimal]:
    """Per ticker of an instrument that is not flat: bought less sold."""
    held: dict[Instrument, Decimal] = defaultdict(Decimal)
    for one in found.executions:
        held[one.instrument] += one.quantity if one.side == "buy" else -one.quantity
    return {what.ticker: quantity for what, quantity in held.items() if quantity}


async def recorded(store: Store, found: Statement) -> list[Trade]:
    """The trades that `found` makes, by their opening: all of its cash is in trades or closes
    what no file opened. It is imported twice, and the second time nothing may change.
    """
    first = await imported(store, found)
    assert first.cash - first.rounding == moved(found)
    trades = await trades_of(store)
    again = await imported(store, found)
    assert (again.new, again.recorded, again.extended, again.restated) == (0, 0, 0, 0)
    assert results(await trades_of(store)) == results(trades)
    checked = await verify_user(store, 1)
    assert checked.wrong is None, checked.wrong
    return trades


async def imported(store: Store, found: Statement) -> StatementResult:
    return await store.record(
        lambda session: import_file(session, found, take_good=True), keyed=True
    )


async def trades_of(store: Store) -> list[Trade]:
    async with store.read() as session:
        return list(await session.scalars(select(Trade).order_by(Trade.number)))


def results(trades: list[Trade]) -> list[str]:
    """`AAPL closed 597.54928`, by their opening."""
    return [f"{one.ticker} {_result(one)}" for one in trades]


def structured(trades: list[Trade]) -> list[str]:
    """`AAPL vertical closed 597.54928`, by ticker."""
    return sorted(f"{one.ticker} {one.structure} {_result(one)}" for one in trades)


def outcomes(trades: list[Trade]) -> list[tuple[str, str, Decimal | None]]:
    """Ticker, status and net P&L, by ticker."""
    ordered = sorted(trades, key=lambda one: (one.ticker, one.number))
    return [(one.ticker, one.status, one.net_pnl) for one in ordered]


def _result(one: Trade) -> str:
    return one.status if one.net_pnl is None else f"{one.status} {plain(one.net_pnl)}"
