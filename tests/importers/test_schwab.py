"""Schwab's transaction history: days newest first, amounts checked to the cent."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.importers import chosen
from store.statements.source import Source
from tests.importers.files import changed, lines, moved, of_text, recorded, results, statement

HERE = Path(__file__).parent
OWN = HERE / "schwab.csv"
SAMPLES = HERE.parents[2] / "shared" / "samples" / "schwab"
HEADER = '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'


def row(*fields: str) -> str:
    return ",".join(f'"{field}"' for field in fields) + "\n"


def test_every_kind_of_row_is_read_oldest_first() -> None:
    """New York is UTC-5: noon is 17:00, and what ends an option is at 21:00, with the shares it
    delivers. The expiry was booked on the 20th."""
    found = statement(OWN)

    assert found.rejected == ()
    assert lines(found) == [
        "2026-01-05 17:00:00 buy 1 AAPL 260116 call 300 at 0.1 fee 0.66",
        "2026-01-06 17:00:00 sell 2 F 260116 put 12 at 0.41 fee 1.32",
        "2026-01-07 17:00:00 buy 1 MSFT 260116 call 400 at 3 fee 0.66",
        "2026-01-08 17:00:00 sell 2 SPY 260130 put 680 at 5.3 fee 1.3",
        "2026-01-09 17:00:00 buy 2 SPY 260130 put 680 at 2.1 fee 1.3",
        "2026-01-16 21:00:00 sell 1 MSFT 260116 call 400 at 0 fee 0 exercised",
        "2026-01-16 21:00:00 sell 1 AAPL 260116 call 300 at 0 fee 0 expired",
        "2026-01-16 21:00:00 buy 2 F 260116 put 12 at 0 fee 0 assigned",
        "2026-01-16 21:00:00 buy 100 MSFT at 400 fee 0 delivery",
        "2026-01-16 21:00:00 buy 200 F at 12 fee 0 delivery",
        "2026-01-20 17:00:00 sell 40 MSFT at 402 fee 0.45",
        "2026-01-30 17:00:00 sell 10 SPXS at 6 fee 0.1",
        "2026-02-02 17:00:00 buy 0.1234 SCHD at 81.0373 fee 0",
        "2026-02-09 17:00:00 buy 3 BRK.B at 470 fee 0",
        "2026-02-10 17:00:00 sell 3 BRK.B at 480.1234 fee 0.02",
    ]
    assert (found.currency, found.mode, found.ignored) == (
        "USD", "live", {"pairings of options": 2},
    )  # fmt: skip
    assert {one.account for one in found.executions} == {"789"}
    assert [one.effect for one in found.executions][:5] == ["open"] * 4 + ["close"]


def test_the_cash_is_that_of_the_amounts() -> None:
    """-10.66 + 80.68 - 300.66 + 1058.70 - 421.30 + 16079.55 - 40000 - 2400 + 59.90 - 10.00
    - 1410.00 + 1440.35 = -25833.44, less than half a cent of rounded prices."""
    found = statement(OWN)

    assert sum(one.cash or 0 for one in found.executions) == Decimal("-25833.44")
    assert abs(moved(found) - Decimal("-25833.44")) < Decimal("0.005")


def test_cash_without_deals_is_reported() -> None:
    """With the deals it comes to the file's own total: -25833.44 - 492.30 = -26325.74."""
    assert [(one.kind, one.amount) for one in statement(OWN).cash] == [
        ("dividend", Decimal("10.00")),
        ("interest", Decimal("1.20")),
        ("tax", Decimal("-3.00")),
        ("fee", Decimal("-0.50")),
        ("transfer", Decimal("-500.00")),
    ]


def test_json_gives_what_csv_gives(tmp_path: Path) -> None:
    entries = [
        {
            "Date": "01/09/2026",
            "Action": "Buy to Close",
            "Symbol": "SPY 01/30/2026 680.00 P",
            "Description": "PUT",
            "Quantity": "2",
            "Price": "$2.10",
            "Fees & Comm": "$1.30",
            "Amount": "-$421.30",
            "AcctgRuleCd": "1",
        },
        {
            "Date": "01/08/2026",
            "Action": "Sell to Open",
            "Symbol": "SPY 01/30/2026 680.00 P",
            "Description": "PUT",
            "Quantity": "2",
            "Price": "$5.30",
            "Fees & Comm": "$1.30",
            "Amount": "$1,058.70",
        },
    ]
    text = json.dumps({"FromDate": "01/01/2026", "BrokerageTransactions": entries})

    assert lines(of_text(tmp_path, text, "schwab.json")) == lines(statement(OWN))[3:5]


