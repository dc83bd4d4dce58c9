"""E*TRADE's transactions: three layouts, commissions that leave out the exchanges' fees."""

from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
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

FILE = "etrade.csv"
OLD = (
    "For Account:,####0000\n\nTransactionDate,TransactionType,SecurityType,Symbol,Quantity,Amount,"
    "Price,Commission,Description\n\n"
)


def test_every_row_is_read_oldest_first() -> None:
    """Fees: 1,500.00 - 1,498.16 = 1.84, of which 1.81 commission; 820.00 - 818.73 = 1.27; 210.00
    - 208.73 = 1.27; 74,300.00 - 74,297.85 = 2.15. The puts were assigned on 19 March, when the
    row settles, and booked on the 20th with the shares; the calls expired on the 20th."""
    found = statement(HERE / FILE)

    assert [shown(one) for one in found.executions] == [
        "03-12 16:00:00 MDB 2026-04-17 312.5 put buy 5 @ 2.18 fee 1.81 open",
        "03-13 16:00:00 MDB 2026-04-17 312.5 put sell 5 @ 3 fee 1.84 close",
        "03-16 16:00:00 TSLA 2026-03-20 450 call sell 2 @ 1.05 fee 1.27 open",
        "03-16 16:00:00 TSLA 2026-03-20 370 put sell 2 @ 4.1 fee 1.27 open",
        "03-19 20:00:00 TSLA 2026-03-20 370 put buy 2 @ 0 fee 0 assigned",
        "03-19 20:00:00 TSLA buy 200 @ 370 fee 0 delivered",
        "03-20 16:00:00 TSLA sell 200 @ 371.5 fee 2.15 close",
        "03-20 20:00:00 TSLA 2026-03-20 450 call None 2 @ 0 fee 0 expired",
    ]


def test_the_money_is_what_the_amounts_say() -> None:
    """-1,091.81 + 1,498.16 + 208.73 + 818.73 + 74,297.85 - 74,000."""
    found = statement(HERE / FILE)

    assert moved(found) == stated(found) == Decimal("1731.66")
    assert [(one.kind, one.amount) for one in found.cash] == [
        ("interest", Decimal("0.09")),
        ("transfer", Decimal(80000)),
    ]
    assert refusals(found) == [
        "17 Type: shares moved without a deal; record what they cost or brought by hand"
    ]


@pytest.mark.parametrize("layout", ["detailed_activity", "suffixed_headers"])
def test_the_published_round_trips_give_their_result(tmp_path: Path, layout: str) -> None:
    """5 puts bought for 1,091.81 and sold for 1,498.19: 406.38, fees of 1.81 each."""
    found = of_text(tmp_path, sample_case(f"etrade_{layout}_option_round_trip"))

    assert [shown(one) for one in found.executions] == [
        "07-10 16:00:00 MDB 2026-07-17 312.5 put buy 5 @ 2.18 fee 1.81 open",
        "07-11 16:00:00 MDB 2026-07-17 312.5 put sell 5 @ 3 fee 1.81 close",
    ]
    assert moved(found) == Decimal("406.38")


def test_the_layout_before_2025_is_read_even_where_its_types_are_0(tmp_path: Path) -> None:
    """3,975.00 - 3,972.31 = 2.69 of fees; 202.20 - 202.19 = 0.01."""
    text = OLD + (
        "12/06/24,0,OPTN                            ,NVDA Dec 13 '24 $150 Put,-5,3972.31,7.95,2.68,"
        "PUT  NVDA   12/13/24   150.000\n"
        "12/06/24,0, ,NVDA Dec 06 '24 $150 Put,10,-7905.12,7.9,5.12,PUT  NVDA 12/06/24 150.000\n"
        "12/04/24,0, , ,0,1901.1,0,0,INTERNAL FUND TRANSFER\n"
        "11/29/24,0,MMF                             ,MSBNK,-0.08,0.08,0,0,MORGAN STANLEY BANK\n"
        "04/05/23,Sold,EQ,AMZN,-2,202.19,101.1,0,AMAZON.COM INC\n"
        "04/05/23,Bought,EQ,SQQQ,9,-280.06,31.1176,0,PROSHARES TR\n"
    )

    found = of_text(tmp_path, text)

    assert [shown(one) for one in found.executions] == [
        "04-05 16:00:00 SQQQ buy 9 @ 31.1176 fee 0",
        "04-05 16:00:00 AMZN sell 2 @ 101.1 fee 0.01 close",
        "12-06 17:00:00 NVDA 2024-12-06 150 put buy 10 @ 7.9 fee 5.12",
        "12-06 17:00:00 NVDA 2024-12-13 150 put sell 5 @ 7.95 fee 2.69",
    ]
    assert found.ignored == {"money market funds": 1}


def test_shares_dealt_at_another_price_than_the_strike_were_not_delivered(tmp_path: Path) -> None:
    found = changed_statement(tmp_path, FILE, ("200.0,370.0,-74000.0", "200.0,370.5,-74100.0"))

    assert not any(one.delivery for one in found.executions)


def test_bonds_are_counted(tmp_path: Path) -> None:
    edit = "TESLA INC,TSLA,--,200.0,370.0", "TESLA INC,88160R101,--,200.0,370.0"

    assert changed_statement(tmp_path, FILE, edit).ignored["bonds"] == 1


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (('"1,498.16",1.81', '"1,448.16",1.81'),
         "15 Amount: quantity, price and fees come to 1498.19, which is 50.03 off"),
        (("--,-5,3.00", "--,5,3.00"), "15 Quantity: its sign is not that of the type"),
        (("TESLA INC,TSLA,--,200.0,370.0", "TESLA INC,TSLAQQQ,--,200.0,370.0"),
         "12 Symbol: a ticker such as AAPL, or an option, is needed"),
        (("03/12/26,03/12/26", "13/12/26,03/12/26"),
         "16 Activity/Trade Date: a date such as 01/31/26 is needed"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_with_its_row(
    tmp_path: Path, edit: tuple[str, str], refusal: str
) -> None:
    assert refusal in refusals(changed_statement(tmp_path, FILE, edit))


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """MDB 1,498.16 - 1,091.81; TSLA, a strangle sold on one day and the shares that its puts
    delivered: 208.73 + 818.73 - 74,000 + 74,297.85."""
    assert structured(await recorded(store, statement(HERE / FILE))) == [
        "MDB single closed 406.35",
        "TSLA strangle closed 1325.31",
    ]
