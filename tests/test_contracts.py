"""The calculation contracts of another journal (TradeTally), held case by case.

Gross P&L, fees, net P&L, FIFO lots and R agree. Where its rules differ from ours, ours
stand, and the test says so.
"""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from store import pnl
from store.columns import MONEY_DIGITS, rounded
from store.derived import leg_of
from store.errors import Invalid
from store.records import FillEntry, LegEntry

FILE = (
    Path(__file__).resolve().parents[2]
    / "shared/samples/tradetally/trading-calculation-contracts.json"
)
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there")

# In its file a broker's negative cost is added to the profit; costs are positive here.
COSTS_ADD_TO_PROFIT = {"ibkr_double_recorded_cost": Decimal("186.46756")}


@pytest.fixture(scope="module")
def contracts() -> Any:
    return json.loads(FILE.read_text(), parse_float=Decimal, parse_int=Decimal)


def case_ids() -> list[str]:
    if not FILE.exists():
        return []
    return [case["id"] for case in json.loads(FILE.read_text())["pnl_engine_cases"]]


@pytest.mark.parametrize("case_id", case_ids())
def test_gross_fees_and_net_agree(contracts: Any, case_id: str) -> None:
    case = next(case for case in contracts["pnl_engine_cases"] if case["id"] == case_id)
    said, expected = case["input"], case["expected"]
    fills = fills_of(said, costs_are_negative=case_id in COSTS_ADD_TO_PROFIT)

    leg = pnl.position(fills, multiplier_of(said))
    found = pnl.result([leg], [leg], sum((fill.fee for fill in fills), Decimal(0)))

    theirs = expected["aggregate"]
    assert found.flat == theirs["is_fully_closed"]
    assert found.quantity == theirs["quantity"]
    assert found.entry_price == pytest.approx(theirs["entry_price"], abs=Decimal("1e-8"))
    assert found.exit_price == pytest.approx(theirs["exit_price"], abs=Decimal("1e-8"))
    assert found.fees == abs(theirs["commission"] + theirs["fees"])
    if case_id in COSTS_ADD_TO_PROFIT:
        assert found.net == COSTS_ADD_TO_PROFIT[case_id]
        assert found.net == theirs["pnl"] - 2 * found.fees
    else:
        assert found.net == theirs["pnl"]


@pytest.mark.parametrize("case_id", case_ids())
def test_lots_closed_first_in_first_out_agree(contracts: Any, case_id: str) -> None:
    """Its realised P&L is cumulative over exits, or one value for each grouped round trip."""
    case = next(case for case in contracts["pnl_engine_cases"] if case["id"] == case_id)
    said, expected = case["input"], case["expected"]
    if case_id in COSTS_ADD_TO_PROFIT:
        pytest.skip("its costs add to the profit, see above")
    realised = [value for value in expected["realized_pnl"] if value is not None]
    grouped = "entryPrice" in said["executions"][0]
    if grouped:  # Each record is a round trip of its own, not matched against the others.
        pairs = [[e] for e in said["executions"]]
        lots = [
            lot
            for pair in pairs
            for lot in pnl.position(
                fills_of({**said, "executions": pair}), multiplier_of(said)
            ).lots
        ]
    else:
        lots = list(pnl.position(fills_of(said), multiplier_of(said)).lots)

    assert [rounded(lot.net, MONEY_DIGITS) for lot in lots] == realised


def test_a_tolerance_decides_on_net_not_on_gross(contracts: Any) -> None:
    """Its cases are gross; without fees gross is net. With fees they part: net decides."""
    section = contracts["dollar_breakeven_tolerance"]
    tolerance = section["config"]["default"]
    for case in section["cases"]:
        is_breakeven = pnl.outcome(case["gross_pnl"], tolerance) == "breakeven"
        assert is_breakeven == case["is_breakeven"], case["id"]

    decisive_gross_win = Decimal("10.01")
    assert pnl.outcome(decisive_gross_win - Decimal("0.02"), tolerance) == "breakeven"


