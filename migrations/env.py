"""Where Alembic meets the store: the connection comes from `store.schema`, or from the
settings when the `alembic` command is run by hand."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from store.models import Base
from store.schema import connected
from store.settings import load_settings


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
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
