"""get_win_rate_by_score: a range of scores beside the rest of the book."""

import random
from datetime import date, timedelta
from typing import Any

import pytest

from store.database import Store
from tests.ledger import record
from tests.server.asking import ToolFailed, ask

SCORED = """
    2026-01-01  AAPL  +1  scanner 0
    2026-01-02  AAPL  -1  scanner 49.99
    2026-01-03  AAPL  +1  scanner 50
    2026-01-04  AAPL  +1  scanner 59.9
    2026-01-05  AAPL  -1  scanner 60
    2026-01-06  AAPL  +1  scanner 79.99999999
    2026-01-07  AAPL  +1  scanner 80    ai 10
    2026-01-08  AAPL  -1  scanner 80.5  ai 20
    2026-01-09  AAPL  +1  scanner 90
    2026-01-10  AAPL  +1  scanner 100
    2026-01-11  AAPL  -1
    2026-01-12  AAPL  +0  scanner 85
"""


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        ({"min": 80}, (5, 3, 1, 1)),
        ({"min": 60, "max": 80}, (3, 2, 1, 0)),
        ({"min": 60, "max": 80.5}, (4, 2, 2, 0)),
        ({"min": 80.5, "max": 80.5}, (1, 0, 1, 0)),
        ({"min": 0, "max": 0}, (1, 1, 0, 0)),
        ({"max": 49.99}, (2, 1, 1, 0)),
        ({}, (11, 7, 3, 1)),
        # More digits than a score has: nothing lies between.
        ({"min": 79.999999991, "max": 80}, (1, 1, 0, 0)),
        ({"min": 33.333333333333336, "max": 50.00000000001}, (2, 1, 1, 0)),
    ],
)
async def test_both_bounds_are_inside(
    store: Store, asked: dict[str, float], counts: tuple[int, ...]
) -> None:
    await record(store, SCORED)

    answer = await ask(store, "get_win_rate_by_score", **asked)

    found = answer["in_range"]
    assert tuple(found[name] for name in ("n", "wins", "losses", "breakevens")) == counts
    assert found["n"] + answer["rest"]["n"] == 11
    assert answer["unscored"] == 1


async def test_bands_begin_at_their_lower_end(store: Store) -> None:
    """[50, 60): 59.9 belongs to 50-59, 60 does not."""
    await record(store, SCORED)

    answer = await ask(store, "get_win_rate_by_score", min=75, max=85)

    assert [(band["band"], band["n"], band["wins"]) for band in answer["bands"]] == [
        ("<50", 2, 1),
        ("50-59", 2, 2),
        ("60-69", 1, 0),
        ("70-79", 1, 1),
        ("80-89", 3, 1),
        (">=90", 2, 2),
    ]


async def test_the_other_score_can_be_asked(store: Store) -> None:
    await record(store, SCORED)

    answer = await ask(store, "get_win_rate_by_score", score="ai", min=15)

    assert (answer["in_range"]["n"], answer["rest"]["n"], answer["unscored"]) == (1, 1, 10)


async def test_a_range_upside_down_is_refused(store: Store) -> None:
    with pytest.raises(ToolFailed, match=r"^min 80 is above max 60; min must not exceed max\.$"):
        await ask(store, "get_win_rate_by_score", min=80, max=60)


@pytest.mark.parametrize("asked", [{"min": -1}, {"max": 100.5}, {"min": "x"}])
async def test_a_bound_beyond_the_scale_is_refused(store: Store, asked: dict[str, Any]) -> None:
    with pytest.raises(ToolFailed, match=r"a number from 0.* to 100.* is accepted"):
        await ask(store, "get_win_rate_by_score", **asked)


@pytest.mark.parametrize(("n", "evidence"), [(49, "insufficient"), (50, "descriptive")])
@pytest.mark.parametrize("tool", ["get_win_rate_by_score", "get_strategy_performance"])
async def test_fifty_closed_trades_of_the_book_are_the_least_for_a_claim(
    store: Store, tool: str, n: int, evidence: str
) -> None:
    """The book counts, not what the filters leave of it."""
    await record(store, "\n".join(f"2026-01-{1 + i % 28:02d} SPY +1" for i in range(n - 1)))
    await record(store, "2026-01-05 AAPL +1 scanner 70\n2026-01-05 AAPL open")

    answer = await ask(store, tool, ticker="AAPL")

    assert answer["evidence"] == evidence
    said = f"insufficient ({n} of 50 closed trades in the paper book)" in answer["summary"]
    assert said == (evidence == "insufficient")


