"""Alpaca: fills, options that ended, and fees paid in coins."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
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

OWN = Path(__file__).parent / "alpaca.json"
FILL = {
    "id": "20260302150100000::1", "activity_type": "FILL", "side": "buy", "symbol": "AAPL",
    "transaction_time": "2026-03-02T15:01:00.5Z", "price": "10", "qty": "1", "cum_qty": "1",
}  # fmt: skip


def activities(folder: Path, *found: object) -> Path:
    return written(folder, json.dumps(found), "activities.json")


def test_only_this_format_fits() -> None:
    assert fitting(OWN) == ["alpaca"]


def test_pages_come_to_their_cash_and_a_row_on_two_pages_counts_once() -> None:
    """QS: -55. AAPL: 2 puts sold at 3.10 bring 620, 200 shares cost 30,000. ETH: -2000 bought,
    .9975 x 2100 = 2094.75 sold; .0025 ETH went as a fee without cash: 94.75."""
    found = statement(OWN)

    assert cash(found) == {
        "QS": Decimal(-55),
        "AAPL": Decimal(620 - 30_000),
        "ETH": Decimal("94.75"),
    }
    assert open_tickers(found) == {"AAPL": Decimal(200)}
    assert found.ignored == {"activities that are on two pages": 1}


def test_two_fills_of_one_moment_stand_in_the_order_in_which_they_were_filled() -> None:
    """`cum_qty` counts the execution too."""
    puts = [one for one in statement(OWN).executions if one.order == "o-put"]

    assert [one.id for one in puts] == ["20260302150000000::aapl-1", "20260302150000000::aapl-2"]
    assert [one.side for one in puts] == ["sell", "sell"]
    assert puts[0].at == datetime(2026, 3, 2, 15, 0, 0, 500_000, tzinfo=UTC)


def test_an_assignment_ends_the_option_and_delivers_the_shares_at_the_strike() -> None:
    ends = [one for one in statement(OWN).executions if one.dated and one.kind != "trade"]
    shares = next(one for one in statement(OWN).executions if one.delivery)

    assert [(one.kind, one.side, one.quantity, one.price) for one in ends] == [
        ("assigned", "buy", Decimal(2), Decimal(0)),
        ("expired", "sell", Decimal(1), Decimal(0)),
    ]
    assert (shares.side, shares.quantity) == ("buy", Decimal(200))
    assert (shares.price, shares.cash) == (Decimal(150), Decimal(-30_000))
    assert shares.id != ends[0].id


def test_other_money_is_cash_and_a_split_is_refused() -> None:
    found = statement(OWN)

    assert [(one.kind, one.amount) for one in found.cash] == [
        ("fee", Decimal("-0.17")),
        ("dividend", Decimal("1.12")),
        ("deposit", Decimal(10_000)),
    ]
    assert refused(found) == [(13, "activity_type")]


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"qty": "0"}, "qty"),
        ({"qty": "2"}, "cum_qty"),
        ({"price": "NaN"}, "price"),
        ({"price": "1e999"}, "price"),
        ({"side": "hold"}, "side"),
        ({"symbol": "BTC/USDT"}, "symbol"),
        ({"symbol": "<b>"}, "symbol"),
        ({"transaction_time": "2026-03-02"}, "transaction_time"),
        ({"transaction_time": "9999-12-31T23:59:59Z"}, "transaction_time"),
        ({"transaction_time": "2026-13-02T15:01:00Z"}, "transaction_time"),
        ({"activity_type": "MA"}, "activity_type"),
    ],
)
def test_what_is_not_understood_is_refused(
    tmp_path: Path, changed: dict[str, str], column: str
) -> None:
    found = statement(activities(tmp_path, {**FILL, **changed}))

    assert (found.executions, refused(found)) == ((), [(1, column)])


def test_shares_at_a_price_that_is_not_their_cash_are_refused(tmp_path: Path) -> None:
    """The documentation's own example: 200 shares for 30,000 at a strike of 150, price 90."""
    wrong = {"id": "1", "activity_type": "OPTRD", "date": "2023-07-21", "net_amount": "-30000",
             "symbol": "AAPL", "qty": "200", "price": "90"}  # fmt: skip

    found = statement(activities(tmp_path, wrong))

    assert refused(found) == [(1, "net_amount")]


def test_a_coin_is_known_by_its_older_name_too(tmp_path: Path) -> None:
    found = statement(activities(tmp_path, {**FILL, "symbol": "BTCUSD"}))

    assert found.executions[0].instrument.ticker == "BTC"
    assert found.executions[0].instrument.symbol == "BTC/USD"


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """The assigned puts and the shares they delivered are one trade, open while the shares are
    held."""
    assert outcomes(await recorded(store, statement(OWN, mode="paper"))) == [
        ("AAPL", "open", None),
        ("ETH", "closed", Decimal("94.75")),
        ("QS", "closed", Decimal(-55)),
    ]
