"""Three commands for a fresh clone; Python 3.11 is all they need.

    python3 dev.py demo            try it: an invented year of trades, no broker, no account
    python3 dev.py test [ARGS]     run the tests; ARGS go to pytest
    python3 dev.py check           lint, formatting, types and import contracts

The first run makes `.venv` beside this file and installs what `requirements/` pins; later
runs install only what changed there. The pins are made from pyproject.toml with uv:

    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \\
        --no-annotate --group dev pyproject.toml -o requirements/dev.txt
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \\
        --no-annotate --group build -c requirements/dev.txt pyproject.toml \\
        -o requirements/runtime.txt
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
INSTALLED = VENV / "installed.txt"  # One line per finished installation: set and digest.

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)

# Without cached bytecode imports cost up to three times as much.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def main() -> int:
    command, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if sys.version_info < (3, 11):  # noqa: UP036 - the reader may well have an older one.
        print(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
        return 1
    if command == "demo":
        install("runtime")
        return run(PYTHON, "-m", "mcp_server.demo", "--directory", ROOT / ".demo", *arguments)
    if command == "test":
        install("dev")
        return run(PYTHON, "-m", "pytest", *(arguments or several_at_once()))
    if command == "check" and not arguments:
        install("dev")
        return check()
    print(__doc__)
    return 0 if command in ("-h", "--help", "help") else 2


def several_at_once() -> list[str]:
    """All tests in some processes, a file in one: most of them wait for servers to start."""
    processes = min(8, (os.cpu_count() or 1) + 1)
    # In the order that tests/conftest.py gives them.
    return ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]


def check() -> int:
    """Run every check, also after one has failed, and name those that did."""
    failed = []
    for program, *arguments in CHECKS:
        name = " ".join([program, *arguments])
        say(name)
        if run(PROGRAMS / program, *arguments) != 0:
            failed.append(name)
    say("failed: " + ", ".join(failed) if failed else "all checks passed")
    return 1 if failed else 0


def install(requirements: str) -> None:
    """Bring `.venv` up to date; the dev set contains the runtime set, to the version."""
    done = INSTALLED.read_text().splitlines() if PYTHON.exists() and INSTALLED.exists() else []
    if any(f"{name} {digest(name)}" in done for name in {requirements, "dev"}):
        return
    uv = shutil.which("uv")
    if not PYTHON.exists():
        say("making .venv")
        make_venv(uv)
    INSTALLED.unlink(missing_ok=True)
    installer = uv_installer(uv) if uv else pip_installer()
    say(f"installing requirements/{requirements}.txt (once; a minute or so)")
    pins = ROOT / "requirements" / f"{requirements}.txt"
    require(*installer, "--require-hashes", "-r", pins)
    say("installing trade-history-mcp, editable")
    require(*installer, "--no-deps", "--no-build-isolation", "-e", ROOT)
    INSTALLED.write_text(f"{requirements} {digest(requirements)}\n")


def digest(requirements: str) -> str:
    content = hashlib.sha256()
    for path in (ROOT / "requirements" / f"{requirements}.txt", ROOT / "pyproject.toml"):
        content.update(path.read_bytes())
    return content.hexdigest()


def make_venv(uv: str | None) -> None:
    if uv:
        require(uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV)
        return
    make = [sys.executable, "-m", "venv", "--clear"]
    if subprocess.run([*make, VENV], env=ENVIRONMENT, capture_output=True).returncode != 0:
        # Debian's python3 has no ensurepip; its pip can install into a venv that has none.
        require(*make, "--without-pip", VENV)


def uv_installer(uv: str) -> list[str | Path]:
    return [uv, "pip", "install", "--quiet", "--python", PYTHON]


def pip_installer() -> list[str | Path]:
    own = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0
    pip: list[str | Path] = (
        [PYTHON, "-m", "pip"] if own else [sys.executable, "-m", "pip", "--python", PYTHON]
    )
    quiet = ["-qq", "--no-input", "--disable-pip-version-check", "--root-user-action", "ignore"]
    return [*pip, "install", *quiet]


def require(*command: str | Path) -> None:
    if (code := run(*command)) != 0:
        sys.exit(f"dev.py: this failed with exit code {code}: {' '.join(map(str, command))}")


def run(*command: str | Path) -> int:
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode


def say(line: str) -> None:
    print(f"dev.py: {line}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
