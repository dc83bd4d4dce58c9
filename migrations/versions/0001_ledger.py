"""The ledger: its tables, locks, and walls between users.

Two layers hold whatever a client says. Locks: a trade that is not open, its legs, fills,
conditions and snapshots refuse INSERT, UPDATE, DELETE and TRUNCATE; so do corrections,
notes, requests and the audit once written. The one way on is a row in `corrections`, whose
insertion supersedes or voids its trade. Walls (PostgreSQL): row-level security, forced,
for a role that is neither owner nor exempt.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SMALL = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
SCALED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
DAY = sa.Date().with_variant(sa.Text(), "sqlite")
# By a hidden rowid OR REPLACE could delete what no other key collides with.
KEPT = {"sqlite_strict": True, "sqlite_with_rowid": False}

ROLE = "trade_history_app"
TABLES = (
    "users", "accounts", "strategies", "requests", "audit", "trades", "legs", "fills",
    "conditions", "snapshots", "corrections", "notes",
)  # fmt: skip
UPDATED = ("users", "accounts", "trades")
APPENDED = {
    "corrections": ("number",),
    "notes": ("trade_number", "note_number"),
    "requests": ("request_key",),
    "audit": ("entry_number",),
}
# Columns in units of 1e-8 and of 1e-6, which the views for people show in plain units.
READABLE = {
    "trades": (
        (
            "quantity", "entry_price", "exit_price", "stop_loss", "take_profit", "r_multiple",
            "return_on_risk", "scanner_score", "ai_score", "delta", "gamma", "theta", "vega",
            "iv", "strike",
        ),
        ("initial_risk", "gross_pnl", "fees", "net_pnl", "unrealised_pnl"),
    ),
    "legs": (("strike", "multiplier"), ()),
    "fills": (("quantity", "price"), ("fee",)),
    "snapshots": (("mark_price", "underlying_price"), ("unrealised_pnl",)),
}  # fmt: skip
PARTS = ("legs", "fills", "conditions", "snapshots")


def upgrade() -> None:
    tables()
    if op.get_bind().dialect.name == "postgresql":
        lock_postgresql()
        wall_postgresql()
    else:
        lock_sqlite()
    views()


def downgrade() -> None:
    """The role stays: it belongs to the whole server, and other databases may use it."""
    postgresql_ = op.get_bind().dialect.name == "postgresql"
    for table in READABLE:
        op.execute(f"DROP VIEW {table}_readable")
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}" + (" CASCADE" if postgresql_ else ""))
    if postgresql_:
        for function in (
            "refuse",
            "guard_trade",
            "guard_part",
            "correct_trade",
            "guard_account",
            "guard_user",
        ):
            op.execute(f"DROP FUNCTION {function}")


def tables() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", COUNT, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_account", COUNT, nullable=False),
        sa.Column("last_trade", COUNT, nullable=False),
        sa.Column("last_audit", COUNT, nullable=False),
        sa.Column("audit_head", sa.Text(), nullable=True),
        sa.Column("ledger_version", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        **KEPT,
    )
    op.create_table(
        "accounts",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("account_id", COUNT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("broker", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("tolerance", SCALED, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("mode IN ('paper', 'live')", name=op.f("ck_accounts_mode")),
        sa.CheckConstraint("length(currency) BETWEEN 3 AND 10", name=op.f("ck_accounts_currency")),
        sa.CheckConstraint("tolerance >= 0", name=op.f("ck_accounts_tolerance")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_accounts_users")),
        sa.PrimaryKeyConstraint("user_id", "account_id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("user_id", "account_id", "mode", "currency", name="uq_accounts_book"),
        sa.UniqueConstraint("user_id", "name_key", name=op.f("uq_accounts_name_key")),
        **KEPT,
    )
    op.create_table(
        "audit",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("entry_number", COUNT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("entry_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_audit_users")),
        sa.PrimaryKeyConstraint("user_id", "entry_number", name=op.f("pk_audit")),
        **KEPT,
    )
    op.create_table(
        "requests",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_requests_users")),
        sa.PrimaryKeyConstraint("user_id", "request_key", name=op.f("pk_requests")),
        **KEPT,
    )
    op.create_table(
        "strategies",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_strategies_users")),
        sa.PrimaryKeyConstraint("user_id", "name_key", name=op.f("pk_strategies")),
        **KEPT,
    )
    op.create_table(
        "trades",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("account_id", COUNT, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=True),
        sa.Column("structure", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("opened_on", DAY, nullable=False),
        sa.Column("entry_weekday", SMALL, nullable=False),
        sa.Column("entry_hour", SMALL, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_on", DAY, nullable=True),
        sa.Column("holding_seconds", COUNT, nullable=True),
        sa.Column("quantity", SCALED, nullable=False),
        sa.Column("price_sign", SMALL, nullable=False),
        sa.Column("entry_price", SCALED, nullable=False),
        sa.Column("exit_price", SCALED, nullable=True),
        sa.Column("stop_loss", SCALED, nullable=True),
        sa.Column("take_profit", SCALED, nullable=True),
        sa.Column("initial_risk", SCALED, nullable=True),
        sa.Column("gross_pnl", SCALED, nullable=True),
        sa.Column("fees", SCALED, nullable=True),
        sa.Column("net_pnl", SCALED, nullable=True),
        sa.Column("r_multiple", SCALED, nullable=True),
        sa.Column("return_on_risk", SCALED, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("exit_reason", sa.Text(), nullable=True),
        sa.Column("unrealised_pnl", SCALED, nullable=True),
        sa.Column("scanner_score", SCALED, nullable=True),
        sa.Column("ai_score", SCALED, nullable=True),
        sa.Column("delta", SCALED, nullable=True),
        sa.Column("gamma", SCALED, nullable=True),
        sa.Column("theta", SCALED, nullable=True),
        sa.Column("vega", SCALED, nullable=True),
        sa.Column("iv", SCALED, nullable=True),
        sa.Column("dte", COUNT, nullable=True),
        sa.Column("option_type", sa.Text(), nullable=True),
        sa.Column("strike", SCALED, nullable=True),
        sa.Column("expiry", DAY, nullable=True),
        sa.Column("broker_order_id", sa.Text(), nullable=True),
        sa.Column("stop_order_id", sa.Text(), nullable=True),
        sa.Column("target_order_id", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "(status = 'open' AND closed_at IS NULL AND net_pnl IS NULL AND outcome IS "
            "NULL) OR (status = 'void' AND (closed_at IS NULL) = (net_pnl IS NULL)) OR "
            "(status IN ('closed', 'superseded') AND closed_at IS NOT NULL AND closed_on "
            "IS NOT NULL AND exit_price IS NOT NULL AND gross_pnl IS NOT NULL AND fees IS "
            "NOT NULL AND net_pnl IS NOT NULL AND outcome IS NOT NULL AND exit_reason IS "
            "NOT NULL AND holding_seconds IS NOT NULL AND unrealised_pnl IS NULL)",
            name=op.f("ck_trades_ended"),
        ),
        sa.CheckConstraint(
            "direction IN ('bullish', 'bearish', 'neutral')", name=op.f("ck_trades_direction")
        ),
        sa.CheckConstraint("option_type IN ('call', 'put')", name=op.f("ck_trades_option_type")),
        sa.CheckConstraint(
            "outcome = 'breakeven' OR (outcome = 'win' AND net_pnl > 0) OR (outcome = "
            "'loss' AND net_pnl < 0)",
            name=op.f("ck_trades_outcome"),
        ),
        sa.CheckConstraint(
            "status IN ('open', 'closed', 'superseded', 'void')", name=op.f("ck_trades_status")
        ),
        sa.CheckConstraint("ai_score BETWEEN 0 AND 10000000000", name=op.f("ck_trades_ai_score")),
        sa.CheckConstraint("closed_at >= opened_at", name=op.f("ck_trades_closed_at")),
        sa.CheckConstraint("dte >= 0", name=op.f("ck_trades_dte")),
        sa.CheckConstraint("entry_hour BETWEEN 0 AND 23", name=op.f("ck_trades_entry_hour")),
        sa.CheckConstraint("entry_weekday BETWEEN 1 AND 7", name=op.f("ck_trades_entry_weekday")),
        sa.CheckConstraint(
            "gross_pnl = 0 OR exit_price = entry_price OR (gross_pnl > 0) = ((exit_price > "
            "entry_price) = (price_sign > 0))",
            name=op.f("ck_trades_gross_pnl"),
        ),
        sa.CheckConstraint("holding_seconds >= 0", name=op.f("ck_trades_holding_seconds")),
        sa.CheckConstraint("initial_risk > 0", name=op.f("ck_trades_initial_risk")),
        sa.CheckConstraint("iv >= 0", name=op.f("ck_trades_iv")),
        sa.CheckConstraint("net_pnl = gross_pnl - fees", name=op.f("ck_trades_net_pnl")),
        sa.CheckConstraint("number > 0", name=op.f("ck_trades_number")),
        sa.CheckConstraint("price_sign IN (-1, 1)", name=op.f("ck_trades_price_sign")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_trades_quantity")),
        sa.CheckConstraint(
            "scanner_score BETWEEN 0 AND 10000000000", name=op.f("ck_trades_scanner_score")
        ),
        sa.CheckConstraint("strike > 0", name=op.f("ck_trades_strike")),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id", "mode", "currency"],
            ["accounts.user_id", "accounts.account_id", "accounts.mode", "accounts.currency"],
            name=op.f("fk_trades_accounts"),
        ),
        sa.PrimaryKeyConstraint("user_id", "number", name=op.f("pk_trades")),
        **KEPT,
    )
    op.create_index(
        "ix_trades_book",
        "trades",
        [
            "user_id",
            "mode",
            "status",
            "closed_at",
            "number",
            "currency",
            "account_id",
            "ticker",
            "strategy",
            "option_type",
            "structure",
            "outcome",
            "net_pnl",
            "gross_pnl",
            "fees",
            "r_multiple",
            "return_on_risk",
            "holding_seconds",
            "scanner_score",
            "ai_score",
            "opened_at",
            "opened_on",
            "closed_on",
            "unrealised_pnl",
        ],
        unique=False,
    )
    op.create_index(
        "ix_trades_ticker", "trades", ["user_id", "ticker", "closed_at", "number"], unique=False
    )
    op.create_index(
        "uq_trades_broker_order_id",
        "trades",
        ["user_id", "account_id", "broker_order_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('open', 'closed') AND broker_order_id IS NOT NULL"),
        postgresql_where=sa.text("status IN ('open', 'closed') AND broker_order_id IS NOT NULL"),
    )
    op.create_index(
        "uq_trades_external_id",
        "trades",
        ["user_id", "account_id", "source", "external_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('open', 'closed') AND external_id IS NOT NULL"),
        postgresql_where=sa.text("status IN ('open', 'closed') AND external_id IS NOT NULL"),
    )
    op.create_table(
        "conditions",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=True),
        sa.Column("number", SCALED, nullable=True),
        sa.CheckConstraint("(word IS NULL) <> (number IS NULL)", name=op.f("ck_conditions_value")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_conditions_trades"),
        ),
        sa.PrimaryKeyConstraint("user_id", "trade_number", "name", name=op.f("pk_conditions")),
        **KEPT,
    )
    op.create_table(
        "corrections",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("replacement", COUNT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(reason) > 0", name=op.f("ck_corrections_reason")),
        sa.CheckConstraint("replacement > number", name=op.f("ck_corrections_replacement")),
        sa.ForeignKeyConstraint(
            ["user_id", "number"], ["trades.user_id", "trades.number"], name="fk_corrections_number"
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "replacement"],
            ["trades.user_id", "trades.number"],
            name="fk_corrections_replacement",
        ),
        sa.PrimaryKeyConstraint("user_id", "number", name=op.f("pk_corrections")),
        sa.UniqueConstraint("user_id", "replacement", name=op.f("uq_corrections_replacement")),
        **KEPT,
    )
    op.create_table(
        "legs",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("leg_number", SMALL, nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=True),
        sa.Column("option_type", sa.Text(), nullable=True),
        sa.Column("strike", SCALED, nullable=True),
        sa.Column("expiry", DAY, nullable=True),
        sa.Column("multiplier", SCALED, nullable=False),
        sa.Column("delivered", SMALL, nullable=False),
        sa.CheckConstraint(
            "(instrument = 'option') = (option_type IS NOT NULL) AND (option_type IS NULL) "
            "= (strike IS NULL) AND (option_type IS NULL OR expiry IS NOT NULL) AND "
            "(option_type IS NULL OR option_type IN ('call', 'put'))",
            name=op.f("ck_legs_option"),
        ),
        sa.CheckConstraint(
            "instrument IN ('equity', 'option', 'future', 'crypto')",
            name=op.f("ck_legs_instrument"),
        ),
        sa.CheckConstraint("delivered IN (0, 1)", name=op.f("ck_legs_delivered")),
        sa.CheckConstraint("leg_number BETWEEN 1 AND 8", name=op.f("ck_legs_leg_number")),
        sa.CheckConstraint("multiplier > 0", name=op.f("ck_legs_multiplier")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_legs_trades"),
        ),
        sa.PrimaryKeyConstraint("user_id", "trade_number", "leg_number", name=op.f("pk_legs")),
        **KEPT,
    )
    op.create_table(
        "notes",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("note_number", COUNT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(body) > 0", name=op.f("ck_notes_body")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_notes_trades"),
        ),
        sa.PrimaryKeyConstraint("user_id", "trade_number", "note_number", name=op.f("pk_notes")),
        **KEPT,
    )
    op.create_table(
        "snapshots",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Column("mark_price", SCALED, nullable=False),
        sa.Column("underlying_price", SCALED, nullable=True),
        sa.Column("unrealised_pnl", SCALED, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number"],
            ["trades.user_id", "trades.number"],
            name=op.f("fk_snapshots_trades"),
        ),
        sa.PrimaryKeyConstraint("user_id", "trade_number", "taken_at", name=op.f("pk_snapshots")),
        **KEPT,
    )
    op.create_table(
        "fills",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("trade_number", COUNT, nullable=False),
        sa.Column("leg_number", SMALL, nullable=False),
        sa.Column("fill_number", COUNT, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", SCALED, nullable=False),
        sa.Column("price", SCALED, nullable=False),
        sa.Column("fee", SCALED, nullable=False),
        sa.Column("filled_at", MOMENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('trade', 'expired', 'assigned', 'exercised', 'settled')",
            name=op.f("ck_fills_kind"),
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_fills_side")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_fills_quantity")),
        sa.ForeignKeyConstraint(
            ["user_id", "trade_number", "leg_number"],
            ["legs.user_id", "legs.trade_number", "legs.leg_number"],
            name=op.f("fk_fills_legs"),
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "trade_number", "leg_number", "fill_number", name=op.f("pk_fills")
        ),
        sa.UniqueConstraint(
            "user_id", "trade_number", "execution_id", name="uq_fills_execution_id"
        ),
        **KEPT,
    )


def lock_postgresql() -> None:
    """Triggers raise restrict_violation with constraint `trade_locked` or `append_only`."""
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    path = f"SET search_path = {schema}, pg_temp"  # A temporary table must not stand in.
    op.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            RAISE EXCEPTION '%: % of % is refused', TG_ARGV[0], TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_ARGV[0],
                      TABLE = TG_TABLE_NAME;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_trade() RETURNS trigger LANGUAGE plpgsql {path} AS $$
        DECLARE
            corrected boolean;
            same trades := NEW;
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                SELECT (replacement IS NOT NULL) = (NEW.status = 'superseded') INTO corrected
                    FROM corrections WHERE user_id = OLD.user_id AND number = OLD.number;
                same.status := OLD.status;
                IF OLD.status = 'open' AND NEW.status IN ('open', 'closed')
                    AND (NEW.user_id, NEW.number) = (OLD.user_id, OLD.number) THEN
                    RETURN NEW;
                ELSIF OLD.status = 'open' AND NEW.status = 'void'
                    AND same IS NOT DISTINCT FROM OLD AND corrected THEN
                    RETURN NEW;
                ELSIF OLD.status = 'closed' AND NEW.status IN ('superseded', 'void')
                    AND same IS NOT DISTINCT FROM OLD AND corrected THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'trade_locked: % of trade % is refused', TG_OP, OLD.number
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_part() RETURNS trigger LANGUAGE plpgsql {path} AS $$
        DECLARE
            found text;
        BEGIN
            -- FOR SHARE: a trade that is just being closed is waited for.
            IF TG_OP <> 'INSERT' THEN
                SELECT status INTO found FROM trades
                    WHERE user_id = OLD.user_id AND number = OLD.trade_number FOR SHARE;
                IF found <> 'open' THEN
                    RAISE EXCEPTION 'trade_locked: % of % is refused', TG_OP, TG_TABLE_NAME
                        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
                END IF;
            END IF;
            IF TG_OP = 'DELETE' THEN
                RETURN OLD;
            END IF;
            SELECT status INTO found FROM trades
                WHERE user_id = NEW.user_id AND number = NEW.trade_number FOR SHARE;
            IF found <> 'open' THEN
                RAISE EXCEPTION 'trade_locked: % of % is refused', TG_OP, TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION correct_trade() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            UPDATE trades
                SET status = CASE WHEN NEW.replacement IS NULL THEN 'void' ELSE 'superseded' END
                WHERE user_id = NEW.user_id AND number = NEW.number
                    AND (status = 'closed' OR status = 'open' AND NEW.replacement IS NULL);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'trade_locked: trade % cannot be corrected', NEW.number
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'trade_locked';
            END IF;
            RETURN NULL;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_account() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            IF (NEW.mode, NEW.currency, NEW.account_id, NEW.user_id)
                IS DISTINCT FROM (OLD.mode, OLD.currency, OLD.account_id, OLD.user_id) THEN
                RAISE EXCEPTION 'account_locked: mode and currency of an account never change'
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'account_locked';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute(f"""
        CREATE FUNCTION guard_user() RETURNS trigger LANGUAGE plpgsql {path} AS $$ BEGIN
            IF NEW.user_id <> OLD.user_id OR NEW.last_account < OLD.last_account
                OR NEW.last_trade < OLD.last_trade OR NEW.last_audit < OLD.last_audit
                OR NEW.ledger_version < OLD.ledger_version THEN
                RAISE EXCEPTION 'user_locked: the counters of a user only rise'
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'user_locked';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute("""
        CREATE TRIGGER guard BEFORE UPDATE ON users
            FOR EACH ROW EXECUTE FUNCTION guard_user()""")
    op.execute("""
        CREATE TRIGGER guard BEFORE UPDATE ON accounts
            FOR EACH ROW EXECUTE FUNCTION guard_account()""")
    # An open trade may be deleted by nobody but the owner; a locked one by nobody at all.
    op.execute("""
        CREATE TRIGGER guard_update BEFORE UPDATE ON trades
            FOR EACH ROW EXECUTE FUNCTION guard_trade()""")
    op.execute("""
        CREATE TRIGGER guard_delete BEFORE DELETE ON trades
            FOR EACH ROW WHEN (OLD.status <> 'open') EXECUTE FUNCTION guard_trade()""")
    op.execute("""
        CREATE TRIGGER correct AFTER INSERT ON corrections
            FOR EACH ROW EXECUTE FUNCTION correct_trade()""")
    for table in PARTS:
        op.execute(f"""
            CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION guard_part()""")
    for table in APPENDED:
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION refuse('append_only')""")
    for table in ("trades", *PARTS, *APPENDED):
        op.execute(f"""
            CREATE TRIGGER truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse('trade_locked')""")


def wall_postgresql() -> None:
    """Row-level security under the role that every transaction takes.

    The plain form of the policy (no sub-select) is the one that Citus distributes too; an
    identity that is not set reads as no user, so nothing is seen.
    """
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
                CREATE ROLE {ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this server made it at this moment
        END $$""")
    op.execute(f"""
        DO $$ BEGIN
            IF NOT pg_has_role(current_user, '{ROLE}', 'MEMBER') THEN
                GRANT {ROLE} TO CURRENT_USER;
            END IF;
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ROLE}', current_schema());
        END $$""")
    identity = "user_id = nullif(current_setting('app.user_id', true), '')::bigint"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING ({identity}) WITH CHECK ({identity})")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {ROLE}")
    for table in UPDATED:
        op.execute(f"GRANT UPDATE ON {table} TO {ROLE}")
    # Closing a trade updates it and clears the visibility map that index-only reads need.
    op.execute("""
        ALTER TABLE trades SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02,
            autovacuum_vacuum_insert_scale_factor = 0.01)""")


