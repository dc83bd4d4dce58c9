"""Many processes record at once: no trade is lost or doubled, and no caller sees an error."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.faults.checking import Contradiction, check
from benchmarks.faults.commands import Said, Trader
from benchmarks.faults.ledgers import require_sound, settings_for
from benchmarks.faults.processes import Acknowledged, Process, Recorder, recording
from store.database import Store


@dataclass(frozen=True)
class Crowd:
    """`seconds` is how long all took together, `waits` what each command took, sorted."""

    writers: int
    users: int
    trades: int
    seconds: float
    waits: list[float]


def crowd(url: str, writers: int, trades: int, users: int, seed: int) -> Crowd:
    """Let `writers` processes record `trades` each, for users 1 to `users` in turn.

    Raises:
        Contradiction: an error reached one of them, or a trade is lost or doubled.
    """
    recorders = [
        Recorder(url, 1 + number % users, f"writer {number}", seed) for number in range(writers)
    ]
    with ExitStack() as stack:
        processes = [stack.enter_context(recording(one, trades)) for one in recorders]
        for process in processes:
            process.wait_until_ready()
        begun = time.perf_counter()
        for process in processes:
            process.go()
        told = [heard_of(process, trades) for process in processes]
        seconds = time.perf_counter() - begun
    asyncio.run(compare(url, users, recorders, told))
    require_sound(url)
    waits = sorted(one.seconds for answers in told for one in answers)
    return Crowd(writers, users, writers * trades, seconds, waits)


def heard_of(process: Process, trades: int) -> list[Acknowledged]:
    told = process.rest()
    for one in told:
        if not isinstance(one, Acknowledged):
            raise Contradiction(f"A writer was refused: {one.reason}")
    if len(told) != trades:
        raise Contradiction(f"A writer ended after {len(told)} of {trades} trades.")
    return told


async def compare(
    url: str, users: int, recorders: Sequence[Recorder], told: Sequence[Sequence[Acknowledged]]
) -> None:
    store = Store(settings_for(url))
    try:
        for user_id in range(1, users + 1):
            said = []
            for recorder, answers in zip(recorders, told, strict=True):
                trader = Trader(recorder.trader, recorder.seed)
                if recorder.user_id == user_id:
                    said += [Said(trader.closed(), one.answer) for one in answers]
            await check(store, user_id, said)
    finally:
        await store.close()
