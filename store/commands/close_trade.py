"""End an open trade."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store import recording
from store.commands.add_fill import only_leg
from store.commands.command import Key, LegNumber, TradeNumber, command
from store.commands.flat import NONE, At, ExitFor, Number, Zone, in_words, moment, zone_of
from store.commands.twins import refuse_same_fill
from store.commands.written import Written, written
from store.importers.table import Row
from store.importers.values import built
from store.importers.values import number as number_in
from store.models import Account
from store.recording import require_trade
from store.records import ByDelivery, ByExpiry, ByPrices, BySettlement, Ending, LegPrice
from store.statements.refusing import Refused

How: TypeAlias = Literal["dealt", "expired", "settled", "delivered"]

LEG_PRICE = re.compile(r"(?P<leg>[1-8]) @ ?(?P<price>\S+)(?: fee (?P<fee>\S+))?", re.IGNORECASE)
# What each way to end takes beside the moment.
TAKES: dict[How, tuple[str, ...]] = {
    "dealt": ("price", "fee", "prices"),
    "expired": (),
    "settled": ("underlying_price",),
    "delivered": ("leg", "quantity", "fee"),
}


@command()
async def close_trade(
    session: AsyncSession,
    number: TradeNumber,
    closed_at: At,
    price: Annotated[
        Number, Field(description="Of the only leg; all that is open is dealt")
    ] = None,
    fee: Number = None,
    prices: Annotated[
        list[str] | NONE,
        Field(description="Where there are several legs, each by number: '1 @ 0.40 fee 0.65'"),
    ] = None,
    how: Annotated[
        How, Field(description="settled: in cash; delivered: assigned or exercised")
    ] = "dealt",
    underlying_price: Annotated[Number, Field(description="Where settled")] = None,
    leg: Annotated[LegNumber | NONE, Field(description="Which option is delivered")] = None,
    quantity: Annotated[Number, Field(description="Contracts delivered; default all")] = None,
    exit_reason: ExitFor = None,
    zone: Zone = None,
    key: Key = None,
    *,
    author: str,
) -> Written:
    """Close an open trade whole: dealt at a price, or its options expired worthless, settled in
    cash, or delivered (the shares stay open in the trade). It is locked then; errors in it are
    corrected by correct_trade. Part of it is closed by add_fill. A retry is refused as closed
    already, or answered if it has the same key."""
    trade = await require_trade(session, number)
    account = await session.get_one(Account, (trade.user_id, trade.account_id))
    said = {
        "closed_at": closed_at,
        "price": price,
        "fee": fee,
        "underlying_price": underlying_price,
        "leg": None if leg is None else str(leg),
        "quantity": quantity,
        "prices": "; ".join(prices or ()),
    }
    row = Row(0, {name: value for name, value in said.items() if value})
    try:
        at = moment(row, "closed_at", await zone_of(session, zone, account.name))
        if at is None or at < trade.opened_at:
            raise Refused("closed_at", row.text("closed_at"), "a moment after the entry is needed")
        refuse_beside(row, how)
        if how == "dealt":
            dealt = spoken_prices(prices) if prices else {await one_leg(session, number): row}
            ending: Ending = by_prices(dealt, at)
        else:
            ending = other_ending(row, how, at)
    except Refused as refused:
        raise in_words(refused) from None
    recorded = await recording.close_trade(
        session, number, ending, exit_reason=exit_reason, key=key, author=author
    )
    if key is None and leg is not None:
        # What else ends a trade cannot happen twice; contracts may be delivered one by one.
        await refuse_same_fill(session, number, leg)
    return await written(session, recorded, "Trade ended")


async def one_leg(session: AsyncSession, number: int) -> int:
    """The leg that a single price is of."""
    needed = "give each open leg its own by prices, such as '1 @ 0.40'"
    return await only_leg(session, number, needed)


def refuse_beside(row: Row, how: How) -> None:
    """Refuse what the way to end does not take, lest it be thought to count."""
    for name in row.fields:
        if name != "closed_at" and name not in TAKES[how]:
            takes = ", ".join(TAKES[how]) or "nothing but closed_at"
            raise Refused(name, row.text(name), f"how {how} takes {takes}")
    if how == "dealt" and row.text("prices") and (row.text("price") or row.text("fee")):
        raise Refused("price", row.text("price"), "beside prices each leg says its own")


def spoken_prices(said: Sequence[str]) -> dict[int, Row]:
    """The price and fee of each leg, by its number."""
    found: dict[int, Row] = {}
    for text in said:
        words = LEG_PRICE.fullmatch(" ".join(text.split()))
        if words is None:
            raise Refused("prices", text, "a leg's number, @ and its price, such as '1 @ 0.40 fee"
                          " 0.65', is accepted")  # fmt: skip
        leg = int(words["leg"])
        if leg in found:
            raise Refused("prices", text, f"leg {leg} has a price already")
        found[leg] = Row(0, {name: value for name, value in words.groupdict().items() if value})
    return found


def by_prices(said: dict[int, Row], at: datetime) -> ByPrices:
    prices = {}
    for leg, row in said.items():
        price = number_in(row, "price")
        if price is None:
            raise Refused("price", "", "the price at which it was closed is needed")
        fee = number_in(row, "fee") or Decimal(0)
        prices[leg] = built(LegPrice, {}, row, price=price, fee=fee)
    return ByPrices(at=at, prices=prices)


def other_ending(row: Row, how: How, at: datetime) -> Ending:
    if how == "expired":
        return ByExpiry(at=at)
    if how == "settled":
        if (underlying := number_in(row, "underlying_price")) is None:
            raise Refused("underlying_price", "", "cash settlement needs it")
        return built(BySettlement, {}, row, at=at, underlying_price=underlying)
    if not row.text("leg"):
        raise Refused("leg", "", "the number of the option's leg is needed")
    return built(
        ByDelivery,
        {},
        row,
        at=at,
        leg=int(row.text("leg")),
        quantity=number_in(row, "quantity"),
        fee=number_in(row, "fee") or Decimal(0),
    )
