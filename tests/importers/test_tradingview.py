"""TradingView's list of trades: both generations, the P&L checked, the multiplier found."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
from store.importers import ImportFile
from store.importing import import_file
from tests.importers.files import fitting, read_trades, refused, written

OWN = Path(__file__).parent / "tradingview.csv"
SAID = {"ticker": "/ES", "zone": "America/New_York"}
OLDER = "Trade #,Type,Signal,Date/Time,Price,Contracts,Profit,Cum. Profit\n"
OLD = "Trade #,Type,Date/Time,Signal,Price USDT,Position size (qty),Net P&L USDT\n"
LONG = "1,Entry long,2026-01-05 09:30,L,100,10,,\n1,Exit long,2026-01-05 10:30,X,102,10,{}\n"


def listed(folder: Path, rows: str, header: str = OLD) -> Path:
    return written(folder, header + rows)


def nets(file: ImportFile) -> list[Decimal | None]:
    return [one.net_pnl for one in file.trades]


def test_only_this_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["tradingview"]
    assert fitting(listed(tmp_path, "")) == ["tradingview"]
    assert fitting(listed(tmp_path, "", OLDER)) == ["tradingview"]


def test_the_multiplier_follows_from_pnl_and_commission() -> None:
    """(1020.50 + 4.50) / (10.25 x 2) = 50; -5 x 1 x 50 - 2.25 = -252.25."""
    file = read_trades(OWN, **SAID)

    assert file.rejected == ()
    assert nets(file) == [Decimal("1020.50"), Decimal("-252.25")]
    assert [one.entry.legs[0].multiplier for one in file.trades] == [50, 50]
    assert [one.entry.legs[0].fills[1].fee for one in file.trades] == [
        Decimal("4.50"),
        Decimal("2.25"),
    ]
    assert file.assumed == ("50 per point of price, found from prices and P&L",)


def test_a_backtest_goes_to_a_paper_account_and_its_open_trade_is_counted() -> None:
    file = read_trades(OWN, **SAID)

    assert file.account is not None
    assert (file.account.name, file.account.mode, file.account.currency) == (
        "TradingView", "paper", "USD",
    )  # fmt: skip
    assert file.ignored == {"open trades": 1}


def test_times_are_of_the_chart_whose_zone_is_said() -> None:
    """09:30 in New York is 14:30 UTC in winter, 10:15 is 14:15 in summer."""
    file = read_trades(OWN, **SAID)

    opened = [one.entry.legs[0].fills[0].filled_at for one in file.trades]
    assert opened == [
        datetime(2026, 1, 5, 14, 30, tzinfo=UTC),
        datetime(2026, 7, 6, 14, 15, tzinfo=UTC),
    ]


@pytest.mark.parametrize(("lacking", "option"), [("ticker", "--ticker"), ("zone", "--zone")])
def test_what_the_file_does_not_say_is_asked_for(lacking: str, option: str) -> None:
    with pytest.raises(
        Invalid, match=f"names no {'symbol' if lacking == 'ticker' else lacking}.*{option}"
    ):
        read_trades(OWN, **{name: said for name, said in SAID.items() if name != lacking})


def test_older_files_without_commission_are_read_where_pnl_is_the_prices(tmp_path: Path) -> None:
    """2 x 10 = 20."""
    file = read_trades(listed(tmp_path, LONG.format("20.00")), **SAID)

    assert nets(file) == [Decimal(20)]
    assert file.trades[0].entry.legs[0].instrument == "crypto"
    assert file.currency == "USDT"


def test_a_hidden_commission_needs_the_multiplier(tmp_path: Path) -> None:
    """20 - 19.70 leaves .30; the second trade 20 - 19.60 .40: no one multiple gives both."""
    second = LONG.format("19.60").replace("1,E", "2,E").replace("01-05", "01-06")
    path = listed(tmp_path, LONG.format("19.70") + second)

    with pytest.raises(Invalid, match="say --multiplier"):
        read_trades(path, **SAID)

    file = read_trades(path, multiplier=Decimal(1), **SAID)
    assert nets(file) == [Decimal("19.70"), Decimal("19.60")]
    assert [one.entry.legs[0].fills[1].fee for one in file.trades] == [
        Decimal("0.30"),
        Decimal("0.40"),
    ]


def test_more_than_the_prices_come_to_is_refused(tmp_path: Path) -> None:
    file = read_trades(listed(tmp_path, LONG.format("20.30")), multiplier=Decimal(1), **SAID)

    assert refused(file) == [(3, "Net P&L USDT")]


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("Exit long", "Exit short", "Type"),
        ("Exit long", "=cmd|x", "Type"),
        ("1,Exit", "x,Exit", "Trade #"),
        ("X,102,10", "X,102,9", "Contracts"),
        ("X,102,10", "X,NaN,10", "Price USDT"),
        ("2026-01-05 10:30", "9999-01-05 10:30", "Date/Time"),
        ("2026-01-05 10:30", "2026-03-08 02:30", "Date/Time"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, old: str, new: str, column: str) -> None:
    file = read_trades(listed(tmp_path, LONG.format("20.00").replace(old, new)), **SAID)

    assert file.trades == ()
    assert [one.column for one in file.rejected] == [column]


async def test_it_is_recorded_once_with_its_own_pnl(store: Store) -> None:
    """1020.50 - 252.25 = 768.25."""
    for recorded in (2, 0):
        async with store.write() as session:
            result = await import_file(session, read_trades(OWN, **SAID))
        assert (result.recorded, result.stored_net_pnl) == (recorded, Decimal("768.25"))
