"""Other people's records: tiers, tokens, sealed secrets, the log of calls, an operator.

Of a user, the application's role may change the counters only, not the tier. A role of its
own, the operator's, reads across users and sets tiers; no request from outside takes it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SMALL = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
KEPT = {"sqlite_strict": True, "sqlite_with_rowid": False}

APP, OPERATOR = "trade_history_app", "trade_history_operator"
OLDER = (
    "users", "accounts", "strategies", "requests", "audit", "trades", "legs", "fills",
    "conditions", "snapshots", "corrections", "notes",
)  # fmt: skip
GRANTED = {
    "api_tokens": "SELECT, INSERT, UPDATE (revoked_at, last_used_at)",
    "user_settings": "SELECT, INSERT, UPDATE, DELETE",
    "broker_connections": "SELECT, INSERT, UPDATE, DELETE",
    "calls": "SELECT, INSERT",
}
COUNTERS = "last_account, last_trade, last_audit, audit_head, ledger_version"
TIERS = (("free", 30, 2, 500), ("basic", 120, 10, 25_000), ("pro", 600, None, None))
# What a token is never changes; that it is revoked is never taken back.
TOKEN = ("user_id", "token_number", "name", "secret_hash", "scopes", "created_at", "expires_at")


def upgrade() -> None:
    tables()
    if op.get_bind().dialect.name == "postgresql":
        lock_postgresql()
        wall_postgresql()
    else:
        lock_sqlite()


def downgrade() -> None:
    """The operator's role stays, as the application's does, without any right here.

    So do `token` and `state_hash` of the audit, without which its chain would not hold, and
    the tier that a user has by the audit.
    """
    postgresql_ = op.get_bind().dialect.name == "postgresql"
    for table in reversed(GRANTED):
        op.drop_table(table)
    if postgresql_:
        for table in OLDER:
            op.execute(f"DROP POLICY operator ON {table}")
            op.execute(f"REVOKE ALL ON {table} FROM {OPERATOR}")
        op.execute(f"REVOKE UPDATE ({COUNTERS}) ON users FROM {APP}, {OPERATOR}")
        op.execute(f"REVOKE UPDATE (tier) ON users FROM {OPERATOR}")
        op.execute(f"GRANT UPDATE ON users TO {APP}")
        op.execute("DROP FUNCTION guard_token")
        op.execute("REVOKE SELECT ON alembic_version FROM PUBLIC")
        op.execute(
            f"DO $$ BEGIN EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM {OPERATOR}',"
            " current_schema()); END $$"
        )
    op.drop_table("tiers")


def tables() -> None:
    tiers = op.create_table(
        "tiers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("calls_per_minute", COUNT, nullable=True),
        sa.Column("accounts", COUNT, nullable=True),
        sa.Column("trades", COUNT, nullable=True),
        sa.CheckConstraint("accounts > 0", name=op.f("ck_tiers_accounts")),
        sa.CheckConstraint("calls_per_minute > 0", name=op.f("ck_tiers_calls_per_minute")),
        sa.CheckConstraint("trades > 0", name=op.f("ck_tiers_trades")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tiers")),
        **KEPT,
    )
    columns = ("name", "calls_per_minute", "accounts", "trades")
    op.bulk_insert(tiers, [dict(zip(columns, tier, strict=True)) for tier in TIERS])
    if not _has("users", "tier"):  # After a downgrade it has; so has the audit.
        # Columns are added in place: rebuilding a locked table would drop its triggers.
        op.execute(
            "ALTER TABLE users ADD COLUMN tier TEXT NOT NULL DEFAULT 'pro'"
            " CONSTRAINT ck_users_tier CHECK (tier IN ('free', 'basic', 'pro'))"
        )
    for name in ("token", "state_hash"):
        if not _has("audit", name):
            op.add_column("audit", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "api_tokens",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("token_number", COUNT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_api_tokens_secret_hash")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_api_tokens_users")),
        sa.PrimaryKeyConstraint("user_id", "token_number", name=op.f("pk_api_tokens")),
        **KEPT,
    )
    op.create_table(
        "user_settings",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sealed", SMALL, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("sealed IN (0, 1)", name=op.f("ck_user_settings_sealed")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_user_settings_users")
        ),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_user_settings")),
        **KEPT,
    )
    op.create_table(
        "broker_connections",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("broker", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("sealed_token", sa.Text(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "environment IN ('sandbox', 'live')", name=op.f("ck_broker_connections_environment")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_broker_connections_users")
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "broker", "environment", name=op.f("pk_broker_connections")
        ),
        **KEPT,
    )
    op.create_table(
        "calls",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("called_at", MOMENT, nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("arguments_hash", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("result_hash", sa.Text(), nullable=True),
        sa.Column("trades_used", COUNT, nullable=True),
        sa.Column("milliseconds", COUNT, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('answered', 'refused', 'failed')", name=op.f("ck_calls_outcome")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_calls_users")),
        sa.PrimaryKeyConstraint("user_id", "called_at", "call_id", name=op.f("pk_calls")),
        **KEPT,
    )


def _has(table: str, name: str) -> bool:
    columns = sa.inspect(op.get_bind()).get_columns(table)
    return any(column["name"] == name for column in columns)


def lock_postgresql() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    path = f"SET search_path = {schema}, pg_temp"
    new, old = (", ".join(f"{row}.{column}" for column in TOKEN) for row in ("NEW", "OLD"))
    op.execute(f"""
        CREATE FUNCTION guard_token() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            IF TG_OP = 'DELETE' OR ({new}) IS DISTINCT FROM ({old})
                OR OLD.revoked_at IS NOT NULL
                    AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
                RAISE EXCEPTION 'token_locked: % of a token is refused', TG_OP
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'token_locked';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute("""
        CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON api_tokens
            FOR EACH ROW EXECUTE FUNCTION guard_token()""")
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON calls
            FOR EACH ROW EXECUTE FUNCTION refuse('append_only')""")
    for table in ("api_tokens", "calls"):
        op.execute(f"""
            CREATE TRIGGER truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse('append_only')""")


def wall_postgresql() -> None:
    identity = "user_id = nullif(current_setting('app.user_id', true), '')::bigint"
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OPERATOR}') THEN
                CREATE ROLE {OPERATOR}
                    NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this server made it at this moment
        END $$""")
    for role in (APP, OPERATOR):
        _may_take(role)
    op.execute(
        f"DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {OPERATOR}',"
        " current_schema()); END $$"
    )
    for table, rights in GRANTED.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING ({identity}) WITH CHECK ({identity})")
        op.execute(f"GRANT {rights} ON {table} TO {APP}")
    op.execute(f"GRANT SELECT ON tiers TO {APP}, {OPERATOR}")
    op.execute(f"GRANT UPDATE ON tiers TO {OPERATOR}")
    op.execute(f"REVOKE UPDATE ON users FROM {APP}")
    op.execute(f"GRANT UPDATE ({COUNTERS}) ON users TO {APP}")
    for table in (*OLDER, *GRANTED):
        op.execute(f"CREATE POLICY operator ON {table} TO {OPERATOR} USING (true)")
        op.execute(f"GRANT SELECT ON {table} TO {OPERATOR}")
    op.execute(f"GRANT UPDATE ({COUNTERS}, tier) ON users TO {OPERATOR}")
    op.execute(f"GRANT INSERT ON audit TO {OPERATOR}")
    # A login that may take the roles and nothing else has to see where the schema stands.
    op.execute("GRANT SELECT ON alembic_version TO PUBLIC")