def scored(n: int, *, edge: bool, seed: int = 3) -> str:
    """One trade a day; with an edge, scores of 70 and more win 8 of 10, the others 3."""
    chance, start = random.Random(seed), date(2025, 1, 6)
    lines = []
    for i in range(n):
        score = chance.randint(40, 99)
        won = chance.random() < ((0.8 if score >= 70 else 0.3) if edge else 0.5)
        lines.append(
            f"{start + timedelta(days=i)} {chance.choice(['AAPL', 'SPY'])}"
            f" {'+20' if won else '-20'} scanner {score} ai {chance.randint(0, 100)}"
        )
    return "\n".join(lines)


async def test_a_score_that_predicts_is_told_from_one_that_does_not(store: Store) -> None:
    await record(store, scored(160, edge=True))

    scanner = await ask(store, "get_win_rate_by_score", min=70)
    ai = await ask(store, "get_win_rate_by_score", min=70, score="ai")

    assert scanner["whole_book_score"]["score_is_predictive"] == "yes"
    assert scanner["whole_book_score"]["trend"] == "rising"
    assert scanner["whole_book_score"]["auc_low"] > 0.5
    assert scanner["whole_book_range"]["verdict"] == "better"
    rest, raw = (scanner[part]["win_rate"] for part in ("rest", "in_range"))
    assert rest < scanner["whole_book_range"]["shrunk_win_rate"] <= raw
    assert ai["whole_book_score"]["score_is_predictive"] == "unclear"
    assert ai["whole_book_range"]["verdict"] == "unclear"


async def test_filters_narrow_the_numbers_and_never_the_test(store: Store) -> None:
    await record(store, scored(160, edge=True))

    whole = await ask(store, "get_win_rate_by_score", min=70)
    part = await ask(store, "get_win_rate_by_score", min=70, ticker="AAPL")

    assert part["in_range"]["n"] < whole["in_range"]["n"]
    for tested in ("whole_book_range", "whole_book_score"):
        assert part[tested] == whole[tested]


async def test_the_low_end_of_a_predictive_score_is_worse(store: Store) -> None:
    await record(store, scored(160, edge=True))

    answer = await ask(store, "get_win_rate_by_score", max=69.99)

    assert answer["whole_book_range"]["verdict"] == "worse"
    assert "wins less often" in answer["summary"]


async def test_the_isotonic_fit_pools_bands_that_fall(store: Store) -> None:
    """By hand: 2 of 3 below 50, then 1 of 3, are pooled to 3 of 6; 60 to 69 has none; 70 to
    79 wins 3 of 4; above, 2 of 4 and 4 of 4 stay in order only if 3/4 and 2/4 pool to 5/8."""
    bands = {45: "++-", 55: "+--", 75: "+++-", 85: "++--", 95: "++++"}
    signs = [(score, sign) for score, row in bands.items() for sign in row]
    await record(
        store,
        "\n".join(
            f"2026-01-{1 + i:02d} SPY {sign}10 scanner {score}"
            for i, (score, sign) in enumerate(signs)
        ),
    )

    answer = await ask(store, "get_win_rate_by_score")

    assert [band["isotonic"] for band in answer["bands"]] == [0.5, 0.5, None, 0.625, 0.625, 1.0]


async def test_below_fifty_scored_trades_nothing_is_said_of_the_score(store: Store) -> None:
    await record(store, scored(49, edge=True))

    answer = await ask(store, "get_win_rate_by_score", min=70)

    assert answer["whole_book_score"]["score_is_predictive"] == "unclear"
    assert answer["whole_book_score"]["reason"] == "fewer than 50 closed trades with a score"
    assert answer["whole_book_range"]["verdict"] == "too_few"
    assert "Not tested: fewer than 50 closed trades with a score." in answer["summary"]
    assert answer["evidence"] == "insufficient"


async def test_a_book_that_only_wins_says_why_nothing_is_tested(store: Store) -> None:
    await record(store, scored(60, edge=False).replace(" -20 ", " +20 "))

    answer = await ask(store, "get_win_rate_by_score", min=70)

    assert answer["summary"].endswith("Not tested: fewer than 5 losses.")
