"""How values are kept: exact scaled integers, aware UTC moments, market days.

Prices and quantities are 64-bit integers in units of 1e-8, money in units of 1e-6, so sums
are exact on SQLite and PostgreSQL alike. Moments are timestamptz on PostgreSQL and
fixed-width UTC text on SQLite, which sorts as it reads.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from sqlalchemy import (
    INTEGER,
    TEXT,
    TIMESTAMP,
    BigInteger,
    Date,
    Dialect,
    Integer,
    SmallInteger,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

LARGEST = 2**63 - 1
MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
MOMENT_LENGTH = len("2026-01-31T15:30:00.000000Z")

Count = BigInteger().with_variant(Integer(), "sqlite")
Small = SmallInteger().with_variant(Integer(), "sqlite")
Words = Text()


ROOMY = Context(prec=100, rounding=ROUND_HALF_EVEN)
UNITS = tuple(Decimal(1).scaleb(-digits) for digits in range(21))


def rounded(value: Decimal, digits: int) -> Decimal:
    """`value` rounded half-even to `digits` decimals (at most 20), whatever its size."""
    return value.quantize(UNITS[digits], context=ROOMY)


class Scaled(TypeDecorator[Decimal]):
    """An exact decimal kept as a 64-bit integer of `digits` decimals.

    Refuses floats, more decimals than kept, and values beyond 64 bits, so that nothing is
    rounded on the way into the database.
    """

    impl = BigInteger
    cache_ok = True

    def __init__(self, digits: int) -> None:
        super().__init__()
        self.digits = digits

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kept: TypeEngine[Any] = INTEGER() if dialect.name == "sqlite" else BigInteger()
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (Decimal, int)):
            raise TypeError(f"An exact decimal is needed, not {type(value).__name__} {value!r}.")
        scaled = Decimal(value).scaleb(self.digits)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{value} has more than {self.digits} decimals.")
        if abs(scaled) > LARGEST:
            raise ValueError(f"{value} is beyond {Decimal(LARGEST).scaleb(-self.digits)}.")
        return int(scaled)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        # Sums come back as NUMERIC from PostgreSQL and as integers from SQLite.
        return None if value is None else Decimal(value).scaleb(-self.digits)


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept and returned in UTC; a naive one is refused."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kept: TypeEngine[Any] = TEXT() if dialect.name == "sqlite" else TIMESTAMP(timezone=True)
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The moment {value.isoformat()} needs an offset from UTC.")
        moment = value.astimezone(UTC)
        return moment.strftime(MOMENT_FORMAT) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value if value is None else value.astimezone(UTC)
        if len(value) != MOMENT_LENGTH or not value.endswith("Z"):
            raise ValueError(f"{value!r} is no moment of this store")
        return datetime.fromisoformat(value)


class Day(TypeDecorator[date]):
    """A calendar day in the market's own zone."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kept: TypeEngine[Any] = TEXT() if dialect.name == "sqlite" else Date()
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.isoformat()

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        return date.fromisoformat(value) if isinstance(value, str) else value


PRICE_DIGITS, MONEY_DIGITS = 8, 6
Number = Scaled(PRICE_DIGITS)
Money = Scaled(MONEY_DIGITS)
