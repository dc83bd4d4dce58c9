"""Record a trade."""

from sqlalchemy.ext.asyncio import AsyncSession

from store.commands.command import Key, command
from store.commands.flat import FlatTrade, entry_of
from store.commands.twins import refuse_same_trade
from store.commands.written import Written, written
from store.recording import open_trade


@command(needed=("account", "ticker", "opened_at"))
async def record_trade(
    session: AsyncSession, trade: FlatTrade, key: Key = None, *, author: str
) -> Written:
    """Record a trade: its entry, or entry and exit at once. One instrument takes quantity and
    entry_price; a spread takes legs. Try dry_run first. Give a key and repeat it on a retry:
    then nothing is recorded twice. Without a key, a trade entered the same is refused."""
    entry = await entry_of(session, trade)
    recorded = await open_trade(session, entry, key=key, author=author)
    if key is None:
        await refuse_same_trade(session, recorded.number)
    return await written(session, recorded, "Trade recorded")
