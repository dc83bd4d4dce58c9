"""thinkorswim's statement: legs from the trade history, fees and orders from Cash Balance."""

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

FILE = "thinkorswim.csv"
HISTORY = "Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type\n"
BALANCE = (
    "Cash Balance\nDATE,TIME,TYPE,REF #,DESCRIPTION,Misc Fees,Commissions & Fees,AMOUNT,BALANCE\n"
)
TRADES = f"\nAccount Trade History\n,{HISTORY}"


def test_every_deal_has_its_legs_its_order_and_its_share_of_the_fees() -> None:
    """9:31 in New York is 14:31 UTC until the clocks change on 8 March, 13:31 then.

    Fees: the vertical's 4.56 + 2.60 by two legs of 2; NVDA's two fills of one order 0.02 +
    2.60 + 0.03 + 3.90; the butterfly's 2.28 + 2.60 = 4.88 as 1 : 2 : 1. AAPL's 251.06 is
    251.055, for 100 of them moved 25,105.50. SPX is shown as SPX, SPXW being its root.
    """
    found = statement(HERE / FILE)

    assert refusals(found) == []
    assert [shown(one) for one in found.executions] == [
        "03-02 14:31:12 AAPL buy 100 @ 247.4 fee 0 open",
        "03-02 15:02:45 SPX 2026-03-20 6580 put buy 2 @ 8.5 fee 3.58 open",
        "03-02 15:02:45 SPX 2026-03-20 6600 put sell 2 @ 12.6 fee 3.58 open",
        "03-03 16:00:01 NVDA 2026-03-20 200 call buy 10 @ 1.5 fee 6.55 open",
        "03-09 13:30:04 AAPL sell 100 @ 251.055 fee 0.7 close",
        "03-10 18:00:00 SPX 2026-03-20 6510 put buy 1 @ 16.65 fee 1.22 open",
        "03-10 18:00:00 SPX 2026-03-20 6610 put sell 2 @ 29 fee 2.44 open",
        "03-10 18:00:00 SPX 2026-03-20 6710 put buy 1 @ 60.1 fee 1.22 open",
        "03-11 18:00:00 XLE 2026-03-20 59 put sell 1 @ 0.85 fee 0.67 open",
        "03-12 14:00:00 NVDA 2026-03-20 200 call sell 3 @ 2 fee 1.98",
        "03-21 03:25:44 NVDA 2026-03-20 200 call sell 7 @ 0 fee 0 expired",
        "03-21 03:25:55 XLE 2026-03-20 59 put buy 1 @ 0 fee 0 assigned",
        "03-21 03:26:01 XLE buy 100 @ 59 fee 0 delivered",
        "03-21 03:30:00 SPX 2026-03-20 6600 put buy 2 @ 0 fee 0 expired",
        "03-21 03:30:01 SPX 2026-03-20 6580 put sell 2 @ 0 fee 0 expired",
        "03-21 03:30:02 SPX 2026-03-20 6710 put sell 1 @ 0 fee 0 expired",
        "03-21 03:30:03 SPX 2026-03-20 6510 put sell 1 @ 0 fee 0 expired",
        "03-21 03:30:04 SPX 2026-03-20 6610 put buy 2 @ 0 fee 0 expired",
    ]
    assert [one.order for one in found.executions[:5]] == ["1001", "1002", "1002", "1003", "1004"]


def test_the_money_is_that_of_the_balance_to_the_cent() -> None:
    """From 100,000.00 to 87,585.96: -12,414.04, of which 5,000 went into a money market fund
    and 12.40 came as a dividend: the deals moved -7,426.44."""
    found = statement(HERE / FILE)

    assert moved(found) == stated(found) == Decimal("-7426.44")
    assert [(one.kind, one.amount) for one in found.cash] == [("dividend", Decimal("12.40"))]
    assert found.ignored == {"money market funds": 1}


def test_the_file_says_that_it_is_paper_and_whose() -> None:
    found = statement(HERE / FILE)

    assert (found.format, found.mode, found.currency) == ("thinkorswim", "paper", "USD")
    assert {one.account for one in found.executions} == {"D-00000001"}
    assert found.assumed == ()


