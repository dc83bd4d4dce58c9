"""What a format collects while it goes through a file, row by row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

from store.pnl import PRECISION
from store.records import Side
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.refusing import Refused, Rejection
from store.statements.source import Source

LESS_THAN_A_CENT = Decimal("0.01")


@dataclass
class Gathered:
    """Executions, cash and rejections of `source`, in the order of its rows."""

    source: Source
    executions: list[Execution] = field(default_factory=list)
    cash: list[CashRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def row(self, number: int) -> Iterator[None]:
        """Whatever is refused inside is the rejection of this row."""
        try:
            yield
        except Refused as error:
            self.rejected.append(error.rejection(self.source.path.name, number))

    def statement(
        self, format: str, broker: str, *, newest_first: bool = False, **said: Any
    ) -> Statement:
        return Statement(
            path=self.source.path,
            format=format,
            broker=broker,
            executions=oldest_first(self.executions, newest_first=newest_first),
            cash=tuple(self.cash),
            rejected=tuple(sorted(self.rejected, key=lambda one: one.row)),
            ignored=dict(self.ignored),
            **said,
        )


def oldest_first(
    executions: Sequence[Execution], *, newest_first: bool = False
) -> tuple[Execution, ...]:
    """By moment. Those of one moment stand as in the file, rows reversed where it is newest
    first; `newest_first` says it for a file of one moment only."""
    if not executions:
        return ()
    first, last = executions[0].at, executions[-1].at
    step = -1 if first > last or (first == last and newest_first) else 1
    return tuple(sorted(executions, key=lambda one: (one.at, step * one.row)))


def value(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """What `quantity` of it is worth at `price`, in currency, exactly."""
    with localcontext(prec=PRECISION):
        return price * quantity * instrument.unit


def cash_moved(side: Side, worth: Decimal, fee: Decimal) -> Decimal:
    """The cash of a deal, negative when paid."""
    with localcontext(prec=PRECISION):
        return (worth if side == "sell" else -worth) - fee


def require_cash(
    column: str, text: str, stated: Decimal, side: Side, worth: Decimal, fee: Decimal
) -> None:
    """Refuse an amount that is not, to the cent, what quantity, price and fees come to."""
    with localcontext(prec=PRECISION):
        expected = cash_moved(side, worth, fee)
        difference = stated - expected
    if abs(difference) >= LESS_THAN_A_CENT:
        raise Refused(
            column, text, f"quantity, price and fees come to {expected:f}, {difference:f} off"
        )
