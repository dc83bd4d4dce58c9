"""Option Omega's log of dealt trades, whose P/L mixes units and is worked out anew."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from tests.importers.files import read_trades as read

OWN = Path(__file__).parent / "option_omega_live.csv"
SAMPLES = Path(__file__).parents[2] / ".." / "shared" / "samples" / "option_omega"
LIVE, BACKTEST = SAMPLES / "ema-strategy-trade-log.csv", SAMPLES / "ema-tradelog.csv"


def test_pnl_is_worked_out_from_premium_closing_cost_and_the_fees_in_the_file() -> None:
    file = read(OWN)

    # 2 x 420 - 6 = 834; its P/L (.8 - 175) x 300 - 18 = -52278 is (80 - 175) x 3 - 18 = -303;
    # 3 x 80 - 18 = 222, at 0 whatever the index was minutes after the close.
    assert [trade.net_pnl for trade in file.trades] == [
        Decimal(834), Decimal(-303), Decimal(222),
    ]  # fmt: skip
    assert [trade.entry.exit_reason for trade in file.trades] == ["expired", "signal", "expired"]
    assert [fill.fee for leg in file.trades[1].entry.legs for fill in leg.fills] == [9, 0, 9, 0]
    assert file.assumed[1].startswith("its P/L is off by -51,975.00 in 1 rows")
    assert file.account is not None
    assert (file.account.name, file.account.mode) == ("Option Omega live", "live")


def test_what_cannot_be_is_refused_with_its_reason() -> None:
    assert [(one.row, one.column, one.reason[:44]) for one in read(OWN).rejected] == [
        (5, "P/L", "premium and closing cost leave fees of 10023"),  # 237 + 99999 = 100236
        (6, "Date Closed", "it closed before it opened"),
    ]


@pytest.mark.skipif(not LIVE.exists(), reason="the sample is not here")
def test_the_sample_matches_the_backtest_trade_by_trade() -> None:
    """384 rows, five of which close before they open; each of the others is a backtest's trade
    with the same legs at the same opening prices, and the closing cost that the file has."""
    file = read(LIVE)
    with LIVE.open(encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    by_hand = Decimal(0)
    for row in rows:
        if row["Date Closed"] < row["Date Opened"]:
            continue
        premium, cost = Decimal(row["Initial Premium"]), Decimal(row["Avg. Closing Cost"])
        contracts = Decimal(row["No. of Contracts"])
        fees = (premium - cost) * 100 * contracts - Decimal(row["P/L"])
        by_hand += (premium * 100 - cost) * contracts - fees

    assert (len(rows), len(file.trades), len(file.rejected)) == (384, 379, 5)
    assert file.file_net_pnl == by_hand == Decimal(23952)
    legs = {tuple(terms(leg) for leg in trade.entry.legs) for trade in read(BACKTEST).trades}
    assert all(tuple(terms(leg) for leg in trade.entry.legs) in legs for trade in file.trades)


def terms(leg: object) -> tuple[object, ...]:
    names = ("option_type", "strike", "expiry")
    first = leg.fills[0]  # type: ignore[attr-defined]
    return (*(getattr(leg, name) for name in names), first.side, first.quantity, first.price)
