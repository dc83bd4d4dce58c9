"""tastytrade's transactions: moments with an offset, prices per contract, orders, ends."""

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
    shown,
    stated,
    statement,
    structured,
)

FILE = "tastytrade.csv"
BEFORE_2024 = (
    "Date,Type,Action,Symbol,Instrument Type,Description,Value,Quantity,Average Price,Commissions,"
    "Fees,Multiplier,Root Symbol,Underlying Symbol,Expiration Date,Strike Price,Call or Put,"
    "Order #\n"
)


def test_every_row_is_read_oldest_first() -> None:
    """9:16:26 at -7 hours is 16:16:26 UTC. 646.00 for 2 contracts of 100 is 3.23, the fee 2.00
    + 0.26. 1,625.99 for 50 is 32.5198, shown as 32.52. A point of MES is worth 412.50 / 82.5
    = 5. The index option was settled for 364.00 and a fee of 5.00."""
    found = statement(HERE / FILE)

    assert [shown(one) for one in found.executions] == [
        "03-10 16:16:26 IWM 2026-03-20 230 put sell 2 @ 3.23 fee 2.26 open",
        "03-10 16:16:26 IWM 2026-03-20 220 put buy 2 @ 1.94 fee 2.25 open",
        "03-11 16:27:20 NEHI buy 50 @ 32.5198 fee 0.04 open",
        "03-12 16:27:20 NEHI sell 50 @ 33.1 fee 0.05 close",
        "03-16 15:51:16 MES 2026-03-17 5800 put sell 1 @ 82.5 fee 1.21 open",
        "03-17 16:40:00 MES 2026-03-17 5800 put None 1 @ 0 fee 0 expired",
        "03-19 17:00:00 SPX 2026-03-20 6600 call sell 1 @ 3.6 fee 4.88 open",
        "03-20 21:00:00 IWM 2026-03-20 230 put buy 2 @ 0 fee 0 assigned",
        "03-20 21:00:00 IWM 2026-03-20 220 put sell 2 @ 0 fee 0 expired",
        "03-20 21:00:00 SPX 2026-03-20 6600 call buy 1 @ 3.64 fee 5 settled",
        "03-20 21:00:00 IWM buy 200 @ 230 fee 5 open delivered",
    ]
    assert not any(one.dated for one in found.executions)
    assert [one.instrument.multiplier for one in found.executions[3:6]] == [None, 5, 5]


def test_an_order_holds_the_legs_of_a_spread_together() -> None:
    found = statement(HERE / FILE)

    assert [one.order for one in found.executions[:3]] == ["451325787", "451325787", "449808348"]


def test_the_money_is_the_total_of_the_file() -> None:
    """643.74 - 390.25 - 46,005.00 (IWM), -1,626.03 + 1,654.95 (NEHI), 411.29 (MES), 355.12
    - 369.00 (SPX)."""
    found = statement(HERE / FILE)

    assert moved(found) == stated(found) == Decimal("-45325.18")
    assert [(one.kind, one.amount) for one in found.cash] == [
        ("dividend", Decimal("36.95")),
        ("fee", Decimal("-0.03")),
        ("deposit", Decimal("60000.00")),
    ]


def test_futures_and_shares_without_a_price_are_refused() -> None:
    assert refusals(statement(HERE / FILE)) == [
        "7 Description: shares moved without a deal; record what they cost or brought by hand",
        "11 Symbol: the file does not say what a point of a future is worth; record it by hand",
    ]


def test_an_export_from_before_2024_is_read(tmp_path: Path) -> None:
    """It has neither Sub Type, Total nor Currency: 95.00 - 1.00 - 0.14."""
    text = BEFORE_2024 + (
        "2023-06-16T22:00:00+0200,Receive Deliver,BUY_TO_CLOSE,CLNE  230616C00014000,Equity Option,"
        "Removal of 1.0 CLNE 06/16/23 Call 14.00 due to expiration.,0.00,1,0.00,--,0.00,100,CLNE,"
        "CLNE,6/16/23,14,CALL,\n"
        "2023-05-20T17:10:00+0200,Trade,SELL_TO_OPEN,CLNE  230616C00014000,Equity Option,"
        "Sold 1 CLNE 06/16/23 Call 14.00 @ 0.95,95.00,1,95.00,-1.00,-0.14,100,CLNE,CLNE,6/16/23,14,"
        "CALL,335000001\n"
    )

    found = of_text(tmp_path, text)

    assert [shown(one) for one in found.executions] == [
        "05-20 15:10:00 CLNE 2023-06-16 14 call sell 1 @ 0.95 fee 1.14 open",
        "06-16 20:00:00 CLNE 2023-06-16 14 call buy 1 @ 0 fee 0 expired",
    ]
    assert stated(found) == Decimal("93.86")


def test_a_coin_is_read(tmp_path: Path) -> None:
    text = BEFORE_2024 + (
        "2023-05-20T17:10:00+0200,Trade,BUY_TO_OPEN,BTC/USD,Cryptocurrency,Bought 0.02 BTC/USD @"
        " 27000.50,-540.01,0.02,-27000.50,--,-0.54,1,,,,,,335000002\n"
    )

    (one,) = of_text(tmp_path, text).executions

    assert (one.instrument.kind, one.instrument.ticker) == ("crypto", "BTC")
    assert shown(one) == "05-20 15:10:00 BTC buy 0.02 @ 27000.5 fee 0.54 open"


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (("451325787,643.74,USD", "451325787,643.75,USD"),
         "15 Total: quantity, price and fees come to 643.74, which is 0.01 off"),
        (('"1,655.00",50,33.10', '"1,655.00",50,33.20'),
         "12 Value: quantity, price and fees come to 1660.00, which is 5.00 off"),
        (("Sell to Close,SELL_TO_CLOSE,NEHI", "Sell to Close,,NEHI"),
         "12 Action: one of BUY_TO_OPEN, SELL_TO_OPEN, BUY_TO_CLOSE, SELL_TO_CLOSE, BUY, SELL is"
         " needed"),
        (('"1,654.95",USD', '"1,654.95",EUR'), "12 Currency: only amounts in USD can be recorded"),
        (("2026-03-12T09:27:20-0700", "2026-03-12"),
         "12 Date: a date such as 2026-01-31T15:30:00 is needed"),
        (("Cash Settled Assignment", "Assignment"), None),
        (("Cash Settled Assignment,,SPXW  260320C06600000,Equity Option,Cash settlement of 1.0"
          " SPXW 03/20/26 Call 6600.00,-364.00,1,0.00,--,-5.00",
          "Assignment,,SPXW  260320C06600000,Equity Option,Removal of option due to assignment"
          ",0.00,1,0.00,--,-369.00"),
         "2 Amount: an index option settles in cash, and the row does not say for how much"),
        (("IWM   260320P00220000,Equity Option,B", "IWM1  260320P00220000,Equity Option,B"),
         "14 Symbol: an adjusted option delivers something else than 100 shares; record it by"
         " hand"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_with_its_row(
    tmp_path: Path, edit: tuple[str, str], refusal: str | None
) -> None:
    found = refusals(changed_statement(tmp_path, FILE, edit))

    assert refusal in found if refusal else len(found) == 2


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """NEHI 1,654.95 - 1,626.03; MES 411.29; SPX 355.12 - 369.00; IWM's 200 shares are held."""
    assert structured(await recorded(store, statement(HERE / FILE))) == [
        "IWM vertical open",
        "MES single closed 411.29",
        "NEHI single closed 28.92",
        "SPX single closed -13.88",
    ]
