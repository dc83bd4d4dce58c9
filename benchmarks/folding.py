"""Is the operator's fold exact, what does it save, and what does it cost?

    python -m benchmarks.folding [--trades 1000000] [--users 1000] [--postgres] [--json FILE]
    python -m benchmarks.folding --changes 100000 [--postgres]

Measured on a generated ledger: the report from the fold, with 10,000 changes unfolded, and
with none folded; the same by a scan; how fast changes are folded; what the trigger adds to
inserting closed trades in bulk.

With --changes: so many random recordings, closings, corrections and voids of five users in
several accounts, with folds of random sizes between them. Twenty times on the way, and at the
end, the fold and what is unfolded are held against a scan of every trade; the first difference
ends it with exit code 1. --seed repeats a run.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from benchmarks.machines import machine, say, settings_for
from benchmarks.scale.filling import fill, sizes
from benchmarks.tools import a_database
from store.accounts import AccountEntry, put_account
from store.batches import record_trades
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import StoreError
from store.folding import fold_all, rebuild_fold, report, wrong_fold
from store.folding.adding import scanned, tallied
from store.models import Base, Strategy, Trade, Unfolded
from store.recording import close_trade, open_trade
from store.records import ByPrices, TradeEntry
from store.schema import add_user, connected, prepare, upgrade
from store.settings import Settings

PATIENT_SECONDS = 3_600
CHECKS = 20
AT_ONCE = 20  # Commands in a transaction.
TIMES = 20
UNFOLDED = 10_000
LOADED = 50_000  # Trades whose loading is timed with the trigger and without it.


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--users", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--changes", type=click.IntRange(1), help="Random changes, checked, not timed.")
@click.option("--seed", type=int, default=20_261_122, show_default=True)
@click.option("--database-url", help="An empty database of any kind; it is filled for good.")
@click.option("--postgres", is_flag=True, help="The test suite's own server, for this run.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(
    trades: int,
    users: int,
    changes: int | None,
    seed: int,
    database_url: str | None,
    postgres: bool,
    json_file: Path | None,
) -> None:
    """Measure the operator's report, or hold it against scans after random changes."""
    with a_database(database_url, postgres) as url:
        settings = settings_for(url, 1).model_copy(
            update={"statement_timeout_seconds": PATIENT_SECONDS}
        )
        if changes:
            found = asyncio.run(changed(settings, changes, random.Random(seed)))
        else:
            found = asyncio.run(measured(settings, trades, users))
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    if found.get("wrong"):
        sys.exit(1)


# --- Exact?

KINDS = ("record", "record", "record", "open", "close", "correct", "void")
TICKERS = ("SPX", "SPY", "QQQ", "AAPL", "TSLA")
ACCOUNTS = [(mode, currency) for mode in ("live", "paper") for currency in ("USD", "EUR")]
USERS = range(1, 6)


@dataclass
class Ledger:
    """How many trades a user has, and which were opened."""

    user: int
    trades: int = 0
    opened: list[int] = field(default_factory=list)


async def changed(settings: Settings, changes: int, chance: random.Random) -> dict[str, Any]:
    await upgrade(settings)
    store = Store(settings)
    done: Counter[str] = Counter()
    wrong, count, checked, began = None, 0, 0, time.monotonic()
    try:
        ledgers = [await _ledger(store, user) for user in USERS]
        while count < changes and not wrong:
            one = chance.choice(ledgers)
            async with store.write(one.user) as session:
                for _ in range(AT_ONCE):
                    done.update(await _change(session, chance, one))
            count = done.total() - done["folded"] - done["refused"]
            if chance.random() < 0.2:
                done["folded"] += await fold_all(store, chance.choice([70, 1_000, 10_000]))
            if count * CHECKS // changes > checked:
                checked = count * CHECKS // changes
                wrong = await store.survey(wrong_fold)
                say(f"{count} changes, {time.monotonic() - began:.0f} s: {wrong or 'exact'}")
        async with store.operate() as session:
            left = await session.scalar(text("SELECT count(*) FROM unfolded"))
        return {"changes": count, **done, "unfolded": left, "wrong": wrong}
    finally:
        await store.close()


async def _ledger(store: Store, user: int) -> Ledger:
    await add_user(store, user, f"user {user}")
    async with store.write(user) as session:
        for mode, currency in ACCOUNTS:
            entry = {"name": f"{mode} {currency}", "mode": mode, "currency": currency}
            await put_account(session, AccountEntry.model_validate(entry))
    return Ledger(user)


async def _change(session: AsyncSession, chance: random.Random, of: Ledger) -> dict[str, int]:
    """One random command, and how many trades it changed; what it corrects or voids may be
    any trade that there is."""
    kind = chance.choice(KINDS)
    number = chance.randint(1, of.trades + 1)
    try:
        if kind == "close" and not of.opened:
            return {"refused": 1}
        if kind == "record":
            entries = [_entry(chance, ended=True) for _ in range(chance.randint(1, 40))]
            of.trades = (await record_trades(session, entries))[-1]
            return {kind: len(entries)}
        if kind == "open":
            of.trades = (await open_trade(session, _entry(chance, ended=False))).number
            of.opened.append(of.trades)
        elif kind == "close":
            said = {"prices": {1: {"price": "101.5"}}, "at": "2026-11-05T12:00:00Z"}
            number = of.opened.pop(chance.randrange(len(of.opened)))
            await close_trade(session, number, ByPrices.model_validate(said))
        elif kind == "correct":
            restated = _entry(chance, ended=True)
            of.trades = (await correct_trade(session, number, restated, reason="price")).number
        else:
            await void_trade(session, number, reason="twice")
    except StoreError:
        # It is open, locked or not there: that is found before anything is written.
        return {"refused": 1}
    return {kind: 1}


