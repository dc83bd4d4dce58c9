"""A file into the ledger: all of it or nothing, and each trade once."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from store.accounts import AccountEntry, put_account
from store.database import Store
from store.errors import Conflict, Invalid
from store.importers import ImportFile
from store.importing import ImportResult, import_file
from store.models import Account, AuditEntry, Fill, Note, Trade
from store.recording import open_trade
from tests.importers.files import read_trades as read

HERE = Path(__file__).parent
HEADER = "external_id,ticker,opened_at,closed_at,quantity,entry_price,exit_price,fees\n"
GOOD = "1,AAPL,2026-01-05T15:00:00Z,2026-01-05T18:00:00Z,100,190,195,2\n"
BAD = "2,MSFT,2026-01-05T15:00:00Z,2026-01-05T18:00:00Z,0,400,401,1\n"


def of_text(folder: Path, text: str, **options: Any) -> ImportFile:
    path = folder / "trades.csv"
    path.write_text(text, encoding="utf-8")
    return read(path, **{"mode": "live", **options})


async def imported(store: Store, file: ImportFile, **options: Any) -> ImportResult:
    async with store.write() as session:
        return await import_file(session, file, **options)


async def counted(store: Store) -> dict[str, int]:
    async with store.read() as session:
        return {
            model.__tablename__: await session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Account, Trade, Fill, Note, AuditEntry)
        }


async def trades_of(store: Store) -> list[Trade]:
    async with store.read() as session:
        return list(await session.scalars(select(Trade).order_by(Trade.number)))


async def test_the_documented_example_is_recorded_and_reconciled(store: Store) -> None:
    result = await imported(store, read(HERE / "generic.csv"))

    assert (result.recorded, result.already_there, result.rejected) == (6, 0, ())
    assert result.stored_net_pnl == result.file_net_pnl == Decimal("353.05")
    trades = await trades_of(store)
    assert [(one.ticker, one.status, one.direction, one.net_pnl) for one in trades] == [
        ("AAPL", "closed", "bullish", Decimal("498")),
        ("AAPL", "closed", "bearish", Decimal("99")),
        ("TSLA", "closed", "bearish", Decimal("-1001.30")),
        ("MSFT", "open", "bullish", None),
        ("/ES", "closed", "bullish", Decimal("508")),
        ("NVDA", "closed", "bearish", Decimal("249.35")),
    ]
    assert (await counted(store))["notes"] == 1


async def test_an_option_omega_log_is_recorded_and_reconciled(store: Store) -> None:
    """By hand: six rows earn, three lose, one is break-even; 1158.00 in all."""
    result = await imported(store, read(HERE / "option_omega.csv"))

    assert result.stored_net_pnl == Decimal(1158)
    trades = await trades_of(store)
    assert [one.outcome for one in trades].count("win") == 6
    assert [one.outcome for one in trades].count("breakeven") == 1
    assert {one.mode for one in trades} == {"paper"}
    assert "iron_condor" in {one.structure for one in trades}


async def test_of_many_rows_the_one_that_cannot_be_recorded_is_named(
    store: Store, tmp_path: Path
) -> None:
    """Somebody recorded another trade under the external id of row 3, not by importing it."""
    rows = [GOOD.replace("1,AAPL", f"{number},AAPL") for number in (1, 2, 3)]
    file = of_text(tmp_path, HEADER + "".join(rows))
    assert file.account is not None
    async with store.write() as session:
        await put_account(session, file.accounts[0])
        other = file.trades[1].entry.model_copy(update={"ticker": "MSFT"})
        await open_trade(session, other)

    with pytest.raises(Conflict, match=r"trades\.csv, row 3: The external_id of this trade"):
        await imported(store, file)

    assert (await counted(store))["trades"] == 1


async def test_a_trade_that_is_known_does_not_keep_new_ones_from_being_recorded(
    store: Store, tmp_path: Path
) -> None:
    """Between two imports a row came before the known one, and one after it."""
    await imported(store, of_text(tmp_path, HEADER + GOOD))
    early = GOOD.replace("1,AAPL,2026-01-05", "0,AAPL,2026-01-04").replace(
        "2026-01-05T18", "2026-01-04T18"
    )
    late = GOOD.replace("1,AAPL", "2,AAPL").replace("2026-01-05T15", "2026-01-05T16")

    again = await imported(store, of_text(tmp_path, HEADER + late + GOOD + early))

    assert (again.recorded, again.already_there, again.numbers) == (2, 1, (2, 1, 3))


@pytest.mark.parametrize("name", ["generic.csv", "option_omega.csv"])
async def test_importing_twice_changes_nothing(store: Store, name: str) -> None:
    first = await imported(store, read(HERE / name))
    before = await counted(store)

    again = await imported(store, read(HERE / name))

    assert (again.recorded, again.already_there) == (0, first.recorded)
    assert again.numbers == first.numbers
    assert again.stored_net_pnl == first.stored_net_pnl
    assert await counted(store) == before


async def test_a_bad_row_among_good_ones_records_nothing(store: Store, tmp_path: Path) -> None:
    before = await counted(store)

    with pytest.raises(Invalid) as refusal:
        await imported(store, of_text(tmp_path, HEADER + GOOD + BAD))

    assert "1 of 2 rows" in str(refusal.value)
    assert "trades.csv, row 3, quantity '0': a number above 0 is needed" in str(refusal.value)
    assert await counted(store) == before


async def test_the_good_rows_are_taken_when_asked(store: Store, tmp_path: Path) -> None:
    result = await imported(store, of_text(tmp_path, HEADER + GOOD + BAD), take_good=True)

    assert (result.recorded, len(result.rejected)) == (1, 1)
    assert result.stored_net_pnl == Decimal(498)


async def test_identical_rows_are_two_trades_also_the_second_time(
    store: Store, tmp_path: Path
) -> None:
    row = GOOD.replace("1,AAPL", ",AAPL", 1)
    file = of_text(tmp_path, HEADER + row + row)

    await imported(store, file)
    again = await imported(store, of_text(tmp_path, HEADER + row + row + row))

    assert (again.recorded, again.already_there) == (1, 2)


async def test_a_trade_closed_since_the_last_import_is_closed(store: Store, tmp_path: Path) -> None:
    """The entry's fee of 1 stays what it was; the exit has the other 1 of 2 in all."""
    opened = "1,AAPL,2026-01-05T15:00:00Z,,100,190,,1\n"
    await imported(store, of_text(tmp_path, HEADER + opened))

    result = await imported(store, of_text(tmp_path, HEADER + GOOD))
    again = await imported(store, of_text(tmp_path, HEADER + GOOD))

    assert (result.recorded, result.already_there) == (1, 0)
    assert (again.recorded, again.already_there) == (0, 1)
    (trade,) = await trades_of(store)
    assert (trade.status, trade.net_pnl) == ("closed", Decimal(498))


