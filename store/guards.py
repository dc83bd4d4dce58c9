"""The locks and walls that stand in a database, held against those that are declared.

Autogeneration sees no trigger, policy or grant, and an owner may drop them unseen. So all
of them are written down, one a line, in `guards_postgresql.txt` and `guards_sqlite.txt`.
"""

import re
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from store.errors import Unavailable
from store.models import Base

HERE = Path(__file__).resolve().parent

POSTGRESQL = """
    SELECT 'trigger ' || pg_get_triggerdef(t.oid)
            || CASE tgenabled WHEN 'O' THEN '' ELSE ' [disabled]' END
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'function ' || proname || ' ' || coalesce(array_to_string(proconfig, ' '), '')
            || CASE WHEN prosecdef THEN ' [definer]' ELSE '' END || ': ' || prosrc
        FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'policy ' || policyname || ' ON ' || tablename || ' ' || permissive || ' ' || cmd
            || ' TO ' || array_to_string(roles, ', ') || ' USING ' || coalesce(qual, '-')
            || ' CHECK ' || coalesce(with_check, '-')
        FROM pg_policies WHERE schemaname = current_schema()
    UNION ALL
    SELECT 'table ' || relname || CASE WHEN relrowsecurity THEN ' walled' ELSE ' open' END
            || CASE WHEN relforcerowsecurity THEN ', forced' ELSE '' END
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    UNION ALL
    SELECT 'grant ' || privilege_type || ' ON ' || relname || ' TO ' || grantee::regrole
        FROM pg_class, aclexplode(relacl)
        WHERE relnamespace = current_schema()::regnamespace AND grantee <> relowner
            AND grantee <> 0 AND grantee::regrole::text LIKE 'trade_history_%'
    UNION ALL
    SELECT 'grant ' || privilege_type || ' (' || attname || ') ON ' || relname || ' TO '
            || grantee::regrole
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl)
        WHERE relnamespace = current_schema()::regnamespace AND grantee <> 0
    UNION ALL
    SELECT 'role ' || rolname || CASE WHEN rolsuper THEN ' superuser' ELSE '' END
            || CASE WHEN rolbypassrls THEN ' exempt' ELSE '' END
            || CASE WHEN rolcanlogin THEN ' login' ELSE '' END
            || CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid)
                THEN ' owner' ELSE '' END
        FROM pg_roles r WHERE rolname IN ('trade_history_app', 'trade_history_operator')
"""
SQLITE = """
    SELECT 'trigger ' || sql FROM sqlite_master WHERE type = 'trigger'
    UNION ALL
    SELECT 'table ' || name || CASE strict WHEN 1 THEN ' strict' ELSE '' END
            || CASE wr WHEN 1 THEN ', no rowid' ELSE '' END
        FROM pragma_table_list
        WHERE type = 'table' AND schema = 'main' AND name NOT LIKE 'sqlite_%'
"""


def declared(dialect: str) -> list[str]:
    """The guards that have to stand, one a line."""
    return (HERE / f"guards_{dialect}.txt").read_text(encoding="utf-8").splitlines()


async def standing(session: AsyncSession) -> list[str]:
    """The guards that stand in the database, one a line, sorted."""
    dialect = session.get_bind().dialect.name
    schema = ""
    if dialect == "postgresql":
        schema = str(await session.scalar(text("SELECT quote_ident(current_schema())")))
    found = await session.scalars(text(SQLITE if dialect == "sqlite" else POSTGRESQL))
    return sorted(_plain(line, schema) for line in found)


async def wrong_guard(session: AsyncSession) -> str | None:
    """The first guard that is missing, or stands there and is not ours; None if all is well."""
    must, found = declared(session.get_bind().dialect.name), await standing(session)
    for line in must:
        if line not in found:
            return f"missing or changed: {_short(line)}"
    for line in found:
        if line not in must and _concerns_ours(line):
            return f"not ours: {_short(line)}"
    return None


def _concerns_ours(line: str) -> bool:
    """Whether a guard is on one of our tables; the schema may hold another program's, too."""
    named = re.search(r" ON (\w+)", line)
    return named is not None and named[1] in Base.metadata.tables


async def require_guards(session: AsyncSession) -> None:
    """Nothing is served to several users behind a wall that does not stand.

    Raises:
        Unavailable: a lock, policy, grant or role is not as declared.
    """
    if wrong := await wrong_guard(session):
        raise Unavailable(
            f"The walls between users do not stand as declared ({wrong}). Run `trade-history"
            " migrate`; where that changes nothing, restore the database or ask who changed it."
        )


def _plain(line: str, schema: str) -> str:
    """One line without the schema's name, which is the deployment's."""
    if schema:
        line = line.replace(f"search_path={schema},", "search_path=SCHEMA,")
        line = re.sub(rf"\b{re.escape(schema)}\.", "", line)
    return " ".join(line.split())


def _short(line: str) -> str:
    return line if len(line) <= 120 else line[:117] + "..."
