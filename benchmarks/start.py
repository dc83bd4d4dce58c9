"""How long until a host has the list of tools, and how much memory does the server take?

    python -m benchmarks.start [--rounds 10] [--json FILE]

The server and an empty server of the SDK (empty_server.py) are started on stdio, taking turns,
and asked for their tools at once: the time from start to reply, the CPU time that took, and
the memory held then, without any question asked yet. The design's targets: 1.5 x the time and
1.3 x the memory of the empty server.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.machines import ROOT

PROGRAMS = {"server": "mcp_server", "empty": "benchmarks.empty_server"}
ASKED = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
KINDS = ("seconds", "cpu_seconds", "mb")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(rounds: int, json_file: Path | None) -> None:
    """Measure the start of the server beside that of an empty one."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            for name, module in PROGRAMS.items():
                started = start(module, folder)
                if turn:  # The first ones compile, and read from the disk.
                    runs[name].append(started)
    found: dict[str, Any] = {
        name: {kind: round(median(run[kind] for run in some), 3) for kind in KINDS}
        for name, some in runs.items()
    }
    found["ratio"] = {
        kind: round(found["server"][kind] / found["empty"][kind], 2) for kind in KINDS
    }
    for name, numbers in found.items():
        print(f"{name:7}", "  ".join(f"{kind} {number}" for kind, number in numbers.items()))
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


def start(module: str, folder: str) -> dict[str, float]:
    ours = ("TRADE_HISTORY", "DATABASE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    begun = time.perf_counter()
    program = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=inherited | {"PYTHONPATH": str(ROOT), "TRADE_HISTORY_DATA_DIR": folder},
        cwd=folder,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(json.dumps(ASKED).encode() + b"\n")
    program.stdin.flush()
    reply = program.stdout.readline()
    seconds = time.perf_counter() - begun
    assert "tools" in json.loads(reply)["result"], reply
    status = Path(f"/proc/{program.pid}/status").read_text()
    megabytes = int(status.split("VmRSS:")[1].split()[0]) / 1024
    # The name before the last parenthesis may hold anything.
    told = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    program.communicate()
    cpu = (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return {"seconds": seconds, "cpu_seconds": cpu, "mb": megabytes}


if __name__ == "__main__":
    main()