def lock_sqlite() -> None:
    """The same locks as triggers that abort with `trade_locked: ...` or `append_only: ...`.

    OR REPLACE deletes the rows it collides with, unseen by DELETE triggers unless the client
    has set recursive_triggers, which a raw one has not: so an INSERT or UPDATE that would
    collide with what is locked is refused before it happens.
    """
    for event in ("UPDATE", "DELETE"):
        _sqlite_guard("trades", event, *_sqlite_trade(event))
    _sqlite_guard(
        "trades", "INSERT", "replace",
        """EXISTS (SELECT 1 FROM trades t WHERE t.user_id = NEW.user_id
            AND t.number = NEW.number AND t.status <> 'open')""",
    )  # fmt: skip
    keys = {"external_id": " AND t.source = NEW.source", "broker_order_id": ""}
    for name, more in keys.items():
        # The first test of the status is the partial index's own, which makes it usable.
        taken = f"""EXISTS (SELECT 1 FROM trades t WHERE t.user_id = NEW.user_id
            AND t.status IN ('open', 'closed') AND t.status = 'closed'
            AND NEW.status IN ('open', 'closed')
            AND t.account_id = NEW.account_id AND t.{name} = NEW.{name}{more}"""
        word = f"trade_locked: {name} is taken"
        _sqlite_guard("trades", "INSERT", f"replace_{name}", f"{taken})", word)
        _sqlite_guard(
            "trades", "UPDATE", f"update_or_replace_{name}",
            f"{taken} AND t.number <> OLD.number)", word,
        )  # fmt: skip
    for table in PARTS:
        _lock_sqlite_part(table)
    _lock_sqlite_corrections()
    for table, key in APPENDED.items():
        own = " AND ".join(f"o.{column} = NEW.{column}" for column in ("user_id", *key))
        _sqlite_guard(table, "UPDATE", "update", "1", "append_only")
        _sqlite_guard(table, "DELETE", "delete", "1", "append_only")
        _sqlite_guard(
            table, "INSERT", "replace", f"EXISTS (SELECT 1 FROM {table} o WHERE {own})",
            "append_only",
        )  # fmt: skip
    falls = " OR ".join(
        f"NEW.{counter} < OLD.{counter}"
        for counter in ("last_account", "last_trade", "last_audit", "ledger_version")
    )
    _sqlite_guard(
        "users", "UPDATE", "update", f"NEW.user_id <> OLD.user_id OR {falls}", "user_locked"
    )
    _sqlite_guard("users", "DELETE", "delete", "OLD.last_account > 0", "user_locked")
    _sqlite_guard(
        "users", "INSERT", "replace",
        "EXISTS (SELECT 1 FROM users u WHERE u.user_id = NEW.user_id)", "user_locked",
    )  # fmt: skip
    booked = """EXISTS (SELECT 1 FROM trades t
        WHERE t.user_id = OLD.user_id AND t.account_id = OLD.account_id)"""
    same = " AND ".join(
        f"NEW.{column} IS OLD.{column}" for column in ("user_id", "account_id", "mode", "currency")
    )
    _sqlite_guard("accounts", "UPDATE", "update", f"NOT ({same})", "account_locked")
    _sqlite_guard("accounts", "DELETE", "delete", booked, "account_locked")
    collides = """EXISTS (SELECT 1 FROM accounts a WHERE a.user_id = NEW.user_id
        AND (a.account_id = NEW.account_id OR a.name_key = NEW.name_key))"""
    _sqlite_guard("accounts", "INSERT", "replace", collides, "account_locked")
    _sqlite_guard(
        "accounts", "UPDATE", "update_or_replace",
        collides[:-1] + " AND a.account_id <> OLD.account_id)", "account_locked",
    )  # fmt: skip