async def test_a_row_with_other_values_than_before_is_a_conflict(
    store: Store, tmp_path: Path
) -> None:
    await imported(store, of_text(tmp_path, HEADER + GOOD))

    with pytest.raises(Conflict, match=r"row 2: an earlier import recorded this trade \(number 1"):
        await imported(store, of_text(tmp_path, HEADER + GOOD.replace("195", "196")))

    (trade,) = await trades_of(store)
    assert trade.net_pnl == Decimal(498)


async def test_an_edited_note_is_appended(store: Store, tmp_path: Path) -> None:
    header, row = HEADER.replace("fees\n", "fees,notes\n"), GOOD.rstrip()

    for note in ("first", "first", "second"):
        await imported(store, of_text(tmp_path, f"{header}{row},{note}\n"))

    assert (await counted(store))["notes"] == 2


async def test_an_account_that_exists_keeps_its_zone_and_tolerance(
    store: Store, tmp_path: Path
) -> None:
    entry = AccountEntry(name="Main", mode="live", zone="Europe/Berlin", tolerance=Decimal(5))
    async with store.write() as session:
        await put_account(session, entry)

    await imported(store, of_text(tmp_path, HEADER + GOOD, account="main"))

    assert (await counted(store))["accounts"] == 1


@pytest.mark.parametrize(
    ("existing", "said"),
    [({"mode": "paper"}, "is paper"), ({"mode": "live", "currency": "EUR"}, "is in EUR")],
)
async def test_an_account_of_another_kind_is_a_conflict(
    store: Store, tmp_path: Path, existing: dict[str, str], said: str
) -> None:
    async with store.write() as session:
        await put_account(session, AccountEntry.model_validate({"name": "Main", **existing}))

    with pytest.raises(Conflict, match=said):
        await imported(store, of_text(tmp_path, HEADER + GOOD, account="Main", currency="USD"))

    assert (await counted(store))["trades"] == 0


async def test_progress_is_told_row_by_row(store: Store) -> None:
    seen: list[tuple[int, int]] = []

    await imported(
        store, read(HERE / "generic.csv"), progress=lambda done, total: seen.append((done, total))
    )

    assert seen == [(done, 6) for done in range(1, 7)]
