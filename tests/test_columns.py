"""How values are kept: exact on both databases, refused where they would not be."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect, func, select
from sqlalchemy.dialects import postgresql, sqlite

from store.columns import LARGEST, Day, Moment, Money, Number, Scaled
from store.database import Store
from store.models import Trade
from tests.ledger import record

SQLITE, POSTGRESQL = sqlite.dialect(), postgresql.dialect()  # type: ignore[no-untyped-call]
DIALECTS = pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])


@DIALECTS
@pytest.mark.parametrize("value", [1.5, float("nan"), True, "1.5"])
def test_only_exact_decimals_are_kept(dialect: Dialect, value: Any) -> None:
    with pytest.raises(TypeError, match="exact decimal"):
        Number.process_bind_param(value, dialect)


@DIALECTS
@pytest.mark.parametrize("kind", [Number, Money])
def test_too_many_decimals_are_refused_not_rounded(dialect: Dialect, kind: Scaled) -> None:
    with pytest.raises(ValueError, match="decimals"):
        kind.process_bind_param(Decimal(1).scaleb(-kind.digits - 1), dialect)


@DIALECTS
@pytest.mark.parametrize("sign", [1, -1])
def test_what_64_bits_cannot_hold_is_refused(dialect: Dialect, sign: int) -> None:
    assert Number.process_bind_param(sign * Decimal(LARGEST).scaleb(-8), dialect) == sign * LARGEST
    with pytest.raises(ValueError, match="beyond"):
        Number.process_bind_param(sign * Decimal(LARGEST + 1).scaleb(-8), dialect)


@given(st.integers(-LARGEST, LARGEST))
def test_a_kept_number_comes_back_as_it_was(scaled: int) -> None:
    value = Decimal(scaled).scaleb(-6)

    assert Money.process_result_value(Money.process_bind_param(value, SQLITE), SQLITE) == value


@DIALECTS
def test_a_naive_moment_is_refused(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="needs an offset"):
        Moment().process_bind_param(datetime(2026, 1, 5), dialect)  # noqa: DTZ001


def test_moments_in_sqlite_are_text_that_sorts_as_it_reads() -> None:
    tokyo = timezone(timedelta(hours=9))
    kept = [
        Moment().process_bind_param(at, SQLITE)
        for at in (
            datetime(2026, 1, 5, 8, 59, tzinfo=tokyo),
            datetime(2026, 1, 5, tzinfo=UTC),
            datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC),
        )
    ]

    assert kept == sorted(kept)
    assert kept[0] == "2026-01-04T23:59:00.000000Z"


@DIALECTS
def test_a_day_is_kept_as_it_is(dialect: Dialect) -> None:
    day = date(2026, 3, 8)

    assert Day().process_result_value(Day().process_bind_param(day, dialect), dialect) == day


async def test_sums_are_exact_on_both_databases(store: Store) -> None:
    """0.1 + 0.2 - 0.3 is nothing; as floats it would be 5.6e-17."""
    await record(store, "2026-01-05 A 0.1 \n 2026-01-05 A 0.2 \n 2026-01-05 A -0.3")

    async with store.read() as session:
        assert await session.scalar(select(func.sum(Trade.net_pnl))) == 0
        assert await session.scalar(select(func.sum(Trade.net_pnl)).where(Trade.net_pnl > 0)) == (
            Decimal("0.3")
        )


async def test_a_moment_comes_back_in_utc(store: Store) -> None:
    await record(store, "2026-01-05T09:00:00.000001+09:00 A +1")

    async with store.read() as session:
        closed_at = await session.scalar(select(Trade.closed_at))

    assert closed_at == datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC)
    assert closed_at.utcoffset() == timedelta(0)
