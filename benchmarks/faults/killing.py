"""Kill -9 at a random moment of recording: what was acknowledged is there, nothing is half.

The victim is the recording process or, where there is one, every so often the database
server with all its processes. The command that the kill cut off is then repeated under its
key, twice. (A kill leaves the operating system's cache alone: it shows that commits are
atomic and acknowledged in the right order, not that a disk survives a power cut.)
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.faults.checking import Contradiction, check
from benchmarks.faults.commands import Command, Said, Trader, say
from benchmarks.faults.ledgers import require_sound, settings_for
from benchmarks.faults.processes import Acknowledged, Recorder, Refused, recording
from store.audit import Recorded
from store.database import Store
from store.errors import StoreError

SECONDS = (0.005, 0.150)  # How long a victim lives after its first acknowledgement.
AT_ONCE_EVERY = 3  # At once after it: what is told before its commit would be lost.
SERVER_EVERY = 8
CHECK_EVERY = 10
USER = 1


@dataclass
class Killed:
    """What was recorded by processes that were killed. `unheard` counts the commands that
    were stored although nobody was told, `checks` how often all was compared."""

    said: list[Said] = field(default_factory=list)
    acknowledged: int = 0
    unheard: int = 0
    kills: int = 0
    server_kills: int = 0
    checks: int = 0


def kill_recorders(
    url: str,
    kills: int,
    seed: int,
    restart: Callable[[], None] | None = None,
    server_every: int = SERVER_EVERY,
) -> Killed:
    """Kill as many recorders, one after another, and compare the ledger with what they said.

    `restart` kills the database server and starts it again; each `server_every`-th time it is
    the victim.

    Raises:
        Contradiction: something acknowledged is lost, doubled or half.
    """
    chance = random.Random(seed)
    killed = Killed()
    for turn in range(1, kills + 1):
        recorder = Recorder(url, USER, f"victim {turn}", seed)
        strike = restart if turn % server_every == 0 else None
        seconds = 0 if turn % AT_ONCE_EVERY == 0 else chance.uniform(*SECONDS)
        answers = record_and_kill(recorder, seconds, strike)
        pending = recall(recorder, answers, killed)
        last = turn == kills
        asyncio.run(examine(url, killed, pending, compare=turn % CHECK_EVERY == 0 or last))
        killed.kills += 1
        killed.server_kills += strike is not None
    require_sound(url)
    return killed


def record_and_kill(
    recorder: Recorder, seconds: float, strike: Callable[[], None] | None
) -> list[Acknowledged]:
    """What a recorder was told until it was killed; `strike` kills the server before.

    That lasts longer than a command, so an error that reaches the recorder is heard of.
    """
    with recording(recorder) as process:
        process.wait_until_ready()
        process.go()
        told = [process.hear()]
        time.sleep(seconds)
        if strike:
            strike()
        process.kill()
        told += process.rest()
    refused = [one.reason for one in told if isinstance(one, Refused)]
    if refused and not strike:
        raise Contradiction(f"A recorder was refused: {refused[0]}")
    return [one for one in told if isinstance(one, Acknowledged)]


def recall(recorder: Recorder, answers: list[Acknowledged], killed: Killed) -> Command:
    """Note what the recorder said; gives the command that it heard no answer to."""
    trader = Trader(recorder.trader, recorder.seed)
    for one in answers:
        command = trader.next()
        if command.key != one.key:
            raise Contradiction(f"{one.key} was acknowledged instead of {command.key}.")
        trader.learn(command, one.answer)
        killed.said.append(Said(command, one.answer))
    killed.acknowledged += len(answers)
    return trader.next()


async def examine(url: str, killed: Killed, pending: Command, *, compare: bool) -> None:
    """Compare the ledger as the kill left it, then repeat the command that was cut off."""
    store = Store(settings_for(url))
    try:
        if compare:
            await check(store, USER, [*killed.said, Said(pending, None)])
        first, second = await repeat(store, pending), await repeat(store, pending)
        if (first.number, True) != (second.number, second.replayed):
            raise Contradiction(f"{pending.key} was recorded twice: {first} and {second}.")
        killed.unheard += first.replayed
        killed.said.append(Said(pending, first))
        if compare:
            await check(store, USER, killed.said)
            killed.checks += 1
    finally:
        await store.close()


async def repeat(store: Store, command: Command) -> Recorded:
    try:
        return await say(store, USER, command)
    except StoreError as refusal:
        raise Contradiction(f"{command.key} was refused when repeated: {refusal}") from None
