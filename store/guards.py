"""The locks and walls that stand in a database, held against those that are declared.

Autogeneration sees no trigger, policy or grant, and an owner may drop them unseen. So all
of them are written down, one a line, in `guards_postgresql.txt` and `guards_sqlite.txt`.
"""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from store.errors import Unwalled
from store.models import Base

HERE = Path(__file__).resolve().parent

# Each row is a guard as one line, and the table of whose rows it decides, if any. The pretty
# form of a trigger leaves out the schema's name, which is the deployment's. A partition has the
# constraints and keys of its table; its triggers, rules and grants are its own.
POSTGRESQL = """
    WITH ours AS (SELECT oid, rolname FROM pg_roles
            WHERE rolname IN ('trade_history_app', 'trade_history_operator')),
        here AS (SELECT c.*, coalesce(w.relname, c.relname)::text AS whole FROM pg_class c
                LEFT JOIN pg_class w ON w.oid = pg_partition_root(c.oid) AND c.relispartition
            WHERE c.relnamespace = quote_ident(current_schema())::regnamespace),
        named AS (SELECT oid, rolname FROM ours UNION ALL SELECT 0, 'PUBLIC')
    SELECT 'trigger ' || pg_get_triggerdef(t.oid, true)
            || CASE tgenabled WHEN 'O' THEN '' ELSE ' [disabled]' END, whole
        FROM pg_trigger t JOIN here c ON c.oid = tgrelid
        WHERE (NOT tgisinternal OR tgenabled <> 'O')
            -- TimescaleDB's own, on a hypertable.
            AND NOT (tgname = 'ts_insert_blocker' AND EXISTS (SELECT FROM pg_depend d
                JOIN pg_extension e ON e.oid = d.refobjid
                WHERE d.objid = tgfoid AND d.deptype = 'e' AND extname = 'timescaledb'))
    UNION ALL
    SELECT 'constraint ' || relname || ' ' || conname || ' ' || pg_get_constraintdef(k.oid, true)
            || CASE WHEN convalidated THEN '' ELSE ' [not checked]' END, NULL
        FROM pg_constraint k JOIN here c ON c.oid = conrelid
        WHERE contype IN ('c', 'f', 'p', 'u') AND relname <> 'alembic_version'
            AND NOT relispartition
    UNION ALL
    SELECT 'key ' || i.relname || ' ON ' || c.relname || ' '
            || split_part(pg_get_indexdef(i.oid, 0, true), ' USING ', 2), NULL
        FROM pg_index x JOIN here c ON c.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
        WHERE indisunique AND indisvalid AND c.relname <> 'alembic_version'
            AND NOT c.relispartition
    UNION ALL
    SELECT 'rule ' || rulename || ' ON ' || tablename, whole
        FROM pg_rules JOIN here ON relname = tablename WHERE schemaname = current_schema()
    UNION ALL
    SELECT 'function ' || proname || ' '
            || coalesce(replace(array_to_string(proconfig, ' '),
                'search_path=' || quote_ident(current_schema()) || ',', 'search_path=SCHEMA,'), '')
            || CASE WHEN prosecdef THEN ' [definer]' ELSE '' END || ': ' || prosrc, NULL
        FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'policy ' || policyname || ' ON ' || tablename || ' ' || permissive || ' ' || cmd
            || ' TO ' || array_to_string(roles, ', ') || ' USING ' || coalesce(qual, '-')
            || ' CHECK ' || coalesce(with_check, '-'), tablename::text
        FROM pg_policies WHERE schemaname = current_schema()
    UNION ALL
    SELECT 'table ' || relname || CASE WHEN relrowsecurity THEN ' walled' ELSE ' open' END
            || CASE WHEN relforcerowsecurity THEN ', forced' ELSE '' END, NULL
        FROM here WHERE relkind IN ('r', 'p') AND NOT relispartition
    UNION ALL
    SELECT 'view ' || relname || ' ' || coalesce(array_to_string(reloptions, ' '), '') || ' '
            -- Older servers say the table's name before each column.
            || regexp_replace(pg_get_viewdef(oid),
                '\\m(trades|legs|fills|snapshots|points)\\.', '', 'g'), NULL
        FROM here WHERE relkind = 'v'
    UNION ALL
    SELECT 'grant ' || privilege_type || CASE WHEN is_grantable THEN ' [and to grant it]' ELSE ''
            END || ' ON ' || relname || ' TO ' || n.rolname,
            CASE n.oid WHEN 0 THEN relname::text ELSE 'users' END
        FROM here, aclexplode(relacl) JOIN named n ON n.oid = grantee WHERE grantee <> relowner
    UNION ALL
    SELECT 'grant ' || privilege_type || ' (' || attname || ') ON ' || relname || ' TO '
            || n.rolname, CASE n.oid WHEN 0 THEN relname::text ELSE 'users' END
        FROM here c JOIN pg_attribute a ON c.oid = attrelid, aclexplode(attacl)
            JOIN named n ON n.oid = grantee
    UNION ALL
    SELECT 'role ' || rolname || CASE WHEN rolsuper THEN ' superuser' ELSE '' END
            || CASE WHEN rolbypassrls THEN ' exempt' ELSE '' END
            || CASE WHEN rolcanlogin THEN ' login' ELSE '' END
            || CASE WHEN rolcreaterole THEN ' makes roles' ELSE '' END
            || CASE WHEN rolcreatedb THEN ' makes databases' ELSE '' END
            || CASE WHEN rolreplication THEN ' replicates' ELSE '' END
            || CASE WHEN EXISTS (SELECT FROM here WHERE relowner = r.oid)
                THEN ' owner' ELSE '' END, NULL
        FROM pg_roles r JOIN ours USING (oid, rolname)
    UNION ALL
    SELECT 'setting session_replication_role ' || current_setting('session_replication_role'),
        'users'
    UNION ALL
    SELECT 'member ' || o.rolname || ' of ' || r.rolname, 'users'
        FROM pg_auth_members m JOIN ours o ON o.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
"""
SQLITE = """
    SELECT 'trigger ' || sql, lower(tbl_name) FROM sqlite_master WHERE type = 'trigger'
    UNION ALL
    SELECT 'view ' || sql, NULL FROM sqlite_master WHERE type = 'view'
    UNION ALL
    SELECT 'table ' || name || CASE strict WHEN 1 THEN ' strict' ELSE '' END
            || CASE wr WHEN 1 THEN ', no rowid' ELSE '' END, NULL
        FROM pragma_table_list
        WHERE type = 'table' AND schema = 'main' AND name NOT LIKE 'sqlite_%'
"""


