"""Doors to the database: `read()` and `write()`, each one transaction of one user.

On PostgreSQL a transaction opens with a single message that carries BEGIN, the role and
the user's identity together, so that an answer costs three round trips: begin, statement,
commit. The role is neither owner nor exempt from row-level security, whatever role the
URL names. Everything is local to the transaction: nothing can leak through a pooler.

On SQLite readers use a plain BEGIN with query_only, writers BEGIN IMMEDIATE; the user's
identity is the predicate that every statement carries.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from store.connecting import READS, WRITES, Connections, commit, driver_connection
from store.errors import Unavailable
from store.faults import patiently
from store.memory import Memory
from store.replica import Behind, Replica
from store.settings import Settings
from store.stopping import limit_statements

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

ROLE = "trade_history_app"
OPERATOR_ROLE = "trade_history_operator"
NEWS = "trade_history"  # PostgreSQL's channel on which recordings are announced.
POSTPONED_MAX = 8  # Works of one question; each again if its user records meanwhile.


class Postponed(Exception):  # noqa: N818 - nothing is wrong.
    """An answer needs what takes long to work out. `done` does it, or waits until another has,
    with no connection held meanwhile; then the question is asked again."""

    def __init__(self, done: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self.done = done


class Store:
    """The ledger of one database. `answer`, `record` and `rehearse` do a piece of work in a
    transaction of a user, patiently; `read` and `write` give the bare transaction.

    It connects lazily: a Store can be made while the database is down.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = settings.database()
        self.connections = Connections(self.database, settings.pool_size)
        if self.database.dialect == "sqlite":
            # Here and not for every engine: a migration must not be cut.
            limit_statements(self.connections.engine, settings.statement_timeout_seconds)
        self.replica = _replica_of(settings)
        self.memory = Memory()
        self.answers = Memory(settings.answers_remembered)
        self._writing = asyncio.Lock()
        self._beside: list[Store] = []

    def beside(self) -> "Store":
        """The same ledger by a connection of its own, for work that must not queue for one with
        everybody; closed with this store. A ledger in memory has one connection only."""
        if self.database.in_memory:
            return self
        other = Store(self.settings.model_copy(update={"pool_size": 1}))
        other._writing = self._writing
        self._beside.append(other)
        return other

    async def answer(
        self, work: "Work[Result]", user_id: int | None = None, *, primary: bool = False
    ) -> Result:
        """What `work` reads as `user_id`; asked again where a connection broke off, and once
        what it postponed is done.

        A replica answers if there is one that has all that this process knows to be recorded
        of the user; with `primary` none does.
        """

        async def postponing(session: AsyncSession) -> Result:
            session.info["postpones"] = True
            return await work(session)

        for _ in range(POSTPONED_MAX):
            try:
                return await self._answered(postponing, user_id, primary=primary)
            except Postponed as later:
                await later.done()
        return await self._answered(work, user_id, primary=primary)

    async def _answered(
        self, work: "Work[Result]", user_id: int | None, *, primary: bool
    ) -> Result:
        if primary or self.replica is None:
            return await patiently(lambda: _within(self.read(user_id), work), keyed=True)
        replica = self.replica
        return await patiently(lambda: self._nearest(replica, work, user_id), keyed=True)

    async def _nearest(self, replica: Replica, work: "Work[Result]", user_id: int | None) -> Result:
        if replica.is_there():
            try:
                found = await _within(self._following(replica, user_id), work)
            except Behind:
                pass
            except Unavailable as error:
                replica.failed(error)
            else:
                replica.answered()
                return found
        return await _within(self.read(user_id), work)

    async def survey(self, work: "Work[Result]", user_id: int | None = None) -> Result:
        """What `work` reads of every user; an operator's."""
        return await patiently(lambda: _within(self.operate(user_id), work), keyed=True)

    async def record(
        self,
        work: "Work[Result]",
        user_id: int | None = None,
        *,
        keyed: bool,
        token: str | None = None,
    ) -> Result:
        """What `work` wrote and committed. Where a connection broke off it is done again, but
        only if `keyed`: each command in it has the caller's key and so happens once."""
        return await patiently(lambda: _within(self.write(user_id, token=token), work), keyed=keyed)

    async def rehearse(self, work: "Work[Result]", user_id: int | None = None) -> Result:
        """What `work` would have written: it is done, with every check, and then undone."""
        return await patiently(lambda: _within(self._undone(user_id), work), keyed=True)

    @asynccontextmanager
    async def read(self, user_id: int | None = None) -> AsyncIterator[AsyncSession]:
        """A read-only transaction as `user_id` (the configured local user by default)."""
        async with self._transaction(user_id, write=False) as session:
            yield session

    @asynccontextmanager
    async def write(
        self, user_id: int | None = None, *, token: str | None = None
    ) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end of the block, undone by any exception.

        `token` names the API token on whose behalf it is done, for the audit.
        """
        async with self._one_writer(), self._transaction(user_id, write=True) as session:
            session.info["token"] = token
            yield session

    @asynccontextmanager
    async def _undone(self, user_id: int | None) -> AsyncIterator[AsyncSession]:
        transaction = self._transaction(user_id, write=True, keep=False)
        async with self._one_writer(), transaction as session:
            session.info["rehearsed"] = True
            yield session

    @asynccontextmanager
    async def operate(
        self, user_id: int | None = None, *, write: bool = False
    ) -> AsyncIterator[AsyncSession]:
        """A transaction that sees every user: for an operator's commands, and for whether any
        token exists when a server starts. What it writes goes on the record of `user_id`."""
        transaction = self._transaction(user_id, write=write, role=OPERATOR_ROLE)
        if not write:
            async with transaction as session:
                yield session
            return
        async with self._one_writer(), transaction as session:
            yield session

    @asynccontextmanager
    async def _one_writer(self) -> AsyncIterator[None]:
        """SQLite has one writer; waiting here is fair, waiting in the file is not."""
        if self.database.dialect == "postgresql":
            yield
            return
        async with self._writing:
            yield

    @asynccontextmanager
    async def _following(
        self, replica: Replica, user_id: int | None
    ) -> AsyncIterator[AsyncSession]:
        """A transaction on the replica, unless it lacks what the user is known to have."""
        user = self._user(user_id)
        opening = self._opening(user, ROLE, write=False)
        async with replica.connections.open(opening, ROLE) as connection:
            session = self._session(connection, user, self.memory, self.answers)
            await replica.require(session, user)
            yield session
            await commit(connection)

    @asynccontextmanager
    async def _transaction(
        self, user_id: int | None, *, write: bool, role: str = ROLE, keep: bool = True
    ) -> AsyncIterator[AsyncSession]:
        user = self._user(user_id)
        opening = self._opening(user, role, write=write)
        async with self.connections.open(opening, role) as connection:
            # What a writer has not committed yet is nothing to remember.
            known = (Memory(0), Memory(0)) if write else (self.memory, self.answers)
            session = self._session(connection, user, *known)
            yield session
            if keep:
                await commit(connection, self._announcement(session))
        if keep and self.replica is not None:
            self.replica.must_have(user, session.info.get("entry", 0))

    def _session(
        self, connection: AsyncConnection, user: int, memory: Memory, answers: Memory
    ) -> AsyncSession:
        info = {
            "user_id": user,
            "memory": memory,
            "answers": answers,
            "driver": driver_connection(connection),
            "seconds": self.settings.statement_timeout_seconds,
        }
        return AsyncSession(connection, expire_on_commit=False, info=info)

    def _announcement(self, session: AsyncSession) -> str | None:
        """What tells other programs that something new of this user is on the record."""
        if self.database.dialect == "sqlite" or not session.info.get("recorded"):
            return None
        return f"SELECT pg_notify('{NEWS}', '{user_of(session)}')"

    def _user(self, user_id: int | None) -> int:
        return int(self.settings.user_id if user_id is None else user_id)

    def _opening(self, user: int, role: str, *, write: bool) -> list[str]:
        if self.database.dialect == "sqlite":
            return [WRITES, "BEGIN IMMEDIATE"] if write else [READS, "BEGIN"]
        # SET LOCAL takes no parameters; `user` and the timeout are integers.
        timeout = int(self.settings.statement_timeout_seconds * 1000)
        # One snapshot for all statements of a reader, as SQLite gives it.
        kind = "READ WRITE" if write else "ISOLATION LEVEL REPEATABLE READ READ ONLY"
        return [
            f"BEGIN {kind};"
            f" SET LOCAL ROLE {role};"
            f" SET LOCAL app.user_id = '{user}';"
            f" SET LOCAL statement_timeout = {timeout}"
        ]

    async def close(self) -> None:
        for other in self._beside:
            await other.close()
        await self.connections.close()
        if self.replica is not None:
            await self.replica.connections.close()


async def _within(
    transaction: AbstractAsyncContextManager[AsyncSession], work: "Work[Result]"
) -> Result:
    async with transaction as session:
        return await work(session)


def user_of(session: AsyncSession) -> int:
    """The user whose transaction this is; every statement names it."""
    user: int = session.info["user_id"]
    return user


def driver_of(session: AsyncSession) -> Any:
    """The driver's own connection in this transaction."""
    return session.info["driver"]


def memory_of(session: AsyncSession) -> Memory:
    """What this process remembers of this database."""
    memory: Memory = session.info["memory"]
    return memory


def answers_of(session: AsyncSession) -> Memory:
    """The answers that this process remembers of this database."""
    answers: Memory = session.info["answers"]
    return answers


def may_postpone(session: AsyncSession) -> bool:
    """Whether what this transaction asks will be asked again if it raises `Postponed`."""
    return bool(session.info.get("postpones"))


def token_of(session: AsyncSession) -> str | None:
    """The API token on whose behalf this transaction writes; None from within."""
    token: str | None = session.info.get("token")
    return token


def is_rehearsed(session: AsyncSession) -> bool:
    """Whether what this transaction writes will be undone."""
    return bool(session.info.get("rehearsed"))


def _replica_of(settings: Settings) -> Replica | None:
    """The replica that the settings name; like the primary, it is not connected to yet."""
    database = settings.replica()
    return None if database is None else Replica(Connections(database, settings.pool_size))
