"""What is remembered between questions: it is good until the user records again.

Every recording that may change an answer raises the user's ledger version, in its own
transaction. What was worked out at a version is what would be worked out at it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import Postponed, answers_of, may_postpone, memory_of, user_of
from store.memory import Memory
from store.models import User
from store.queries.answer import Answer, moment_now
from store.queries.running import USER, fetch

A = TypeVar("A", bound=Answer)

AT_ONCE = 8  # Works that hold no connection: each holds what was read of a book.


async def remembered(
    session: AsyncSession,
    version: int,
    key: Hashable,
    read: Callable[[], Awaitable[Any]],
    work: Callable[[Any], Any] | None = None,
) -> Any:
    """What `read` gives, or `work` makes of it, or did since the user last recorded. `key`
    tells it from others.

    `work` runs beside the event loop, so that others are answered meanwhile. Who asks while
    another works on the same waits for that one.

    Raises:
        Postponed: it is being worked out, or is to be, with no connection held.
    """
    memory, own = memory_of(session), (user_of(session), key)
    while (known := memory.get(own, version)) is None:
        if (busy := memory.busy.get((own, version))) is not None:
            if may_postpone(session):
                raise Postponed(busy.wait)
            await busy.wait()
            continue
        postponed = work if may_postpone(session) and len(memory.busy) < AT_ONCE else None
        with _under_way(memory, (own, version)):
            found = await read()
            if postponed is None:
                known = found if work is None else await asyncio.to_thread(work, found)
                memory.keep(own, version, known)
                break
        raise Postponed(partial(_work_out, memory, own, version, partial(postponed, found)))
    return known


async def _work_out(memory: Memory, own: Hashable, version: int, work: Callable[[], Any]) -> None:
    while (busy := memory.busy.get((own, version))) is not None:
        await busy.wait()
    if memory.get(own, version) is None:
        with _under_way(memory, (own, version)):
            memory.keep(own, version, await asyncio.to_thread(work))


@contextmanager
def _under_way(memory: Memory, what: Hashable) -> Iterator[None]:
    done = memory.busy[what] = asyncio.Event()
    try:
        yield
    finally:
        del memory.busy[what]
        done.set()


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
