"""Which way the database takes to each answer: the statements as the driver sends them, and
what EXPLAIN says of them, in a file for each tool."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event

from benchmarks.floors import TOOLS, Tool
from benchmarks.scale.asking import QUERIES
from store.connecting import driver_connection, one_connection
from store.database import ROLE, Store
from store.errors import Unavailable
from store.settings import Settings

Sent = tuple[str, tuple[Any, ...]]  # SQLite's come with their values written into them.
OURS = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)


async def save_plans(settings: Settings, folder: Path) -> list[Path]:
    """Write into `folder` every statement of each tool's first question and of the next,
    and its plan."""
    files = []
    for tool in TOOLS:
        told = []
        for when, sent in zip(("asked first", "asked again"), await _sent(settings, tool)):  # noqa: B905
            for statement, parameters in sent:
                plan = await _plan(settings, statement, parameters)
                told.append(f"-- {tool.name} {tool.arguments}, {when}\n{statement};\n\n{plan}\n")
        files.append(folder / f"{tool.name}.user{settings.user_id}.txt")
        files[-1].write_text("\n".join(told))
    return files


async def _sent(settings: Settings, tool: Tool) -> list[list[Sent]]:
    store, now = Store(settings), list[Sent]()

    def listen(connection: Any, _record: Any) -> None:
        driver = connection.driver_connection
        if hasattr(driver, "add_query_logger"):
            driver.add_query_logger(
                lambda query: now.append((query.query, tuple(query.args or ())))
            )
        else:
            driver._conn.set_trace_callback(lambda statement: now.append((statement, ())))

    event.listen(store.connections.engine.sync_engine, "connect", listen)
    found = []
    try:
        for _ in range(2):
            now.clear()
            with suppress(Unavailable):  # Stopped at the limit: what was sent has a plan.
                async with store.read() as session:
                    await QUERIES[tool.name](session, **tool.arguments)
            found.append([one for one in now if OURS.match(one[0])])
    finally:
        await store.close()
    return found


async def _plan(settings: Settings, statement: str, parameters: tuple[Any, ...]) -> str:
    database = settings.database()
    async with one_connection(database) as connection:
        driver = driver_connection(connection)
        if database.dialect == "sqlite":
            rows = await driver.execute_fetchall(f"EXPLAIN QUERY PLAN {statement}")
            return "\n".join(str(row[3]) for row in rows)
        await driver.execute(
            f"BEGIN READ ONLY; SET LOCAL ROLE {ROLE}; SET LOCAL app.user_id = '{settings.user_id}'"
        )
        rows = await driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", *parameters)
        return "\n".join(row[0] for row in rows)