def test_a_live_statement_is_live(tmp_path: Path) -> None:
    found = changed_statement(
        tmp_path,
        FILE,
        ("This document was exported from the paperMoney® platform which provides a simulated"
         " trading environment.\n", ""),
        ("D-00000001", "12345678SCHW"),
    )  # fmt: skip

    assert (found.mode, found.executions[0].account) == ("live", "12345678SCHW")


@pytest.mark.parametrize(
    ("start", "deal", "moment"),
    [
        # Midnight in Chicago is 13:00 in Taipei while Chicago has summer time, else 14:00.
        ("7/22/26,13:00:00,BAL,,{} 22.07 CST", "7/22/26 21:31:00", "07-22 13:31:00"),
        ("1/22/26,14:00:00,BAL,,{} 22.01 CST", "1/22/26 22:31:00", "01-22 14:31:00"),
        # In Los Angeles the business day begins the evening before.
        ("1/21/26,22:00:00,BAL,,{} 22.01 CST", "1/22/26 06:31:00", "01-22 14:31:00"),
        ("12/31/25,22:00:00,BAL,,{} 01.01 CST", "1/2/26 06:31:00", "01-02 14:31:00"),
        # In Chicago.
        ("1/22/26,00:00:00,BAL,,{} 22.01 CST", "1/22/26 08:31:00", "01-22 14:31:00"),
    ],
)
def test_the_balance_tells_by_whose_clock_the_platform_wrote(
    tmp_path: Path, start: str, deal: str, moment: str
) -> None:
    """9:31 in New York is 13:31 UTC in summer and 14:31 UTC in winter."""
    begins = start.format("Cash balance at the start of business day")
    day, time = deal.split()
    text = (
        f'{BALANCE}{begins},,,,1.00\n{day},{time},TRD,="1",BOT +10 AAPL @250,,,-2500,1\n'
        f"{TRADES},{deal},STOCK,BUY,+10,TO OPEN,AAPL,,,STOCK,250.00,250.00,LMT\n"
    )

    (one,) = of_text(tmp_path, text).executions

    assert f"{one.at:%m-%d %H:%M:%S}" == moment


def test_a_zone_that_is_named_wins_and_without_any_it_is_new_yorks(tmp_path: Path) -> None:
    row = "6/16/2026 13:45,STOCK,BUY,10,TO OPEN,OBAI,,,STOCK,1.02,1.02,LMT\n"

    (paris,) = of_text(tmp_path, HISTORY + row, zone="Europe/Paris").executions
    assumed = of_text(tmp_path, HISTORY + row)

    assert shown(paris).startswith("06-16 11:45:00")
    assert shown(assumed.executions[0]).startswith("06-16 17:45:00")
    assert assumed.assumed == (
        "The file does not say whose its times are; they are taken as America/New_York's.",
        "The file has no Cash Balance, so fees are not known and are 0.",
    )


def test_a_bare_trade_history_with_years_in_full_is_read(tmp_path: Path) -> None:
    """10 shares from 1.02 to 1.04: 0.20."""
    found = of_text(tmp_path, sample_case("papermoney_four_digit_year_round_trip"))

    assert [shown(one) for one in found.executions] == [
        "06-16 17:45:00 OBAI buy 10 @ 1.02 fee 0 open",
        "06-16 17:54:00 OBAI sell 10 @ 1.04 fee 0 close",
    ]
    assert moved(found) == Decimal("0.20")


