"""The same questions to others, on the same rows, over stdio: what else a trader could use.

- The generic way: an agent writes SQL and a server runs it (mcp-alchemy, DBHub), here against
  the views in plain units. Times are of the calls alone, without the time and tokens that a
  model needs to find the tables and to write the SQL.
- tradememory-protocol keeps trades of its own: those of the asking user are told to it by its
  own tool first. It can be asked for a strategy only.

What an answer lacks is said beside its time: a query that is faster because it leaves out the
interval is no faster answer.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from sqlalchemy import select

from benchmarks.floors import TOOLS, Tool
from benchmarks.machines import on_stdio, say, settings_for
from benchmarks.measures import summed_up
from benchmarks.scale.asking import Call, calling, timed
from store.database import Store
from store.models import Trade

PINS = {
    "mcp-alchemy": "mcp-alchemy==2026.10.15.202659",
    "tradememory-protocol": "tradememory-protocol==0.5.6",
    "DBHub": "@bytebase/dbhub@0.21.2",
}
OF_USER = "FROM trades_readable WHERE user_id = {user} AND mode = 'live' AND status = 'closed'"
RATE = (
    "count(*) AS n, sum(CASE WHEN outcome = 'win' THEN 1 ELSE 0 END) AS wins,"
    " sum(CASE WHEN outcome = 'loss' THEN 1 ELSE 0 END) AS losses, sum(net_pnl) AS net"
)
GROUPS = ("strategy", "structure", "entry_weekday", "CAST(scanner_score / 10 AS INTEGER)")
# What an agent that knows the schema would send for each question.
QUERIES = {
    "get_trade_history": [
        f"SELECT {RATE} {OF_USER} AND ticker = 'AAPL'",
        f"SELECT number, strategy, closed_on, quantity, entry_price, exit_price, net_pnl, outcome"
        f" {OF_USER} AND ticker = 'AAPL' ORDER BY closed_at DESC LIMIT 5",
    ],
    "get_win_rate_by_score": [
        f"SELECT CASE WHEN scanner_score BETWEEN 60 AND 80 THEN 'inside' ELSE 'outside' END"
        f" AS part, {RATE} {OF_USER} GROUP BY 1",
    ],
    "get_best_entry_conditions": [
        f"SELECT {group} AS value, {RATE} {OF_USER} AND ticker = 'AAPL' GROUP BY 1 ORDER BY 5 DESC"
        for group in GROUPS
    ],
    "get_strategy_performance": [
        f"SELECT {RATE}, avg(net_pnl) AS expectancy, avg(r_multiple) AS r,"
        " sum(CASE WHEN net_pnl > 0 THEN net_pnl END) AS won,"
        " sum(CASE WHEN net_pnl < 0 THEN net_pnl END) AS lost"
        f" {OF_USER} AND strategy = 'leap_call'",
    ],
}
LACKS = {
    "get_trade_history": "no interval, two calls",
    "get_win_rate_by_score": "no interval, no test of the range or of the score",
    "get_best_entry_conditions": "a bare ranking: no interval, nothing for having picked",
    "get_strategy_performance": "no interval, no drawdown, no streaks, no Kelly",
}
LACKS_OF_MEMORY = (
    "no interval; break-evens count as losses, no loss gives infinity; floats; no fees, no mode,"
    " 10,000 trades at most"
)


@dataclass(frozen=True)
class Peer:
    name: str
    command: StdioServerParameters
    tool: str
    argument: str  # That holds the SQL.


def install(folder: Path) -> None:
    """Put what is not there yet into `folder`, by pip and npm."""
    for name in ("mcp-alchemy", "tradememory-protocol"):
        place = folder / name
        if not place.exists():
            say(f"Installing {name} ...")
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            more = ["psycopg2-binary"] if name == "mcp-alchemy" else []
            subprocess.run([place / "bin" / "pip", "install", "-q", PINS[name], *more], check=True)
    if not (folder / "DBHub").exists():
        say("Installing DBHub ...")
        (folder / "DBHub").mkdir(parents=True)
        done = subprocess.run(["npm", "install", PINS["DBHub"]], cwd=folder / "DBHub")
        if done.returncode:
            say("DBHub could not be installed: the others are asked without it.")


def peers(folder: Path, url: str) -> list[Peer]:
    """Those that send SQL."""
    alchemy = url.replace("postgresql://", "postgresql+psycopg2://")
    dbhub = folder / "DBHub" / "node_modules" / ".bin" / "dbhub"
    known = [
        Peer(
            "mcp-alchemy",
            _program(folder / "mcp-alchemy" / "bin" / "mcp-alchemy", DB_URL=alchemy),
            "execute_query",
            "query",
        ),
        Peer("DBHub", _program(dbhub, "--transport", "stdio", "--dsn", url), "execute_sql", "sql"),
    ]
    return [peer for peer in known if Path(peer.command.command).exists()]


def _program(program: Path, *arguments: str, **variables: str) -> StdioServerParameters:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return StdioServerParameters(
        command=str(program), args=list(arguments), env=inherited | variables
    )


async def compare(folder: Path, url: str, user: int, calls: int) -> list[dict[str, Any]]:
    """Of every tool: what we take and what each peer takes, call by call in turns."""
    asked: dict[tuple[str, str], Call] = {}
    found = []
    with tempfile.TemporaryDirectory() as here:
        ours = on_stdio(Path(here), url, user, "-m", "mcp_server")
        async with Client(ours) as server:
            for tool in TOOLS:
                asked[tool.name, "ours"] = calling(server, tool.name, tool.arguments)
            async with (
                _all(peers(folder, url), user) as theirs,
                _memory(folder, url, user, Path(here)) as memory,
            ):
                asked |= theirs | memory
                found = await _time(asked, calls)
    return found


@asynccontextmanager
async def _all(peers: Sequence[Peer], user: int) -> AsyncIterator[dict[tuple[str, str], Call]]:
    if not peers:
        yield {}
        return
    peer, *others = peers
    async with Client(peer.command) as client, _all(others, user) as asked:
        for tool in TOOLS:
            asked[tool.name, peer.name] = _in_sql(client, peer, tool, user)
        yield asked


def _in_sql(client: Client, peer: Peer, tool: Tool, user: int) -> Call:
    each = [
        calling(client, peer.tool, {peer.argument: query.format(user=user)})
        for query in QUERIES[tool.name]
    ]

    async def ask() -> list[Any]:
        return [await call() for call in each]

    return ask


@asynccontextmanager
async def _memory(
    folder: Path, url: str, user: int, here: Path
) -> AsyncIterator[dict[tuple[str, str], Call]]:
    """tradememory-protocol, which first is told the user's trades."""
    program = folder / "tradememory-protocol" / "bin" / "tradememory-protocol"
    command = _program(program, TRADEMEMORY_DB=str(here / "memory.db"))
    async with Client(command) as client:
        await _tell(client, await _trades(url, user))
        arguments = {"strategy_name": "leap_call"}
        yield {
            ("get_strategy_performance", "tradememory-protocol"): calling(
                client, "get_strategy_performance", arguments
            )
        }


