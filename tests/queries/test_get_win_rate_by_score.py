"""get_win_rate_by_score: a range of scores beside the rest of the book."""

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
