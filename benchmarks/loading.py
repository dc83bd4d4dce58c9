"""Bring a generated ledger into an empty database, in bulk.

Straight into the tables, by the role that owns them: the locks refuse to change a closed
trade, not to insert one. (They do refuse new parts of a closed trade, so these trades have
no legs, fills or free conditions; the four tools that are measured read the first two never,
and find no rows of the third.) On PostgreSQL COPY does not work under row-level security,
so within this one transaction the owner is exempt.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from benchmarks import ledger
from store.columns import MOMENT_FORMAT
from store.database import create_engine, open_connection, say
from store.errors import Conflict
from store.models import Account, Base, Strategy, Trade, Unfolded, User
from store.schema import connected, upgrade
from store.settings import Settings


async def load(settings: Settings, trades: int, users: int) -> None:
    """Migrate the database and fill it.

    Raises:
        Conflict: somebody's trades are in it; those of a benchmark could never be removed.
    """
    await upgrade(settings)
    tables: list[tuple[type[Base], Iterable[ledger.Row]]] = [
        (User, ledger.users(users, trades)),
        (Account, ledger.accounts(users)),
        (Strategy, ledger.strategies(users)),
        (Trade, ledger.trades(trades, users)),
        (Unfolded, ()),  # The database fills it itself, as the same owner.
    ]
    postgresql = settings.database().dialect == "postgresql"
    async with connected(settings) as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if postgresql:
            await exempt_owner(driver, [model for model, _ in tables], exempt=True)
        await _require_empty(settings, connection)
        for model, rows in tables:
            await (_copy if postgresql else _insert)(driver, model, rows)
        if postgresql:
            await exempt_owner(driver, [model for model, _ in tables], exempt=False)
    await _settle(settings)


async def exempt_owner(driver: Any, models: Iterable[type[Base]], *, exempt: bool) -> None:
    for model in models:
        name = model.__tablename__
        force = "NO FORCE" if exempt else "FORCE"
        await driver.execute(f"ALTER TABLE {name} {force} ROW LEVEL SECURITY")


async def _require_empty(settings: Settings, connection: Any) -> None:
    found = await connection.exec_driver_sql("SELECT count(*) FROM users")
    if count := found.scalar_one():
        raise Conflict(
            f"{settings.database().name} already has {count} users. A benchmark's trades cannot"
            " be removed again; name an empty database."
        )


async def _copy(driver: Any, model: type[Base], rows: Iterable[ledger.Row]) -> None:
    names = [column.name for column in model.__table__.columns]
    records = ([row.get(name) for name in names] for row in rows)
    await driver.copy_records_to_table(model.__tablename__, records=records, columns=names)


async def _insert(driver: Any, model: type[Base], rows: Iterable[ledger.Row]) -> None:
    names = [column.name for column in model.__table__.columns]
    table = f"{model.__tablename__} ({', '.join(names)})"
    records = ([_as_sqlite_keeps(row.get(name)) for name in names] for row in rows)
    places = ", ".join("?" * len(names))
    await driver.executemany(f"INSERT INTO {table} VALUES ({places})", records)  # noqa: S608


def _as_sqlite_keeps(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime(MOMENT_FORMAT)
    return value.isoformat() if isinstance(value, date) else value


async def _settle(settings: Settings) -> None:
    """What a server does by itself in time: statistics, and the map that index reads need."""
    postgresql = settings.database().dialect == "postgresql"
    engine = create_engine(settings)
    try:
        async with open_connection(engine, settings.database()) as connection:
            # VACUUM takes nothing as visible to all whose commit is not on disk yet.
            on_disk = ["SET synchronous_commit = on", "VACUUM ANALYZE"]
            await say(connection, on_disk if postgresql else ["VACUUM", "ANALYZE"])
    finally:
        await engine.dispose()
