"""Robinhood's activity: days only, amounts in brackets, fees only in the amount."""

from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from tests.importers.files import (
    HERE,
    changed_statement,
    moved,
    recorded,
    refusals,
    shown,
    stated,
    statement,
    structured,
)

FILE = "robinhood.csv"


def test_every_row_is_read_oldest_first() -> None:
    """After 8 March noon in New York is 16:00 UTC, and 16:00 is 20:00 UTC.

    Fees: 195.66 - 15 x 13.00 = 0.66; 121.00 - 120.95 = 0.05; 360.00 - 359.02 = 0.98; 7,049.95
    - 7,049.93 = 0.02. MSTR at 174.68 is 50 cents short of 17,468.50, and no fee is taken
    where shares are bought: it was dealt at 174.685. The index option was settled for 364.00.
    """
    found = statement(HERE / FILE)

    assert [shown(one) for one in found.executions] == [
        "03-16 16:00:00 TSLA 2026-03-20 440 put sell 1 @ 1.21 fee 0.05 open",
        "03-16 16:00:00 MSTR buy 100 @ 174.685 fee 0",
        "03-17 16:00:00 MSTR sell 41 @ 171.95 fee 0.02 close",
        "03-18 16:00:00 NVDA 2026-03-20 200 call buy 15 @ 0.13 fee 0.66 open",
        "03-18 16:00:00 NVDA 2026-03-20 200 call buy 15 @ 0.13 fee 0.66 open",
        "03-19 16:00:00 SPX 2026-03-20 6600 call sell 1 @ 3.6 fee 0.98 open",
        "03-20 20:00:00 NVDA 2026-03-20 200 call None 30 @ 0 fee 0 expired",
        "03-20 20:00:00 TSLA 2026-03-20 440 put buy 1 @ 0 fee 0 assigned",
        "03-20 20:00:00 SPX 2026-03-20 6600 call buy 1 @ 3.64 fee 0 settled",
        "03-20 20:00:00 TSLA buy 100 @ 440 fee 0 delivered",
    ]
    assert all(one.dated and one.id is None for one in found.executions)


def test_the_money_is_what_the_amounts_say() -> None:
    """TSLA 120.95 - 44,000; MSTR -17,468.50 + 7,049.93; NVDA -2 x 195.66; SPX 359.02 - 364."""
    found = statement(HERE / FILE)

    assert moved(found) == stated(found) == Decimal("-54693.92")


def test_other_cash_is_told_apart_and_the_footer_is_none() -> None:
    found = statement(HERE / FILE)

    assert [(one.kind, one.amount) for one in found.cash] == [
        ("dividend", Decimal("2.60")),
        ("fee", Decimal("-5.00")),
        ("withdrawal", Decimal("-2.00")),
        ("deposit", Decimal("50000.00")),
    ]
    assert refusals(found) == [
        "19 Trans Code: shares moved without a deal; record what they cost or brought by hand"
    ]


def test_cash_of_two_options_of_a_day_is_nobodys(tmp_path: Path) -> None:
    found = changed_statement(
        tmp_path,
        FILE,
        ('"3/20/2026","3/20/2026","3/23/2026","TSLA","TSLA 3/20/2026 Put $440.00","OASGN"',
         '"3/20/2026","3/20/2026","3/23/2026","SPX","SPXW 3/20/2026 Put $6,500.00","OASGN"'),
    )  # fmt: skip

    reason = "several options of this underlying ended that day; whose cash it is, is not said"
    assert refusals(found)[:3] == [f"{row} Trans Code: {reason}" for row in (2, 3, 4)]


def test_an_index_option_without_its_cash_is_refused(tmp_path: Path) -> None:
    found = changed_statement(
        tmp_path,
        FILE,
        ('"3/20/2026","3/20/2026","3/23/2026","SPX","Option Maturity: Cash Component","OCC","0","",'
         '"($364.00)"\n', ""),
    )  # fmt: skip

    assert refusals(found)[0] == (
        "2 Amount: an index option settles in cash, and the row does not say for how much"
    )


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (('"$7,049.93"', '"$7,049.00"'),
         "12 Amount: quantity, price and fees come to 7049.95, which is 0.95 off"),
        (('"($17,468.50)"', '"$17,468.50"'),
         "14 Amount: quantity, price and fees come to -17468.00, which is 34936.50 off"),
        (('"BTO","15","$0.13","($195.66)"\n"3/17', '"BTO","0","$0.13","($195.66)"\n"3/17'),
         "11 Quantity: a number above 0 is needed"),
        (('"TSLA 3/20/2026 Put $440.00","STO"', '"TSLA","STO"'),
         "16 Description: an option such as NVDA 10/31/2025 Put $165.00 is needed"),
        (('"TSLA 3/20/2026 Put $440.00","STO"', '"TSLA1 3/20/2026 Put $440.00","STO"'),
         "16 Description: an adjusted option delivers something else than 100 shares; record it"
         " by hand"),
        (('"3/12/2026","3/12/2026","3/12/2026"', '"","3/12/2026","3/12/2026"'),
         "18 Activity Date: a date such as 01/31/2026 is needed"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_with_its_row(
    tmp_path: Path, edit: tuple[str, str], refusal: str
) -> None:
    assert refusal in refusals(changed_statement(tmp_path, FILE, edit))


async def test_its_trades_are_recorded_once(store: Store) -> None:
    """NVDA -2 x 195.66; SPX 359.02 - 364; 59 MSTR are held, and 100 TSLA by assignment."""
    assert structured(await recorded(store, statement(HERE / FILE))) == [
        "MSTR single open",
        "NVDA single closed -391.32",
        "SPX single closed -4.98",
        "TSLA single open",
    ]
