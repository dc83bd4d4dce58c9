"""Processes that record, and can be killed.

They are forked from a helper that has imported everything and opened nothing, so that one
starts in milliseconds and inherits no connection, thread or loop.
"""

import asyncio
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from benchmarks.faults.checking import Contradiction
from benchmarks.faults.commands import Trader, carry_out, say
from benchmarks.faults.ledgers import settings_for
from store.audit import Recorded
from store.database import Store
from store.errors import Unavailable

FORKED = get_context("forkserver")
FORKED.set_forkserver_preload(["benchmarks.faults.processes"])
REHEARSED = 12  # Commands, enough for one of most kinds.
PATIENCE_SECONDS = 60  # Beyond it a process hangs.

READY, GO = "ready", "go"


@dataclass(frozen=True)
class Recorder:
    """Whose trades a process records in which database; the trader has to have its own name."""

    url: str
    user_id: int
    trader: str
    seed: int


@dataclass(frozen=True)
class Acknowledged:
    """A command that was committed, told as soon as the process knows."""

    key: str
    answer: Recorded
    seconds: float


@dataclass(frozen=True)
class Refused:
    reason: str


@dataclass(frozen=True)
class Failed:
    """An error that no caller may see."""

    error: str


class Process:
    """A recording process and the pipe it tells on."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe

    def kill(self) -> None:
        """SIGKILL, and wait until it has gone."""
        self._process.kill()
        self._process.join()

    def wait_until_ready(self) -> None:
        if (told := self.hear()) != READY:
            raise Contradiction(f"A recording process could not begin: {told.reason}")

    def go(self) -> None:
        self._pipe.send(GO)

    def hear(self) -> Any:
        """What it tells next.

        Raises:
            Contradiction: an error reached it, or it says nothing.
            EOFError: it has ended.
        """
        if not self._pipe.poll(PATIENCE_SECONDS):
            raise Contradiction(f"A recording process said nothing for {PATIENCE_SECONDS} s.")
        told = self._pipe.recv()
        if isinstance(told, Failed):
            raise Contradiction(f"An error reached a caller: {told.error}")
        return told

    def rest(self) -> list[Any]:
        """What it still told until it ended."""
        told = []
        while True:
            try:
                told.append(self.hear())
            except (EOFError, ConnectionResetError):
                return told


@contextmanager
def recording(recorder: Recorder, commands: int | None = None) -> Iterator[Process]:
    """A process that records so many closed trades, or a mixture until it is killed."""
    ours, theirs = FORKED.Pipe()
    process = FORKED.Process(target=record, args=(recorder, commands, theirs), daemon=True)
    process.start()
    theirs.close()
    running = Process(process, ours)
    try:
        yield running
    finally:
        running.kill()
        ours.close()


def record(recorder: Recorder, commands: int | None, pipe: Connection) -> None:
    """The life of a recording process."""
    try:
        asyncio.run(_record(recorder, commands, pipe))
    except Unavailable as refusal:
        pipe.send(Refused(str(refusal)))
    except Exception as error:
        traceback.print_exc()  # Nobody else knows where it came from.
        pipe.send(Failed(f"{type(error).__name__}: {error}"))


async def _record(recorder: Recorder, commands: int | None, pipe: Connection) -> None:
    store = Store(settings_for(recorder.url))
    try:
        await rehearse(store, recorder.user_id)
        pipe.send(READY)
        pipe.recv()
        trader = Trader(recorder.trader, recorder.seed)
        for _ in count() if commands is None else range(commands):
            command = trader.next() if commands is None else trader.closed()
            begun = time.perf_counter()
            answer = await say(store, recorder.user_id, command)
            pipe.send(Acknowledged(command.key, answer, time.perf_counter() - begun))
            trader.learn(command, answer)
    finally:
        await store.close()


async def rehearse(store: Store, user_id: int) -> None:
    """Connect, and let every statement be compiled, in a unit of work that is undone."""
    trader = Trader("rehearsal", seed=1)
    with suppress(_Rehearsed):
        async with store.write(user_id) as session:
            for _ in range(REHEARSED):
                command = trader.next()
                trader.learn(command, await carry_out(session, command))
            raise _Rehearsed


class _Rehearsed(Exception):  # noqa: N818
    pass
