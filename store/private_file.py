"""A file for its owner's eyes only, replaced whole or not at all."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from pydantic import SecretStr

from store.errors import Invalid

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def read_private(path: Path) -> SecretStr:
    """What the file holds, if nobody but the user of this process can have read or put it.

    On Windows, where the user's folders are private by themselves, nothing is checked.

    Raises:
        Invalid: others may read or write it, or it is not this user's own.
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=_at_once) as file:
        # Asked of the open file: the name could lead elsewhere a moment later.
        problem = _exposure(os.fstat(file.fileno()))
        if problem:
            raise Invalid(f"{path} {problem}.")
        return SecretStr(file.read().decode("utf-8-sig", errors="replace"))


def replace_private(path: Path, text: SecretStr) -> None:
    """Put `text` in the place of what the file held; call it inside of `locked`.

    Whoever reads, and whatever is killed meanwhile: the file is the old or the new one.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # One who was killed left it there, where nobody reads it.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.get_secret_value().encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner's eyes only, which takes the place of `path` at the end of the
    block; whatever ends the block before leaves what was there.

    Raises:
        Invalid: something that is not a file has this name.
        OSError: it cannot be written there.
    """
    path = Path(os.path.realpath(path))  # What a link leads to is replaced, never the link.
    if path.exists() and not path.is_file():
        raise Invalid(f"{path} is not a file; the name of a file is accepted.")
    descriptor, new = mkstemp(prefix=f".{path.name}.", dir=path.parent)  # With mode 0600.
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        Path(new).unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process changes the file; a process that dies lets go.

    The lock is a file beside it that stays: to lock what is about to be replaced would
    keep out nobody who opens its successor.
    """
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)  # This lets go.


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe in the place of the file would hold us for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _exposure(found: os.stat_result) -> str | None:
    if sys.platform == "win32":
        return None
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        return "is not a file; a file that only its owner can read is accepted"
    if found.st_uid != os.geteuid():
        return (
            f"belongs to user {found.st_uid} and this process runs as user {os.geteuid()}; "
            "it is accepted from its owner only"
        )
    if mode & 0o077:
        return f"is open to others (mode {mode:04o}); mode 0600 is accepted, as by chmod 600"
    return None


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sync_folder(folder: Path) -> None:
    """The new name survives a power cut only when its folder is on the disk too."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
