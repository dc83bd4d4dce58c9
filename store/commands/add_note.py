"""Add a journal entry to a trade."""

from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store import recording
from store.commands.command import Key, TradeNumber, command
from store.commands.twins import refuse_same_note
from store.commands.written import Written, written


@command()
async def add_note(
    session: AsyncSession,
    number: TradeNumber,
    body: Annotated[str, Field(max_length=20_000, description="Kept word for word")],
    key: Key = None,
    *,
    author: str,
) -> Written:
    """Append a journal note to a trade, open or closed. Notes are never changed or removed.
    Give a key and repeat it on a retry: then it is added once. Without a key, a note that is
    there already is refused."""
    recorded = await recording.add_note(session, number, body, key=key, author=author)
    if key is None:
        await refuse_same_note(session, number, body)
    return await written(session, recorded, "Note added")
