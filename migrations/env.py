"""Where Alembic meets the store: the connection comes from `store.schema`, or from the
settings when the `alembic` command is run by hand."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from store.models import Base
from store.schema import connected
from store.settings import load_settings

PARTITIONS = """
    SELECT relname FROM pg_class
    WHERE relispartition AND relnamespace = quote_ident(current_schema())::regnamespace"""


def migrate(connection: Connection) -> None:
    # A partition is a part of its table, which the models have; nothing is to be made of it.
    postgresql = connection.dialect.name == "postgresql"
    parts = set(connection.scalars(text(PARTITIONS))) if postgresql else set()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        include_name=lambda name, kind, _parents: kind != "table" or name not in parts,
    )
    with context.begin_transaction():
        context.run_migrations()


async def from_settings() -> None:
    async with connected(load_settings()) as connection:
        await connection.run_sync(migrate)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(from_settings())
