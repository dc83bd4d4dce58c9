"""A mapping of columns: any broker's table, the shipped mappings, and those a user saves."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from store.database import Store
from store.errors import Invalid
from store.importers.mapped import mapping
from store.statements.execution import Statement
from tests.importers.files import cash, outcomes, recorded, refused, statement, written

CASES = Path(__file__).parents[3] / "shared/samples/tradetally/trading-calculation-contracts.json"

PROJECTX = """\
Id,AccountName,ContractName,Status,Type,Size,Side,FilledAt,ExecutePrice,PositionDisposition
11,SIM-1,MESM6,Filled,Market,2,Bid,06/11/2026 07:45:21 -06:00,7300.5,Opening
12,SIM-1,MESM6,Filled,Market,2,Ask,06/11/2026 07:46:21 -06:00,7303.75,Closing
13,SIM-1,MESM6,Rejected,Stop,1,Ask,,,Undetermined
14,SIM-1,ZZZM6,Filled,Market,1,Bid,06/11/2026 07:47:00 -06:00,1.5,Opening
15,SIM-1,MESM6,Haunted,Market,1,Bid,06/11/2026 07:48:00 -06:00,7300,Opening
"""
# ruff: noqa: E501
NINJA = """\
Trade number,Instrument,Account,Market pos.,Qty,Entry price,Exit price,Entry time,Exit time,Profit,Commission,Clearing Fee,
1,MES 09-26,SIM101,Short,1,7423.75,7436.00,7/28/2026 10:17:59 AM,7/28/2026 10:24:02 AM,($62.45),$1.00,$0.20,
2,MES 09-26,SIM101,Long,1,7423.75,7436.00,7/28/2026 11:17:59 AM,7/28/2026 11:24:02 AM,$60.06,$1.00,$0.20,
3,MES 09-26,SIM101,Long,1,7423.75,7436.00,7/28/2026 11:17:59 AM,7/28/2026 10:24:02 AM,$60.05,$1.00,$0.20,
"""
GERMAN = """\
Depot 4711;;;;;;
;;;;;;
Valuta;Uhrzeit;Titel;Vorgang;Stück;Kurs;Betrag
05.01.2026;15:30:00;SAP;Kauf;1.000;120,50;-120.509,90
06.01.2026;09:15:00;SAP;Verkauf;1.000;121,00;120.990,10
07.01.2026;09:15:00;SAP;Dividende;;;12,34
08.01.2026;09:15:00;SAP;Umbuchung;5;;
09.01.2026;09:15:00;SAP;Kauf;10;120,50;-2.000,00
"""
GERMAN_MAPPING = """\
broker = "Hausbank"
currency = "EUR"
zone = "Europe/Berlin"
decimal = ","
moments = "%d.%m.%Y %H:%M:%S"

[columns]
symbol = "Titel"
at = "Valuta"
time = "Uhrzeit"
side = "Vorgang"
quantity = "Stück"
price = "Kurs"
amount = "Betrag"

