"""What open trades are worth now, as marks.

A price is the middle of bid and ask where both stand, else the last. A trade is marked when
all of its legs have one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext

from store.brokers.tradier.answers import Answer, number, text
from store.brokers.tradier.ledger import Position
from store.columns import PRICE_DIGITS, rounded
from store.pnl import PRECISION, common
from store.records import SnapshotEntry
from store.statements.execution import Instrument
from store.statements.refusing import Refused


def prices(quotes: Sequence[Answer]) -> dict[str, Decimal]:
    """The price of each symbol that has one."""
    found: dict[str, Decimal] = {}
    for quote in quotes:
        try:
            price = _price(quote)
        except Refused:
            continue
        if price is not None and price >= 0:
            found[text(quote, "symbol")] = price
    return found


def _price(quote: Answer) -> Decimal | None:
    bid, ask = number(quote, "bid"), number(quote, "ask")
    if bid is not None and ask is not None and 0 <= bid <= ask and ask > 0:
        with localcontext(prec=PRECISION):
            return rounded((bid + ask) / 2, PRICE_DIGITS)
    return number(quote, "last")


def marks(
    positions: Sequence[Position],
    symbols: Mapping[Instrument, str],
    known: Mapping[str, Decimal],
    at: datetime,
) -> dict[int, SnapshotEntry]:
    """A mark for each trade of which every open leg has a price. `symbols` are Tradier's names
    of what is held."""
    by_trade: dict[int, list[Position]] = defaultdict(list)
    for one in positions:
        by_trade[one.trade].append(one)
    found = {}
    for trade, legs in by_trade.items():
        named = [known.get(symbols.get(one.instrument, "")) for one in legs]
        quoted = [price for price in named if price is not None]
        if len(quoted) == len(legs) and at > min(one.opened_at for one in legs):
            found[trade] = SnapshotEntry(
                taken_at=at,
                mark_price=net_mark(legs, quoted),
                underlying_price=known.get(legs[0].ticker),
            )
    return found


def net_mark(legs: Sequence[Position], quoted: Sequence[Decimal]) -> Decimal:
    """The price of the one leg that is open; of several the net price of a unit of what is
    open, a debit positive."""
    if len(legs) == 1:
        return quoted[0]
    with localcontext(prec=PRECISION):
        worth = sum(
            (one.quantity * one.unit * price for one, price in zip(legs, quoted, strict=True)),
            Decimal(0),
        )
        units = common([abs(one.quantity) for one in legs])
        return rounded(worth / (units * max(one.unit for one in legs)), PRICE_DIGITS)