def _sqlite_trade(event: str) -> tuple[str, str]:
    if event == "DELETE":
        return "delete", "OLD.status <> 'open'"
    columns = [row[1] for row in op.get_bind().execute(sa.text("PRAGMA table_info(trades)"))]
    same = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in columns if column != "status")
    allowed = f"""
        OLD.status = 'open' AND NEW.status IN ('open', 'closed')
            AND NEW.user_id = OLD.user_id AND NEW.number = OLD.number
        OR (OLD.status = 'open' AND NEW.status = 'void'
            OR OLD.status = 'closed' AND NEW.status IN ('superseded', 'void'))
            AND {same}
            AND EXISTS (SELECT 1 FROM corrections c
                WHERE c.user_id = OLD.user_id AND c.number = OLD.number
                AND (c.replacement IS NOT NULL) = (NEW.status = 'superseded'))"""
    return "update", f"NOT ({allowed})"


def _lock_sqlite_part(table: str) -> None:
    def locked(row: str) -> str:
        return f"""EXISTS (SELECT 1 FROM trades t WHERE t.status <> 'open'
            AND t.user_id = {row}.user_id AND t.number = {row}.trade_number)"""

    _sqlite_guard(table, "INSERT", "insert", locked("NEW"))
    _sqlite_guard(table, "UPDATE", "update", f"{locked('OLD')} OR {locked('NEW')}")
    _sqlite_guard(table, "DELETE", "delete", locked("OLD"))