def _entry(chance: random.Random, *, ended: bool) -> TradeEntry:
    mode, currency = chance.choice(ACCOUNTS)
    month = chance.randint(1, 9)
    fills = [{"side": "buy", "quantity": 100, "price": 100, "fee": chance.choice(["0", "0.65"]),
              "filled_at": f"2026-0{month}-05T15:00:00Z"}]  # fmt: skip
    if ended:
        price = chance.choice(["100", "99.37", "101.2345", "150"])
        sold = {"side": "sell", "price": price, "filled_at": f"2026-0{month}-06T15:00:00Z"}
        fills.append({**fills[0], **sold})
    return TradeEntry.model_validate(
        {
            "account": f"{mode} {currency}",
            "ticker": chance.choice(TICKERS),
            "strategy": chance.choice(["Leap Call", "LEAP call", "swing", None]),
            "scanner_score": chance.choice(["79.99", "80", "100", None]),
            "ai_score": chance.choice(["0", "12.5", None]),
            "legs": [{"instrument": "equity", "fills": fills}],
        }
    )


# --- What it saves, and what it costs


async def measured(settings: Settings, trades: int, users: int) -> dict[str, Any]:
    say(f"Recording {trades} trades of {users} users ...")
    await fill(settings, sizes(users, -(-trades // users)))
    store = Store(settings)
    try:
        await prepare(store)
        facts: dict[str, Any] = {"trades": trades, "users": users}
        facts["rebuild, ms"] = await _median(1, lambda: rebuild_fold(store))
        async with store.operate() as session:
            rows = await session.scalar(text("SELECT count(*) FROM fold"))
        facts["rows of the fold"] = rows
        facts |= await _reports(store, "report from the fold")
        facts["scan, ms"] = await _median(1, lambda: store.survey(_scan))
        facts |= await _close_more(settings)
        facts |= await _reports(store, f"report, {UNFOLDED} unfolded")
        began = time.perf_counter()
        count = await fold_all(store)
        facts["folded a second"] = round(count / (time.perf_counter() - began))
        facts["wrong"] = await store.survey(wrong_fold)
        return facts | await machine(settings)
    finally:
        await store.close()


async def _median(times: int, work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        found.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(found), 1)


async def _reports(store: Store, what: str) -> dict[str, float]:
    return {
        f"{what}, by {by or 'nothing'}, ms": await _median(TIMES, partial(_reported, store, by))
        for by in (None, "strategy", "scanner_score", "ticker", "month")
    }


async def _reported(store: Store, by: Any) -> Any:
    return await store.survey(lambda session: report(session, by=by))


async def _scan(session: AsyncSession) -> Any:
    return await tallied(session, scanned())


# As a bulk loader writes them; numbers beyond those that there are.
COLUMNS = [column.name for column in Trade.__table__.columns]
CHANGED = {"number": "number + {beyond}", "external_id": "NULL", "broker_order_id": "NULL"}
COPY = f"""INSERT INTO trades ({", ".join(COLUMNS)})
    SELECT {", ".join(CHANGED.get(name, name) for name in COLUMNS)}
    FROM trades WHERE number < {{beyond}} LIMIT {{count}}"""  # noqa: S608
WITHOUT = {
    "sqlite": "DROP TRIGGER trades_closed",
    "postgresql": "ALTER TABLE trades DISABLE TRIGGER closed",
}


async def _close_more(settings: Settings) -> dict[str, Any]:
    """Insert closed trades: with the trigger and without it, undone, and a few to stay."""
    seconds = {}
    dialect = settings.database().dialect
    for name, before in (("with", "SELECT 1"), ("without", WITHOUT[dialect])):
        with suppress(_UndoneError):
            async with connected(settings) as connection:
                await connection.exec_driver_sql(before)
                seconds[name] = await _copied(connection, LOADED)
                raise _UndoneError
    async with connected(settings) as connection:
        await _copied(connection, UNFOLDED)
    return {
        f"insert of {LOADED} closed trades {name} the trigger, s": round(took, 2)
        for name, took in seconds.items()
    }


class _UndoneError(Exception):
    pass


async def _copied(connection: AsyncConnection, count: int) -> float:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    postgresql = connection.dialect.name == "postgresql"
    models = (Trade, Strategy, Unfolded)
    if postgresql:
        await _exempt_owner(driver, models, exempt=True)
    began = time.perf_counter()
    await connection.exec_driver_sql(COPY.format(beyond=10**9, count=count))
    took = time.perf_counter() - began
    if postgresql:
        await _exempt_owner(driver, models, exempt=False)
    return took


async def _exempt_owner(driver: Any, models: Iterable[type[Base]], *, exempt: bool) -> None:
    for model in models:
        force = "NO FORCE" if exempt else "FORCE"
        await driver.execute(f"ALTER TABLE {model.__tablename__} {force} ROW LEVEL SECURITY")


if __name__ == "__main__":
    main()