def test_a_gross_breakeven_that_cost_fees_is_a_loss(contracts: Any) -> None:
    """It counts gross 0 with 2 of fees as break-even; its net is -2, so here it is a loss.

    Its 66.7 % is wins over all trades, our win_rate_all; ours is of wins and losses.
    """
    section = contracts["analytics_summary"]
    trades, expected = section["trades"], section["expected"]

    outcomes = [pnl.outcome(trade["pnl"], Decimal(0)) for trade in trades]
    wins, losses = outcomes.count("win"), outcomes.count("loss")
    fees = sum(trade["commission"] + trade["fees"] for trade in trades)

    assert outcomes == ["win", "win", "loss"]
    assert sum(trade["pnl"] for trade in trades) == expected["total_pnl"]
    assert fees == expected["total_costs"]
    assert sum(trade["pnl"] for trade in trades) + fees == expected["total_gross_pnl"]
    win_rate_all = Decimal(wins) / len(trades)
    assert 100 * win_rate_all == pytest.approx(expected["win_rate"], abs=Decimal("1e-8"))
    assert Decimal(wins) / (wins + losses) == win_rate_all
    assert expected["win_rate_excluding_breakeven"] == 100  # theirs, with no loss counted


def test_r_is_net_over_the_risk_to_the_stop(contracts: Any) -> None:
    section = contracts["r_value"]["dollar_default_explicit_stop_example"]
    trade, expected = section["trade"], section["expected"]
    found = round_trip(trade, Decimal(1))

    risk = pnl.risk_from_stop(found, trade["stop_loss"])

    assert risk == expected["risk_amount"]
    r = pnl.r_multiple(trade["pnl"], risk)
    assert r is not None
    assert rounded(r, 2) == expected["actual_r"]


def test_the_risk_of_a_short_is_the_distance_to_its_stop(contracts: Any) -> None:
    section = contracts["r_value"]["documented_weighted_target_example"]
    trade = section["trade"]
    found = round_trip({**trade, "exit_price": trade["take_profit"]}, Decimal(1))

    assert pnl.risk_from_stop(found, trade["stop_loss"]) == section["risk"] * trade["quantity"]


def test_a_multiplier_is_said_never_guessed(contracts: Any) -> None:
    """It guesses 2 from the symbol of a future that is typed as a stock. Here a future says
    its own; with 2 the risk and, before fees, the R agree; as a stock it is a stock."""
    section = contracts["r_value"]["legacy_stock_typed_future_example"]
    trade = section["trade"]
    fill = FillEntry(
        side="buy",
        quantity=Decimal(1),
        price=trade["entry_price"],
        filled_at=datetime.fromisoformat("2026-01-05T15:00Z"),
    )

    with pytest.raises(Invalid, match="never guessed"):
        leg_of(1, LegEntry(instrument="future", symbol="MNQH6", fills=(fill,)))
    stated = leg_of(1, LegEntry(instrument="future", multiplier=Decimal(2), fills=(fill,)))
    found = round_trip(trade, stated.multiplier)
    risk = pnl.risk_from_stop(found, trade["stop_loss"])

    assert risk == section["expected_risk_amount"]
    assert pnl.r_multiple(found.net, risk) == section["expected_r_value"]
    as_stock = leg_of(1, LegEntry(instrument="equity", symbol="MNQH6", fills=(fill,)))
    assert as_stock.multiplier == 1


def round_trip(trade: Any, multiplier: Decimal) -> pnl.Result:
    grouped = {
        "entryPrice": trade["entry_price"],
        "exitPrice": trade["exit_price"],
        "quantity": trade["quantity"],
        "entryTime": "2026-01-05T15:00:00Z",
        "exitTime": "2026-01-05T16:00:00Z",
    }
    said = {"side": trade["side"], "executions": [grouped]}
    leg = pnl.position(fills_of(said), multiplier)
    return pnl.result([leg], [leg], Decimal(0))


def multiplier_of(said: Any) -> Decimal:
    return Decimal(said.get("contractSize") or said.get("pointValue") or 1)


def fills_of(said: Any, *, costs_are_negative: bool = False) -> list[pnl.Fill]:
    """Its executions; a grouped one is an entry and an exit that bears the costs."""
    long = said["side"] == "long"
    fills = []
    for one in said["executions"]:
        fee = one.get("commission", Decimal(0)) + one.get("fees", Decimal(0))
        fee = -fee if costs_are_negative else fee
        if "action" in one:
            at = datetime.fromisoformat(one["datetime"])
            fills.append(pnl.Fill(one["action"], one["quantity"], one["price"], at, fee))
            continue
        enter, leave = datetime.fromisoformat(one["entryTime"]), one["exitTime"]
        sides: tuple[Literal["buy", "sell"], Literal["buy", "sell"]]
        sides = ("buy", "sell") if long else ("sell", "buy")
        fills += [
            pnl.Fill(sides[0], one["quantity"], one["entryPrice"], enter),
            pnl.Fill(
                sides[1], one["quantity"], one["exitPrice"], datetime.fromisoformat(leave), fee
            ),
        ]
    return sorted(fills, key=lambda fill: fill.filled_at)
