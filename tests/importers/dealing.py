"""What a file's deals come to: money in less money out, and what is left open."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from store.database import Store
from store.importers import ImportFile, Statement, formats, read
from store.importing import import_file
from store.models import Trade
from store.statements.execution import Instrument
from store.statements.source import Source
from store.verifying import verify_user

MULTIPLIER = {"option": Decimal(100)}


def statement(path: Path, **options: Any) -> Statement:
    found = read(path, **options)
    assert isinstance(found, Statement)
    return found


def closed(path: Path, **options: Any) -> ImportFile:
    found = read(path, **options)
    assert isinstance(found, ImportFile)
    return found


def written(folder: Path, text: str, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def cash(found: Statement) -> dict[str, Decimal]:
    """Per ticker: sales less purchases less fees."""
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for one in found.executions:
        size = one.instrument.multiplier or MULTIPLIER.get(one.instrument.kind, Decimal(1))
        worth = one.price * one.quantity * size
        moved[one.instrument.ticker] += (worth if one.side == "sell" else -worth) - one.fee
    return dict(moved)


def open_tickers(found: Statement) -> dict[str, Decimal]:
    """Per ticker of an instrument that is not flat: bought less sold."""
    held: dict[Instrument, Decimal] = defaultdict(Decimal)
    for one in found.executions:
        held[one.instrument] += one.quantity if one.side == "buy" else -one.quantity
    return {what.ticker: quantity for what, quantity in held.items() if quantity}


async def recorded_twice(store: Store, found: Statement) -> list[tuple[str, str, Decimal | None]]:
    """The trades that a file makes, of ticker, status and net P&L; the second time none is new."""
    seen = []
    for _ in range(2):
        result = await store.record(
            lambda session: import_file(session, found, take_good=True), keyed=True
        )
        async with store.read() as session:
            trades = await session.scalars(select(Trade).order_by(Trade.ticker, Trade.number))
            seen.append([(one.ticker, one.status, one.net_pnl) for one in trades])
    assert (result.new, result.recorded, result.extended, result.restated) == (0, 0, 0, 0)
    assert seen[0] == seen[1]
    assert (await verify_user(store, 1)).wrong is None
    return seen[0]


def refused(found: Statement | ImportFile) -> list[tuple[int, str]]:
    return [(one.row, one.column) for one in found.rejected]


def fitting(path: Path) -> list[str]:
    source = Source(path)
    return [name for name, one in formats().items() if one.fits(source)]
