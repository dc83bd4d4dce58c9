"""Fidelity's history: days only, newest first, several accounts, prices shown rounded."""

from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.importing import import_file
from tests.importers.files import (
    HERE,
    changed_statement,
    moved,
    of_text,
    recorded,
    refusals,
    sample_case,
    shown,
    stated,
    statement,
    structured,
)

FILE = "fidelity.csv"
OLD = (
    "\n\nBrokerage\n\nRun Date,Account,Action,Symbol,Security Description,Security Type,Quantity,"
    "Price ($),Commission ($),Fees ($),Accrued Interest ($),Amount ($),Settlement Date\n"
)
WIDE = (
    "Run Date,Account,Account Number,Action,Symbol,Description,Type,Exchange Quantity,"
    "Exchange Currency,Quantity,Currency,Price,Exchange Rate,Commission,Fees,Accrued Interest,"
    "Amount,Settlement Date\n"
)


def test_every_row_is_read_oldest_first() -> None:
    """Noon in New York is 17:00 UTC in winter and 16:00 from 8 March on; what ends an option
    is at 16:00 there, 20:00 UTC. The cancelled INTC trade of 4 March is gone, its correction
    of 6 March happened then. SMH brought 7,912.20 + 0.30 of fees: 79.125 each, not 79.13."""
    found = statement(HERE / FILE)

    assert [shown(one) for one in found.executions] == [
        "03-02 17:00:00 AAPL 2026-03-20 245 put sell 1 @ 3.2 fee 0.69 open",
        "03-02 17:00:00 NVDA 2026-03-20 200 call buy 2 @ 1.5 fee 1.35 open",
        "03-03 17:00:00 INTC 2026-03-20 23 call sell 1 @ 0.45 fee 0.68 open",
        "03-04 17:00:00 INTC 2026-03-20 23 call buy 1 @ 0.11 fee 0.03 close",
        "03-10 16:00:00 SMH buy 100 @ 78 fee 0",
        "03-13 16:00:00 SMH sell 100 @ 79.125 fee 0.3 close",
        "03-20 20:00:00 NVDA 2026-03-20 200 call sell 2 @ 0 fee 0 expired",
        "03-20 20:00:00 AAPL 2026-03-20 245 put buy 1 @ 0 fee 0 assigned",
        "03-20 20:00:00 AAPL buy 100 @ 245 fee 0 delivered",
        "03-24 16:00:00 AAPL sell 100 @ 250.15 fee 0.7 close",
    ]
    assert all(one.dated for one in found.executions)
    assert (found.format, found.mode, found.currency) == ("fidelity", None, "USD")


def test_the_money_is_what_the_amounts_say() -> None:
    """AAPL 319.31 - 24,500 + 25,014.30; NVDA -301.35; INTC 44.32 - 11.03; SMH -7,800 +
    7,912.20: 833.61 - 301.35 + 33.29 + 112.20."""
    found = statement(HERE / FILE)

    assert moved(found) == stated(found) == Decimal("677.75")
    assert [(one.kind, one.amount) for one in found.cash] == [
        ("dividend", Decimal("12.5")),
        ("deposit", Decimal(10000)),
    ]


def test_each_account_is_named() -> None:
    found = statement(HERE / FILE)

    accounts = {
        one.account: {
            each.instrument.ticker for each in found.executions if each.account == one.account
        }
        for one in found.executions
    }
    assert accounts == {"Z10000001": {"AAPL", "NVDA", "INTC"}, "250000002": {"SMH"}}  # fmt: skip


def test_what_is_no_trade_is_counted_and_shares_moved_without_a_deal_are_refused() -> None:
    found = statement(HERE / FILE)

    assert found.ignored == {"money market funds": 1, "bonds": 1, "cancelled trades": 2}
    assert refusals(found) == [
        "11 Action: shares moved without a deal; record what they cost or brought by hand"
    ]


def test_the_published_round_trip_gives_its_prices(tmp_path: Path) -> None:
    """Oldest first. 2 bought for 393.25, which is 1.96 and fees of 1.33 but for 8 cents: the
    price was rounded, by less than 0.005; sold for 498.00 - 1.35 = 496.65."""
    text = sample_case("fidelity_account_history_option_round_trip")

    found = of_text(tmp_path, text)

    bought, sold = found.executions

    assert shown(sold) == "07-07 16:00:00 NVDA 2026-07-10 195 put sell 2 @ 2.49 fee 1.35 close"
    assert (bought.quantity, round(bought.price, 2)) == (Decimal(2), Decimal("1.96"))
    assert (bought.account, bought.side, bought.effect) == ("245259961", "buy", "open")
    assert moved(found) == Decimal("496.65") - Decimal("393.25")


def test_an_export_of_2023_has_its_account_behind_the_name(tmp_path: Path) -> None:
    text = OLD + (
        ' 06/27/2023,"Individual" X91000000," YOU SOLD TOPGOLF CORP COM (MODG) (Cash)", MODG,'
        '" TOPGOLF CORP COM",Cash,-29,19.7,,0.01,,571.29,06/29/2023\n'
        ' 05/26/2023,"Individual" X91000000," YOU BOUGHT TOPGOLF CORP COM (MODG) (Cash)", MODG,'
        '" TOPGOLF CORP COM",Cash,29,17.2,,,,-498.8,05/31/2023\n'
        "\n\nDate downloaded 07/25/2023 9:41 am"
    )

    found = of_text(tmp_path, text)

    assert [shown(one) for one in found.executions] == [
        "05-26 16:00:00 MODG buy 29 @ 17.2 fee 0",
        "06-27 16:00:00 MODG sell 29 @ 19.7 fee 0.01 close",
    ]
    assert {one.account for one in found.executions} == {"X91000000"}


