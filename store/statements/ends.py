"""How an option ended: worthless, in shares, or in cash."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from store.columns import PRICE_DIGITS, rounded
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements.contracts import INDICES
from store.statements.execution import Instrument
from store.statements.refusing import Refused


class End(NamedTuple):
    """`side` is None where the row does not say whether a bought or a sold option ended."""

    kind: FillKind
    price: Decimal
    side: Side | None


def end(kind: FillKind, instrument: Instrument, quantity: Decimal, cash: Decimal) -> End:
    """The end of `quantity` options in a row that says `kind` and moved `cash`: any cash is
    their settlement, for shares come in rows of their own.

    Raises:
        Refused: an index option was assigned or exercised, and the row holds no cash.
    """
    if instrument.kind != "option":
        raise Refused("Symbol", instrument.ticker, "only an option can end so")
    if cash:
        with localcontext(prec=PRECISION):
            price = abs(cash) / (quantity * instrument.unit)
        return End("settled", rounded(price, PRICE_DIGITS), "sell" if cash > 0 else "buy")
    if kind in ("assigned", "exercised") and instrument.ticker in INDICES:
        reason = "an index option settles in cash, and the file does not say here for how much"
        raise Refused("Amount", "", reason)
    sides: dict[FillKind, Side] = {"assigned": "buy", "exercised": "sell"}
    return End(kind, Decimal(0), sides.get(kind))
