"""Take a trade out of every answer."""

from sqlalchemy.ext.asyncio import AsyncSession

from store import corrections
from store.commands.command import Key, Reason, TradeNumber, command
from store.commands.written import Written, written


@command()
async def void_trade(
    session: AsyncSession, number: TradeNumber, reason: Reason, key: Key = None, *, author: str
) -> Written:
    """Take a trade that never happened, or was recorded twice, out of every answer, for good.
    It stays readable with the reason. What happened otherwise is restated by correct_trade
    instead; an open trade recorded wrongly is voided and recorded anew."""
    recorded = await corrections.void_trade(session, number, reason=reason, key=key, author=author)
    return await written(session, recorded, "Trade taken out")
