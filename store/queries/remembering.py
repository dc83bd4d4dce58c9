"""What is remembered between questions: it is good until the user records again.

Every recording that may change an answer raises the user's ledger version, in its own
transaction. What was worked out at a version is what would be worked out at it again.
"""

from asyncio import Event
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import answers_of, memory_of, user_of
from store.models import User
from store.queries.answer import Answer, moment_now
from store.queries.running import USER, fetch

T = TypeVar("T")
A = TypeVar("A", bound=Answer)


async def remembered(
    session: AsyncSession, version: int, key: Hashable, work: Callable[[], Awaitable[T]]
) -> T:
    """What `work` gives, or gave since the user last recorded. `key` tells it from others.

    Who asks while another works on the same waits for that one.
    """
    memory, own = memory_of(session), (user_of(session), key)
    while (known := memory.get(own, version)) is None:
        if (busy := memory.busy.get((own, version))) is not None:
            await busy.wait()
            continue
        done = memory.busy[own, version] = Event()
        try:
            known = await work()
            memory.keep(own, version, known)
            break
        finally:
            del memory.busy[own, version]
            done.set()
    result: T = known
    return result


async def answered(session: AsyncSession, key: Hashable, work: Callable[[], Awaitable[A]]) -> A:
    """The answer that `work` gives, or gave to the same question since the user last recorded.

    Whether it still holds is read first, so that a question that was asked before costs one
    short statement; one that was not is not asked about.
    """
    answers, own = answers_of(session), (user_of(session), key)
    kept: tuple[int, A] | None = answers.last(own)
    if kept is not None and kept[0] == await _ledger_version(session):
        read_now = kept[1].provenance.model_copy(update={"as_of": moment_now()})
        return kept[1].model_copy(update={"provenance": read_now})
    answer = await work()
    if (version := session.info.get("version")) is not None:
        answers.keep(own, version, answer)
    return answer


async def _ledger_version(session: AsyncSession) -> int:
    """How often the user has recorded something; no answer changes without."""
    rows = await fetch(
        session,
        lambda: select(User.ledger_version).where(User.user_id == USER),
        {"user_id": user_of(session)},
        shape="ledger_version",
    )
    return rows[0].ledger_version if rows else 0
