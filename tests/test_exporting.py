"""Exports: what leaves the ledger, exact, whole where the format can, and harmless."""

import csv
import io
import json
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.accounts import AccountEntry, list_accounts, put_account
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.demo import record_demo
from store.errors import Invalid, NotFound
from store.exporting import Export
from store.importers import read
from store.importers.formulas import guarded, unguarded
from store.importing import import_file
from store.queries.filters import Filters
from store.recording import add_note, open_trade
from store.records import TradeEntry
from store.schema import add_user
from tests.ledger import record

BOUGHT = datetime(2026, 1, 5, 15, tzinfo=UTC)
SOLD = datetime(2026, 1, 6, 15, tzinfo=UTC)
# What identifies nothing and is nothing of a trade's own.
NOT_SAID = {"number", "recorded_at", "source", "external_id", "corrections", "broker_order_id",
            "stop_order_id", "target_order_id", "legs", "unrealised_pnl"}  # fmt: skip
# What a formula begins with, to OWASP; the last four are the full-width forms.
FIRST = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


async def exported(
    store: Store, export: Export | None = None, user_id: int | None = None, **asked: Any
) -> bytes:
    export = export or Export(**asked)
    async with store.read(user_id) as session:
        return b"".join([chunk async for chunk in export.chunks(session)])


async def lines(store: Store, **asked: Any) -> list[dict[str, Any]]:
    written = await exported(store, format="jsonl", **asked)
    return [json.loads(line) for line in written.splitlines()]


async def rows(store: Store, **asked: Any) -> list[dict[str, str]]:
    written = await exported(store, **asked)
    return list(csv.DictReader(io.StringIO(written.decode(), newline="")))


def fill(side: str, price: str, at: datetime, **more: str) -> dict[str, Any]:
    return {"side": side, "quantity": "1", "price": price, "filled_at": at, **more}


def spread() -> TradeEntry:
    """A put credit spread: sold at 2.00 and 0.50, bought back at 1.00 and 0.25; 1 of fees."""
    legs = [
        {"instrument": "option", "option_type": "put", "strike": strike, "expiry": "2026-02-20",
         "fills": [fill(first, bid, BOUGHT, fee="0.25"), fill(last, ask, SOLD, fee="0.25")]}
        for strike, first, bid, last, ask in (
            ("100", "sell", "2.00", "buy", "1.00"), ("95", "buy", "0.50", "sell", "0.25"),
        )
    ]  # fmt: skip
    return TradeEntry.model_validate({"account": "main", "ticker": "SPY", "legs": legs})


def share(**said: Any) -> TradeEntry:
    """One share, bought at 10 and sold at 12, a fee of 0.10 each way: 1.80 net."""
    fills = [fill("buy", "10", BOUGHT, fee="0.10"), fill("sell", "12", SOLD, fee="0.10")]
    leg = {"instrument": "equity", "fills": said.pop("fills", fills)}
    return TradeEntry.model_validate({"account": "main", "ticker": "AAPL", "legs": [leg], **said})


async def kept(store: Store, *entries: TradeEntry, **account: Any) -> list[int]:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="live", **account))
        return [(await open_trade(session, entry)).number for entry in entries]


def of_the_trade(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in NOT_SAID}


async def moved_on(store: Store, tmp_path: Path, accounts: Iterable[AccountEntry] = ()) -> Store:
    """Everything exported as CSV, and imported for another user, whose ledger is empty."""
    path = tmp_path / "export.csv"
    path.write_bytes(await exported(store, notes=True))
    await add_user(store, 2, "other")
    async with store.write(2) as session:
        for account in accounts:
            await put_account(session, account)
        await import_file(session, read(path))
    return store


