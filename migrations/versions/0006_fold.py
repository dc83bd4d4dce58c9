"""Sums of closed trades over all users, for the operator's report.

Nothing is summed inside a user's transaction: there a closed trade, or one that counts no
longer, leaves only a row in `unfolded`, by a trigger. An operator's command adds these rows to
`fold` and removes them. What both hold together is exact at every moment. Of the
application's role neither table is readable; the trigger writes as its owner.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SMALL = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
KEPT = {"sqlite_strict": True, "sqlite_with_rowid": False}

OPERATOR = "trade_history_operator"
NAMED = """coalesce((SELECT min(s.name_key) FROM strategies s
        WHERE s.user_id = {row}.user_id AND s.name = {row}.strategy), {row}.strategy)"""
# What of a trade is added up, by column of `unfolded`. {row} is the trade's row.
FACTS = {
    "mode": "{row}.mode",
    "currency": "{row}.currency",
    "strategy": NAMED,
    "scanner_score": "{row}.scanner_score / 100000000",
    "ai_score": "{row}.ai_score / 100000000",
    "ticker": "{row}.ticker",
    "month": "{month}",
    "outcome": "{row}.outcome",
    "gross_pnl": "{row}.gross_pnl",
    "fees": "{row}.fees",
    "net_pnl": "{row}.net_pnl",
}
POSTGRESQL_MONTH = """(extract(year FROM {row}.closed_on) * 100
        + extract(month FROM {row}.closed_on))::bigint"""
SQLITE_MONTH = "cast(strftime('%Y%m', {row}.closed_on) AS integer)"
DIMENSIONS = ("whole", "strategy", "scanner_score", "ai_score", "ticker", "month")


def upgrade() -> None:
    tables()
    if op.get_bind().dialect.name == "postgresql":
        append_postgresql()
        wall_postgresql()
        # As the role that sees every user: the owner is walled, too.
        op.execute(f"SET LOCAL ROLE {OPERATOR}")
        fill()
        op.execute("RESET ROLE")
    else:
        append_sqlite()
        fill()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for trigger in ("closed", "closed_or_ended"):
            op.execute(f"DROP TRIGGER {trigger} ON trades")
        op.execute("DROP FUNCTION append_unfolded")
    else:
        for trigger in ("closed", "closed_or_ended"):
            op.execute(f"DROP TRIGGER trades_{trigger}")
    op.drop_table("fold")
    op.drop_table("unfolded")


def tables() -> None:
    op.create_table(
        "unfolded",
        sa.Column("user_id", COUNT, nullable=False),
        sa.Column("number", COUNT, nullable=False),
        sa.Column("effect", SMALL, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=True),
        sa.Column("scanner_score", COUNT, nullable=True),
        sa.Column("ai_score", COUNT, nullable=True),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("month", COUNT, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("gross_pnl", COUNT, nullable=False),
        sa.Column("fees", COUNT, nullable=False),
        sa.Column("net_pnl", COUNT, nullable=False),
        sa.CheckConstraint("effect IN (-1, 1)", name=op.f("ck_unfolded_effect")),
        sa.PrimaryKeyConstraint("user_id", "number", "effect", name=op.f("pk_unfolded")),
        **KEPT,
    )
    op.create_table(
        "fold",
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("n", COUNT, nullable=False),
        sa.Column("wins", COUNT, nullable=False),
        sa.Column("losses", COUNT, nullable=False),
        sa.Column("breakevens", COUNT, nullable=False),
        sa.Column("gross_pnl", COUNT, nullable=False),
        sa.Column("fees", COUNT, nullable=False),
        sa.Column("net_pnl", COUNT, nullable=False),
        sa.CheckConstraint(
            "dimension IN ('whole', 'strategy', 'scanner_score', 'ai_score', 'ticker', 'month')",
            name=op.f("ck_fold_dimension"),
        ),
        sa.CheckConstraint("mode IN ('paper', 'live')", name=op.f("ck_fold_mode")),
        sa.CheckConstraint("n = wins + losses + breakevens", name=op.f("ck_fold_n")),
        sa.CheckConstraint("net_pnl = gross_pnl - fees", name=op.f("ck_fold_net_pnl")),
        sa.PrimaryKeyConstraint("dimension", "value", "mode", "currency", name=op.f("pk_fold")),
        **KEPT,
    )


def append_postgresql() -> None:
    """A trigger locks `trades` against writers until the end of the migration, so nothing is
    missed between it and the filling of the fold. Row by row, as Citus can distribute it; a
    trade that stays open costs no more than a look at its status. The name of the strategy is
    asked for by itself, for what Citus inserts in a trigger has no sub-select."""
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute(f"""
        CREATE FUNCTION append_unfolded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = {schema}, pg_temp AS $$
        DECLARE
            named text;
        BEGIN
            SELECT min(s.name_key) INTO named FROM strategies s
                WHERE s.user_id = NEW.user_id AND s.name = NEW.strategy;
            {appended().replace(NAMED.format(row="NEW"), "coalesce(named, NEW.strategy)")}
            RETURN NULL;
        END $$""")
    op.execute("""
        CREATE TRIGGER closed AFTER INSERT ON trades FOR EACH ROW
            WHEN (NEW.status = 'closed') EXECUTE FUNCTION append_unfolded()""")
    op.execute("""
        CREATE TRIGGER closed_or_ended AFTER UPDATE ON trades FOR EACH ROW
            WHEN ((OLD.status = 'closed') <> (NEW.status = 'closed'))
            EXECUTE FUNCTION append_unfolded()""")


def wall_postgresql() -> None:
    identity = "user_id = nullif(current_setting('app.user_id', true), '')::bigint"
    op.execute("ALTER TABLE unfolded ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE unfolded FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY own ON unfolded USING ({identity}) WITH CHECK ({identity})")
    op.execute(f"CREATE POLICY operator ON unfolded TO {OPERATOR} USING (true)")
    op.execute(f"GRANT SELECT, DELETE ON unfolded TO {OPERATOR}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON fold TO {OPERATOR}")


def append_sqlite() -> None:
    for name, event, when in (
        ("closed", "INSERT", "NEW.status = 'closed'"),
        (
            "closed_or_ended",
            "UPDATE OF status",
            "(OLD.status = 'closed') <> (NEW.status = 'closed')",
        ),
    ):
        op.execute(f"""
            CREATE TRIGGER trades_{name} AFTER {event} ON trades WHEN {when} BEGIN
                {appended()}
            END""")


def appended() -> str:
    return f"""INSERT INTO unfolded (user_id, number, effect, {", ".join(FACTS)})
            VALUES (NEW.user_id, NEW.number,
                CASE WHEN NEW.status = 'closed' THEN 1 ELSE -1 END,
                {", ".join(facts("NEW"))});"""


def facts(row: str) -> list[str]:
    postgresql = op.get_bind().dialect.name == "postgresql"
    month = (POSTGRESQL_MONTH if postgresql else SQLITE_MONTH).format(row=row)
    return [expression.format(row=row, month=month) for expression in FACTS.values()]


def fill() -> None:
    """The fold of all trades that are closed already: one scan for each dimension."""
    named = ", ".join(f"{fact} AS {name}" for name, fact in zip(FACTS, facts("t"), strict=True))
    for dimension in DIMENSIONS:
        value = "''" if dimension == "whole" else f"coalesce(cast({dimension} AS text), '')"
        op.execute(f"""
            INSERT INTO fold
            SELECT '{dimension}', {value}, mode, currency, count(*),
                count(*) FILTER (WHERE outcome = 'win'),
                count(*) FILTER (WHERE outcome = 'loss'),
                count(*) FILTER (WHERE outcome = 'breakeven'),
                sum(gross_pnl), sum(fees), sum(net_pnl)
            FROM (SELECT {named} FROM trades t WHERE t.status = 'closed') AS closed
            GROUP BY 2, 3, 4""")
