"""A PgBouncer in front of the suite's PostgreSQL, where TEST_PGBOUNCER names the program.

Transaction pooling over fewer connections than tests open, as providers offer it: any two
transactions of one client may meet different connections of the server, and any two clients
the same one. No startup parameter is ignored, so that one it does not know fails the suite.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.postgres_server import (
    PAST_POOLER,
    READY_WITHIN_SECONDS,
    Server,
    free_port,
    identity,
    unprivileged_account,
)

CONNECTIONS = 4  # To one database.
CONFIGURATION = """\
[databases]
* = host={server.host} port={server.port}

[pgbouncer]
listen_addr = {server.host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
"""


@contextmanager
def behind_pgbouncer(server: Server, program: str | None = None) -> Iterator[Server]:
    """`server`, whose addresses lead through a pooler for as long as the block lasts.

    Without a `program`, and without TEST_PGBOUNCER, they lead straight to it.
    """
    program = program or os.environ.get("TEST_PGBOUNCER")
    if not program:
        yield server
        return
    port = free_port()
    pooled = replace(server, pooler_port=port)
    PAST_POOLER[port] = server.port
    log = server.log.with_name("pgbouncer.log")
    process = start(Path(program), pooled, log)
    try:
        wait_until_listening(process, pooled, log)
        yield pooled
    finally:
        process.send_signal(signal.SIGTERM)  # At once: whoever is still connected is cut.
        process.wait(READY_WITHIN_SECONDS)


def start(program: Path, server: Server, log: Path) -> "subprocess.Popen[bytes]":
    """Like the server, it refuses to run as root; files beside the server's end with them."""
    account, folder = unprivileged_account(), server.log.parent
    users, configuration = folder / "pgbouncer.users", folder / "pgbouncer.ini"
    # In plain text the password serves both sides: to check the client and to log in itself.
    users.write_text(f"{in_quotes(server.user)} {in_quotes(server.password)}\n")
    configuration.write_text(
        CONFIGURATION.format(
            server=server, port=server.pooler_port, users=users, connections=CONNECTIONS
        )
    )
    for file in (users, configuration):
        file.chmod(0o600)
        if account:
            os.chown(file, account.pw_uid, account.pw_gid)
    with log.open("wb") as errors:
        return subprocess.Popen(
            [program, configuration],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            process_group=0,
            **identity(account, folder),
        )


def in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def wait_until_listening(process: "subprocess.Popen[bytes]", server: Server, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((server.host, server.pooler_port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"PgBouncer did not start:\n{log.read_text()}")