async def test_the_demo_comes_back_from_csv_as_it_was(store: Store, tmp_path: Path) -> None:
    """Every trade that is one leg, one entry and one exit; the rest is counted, by reason.

    The second method is the JSON lines of both ledgers: prices, P&L, outcome, risk, conditions.
    """
    await record_demo(store)
    async with store.read() as session:
        accounts = [
            AccountEntry(name=one.name, mode=one.mode, tolerance=one.tolerance)  # type: ignore[arg-type]
            for one in await list_accounts(session)
        ]
    whole = await lines(store)
    sayable = [
        line for line in whole
        if line["status"] in ("open", "closed") and len(line["legs"]) == 1
        and len(line["legs"][0]["fills"]) == 1 + (line["status"] == "closed")
    ]  # fmt: skip

    export = Export()
    await exported(store, export)
    await moved_on(store, tmp_path, accounts)

    async with store.read(2) as session:
        again = [
            json.loads(line)
            async for chunk in Export("jsonl").chunks(session)
            for line in chunk.splitlines()
        ]
    by_id = {line["external_id"]: of_the_trade(line) for line in again}
    assert by_id == {line["external_id"]: of_the_trade(line) for line in sayable}
    assert len(again) == export.report.written == len(sayable)
    assert sum(export.report.left_out.values()) == len(whole) - len(sayable)


async def test_csv_is_the_format_that_import_reads(store: Store) -> None:
    """1.80 net: 12 - 10 - 0.20, the fees of both sides in one number."""
    await kept(store, share(strategy="swing", scanner_score="71", conditions={"vix": Decimal(15)}))

    [row] = await rows(store)

    assert {name: value for name, value in row.items() if value} == {
        "opened_at": "2026-01-05T15:00:00+00:00", "closed_at": "2026-01-06T15:00:00+00:00",
        "account": "main", "mode": "live", "ticker": "AAPL", "direction": "long",
        "strategy": "swing", "structure": "single", "instrument": "equity", "multiplier": "1",
        "quantity": "1", "entry_price": "10", "exit_price": "12", "fees": "0.2",
        "scanner_score": "71", "exit_reason": "manual", "status": "closed", "condition.vix": "15",
    }  # fmt: skip


async def test_what_csv_cannot_say_is_left_out_and_counted(store: Store) -> None:
    scaled = [fill("buy", "10", BOUGHT), fill("buy", "11", BOUGHT), fill("sell", "12", SOLD,
              quantity="2")]  # fmt: skip
    numbers = await kept(
        store, share(), spread(), share(fills=scaled), share(direction="bearish"),
        share(conditions={"grade": "7"}), share(external_id="wrong"), share(external_id="gone"),
    )  # fmt: skip
    async with store.write() as session:
        await correct_trade(session, numbers[5], share(ticker="MSFT"), reason="typed wrongly")
        await void_trade(session, numbers[6], reason="a test")
    export = Export()

    written = (await exported(store, export)).decode()

    assert [line.split(",")[5] for line in written.splitlines()[1:]] == ["AAPL", "MSFT"]
    assert export.report.written == 2
    assert export.report.left_out == {
        "superseded or void": 2,
        "of several legs": 1,
        "of several entries or exits": 1,
        "with something that has no column": 2,
    }


async def test_json_lines_have_a_trade_whole(store: Store) -> None:
    """(2 - 1) - (0.50 - 0.25), times 100, less 4 x 0.25: 74."""
    await kept(store, spread())

    [line] = await lines(store)

    assert (line["gross_pnl"], line["fees"], line["net_pnl"]) == ("75.00", "1.00", "74.00")
    assert [(leg["strike"], len(leg["fills"])) for leg in line["legs"]] == [("100", 2), ("95", 2)]
    assert line["legs"][0]["fills"][1] == {
        "fill_number": 2, "side": "buy", "quantity": "1", "price": "1", "fee": "0.25",
        "filled_at": "2026-01-06T15:00:00+00:00", "kind": "trade", "execution_id": None,
    }  # fmt: skip
    assert "snapshots" not in line


async def test_a_correction_is_with_both_of_its_trades(store: Store) -> None:
    [wrong] = await kept(store, share())
    async with store.write() as session:
        right = await correct_trade(session, wrong, share(ticker="MSFT"), reason="typed wrongly")

    both = await lines(store)

    told = [[(one["number"], one["replacement"], one["reason"]) for one in line["corrections"]]
            for line in both]  # fmt: skip
    assert told == 2 * [[(wrong, right.number, "typed wrongly")]]


