"""Binance: amounts with their coins, fees in the quote, the coin or a third one."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
from tests.importers.files import (
    cash,
    fitting,
    open_tickers,
    outcomes,
    recorded,
    refused,
    statement,
    written,
)

OWN = Path(__file__).parent / "binance.csv"
NEW = "Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n"
OLD = "Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin\n"


def test_only_this_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["binance"]
    assert fitting(written(tmp_path, "\ufeff" + OLD)) == ["binance"]


def test_a_fee_in_the_coin_lessens_the_coins_and_not_the_cash() -> None:
    """500 DOGE cost 155.155 and 499.5 arrive; they are sold for 159.84 less .15984:
    159.68016 - 155.155 = 4.52516, and nothing is left."""
    found = statement(OWN, currency="USDT")

    bought, sold = [one for one in found.executions if one.instrument.ticker == "DOGE"]
    assert (bought.quantity, bought.fee) == (Decimal("499.5"), Decimal("0.155155"))
    assert bought.cash == Decimal("-155.155")
    assert sold.cash == Decimal("159.68016")
    assert cash(found)["DOGE"] == Decimal("4.52516")
    assert list(open_tickers(found)) == ["BTC"]


def test_a_fee_in_a_third_coin_is_said_and_never_priced() -> None:
    found = statement(OWN, currency="USDT")

    assert cash(found)["BTC"] == Decimal(500)
    assert found.assumed == (
        "fees of 0.0001 BNB have no price in the file and are in no trade's P&L",
    )


def test_rows_of_another_quote_and_amounts_that_do_not_fit_are_refused() -> None:
    """500 x .31031 = 155.155."""
    found = statement(OWN, currency="USDT")

    assert refused(found) == [(4, "Pair"), (6, "Amount")]
    assert found.rejected[1].reason == (
        "quantity, price and fees come to 155.155, which is 0.10 off"
    )


def test_several_quotes_ask_for_one() -> None:
    with pytest.raises(Invalid, match=r"USDT \(3\), BTC \(1\). Say one with --currency"):
        statement(OWN)


def test_moments_are_utc_and_oldest_first() -> None:
    found = statement(OWN, currency="USDT")

    assert found.executions[0].at == datetime(2026, 3, 5, 16, 36, 56, tzinfo=UTC)
    assert found.executions[-1].at == datetime(2026, 3, 9, 12, tzinfo=UTC)
    assert (found.zone, found.currency) == ("UTC", "USDT")


def test_the_older_columns_are_read_by_known_quotes(tmp_path: Path) -> None:
    """.015 x 64,250 = 963.75; .72 of fees: -964.47. A fee in the coin: 1 - .001 BTC."""
    found = statement(
        written(
            tmp_path,
            OLD + "2024-05-10 14:32:00,BTCUSDT,BUY,64250.00,0.015,963.75,0.72,USDT\n"
            "2024-05-10 14:32:00,BTCUSDT,BUY,64250.00,1,64250,0.001,BTC\n"
            "2024-05-10 14:32:00,XXXYYY,BUY,64250.00,1,64250,0.001,BTC\n",
        )
    )

    assert [one.cash for one in found.executions] == [Decimal(-64250), Decimal("-964.47")]
    assert found.executions[0].quantity == Decimal("0.999")
    assert refused(found) == [(4, "Market")]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("2026-03-05 16:36:56,BTCUSDT,BUY,1,0.5,0.5,0", "Executed"),
        ("2026-03-05 16:36:56,ETHUSDT,BUY,1,1BTC,1USDT,0USDT", "Pair"),
        ("2026-03-05 16:36:56,BTCUSDT,HOLD,1,1BTC,1USDT,0USDT", "Side"),
        ("2026-03-05 16:36:56,BTCUSDT,BUY,NaN,1BTC,1USDT,0USDT", "Price"),
        ("2026-03-05 16:36:56,BTCUSDT,BUY,1e999,1BTC,1USDT,0USDT", "Price"),
        ("9999-03-05 16:36:56,BTCUSDT,BUY,1,1BTC,1USDT,0USDT", "Date(UTC)"),
        ("2026-03-05 16:36:56,BTCUSDT,BUY,1,1BTC,1USDT,1BTC", "Fee"),
        ("2026-03-05 16:36:56,BTCUSDT,BUY,1," + "1" * 400 + "BTC,1USDT,0USDT", "Executed"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, row: str, column: str) -> None:
    found = statement(written(tmp_path, NEW + row + "\n"))

    assert (found.executions, refused(found)) == ((), [(2, column)])


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """The bitcoin that was sold was bought before the file begins: no trade is made of it."""
    assert outcomes(await recorded(store, statement(OWN, currency="USDT"))) == [
        ("DOGE", "closed", Decimal("4.52516")),
    ]
