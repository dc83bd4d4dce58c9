"""Tradier: the account's history, and its closed positions."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from store.database import Store
from store.errors import Invalid
from store.importers.tradier.gainloss import NAME as GAINLOSS
from store.importing import import_file
from tests.importers.files import (
    cash,
    fitting,
    open_tickers,
    outcomes,
    plain,
    read_trades,
    recorded,
    refused,
    statement,
    written,
)

OWN = Path(__file__).parent / "tradier.json"
TRADE = {
    "amount": -26.24, "date": "2026-03-05T00:00:00Z", "type": "trade",
    "trade": {"commission": 0, "price": 26.24, "quantity": 1, "symbol": "PFE"},
}  # fmt: skip
POSITIONS = [
    {"close_date": "2026-03-06T00:00:00.000Z", "cost": 26.15, "gain_loss": 513.67,
     "gain_loss_percent": 1964.3212, "open_date": "2026-03-02T00:00:00.000Z",
     "proceeds": 539.82, "quantity": -2, "symbol": "SPY260320P00372000", "term": 4},
    {"close_date": "2026-03-06T00:00:00.000Z", "cost": 498.15, "gain_loss": -478.32,
     "open_date": "2026-03-02T00:00:00.000Z", "proceeds": 19.83, "quantity": 2,
     "symbol": "SPY260320P00370000", "term": 4},
    {"close_date": "2026-03-20T00:00:00.000Z", "cost": 0, "gain_loss": 99.58,
     "open_date": "2026-03-05T00:00:00.000Z", "proceeds": 99.58, "quantity": -1,
     "symbol": "SPY260320P00500000", "term": 15},
]  # fmt: skip


def history(folder: Path, event: object) -> Path:
    return written(folder, json.dumps({"history": {"event": event}}), "history.json")


def gains(folder: Path, positions: object) -> Path:
    document = {"gainloss": {"closed_position": positions}}
    return written(folder, json.dumps(document), "gains.json")


def test_only_its_own_format_fits(tmp_path: Path) -> None:
    assert fitting(OWN) == ["tradier"]
    assert fitting(gains(tmp_path, POSITIONS)) == [GAINLOSS]
    assert fitting(written(tmp_path, '{"history": "null"}', "none.json")) == ["tradier"]


def test_history_comes_to_its_amounts() -> None:
    """PFE: 26.53 - 26.24 = .29. SPY: sold for 100, of which 99.58 came: .42 of fees, .35 of
    them commission; expired at 0."""
    found = statement(OWN)

    assert cash(found) == {"PFE": Decimal("0.29"), "SPY": Decimal("99.58")}
    assert open_tickers(found) == {}
    assert [one.fee for one in found.executions] == [0, Decimal("0.42"), 0, 0]
    assert [one.kind for one in found.executions] == ["trade", "trade", "trade", "expired"]
    assert found.executions[-1].at > found.executions[-2].at


def test_dividends_and_transfers_are_cash_and_journals_are_counted() -> None:
    found = statement(OWN)

    assert [(one.kind, one.amount) for one in found.cash] == [
        ("dividend", Decimal("4.20")),
        ("transfer", Decimal(-10)),
    ]
    assert found.ignored == {"journal without cash": 1}


def test_an_expiry_of_nothing_an_adjusted_option_and_a_split_are_refused() -> None:
    found = statement(OWN)

    assert refused(found) == [(2, "symbol"), (9, "symbol"), (10, "type")]
    assert "the event names no option" in found.rejected[0].reason


@pytest.mark.parametrize(("amount", "ends"), [(-1250, ["6.25 settled"]), (0, [])])
def test_an_assigned_index_option_is_settled_for_its_amount(
    tmp_path: Path, amount: int, ends: list[str]
) -> None:
    """1250 / (2 x 100) = 6.25; without an amount nobody knows."""
    what = {"option_type": "ASSIGNMENT", "symbol": "SPXW260320C06600000", "quantity": 2}
    event = {"amount": amount, "date": "2026-03-21T00:00:00Z", "type": "option", "option": what}

    found = statement(history(tmp_path, event))

    assert [f"{plain(one.price)} {one.kind}" for one in found.executions] == ends
    assert refused(found) == ([] if ends else [(1, "amount")])


@pytest.mark.parametrize("event", [TRADE, [TRADE]])
def test_one_event_may_stand_alone(tmp_path: Path, event: object) -> None:
    assert cash(statement(history(tmp_path, event))) == {"PFE": Decimal("-26.24")}


def test_a_days_deals_are_read_from_the_last_to_the_first(tmp_path: Path) -> None:
    """The file is newest first, and has no times."""
    sold = {**TRADE, "amount": 27, "trade": {"price": 27, "quantity": -1, "symbol": "PFE"}}

    found = statement(history(tmp_path, [sold, TRADE]))

    assert [one.side for one in found.executions] == ["buy", "sell"]


@pytest.mark.parametrize("event", [None, "null", []])
def test_no_event_is_no_trade(tmp_path: Path, event: object) -> None:
    found = statement(history(tmp_path, event))

    assert (found.executions, found.rejected) == ((), ())


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"price": None}, "price"),
        ({"price": float("nan")}, "price"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "9" * 400}, "quantity"),
        ({"symbol": "=cmd|' /C calc'!A0"}, "symbol"),
        ({"commission": 5}, "amount"),
        # A contract of 100 shares at 26.24 would be 2,624.
        ({"symbol": "PFE260320C00010000"}, "amount"),
    ],
)
def test_a_trade_that_does_not_add_up_is_refused(
    tmp_path: Path, changed: dict[str, object], column: str
) -> None:
    event = {**TRADE, "trade": {**TRADE["trade"], **changed}}  # type: ignore[dict-item]

    assert refused(statement(history(tmp_path, event))) == [(1, column)]


def test_closed_positions_are_trades_with_the_stated_gain(tmp_path: Path) -> None:
    """513.67 - 478.32 + 99.58 = 134.93. A short was entered for its proceeds: 539.82 / 200 =
    2.6991, and left for 26.15 / 200 = .13075."""
    found = read_trades(gains(tmp_path, POSITIONS), mode="live")

    assert found.rejected == ()
    assert found.file_net_pnl == Decimal("134.93")
    assert [one.net_pnl for one in found.trades] == [
        Decimal("513.67"), Decimal("-478.32"), Decimal("99.58"),
    ]  # fmt: skip
    short = found.trades[0].entry.legs[0]
    assert [(one.side, one.price) for one in short.fills] == [
        ("sell", Decimal("2.6991")),
        ("buy", Decimal("0.13075")),
    ]
    assert [one.entry.exit_reason for one in found.trades] == [None, None, "expired"]


def test_closed_positions_keep_their_ids_in_another_order(tmp_path: Path) -> None:
    first = read_trades(gains(tmp_path, POSITIONS), mode="live")
    again = read_trades(gains(tmp_path, POSITIONS[::-1]), mode="live")

    assert {one.entry.external_id for one in first.trades} == {
        one.entry.external_id for one in again.trades
    }


def test_closed_positions_ask_for_the_mode_and_refuse_a_wrong_gain(tmp_path: Path) -> None:
    wrong = {**POSITIONS[0], "gain_loss": 513.97}
    with pytest.raises(Invalid, match="--mode paper or --mode live"):
        read_trades(gains(tmp_path, wrong))

    assert refused(read_trades(gains(tmp_path, wrong), mode="live")) == [(1, "gain_loss")]


async def test_its_trades_are_recorded_once(store: Store) -> None:
    assert outcomes(await recorded(store, statement(OWN))) == [
        ("PFE", "closed", Decimal("0.29")),
        ("SPY", "closed", Decimal("99.58")),
    ]


async def test_closed_positions_are_recorded_once(store: Store, tmp_path: Path) -> None:
    file = read_trades(gains(tmp_path, POSITIONS), mode="live")
    for new in (3, 0):
        async with store.write() as session:
            result = await import_file(session, file)
        assert (result.recorded, result.stored_net_pnl) == (new, Decimal("134.93"))