async def test_notes_and_marks_come_only_when_asked_for(store: Store) -> None:
    await record(store, "2026-01-07 MSFT +15.50 open short")
    async with store.write() as session:
        await add_note(session, 1, "first")
        await add_note(session, 1, "second")

    [plain] = await lines(store)
    [asked] = await lines(store, notes=True, snapshots=True)

    assert {"untrusted_notes", "snapshots"} & set(plain) == set()
    assert [note["body"] for note in asked["untrusted_notes"]] == ["first", "second"]
    assert [mark["unrealised_pnl"] for mark in asked["snapshots"]] == ["15.50"]


async def test_a_note_comes_back_from_csv_and_several_are_counted(
    store: Store, tmp_path: Path
) -> None:
    numbers = await kept(store, share(), share(ticker="MSFT"))
    async with store.write() as session:
        await add_note(session, numbers[0], "=1+1,\nsaid with a quote '")
        await add_note(session, numbers[1], "first")
        await add_note(session, numbers[1], "second")
    export = Export(notes=True)

    await exported(store, export)
    await moved_on(store, tmp_path)

    async with store.read(2) as session:
        written = b"".join([c async for c in Export("jsonl", notes=True).chunks(session)])
    noted = [json.loads(line)["untrusted_notes"] for line in written.splitlines()]
    assert [[note["body"] for note in notes] for notes in noted] == [
        ["=1+1,\nsaid with a quote '"],
        [],
    ]
    assert export.report.unsaid_notes == 1


async def test_no_text_is_a_formula_and_every_text_comes_back(store: Store, tmp_path: Path) -> None:
    conditions = {"mood": "-calm", "hint": "'=quoted", "edge": Decimal("-0.5")}
    said = {"strategy": '=HYPERLINK("http://x")', "external_id": "@SUM(1)"}
    await kept(store, share(ticker="@ES", conditions=conditions, **said))

    [row] = await rows(store)
    await moved_on(store, tmp_path)

    # By hand: OWASP's first characters, behind an apostrophe; the number stays one.
    assert (row["ticker"], row["strategy"]) == ("'@ES", '\'=HYPERLINK("http://x")')
    assert (row["condition.mood"], row["condition.hint"]) == ("'-calm", "''=quoted")
    assert row["condition.edge"] == "-0.5"
    async with store.read(2) as session:
        [again] = [c async for c in Export("jsonl").chunks(session) if c]
    found = json.loads(again)
    assert (found["ticker"], found["strategy"]) == ("@ES", said["strategy"])
    assert found["external_id"] == "@SUM(1)"
    assert found["conditions"] == {"mood": "-calm", "hint": "'=quoted", "edge": "-0.5"}


