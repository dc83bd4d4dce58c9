"""What went wrong with the database, in one sentence with its remedy, and whether trying
again can help. A driver's own text may carry secrets and is never repeated."""

import asyncio
import random
import socket
import sqlite3
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from store.database_url import Database
from store.errors import Unavailable

Result = TypeVar("Result")

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.1
PATIENCE_SECONDS = 30  # No attempt begins later; a serverless database wakes in a few seconds.


def dropped() -> tuple[type[Exception], ...]:
    """What a driver raises when the other side has gone."""
    return (
        ConnectionError,
        *of_asyncpg(
            "InterfaceError",
            "InternalClientError",  # What it says of a connection that was cut in mid-sentence.
            "PostgresConnectionError",
            "AdminShutdownError",
            "CrashShutdownError",
        ),
    )


def faults(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What a statement, or the end of a transaction, may fail with, and `more`."""
    return (
        *more,
        DBAPIError,
        sqlite3.Error,
        TimeoutError,
        *of_asyncpg("PostgresError"),
        *dropped(),
    )


def of_asyncpg(*names: str) -> tuple[type[Exception], ...]:
    """Errors of PostgreSQL's driver, which only an address of PostgreSQL loads: where it is not
    loaded, none was raised."""
    driver = sys.modules.get("asyncpg")
    return tuple(getattr(driver, name) for name in names) if driver else ()


UNREACHABLE = {
    "28P01": "the password or user name is refused; check DATABASE_URL",
    "28000": "the user may not connect; check DATABASE_URL",
    "3D000": "the database does not exist; create it or check DATABASE_URL",
    "53300": "it has no connection left; lower TRADE_HISTORY_POOL_SIZE",
    "08P01": "the pooler in front of it refuses; check user, password and database in"
    " DATABASE_URL, and that the pooler has connections free",
    "57P03": "it is starting up or recovering; try again shortly",
}
PASSING = {"08P01", "53300", "57P03"}  # Of these, what may be otherwise in a moment.

TOO_SLOW = "took too long to answer and was stopped; ask for less, or raise the limit."
FULL = "has no space left on its disk; free some and repeat, nothing of this is recorded."
POSTGRESQL = {
    "57014": TOO_SLOW,
    "53100": FULL,
    "26000": "is behind a pooler that keeps no prepared statements; set"
    " TRADE_HISTORY_PG_PREPARED to auto or off.",
    "25006": "is read-only, as a standby is; name the primary in DATABASE_URL.",
}
# Another transaction came first and this one was undone: begun anew, it succeeds.
UNDONE = {"40001", "40P01", "55P03"}
SQLITE = {
    "interrupted": TOO_SLOW,
    "disk is full": FULL,
    "readonly database": "is read-only; the file, its folder and its disk must be writable.",
    "disk I/O error": "cannot read or write its file; check the disk, nothing of this is recorded.",
    "malformed": "is damaged; restore the file from a backup.",
    "not a database": "is a file, but no SQLite database; check DATABASE_URL.",
    "integer overflow": "cannot add up more than 9.2 trillion in one currency; ask for less, or"
    " keep the ledger on PostgreSQL.",
}


def unreachable(error: BaseException, database: Database) -> Unavailable:
    """Why no connection could be opened."""
    state = state_of(error)
    cause = driver_error(error)
    passing = state in PASSING
    if state in UNREACHABLE:
        reason = UNREACHABLE[state]
    elif database.dialect == "sqlite":
        reason = _file_problem(cause)
    elif isinstance(cause, socket.gaierror):
        reason = "its host name is not known; check DATABASE_URL, and the network"
        passing = cause.errno == socket.EAI_AGAIN
    elif isinstance(cause, ssl.SSLError) or "rejected SSL" in str(cause):
        reason = "it does not agree to the encryption asked for; check sslmode in DATABASE_URL"
    else:
        reason = "it does not answer; check that it runs and that host and port are right"
        passing = True
    return Unavailable(
        f"The store {database.name} is unreachable: {reason}.", again="yes" if passing else "no"
    )


def _file_problem(cause: BaseException) -> str:
    if "not a database" in str(cause):
        return "the file is no SQLite database; check DATABASE_URL"
    if "readonly" in str(cause):
        return "the file cannot be written; check the rights of the file and its folder"
    if "full" in str(cause):
        return "its disk is full; free some space"
    return (
        "the file cannot be opened; check that its folder exists and is writable, and that its"
        " disk has space left"
    )


def fault(error: BaseException, database: Database) -> Unavailable | None:
    """Why a transaction under way failed; None if the fault is not the database's."""
    state, cause = state_of(error), driver_error(error)
    if state in UNDONE:
        words = f"The store {database.name} had to undo this; repeat it."
        return Unavailable(words, again="yes", away=False)
    if state in POSTGRESQL:
        return Unavailable(f"The store {database.name} {POSTGRESQL[state]}", away=False)
    if isinstance(cause, sqlite3.Error):
        for words, reason in SQLITE.items():
            if words in str(cause):
                return Unavailable(f"The store {database.name} {reason}", away=False)
        return None
    if isinstance(cause, (*dropped(), TimeoutError)) or getattr(
        error, "connection_invalidated", False
    ):
        return Unavailable(
            f"The store {database.name} broke off; a write may be repeated safely under the"
            " same key.",
            again="keyed",
        )
    return None


def not_opened(error: BaseException, role: str, busy_seconds: int) -> Unavailable | None:
    """Why a transaction could not begin on a connection that works."""
    # The role is missing, or may not be taken.
    if state_of(error) in ("22023", "42704", "42501"):
        return Unavailable(
            f"The database has no usable role {role}: run `trade-history migrate` as its owner, or"
            " use a login that may take the role."
        )
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return Unavailable(
            f"The store is busy: another program has been writing for {busy_seconds} seconds.",
            away=False,
        )
    return None


def driver_error(error: BaseException) -> BaseException:
    cause: Any = getattr(error, "driver_exception", None) or error
    return cause if isinstance(cause, BaseException) else error


def state_of(error: BaseException) -> str | None:
    """The SQLSTATE that PostgreSQL gave."""
    state: str | None = getattr(driver_error(error), "sqlstate", None)
    return state


async def patiently(attempt: Callable[[], Awaitable[Result]], *, keyed: bool) -> Result:
    """`attempt`, repeated a few times with growing, random waits while that may help.

    What may have happened already, for all one knows, is repeated only if `keyed`: reading,
    or writing under a key that makes it happen once.
    """
    began = time.monotonic()
    for attempts_left in range(ATTEMPTS - 1, -1, -1):
        try:
            return await attempt()
        except Unavailable as error:
            may = error.again == "yes" or (keyed and error.again == "keyed")
            if not may or not attempts_left or time.monotonic() - began > PATIENCE_SECONDS:
                raise
        # Random, lest all who were cut off come back at the same moment.
        longest = FIRST_WAIT_SECONDS * 4 ** (ATTEMPTS - 1 - attempts_left)
        await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311
    raise AssertionError("the last attempt returns or raises")