def test_columns_that_the_user_added_change_nothing(tmp_path: Path) -> None:
    text = (
        f"{BALANCE}\nAccount Trade History\n"
        ",Exec Time,Spread,Side,Qty,Total Cost,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price\n"
        ",7/23/26 13:51:50,SINGLE,SELL,-2,0.00,TO CLOSE,D,18 SEP 26,65,CALL,7.25,7.25\n"
    )

    (one,) = of_text(tmp_path, text).executions

    assert shown(one) == "07-23 17:51:50 D 2026-09-18 65 call sell 2 @ 7.25 fee 0 close"


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (
            ('="1007",SOLD -3 NVDA 100 20 MAR 26 200 CALL @2.00,-0.03,-1.95,600.00',
             '="1007",SOLD -3 NVDA 100 20 MAR 26 200 CALL @2.00,-0.03,-1.95,700.00'),
            "17 AMOUNT: quantity, price and fees come to 600.00, which is 100.00 off",
        ),
        (
            ("XLE,20 MAR 26,59,PUT,.85,.85", "XLE,20 MAR 26,59,PUT,.95,.95"),
            "49 Exec Time: Cash Balance has no deal of 95.00 at this moment",
        ),
        (
            (",3/10/26 14:00:00,BUTTERFLY,BUY", ",3/10/26 24:00:00,BUTTERFLY,BUY"),
            "46 Exec Time: a date such as 01/31/26 15:30:00 is needed",
        ),
        (
            (",,,BUY,+1,TO OPEN,SPX,20 MAR 26,6510", ",,,BUY,0,TO OPEN,SPX,20 MAR 26,6510"),
            "46 Qty: a number other than 0 is needed",
        ),
        (
            ("STOCK,SELL,-100,TO CLOSE,AAPL,,,STOCK", "FUTURE,SELL,-1,TO CLOSE,/ESM26,,,FUTURE"),
            "50 Symbol: futures and their options are not in Cash Balance",
        ),
        (
            ("-7.0 .NVDA260320C200", "-7.0 .NVDA1260320C200"),
            "19 DESCRIPTION: an adjusted option delivers something else than 100 shares; record"
            " it by hand",
        ),
        (
            ("PUT SELECT SECTOR SPDR $59 EXP 03/20/26: ASG: 1.0 .XLE260320P59", "Moved"),
            "20 DESCRIPTION: an option that expired, was assigned or was exercised is needed",
        ),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_with_its_row(
    tmp_path: Path, edit: tuple[str, str], refusal: str
) -> None:
    assert refusal in refusals(changed_statement(tmp_path, FILE, edit))


def test_a_spread_that_only_cash_balance_has_is_refused(tmp_path: Path) -> None:
    found = changed_statement(
        tmp_path,
        FILE,
        (",3/2/26 10:02:45,VERTICAL,SELL,-2,TO OPEN,SPX,20 MAR 26,6600,PUT,12.60,4.10,LMT\n", ""),
        (",,,BUY,+2,TO OPEN,SPX,20 MAR 26,6580,PUT,8.50,CREDIT,\n", ""),
    )

    assert refusals(found) == [
        "9 DESCRIPTION: Account Trade History has no such deal, and its legs are not known"
        " from this"
    ]


def test_an_index_option_that_was_assigned_without_cash_is_refused(tmp_path: Path) -> None:
    found = changed_statement(
        tmp_path, FILE, ("DUE TO EXPIRATION 2.0 $SPX.X", "DUE TO ASSIGNMENT 2.0 $SPX.X")
    )

    assert refusals(found) == [
        "22 AMOUNT: an index option settles in cash, and the row does not say for how much"
    ]


def test_an_index_option_that_was_settled_has_the_price_that_its_cash_says(tmp_path: Path) -> None:
    """2 sold puts at 6600 cost 2 x 100 x 1.24 = 248.00."""
    found = changed_statement(
        tmp_path,
        FILE,
        ('DUE TO EXPIRATION 2.0 $SPX.X 100 (Weeklys) 20 MAR 26 6600 PUT,,,,',
         'DUE TO ASSIGNMENT 2.0 $SPX.X 100 (Weeklys) 20 MAR 26 6600 PUT,,,-248.00,'),
    )  # fmt: skip

    assert "03-21 03:30:00 SPX 2026-03-20 6600 put buy 2 @ 1.24 fee 0 settled" in [
        shown(one) for one in found.executions
    ]


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """AAPL 25,105.50 - 24,740 - 0.70; the vertical 820 - 7.16, the butterfly -1,875 - 4.88, both
    expired; NVDA -1,500 - 6.55 + 600 - 1.98, the rest expired; the shares of XLE are held."""
    assert structured(await recorded(store, statement(HERE / FILE))) == [
        "AAPL single closed 364.8",
        "NVDA single closed -908.53",
        "SPX butterfly closed -1879.88",
        "SPX vertical closed 812.84",
        "XLE single open",
    ]