@given(st.text() | st.text(st.sampled_from([*FIRST, "'", "a"])))
def test_every_text_is_guarded_and_unguarded_to_itself(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(FIRST)


async def test_ids_that_two_sources_share_do_not_stop_an_import(
    store: Store, tmp_path: Path
) -> None:
    await kept(
        store,
        share(external_id="7", source="one"),
        share(external_id="7", source="two", ticker="MSFT"),
        share(external_id="8"),
    )

    await moved_on(store, tmp_path)

    assert [row["external_id"] for row in await rows(store)] == ["", "", "8"]
    async with store.read(2) as session:
        written = b"".join([c async for c in Export("jsonl").chunks(session)])
    assert sorted(json.loads(line)["ticker"] for line in written.splitlines()) == [
        "AAPL", "AAPL", "MSFT",
    ]  # fmt: skip


async def test_twins_are_still_two_after_two_moves(store: Store, tmp_path: Path) -> None:
    """One of them has the id that an import made, the other none."""
    path = tmp_path / "twin.csv"
    await kept(store, share())
    path.write_bytes(await exported(store))
    async with store.write() as session:
        await import_file(session, read(path))

    await moved_on(store, tmp_path)

    ids = [row["external_id"][:4] for row in await rows(store)]
    assert ids == ["", "row-"]
    assert len((await exported(store, user_id=2)).splitlines()) == 1 + 2


async def test_an_account_that_an_import_would_not_know_is_named(store: Store) -> None:
    await kept(store, share(), currency="EUR", zone="Europe/Berlin", tolerance=Decimal(5))
    export = Export()

    await exported(store, export)

    [account] = export.report.unsaid_accounts.values()
    assert (account.name, account.currency, account.zone) == ("main", "EUR", "Europe/Berlin")


@pytest.mark.parametrize(
    ("filters", "tickers"),
    [
        ({}, ["AAPL", "MSFT", "TSLA"]),
        ({"ticker": " aapl"}, ["AAPL"]),
        ({"status": "open"}, ["TSLA"]),
        ({"since": "2026-01-06"}, ["MSFT", "TSLA"]),
        ({"until": "2026-01-06"}, ["AAPL"]),
        ({"mode": "live"}, []),
        ({"strategy": "SWING"}, ["MSFT"]),
    ],
)
async def test_filters_choose(store: Store, filters: dict[str, Any], tickers: list[str]) -> None:
    """A period is by exit, of open trades by entry."""
    await record(
        store,
        """
        2026-01-05 AAPL +1
        2026-01-06 MSFT +1 strategy swing
        2026-01-07 TSLA open
        """,
    )

    asked = Filters(**{"status": "all", **filters})

    assert [line["ticker"] for line in await lines(store, filters=asked)] == tickers


async def test_a_name_that_nobody_knows_is_refused(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1")

    with pytest.raises(NotFound, match="No ticker APPL"):
        await exported(store, filters=Filters(ticker="APPL"))


async def test_nobody_exports_the_trades_of_others(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1")
    await record(store, "2026-01-05 MSFT +1 condition mood=calm", user_id=2)

    for asked in (Export("jsonl"), Export("csv"), Export("csv", "fills"), Export("jsonl", "fills")):
        assert b"MSFT" not in (written := await exported(store, asked))
        assert b"mood" not in written
        assert b"AAPL" in written


async def test_pages_lose_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(store, "\n".join(f"2026-01-05 AAPL +{number}" for number in range(1, 8)))

    for size in (1, 3, 7, 200):
        monkeypatch.setattr("store.exporting.pages.PAGE", size)
        assert [line["net_pnl"] for line in await lines(store)] == [
            f"{number}.00" for number in range(1, 8)
        ]


async def test_an_export_is_of_one_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.exporting.pages.PAGE", 1)
    await record(store, "2026-01-05 AAPL +1\n2026-01-05 AAPL +2")
    found = 0

    async with store.read() as session:
        async for chunk in Export("jsonl").chunks(session):
            if chunk:
                found += 1
                await record(store, "2026-01-05 AAPL +3")

    assert found == 2


async def test_fills_are_rows_of_their_own(store: Store) -> None:
    await kept(store, spread())

    found = await rows(store, what="fills")

    assert [(one["trade"], one["leg_number"], one["side"], one["price"]) for one in found] == [
        ("1", "1", "sell", "2"), ("1", "1", "buy", "1"),
        ("1", "2", "buy", "0.5"), ("1", "2", "sell", "0.25"),
    ]  # fmt: skip
    assert found == [
        {name: "" if value is None else str(value) for name, value in line.items()}
        for line in await lines(store, what="fills")
    ]


async def test_parquet_keeps_decimals_days_and_moments(store: Store) -> None:
    await kept(store, share(conditions={"vix": Decimal("15.5")}), spread())

    trades = pyarrow.parquet.read_table(io.BytesIO(await exported(store, format="parquet")))
    fills = pyarrow.parquet.read_table(
        io.BytesIO(await exported(store, format="parquet", what="fills"))
    )

    first, second = trades.to_pylist()
    assert str(trades.schema.field("entry_price").type) == "decimal128(19, 8)"
    assert str(trades.schema.field("closed_at").type) == "timestamp[us, tz=UTC]"
    assert (first["net_pnl"], second["net_pnl"]) == (Decimal("1.80"), Decimal(74))
    assert (first["closed_at"], first["closed_on"]) == (SOLD, date(2026, 1, 6))
    assert first["conditions"] == [("vix", "15.5")]
    assert sum(fills.column("fee").to_pylist()) == Decimal("1.20")


async def test_an_empty_ledger_is_an_empty_export(store: Store) -> None:
    assert await exported(store, format="jsonl") == b""
    assert len((await exported(store)).splitlines()) == 1
    table = pyarrow.parquet.read_table(io.BytesIO(await exported(store, format="parquet")))
    assert table.num_rows == 0


async def test_parquet_without_pyarrow_is_refused_in_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "store.exporting.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(Invalid, match=r"pip install 'trade-history-mcp\[parquet\]'"):
        await exported(store, format="parquet")
