"""A standby of the suite's PostgreSQL: it follows by streaming, and answers meanwhile."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.postgres_server import DISPOSABLE, Postmaster, free_port, identity

DELAYED = {"max_standby_streaming_delay": "0"}  # What is in the way of following is cut.


@contextmanager
def standby_of(primary: Postmaster) -> Iterator[Postmaster]:
    """A copy of everything that the server of `primary` holds, kept up by streaming."""
    folder = Path(tempfile.mkdtemp(prefix="trade-history-pg-", dir="/tmp"))
    account, of = primary.account, primary.server
    server = replace(of, port=free_port(), socket_dir=folder, log=folder / "log")
    try:
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        who = identity(account, folder)
        who["env"]["PGPASSWORD"] = of.password
        subprocess.run(
            [
                of.bin_dir / "pg_basebackup",
                f"--pgdata={folder / 'data'}",
                f"--host={of.host}",
                f"--port={of.port}",
                f"--username={of.user}",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            **who,
        )
        running = Postmaster(server, folder, account, DISPOSABLE | DELAYED)
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