def test_a_price_shown_rounded_is_the_one_that_the_amount_implies(tmp_path: Path) -> None:
    """(40503.61 - 1.34) / 300 = 135.00756667, shown as 135.0075: 0.015 of 300 x 0.00005, and
    half a cent, may differ. 0.03 may not. 135.01 is 135.0100, zeros left out."""
    text = HEADER + (
        row("10/09/2023", "Buy", "BAR", "", "300", "$135.0075", "$1.34", "-$40503.61")
        + row("10/09/2023", "Buy", "BAR", "", "300", "$135.0075", "$1.34", "-$40503.62")
        + row("10/09/2023", "Buy", "BAR", "", "300", "$135.01", "$1.34", "-$40504.37")
    )

    found = of_text(tmp_path, text)

    assert [one.price for one in found.executions] == [Decimal("135.00756667")]
    assert [(one.row, one.column) for one in found.rejected] == [(3, "Amount"), (4, "Amount")]


def test_a_sale_of_a_day_comes_after_the_purchase_that_it_closes(tmp_path: Path) -> None:
    """Newest first, the purchase would come last; and what no file bought is not sold short."""
    text = HEADER + (
        row("10/09/2023", "Buy", "BAR", "", "3", "$10.00", "", "-$30.00")
        + row("10/09/2023", "Sell", "BAR", "", "3", "$11.00", "", "$33.00")
        + row("10/09/2023", "Sell", "FOO", "", "3", "$11.00", "", "$33.00")
    )

    found = of_text(tmp_path, text)

    assert [(one.side, one.instrument.ticker) for one in found.executions] == [
        ("buy", "BAR"), ("sell", "BAR"), ("sell", "FOO"),
    ]  # fmt: skip
    assert [one.effect for one in found.executions] == [None, "close", "close"]


def test_deals_in_money_market_funds_and_bonds_are_counted(tmp_path: Path) -> None:
    text = HEADER + (
        row("10/09/2023", "Buy", "SWVXX", "", "100", "$1.00", "", "-$100.00")
        + row("10/09/2023", "Buy", "912797GK7", "", "1000", "$98.00", "", "-$980.00")
    )

    found = of_text(tmp_path, text)

    assert (found.executions, found.rejected) == ((), ())
    assert found.ignored == {"money market funds": 1, "bonds": 1}


def test_an_index_option_is_settled_for_the_amount_of_its_row(tmp_path: Path) -> None:
    """1250 / (2 x 100) = 6.25; without an amount nobody knows."""
    symbol = "SPXW 01/16/2026 6900.00 C"
    text = HEADER + (
        row("01/16/2026", "Exchange or Exercise", symbol, "", "-2", "", "", "")
        + row("01/16/2026", "Exchange or Exercise", symbol, "", "-2", "", "", "$1,250.00")
        + row("01/16/2026", "Assigned", symbol, "", "1", "", "", "-$625.00")
        + row("01/16/2026", "Expired", symbol, "", "1", "", "", "")
    )

    found = of_text(tmp_path, text)

    assert lines(found) == [
        "2026-01-16 21:00:00 end 1 SPX 260116 call 6900 at 0 fee 0 expired",
        "2026-01-16 21:00:00 buy 1 SPX 260116 call 6900 at 6.25 fee 0 settled",
        "2026-01-16 21:00:00 sell 2 SPX 260116 call 6900 at 6.25 fee 0 settled",
    ]
    assert [(one.row, one.column) for one in found.rejected] == [(2, "Amount")]


def test_shares_at_another_price_than_the_strike_are_no_delivery(tmp_path: Path) -> None:
    path = changed(
        OWN, tmp_path, ('"200","$12.00","","-$2,400.00"', '"200","$11.90","","-$2,380.00"')
    )

    assert [one.instrument.ticker for one in statement(path).executions if one.delivery] == ["MSFT"]