[words]
side = { Kauf = "buy", Verkauf = "sell" }
cash = { Dividende = "dividend" }
ignored = ["Umbuchung"]
"""


@pytest.fixture(autouse=True)
def data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TRADE_HISTORY_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def mapped(folder: Path, text: str, by: str, **options: Any) -> Statement:
    return statement(written(folder, text), mapping=by, **options)


def test_every_shipped_mapping_is_one(data_folder: Path) -> None:
    names = mapping.known(data_folder)

    assert names == [
        "etrade_activity",
        "ninjatrader_trades",
        "projectx_completed",
        "projectx_orders",
    ]
    assert all(mapping.found(name, data_folder).broker for name in names)


def test_orders_of_futures_take_their_multiplier_from_the_mapping(tmp_path: Path) -> None:
    """(7303.75 - 7300.5) x 2 x 5 = 32.50. 07:45:21 at -06:00 is 13:45:21 UTC."""
    found = mapped(tmp_path, PROJECTX, "projectx_orders")

    assert cash(found) == {"MES": Decimal("32.50")}
    assert found.executions[0].at == datetime(2026, 6, 11, 13, 45, 21, tzinfo=UTC)
    assert [(one.id, one.effect, one.account) for one in found.executions] == [
        ("11", "open", "SIM-1"),
        ("12", "close", "SIM-1"),
    ]
    assert found.ignored == {"rejected": 1}


def test_a_future_without_a_multiplier_and_an_unknown_state_are_refused(tmp_path: Path) -> None:
    found = mapped(tmp_path, PROJECTX, "projectx_orders")

    assert refused(found) == [(5, "ContractName"), (6, "Status")]
    again = mapped(tmp_path, PROJECTX, "projectx_orders", multiplier=Decimal(10))
    assert refused(again) == [(6, "Status")]


def test_an_entry_and_an_exit_in_one_row_are_two_executions(tmp_path: Path) -> None:
    """-12.25 x 5 - 1.20 = -62.45. A row that says 60.06 for 60.05, and one that ends before it
    begins, are refused. 10:17:59 in Chicago is 15:17:59 UTC in summer."""
    found = mapped(tmp_path, NINJA, "ninjatrader_trades", zone="America/Chicago")

    assert cash(found) == {"MES": Decimal("-62.45")}
    assert [(one.side, one.effect, one.fee) for one in found.executions] == [
        ("sell", "open", Decimal(0)),
        ("buy", "close", Decimal("1.20")),
    ]
    assert found.executions[0].at == datetime(2026, 7, 28, 15, 17, 59, tzinfo=UTC)
    assert refused(found) == [(3, "Profit"), (4, "Exit time")]
    assert found.rejected[0].reason == ("quantity, price and fees come to 60.05, which is 0.01 off")


def test_rows_that_begin_and_end_at_once_keep_entry_before_exit(tmp_path: Path) -> None:
    """Newest first, each over in the second in which it began."""
    row = (
        "1,MES 09-26,S,Short,1,7436,7423.75,7/{0}/2026 10:17:59 AM,7/{0}/2026 10:17:59 AM,$61.25\n"
    )
    text = NINJA.splitlines(keepends=True)[0] + row.format(28) + row.format(27)

    found = mapped(tmp_path, text, "ninjatrader_trades", zone="America/Chicago")

    assert [one.effect for one in found.executions] == ["open", "close", "open", "close"]
    assert [one.at.day for one in found.executions] == [27, 27, 28, 28]


def test_moments_without_an_offset_ask_for_their_zone(tmp_path: Path) -> None:
    found = mapped(tmp_path, NINJA, "ninjatrader_trades")

    assert found.executions == ()
    assert "--zone" in found.rejected[0].reason


def test_a_mapping_of_ones_own_reads_decimal_commas_and_titles(tmp_path: Path) -> None:
    """1000 x 120.50 = 120,500 and 9.90 of fees; 121,000 less 9.90: 480.20. 10 shares for 1,205
    cannot have cost 2,000. 15:30 in Berlin is 14:30 UTC in winter."""
    by = written(tmp_path, GERMAN_MAPPING, "bank.toml")

    found = mapped(tmp_path, GERMAN, str(by))

    assert cash(found) == {"SAP": Decimal("480.20")}
    assert [one.fee for one in found.executions] == [Decimal("9.90"), Decimal("9.90")]
    assert found.executions[0].at == datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
    assert [(one.kind, one.amount) for one in found.cash] == [("dividend", Decimal("12.34"))]
    assert found.ignored == {"umbuchung": 1}
    assert refused(found) == [(8, "Betrag")]
    assert (found.currency, found.broker) == ("EUR", "Hausbank")


def test_options_are_known_by_symbol_columns_or_description(tmp_path: Path) -> None:
    columns = {
        "symbol": "Symbol", "quantity": "Qty", "price": "Price", "at": "Day",
        "description": "Text", "option_type": "Type", "strike": "Strike", "expiry": "Expiry",
    }  # fmt: skip
    by = written(
        tmp_path, json.dumps({"broker": "Mine", "days": ["%Y-%m-%d"], "columns": columns}), "m.json"
    )
    rows = (
        "Symbol,Qty,Price,Day,Text,Type,Strike,Expiry\n"
        "AAPL  260116C00150000,1,2,2026-01-05,,,,\n"
        "AAPL,-1,3,2026-01-06,PUT  AAPL   01/16/26   150.000,,,\n"
        "AAPL,2,4,2026-01-06,,CALL,150,2026-01-16\n"
        "AAPL,2,190,2026-01-06,,,,\n"
    )

    found = mapped(tmp_path, rows, str(by))

    terms = [(one.instrument.option_type, one.instrument.strike) for one in found.executions]
    assert terms == [("call", 150), ("put", 150), ("call", 150), (None, None)]
    assert {one.instrument.expiry for one in found.executions[:3]} == {date(2026, 1, 16)}
    assert [one.side for one in found.executions] == ["buy", "sell", "buy", "buy"]
    assert all(one.dated for one in found.executions)
    assert found.assumed[0] == "the mapping names no fees; none are recorded"


def test_a_saved_mapping_is_found_by_its_name(tmp_path: Path, data_folder: Path) -> None:
    by = written(tmp_path, GERMAN_MAPPING, "bank.toml")

    kept = mapping.save(by, "hausbank", data_folder / "mappings")

    assert kept.parent == data_folder / "mappings"
    assert cash(mapped(tmp_path, GERMAN, "hausbank")) == {"SAP": Decimal("480.20")}
    assert "hausbank" in mapping.known(data_folder / "mappings")


@pytest.mark.parametrize("name", ["../evil", "", "A B", "x" * 61])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    by = written(tmp_path, GERMAN_MAPPING, "bank.toml")

    with pytest.raises(Invalid, match="is no name"):
        mapping.save(by, name, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("broker = ", "is not TOML"),
        (GERMAN_MAPPING.replace('broker = "Hausbank"\n', ""), "broker: Field required"),
        (GERMAN_MAPPING.replace('price = "Kurs"\n', ""), "names no columns for price"),
        (GERMAN_MAPPING.replace("symbol", "sybmol"), "columns.symbol: Field required"),
        (GERMAN_MAPPING.replace('"buy"', '"kauf"'), "words.side.kauf"),
        (GERMAN_MAPPING + "[multipliers]\nES = -5\n", "multipliers.ES"),
    ],
)
def test_a_mapping_that_is_none_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    by = written(tmp_path, text, "bank.toml")

    with pytest.raises(Invalid) as refusal:
        mapped(tmp_path, GERMAN, str(by))

    assert "bank.toml" in str(refusal.value)
    assert said in str(refusal.value)


def test_an_unknown_mapping_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"No mapping 'ninja'\. Known: etrade_activity, ninjatrader"):
        mapped(tmp_path, NINJA, "ninja")


def test_a_file_without_the_columns_says_which(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no header with the mapping's columns: Instrument; "):
        mapped(tmp_path, PROJECTX, "ninjatrader_trades")


def test_a_header_of_ten_thousand_columns_and_a_hostile_row_do_no_harm(tmp_path: Path) -> None:
    wide = ",".join(f"c{number}" for number in range(10_000))
    head = f"Id,Status,{wide},AccountName,ContractName,Size,Side,FilledAt,ExecutePrice\n"
    row = f"1,Filled{',' * 10_000},a,=cmd|x,1e999,Bid,9999-12-31,NaN\n"

    found = mapped(tmp_path, head + row, "projectx_orders")

    assert (found.executions, len(found.rejected)) == ((), 1)


@pytest.mark.skipif(not CASES.exists(), reason="the sample is not here")
@pytest.mark.parametrize(
    ("case", "by", "came_to"),
    [
        # 1498.19 - 1091.81
        ("etrade_detailed_activity_option_round_trip", "etrade_activity", {"MDB": "406.38"}),
        ("etrade_suffixed_headers_option_round_trip", "etrade_activity", {"MDB": "406.38"}),
        # 15 x 10 x 2
        ("projectx_completed_order_rows", "projectx_completed", {"MNQ": "300"}),
        # 3.25 x 5; the sample says so
        ("projectx_order_history_bid_ask_round_trip", "projectx_orders", {"MES": "16.25"}),
        # the sample says so
        ("ninjatrader_trade_performance_accounting_costs", "ninjatrader_trades", {"MES": "-62.90"}),
    ],
)
def test_known_exports_give_their_results(
    tmp_path: Path, case: str, by: str, came_to: dict[str, str]
) -> None:
    cases = json.loads(CASES.read_text(encoding="utf-8"))["csv_import_cases"]
    sample = next(one for one in cases if one["id"] == case)

    found = mapped(tmp_path, sample["csv"], by, zone="America/New_York")

    assert found.rejected == ()
    assert cash(found) == {ticker: Decimal(net) for ticker, net in came_to.items()}
    expected = sample["expected"]
    assert [one.price for one in found.executions] == [
        Decimal(str(expected["entry_price"])),
        Decimal(str(expected["exit_price"])),
    ]
    assert {one.quantity for one in found.executions} == {expected["quantity"]}
    side = "buy" if expected["side"] == "long" else "sell"
    assert found.executions[0].side == side


async def test_its_trades_are_recorded_once(store: Store, tmp_path: Path) -> None:
    found = mapped(tmp_path, PROJECTX, "projectx_orders", mode="paper")

    assert outcomes(await recorded(store, found)) == [("MES", "closed", Decimal("32.50"))]
