"""Tradier's positions and gains against those of the ledger. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from store.brokers.tradier.answers import Answer, needed, text
from store.pnl import PRECISION
from store.statements.execution import Instrument
from store.statements.instruments import shares_or_option
from store.statements.refusing import Refused, Rejection

HALF_A_CENT = Decimal("0.005")


@dataclass(frozen=True)
class Difference:
    """What the ledger and Tradier say of one instrument: quantities, long above 0, or net P&L."""

    instrument: str
    ledger: Decimal
    tradier: Decimal


def named(what: Instrument) -> str:
    """`AAPL`, or `AAPL 2026-01-16 250 call`."""
    if what.strike is None:
        return what.ticker
    return f"{what.ticker} {what.expiry} {what.strike.normalize():f} {what.option_type}"


def of_positions(
    held: Mapping[Instrument, Decimal], positions: Sequence[Answer]
) -> tuple[list[Difference], dict[Instrument, str], list[Rejection]]:
    """Instruments of which different quantities are open, and the symbol of each that Tradier
    holds."""
    theirs: dict[Instrument, Decimal] = defaultdict(Decimal)
    symbols: dict[Instrument, str] = {}
    rejected = []
    for row, position in enumerate(positions, start=1):
        try:
            what = shares_or_option(text(position, "symbol"), "symbol")
            theirs[what] += needed(position, "quantity")
            symbols[what] = text(position, "symbol")
        except Refused as error:
            rejected.append(error.rejection("positions", row))
    nothing = Decimal(0)
    found = [
        Difference(named(what), held.get(what, nothing), theirs.get(what, nothing))
        for what in sorted({*held, *theirs}, key=named)
        if held.get(what, nothing) != theirs.get(what, nothing)
    ]
    return found, symbols, rejected


def of_gains(
    realised: Mapping[Instrument, Decimal],
    closed: Sequence[Answer],
    leave_out: Collection[Instrument],
) -> tuple[list[Difference], list[Rejection]]:
    """Instruments of which the net P&L differs by more than the cents to which Tradier rounds
    each of its lots. Those of which nothing is posted yet are to be left out."""
    theirs: dict[Instrument, list[Decimal]] = defaultdict(list)
    rejected = []
    for row, lot in enumerate(closed, start=1):
        try:
            theirs[shares_or_option(text(lot, "symbol"), "symbol")].append(needed(lot, "gain_loss"))
        except Refused as error:
            rejected.append(error.rejection("gainloss", row))
    found = []
    for what in sorted(_posted(realised, theirs, leave_out), key=named):
        mine, lots = realised.get(what, Decimal(0)), theirs.get(what, [])
        with localcontext(prec=PRECISION):
            total = sum(lots, Decimal(0))
            if abs(mine - total) > HALF_A_CENT * (len(lots) + 1):
                found.append(Difference(named(what), mine, total))
    return found, rejected


def _posted(
    realised: Mapping[Instrument, Decimal],
    theirs: Mapping[Instrument, object],
    leave_out: Collection[Instrument],
) -> Iterable[Instrument]:
    return {*realised, *theirs} - set(leave_out)
