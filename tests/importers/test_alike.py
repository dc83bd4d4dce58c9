"""What is the same whatever the broker: how files are recognised, booked and put in order."""

from pathlib import Path

from tests.importers.files import fitting, statement, written

ROBINHOOD = (
    '"Activity Date","Instrument","Description","Trans Code","Quantity","Price","Amount"\n'
    '"1/6/2026","AAPL","Apple","Buy","1","$10.00","($10.00)"\n'
)
MAPPING = """\
broker = "Bank"
days = ["%Y-%m-%d"]
[columns]
symbol = "Symbol"
side = "Side"
quantity = "Quantity"
price = "Price"
at = "Date"
account = "Account"
[words]
side = { buy = "buy" }
"""


def test_a_file_that_one_format_cannot_cut_is_still_known_by_another(tmp_path: Path) -> None:
    """A quote inside of a field is an error where a file is cut strictly."""
    text = ROBINHOOD.replace('"Apple"', '"Apple" Inc')

    assert fitting(written(tmp_path, text)) == ["robinhood"]


def test_rows_of_an_account_that_has_no_possible_name_are_refused(tmp_path: Path) -> None:
    by = written(tmp_path, MAPPING, "bank.toml")
    rows = "".join(f"2026-01-05,AAPL,buy,1,10,{account}\n" for account in ("A1", "9" * 200, ""))
    path = written(tmp_path, "Date,Symbol,Side,Quantity,Price,Account\n" + rows)

    found = statement(path, mapping=str(by))

    assert [one.account for one in found.executions] == ["A1", None]
    assert {str(number) for number in found.accounts} == {"A1", "None"}
    assert [(one.row, one.column) for one in found.rejected] == [(3, "account")]


def test_trades_read_by_a_mapping_have_its_name_as_their_source(tmp_path: Path) -> None:
    by = written(tmp_path, MAPPING, "Bank_2.toml")
    path = written(
        tmp_path, "Date,Symbol,Side,Quantity,Price\n2026-01-05,AAPL,buy,1,10\n", "deals.csv"
    )

    assert statement(path, mapping=str(by)).format == "mapped:bank_2"