def declared(dialect: str) -> list[str]:
    """The guards that have to stand, one a line."""
    return (HERE / f"guards_{dialect}.txt").read_text(encoding="utf-8").splitlines()


async def standing(session: AsyncSession) -> dict[str, str | None]:
    """The guards that stand in the database, one a line, sorted; of each the table that it
    is about. What is said of our roles counts as said of `users`."""
    dialect = session.get_bind().dialect.name
    found = await session.execute(text(SQLITE if dialect == "sqlite" else POSTGRESQL))
    return dict(sorted((" ".join(line.split()), table) for line, table in found))


async def wrong_guard(session: AsyncSession) -> str | None:
    """The first guard that is missing, or stands there and is not ours; None if all is well.

    The schema may hold another program's tables, functions and triggers, too.
    """
    must, found = declared(session.get_bind().dialect.name), await standing(session)
    for line in must:
        if line not in found:
            return f"missing or changed: {_short(line)}"
    for line, table in found.items():
        if table in Base.metadata.tables and line not in must:
            return f"not ours: {_short(line)}"
    return None


async def require_guards(session: AsyncSession) -> None:
    """Nothing is served to several users behind a wall that does not stand.

    Raises:
        Unwalled: a lock, policy, grant or role is not as declared.
    """
    if wrong := await wrong_guard(session):
        raise Unwalled(
            f"The walls between users do not stand as declared ({wrong}). Restore the database,"
            " or find out who changed it; `trade-history verify` says whether data was altered."
        )


def _short(line: str) -> str:
    return line if len(line) <= 120 else line[:117] + "..."
