"""How large is the database, what fills it, how much of that is new?

At any size only a bounded part is read, and no table from end to end: sizes from PostgreSQL's
catalogue or SQLite's pages, the counters of the users, and single rows by their key, of at most
500 users and 1,000 trades evenly spaced. Numbers of trades and of audit entries count up by
time, so that a search by halves finds how many there were at a moment.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Select, case, func, literal, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.columns import Count
from store.errors import Unavailable
from store.growth import Activity, Storage, window_start
from store.models import AuditEntry, Base, Call, Trade, User

USERS_SAMPLED = 500
TRADES_SAMPLED = 1_000
WALKED_MAX = 64_000_000  # Bytes of a SQLite file that is read to tell its tables apart.

GROUPS = {
    "executions": ("executions",),
    "audit": ("audit",),
    "requests": ("requests",),
    "calls": ("calls",),
    "market_data": ("bars", "fundamentals"),
}

# Of a partitioned table its partitions; of a hypertable the chunks that are not compressed.
POSTGRESQL = text("""
    SELECT relname::text AS name, pg_total_relation_size(c.oid) + coalesce(
            (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
                WHERE inhparent = c.oid), 0)::bigint AS size
    FROM pg_class c WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = quote_ident(current_schema())::regnamespace""")
TIMESCALE = text("""
    SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE extname = 'timescaledb'""")
CITUS = text("SELECT to_regclass('pg_dist_partition')::text")
DISTRIBUTED = text("SELECT EXISTS (SELECT FROM pg_dist_partition)")
SQLITE = text("""
    SELECT lower(tbl_name) AS name, sum(pgsize) AS size
    FROM dbstat JOIN sqlite_master USING (name) WHERE aggregate = TRUE GROUP BY 1""")


async def storage(session: AsyncSession, now: datetime, *, thorough: bool = False) -> Storage:
    """What the database holds at `now`; `session` is an operator's, and sees every user.

    `thorough` tells the tables of a large SQLite file apart, too, which reads all of it.

    Raises:
        Unavailable: the rows are on the machines of a Citus cluster.
    """
    sqlite = session.get_bind().dialect.name == "sqlite"
    measure = partial(_sqlite, thorough=thorough) if sqlite else _postgresql
    total, groups = await measure(session)
    counted = select(User.user_id, User.last_trade, User.last_audit).where(User.last_trade > 0)
    users = (await session.execute(counted.order_by(User.user_id))).all()
    sample = users[:: 1 + len(users) // USERS_SAMPLED]
    if not sample:
        return Storage(total, groups, 0, None, None)
    trades, chosen = sum(user.last_trade for user in users), [user.user_id for user in sample]
    seen, closed = await _closed(session, chosen, sum(user.last_trade for user in sample))
    return Storage(
        total,
        groups,
        closed_trades=round(trades * closed / seen),
        sampled=None if seen == trades else seen,
        activity=await _activity(session, sample, now),
    )


# Sizes.


async def _postgresql(session: AsyncSession) -> tuple[int, dict[str, int]]:
    if await session.scalar(CITUS) and await session.scalar(DISTRIBUTED):
        raise Unavailable(
            "the rows are on the machines of a Citus cluster;"
            " `SELECT * FROM citus_tables` gives their sizes."
        )
    total = await session.scalar(text("SELECT pg_database_size(current_database())"))
    sizes = {row.name: row.size for row in await session.execute(POSTGRESQL)}
    if schema := await session.scalar(TIMESCALE):
        # Null unless it is a hypertable; with the chunks that are compressed.
        size = await session.scalar(text(f"SELECT {schema}.hypertable_size('bars')"))
        sizes["bars"] = size or sizes["bars"]
    return total or 0, _grouped(sizes, total or 0)


async def _sqlite(session: AsyncSession, *, thorough: bool) -> tuple[int, dict[str, int] | None]:
    pages, size, free = [
        await session.scalar(text(f"PRAGMA {name}")) or 0
        for name in ("page_count", "page_size", "freelist_count")
    ]
    total = pages * size
    if total > WALKED_MAX and not thorough:
        return total, None
    try:
        sizes = {row.name: row.size for row in await session.execute(SQLITE)}
    except OperationalError as error:
        if "no such table: dbstat" not in str(error):
            raise
        return total, None  # This Python's SQLite was built without it.
    return total, _grouped(sizes, total, free=free * size)


def _grouped(sizes: dict[str, int], total: int, **known: int) -> dict[str, int]:
    groups = {"trades": sum(sizes.get(table, 0) for table in _trade_tables()), **known}
    for group, tables in GROUPS.items():
        groups[group] = sum(sizes.get(table, 0) for table in tables)
    return groups | {"other": total - sum(groups.values())}


def _trade_tables() -> set[str]:
    """`trades` and whatever is a part of a trade, by its foreign keys."""
    found = {"trades"}
    for table in Base.metadata.sorted_tables:  # What is referred to comes first.
        if found & {key.column.table.name for key in table.foreign_keys}:
            found.add(table.name)
    return found


# What was recorded.


async def _closed(session: AsyncSession, users: Sequence[int], trades: int) -> tuple[int, int]:
    """How many trades were looked at, evenly spaced, and how many of them are closed."""
    stride = 1 + (trades - 1) // TRADES_SAMPLED
    first = (
        select(User.user_id, User.last_trade, literal(1, Count).label("number"))
        .where(User.user_id.in_(users))
        .cte("chosen", recursive=True)
    )
    following = first.c.number + stride
    chosen = first.union_all(
        select(first.c.user_id, first.c.last_trade, following).where(
            following <= first.c.last_trade
        )
    )
    status = (
        select(Trade.status)
        .where(Trade.user_id == chosen.c.user_id, Trade.number == chosen.c.number)
        .scalar_subquery()
    )
    row = (
        await session.execute(
            select(
                func.count(), func.coalesce(func.sum(case((status == "closed", 1), else_=0)), 0)
            ).select_from(chosen)
        )
    ).one()
    return int(row[0]), int(row[1])


async def _activity(session: AsyncSession, users: Sequence[Any], now: datetime) -> Activity | None:
    chosen = [user.user_id for user in users]
    first = await session.scalar(
        select(func.min(Trade.recorded_at)).where(Trade.user_id.in_(chosen), Trade.number == 1)
    )
    if first is None:
        return None
    since = window_start(first, now)
    trades, commands = [user.last_trade for user in users], [user.last_audit for user in users]
    older_trades = _older(Trade.number, Trade.recorded_at, since, chosen, max(trades))
    older_commands = _older(AuditEntry.entry_number, AuditEntry.made_at, since, chosen,
                            max(commands))  # fmt: skip
    called = await session.scalar(_first_call(chosen))
    return Activity(
        days=max((now - since).total_seconds() / 86_400, 0.0),
        trades=1 - int(await session.scalar(older_trades) or 0) / sum(trades),
        commands=1 - int(await session.scalar(older_commands) or 0) / sum(commands),
        calls_days=None if called is None else (now - called).total_seconds() / 86_400,
    )


def _older(
    key: InstrumentedAttribute[int],
    moment: InstrumentedAttribute[datetime],
    since: datetime,
    users: Sequence[int],
    most: int,
) -> Select[int | None]:
    """How many rows of `users` are older than `since`, where `key` counts up by `moment` to
    `most` or less: by steps that halve, each taken if what it leads to is older."""
    model = key.class_
    start = (
        select(
            User.user_id,
            literal(0, Count).label("number"),
            literal(2 ** most.bit_length(), Count).label("step"),
        )
        .where(User.user_id.in_(users))
        .cte("older", recursive=True)
    )
    reached = (
        select(moment)
        .where(model.user_id == start.c.user_id, key == start.c.number + start.c.step)
        .scalar_subquery()
    )
    older = start.union_all(
        select(
            start.c.user_id,
            start.c.number + case((reached < since, start.c.step), else_=0),
            start.c.step // 2,
        ).where(start.c.step > 0)
    )
    return select(func.sum(older.c.number)).where(older.c.step == 0)


def _first_call(users: Sequence[int]) -> Select[datetime]:
    """When the first call of any of `users` was logged."""
    first = (
        select(Call.called_at)
        .where(Call.user_id == User.user_id)
        .order_by(Call.called_at)
        .limit(1)
        .scalar_subquery()
    )
    return select(func.min(first)).where(User.user_id.in_(users))
