"""How an option ended: worthless, in shares, or in cash; and the shares that it delivered."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import NamedTuple

from store.columns import PRICE_DIGITS, rounded
from store.pnl import PRECISION
from store.records import FillKind, Side
from store.statements.execution import Execution, Instrument
from store.statements.instruments import INDICES
from store.statements.refusing import Refused

SIDES: dict[FillKind, Side] = {"assigned": "buy", "exercised": "sell"}
# Shares may be booked after a weekend, or at noon of the day on whose evening the option ended.
BEFORE, AFTER = timedelta(hours=12), timedelta(days=4)


class End(NamedTuple):
    """`side` is None where the row does not say whether a bought or a sold option ended."""

    kind: FillKind
    price: Decimal
    side: Side | None


def end(
    kind: FillKind, instrument: Instrument, quantity: Decimal, cash: Decimal, column: str = "Amount"
) -> End:
    """The end of `quantity` options in a row that says `kind` and moved `cash`: that of an
    index, or of what is said to be settled, is its settlement, for shares come in rows of
    their own.

    Raises:
        Refused: an index option was assigned or exercised, and the row holds no cash; or
            another one moved cash.
    """
    if instrument.kind != "option":
        raise Refused("Symbol", instrument.ticker, "only an option can end so")
    if cash and kind != "settled" and instrument.ticker not in INDICES:
        reason = "an option that ends in shares or worthless moves no cash; record it by hand"
        raise Refused(column, f"{cash:f}", reason)
    if cash:
        with localcontext(prec=PRECISION):
            price = abs(cash) / (quantity * instrument.unit)
        return End("settled", rounded(price, PRICE_DIGITS), "sell" if cash > 0 else "buy")
    require_settlement(kind, instrument, column)
    return End("expired" if kind == "settled" else kind, Decimal(0), SIDES.get(kind))


def require_settlement(kind: FillKind, instrument: Instrument, column: str) -> None:
    """Refuse the end of an index option that is assigned or exercised at 0, for its cash is
    missing then."""
    if kind in SIDES and instrument.ticker in INDICES:
        reason = "an index option settles in cash, and the row does not say for how much"
        raise Refused(column, "", reason)


@dataclass
class Due:
    """Shares that an option which ended `at` delivers, less those that were found."""

    at: datetime
    shares: Decimal


def delivered(executions: Iterable[Execution]) -> list[Execution]:
    """`executions` with the shares marked that assigned and exercised options delivered, where
    the file books them like any deal: dealt then, at the strike, on the side and in the
    quantity of the options."""
    found = list(executions)
    dues: dict[tuple[str, Decimal | None, Side | None], list[Due]] = defaultdict(list)
    for one in found:
        if one.kind in SIDES:
            what = one.instrument
            # A put is assigned, and a call exercised, by buying the shares.
            buys = (what.option_type == "put") == (one.kind == "assigned")
            due = Due(one.at, one.quantity * what.unit)
            dues[what.ticker, what.strike, "buy" if buys else "sell"].append(due)
    return [
        _delivery(one, dues.get((one.instrument.ticker, one.price, one.side), ())) for one in found
    ]


def _delivery(one: Execution, dues: Iterable[Due]) -> Execution:
    if one.instrument.kind != "equity":
        return one
    for due in dues:
        if one.quantity <= due.shares and -BEFORE < one.at - due.at < AFTER:
            due.shares -= one.quantity
            return replace(one, at=due.at, effect=None, delivery=True)
    return one
