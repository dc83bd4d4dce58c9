"""get_best_entry_conditions: which facts known at entry go with winning, beyond luck."""

import random
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from store.database import Store
from store.evidence.book import Book
from store.evidence.conditions import judge
from store.evidence.verdicts import Verdict, Verdicts, sentence
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


async def book_of(store: Store) -> Book:
    """Every closed trade by day of entry, read row by row with nothing of the question's SQL."""
    async with store.read() as session:
        found = await session.execute(
            text("SELECT * FROM trades WHERE user_id = 1 AND status = 'closed' ORDER BY number")
        )
        rows = sorted(found.mappings(), key=lambda row: (str(row["opened_on"]), row["number"]))
        free: dict[int, dict[str, Any]] = {}
        for one in await session.execute(text("SELECT * FROM conditions")):
            value = one.word if one.number is None else float(one.number * UNIT)
            free.setdefault(one.trade_number, {})[f"condition.{one.name}"] = value
    facts = [{**fact(row), **free.get(row["number"], {})} for row in rows]
    names = dict.fromkeys(name for one in facts for name in one)
    return Book(
        outcomes=[{"win": 1, "breakeven": 0, "loss": -1}[row["outcome"]] for row in rows],
        returns=[plain(row["return_on_risk"]) for row in rows],
        sides=[{"bullish": 1, "neutral": 0, "bearish": -1}[row["direction"]] for row in rows],
        days=[(date.fromisoformat(str(row["opened_on"])) - date(1970, 1, 1)).days for row in rows],
        facts={name: [one.get(name) for one in facts] for name in names},
    )


def plain(kept: int | None) -> float | None:
    return None if kept is None else float(kept * UNIT)


def fact(row: Mapping[Any, Any]) -> dict[str, Any]:
    words = ("strategy", "structure", "option_type", "direction", "ticker")
    delta = plain(row["delta"])
    return {
        **{name: plain(row[name]) for name in ("scanner_score", "ai_score", "iv")},
        "abs_delta": None if delta is None else abs(delta),
        "dte": row["dte"],
        **{name: row[name] for name in words},
        "weekday": DAYS[row["entry_weekday"]],
        "hour": f"{row['entry_hour']:02d}",
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def as_told(verdict: Verdict, family: Verdicts) -> dict[str, Any]:
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
        "shrunk_win_rate": rounded(verdict.shrunk_win_rate),
        "rest_win_rate": rounded(verdict.rest_win_rate),
        "p_adjusted": rounded(verdict.p_adjusted),
        "mean_return": rounded(verdict.mean_return),
        "mean_return_low": rounded(verdict.mean_return_low),
        "mean_return_high": rounded(verdict.mean_return_high),
    }
    if verdict.also:
        told["also"] = list(verdict.also)
    # What stands for every insufficient condition alike is said once, in the summary.
    return (
        told if verdict.tier == "insufficient" else told | {"sentence": sentence(verdict, family)}
    )


@pytest.mark.parametrize("edge", [True, False])
@pytest.mark.parametrize("avoid", [False, True])
async def test_the_book_is_judged_as_its_rows_are_read_one_by_one(
    store: Store, edge: bool, avoid: bool
) -> None:
    await record(store, book(120, edge=edge))

    answer = await ask(store, "get_best_entry_conditions", limit=30, avoid=avoid)

    expected = judge(await book_of(store), avoid=avoid)
    assert answer["conditions"] == [as_told(one, expected) for one in expected.verdicts[:30]]
    assert answer["conditions_checked"] == expected.checked
    assert answer["smallest_visible_edge"] == rounded(expected.smallest_visible_edge)


async def test_what_is_recorded_next_is_in_the_next_answer(store: Store) -> None:
    """Verdicts are remembered for one version of the ledger, and no longer."""
    await record(store, book(60, edge=True))
    first = await ask(store, "get_best_entry_conditions")
    again = await ask(store, "get_best_entry_conditions")
    await record(store, book(70, edge=True))
    after = await ask(store, "get_best_entry_conditions")

    for answer in (first, again, after):
        del answer["provenance"]
    assert again == first
    assert (first["overall"]["n"], after["overall"]["n"]) == (60, 130)
    expected = judge(await book_of(store))
    assert after["conditions"] == [as_told(one, expected) for one in expected.verdicts[:5]]


async def test_a_strong_edge_is_supported_and_known_by_its_name(store: Store) -> None:
    await record(store, book(120, edge=True))

    answer = await ask(store, "get_best_entry_conditions")

    [best, *_] = answer["conditions"]
    assert (best["condition"], best["tier"]) == ("scanner_score>=70", "confirmed")
    assert answer["evidence"] == "confirmed"
    assert best["rest_win_rate"] < best["shrunk_win_rate"] <= best["win_rate"]
    assert "scanner_score>=80" in best["also"]
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
    assert answer["summary"].startswith("Not enough evidence. 60 trades, ")
    assert "nothing stands out from luck" in answer["summary"]
    assert "This is not evidence of no edge." in answer["summary"]
    edge = answer["smallest_visible_edge"]
    assert edge is None or edge > 0.3
    for found in answer["conditions"]:
        assert found["tier"] == "insufficient"


async def test_a_ticker_adds_its_own_rate_and_does_not_narrow_the_test(store: Store) -> None:
    await record(store, book(60, edge=False))

    whole = await ask(store, "get_best_entry_conditions")
    answer = await ask(store, "get_best_entry_conditions", ticker="aapl")

    own = await ask(store, "get_trade_history", ticker="AAPL")
    base, raw = answer["overall"]["win_rate"], answer["ticker"]["win_rate"]
    assert min(base, raw) <= answer["ticker"]["shrunk_win_rate"] <= max(base, raw)
    for count in ("n", "wins", "losses", "breakevens", "win_rate", "win_rate_low"):
        assert answer["ticker"][count] == own["totals"][count]
    assert answer["conditions"] == whole["conditions"]
    assert answer["scope"] == whole["scope"]


async def test_below_fifty_trades_nothing_is_tested(store: Store) -> None:
    await record(store, book(49, edge=True))

    answer = await ask(store, "get_best_entry_conditions")

    assert (answer["evidence"], answer["reason"]) == (
        "insufficient",
        "fewer than 50 closed trades",
    )
    assert {one["p_adjusted"] for one in answer["conditions"]} == {None}
    assert "insufficient (49 of 50 closed trades" in answer["summary"]
