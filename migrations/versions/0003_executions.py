"""What brokers' files say, kept once each; checks answered at entry; market data.

Executions and checks are appended, never changed. Market data belongs to nobody: every user
reads it, and only an operator's command writes it, for what one user planted would be a
condition of another's trades.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SMALL = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
DAY = sa.Date().with_variant(sa.Text(), "sqlite")
KEPT = {"sqlite_strict": True, "sqlite_with_rowid": False}

APP, OPERATOR = "trade_history_app", "trade_history_operator"
KEYS = {
    "checklist": ("trade_number", "check_number"),
    "executions": ("account_id", "source", "execution_id", "quantity"),
}
MARKET = ("bars", "fundamentals")


def upgrade() -> None:
    tables()
    if op.get_bind().dialect.name == "postgresql":
        guard_postgresql()
    else:
        guard_sqlite()


def downgrade() -> None:
    for table in (*MARKET, *KEYS):
        op.drop_table(table)


def tables() -> None:
    op.create_table(
        "checklist",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("check_number", COUNT, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(question) > 0", name=op.f("ck_checklist_question")),
        sa.CheckConstraint("length(answer) > 0", name=op.f("ck_checklist_answer")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_checklist_trades"),
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "trade_number", "check_number", name=op.f("pk_checklist")
        ),
        **KEPT,
    )
    op.create_table(
        "executions",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("account_id", COUNT, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=True),
        sa.Column("option_type", sa.Text(), nullable=True),
        sa.Column("strike", COUNT, nullable=True),
        sa.Column("expiry", DAY, nullable=True),
        sa.Column("multiplier", COUNT, nullable=True),
        sa.Column("side", sa.Text(), nullable=True),
        sa.Column("quantity", COUNT, nullable=False),
        sa.Column("price", COUNT, nullable=False),
        sa.Column("fee", COUNT, nullable=False),
        sa.Column("filled_at", MOMENT, nullable=False),
        sa.Column("dated", SMALL, nullable=False),
        sa.Column("place", COUNT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("delivery", SMALL, nullable=False),
        sa.Column("audit_entry", COUNT, nullable=False),
        sa.Column("entry_place", COUNT, nullable=False),
        sa.CheckConstraint(
            "instrument IN ('equity', 'option', 'future', 'crypto')",
            name=op.f("ck_executions_instrument"),
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_executions_side")),
        sa.CheckConstraint(
            "kind IN ('trade', 'expired', 'assigned', 'exercised', 'settled')",
            name=op.f("ck_executions_kind"),
        ),
        sa.CheckConstraint("effect IN ('open', 'close')", name=op.f("ck_executions_effect")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_executions_quantity")),
        sa.CheckConstraint(
            "side IS NOT NULL OR kind <> 'trade'", name=op.f("ck_executions_ending")
        ),
        sa.CheckConstraint("delivery IN (0, 1)", name=op.f("ck_executions_delivery")),
        sa.CheckConstraint("dated IN (0, 1)", name=op.f("ck_executions_dated")),
        sa.CheckConstraint("place >= 0", name=op.f("ck_executions_place")),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["accounts.user_id", "accounts.account_id"],
            name=op.f("fk_executions_accounts"),
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "account_id", "source", "execution_id", "quantity",
            name=op.f("pk_executions"),
        ),
        **KEPT,
    )  # fmt: skip
    op.create_index(
        "ix_executions_ticker",
        "executions",
        ["user_id", "account_id", "source", "ticker", "filled_at"],
    )
    op.create_index("ix_executions_entry", "executions", ["user_id", "audit_entry", "entry_place"])
    op.create_table(
        "bars",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("opens_at", MOMENT, nullable=False),
        sa.Column("known_at", MOMENT, nullable=False),
        sa.Column("open", COUNT, nullable=False),
        sa.Column("high", COUNT, nullable=False),
        sa.Column("low", COUNT, nullable=False),
        sa.Column("close", COUNT, nullable=False),
        sa.Column("volume", COUNT, nullable=True),
        sa.CheckConstraint(
            "period IN ('1m', '5m', '15m', '30m', '1h', '1d', '1w')",
            name=op.f("ck_bars_period"),
        ),
        sa.CheckConstraint(
            "low <= open AND low <= close AND low <= high", name=op.f("ck_bars_low")
        ),
        sa.CheckConstraint("high >= open AND high >= close", name=op.f("ck_bars_high")),
        sa.CheckConstraint("volume >= 0", name=op.f("ck_bars_volume")),
        sa.CheckConstraint("known_at > opens_at", name=op.f("ck_bars_known_at")),
        sa.PrimaryKeyConstraint("ticker", "period", "opens_at", name=op.f("pk_bars")),
        **KEPT,
    )
    op.create_table(
        "fundamentals",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("known_on", DAY, nullable=False),
        sa.Column("word", sa.Text(), nullable=True),
        sa.Column("number", COUNT, nullable=True),
        sa.CheckConstraint(
            "(word IS NULL) <> (number IS NULL)", name=op.f("ck_fundamentals_value")
        ),
        sa.PrimaryKeyConstraint("ticker", "name", "known_on", name=op.f("pk_fundamentals")),
        **KEPT,
    )


def guard_postgresql() -> None:
    identity = "user_id = nullif(current_setting('app.user_id', true), '')::bigint"
    for table in KEYS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING ({identity}) WITH CHECK ({identity})")
        op.execute(f"CREATE POLICY operator ON {table} TO {OPERATOR} USING (true)")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APP}")
        op.execute(f"GRANT SELECT ON {table} TO {OPERATOR}")
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION refuse('append_only')""")
        op.execute(f"""
            CREATE TRIGGER truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse('append_only')""")
    for table in MARKET:
        op.execute(f"GRANT SELECT ON {table} TO {APP}")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {OPERATOR}")


def guard_sqlite() -> None:
    """As in 0001: what OR REPLACE would delete unseen is refused before it happens."""
    for table, key in KEYS.items():
        own = " AND ".join(f"o.{column} = NEW.{column}" for column in ("user_id", *key))
        taken = f"EXISTS (SELECT 1 FROM {table} o WHERE {own})"
        for event, name, when in (
            ("UPDATE", "update", "1"), ("DELETE", "delete", "1"), ("INSERT", "replace", taken),
        ):  # fmt: skip
            op.execute(f"""
                CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} WHEN {when} BEGIN
                    SELECT RAISE(ABORT, 'append_only: {event} of {table} is refused');
                END""")
