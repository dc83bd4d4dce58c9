"""One run over a ledger: its ordinary users and its heaviest, warm and cold, one at a time and
many at once."""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import select

from benchmarks.machines import machine, say, settings_for
from benchmarks.measures import table
from benchmarks.scale.asking import cold, doors, warm
from benchmarks.scale.loads import loads, memory
from store.database import Store
from store.models import User

HEAVY = 10  # Times as many trades as most have.
LEAST, COLD = 8, 160  # Users whose first question is measured.

Found = dict[str, Any]


async def run(url: str, calls: int, seconds: float, *, heavy_too: bool) -> Found:
    """Everything that is measured of the ledger at `url`, ready for JSON; `tools` are the
    warm answers of each user that was asked, in the order of `users`."""
    trades = await trades_by_user(url)
    usual = median(trades.values())
    ordinary = [user for user, count in trades.items() if count < HEAVY * usual]
    heavy = [user for user, count in trades.items() if count >= HEAVY * usual]
    # Ordered by their trades: of the heavy ones the lightest and the heaviest.
    asked = [ordinary[len(ordinary) // 2], *(heavy[:1] + heavy[-1:] if heavy_too else [])]
    others = _spread(ordinary, asked[0])
    facts = {"users": len(trades), "trades": sum(trades.values()), "calls": calls}
    found: Found = {
        "facts": facts | await machine(settings_for(url, 1)),
        "cold": await cold(settings_for(url, asked[0]), others) if len(others) >= LEAST else [],
        "warm": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for user in dict.fromkeys(asked):
            say(f"User {user}, {trades[user]:,} trades ...")
            few = user in heavy
            async with doors(settings_for(url, user), Path(folder), http=True) as of_user:
                tools = await warm(of_user, max(3, calls // 20) if few else calls, 1 if few else 10)
                assert of_user.served
                found["warm"].append(
                    {
                        "user": user,
                        "trades": trades[user],
                        "tools": [one.numbers() for one in tools],
                        "loads": await loads(of_user.served, seconds) if not few else [],
                        "memory": memory(of_user.served.process.pid),
                        "table": table(tools),
                    }
                )
    return found


async def trades_by_user(url: str) -> dict[int, int]:
    store = Store(settings_for(url, 1))
    try:
        async with store.operate() as session:
            rows = await session.execute(
                select(User.user_id, User.last_trade)
                .where(User.last_trade > 0)
                .order_by(User.last_trade, User.user_id)
            )
            return {row.user_id: row.last_trade for row in rows}
    finally:
        await store.close()


def _spread(users: list[int], asked: int) -> list[int]:
    """Some of the users, from the first to the last, without the one that is asked warm."""
    others = [user for user in users if user != asked]
    return others[:: max(1, len(others) // COLD)][:COLD]
