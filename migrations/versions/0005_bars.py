"""Bars are kept by time on PostgreSQL: a partition for each year, so that old ones can go.

Where the `timescaledb` extension stands in the database, `bars` is a hypertable instead, and
chunks of a year ago and older are compressed if the extension's licence includes that. Only
market data may depend on the extension: on tables with row-level security it refuses both
compression and continuous aggregates.

All years are made here, for whoever loads bars owns nothing and could make none; while they are
empty they cost 1.6 MB in all. What lies outside of them is in `bars_other`. A partition is
granted to nobody: it is reached through `bars`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

APP, OPERATOR = "trade_history_app", "trade_history_operator"
YEARS = range(2000, 2040)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    if (timescale := timescale_schema()) is None:
        rebuild("PARTITION BY RANGE (opens_at)", partitions())
    else:
        hypertable(timescale)
    op.execute(f"GRANT DELETE ON bars TO {OPERATOR}")  # Of the old ones, by a command.


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        rebuild()


def partitions() -> list[str]:
    years = [
        f"CREATE TABLE bars_{year} PARTITION OF bars_rebuilt"
        f" FOR VALUES FROM ('{year}-01-01 00:00Z') TO ('{year + 1}-01-01 00:00Z')"
        for year in YEARS
    ]
    return [*years, "CREATE TABLE bars_other PARTITION OF bars_rebuilt DEFAULT"]


def rebuild(kept: str = "", parts: list[str] | None = None) -> None:
    """`bars` anew, `kept` as it says, with the rows, checks, key and grants that it had."""
    op.execute(f"CREATE TABLE bars_rebuilt (LIKE bars INCLUDING CONSTRAINTS) {kept}")
    for statement in parts or ():
        op.execute(statement)
    op.execute("INSERT INTO bars_rebuilt SELECT * FROM bars")
    op.execute("DROP TABLE bars")
    op.execute("ALTER TABLE bars_rebuilt RENAME TO bars")
    op.execute("ALTER TABLE bars ADD CONSTRAINT pk_bars PRIMARY KEY (ticker, period, opens_at)")
    op.execute(f"GRANT SELECT ON bars TO {APP}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON bars TO {OPERATOR}")


def timescale_schema() -> str | None:
    """The schema of the extension's functions; None where it is not installed."""
    found: str | None = op.get_bind().scalar(
        sa.text(
            "SELECT quote_ident(nspname) FROM pg_extension e"
            " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'timescaledb'"
        )
    )
    return found


def hypertable(schema: str) -> None:
    op.execute(
        f"SELECT {schema}.create_hypertable('bars', 'opens_at', migrate_data => true,"
        " chunk_time_interval => INTERVAL '1 year', create_default_indexes => false)"
    )
    licence = op.get_bind().scalar(sa.text("SELECT current_setting('timescaledb.license', true)"))
    if licence != "timescale":
        return  # The Apache edition, which providers have, refuses compression.
    op.execute(
        "ALTER TABLE bars SET (timescaledb.compress,"
        " timescaledb.compress_segmentby = 'ticker, period',"
        " timescaledb.compress_orderby = 'opens_at')"
    )
    op.execute(f"SELECT {schema}.add_compression_policy('bars', INTERVAL '1 year')")