def _may_take(role: str) -> None:
    """From PostgreSQL 16 on whoever makes a role may grant it, but not yet take it."""
    op.execute(f"""
        DO $$ BEGIN
            IF current_setting('server_version_num')::int >= 160000 THEN
                IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
                    EXECUTE 'GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE';
                END IF;
            ELSIF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN
                GRANT {role} TO CURRENT_USER;
            END IF;
        END $$""")


def lock_sqlite() -> None:
    """As in 0001: what OR REPLACE would delete unseen is refused before it happens."""
    same = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in TOKEN)
    kept = f"NOT ({same}) OR OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at"
    _guard("api_tokens", "UPDATE", "update", kept, "token_locked")
    _guard("api_tokens", "DELETE", "delete", "1", "token_locked")
    _guard("api_tokens", "INSERT", "replace", _taken("api_tokens", "token_number"), "token_locked")
    _guard("calls", "UPDATE", "update", "1", "append_only")
    _guard("calls", "DELETE", "delete", "1", "append_only")
    _guard("calls", "INSERT", "replace", _taken("calls", "called_at", "call_id"), "append_only")


def _taken(table: str, *key: str) -> str:
    own = " AND ".join(f"o.{column} = NEW.{column}" for column in ("user_id", *key))
    return f"EXISTS (SELECT 1 FROM {table} o WHERE {own})"


def _guard(table: str, event: str, name: str, when: str, word: str) -> None:
    op.execute(f"""
        CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} WHEN {when} BEGIN
            SELECT RAISE(ABORT, '{word}: {event} of {table} is refused');
        END""")