def test_columns_whose_names_are_shifted_are_read_by_what_they_hold(tmp_path: Path) -> None:
    """Quantity holds USD, Currency the price, Price the quantity."""
    text = WIDE + (
        '12/20/2021,INDIVIDUAL,X35000000,"EXPIRED CALL (PBI) PITNEY BOWES INC COMDEC 17 21 $9 as'
        ' of Dec-17-2021 CALL (PBI) PITNEY BOWES INC COMDEC 17 21 $9 (100 SHS) (Cash)",'
        " -PBI211217C9,CALL (PBI) (100 SHS),Cash,0,,USD,,5,0,,,,0.00,\n"
        "12/01/2021,INDIVIDUAL,X35000000,YOU SOLD OPENING TRANSACTION CALL (PBI), -PBI211217C9,"
        "CALL (PBI) (100 SHS),Cash,0,,USD,0.2,-5,0,3.25,0.1,,96.65,12/02/2021\n"
    )

    assert [shown(one) for one in of_text(tmp_path, text).executions] == [
        "12-01 17:00:00 PBI 2021-12-17 9 call sell 5 @ 0.2 fee 3.35 open",
        "12-17 21:00:00 PBI 2021-12-17 9 call buy 5 @ 0 fee 0 expired",
    ]


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (("-7800,5000.00", "-7900,5000.00"),
         "13 Amount: quantity, price and fees come to -7800.00, which is 100.00 off"),
        (("Cash,78,100,,,,-7800", "Cash,78,-100,,,,-7800"),
         "13 Quantity: its sign is not that of the action"),
        (("03/10/2026", "03/10/9999"), "13 Run Date: a date such as 01/31/2026 is needed"),
        ((",,11.12,5000.00", ",,11.13,5000.00"),
         "15 Action: the trade that it cancels is not in this file"),
        (("APPLE INC MAR 20 26 $245 (100 SHS)\",Margin,3.2", "APPLE $245 (33 SHS)\",Margin,3.2"),
         "19 Description: only options on 100 shares can be recorded"),
        ((" -AAPL260320P245,\"PUT (AAPL) APPLE INC MAR 20 26 $245 (100 SHS)\",Margin,3.2",
          " -AAPL1260320P245,\"PUT (AAPL)\",Margin,3.2"),
         "19 Symbol: an adjusted option delivers something else than 100 shares; record it by"
         " hand"),
        (("Margin,1.5,2,1.3,0.05,,-301.35", "Margin,1.5,2,1.3,0.05,,"),
         "18 Amount: a price and an amount needed"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_with_its_row(
    tmp_path: Path, edit: tuple[str, str], refusal: str
) -> None:
    assert refusal in refusals(changed_statement(tmp_path, FILE, edit))


def test_amounts_in_another_currency_are_refused(tmp_path: Path) -> None:
    text = WIDE + (
        "12/01/2021,INDIVIDUAL,X35000000,YOU BOUGHT SHELL PLC (SHEL),SHEL,SHELL PLC,Cash,0,,"
        "10,GBP,25,1.3,,,,-250,12/02/2021\n"
    )

    assert refusals(of_text(tmp_path, text)) == ["2 Currency: only amounts in USD can be recorded"]


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """AAPL 319.31 - 24,500 + 25,014.30, the put and its shares being one trade; NVDA -301.35;
    INTC 44.32 - 11.03; SMH -7,800 + 7,912.20."""
    assert structured(await recorded(store, statement(HERE / FILE))) == [
        "AAPL single closed 833.61",
        "INTC single closed 33.29",
        "NVDA single closed -301.35",
        "SMH single closed 112.2",
    ]


async def test_a_day_that_lists_sales_before_purchases_is_put_in_order(
    store: Store, tmp_path: Path
) -> None:
    """From the end of the file, one call is sold before it is bought, for 290.98 and 275.02; the
    other is sold for 439.98 and bought back for 471.02. The shares of XLE were not bought in
    this file, so they are not sold short."""
    text = (
        "Run Date,Action,Symbol,Description,Type,Price ($),Quantity,Commission ($),Fees ($),"
        "Accrued Interest ($),Amount ($),Cash Balance ($),Settlement Date\n"
    )
    for action, symbol, price, quantity, amount in (
        ("YOU BOUGHT OPENING TRANSACTION", "-SPXW241204C6080", "2.75", 1, "-275.02"),
        ("YOU SOLD CLOSING TRANSACTION", "-SPXW241204C6080", "2.91", -1, "290.98"),
        ("YOU BOUGHT CLOSING TRANSACTION", "-SPXW241204C6075", "4.71", 1, "-471.02"),
        ("YOU SOLD OPENING TRANSACTION", "-SPXW241204C6075", "4.4", -1, "439.98"),
        ("YOU SOLD SELECT SECTOR SPDR (XLE)", "XLE", "90", -100, "8999.98"),
    ):
        text += f"12/04/2024,{action}, {symbol},,Margin,{price},{quantity},,0.02,,{amount},,\n"
    found = of_text(tmp_path, text)

    result = await store.record(lambda session: import_file(session, found), keyed=True)
    assert [(one.ticker, one.cash) for one in result.unopened] == [("XLE", Decimal("8999.98"))]
    assert (result.recorded, result.left_open) == (1, 0)  # A vertical of that day.
    # 290.98 - 275.02 + 439.98 - 471.02
    assert result.in_trades == Decimal("-15.08")
