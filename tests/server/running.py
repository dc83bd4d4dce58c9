"""The program itself, as hosts start it: a process on stdio, or one that listens."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp import StdioServerParameters

ROOT = Path(__file__).resolve().parents[2]
SERVER = ("-m", "mcp_server")
LISTENING_WITHIN_SECONDS = 60
PATHS = {"streamable-http": "/mcp", "sse": "/sse"}
NETWORK = tuple(PATHS)


@dataclass(frozen=True)
class Listening:
    url: str
    port: int
    process: asyncio.subprocess.Process
    log: Path


def environment(database_url: str, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if "TRADE_HISTORY" not in name}
    path = os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path, "DATABASE_URL": database_url, **more}


def on_stdio(database_url: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=list(SERVER), env=environment(database_url)
    )


@asynccontextmanager
async def listening(
    transport: str,
    database_url: str,
    folder: Path,
    *options: str,
    program: Sequence[str] = SERVER,
    **variables: str,
) -> AsyncIterator[Listening]:
    """A server of its own on a free port, stopped by the operator's signal at the end.

    `options` are for its command line, `variables` for its environment.
    """
    port = free_port()
    log = folder / f"{transport}-{port}.log"
    where = ["--transport", transport, "--port", str(port)]
    with log.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, *where, *options,
            env=environment(database_url, **variables),
            cwd=folder, stdout=errors, stderr=errors,
        )  # fmt: skip
    try:
        await accepting(port, process, log)
        url = f"http://127.0.0.1:{port}{PATHS[transport]}"
        yield Listening(url, port, process, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def trade_history(
    database_url: str, folder: Path, *arguments: str, typed: str = "", **variables: str
) -> tuple[int | None, str, str]:
    """The exit code, stdout and stderr of the command line; `typed` comes on stdin."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "store", *arguments,
        env=environment(database_url, **variables),
        cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    output, errors = await process.communicate(typed.encode())
    return process.returncode, output.decode(), errors.decode()


async def refused_to_start(
    database_url: str, folder: Path, *options: str, **variables: str
) -> tuple[int | None, str]:
    """The exit code and the words of a server that does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *SERVER, "--port", str(free_port()), *options,
        env=environment(database_url, **variables), cwd=folder,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LISTENING_WITHIN_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, output.decode()


async def accepting(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(LISTENING_WITHIN_SECONDS):
        while True:
            assert process.returncode is None, log.read_text()
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
