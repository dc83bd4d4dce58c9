"""A closed trade is never changed: it is restated by a new one, or voided, with a reason."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import require_account
from store.audit import OWNER, Command, Recorded, begin, finish
from store.database import user_of
from store.errors import Conflict, Invalid
from store.fixed import correction_hash, state_hash
from store.models import Correction
from store.recording import end_trade, fixed_hash, require_trade, write_trade
from store.records import TradeEntry


async def correct_trade(
    session: AsyncSession,
    number: int,
    entry: TradeEntry,
    *,
    reason: str,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Restate a closed trade by a complete new one, which has its own number and counts
    from now on; the older one is superseded and stays readable.

    External and broker ids pass on to the restatement unless it says its own.
    """
    content = {"number": number, "entry": entry, "reason": reason}
    command = await begin(session, "correct_trade", content, key=key, author=author)
    if command.replay:
        return command.replay
    old = await require_trade(session, number)
    if old.status != "closed":
        raise Conflict(f"Trade {number} is {old.status}; only a closed trade can be restated.")
    account = await require_account(session, entry.account)
    replacement = command.next_trade(restating=True)
    derived = await write_trade(session, command, account, entry, replacement)
    await _explain(session, command, number, replacement, reason)
    ids = {
        "source": old.source if entry.external_id is None else entry.source,
        "external_id": entry.external_id or old.external_id,
        "broker_order_id": entry.broker_order_id or old.broker_order_id,
    }
    await end_trade(session, replacement, ids | derived)
    return await _finish(session, command, number, Recorded(replacement, derived["status"]))


async def void_trade(
    session: AsyncSession,
    number: int,
    *,
    reason: str,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Take a trade, open or closed, out of every answer; it stays readable with its reason."""
    content: dict[str, Any] = {"number": number, "reason": reason}
    command = await begin(session, "void_trade", content, key=key, author=author)
    if command.replay:
        return command.replay
    old = await require_trade(session, number)
    if old.status not in ("open", "closed"):
        raise Conflict(f"Trade {number} is {old.status} already.")
    await _explain(session, command, number, None, reason)
    return await _finish(session, command, number, Recorded(number, "void"))


async def _explain(
    session: AsyncSession, command: Command, number: int, replacement: int | None, reason: str
) -> None:
    """Insert the correction: the database itself then supersedes or voids the trade."""
    words = " ".join(reason.split())
    if not 1 <= len(words) <= 500 or not words.isprintable():
        raise Invalid(f"A reason of {len(words)} characters; 1 to 500 printable ones are accepted.")
    await session.execute(
        insert(Correction).values(
            user_id=user_of(session),
            number=number,
            replacement=replacement,
            reason=words,
            author=command.author,
            made_at=command.made_at,
        )
    )


async def _finish(
    session: AsyncSession, command: Command, corrected: int, recorded: Recorded
) -> Recorded:
    state = state_hash(
        trade=await fixed_hash(session, recorded, opening=True),
        correction=await correction_hash(session, corrected),
    )
    return await finish(session, command, recorded, state=state)
