"""Webull: orders with spreads and partial fills; trade records checked to the cent."""

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

OWN = Path(__file__).parent / "webull.csv"
CASES = OWN.parents[3] / "shared/samples/tradetally/trading-calculation-contracts.json"
HEADER = OWN.read_text(encoding="utf-8").split("\n", 1)[0]
RECORDS = (
    '"        Monthly Statement 2026-06"\n"TRADE RECORDS "\nStocks\nCurrency: USD\n'
    "Symbol & Name,Trade Date,Settlement Date,Buy/Sell,Quantity,Traded Price,Gross Amount,"
    "Comm/Fee/Tax,VAT,Net Amount\n"
)


def test_only_this_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["webull"]
    assert fitting(written(tmp_path, RECORDS)) == ["webull"]


def test_orders_come_to_what_was_paid() -> None:
    """SPX: sold 2 x (12.97 - 11.72) = 250, bought back 2 x (.99 - .89) = 20: 230. XYZ: sold
    1.25 x 11.40 = 14.25, bought 10.527 + .25 x 11 = 13.277: .973."""
    found = statement(OWN)

    assert found.rejected == ()
    assert cash(found) == {"SPX": Decimal(230), "XYZ": Decimal("0.973"), "DUP": Decimal(-100)}
    assert open_tickers(found) == {"DUP": Decimal(20)}
    assert (found.currency, found.broker) == ("USD", "Webull")
    assert found.assumed[0] == "the export of orders has no fees; none are recorded"
    assert "expiries" in found.assumed[1]


def test_orders_come_oldest_first_in_the_zone_that_each_names() -> None:
    """10:00:01 EST is 15:00:01 UTC, 14:00:05 EDT 18:00:05."""
    found = statement(OWN)

    at = [one.at for one in found.executions]
    assert at == sorted(at)
    assert at[0] == datetime(2026, 1, 5, 15, 0, 1, tzinfo=UTC)
    assert at[2] == datetime(2026, 3, 26, 18, 0, 5, tzinfo=UTC)


def test_the_legs_of_a_spread_are_one_order_and_its_own_row_is_no_deal() -> None:
    found = statement(OWN)

    spread = [one for one in found.executions if one.instrument.ticker == "SPX"]
    assert len({one.order for one in spread[:2]}) == 1
    assert spread[0].order != spread[2].order
    assert found.ignored["spreads (their legs are read)"] == 2
    assert all(one.order is None for one in found.executions if one.instrument.ticker == "XYZ")


def test_orders_without_a_fill_are_counted_and_partly_filled_ones_read() -> None:
    found = statement(OWN)

    assert (found.ignored["orders cancelled"], found.ignored["orders rejected"]) == (1, 1)
    assert Decimal("0.25") in [one.quantity for one in found.executions]
    assert all(one.partial and one.id for one in found.executions)


def test_two_orders_that_say_the_same_are_two() -> None:
    ids = [one.id for one in statement(OWN).executions if one.instrument.ticker == "DUP"]

    assert ids == ["DUP buy 10 2026-01-05T15:00:00Z 2", "DUP buy 10 2026-01-05T15:00:00Z"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("A,XYZ,Give,Filled,1,1,1,1,DAY,{at} EDT,{at} EDT", "Side"),
        ("A,XYZ,Buy,Filled,1,1,1,=cmd|x,DAY,{at} EDT,{at} EDT", "Avg Price"),
        ("A,XYZ,Buy,Filled,NaN,1,1,1,DAY,{at} EDT,{at} EDT", "Filled"),
        ("A,XYZ,Buy,Filled,-1,1,1,1,DAY,{at} EDT,{at} EDT", "Filled"),
        ("A,XYZ,Buy,Filled,1,1,1,1e999,DAY,{at} EDT,{at} EDT", "Avg Price"),
        ("A,XYZ,Buy,Filled,1,1,1,1,DAY,{at} EDT,{at}", "Filled Time"),
        ("A,XYZ,Buy,Filled,1,1,1,1,DAY,{at} EDT,03/26/9999 14:00:00 EDT", "Filled Time"),
        ("A,<script>,Buy,Filled,1,1,1,1,DAY,{at} EDT,{at} EDT", "Symbol"),
        ("Total,,,,,,,,,,", "Symbol"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, row: str, column: str) -> None:
    row = row.format(at="03/26/2026 14:00:00")
    found = statement(written(tmp_path, f"{HEADER}\n{row}\n"))

    assert (found.executions, refused(found)) == ((), [(2, column)])


def test_trade_records_are_checked_to_the_cent(tmp_path: Path) -> None:
    """.5 x 172.12 = 86.06; with .09 and .01 of fees 86.16 is paid, in either way of writing."""
    path = written(
        tmp_path,
        RECORDS
        + "NVDA NVIDIA CORPORATION,25/06/2026,26/06/2026,BUY,0.5,172.12,86.06,-0.09,-0.01,86.16\n"
        "NVDA NVIDIA CORPORATION,26/06/2026,29/06/2026,SELL,0.5,174.12,87.06,-0.09,-0.01,86.96\n"
        "GLW CORNING INC,26/06/2026,29/06/2026,BUY,1,250.00,250.00,-0.27,-0.02,-250.29\n"
        "GLW CORNING INC,27/06/2026,29/06/2026,BUY,1,250.00,250.00,-0.27,-0.02,-250.39\n"
        "PORTFOLIO SUMMARY\nSymbol,Quantity\nGLW,2\n",
    )

    found = statement(path)

    assert cash(found) == {"NVDA": Decimal("0.80"), "GLW": Decimal("-250.29")}
    assert refused(found) == [(9, "Net Amount")]
    assert found.rejected[0].reason == (
        "quantity, price and fees come to -250.29, which is 0.10 off"
    )
    assert all(one.dated for one in found.executions)


def test_one_file_is_read_in_one_currency(tmp_path: Path) -> None:
    row = "GLW CORNING INC,26/06/2026,29/06/2026,BUY,1,250.00,250.00,-0.27,-0.02,-250.29\n"
    other = RECORDS.replace("USD", "HKD").split("\n", 2)[2]

    found = statement(written(tmp_path, RECORDS + row + other + row))

    assert (found.currency, len(found.executions)) == ("USD", 1)
    assert refused(found) == [(10, "Currency")]


@pytest.mark.skipif(not CASES.exists(), reason="the sample is not here")
def test_a_known_round_trip_gives_its_result(tmp_path: Path) -> None:
    """-250.29 + 253.71 is 3.42."""
    cases = json.loads(CASES.read_text(encoding="utf-8"))["csv_import_cases"]
    case = next(
        one for one in cases if one["id"] == "webull_international_combined_symbol_round_trip"
    )

    found = statement(written(tmp_path, case["csv"]))

    assert cash(found) == {"GLW": Decimal("3.42")}
    assert [one.price for one in found.executions] == [250, 254]


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """The spread is one trade of 230; 1.25 XYZ make .973; 20 DUP stay open."""
    assert outcomes(await recorded(store, statement(OWN))) == [
        ("DUP", "open", None),
        ("SPX", "closed", Decimal(230)),
        ("XYZ", "closed", Decimal("0.973")),
    ]
