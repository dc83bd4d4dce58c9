"""The snapshots of a trade that is open no longer are one row of `paths`.

A trigger packs them when a trade is closed or voided, whoever does it. A path is taken only
of a trade that is locked, and only if it reads back as exactly the rows that are there; a
row of `snapshots` goes only when its path stands. So nothing is lost on the way, and nothing
but the database writes a path. The view `points` shows all snapshots, from both tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APP, OPERATOR = "trade_history_app", "trade_history_operator"
POINT = "user_id, trade_number, taken_at, mark_price, underlying_price, unrealised_pnl"
PATH = "user_id, trade_number, begins_at, time_unit, price_unit, money_unit, packed"
LOCKED = """EXISTS (SELECT 1 FROM trades t WHERE t.status <> 'open'
    AND t.user_id = snapshots.user_id AND t.number = snapshots.trade_number)"""


def upgrade() -> None:
    table()
    if op.get_bind().dialect.name == "postgresql":
        views(UNPACKED_POSTGRESQL)
        lock_postgresql()
        unforced("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"INSERT INTO paths ({PATH}) {packing(PACKED_POSTGRESQL, LOCKED)}")
        op.execute(f"DELETE FROM snapshots WHERE {LOCKED}")
        unforced("ALTER TABLE {} FORCE ROW LEVEL SECURITY")
    else:
        views(UNPACKED_SQLITE)
        lock_sqlite()
        op.execute(f"INSERT INTO paths ({PATH}) {packing(PACKED_SQLITE, LOCKED)}")
        op.execute(f"DELETE FROM snapshots WHERE {LOCKED}")


def downgrade() -> None:
    """Every path becomes rows again."""
    if op.get_bind().dialect.name == "postgresql":
        unpack = UNPACKED_POSTGRESQL
        op.execute("DROP TRIGGER pack ON trades")
        op.execute("DROP TRIGGER guard_delete ON snapshots")
        op.execute("DROP TRIGGER guard ON snapshots")
        unforced("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY")
    else:
        unpack = UNPACKED_SQLITE
        for trigger in ("trades_pack", "snapshots_delete", "snapshots_insert"):
            op.execute(f"DROP TRIGGER {trigger}")
    op.execute(f"INSERT INTO snapshots ({POINT}) {unpack.format(path='p', paths='paths p,')}")
    op.execute("DROP VIEW snapshots_readable")
    op.execute("DROP VIEW points")
    op.drop_table("paths")
    readable("snapshots")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE snapshots FORCE ROW LEVEL SECURITY")
        for function in ("pack_path", "guard_path", "guard_packed"):
            op.execute(f"DROP FUNCTION {function}")
        op.execute("""
            CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON snapshots
                FOR EACH ROW EXECUTE FUNCTION guard_part()""")
    else:
        for event, row in (("INSERT", "NEW"), ("DELETE", "OLD")):
            _sqlite_guard("snapshots", event, event.lower(), _sqlite_locked(row), "trade_locked")


def unforced(statement: str) -> None:
    """An owner who is no superuser sees no row of a table whose wall is forced."""
    for name in ("trades", "snapshots", "paths"):
        op.execute(statement.format(name))


def table() -> None:
    op.create_table(
        "paths",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("time_unit", COUNT, nullable=False),
        sa.Column("price_unit", COUNT, nullable=False),
        sa.Column("money_unit", COUNT, nullable=False),
        sa.Column("packed", sa.Text(), nullable=False),
        sa.CheckConstraint("packed <> '[]'", name=op.f("ck_paths_packed")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_paths_trades"),
        ),
        sa.PrimaryKeyConstraint("user_id", "trade_number", name=op.f("pk_paths")),
        # Without a rowid each row of more than 1,002 bytes would take a page of its own.
        sqlite_strict=True,
    )


def unit(*values: str, units: tuple[int, ...] = (10**8, 10**6, 10**4, 10**2)) -> str:
    """The largest unit of which all values of all rows are whole numbers."""
    tests = (
        (" AND ".join(f"coalesce({value}, 0) % {unit} = 0" for value in values), unit)
        for unit in units
    )
    return f"min(CASE {' '.join(f'WHEN {test} THEN {unit}' for test, unit in tests)} ELSE 1 END)"


def packing(packed: str, where: str) -> str:
    """The paths of all trades whose snapshots are `where`."""
    return packed.format(where=where, join=where.replace("snapshots.", "s."))


# Moments are counted in microseconds from the second in which the first snapshot was taken.
SECONDS = (10**6, 10**3)
PACKED_POSTGRESQL = f"""
    SELECT user_id, trade_number, begins_at, time_unit, price_unit, money_unit,
        translate(json_agg(json_build_array(
            (extract(epoch FROM taken_at - begins_at) * 1000000)::bigint / time_unit,
            mark_price / price_unit,
            underlying_price / price_unit,
            unrealised_pnl / money_unit) ORDER BY taken_at)::text, E' \\n', '')
    FROM (SELECT {POINT}, date_trunc('second', min(taken_at) OVER trade) AS begins_at,
            {unit("extract(microseconds FROM taken_at)::bigint", units=SECONDS)} OVER trade
                AS time_unit,
            {unit("mark_price", "underlying_price")} OVER trade AS price_unit,
            {unit("unrealised_pnl")} OVER trade AS money_unit
        FROM snapshots WHERE {{where}} WINDOW trade AS (PARTITION BY user_id, trade_number)) u
    GROUP BY user_id, trade_number, begins_at, time_unit, price_unit, money_unit"""
UNPACKED_POSTGRESQL = """
    SELECT {path}.user_id, {path}.trade_number,
        {path}.begins_at + (e.value ->> 0)::bigint * {path}.time_unit
            * interval '1 microsecond' AS taken_at,
        (e.value ->> 1)::bigint * {path}.price_unit AS mark_price,
        (e.value ->> 2)::bigint * {path}.price_unit AS underlying_price,
        (e.value ->> 3)::bigint * {path}.money_unit AS unrealised_pnl
    FROM {paths} json_array_elements({path}.packed::json) AS e(value)"""
# The fraction is read by itself: SQLite's own functions round it to milliseconds.
PACKED_SQLITE = f"""
    SELECT u.user_id, u.trade_number, u.begins_at, u.time_unit, u.price_unit, u.money_unit,
        json_group_array(json_array(
            ((strftime('%s', substr(s.taken_at, 1, 19)) - strftime('%s', u.begins_at)) * 1000000
                + substr(s.taken_at, 21, 6)) / u.time_unit,
            s.mark_price / u.price_unit,
            s.underlying_price / u.price_unit,
            s.unrealised_pnl / u.money_unit))
    FROM (SELECT user_id, trade_number, substr(min(taken_at), 1, 19) || '.000000Z' AS begins_at,
            {unit("substr(taken_at, 21, 6)", units=SECONDS)} AS time_unit,
            {unit("mark_price", "underlying_price")} AS price_unit,
            {unit("unrealised_pnl")} AS money_unit
        FROM snapshots WHERE {{where}} GROUP BY user_id, trade_number) u
    JOIN (SELECT * FROM snapshots s WHERE {{join}} ORDER BY user_id, trade_number, taken_at) s
        ON s.user_id = u.user_id AND s.trade_number = u.trade_number
    GROUP BY u.user_id, u.trade_number"""
UNPACKED_SQLITE = """
    SELECT {path}.user_id AS user_id, {path}.trade_number AS trade_number,
        strftime('%Y-%m-%dT%H:%M:%S', {path}.begins_at,
            (json_extract(e.value, '$[0]') * {path}.time_unit / 1000000) || ' seconds')
            || printf('.%06dZ', json_extract(e.value, '$[0]') * {path}.time_unit % 1000000)
            AS taken_at,
        json_extract(e.value, '$[1]') * {path}.price_unit AS mark_price,
        json_extract(e.value, '$[2]') * {path}.price_unit AS underlying_price,
        json_extract(e.value, '$[3]') * {path}.money_unit AS unrealised_pnl
    FROM {paths} json_each({path}.packed) e"""


def views(unpack: str) -> None:
    postgresql_ = op.get_bind().dialect.name == "postgresql"
    op.execute("DROP VIEW snapshots_readable")
    op.execute(
        f"CREATE VIEW points{' WITH (security_invoker = true)' if postgresql_ else ''} AS"
        f" SELECT {POINT} FROM snapshots UNION ALL {unpack.format(path='p', paths='paths p,')}"
    )
    if postgresql_:
        op.execute(f"GRANT SELECT ON points TO {APP}, {OPERATOR}")
    readable("points")


def readable(source: str) -> None:
    """`snapshots_readable` as 0001 made it, of what `source` holds."""
    postgresql_ = op.get_bind().dialect.name == "postgresql"
    digits = {"mark_price": 8, "underlying_price": 8, "unrealised_pnl": 6}
    shown = []
    for name in POINT.split(", "):
        if name not in digits:
            shown.append(name)
        elif postgresql_:
            exact = f"round({name}::numeric / 1e{digits[name]}, {digits[name]})"
            shown.append(f"{exact} AS {name}")
        else:
            shown.append(f"{name} / 1e{digits[name]} AS {name}")
    options = " WITH (security_invoker = true)" if postgresql_ else ""
    op.execute(
        f"CREATE VIEW snapshots_readable{options} AS SELECT {', '.join(shown)} FROM {source}"
    )
    if postgresql_:
        op.execute(f"GRANT SELECT ON snapshots_readable TO {APP}")


def lock_postgresql() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    path = f"SET search_path = {schema}, pg_temp"
    identity = "user_id = nullif(current_setting('app.user_id', true), '')::bigint"
    closed = "user_id = NEW.user_id AND trade_number = NEW.number"
    own = "user_id = NEW.user_id AND trade_number = NEW.trade_number"
    op.execute("ALTER TABLE paths ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE paths FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own ON paths USING ({identity}) WITH CHECK ({identity})")
    op.execute(f"CREATE POLICY operator ON paths TO {OPERATOR} USING (true)")
    op.execute(f"GRANT SELECT ON paths TO {APP}, {OPERATOR}")
    # As the owner, for the application's role may neither write paths nor delete snapshots.
    # Citus runs no INSERT ... SELECT in a trigger, and nothing that is not of one user.
    op.execute(f"""
        CREATE FUNCTION pack_path() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {path}
        AS $$
        DECLARE
            path paths;
        BEGIN
            {packing(PACKED_POSTGRESQL, closed)} INTO path;
            IF FOUND THEN
                INSERT INTO paths ({PATH}) VALUES (path.{PATH.replace(", ", ", path.")});
                DELETE FROM snapshots WHERE {closed};
            END IF;
            RETURN NULL;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_path() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            IF EXISTS (SELECT FROM trades
                    WHERE user_id = NEW.user_id AND number = NEW.trade_number AND status = 'open')
                OR json_array_length(NEW.packed::json)
                    <> (SELECT count(*) FROM snapshots WHERE {own})
                OR EXISTS (SELECT {POINT} FROM snapshots WHERE {own}
                    EXCEPT {UNPACKED_POSTGRESQL.format(path="NEW", paths="")}) THEN
                RAISE EXCEPTION 'trade_locked: % of % is refused', TG_OP, TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_packed() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            IF NOT EXISTS (SELECT FROM paths
                WHERE user_id = OLD.user_id AND trade_number = OLD.trade_number) THEN
                RAISE EXCEPTION 'trade_locked: % of % is refused', TG_OP, TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
            END IF;
            RETURN OLD;
        END $$""")
    op.execute("DROP TRIGGER guard ON snapshots")
    for trigger in (
        "guard BEFORE INSERT OR UPDATE ON snapshots FOR EACH ROW EXECUTE FUNCTION guard_part()",
        "guard_delete BEFORE DELETE ON snapshots FOR EACH ROW EXECUTE FUNCTION guard_packed()",
        "guard BEFORE INSERT ON paths FOR EACH ROW EXECUTE FUNCTION guard_path()",
        "append_only BEFORE UPDATE OR DELETE ON paths FOR EACH ROW"
        " EXECUTE FUNCTION refuse('append_only')",
        "truncate BEFORE TRUNCATE ON paths FOR EACH STATEMENT"
        " EXECUTE FUNCTION refuse('append_only')",
        "pack AFTER UPDATE ON trades FOR EACH ROW"
        " WHEN (OLD.status = 'open' AND NEW.status <> 'open') EXECUTE FUNCTION pack_path()",
    ):
        op.execute(f"CREATE TRIGGER {trigger}")


def lock_sqlite() -> None:
    """As in 0001: what OR REPLACE would delete unseen is refused before it happens."""
    closed = "user_id = NEW.user_id AND trade_number = NEW.number"
    own = "user_id = NEW.user_id AND trade_number = NEW.trade_number"
    refused = f"""NOT {_sqlite_locked("NEW")}
        OR EXISTS (SELECT 1 FROM paths p WHERE p.rowid = NEW.rowid
            OR p.user_id = NEW.user_id AND p.trade_number = NEW.trade_number)
        OR json_array_length(NEW.packed) <> (SELECT count(*) FROM snapshots WHERE {own})
        OR EXISTS (SELECT {POINT} FROM snapshots WHERE {own}
            EXCEPT {UNPACKED_SQLITE.format(path="NEW", paths="")})"""
    packed = """EXISTS (SELECT 1 FROM paths p
        WHERE p.user_id = OLD.user_id AND p.trade_number = OLD.trade_number)"""
    op.execute("DROP TRIGGER snapshots_delete")
    _sqlite_guard("snapshots", "DELETE", "delete", f"NOT {packed}", "trade_locked")
    _sqlite_guard("paths", "INSERT", "insert", refused, "trade_locked")
    _sqlite_guard("paths", "UPDATE", "update", "1", "append_only")
    _sqlite_guard("paths", "DELETE", "delete", "1", "append_only")
    op.execute(f"""
        CREATE TRIGGER trades_pack AFTER UPDATE ON trades
            WHEN OLD.status = 'open' AND NEW.status <> 'open' BEGIN
            INSERT INTO paths ({PATH}) {packing(PACKED_SQLITE, closed)};
            DELETE FROM snapshots WHERE {closed};
        END""")


def _sqlite_locked(row: str) -> str:
    return f"""EXISTS (SELECT 1 FROM trades t WHERE t.status <> 'open'
            AND t.user_id = {row}.user_id AND t.number = {row}.trade_number)"""


def _sqlite_guard(table: str, event: str, name: str, when: str, word: str) -> None:
    op.execute(f"""
        CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} WHEN {when} BEGIN
            SELECT RAISE(ABORT, '{word}: {event} of {table} is refused');
        END""")
