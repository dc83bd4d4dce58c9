"""IBKR's activity statement: one file, many tables, localized thousands, no ids."""

from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.importers import chosen
from store.statements.source import Source
from tests.importers.files import (
    changed,
    lines,
    moved,
    of_text,
    recorded,
    refused,
    results,
    statement,
)

OWN = Path(__file__).parent / "ibkr_activity.csv"
HEADER = (
    "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,"
    "C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code\n"
)


def test_orders_of_every_category_are_read_once() -> None:
    """New York is UTC-5 in January."""
    found = statement(OWN)

    assert found.rejected == ()
    assert lines(found) == [
        "2026-01-05 15:30:00 buy 1200 F at 12.5 fee 6",
        "2026-01-06 16:00:00 sell 1200 F at 12.75 fee 6.25",
        "2026-01-08 17:00:00 sell 3 F 260116 put 12 at 0.41 fee 2.1",
        "2026-01-12 15:00:00 buy 1 XSP 260116 call 690 at 1.2 fee 1.05",
        "2026-01-12 15:05:00 buy 1 AAPL 260116 call 300 at 0.1 fee 0.6",
        "2026-01-16 21:20:00 buy 3 F 260116 put 12 at 0 fee 0 assigned",
        "2026-01-16 21:20:00 sell 1 XSP 260116 call 690 at 2.35 fee 0 settled",
        "2026-01-16 21:20:00 sell 1 AAPL 260116 call 300 at 0 fee 0 expired",
        "2026-01-16 21:20:00 buy 300 F at 12 fee 0 delivery",
        "2026-01-20 12:01:59 buy 1 MES at 6900.25 fee 0.62",
        "2026-01-20 12:27:50 sell 1 MES at 6904.75 fee 0.62",
    ]
    assert (found.format, found.currency, found.mode) == ("ibkr_activity", "USD", "live")
    assert {one.account for one in found.executions} == {"U7654321"}
    assert {one.id for one in found.executions} == {None}
    assert found.ignored == {
        "parts of orders and closed lots": 3,
        "foreign exchange": 1,
        "cancelled deals": 1,
    }


def test_the_cash_is_what_the_statement_realized_and_paid() -> None:
    """F 287.75 realized; put 123 - 2.1 = 120.9; shares -3600; XSP 113.95; AAPL -10.6;
    MES 21.26: the statement's own Realized P/L of each."""
    expected = Decimal("287.75") + Decimal("120.9") - 3600
    expected += Decimal("113.95") - Decimal("10.6") + Decimal("21.26")

    assert moved(statement(OWN)) == expected


def test_cash_is_reported_without_its_sums() -> None:
    """The commission of the cancelled two shares, -1, came back with the cancellation, +1."""
    assert [(one.kind, one.amount) for one in statement(OWN).cash] == [
        ("dividend", Decimal(45)),
        ("tax", Decimal("-6.75")),
        ("fee", Decimal("-0.03")),
        ("deposit", Decimal(10_000)),
    ]


def test_a_future_without_its_description_has_the_multiplier_of_its_notional(
    tmp_path: Path,
) -> None:
    path = changed(OWN, tmp_path, ("Data,Futures,MESH6,MES 20MAR26", "Data,Futures,OTHER,OTHER"))

    future = statement(path).executions[-1].instrument

    assert (future.multiplier, future.ticker, future.symbol) == (Decimal(5), "MES", "MESH6")


def test_a_mini_option_keeps_its_multiplier(tmp_path: Path) -> None:
    """100 at 3 x 0.41 is 123; a mini of 10 comes to 12.30."""
    path = changed(
        OWN,
        tmp_path,
        ("F 16JAN26 12 P,1,F,CBOE,100", "F 16JAN26 12 P,1,F,CBOE,10"),
        (",0.41,0.4,123,", ",0.41,0.4,12.3,"),
    )

    assert statement(path).executions[2].instrument.multiplier == 10


