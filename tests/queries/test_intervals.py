"""Every win rate carries an interval that allows for trades that win and lose together."""

import random
from collections.abc import Iterable
from datetime import date, timedelta
from math import sqrt
from typing import Any

import pytest

from store.database import Store
from tests.ledger import record
from tests.server.asking import ask

Z = 1.959963984540054  # 97.5th percentile of the normal, from tables.


def moody(days: int, a_day: int, seed: int) -> list[tuple[date, str, int]]:
    """Trades of days on which most win or most lose: day of entry, ticker, outcome."""
    chance, start = random.Random(seed), date(2025, 1, 6)
    found = []
    for number in range(days):
        rate = chance.choice([0.1, 0.9])
        for _ in range(a_day):
            outcome = 0 if chance.random() < 0.1 else 1 if chance.random() < rate else -1
            ticker = chance.choice(["AAPL", "SPY"])
            found.append((start + timedelta(days=3 * number), ticker, outcome))
    return found


def as_text(trades: Iterable[tuple[date, str, int]]) -> str:
    return "\n".join(f"{day} {ticker} {10 * outcome:+d}" for day, ticker, outcome in trades)


def interval(trades: list[tuple[date, str, int]]) -> tuple[float, float]:
    """Wilson on n / deff, deff by explicit sums over weeks and over blocks of four weeks."""
    decided = [(day, outcome > 0) for day, _, outcome in trades if outcome]
    n, wins = len(decided), sum(won for _, won in decided)
    p = wins / n
    deff = 1.0
    for weeks, least in ((1, 5), (4, 8)):
        clusters: dict[int, list[bool]] = {}
        for day, won in decided:
            week = (day - date(1969, 12, 29)).days // 7
            clusters.setdefault(week // weeks, []).append(won)
        if len(clusters) >= least:
            spread = sum((sum(w) - p * len(w)) ** 2 for w in clusters.values())
            ratio = spread * len(clusters) / (len(clusters) - 1) / (n * p * (1 - p))
            deff = max(deff, ratio)
    n = n / deff  # type: ignore[assignment]
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return round(centre - half, 4), round(centre + half, 4)


def told(rate: dict[str, Any]) -> tuple[float, float]:
    return rate["win_rate_low"], rate["win_rate_high"]


@pytest.mark.parametrize(("days", "a_day"), [(14, 4), (80, 2)])
async def test_the_interval_is_wilsons_on_the_effective_number_of_trades(
    store: Store, days: int, a_day: int
) -> None:
    """14 days, 3 apart, are 6 weeks and too few blocks; 80 are 35 weeks and 9 blocks."""
    trades = moody(days, a_day, seed=days)
    await record(store, as_text(trades))

    answer = await ask(store, "get_trade_history", limit=1)

    assert told(answer["totals"]) == pytest.approx(interval(trades), abs=1.01e-4)
    assert "dependence" not in answer["totals"]


async def test_a_filter_leaves_the_clusters_of_what_it_leaves(store: Store) -> None:
    trades = moody(40, 3, seed=7)
    await record(store, as_text(trades))
    mine = [one for one in trades if one[1] == "AAPL"]

    history = await ask(store, "get_trade_history", ticker="AAPL", limit=1)
    performance = await ask(store, "get_strategy_performance", ticker="AAPL")
    setup = await ask(store, "check_setup", ticker="AAPL")
    conditions = await ask(store, "get_best_entry_conditions", ticker="AAPL")

    expected = pytest.approx(interval(mine), abs=1.01e-4)
    assert told(history["totals"]) == expected
    assert told(performance["overall"]) == expected
    assert told(setup["levels"][0]) == expected
    assert told(conditions["ticker"]) == expected
    assert told(conditions["overall"]) == pytest.approx(interval(trades), abs=1.01e-4)


async def test_below_five_weeks_dependence_cannot_be_judged_and_that_is_said(
    store: Store,
) -> None:
    trades = moody(9, 4, seed=3)  # 25 days: four weeks.
    await record(store, as_text(trades))

    totals = (await ask(store, "get_trade_history", limit=1))["totals"]

    assert totals["dependence"] == "unjudged: fewer than 5 weeks"
    assert told(totals) == pytest.approx(interval(trades), abs=1.01e-4)


async def test_the_week_is_that_of_entry_in_the_markets_zone(store: Store) -> None:
    """Sunday 23:00 in New York is Monday in UTC: entered in the earlier week, all of them."""
    lines = [
        f"2025-{month:02d}-20T15:00Z SPY {net} entered {day}T03:30Z"
        for month, day in [(2, "2025-01-06"), (3, "2025-01-13"), (4, "2025-01-20"),
                           (5, "2025-01-27"), (6, "2025-02-03"), (7, "2025-02-10")]
        for net in ("+10", "-10" if month % 2 else "+10")
    ]  # fmt: skip
    await record(store, "\n".join(lines))

    totals = (await ask(store, "get_trade_history", limit=1))["totals"]

    weeks = [date(2025, 1, 5) + timedelta(days=7 * week) for week in range(6)]
    trades = [(day, "SPY", won) for k, day in enumerate(weeks) for won in (1, -1 if k % 2 else 1)]
    assert told(totals) == pytest.approx(interval(trades), abs=1.01e-4)
