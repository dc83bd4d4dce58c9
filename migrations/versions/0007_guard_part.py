"""No comment in a guard: the lock on parts of a trade stands without one.

The guards that stand are compared with those that are declared whatever their white space, so
a line break less would let a comment swallow the lock that follows it, unseen.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

COMMENT = """
            -- FOR SHARE: a trade that is just being closed is waited for."""


def upgrade() -> None:
    replace("")


def downgrade() -> None:
    replace(COMMENT)


def replace(comment: str) -> None:
    """The function of 0001. Its owner, its grants and its triggers stay; SQLite has none."""
    if op.get_bind().dialect.name == "sqlite":
        return
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    # FOR SHARE: a trade that is just being closed is waited for.
    op.execute(f"""
        CREATE OR REPLACE FUNCTION guard_part() RETURNS trigger LANGUAGE plpgsql
        SET search_path = {schema}, pg_temp AS $$
        DECLARE
            found text;
        BEGIN{comment}
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
