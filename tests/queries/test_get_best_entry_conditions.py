"""get_best_entry_conditions: which facts known at entry go with winning, beyond luck."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from store.database import Store
from store.edge import GRID, Fact, Verdict, Verdicts, judge, tally
from tests.ledger import record
from tests.server.asking import ask

UNIT = Decimal("1e-8")  # As prices, scores and greeks are kept.
DAYS = {1: "Mon", 2: "Tue", 3: "Wed", 4: "Thu", 5: "Fri", 6: "Sat", 7: "Sun"}
# All that was known at entry; nothing else may be a condition.
KNOWN_AT_ENTRY = (
    "scanner_score", "ai_score", "abs_delta", "iv", "dte", "strategy", "structure",
    "option_type", "direction", "ticker", "weekday", "hour", "condition.",
)  # fmt: skip


def book(n: int, *, edge: bool) -> str:
    """A seeded ledger; with an edge, trades of a high scanner score win far more often."""
    chance = random.Random(11)
    lines = []
    for i in range(n):
        scanner = chance.choice(["45", "55.5", "69.99", "70", "80", "91"])
        good = edge and Decimal(scanner) >= 70
        won = chance.random() < (0.85 if good else 0.3 if edge else 0.5)
        net = "+0" if i % 17 == 5 else f"+{chance.randint(20, 90)}" if won else "-50"
        lines.append(
            f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}T{chance.randint(15, 19)}:30Z"
            f" {chance.choice(['AAPL', 'SPY', 'TSLA'])} {net}"
            f" option {chance.choice(['call', 'put'])} scanner {scanner}"
            + (f" ai {chance.randint(0, 100)}" if i % 3 else "")
            + f" delta {chance.choice(['-0.4', '0.2', '-0.75', '0.8'])}"
            f" iv {chance.choice(['0.19999999', '0.2', '0.5'])}"
            f" strategy {chance.choice(['leap', 'swing'])}"
            f" condition regime={chance.choice(['bull', 'bear'])} condition vix=18.5"
        )
    return "\n".join(lines)


async def facts_of(store: Store) -> list[Fact]:
    """Every closed trade as a fact, read row by row with nothing of the question's SQL."""
    async with store.read() as session:
        trades = await session.execute(
            text("SELECT * FROM trades WHERE user_id = 1 AND status = 'closed' ORDER BY number")
        )
        words: dict[int, set[str]] = {}
        for row in await session.execute(
            text("SELECT trade_number, name, word FROM conditions WHERE word IS NOT NULL")
        ):
            words.setdefault(row.trade_number, set()).add(f"condition.{row.name}={row.word}")
        return [fact(row, words.get(row["number"], set())) for row in trades.mappings()]


def fact(row: Mapping[Any, Any], words: set[str]) -> Fact:
    values = {
        name: None if row[name] is None else row[name] * UNIT
        for name in ("scanner_score", "ai_score", "delta", "iv", "return_on_risk")
    }
    values["abs_delta"] = None if values["delta"] is None else abs(values["delta"])
    values["dte"] = row["dte"]
    bands = {
        band.name
        for band in GRID
        if (value := values[band.column]) is not None and band.holds(value)
    }
    named = {
        f"{name}={row[name]}"
        for name in ("strategy", "structure", "option_type", "direction", "ticker")
        if row[name] is not None
    }
    moment = {f"weekday={DAYS[row['entry_weekday']]}", f"hour={row['entry_hour']:02d}"}
    ret = values["return_on_risk"]
    return Fact(
        row["outcome"],
        None if ret is None else float(ret),
        frozenset(bands | named | moment | words),
    )


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def as_told(verdict: Verdict) -> dict[str, Any]:
    told = {
        "condition": verdict.name,
        "tier": verdict.tier,
        "n": verdict.n,
        "wins": verdict.wins,
        "losses": verdict.losses,
        "breakevens": verdict.breakevens,
        "win_rate": rounded(verdict.win_rate),
        "win_rate_low": rounded(verdict.low),
        "win_rate_high": rounded(verdict.high),
        "rest_win_rate": rounded(verdict.rest_win_rate),
        "p_adjusted": rounded(verdict.p_adjusted),
        "mean_return": rounded(verdict.mean_ret),
    }
    # What stands for every insufficient condition alike is said once, in the summary.
    return told if verdict.tier == "insufficient" else told | {"sentence": verdict.sentence}


