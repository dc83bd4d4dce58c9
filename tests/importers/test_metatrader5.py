"""MetaTrader 5's report: positions, the size of a lot from the profit, the server's clock."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
from store.importing import import_file
from tests.importers.files import (
    cash,
    fitting,
    outcomes,
    read_trades,
    recorded,
    refused,
    statement,
    written,
)

OWN = Path(__file__).parent / "metatrader5.html"
ZONE = "Europe/Athens"
TABLE = (
    'Trade History Report,,,,,,,,,,,,\nAccount:,,,"555 (EUR, Server, demo)",,,,,,,,,\n'
    "Positions,,,,,,,,,,,,\n"
    "Time,Position,Symbol,Type,Volume,Price,S / L,T / P,Time,Price,Commission,Swap,Profit\n"
)
ROW = "2026.01.15 10:30:00,1,EURUSD,buy,1,1.10000,,,2026.01.15 11:30:00,1.10100,-1,0.50,100.00\n"
DEALS = [
    "Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price", "Order", "Commission",
    "Fee", "Swap", "Profit", "Balance", "Comment",
]  # fmt: skip
REPORT = 'Account:,,,"555 (USD, Server, demo)",,,,\n\nDeals,,,,\n' + ",".join(DEALS) + "\n"
GOLD = """\
2026.01.14 10:00:00,1,,balance,,,,,0.00,0.00,0.00,10 000.00,10 000.00,
2026.01.15 10:00:00,2,XAUUSD,buy,in,0.10,2000.00,12,-0.70,0.00,0.00,0.00,,
2026.01.15 10:01:00,3,XAUUSD,buy,in,0.10,2010.00,13,-0.70,0.00,0.00,0.00,,
2026.01.15 10:02:00,4,XAUUSD,sell,out,0.10,2015.00,14,0.00,-0.10,-0.10,100.00,,
2026.01.15 10:03:00,5,XAUUSD,sell,out,0.10,2020.00,15,0.00,-0.10,0.00,150.00,,
2026.01.15 10:04:00,6,XAUUSD,sell,in,0.10,2000.00,16,0.00,0.00,0.00,0.00,,
2026.01.15 10:05:00,7,XAUUSD,buy,in/out,0.20,1990.00,17,0.00,0.00,0.00,100.00,,
,,,,,,,,-1.40,-0.20,-0.10,350.00,10 348.30,
"""


def test_only_this_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["metatrader5"]
    assert fitting(written(tmp_path, TABLE)) == ["metatrader5"]
    assert fitting(written(tmp_path, REPORT)) == ["metatrader5"]


def test_positions_have_the_profit_of_the_report_less_their_costs() -> None:
    """94.50 - 4.70 = 89.80, 20.31, -70.78, 0 - .70. Gold made 20.308 before it was rounded."""
    file = read_trades(OWN, zone=ZONE)

    assert [one.net_pnl and one.net_pnl.quantize(Decimal("0.01")) for one in file.trades] == [
        Decimal("89.80"), Decimal("20.31"), Decimal("-70.78"), Decimal("-0.70"),
    ]  # fmt: skip
    assert file.rounding == Decimal("-0.002")
    assert file.file_net_pnl == Decimal("38.63")


def test_the_size_of_a_lot_follows_from_the_profit() -> None:
    """94.50 / (.00189 x .5) = 100,000; 20.31 / (5.077 x .04) = 100 to the cent; the Canadian
    dollar's profit was converted: 70.78 / (.00121 x .83) = 70,476.94911879."""
    sizes = [one.entry.legs[0].multiplier for one in read_trades(OWN, zone=ZONE).trades]

    assert sizes == [100_000, 100, Decimal("70476.94911879"), 100_000]


def test_a_position_that_never_moved_needs_a_size(tmp_path: Path) -> None:
    file = read_trades(OWN, zone=ZONE)

    assert [one.column for one in file.rejected] == ["Profit"]
    assert "--multiplier" in file.rejected[0].reason
    assert read_trades(OWN, zone=ZONE, multiplier=Decimal(10)).rejected == ()


def test_times_are_of_the_servers_clock() -> None:
    """Athens is two hours ahead of UTC in winter, three in summer."""
    file = read_trades(OWN, zone=ZONE)

    opened = [one.entry.legs[0].fills[0].filled_at for one in file.trades]
    assert opened[0] == datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
    assert opened[2] == datetime(2026, 7, 17, 7, 30, tzinfo=UTC)
    with pytest.raises(Invalid, match="--zone Europe/Athens"):
        read_trades(OWN)


def test_the_account_is_the_reports() -> None:
    account = read_trades(OWN, zone=ZONE).account

    assert account is not None
    assert (account.name, account.mode, account.currency) == (
        "MetaTrader 5 12345678",
        "live",
        "USD",
    )


def test_a_target_that_was_reached_is_the_reason() -> None:
    reasons = [one.entry.exit_reason for one in read_trades(OWN, zone=ZONE).trades]

    assert reasons == ["target", None, None, None]


def test_what_is_not_a_closed_position_is_counted() -> None:
    assert read_trades(OWN, zone=ZONE).ignored == {
        "deposits and withdrawals": 1,
        "open positions": 1,
    }


