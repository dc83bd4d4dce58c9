"""Books too large to be judged in one answer: counted as ever, without a claim, and it is said."""

import pytest

from store.database import Store
from store.queries import asking
from tests.ledger import record
from tests.server.asking import ask

LINES = [
    f"2026-0{month}-{day:02d} AAPL {'+10' if (month + day) % 2 else '-10'} scanner {40 + day}"
    for month in (1, 2, 3)
    for day in range(1, 21)
]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a test can go beyond."""
    monkeypatch.setattr(asking, "JUDGED_MAX", 59)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize(
    "tool",
    ["get_win_rate_by_score", "get_best_entry_conditions", "get_strategy_performance",
     "check_setup"],
)  # fmt: skip
async def test_a_book_beyond_the_limit_is_counted_and_not_judged(store: Store, tool: str) -> None:
    await record(store, "\n".join(LINES))

    answer = await ask(store, tool)

    assert "a book of 60 trades is too large; up to 59 are judged" in answer["summary"]
    assert answer["scope"]["trades"] == 60
    assert answer["evidence"] in ("descriptive", "insufficient")


@pytest.mark.usefixtures("limit")
async def test_a_book_at_the_limit_is_judged(store: Store) -> None:
    await record(store, "\n".join(LINES[:59]))

    answer = await ask(store, "get_win_rate_by_score")

    assert "too large" not in answer["summary"]
    assert answer["whole_book_score"]["trend_p"] is not None