async def judged(store: Store, *, avoid: bool = False) -> Verdicts:
    whole, cells = tally(await facts_of(store))
    return judge(whole, cells, avoid=avoid)


@pytest.mark.parametrize("edge", [True, False])
@pytest.mark.parametrize("avoid", [False, True])
async def test_sums_from_sql_are_judged_as_single_trades_are(
    store: Store, edge: bool, avoid: bool
) -> None:
    await record(store, book(120, edge=edge))

    answer = await ask(store, "get_best_entry_conditions", limit=30, avoid=avoid)

    expected = await judged(store, avoid=avoid)
    told = [as_told(one) for one in expected.verdicts[:30]]
    # Floats added in another order may fall on the other side of a half.
    means = [one.pop("mean_return") for one in answer["conditions"]]
    assert means == [pytest.approx(one.pop("mean_return"), abs=1.1e-4) for one in told]
    assert answer["conditions"] == told
    assert answer["conditions_checked"] == expected.conditions_checked
    assert answer["smallest_visible_edge"] == rounded(expected.smallest_visible_edge)


async def test_a_strong_edge_is_supported_and_known_by_its_name(store: Store) -> None:
    await record(store, book(120, edge=True))

    answer = await ask(store, "get_best_entry_conditions")

    [best, *_] = answer["conditions"]
    assert (best["condition"], best["tier"]) == ("scanner_score>=70", "supported")
    assert answer["evidence"] == "supported"
    assert len(answer["conditions"]) == 5
    avoid = await ask(store, "get_best_entry_conditions", avoid=True)
    assert avoid["conditions"][0]["win_rate"] < answer["overall"]["win_rate"]


async def test_nothing_known_after_entry_is_a_condition(store: Store) -> None:
    await record(store, book(120, edge=True))

    for avoid in (False, True):
        answer = await ask(store, "get_best_entry_conditions", limit=30, avoid=avoid)
        for found in answer["conditions"]:
            assert found["condition"].startswith(KNOWN_AT_ENTRY)


async def test_how_trades_ended_changes_no_condition(store: Store) -> None:
    """Trades alike at entry; exit reasons and fees tell winners apart, and are no facts."""
    lines = [
        f"2026-01-{1 + i // 3:02d}T15:00Z SPY {'+20' if i % 2 else '-20'} scanner 65"
        f" exit {'target' if i % 2 else 'stop'} fees {1 if i % 2 else 9}"
        for i in range(60)
    ]
    await record(store, "\n".join(lines))

    answer = await ask(store, "get_best_entry_conditions", limit=30)

    assert {one["tier"] for one in answer["conditions"]} == {"insufficient"}


async def test_sixty_trades_without_an_edge_say_what_could_be_seen(store: Store) -> None:
    await record(store, book(60, edge=False))

    answer = await ask(store, "get_best_entry_conditions")

    assert answer["evidence"] == "insufficient"
    assert answer["summary"].startswith("Not enough evidence: nothing stands out from luck")
    assert "not evidence of no edge" in answer["summary"]
    edge = answer["smallest_visible_edge"]
    assert edge is None or edge > 0.3
    for found in answer["conditions"]:
        assert found["tier"] == "insufficient"


async def test_a_ticker_adds_its_own_rate_and_does_not_narrow_the_test(store: Store) -> None:
    await record(store, book(60, edge=False))

    whole = await ask(store, "get_best_entry_conditions")
    answer = await ask(store, "get_best_entry_conditions", ticker="aapl")

    own = await ask(store, "get_trade_history", ticker="AAPL")
    assert answer["ticker"]["condition"] == "ticker=AAPL"
    for count in ("n", "wins", "losses", "breakevens", "win_rate", "win_rate_low"):
        assert answer["ticker"][count] == own["totals"][count]
    assert answer["conditions"] == whole["conditions"]
    assert answer["scope"]["filters"] == {"ticker": "AAPL"}


async def test_below_fifty_trades_nothing_is_tested(store: Store) -> None:
    await record(store, book(49, edge=True))

    answer = await ask(store, "get_best_entry_conditions")

    assert (answer["evidence"], answer["reason"]) == (
        "insufficient",
        "fewer than 50 closed trades",
    )
    assert {one["p_adjusted"] for one in answer["conditions"]} == {None}
    assert "insufficient (49 of 50 closed trades" in answer["summary"]