def _lock_sqlite_corrections() -> None:
    # A raw client has no foreign keys: a loss must not be superseded by nothing.
    allowed = """EXISTS (SELECT 1 FROM trades t WHERE t.user_id = NEW.user_id
        AND t.number = NEW.number
        AND (t.status = 'closed' OR t.status = 'open' AND NEW.replacement IS NULL))
        AND (NEW.replacement IS NULL OR EXISTS (SELECT 1 FROM trades t
            WHERE t.user_id = NEW.user_id AND t.number = NEW.replacement))"""
    _sqlite_guard("corrections", "INSERT", "insert", f"NOT ({allowed})")
    # OR REPLACE on the second key would delete an older explanation.
    _sqlite_guard(
        "corrections", "INSERT", "replacement",
        """EXISTS (SELECT 1 FROM corrections c
            WHERE c.user_id = NEW.user_id AND c.replacement = NEW.replacement)""",
        "append_only",
    )  # fmt: skip
    op.execute("""
        CREATE TRIGGER corrections_correct AFTER INSERT ON corrections BEGIN
            UPDATE trades
                SET status = CASE WHEN NEW.replacement IS NULL THEN 'void' ELSE 'superseded' END
                WHERE user_id = NEW.user_id AND number = NEW.number;
        END""")


def _sqlite_guard(table: str, event: str, name: str, when: str, word: str = "trade_locked") -> None:
    op.execute(f"""
        CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} WHEN {when} BEGIN
            SELECT RAISE(ABORT, '{word}: {event} of {table} is refused');
        END""")


def views() -> None:
    """`trades_readable` and kin: the same rows in plain units, for psql and BI tools.

    Exact on PostgreSQL; SQLite has no decimals, so there the numbers are for reading.
    """
    postgresql_ = op.get_bind().dialect.name == "postgresql"
    for table, (eights, sixths) in READABLE.items():
        names = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
        shown = []
        for name in names:
            digits = 8 if name in eights else 6 if name in sixths else 0
            plain = f"{name}::numeric / 1e{digits}" if postgresql_ else f"{name} / 1e{digits}"
            exact = f"round({plain}, {digits})" if postgresql_ else plain
            shown.append(f"{exact} AS {name}" if digits else name)
        options = " WITH (security_invoker = true)" if postgresql_ else ""
        op.execute(
            f"CREATE VIEW {table}_readable{options} AS SELECT {', '.join(shown)} FROM {table}"
        )
        if postgresql_:
            op.execute(f"GRANT SELECT ON {table}_readable TO {ROLE}")
