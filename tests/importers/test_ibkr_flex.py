"""IBKR Flex reports: each execution once, under IBKR's own id, checked against the net cash."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
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

HERE = Path(__file__).parent
OWN = HERE / "ibkr_flex.xml"
OWN_CSV = HERE / "ibkr_flex.csv"
SAMPLES = HERE.parents[2] / "shared" / "samples" / "tradetally"
REPORT = SAMPLES / "ibkr-flex-report.xml"
CONTRACTS = SAMPLES / "trading-calculation-contracts.json"

HEADER = (
    "ClientAccountID,CurrencyPrimary,AssetClass,Symbol,DateTime,Quantity,TradePrice,"
    "IBCommission,Buy/Sell,TradeID,Multiplier,Notes/Codes,NetCash\n"
)


def test_every_kind_of_row_is_read_in_order() -> None:
    """New York is UTC-5 in January. Booked at 16:20, at the earliest 21:20 UTC."""
    found = statement(OWN)

    assert found.rejected == ()
    assert lines(found) == [
        "2026-01-05 14:30:04 buy 103 AAPL at 150 fee 1.000309",
        "2026-01-05 14:30:04 buy 137 AAPL at 150 fee 0.200411",
        "2026-01-06 15:30:00 sell 240 AAPL at 152.5 fee 1.25",
        "2026-01-07 16:00:00 sell 1 AAPL 260116 put 150 at 2.4 fee 0.7",
        "2026-01-09 15:00:00 buy 2 SPX 260109 call 6900 at 3.1 fee 2.5",
        "2026-01-09 21:20:00 sell 2 SPX 260109 call 6900 at 0 fee 0 expired",
        "2026-01-12 17:04:40 buy 1 CZR 260821 call 30 at 0.73 fee 1.0333",
        "2026-01-13 15:15:00 sell 1 CZR 260821 call 30 at 0.9 fee 0.4",
        "2026-01-16 21:20:00 buy 1 AAPL 260116 put 150 at 0 fee 0 assigned",
        "2026-01-16 21:20:00 buy 100 AAPL at 150 fee 0 delivery",
        "2026-01-20 13:30:00 buy 1 MES at 6900.25 fee 0.62",
        "2026-01-20 14:30:00 sell 1 MES at 6904.75 fee 0.62",
    ]
    assert (found.format, found.currency, found.mode, found.zone) == (
        "ibkr_flex", "USD", "live", "America/New_York",
    )  # fmt: skip
    assert found.ignored == {"foreign exchange": 1, "cancelled deals": 1}


def test_two_fills_of_one_order_in_one_second_are_two() -> None:
    first, second, *_ = statement(OWN).executions

    assert (first.id, second.id) == ("7001", "7002")
    assert first.order == second.order == "901"
    assert (first.effect, first.account, first.dated) == ("open", "U7654321", False)


def test_what_is_cancelled_and_corrected_costs_what_was_paid_for_both() -> None:
    """-1.3666 for the cancelled two, 0 for cancelling, 0.3333 back: 1.0333 in all. Cash of the
    correction: -0.73 x 100 - 1.0333 = -74.0333."""
    corrected = next(one for one in statement(OWN).executions if one.id == "7009")

    assert (corrected.quantity, corrected.fee) == (Decimal(1), Decimal("1.0333"))
    assert corrected.cash == Decimal("-74.0333")


def test_the_cash_is_what_prices_and_fees_come_to() -> None:
    """AAPL -15451.000309 - 20550.200411 + 36598.75 = 597.54928; put 239.3; shares -15000;
    SPX -622.5; CZR -74.0333 + 89.6 = 15.5667; MES (6904.75 - 6900.25) x 5 - 1.24 = 21.26."""
    expected = Decimal("597.54928") + Decimal("239.3") - 15000 - Decimal("622.5")
    expected += Decimal("15.5667") + Decimal("21.26")

    assert moved(statement(OWN)) == expected


def test_cash_without_deals_is_reported_and_sums_are_not() -> None:
    assert [(one.kind, one.amount) for one in statement(OWN).cash] == [
        ("dividend", Decimal(26)),
        ("tax", Decimal("-3.9")),
        ("withdrawal", Decimal(-500)),
    ]


def test_an_open_position_that_the_executions_do_not_come_to_is_named() -> None:
    """AAPL: 103 + 137 - 240 + 100 assigned = 100, as stated. MSFT was bought before."""
    said = statement(OWN).assumed[-1]

    assert "MSFT 5 stated, 0 executed" in said
    assert "AAPL" not in said


def test_csv_gives_what_xml_gives() -> None:
    """Sections marked by BOS and EOS, another date format, `EST` after a time, and taxes
    (-0.5 - 0.75 = -1.25) beside the commission."""
    found = statement(OWN_CSV)

    assert (found.rejected, found.ignored) == ((), {"sums and closed lots": 1})
    assert found.executions[0].id == statement(OWN).executions[0].id
    assert lines(found) == lines(statement(OWN))[:3]
    assert [one.kind for one in found.cash] == ["dividend"]


def test_csv_may_mark_each_row_with_its_section(tmp_path: Path) -> None:
    header = '"HEADER","TRNT",' + HEADER
    row = '"DATA","TRNT",U1,USD,STK,BRK B,20260105;093000,2,500,-1,BUY,1,1,,-1001\n'
    cash = '"HEADER","CTRN","ClientAccountID","Amount","Type"\n"DATA","CTRN","U1","9","Dividends"\n'

    found = of_text(tmp_path, header + row + cash)

    assert lines(found) == ["2026-01-05 14:30:00 buy 2 BRK.B at 500 fee 1"]


def test_a_trade_confirmation_report_has_names_of_its_own(tmp_path: Path) -> None:
    text = (
        '<FlexQueryResponse queryName="Today" type="TCF"><FlexStatements><FlexStatement>'
        '<TradeConfirms><TradeConfirm accountId="DU1234567" currency="USD" assetCategory="OPT"'
        ' symbol="NVDA  260928C00232500" multiplier="100" tradeID="31" orderID="4"'
        ' execID="0.01" dateTime="20260928;093105" buySell="SELL" quantity="-1" price="1.44"'
        ' commission="-0.7735564" code="C;P" levelOfDetail="EXECUTION" /></TradeConfirms>'
        "</FlexStatement></FlexStatements></FlexQueryResponse>"
    )

    found = of_text(tmp_path, text, "confirms.xml")

    assert lines(found) == [
        "2026-09-28 13:31:05 sell 1 NVDA 260928 call 232.5 at 1.44 fee 0.7735564"
    ]
    (one,) = found.executions
    assert (one.id, one.order, one.effect, found.mode) == ("31", "4", "close", "paper")


def test_an_option_settled_in_cash_ends_at_what_it_was_settled_for(tmp_path: Path) -> None:
    """The call 6900 at 6912.5 is worth 12.5 x 100 x 2 = 2500."""
    path = changed(
        OWN,
        tmp_path,
        (
            'quantity="-2" tradePrice="0" ibCommission="0" ibCommissionCurrency="USD" netCash="0"'
            ' openCloseIndicator="C" notes="Ep"',
            'quantity="-2" tradePrice="12.5" ibCommission="0" ibCommissionCurrency="USD"'
            ' netCash="2500" openCloseIndicator="C" notes="Ex"',
        ),
    )

    settled = statement(path).executions[5]

    assert (settled.kind, settled.price, settled.cash) == (
        "settled",
        Decimal("12.5"),
        Decimal(2500),
    )


@pytest.mark.parametrize(
    ("old", "new", "column", "reason"),
    [
        ('netCash="36598.75"', 'netCash="36598.70"', "netCash", "which is 0.05 off"),
        ('quantity="-240"', 'quantity="0"', "quantity", "other than 0"),
        ('quantity="137"', 'quantity="-137"', "quantity", "contradicts BUY"),
        ('quantity="137"', 'quantity="1e999"', "quantity", "a number"),
        ('quantity="137"', 'quantity="NaN"', "quantity", "a number"),
        ('quantity="137"', f'quantity="{"9" * 400}"', "quantity", "a number"),
        ('dateTime="20260106;103000"', 'dateTime="99991231;103000"', "dateTime", "a date"),
        ('dateTime="20260106;103000"', 'dateTime="01/06/2026;103000"', "dateTime", "20260131"),
        ('assetCategory="CASH"', 'assetCategory="BOND"', "assetCategory", "record others by hand"),
        ('tradeID="7002"', 'tradeID="7001"', "tradeID", "row 11 has the same id"),
        ('tradePrice="0" ibCommission="0" ibCommissionCurrency="USD" netCash="0"'
         ' openCloseIndicator="C" notes="Ep"',
         'tradePrice="0" ibCommission="0" ibCommissionCurrency="USD" netCash="0"'
         ' openCloseIndicator="C" notes=""', "notes", "Notes/Codes"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_understood_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, column: str, reason: str
) -> None:
    found = statement(changed(OWN, tmp_path, (old, new)))

    (refused,) = found.rejected
    assert refused.column == column
    assert reason in refused.reason


def test_an_index_option_that_ends_in_the_money_without_its_cash_is_refused(
    tmp_path: Path,
) -> None:
    found = statement(changed(OWN, tmp_path, ('notes="Ep"', 'notes="Ex"')))

    (refused,) = found.rejected
    assert (refused.column, "settles in cash" in refused.reason) == ("tradePrice", True)


def test_a_future_that_expires_is_sold_at_its_settlement_and_delivers_nothing(
    tmp_path: Path,
) -> None:
    last = 'openCloseIndicator="C" notes="" buySell="SELL" ibOrderID="908"'
    path = changed(OWN, tmp_path, (last, last.replace('notes=""', 'notes="Ep"')))

    future = statement(path).executions[-1]

    assert (future.kind, future.delivery, future.price) == ("trade", False, Decimal("6904.75"))


def test_an_option_whose_terms_were_adjusted_is_refused(tmp_path: Path) -> None:
    header = HEADER.replace("Notes/Codes", "UnderlyingSymbol")
    text = header + "U1,USD,OPT,XYZ1  260116C00010000,20260105;093000,1,1,-1,BUY,1,100,XYZ,-101\n"

    (refused,) = of_text(tmp_path, text).rejected

    assert (refused.column, refused.value) == ("symbol", "XYZ1")


def test_an_option_on_a_future_is_kept_under_the_future(tmp_path: Path) -> None:
    """Its root may end in a digit. 2 x 10.5 x 50 + 3 = 1053."""
    header = HEADER.replace("Notes/Codes", "UnderlyingSymbol,Strike,Expiry,Put/Call")
    text = header + (
        "U1,USD,FOP,EW3F6 P6800,20260105;093000,2,10.5,-3,BUY,1,50,ESH6,6800,20260116,P,-1053\n"
    )

    (one,) = of_text(tmp_path, text).executions

    assert (one.instrument.ticker, one.instrument.multiplier) == ("ES", Decimal(50))
    assert (one.instrument.option_type, one.instrument.strike) == ("put", Decimal(6800))


def test_a_cancellation_of_what_is_elsewhere_is_refused(tmp_path: Path) -> None:
    """So is the correction, for the deal of the same id still stands."""
    found = statement(changed(OWN, tmp_path, ('origTradeID="7009"', 'origTradeID="6999"')))

    assert refused(found) == [(20, "trade"), (21, "tradeID")]
    assert "export a period that has both" in found.rejected[0].reason


def test_what_moves_a_position_without_a_deal_is_refused(tmp_path: Path) -> None:
    text = (
        "<FlexQueryResponse><CorporateActions>"
        '<CorporateAction type="FS" quantity="300" description="&lt;b&gt;" />'
        '<CorporateAction type="CD" quantity="0" levelOfDetail="DETAIL" />'
        '</CorporateActions>\n<Transfers><Transfer type="ACATS" quantity="7" /></Transfers>'
        "</FlexQueryResponse>"
    )

    found = of_text(tmp_path, text, "actions.xml")

    assert refused(found) == [(1, "quantity"), (2, "quantity")]
    assert all("by hand" in one.reason for one in found.rejected)


def test_one_currency_is_kept_and_the_others_are_refused_or_left_out(tmp_path: Path) -> None:
    text = HEADER + "".join(
        f"U1,{currency},STK,{symbol},20260105;09300{second},1,10,-1,BUY,{second},1,,-11\n"
        for second, (currency, symbol) in enumerate([("USD", "A"), ("EUR", "B"), ("USD", "C")])
    )

    found = of_text(tmp_path, text)
    asked = of_text(tmp_path, text, currency="EUR")

    assert (found.currency, refused(found)) == ("USD", [(3, "currency")])
    assert [one.instrument.ticker for one in found.executions] == ["A", "C"]
    assert (asked.currency, asked.rejected) == ("EUR", ())
    assert asked.ignored == {"deals in other currencies": 2}


def test_the_zone_asked_for_wins(tmp_path: Path) -> None:
    text = HEADER + "U1,EUR,STK,SAP,20260105;093000,1,10,-1,BUY,1,1,,-11\n"

    found = of_text(tmp_path, text, zone="Europe/Berlin")

    assert lines(found) == ["2026-01-05 08:30:00 buy 1 SAP at 10 fee 1"]
    assert found.assumed == ()


def test_a_file_of_orders_alone_is_refused(tmp_path: Path) -> None:
    text = "<FlexQueryResponse><Order quantity='1' levelOfDetail='ORDER' /></FlexQueryResponse>"

    with pytest.raises(Invalid, match="choose Executions"):
        of_text(tmp_path, text, "orders.xml")


def test_a_doctype_is_refused_before_any_entity_grows(tmp_path: Path) -> None:
    text = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        "<FlexQueryResponse><Trade symbol='&b;' /></FlexQueryResponse>"
    )

    with pytest.raises(Invalid, match="DOCTYPE"):
        of_text(tmp_path, text, "bomb.xml")


def test_broken_xml_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="row 2 is not XML"):
        of_text(tmp_path, "<FlexQueryResponse>\n<Trade </FlexQueryResponse>", "broken.xml")


def test_a_header_of_ten_thousand_columns_is_read(tmp_path: Path) -> None:
    more = ",".join(f"c{place}" for place in range(10_000))
    text = HEADER.strip() + "," + more + "\n"
    text += "U1,USD,STK,A,20260105;093000,1,10,-1,BUY,1,1,,-11" + "," * 10_000 + "\n"

    assert len(of_text(tmp_path, text).executions) == 1


@pytest.mark.parametrize("path", [OWN, OWN_CSV])
def test_a_report_is_recognised_as_nothing_else(path: Path) -> None:
    assert chosen(Source(path), None).name == "ibkr_flex"


@pytest.mark.skipif(not REPORT.exists(), reason="the sample is not here")
def test_a_real_report_keeps_both_fills_of_one_second() -> None:
    found = statement(REPORT)

    of_apple = [one for one in found.executions if one.instrument.ticker == "AAPL"]
    assert [(one.id, int(one.quantity)) for one in of_apple] == [
        ("TRD00003", 103),
        ("TRD00004", 137),
    ]
    assert (len(found.executions), found.rejected) == (4, ())


def published() -> str:
    cases = json.loads(CONTRACTS.read_text())["csv_import_cases"]
    named = {one["id"]: str(one["csv"]) for one in cases}
    return named["ibkr_same_order_partial_fills_round_trip"]


@pytest.mark.skipif(not CONTRACTS.exists(), reason="the sample is not here")
def test_a_published_case_of_partial_fills_in_csv(tmp_path: Path) -> None:
    """Its commission is 2.45072, of 3 executions."""
    found = of_text(tmp_path, published())

    assert len(found.executions) == 3
    assert sum(one.fee for one in found.executions) == Decimal("2.45072")
    assert [one.side for one in found.executions] == ["buy", "buy", "sell"]
    assert moved(found) == 240 * 5 - Decimal("2.45072")


async def test_executions_become_trades_from_flat_to_flat(store: Store) -> None:
    """AAPL 240 x 2.5 - 2.45072; the assigned put's trade lives on in its shares;
    SPX -620 - 2.5; CZR 17 - 1.0333 - 0.4; MES 4.5 x 5 - 1.24."""
    assert results(await recorded(store, statement(OWN))) == [
        "AAPL closed 597.54928",
        "AAPL open",
        "SPX closed -622.5",
        "CZR closed 15.5667",
        "MES closed 21.26",
    ]


async def test_a_report_in_csv_finds_what_was_recorded_from_xml(store: Store) -> None:
    trades = results(await recorded(store, statement(OWN)))

    assert results(await recorded(store, statement(OWN_CSV))) == trades


@pytest.mark.skipif(not CONTRACTS.exists(), reason="the sample is not here")
async def test_a_published_case_of_partial_fills_earns_what_it_should(
    store: Store, tmp_path: Path
) -> None:
    """240 x (305 - 300) - 2.45072."""
    assert results(await recorded(store, of_text(tmp_path, published()))) == [
        "AAPL closed 1197.54928"
    ]
