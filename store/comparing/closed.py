"""The closed trades of an account with their legs as they were entered."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.comparing.pairs import ClosedTrade, LegTerms
from store.database import user_of
from store.models import Account, Fill, Leg, Trade
from store.pnl import PRECISION


async def closed(
    session: AsyncSession, account: Account, entered: Sequence[ColumnElement[bool]]
) -> list[ClosedTrade]:
    """Two statements, however many trades."""
    columns = (
        Trade.number, Trade.ticker, Trade.opened_at, Trade.quantity, Trade.price_sign,
        Trade.entry_price, Trade.exit_price, Trade.gross_pnl, Trade.fees, Trade.net_pnl,
        Trade.outcome,
    )  # fmt: skip
    chosen = (*of_account(session, account, "closed"), *entered)
    legs = defaultdict(list)
    for leg in _entries(await _fills(session, chosen)):
        legs[leg.trade_number].append(leg)
    trades = (await session.execute(select(*columns).where(*chosen))).mappings()
    return [_trade(row, legs[row["number"]]) for row in trades]


def of_account(session: AsyncSession, account: Account, status: str) -> list[ColumnElement[bool]]:
    return [
        Trade.user_id == user_of(session),
        Trade.account_id == account.account_id,
        Trade.status == status,
    ]


async def _fills(session: AsyncSession, chosen: Sequence[ColumnElement[bool]]) -> Iterable[Any]:
    """The fills of the legs that were entered, each leg's in order of time."""
    same_leg = [Fill.leg_number == Leg.leg_number, Fill.trade_number == Leg.trade_number]
    of_trade = [Leg.user_id == Trade.user_id, Leg.trade_number == Trade.number]
    columns = (
        Leg.trade_number, Leg.leg_number, Leg.instrument, Leg.option_type, Leg.strike,
        Leg.expiry, Leg.multiplier, Fill.side, Fill.quantity, Fill.price,
    )  # fmt: skip
    statement = (
        select(*columns)
        .select_from(Trade)
        .join(Leg, and_(*of_trade))
        .join(Fill, and_(Fill.user_id == Leg.user_id, *same_leg))
        .where(*chosen, Leg.delivered == 0)
        .order_by(Leg.trade_number, Leg.leg_number, Fill.filled_at, Fill.fill_number)
    )
    return (await session.execute(statement)).mappings()


@dataclass(frozen=True)
class _Entry:
    """A leg as entered. `cost` is the currency paid, below 0 what was received."""

    trade_number: int
    terms: LegTerms  # Its ratio is the quantity still.
    cost: Decimal


def _entries(fills: Iterable[Any]) -> Iterator[_Entry]:
    """Of each leg the side of its first fill, and what was dealt on that side."""
    for (trade_number, _), of_leg in groupby(
        fills, key=lambda fill: (fill["trade_number"], fill["leg_number"])
    ):
        first, *more = of_leg
        entered = [first, *(fill for fill in more if fill["side"] == first["side"])]
        with localcontext(prec=PRECISION):
            quantity = sum((fill["quantity"] for fill in entered), Decimal(0))
            paid = sum((fill["quantity"] * fill["price"] for fill in entered), Decimal(0))
            cost = paid * first["multiplier"] * (1 if first["side"] == "buy" else -1)
        terms = LegTerms(**{name: first[name] for name in LegTerms._fields[:-1]}, ratio=quantity)
        yield _Entry(trade_number, terms, cost)


def _trade(row: Any, entries: Sequence[_Entry]) -> ClosedTrade:
    with localcontext(prec=PRECISION):
        legs = Counter(
            entry.terms._replace(ratio=entry.terms.ratio / row["quantity"]) for entry in entries
        )
        cost = sum((entry.cost for entry in entries), Decimal(0))
    return ClosedTrade(**row, legs=frozenset(legs.items()), entry_cost=cost)
