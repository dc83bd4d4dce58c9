"""IBKR's transaction history: days, amounts in the base currency, prices in another."""

from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.importers import chosen
from store.statements.source import Source
from tests.importers.files import changed, lines, moved, of_text, recorded, results, statement

HERE = Path(__file__).parent
OWN = HERE / "ibkr_transactions.csv"
SAMPLE = HERE.parents[2] / "shared" / "samples" / "ibkr" / "transaction_history.csv"
HEADER = (
    "Statement,Header,Field Name,Field Value\n"
    "Summary,Header,Field Name,Field Value\n"
    "Summary,Data,Base Currency,USD\n"
    "Transaction History,Header,Date,Account,Description,Transaction Type,Symbol,Quantity,Price,"
    "Gross Amount ,Commission,Net Amount\n"
)


def row(text: str) -> str:
    return f"Transaction History,Data,{text}\n"


def test_rows_are_read_oldest_first_with_fees_in_the_currency_of_the_price() -> None:
    """At 1.4 CAD to the dollar 1.40 CAD is 1.00, 2.80 is 2.00, a rebate of 0.70 is -0.50 and
    0.868 is 0.62. Days are at noon in New York, what ends an option is at 16:00 (UTC-5 until
    8 March, UTC-4 then)."""
    found = statement(OWN)

    assert found.rejected == ()
    assert lines(found) == [
        "2026-03-02 17:00:00 buy 10 ZZZ at 10 fee 1",
        "2026-03-02 17:00:00 sell 10 ZZZ at 11 fee 1",
        "2026-03-04 17:00:00 sell 1 ZZZ 260320 put 9 at 0.3 fee 1",
        "2026-03-05 17:00:00 sell 2 QQQ 260320 put 500 at 1.5 fee 2",
        "2026-03-06 17:00:00 buy 2 QQQ 260320 put 500 at 0.5 fee -0.5",
        "2026-03-12 16:00:00 buy 1 MES at 6900.25 fee 0.62",
        "2026-03-12 16:00:00 sell 1 MES at 6904.75 fee 0.62",
        "2026-03-20 20:00:00 buy 1 ZZZ 260320 put 9 at 0 fee 0 assigned",
        "2026-03-20 20:00:00 buy 100 ZZZ at 9 fee 0 delivery",
    ]
    assert (found.currency, found.mode) == ("USD", "live")
    assert all(one.dated for one in found.executions)


def test_the_cash_is_that_of_the_amounts_at_their_rate() -> None:
    """ZZZ 8; its put 29; QQQ 298 - 99.5 = 198.5; MES 22.5 - 1.24 = 21.26; shares -900."""
    expected = Decimal(8) + 29 + Decimal("198.5") + Decimal("21.26") - 900

    assert moved(statement(OWN)) == expected


def test_what_is_no_deal_is_counted() -> None:
    assert statement(OWN).ignored == {
        "daily settlements of futures": 1,
        "foreign exchange": 1,
        "currency translations": 1,
        "cash rows in other currencies": 1,
    }


def test_an_assigned_option_may_be_named_in_the_description_only(tmp_path: Path) -> None:
    """Its commission is booked as its gross, too."""
    text = HEADER + row(
        "2026-01-16,U1,Buy 1 WHC 16JAN26 7.25 P (Assignment),Assignment,WHCTR9,1.0,-,-0.17,"
        "-0.17,-0.17"
    )

    assert lines(of_text(tmp_path, text)) == [
        "2026-01-16 21:00:00 buy 1 WHC 260116 put 7.25 at 0 fee 0.17 assigned"
    ]


def test_a_future_in_the_base_currency_has_the_multiplier_of_its_notional(tmp_path: Path) -> None:
    """6900.25 x 5 = 34501.25."""
    text = HEADER + row("2026-01-16,U1,MES,Buy,MESH6,1.0,6900.25,-34501.25(1),-0.62,-0.62")

    assert of_text(tmp_path, text).executions[0].instrument.multiplier == 5


def test_a_file_that_is_oldest_first_is_not_turned_round(tmp_path: Path) -> None:
    text = HEADER + (
        row("2026-01-05,U1,A CO,Buy,A,1,10,-10,-1,-11")
        + row("2026-01-06,U1,A CO,Sell,A,-1,12,12,-1,11")
        + row("2026-01-06,U1,A CO,Buy,A,1,11,-11,-1,-12")
    )

    assert [one.price for one in of_text(tmp_path, text).executions] == [10, 12, 11]


@pytest.mark.parametrize(
    ("old", "new", "column", "reason"),
    [
        ("11.0,USD,154.0", "11.0,USD,155.0", "Gross Amount", "which is 1.00 off"),
        ("Sell,ZZZ,-10.0", "Sell,ZZZ,10.0", "Quantity", "contradicts Sell"),
        ("Sell,ZZZ,-10.0", "Sell,ZZZ,0", "Quantity", "other than 0"),
        ("Sell,ZZZ,-10.0", "Sell,ZZZ,NaN", "Quantity", "a number"),
        ("Sell,ZZZ,-10.0", "Sell,<b>Z</b>,-10.0", "Symbol", "a symbol such as"),
        ("Deposit,-,-,", "Transfer,ZZZ,7,", "Transaction Type", "by hand"),
        ("2026-03-01,U***54321,Elec", "9999-03-01,U***54321,Elec", "", ""),
        ("2026-03-06,", "03/06/2026,", "Date", "a date such as 2026-01-31"),
        ("30.632,-,1.4,-,5.0", "30.632,-,1.4,-,-", "Multiplier", "a future's multiplier"),
    ],
)
def test_a_row_that_is_not_understood_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, column: str, reason: str
) -> None:
    found = statement(changed(OWN, tmp_path, (old, new)))

    if not column:  # A date is of no account where money moved without a deal.
        assert found.rejected == ()
        return
    (refused,) = found.rejected
    assert refused.column == column
    assert reason in refused.reason


def test_a_history_is_recognised_as_nothing_else() -> None:
    assert chosen(Source(OWN), None).name == "ibkr_transactions"


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample is not here")
def test_a_real_history_gives_its_round_trip_and_cash() -> None:
    """4 bought at 1000 and 2 sold at 1001 with 3.00 each; the proceeds are 2002.00."""
    found = statement(SAMPLE)

    assert found.rejected == ()
    assert (found.currency, found.mode) == ("GBP", "live")
    assert lines(found) == [
        "2025-03-15 16:00:00 buy 4 CNX1 at 1000 fee 3",
        "2025-08-15 16:00:00 sell 2 CNX1 at 1001 fee 3",
    ]
    # Its final balance: 3027.40, which counts the translation of 0.55 and the forex component.
    assert moved(found) + sum(one.amount for one in found.cash) == Decimal("3026.85")


async def test_deals_become_trades_from_flat_to_flat(store: Store) -> None:
    """ZZZ 10 x 1 - 2; its assigned put lives on in its shares; QQQ 200 - 2 + 0.5;
    MES 22.5 - 1.24."""
    assert results(await recorded(store, statement(OWN))) == [
        "ZZZ closed 8",
        "ZZZ open",
        "QQQ closed 198.5",
        "MES closed 21.26",
    ]


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample is not here")
async def test_a_real_history_leaves_its_rest_open(store: Store) -> None:
    assert results(await recorded(store, statement(SAMPLE))) == ["CNX1 open"]
