"""Executions as tests write them: `bought(100, "10.00", "2026-01-05 10:00")`."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from store.accounts import AccountEntry
from store.statements.execution import CashRow, Execution, Instrument, Statement

NEW_YORK = ZoneInfo("America/New_York")
SHARES = Instrument("equity", "AAPL")


def option(terms: str, ticker: str = "SPY") -> Instrument:
    """`call 450 2026-01-16`."""
    kind, strike, expiry = terms.split()
    return Instrument(
        "option",
        ticker,
        option_type="call" if kind == "call" else "put",
        strike=Decimal(strike),
        expiry=date.fromisoformat(expiry),
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def dealt(side: Any, quantity: Any, price: Any, when: str, **more: Any) -> Execution:
    return Execution(
        row=0,
        instrument=more.pop("instrument", SHARES),
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        at=at(when),
        fee=Decimal(more.pop("fee", 0)),
        **more,
    )


def bought(quantity: Any, price: Any, when: str, **more: Any) -> Execution:
    return dealt("buy", quantity, price, when, **more)


def sold(quantity: Any, price: Any, when: str, **more: Any) -> Execution:
    return dealt("sell", quantity, price, when, **more)


def ended(kind: Any, quantity: Any, when: str, instrument: Instrument, **more: Any) -> Execution:
    return dealt(None, quantity, 0, when, instrument=instrument, kind=kind, **more)


def statement(
    *executions: Execution, cash: Iterable[CashRow] = (), account: str = "Broker", **more: Any
) -> Statement:
    """A file of these executions, its rows numbered as they stand."""
    rows = tuple(replace(one, row=row) for row, one in enumerate(executions, start=2))
    return Statement(
        path=Path("file.csv"),
        format="test",
        broker="Broker",
        executions=rows,
        cash=tuple(cash),
        accounts={
            number: AccountEntry(
                name=account if number is None else f"{account} {number}", mode="live"
            )
            for number in {one.account for one in rows} or {None}
        },
        **more,
    )
