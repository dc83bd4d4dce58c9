"""A PostgreSQL whose data stays in a folder, so that what took long to fill is there again."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.postgres_server import (
    USER,
    Installation,
    Postmaster,
    Server,
    can_run,
    copy_for,
    find_installation,
    free_port,
    initialise,
    unprivileged_account,
)

SETTINGS = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "wal_level": "minimal",  # What fills a table that was just made is not written twice.
    "max_wal_senders": "0",
}
FILLING = SETTINGS | {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


@contextmanager
def kept_server(folder: Path, settings: dict[str, str] = SETTINGS) -> Iterator[Server]:
    """The server of `folder`, made there if there is none, for as long as the block lasts.

    Raises:
        NoPostgres: nothing was found that could be started.
    """
    installation, account = find_installation(), unprivileged_account()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
        if not can_run(installation, folder, account):
            installation = _copied(account, installation, folder / "install")
    if (folder / "data").is_dir():
        server = Server(
            host="127.0.0.1",
            port=free_port(),
            socket_dir=folder,
            user=USER,
            password=(folder / "password").read_text().rstrip("\n"),
            bin_dir=installation.bin_dir,
            log=folder / "log",
        )
    else:
        server = initialise(installation.bin_dir, folder, account)
    # A socket's path is limited to 107 bytes.
    with tempfile.TemporaryDirectory(prefix="trade-history-pg-", dir="/tmp") as sockets:
        if account:
            os.chown(sockets, account.pw_uid, account.pw_gid)
        running = Postmaster(replace(server, socket_dir=Path(sockets)), folder, account, settings)
        try:
            running.start()
            yield running.server
        finally:
            running.stop()


def _copied(account: pwd.struct_passwd, original: Installation, to: Path) -> Installation:
    if not to.is_dir():
        return copy_for(account, original, to)
    return replace(original, base=to, bin_dir=to / original.bin_dir.relative_to(original.base))