@pytest.mark.parametrize(
    ("old", "new", "column", "reason"),
    [
        ("$1,058.70", "$1,058.20", "Amount", "which is 0.50 off"),
        ('"2","$5.30"', '"0","$5.30"', "Quantity", "other than 0"),
        ('"2","$5.30"', '"1e999","$5.30"', "Quantity", "a number"),
        ('"2","$5.30"', '"2","--"', "Price", "a number is needed"),
        ('"01/08/2026"', '"01/08/9999"', "Date", "a date such as"),
        ('"01/08/2026"', '"2026-01-08"', "Date", "a date such as"),
        ('"Sell to Open","SPY 01/30/2026 680.00 P"', '"Sell to Open","SPY 680 P"', "Symbol",
         "AAPL 01/16/2026 150.00 C"),
        ('"Sell to Open","SPY 01/30/2026 680.00 P"', '"Sell","SPY 01/30/2026 680.00 P"', "Action",
         "opened or closed"),
        ('"Sell Short","SPXS"', '"Stock Split","SPXS"', "Action", "by hand"),
        ('"Sell Short","SPXS"', '"Sell Short","=cmd|x"', "Symbol", "a ticker such as"),
        ('"-1","","","",\n"02/04', '"-2","","","",\n"02/04', "Action", "by hand"),
        ('EXP 01/16/26","-1","","","",\n"01/16/2026","Exchange',
         'EXP 01/16/26","-1","","","$55.00",\n"01/16/2026","Exchange', "Amount", "moves no cash"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_understood_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, column: str, reason: str
) -> None:
    found = statement(changed(OWN, tmp_path, (old, new)))

    assert {one.column for one in found.rejected} == {column}
    assert reason in found.rejected[0].reason


def test_a_history_is_recognised_as_nothing_else() -> None:
    assert chosen(Source(OWN), None).name == "schwab"


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
@pytest.mark.parametrize(
    ("name", "executions", "cash", "amount"),
    [
        # -925.1 + 2965 - 2885 + 3219 - 120 - 2905 + 1395 - 1355 + 2595 - 2506 = -522.1
        ("schwab_transactions.csv", 10, 3, "-522.1"),
        # -40503.61 + 42103.66 - 45061.70 + 49998.85 - 208166.93 + 221456.59 = 19826.86
        ("transactions.csv", 6, 1, "19826.86"),
    ],
)
def test_real_histories_of_two_generations_move_what_they_say(
    name: str, executions: int, cash: int, amount: str
) -> None:
    found = statement(SAMPLES / name)

    assert found.rejected == ()
    assert (len(found.executions), len(found.cash)) == (executions, cash)
    assert sum(one.cash or 0 for one in found.executions) == Decimal(amount)
    assert abs(moved(found) - Decimal(amount)) < Decimal("0.001")
    assert [one.at for one in found.executions] == sorted(one.at for one in found.executions)


async def test_deals_become_trades_from_flat_to_flat(store: Store) -> None:
    """AAPL expired at -10 - 0.66; SPY 1058.70 - 421.30; BRK.B 3 x 10.1234 - 0.02. The assigned
    put and the exercised call live on in their shares."""
    assert results(await recorded(store, statement(OWN))) == [
        "AAPL closed -10.66",
        "F open",
        "MSFT open",
        "SPY closed 637.4",
        "SPXS open",
        "SCHD open",
        "BRK.B closed 30.3502",
    ]


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
async def test_a_real_history_makes_four_round_trips(store: Store) -> None:
    """100 x 1 - 11; 50 x 1 - 10; 100 x 2 + 4 x 1 - 10; 90 x 1 - 10; 30.5 are held."""
    assert results(await recorded(store, statement(SAMPLES / "schwab_transactions.csv"))) == [
        "VUAG closed 89",
        "VUAG closed 40",
        "VUAG closed 194",
        "VUAG closed 80",
        "VUAG open",
    ]


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
async def test_a_real_history_with_rounded_prices_earns_its_cash(store: Store) -> None:
    """42103.66 - 40503.61, 49998.85 - 45061.70, 221456.59 - 208166.93."""
    trades = results(await recorded(store, statement(SAMPLES / "transactions.csv")))

    assert [f"{Decimal(one.split()[-1]):.2f}" for one in trades] == [
        "1600.05",
        "4937.15",
        "13289.66",
    ]
