"""MetaTrader 5's report: positions, the size of a lot from the profit, the server's clock."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
from store.importing import import_file
from tests.importers.dealing import closed, fitting, refused, written

OWN = Path(__file__).parent / "metatrader5.html"
ZONE = "Europe/Athens"
TABLE = (
    'Trade History Report,,,,,,,,,,,,\nAccount:,,,"555 (EUR, Server, demo)",,,,,,,,,\n'
    "Positions,,,,,,,,,,,,\n"
    "Time,Position,Symbol,Type,Volume,Price,S / L,T / P,Time,Price,Commission,Swap,Profit\n"
)
ROW = "2026.01.15 10:30:00,1,EURUSD,buy,1,1.10000,,,2026.01.15 11:30:00,1.10100,-1,0.50,100.00\n"


def test_only_this_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["metatrader5"]
    assert fitting(written(tmp_path, TABLE)) == ["metatrader5"]


def test_positions_have_the_profit_of_the_report_less_their_costs() -> None:
    """94.50 - 4.70 = 89.80, 20.31, -70.78, 0 - .70. Gold made 20.308 before it was rounded."""
    file = closed(OWN, zone=ZONE)

    assert [one.net_pnl and one.net_pnl.quantize(Decimal("0.01")) for one in file.trades] == [
        Decimal("89.80"), Decimal("20.31"), Decimal("-70.78"), Decimal("-0.70"),
    ]  # fmt: skip
    assert file.rounding == Decimal("-0.002")
    assert file.file_net_pnl == Decimal("38.63")


def test_the_size_of_a_lot_follows_from_the_profit() -> None:
    """94.50 / (.00189 x .5) = 100,000; 20.31 / (5.077 x .04) = 100 to the cent; the Canadian
    dollar's profit was converted: 70.78 / (.00121 x .83) = 70,476.94911879."""
    sizes = [one.entry.legs[0].multiplier for one in closed(OWN, zone=ZONE).trades]

    assert sizes == [100_000, 100, Decimal("70476.94911879"), 100_000]


def test_a_position_that_never_moved_needs_a_size(tmp_path: Path) -> None:
    file = closed(OWN, zone=ZONE)

    assert [one.column for one in file.rejected] == ["Profit"]
    assert "--multiplier" in file.rejected[0].reason
    assert closed(OWN, zone=ZONE, multiplier=Decimal(10)).rejected == ()


def test_times_are_of_the_servers_clock() -> None:
    """Athens is two hours ahead of UTC in winter, three in summer."""
    file = closed(OWN, zone=ZONE)

    opened = [one.entry.legs[0].fills[0].filled_at for one in file.trades]
    assert opened[0] == datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
    assert opened[2] == datetime(2026, 7, 17, 7, 30, tzinfo=UTC)
    with pytest.raises(Invalid, match="--zone Europe/Athens"):
        closed(OWN)


def test_the_account_is_the_reports() -> None:
    account = closed(OWN, zone=ZONE).account

    assert account is not None
    assert (account.name, account.mode, account.currency) == ("MetaTrader 12345678", "live", "USD")


def test_a_target_that_was_reached_is_the_reason() -> None:
    reasons = [one.entry.exit_reason for one in closed(OWN, zone=ZONE).trades]

    assert reasons == ["target", None, None, None]


def test_what_is_not_a_closed_position_is_counted() -> None:
    assert closed(OWN, zone=ZONE).ignored == {"deposits and withdrawals": 1, "open positions": 1}


def test_a_report_in_utf_16_and_one_with_a_doctype_are_the_same(tmp_path: Path) -> None:
    """Terminals write UTF-16 and an HTML 4 doctype; nothing of it is resolved."""
    path = tmp_path / "report.html"
    path.write_text(
        '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">'
        + OWN.read_text(encoding="utf-8"),
        encoding="utf-16",
    )

    assert [one.net_pnl for one in closed(path, zone=ZONE).trades] == [
        one.net_pnl for one in closed(OWN, zone=ZONE).trades
    ]


def test_the_same_table_is_read_from_csv(tmp_path: Path) -> None:
    """.001 x 1 lot of 100,000 is 100; less 1, plus .50 of swap."""
    file = closed(written(tmp_path, TABLE + ROW + "Orders,,,,,,,,,,,,\n"), zone=ZONE)

    assert [one.net_pnl for one in file.trades] == [Decimal("99.50")]
    assert file.account is not None
    assert (file.account.mode, file.account.currency) == ("paper", "EUR")


def test_deals_alone_are_refused_with_what_to_do(tmp_path: Path) -> None:
    deals = "Time,Deal,Symbol,Type,Direction,Volume,Price,Order,Commission,Swap,Profit,Balance\n"

    with pytest.raises(Invalid, match="save the report of the tab History"):
        closed(written(tmp_path, deals), zone=ZONE)


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("buy", "buy limit", "Type"),
        ("buy,1,", "buy,0,", "Volume"),
        ("buy,1,", "buy,1e999,", "Volume"),
        ("100.00", "NaN", "Profit"),
        ("100.00", "-100.00", "Profit"),
        ("2026.01.15 11:30:00", "2026.01.15 09:30:00", "Time"),
        ("2026.01.15 11:30:00", "9999.01.15 11:30:00", "Time"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, old: str, new: str, column: str) -> None:
    file = closed(written(tmp_path, TABLE + ROW.replace(old, new)), zone=ZONE)

    assert (file.trades, refused(file)) == ((), [(5, column)])


@pytest.mark.parametrize(
    "junk", ["<!--" * 500_000, "<" * 2_000_000, "<td " * 500_000, "&" * 2_000_000]
)
def test_a_page_of_junk_takes_no_time_and_gives_no_trade(tmp_path: Path, junk: str) -> None:
    page = "<html><title>Trade History Report</title>" + junk

    with pytest.raises(Invalid, match="has no positions"):
        closed(written(tmp_path, page, "junk.html"), zone=ZONE)


async def test_it_is_recorded_once_with_its_own_pnl(store: Store) -> None:
    """89.80 + 20.31 - 70.78 - .70 = 38.63, -.70 for the position that never moved."""
    file = closed(OWN, zone=ZONE, multiplier=Decimal(1))
    for recorded in (5, 0):
        async with store.write() as session:
            result = await import_file(session, file)
        assert result.recorded == recorded
        assert result.stored_net_pnl.quantize(Decimal("0.01")) == Decimal("37.93")