async def _trades(url: str, user: int) -> Sequence[Trade]:
    store = Store(settings_for(url, user))
    try:
        async with store.read() as session:
            mine = select(Trade).where(Trade.user_id == user).order_by(Trade.number)
            return (await session.scalars(mine)).all()
    finally:
        await store.close()


async def _tell(client: Client, trades: Sequence[Trade]) -> None:
    say(f"Telling tradememory-protocol of {len(trades):,} trades ...")
    for trade in trades:
        told = {
            "symbol": trade.ticker,
            "direction": "short" if trade.direction == "bearish" else "long",
            "entry_price": float(trade.entry_price),
            "exit_price": float(trade.exit_price or 0),
            "pnl": float(trade.net_pnl or 0),
            "strategy_name": trade.strategy or "none",
            "market_context": "",
            "trade_id": f"t{trade.number}",
            "timestamp": trade.opened_at.isoformat(),
        }
        await calling(client, "remember_trade", told)()


async def _time(asked: dict[tuple[str, str], Call], calls: int) -> list[dict[str, Any]]:
    times: dict[tuple[str, str], list[float]] = {who: [] for who in asked}
    found = []
    for who, call in asked.items():
        said = [_text(await call()) for _ in range(3)][-1]
        lacks = "" if who[1] == "ours" else LACKS[who[0]]
        if who[1] == "tradememory-protocol":
            lacks = LACKS_OF_MEMORY
        found.append({"tool": who[0], "by": who[1], "characters": len(said), "lacks": lacks})
    for turn in range(calls):
        if turn % max(1, calls // 5) == 0:
            say(f"Asking peers: {turn} of {calls}")
        for who, call in asked.items():
            times[who].append(await timed(call))
    for one in found:
        one |= summed_up(times[str(one["tool"]), str(one["by"])])
    return sorted(found, key=lambda one: [tool.name for tool in TOOLS].index(str(one["tool"])))


def _text(answers: Any) -> str:
    """All that a model would read of the answers."""
    several = answers if isinstance(answers, list) else [answers]
    return "".join(
        getattr(part, "text", "") for answer in several for part in answer.content
    ) or json.dumps(several)
