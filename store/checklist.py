"""Checks before a trade: questions of the trader's own, answered while it is open.

After the end an answer would be hindsight, so a locked trade takes none.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, Recorded, begin, finish
from store.database import user_of
from store.errors import Invalid
from store.fixed import checks_of, rows_hash, state_hash
from store.models import Check
from store.recording import open_trade_of, require_trade
from store.records import Reason, Said, Text

CHECKS_MAX = 100  # Of a trade.


class CheckEntry(Said):
    """A question and what was answered: "Is the spread below 5 %?", "yes, 3 %"."""

    question: Reason
    answer: Annotated[Text, Field(max_length=2_000)]


async def answer_checklist(
    session: AsyncSession,
    number: int,
    checks: Sequence[CheckEntry],
    *,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Append answers to the checklist of an open trade; none is ever changed.

    Raises:
        Conflict: the trade is locked.
        Invalid: there is no check, or more than a trade has room for.
    """
    content = {"number": number, "checks": list(checks)}
    command = await begin(session, "answer_checklist", content, key=key, author=author)
    if command.replay:
        return command.replay
    await open_trade_of(session, number)
    last = await session.scalar(
        select(func.max(Check.check_number)).where(
            Check.user_id == user_of(session), Check.trade_number == number
        )
    )
    first = (last or 0) + 1
    if not checks or first + len(checks) - 1 > CHECKS_MAX:
        raise Invalid(
            f"{len(checks)} checks beside {last or 0} of trade {number}; 1 to {CHECKS_MAX} in all"
            " are accepted."
        )
    await session.execute(
        insert(Check),
        [
            {
                "user_id": user_of(session),
                "trade_number": number,
                "check_number": check_number,
                **check.model_dump(),
                "author": author,
                "answered_at": command.made_at,
            }
            for check_number, check in enumerate(checks, start=first)
        ],
    )
    written = [
        row for row in await checks_of(session, number, number) if row["check_number"] >= first
    ]
    state = state_hash(checks=rows_hash(written))
    return await finish(session, command, Recorded(number, "open"), state=state)


async def list_checks(session: AsyncSession, number: int) -> Sequence[Check]:
    """The checklist of a trade, in the order in which it was answered.

    Raises:
        NotFound: the user has no such trade.
    """
    await require_trade(session, number)
    found = await session.scalars(
        select(Check)
        .where(Check.user_id == user_of(session), Check.trade_number == number)
        .order_by(Check.check_number)
    )
    return found.all()
