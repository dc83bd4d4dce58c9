"""Executions of one instrument, from flat to flat.

A round begins when a position is opened and ends when it is flat. What closes more than is
open goes through zero: it is split, its fee pro-rated, and the rest begins the next round.
What closes a position that no file has opened belongs to no round.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from store import pnl
from store.records import FillEntry, Side
from store.statements.execution import Execution, Instrument

SAID = set(FillEntry.model_fields)  # One set for all: each has all of them.
OPPOSITE: dict[Side, Side] = {"buy": "sell", "sell": "buy"}


class Dealt(NamedTuple):
    """An execution with what identifies it: its broker's id or one made of its row, and its
    place among those of the same moment."""

    id: str
    place: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class Part:
    """What an execution did to one round: all of it, or its share of one that went through
    zero."""

    dealt: Dealt
    fill: FillEntry


@dataclass
class Round:
    """A position of one instrument from flat to flat, or open still."""

    instrument: Instrument
    parts: list[Part] = field(default_factory=list)
    position: Decimal = Decimal(0)  # Long above 0.

    @property
    def opening(self) -> Dealt:
        return self.parts[0].dealt


def in_order(dealt: Iterable[Dealt]) -> list[Dealt]:
    """By moment, then by the file's order, then by id."""
    return sorted(dealt, key=lambda one: (one.execution.at, one.place, one.id))


def rounds(dealt: Iterable[Dealt]) -> tuple[list[Round], list[Part]]:
    """The rounds that executions of one instrument, in their order, make; and what of them
    closes a position that was opened before the first of them."""
    found: list[Round] = []
    unopened: list[Part] = []
    current: Round | None = None
    for one in dealt:
        held = current.position if current else Decimal(0)
        rest: FillEntry | None = _fill(one, held)
        if current and rest and _closes(rest, held):
            ending, rest = _split(rest, abs(held))
            current.parts.append(Part(one, ending))
            current.position += _signed(ending)
            if not current.position:
                current = None
        if rest is None:
            continue
        if current is None and _only_closes(one.execution):
            unopened.append(Part(one, rest))
            continue
        if current is None:
            current = Round(one.execution.instrument)
            found.append(current)
        current.parts.append(Part(one, rest))
        current.position += _signed(rest)
    return found, unopened


def _fill(one: Dealt, held: Decimal) -> FillEntry:
    """What was checked when it was identified, or kept, is not checked again."""
    done = one.execution
    side = done.side or ("sell" if held >= 0 else "buy")
    return FillEntry.model_construct(
        _fields_set=SAID,
        side=side,
        quantity=done.quantity,
        price=done.price,
        filled_at=done.at,
        fee=done.fee,
        kind=done.kind,
        execution_id=one.id,
    )


def _signed(fill: FillEntry) -> Decimal:
    return fill.quantity if fill.side == "buy" else -fill.quantity


def _closes(fill: FillEntry, held: Decimal) -> bool:
    return held * _signed(fill) < 0


def _only_closes(execution: Execution) -> bool:
    return execution.effect == "close" or execution.kind != "trade"


def _split(fill: FillEntry, quantity: Decimal) -> tuple[FillEntry, FillEntry | None]:
    """What of `fill` closes `quantity`, and what is left of it, if anything."""
    if fill.quantity <= quantity:
        return fill, None
    whole = pnl.Fill(fill.side, fill.quantity, fill.price, fill.filled_at, fill.fee)
    first, rest = (
        fill.model_copy(update={"quantity": part.quantity, "fee": part.fee})
        for part in pnl.split(whole, quantity)
    )
    return first, rest