def test_a_report_in_utf_16_and_one_with_a_doctype_are_the_same(tmp_path: Path) -> None:
    """Terminals write UTF-16 and an HTML 4 doctype; nothing of it is resolved."""
    path = tmp_path / "report.html"
    path.write_text(
        '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">'
        + OWN.read_text(encoding="utf-8"),
        encoding="utf-16",
    )

    assert [one.net_pnl for one in read_trades(path, zone=ZONE).trades] == [
        one.net_pnl for one in read_trades(OWN, zone=ZONE).trades
    ]


def test_the_same_table_is_read_from_csv(tmp_path: Path) -> None:
    """.001 x 1 lot of 100,000 is 100; less 1, plus .50 of swap."""
    file = read_trades(written(tmp_path, TABLE + ROW + "Orders,,,,,,,,,,,,\n"), zone=ZONE)

    assert [one.net_pnl for one in file.trades] == [Decimal("99.50")]
    assert file.account is not None
    assert (file.account.mode, file.account.currency) == ("paper", "EUR")


def test_deals_are_read_where_there_are_no_positions(tmp_path: Path) -> None:
    """Gold, 100 a point of a lot: .2 bought at an average of 2,005 leave at 2,015 and 2,020, .1
    each: 100 + 150 = 250, less .70 + .70 + .20 + .10 of costs 248.30. The last deal goes through
    zero: sold .1 at 2,000 to be short, bought .2 at 1,990: 100; .1 stays open."""
    found = statement(written(tmp_path, REPORT + GOLD), zone=ZONE)

    assert found.rejected == ()
    assert {one.instrument.multiplier for one in found.executions} == {100}
    assert [one.effect for one in found.executions] == [
        "open", "open", "close", "close", "open", None,
    ]  # fmt: skip
    # -20000.70 - 20100.70 + 20149.80 + 20199.90 is 248.30; then + 20000 - 39800.
    assert cash(found) == {"XAUUSD": Decimal("-19551.70")}
    assert [(one.kind, one.amount) for one in found.cash] == [("transfer", Decimal("10000.00"))]
    assert (found.mode, found.currency) == ("paper", "USD")
    assert [one.id for one in found.executions] == ["2", "3", "4", "5", "6", "7"]


async def test_deals_are_recorded_once(store: Store, tmp_path: Path) -> None:
    found = statement(written(tmp_path, REPORT + GOLD), zone=ZONE)

    assert outcomes(await recorded(store, found)) == [
        ("XAUUSD", "closed", Decimal("248.30")),
        ("XAUUSD", "closed", Decimal(100)),
        ("XAUUSD", "open", None),
    ]


@pytest.mark.parametrize(
    "other",
    [
        ("150.00", "151.00"),  # A profit that the points do not give.
        ("sell,out,0.10,2015", "sell,in,0.10,2015"),  # A second position, against the first.
    ],
)
def test_deals_of_more_than_one_position_are_refused(
    tmp_path: Path, other: tuple[str, str]
) -> None:
    found = statement(written(tmp_path, REPORT + GOLD.replace(*other)), zone=ZONE)

    assert found.executions == ()
    assert {one.column for one in found.rejected} == {"Profit"}
    assert "its table of positions" in found.rejected[0].reason


def test_a_test_of_a_strategy_is_on_paper(tmp_path: Path) -> None:
    page = (
        "<html><head><title>Strategy Tester Report</title></head><table><tr><td>Strategy Tester"
        " Report</td></tr><tr><td>Currency:</td><td><b>EUR</b></td></tr><tr><th>Deals</th></tr>"
        "<tr><td>" + "</td><td>".join(DEALS) + "</td></tr><tr><td>"
        + "</td><td>".join(GOLD.splitlines()[1].split(",")) + "</td></tr></table></html>"
    )  # fmt: skip

    found = statement(written(tmp_path, page, "tester.html"), zone=ZONE, multiplier=Decimal(100))

    assert (found.mode, found.currency, len(found.executions)) == ("paper", "EUR", 1)


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
    file = read_trades(written(tmp_path, TABLE + ROW.replace(old, new)), zone=ZONE)

    assert (file.trades, refused(file)) == ((), [(5, column)])


@pytest.mark.parametrize(
    "junk", ["<!--" * 500_000, "<" * 2_000_000, "<td " * 500_000, "&" * 2_000_000]
)
def test_a_page_of_junk_takes_no_time_and_gives_no_trade(tmp_path: Path, junk: str) -> None:
    page = "<html><title>Trade History Report</title>" + junk

    found = statement(written(tmp_path, page, "junk.html"), zone=ZONE, mode="paper")

    assert found.executions == ()


async def test_it_is_recorded_once_with_its_own_pnl(store: Store) -> None:
    """89.80 + 20.31 - 70.78 - .70 = 38.63, -.70 for the position that never moved."""
    file = read_trades(OWN, zone=ZONE, multiplier=Decimal(1))
    for new in (5, 0):
        async with store.write() as session:
            result = await import_file(session, file)
        assert result.recorded == new
        assert result.stored_net_pnl.quantize(Decimal("0.01")) == Decimal("37.93")
