"""Add an execution to an open trade."""

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store import recording
from store.commands.command import Key, LegNumber, TradeNumber, command
from store.commands.flat import (
    NONE,
    PLAIN,
    At,
    ExitFor,
    Number,
    Zone,
    fill_of,
    in_words,
    moment,
    zone_of,
)
from store.commands.twins import refuse_same_fill
from store.commands.written import Written, written
from store.database import user_of
from store.errors import Invalid
from store.importers.table import Row
from store.models import Account, Leg
from store.recording import require_trade
from store.statements.refusing import Refused


@command()
async def add_fill(
    session: AsyncSession,
    number: TradeNumber,
    side: Literal["buy", "sell"],
    quantity: Annotated[Number, Field(description="Above 0")],
    price: Number,
    filled_at: At,
    leg: Annotated[LegNumber | NONE, Field(description="Where there are several")] = None,
    fee: Annotated[Number, Field(description="Above 0 when it cost")] = None,
    execution_id: Annotated[str | NONE, Field(description="The broker's id of the fill")] = None,
    exit_reason: ExitFor = None,
    zone: Zone = None,
    key: Key = None,
    *,
    author: str,
) -> Written:
    """Add one execution to an open trade: a scale-in, a partial exit, or the exit, which
    closes and locks it when the last leg is flat. A fill larger than what is open closes the
    trade and opens another with the rest. Give a key and repeat it on a retry: then nothing is
    recorded twice. Without a key, a fill that is there already is refused."""
    trade = await require_trade(session, number)
    account = await session.get_one(Account, (trade.user_id, trade.account_id))
    said = {"quantity": quantity, "price": price, "filled_at": filled_at, "fee": fee}
    row = Row(0, {name: value for name, value in said.items() if value is not None})
    try:
        at = moment(row, "filled_at", await zone_of(session, zone, account.name))
        fill = fill_of(row, PLAIN, side, at, execution_id=execution_id)
    except Refused as refused:
        raise in_words(refused) from None
    on_leg = leg or await only_leg(session, number, "say by leg which of them the fill is of")
    recorded = await recording.add_fill(
        session, number, on_leg, fill, exit_reason=exit_reason, key=key, author=author
    )
    if key is None:
        await refuse_same_fill(session, number, on_leg)
    return await written(session, recorded, "Fill added")


async def only_leg(session: AsyncSession, number: int, needed: str) -> int:
    """The number of the leg that a trade was entered with.

    Raises:
        Invalid: it has several; `needed` is said of them.
    """
    last: int | None = await session.scalar(
        select(func.max(Leg.leg_number)).where(
            Leg.user_id == user_of(session), Leg.trade_number == number, Leg.delivered == 0
        )
    )
    if last is None or last > 1:
        raise Invalid(f"Trade {number} has {last} legs; {needed}.")
    return last