def test_executions_are_taken_where_there_are_no_orders(tmp_path: Path) -> None:
    rows = "".join(
        f'Trades,Data,Trade,Stocks,USD,F,"2026-01-05, 10:30:0{second}",1,12,,-12,-1,,,,O\n'
        for second in (0, 1)
    )

    assert len(of_text(tmp_path, HEADER + rows).executions) == 2


def test_a_consolidated_statement_names_the_account_and_the_firm(tmp_path: Path) -> None:
    header = HEADER.replace("Currency,Symbol", "Currency,Account,Symbol")
    row = (
        "Trades,Data,Order,Stocks - Held with Interactive Brokers Ltd,USD,DU1,F,"
        '"2026-01-05, 10:30:00",1,12,,-12,-1,,,,O\n'
    )

    found = of_text(tmp_path, header + row)

    assert ([one.account for one in found.executions], found.mode) == (["DU1"], "paper")


@pytest.mark.parametrize(
    ("old", "new", "column", "reason"),
    [
        ('"15,300"', '"15,301"', "Proceeds", "which is 1.00 off"),
        ('"-1,200",12.75', '"-1,2000",12.75', "Quantity", "a number"),
        ('"-1,200",12.75', "1e999,12.75", "Quantity", "a number"),
        ('"2026-01-06, 11:00:00"', "2026-01-06, 11:00:00", "row", "more fields"),
        ('"2026-01-06, 11:00:00"', '"9999-01-06, 11:00:00"', "Date/Time", "a date such as"),
        ("AAPL 16JAN26 300 C,\"2026-01-12", "AAPL 300 C,\"2026-01-12", "Symbol", "AAPL 16JAN26"),
        ("Order,Forex,USD", "Order,Bonds,USD", "Asset Category", "by hand"),
        ("Order,Stocks,USD,BRK B,\"2026-01-07, 09:31:00\",-2",
         "Order,Stocks,USD,BRK B,\"2026-01-07, 09:32:00\",-2", "trade", "not in this file"),
        ("Order,Stocks,USD,F,\"2026-01-06", "Order,Stocks,USD,=cmd|'/C calc'!A0,\"2026-01-06",
         "Symbol", "a symbol such as"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_understood_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, column: str, reason: str
) -> None:
    found = statement(changed(OWN, tmp_path, (old, new)))

    (refused,) = found.rejected
    assert refused.column == column
    assert reason in refused.reason


def test_what_moves_a_position_without_a_deal_is_refused(tmp_path: Path) -> None:
    text = HEADER + (
        "Corporate Actions,Header,Asset Category,Currency,Report Date,Date/Time,Description,"
        "Quantity,Proceeds,Value,Realized P/L,Code\n"
        'Corporate Actions,Data,Stocks,USD,2026-01-06,"2026-01-05, 20:25:00",<b>Split 4:1</b>,'
        "300,0,0,0,\n"
        "Corporate Actions,Data,Total,,,,,,0,0,0,\n"
        "Transfers,Header,Asset Category,Currency,Symbol,Date,Type,Direction,Xfer Company,"
        "Xfer Account,Qty,Xfer Price,Market Value,Realized P/L,Cash Amount,Code\n"
        "Transfers,Data,Stocks,USD,F,2026-01-07,ACATS,In,--,X1,50,--,600,0,0,\n"
    )

    found = of_text(tmp_path, text)

    assert refused(found) == [(3, "Quantity"), (6, "Quantity")]


def test_a_statement_is_recognised_as_nothing_else() -> None:
    assert chosen(Source(OWN), None).name == "ibkr_activity"


async def test_orders_become_trades_from_flat_to_flat(store: Store) -> None:
    """The statement's Realized P/L of each: F 287.75, XSP 113.95, AAPL -10.6, MES 21.26. The
    assigned put lives on in its shares."""
    assert results(await recorded(store, statement(OWN))) == [
        "F closed 287.75",
        "F open",
        "XSP closed 113.95",
        "AAPL closed -10.6",
        "MES closed 21.26",
    ]
