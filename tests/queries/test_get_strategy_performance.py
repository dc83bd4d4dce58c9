"""get_strategy_performance: how a strategy has done, and how sure one can be."""

import csv
import random
import shutil
import statistics
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from store.database import Store
from store.importers import read
from store.importing import import_file
from store.models import Trade
from store.schema import prepare
from tests.conftest import in_own_loop, settings_for
from tests.evidence.oracles import hall
from tests.ledger import record
from tests.postgres_server import Server
from tests.server.asking import ask

SAMPLE = Path(__file__).parents[3] / "shared/samples/option_omega/ema-tradelog.csv"
ZONE = ZoneInfo("America/New_York")

# EVIDENCE 6: the same twelve trades through seven libraries.
TWELVE = "120 -80 0 45 1.2 -1.3 -200 310 -60 15 -100 90"


@dataclass(frozen=True)
class Row:
    """A row of the broker's file, read with nothing of ours."""

    line: int
    opened: datetime
    closed: datetime
    net: Decimal


def rows() -> list[Row]:
    """The file's rows in order of exit; at the same moment in the order of the file."""

    def moment(row: dict[str, str], which: str) -> datetime:
        text = f"{row[f'Date {which}']} {row[f'Time {which}']}"
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)

    with SAMPLE.open(encoding="utf-8-sig", newline="") as lines:
        found = [
            Row(line, moment(row, "Opened"), moment(row, "Closed"), Decimal(row["P/L"]))
            for line, row in enumerate(csv.DictReader(lines))
        ]
    return sorted(found, key=lambda row: (row.closed, row.line))


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "whole": ("get_strategy_performance", {}),
    "strategy": ("get_strategy_performance", {"strategy": "0dte pcs - ema entry"}),
    "history": ("get_trade_history", {"limit": 20, "response_format": "detailed"}),
    "worst": ("get_trade_history", {"limit": 20, "order": "worst"}),
    "score": ("get_win_rate_by_score", {}),
    "conditions": ("get_best_entry_conditions", {"limit": 30}),
    "overview": ("get_overview", {}),
    "trade": ("get_trade", {"number": 100}),
}


async def answers_of(url: str) -> dict[str, dict[str, Any]]:
    """The answers of all calls on the imported log, by the name of the call."""
    store = Store(settings_for(url))
    await prepare(store)
    async with store.write() as session:
        await import_file(session, read(SAMPLE))
    answers = {name: await ask(store, tool, **given) for name, (tool, given) in CALLS.items()}
    await store.close()
    for answer in answers.values():
        del answer["provenance"]["as_of"]
    return answers


@pytest.fixture(scope="module")
def sample(
    server: Server,
    postgres_template: str,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, dict[str, Any]]]:
    """What each database answers; importing once is enough."""
    if not SAMPLE.exists():
        pytest.skip("the sample is not there")
    path, name, found = tmp_path_factory.mktemp("sample") / "trades.db", "ledger_sample", {}

    async def run() -> None:
        found["sqlite"] = await answers_of(f"sqlite:///{path}")
        await server.create_database(name, postgres_template)
        found["postgresql"] = await answers_of(server.url(name))
        await server.drop_database(name)

    shutil.copy(sqlite_template, path)
    in_own_loop(run())
    return found


@pytest.fixture
def answer(sample: dict[str, dict[str, dict[str, Any]]], dialect: str) -> dict[str, Any]:
    """The whole log's performance, asked through the tool."""
    return sample[dialect]["whole"]


def test_a_real_log_answers_what_its_own_program_says(answer: dict[str, Any]) -> None:
    """Figures of the broker's own program."""
    found = answer["overall"]

    counts = (found["n"], found["wins"], found["breakevens"], found["losses"])
    assert counts == (384, 186, 1, 197)
    assert found["net_pnl"] == "19735.00"
    assert found["profit_factor"] == 1.1204
    assert found["win_rate"] == 0.4856


def test_a_real_log_has_the_money_of_a_plain_sum(answer: dict[str, Any]) -> None:
    found, nets = answer["overall"], [row.net for row in rows()]
    won = [net for net in nets if net > 0]
    lost = [-net for net in nets if net < 0]

    assert Decimal(found["net_pnl"]) == sum(nets)
    assert Decimal(found["gross_pnl"]) - Decimal(found["fees"]) == sum(nets)
    assert float(found["expectancy"]) == pytest.approx(statistics.fmean(nets), abs=5e-7)
    assert found["profit_factor"] == round(float(sum(won) / sum(lost)), 4)
    payoff = statistics.fmean(won) / statistics.fmean(lost)
    assert found["payoff_ratio"] == round(payoff, 4)
    assert found["win_rate_all"] == round(len(won) / len(nets), 4)


def test_a_real_log_has_the_drawdown_of_its_equity_curve(answer: dict[str, Any]) -> None:
    equity = [Decimal(0), *accumulate(row.net for row in rows())]
    falls = [value - peak for value, peak in zip(equity, accumulate(equity, max), strict=True)]

    assert Decimal(answer["overall"]["max_drawdown"]) == min(falls)


def test_a_real_log_has_the_streaks_of_its_rows(answer: dict[str, Any]) -> None:
    decided = [row.net > 0 for row in rows() if row.net]
    runs = [(won, len(list(run))) for won, run in groupby(decided)]

    found = answer["overall"]
    assert found["win_streak"]["length"] == max(length for won, length in runs if won)
    assert found["loss_streak"]["length"] == max(length for won, length in runs if not won)


@pytest.mark.parametrize(("field", "sign"), [("wins", 1), ("losses", -1)])
def test_a_real_log_has_the_quartiles_of_its_holding_times(
    answer: dict[str, Any], field: str, sign: int
) -> None:
    """The standard library's inclusive quartiles are Hyndman & Fan's type 7."""
    hours = [
        (row.closed - row.opened).total_seconds() / 3600 for row in rows() if row.net * sign > 0
    ]

    quartiles = statistics.quantiles(hours, n=4, method="inclusive")
    assert answer["overall"][f"holding_hours_{field}"] == pytest.approx(quartiles, abs=0.0501)


def test_a_real_log_compares_its_strategies_to_the_whole(answer: dict[str, Any]) -> None:
    each = answer["strategies"]

    assert sum(one["n"] for one in each) == answer["overall"]["n"]
    total = sum(Decimal(one["net_pnl"]) for one in each)
    assert total == Decimal(answer["overall"]["net_pnl"])
    nets = [Decimal(one["net_pnl"]) for one in each]
    assert nets == sorted(nets, reverse=True)


@pytest.mark.parametrize("call", CALLS)
def test_both_databases_answer_alike(
    sample: dict[str, dict[str, dict[str, Any]]], call: str
) -> None:
    assert sample["sqlite"][call] == sample["postgresql"][call]


def twelve() -> str:
    return "\n".join(
        f"2026-01-{day:02d} SPY {net if net.startswith('-') else '+' + net} option call"
        for day, net in enumerate(TWELVE.split(), start=1)
    )


async def test_twelve_trades_give_the_numbers_of_seven_libraries(store: Store) -> None:
    await record(store, twelve(), strategy="leap_call")

    found = (await ask(store, "get_strategy_performance", strategy="leap_call"))["overall"]

    assert (found["n"], found["wins"], found["losses"], found["breakevens"]) == (12, 6, 5, 1)
    assert (found["win_rate"], found["win_rate_all"]) == (0.5455, 0.5)
    assert (found["profit_factor"], found["payoff_ratio"]) == (1.317, 1.0975)
    assert round(float(found["expectancy"]), 4) == 11.6583
    assert found["max_drawdown"] == "-235.10"


@pytest.mark.parametrize(("n", "given"), [(29, False), (30, True)])
async def test_the_system_quality_number_needs_thirty_trades_with_risk(
    store: Store, n: int, given: bool
) -> None:
    """By hand: R is 1 and -.5 in turn on a risk of 500; sqrt(30) mean / sd of 30 such."""
    lines = "\n".join(
        f"2026-02-{1 + i // 2:02d} SPY {'-250' if i % 2 else '+500'} option call" for i in range(n)
    )
    await record(store, lines)

    found = (await ask(store, "get_strategy_performance"))["overall"]

    rs = [-0.5 if i % 2 else 1.0 for i in range(30)]
    expected = round(30**0.5 * statistics.fmean(rs) / statistics.stdev(rs), 4)
    assert found["n_r"] == n
    assert found["sqn"] == (expected if given else None)


async def test_a_first_loss_is_a_drawdown_for_the_peak_starts_at_zero(store: Store) -> None:
    await record(store, "2026-01-05 SPY -30\n2026-01-06 SPY +10\n2026-01-07 SPY -5")

    found = (await ask(store, "get_strategy_performance"))["overall"]

    assert found["max_drawdown"] == "-30.00"


async def test_break_evens_are_passed_over_by_streaks(store: Store) -> None:
    """Three losses in a row around a break-even; with equal chances, at least one such in 4
    decided trades (1 win): P = 1 - P(no run of 3), by hand .75**3 + .25 * .75**3."""
    await record(
        store,
        """
        2026-01-05  SPY  -30
        2026-01-06  SPY   +0.00
        2026-01-07  SPY  -10
        2026-01-08  SPY  -10
        2026-01-09  SPY  +10
        """,
    )

    found = (await ask(store, "get_strategy_performance"))["overall"]

    chance = round(0.75**3 + 0.25 * 0.75**3, 4)
    assert found["loss_streak"] == {"length": 3, "chance": chance}
    assert found["win_streak"]["length"] == 1


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 40])
async def test_the_course_of_trades_is_that_of_a_second_method(store: Store, n: int) -> None:
    """Falls, streaks and quartiles one trade after the other, several exits at one moment."""
    chance = random.Random(n)
    closed_at = [f"2026-01-{5 + i // 3:02d}T12:00Z" for i in range(n)]
    course = [(at, chance.choice([-30, -10, 0, 20]), chance.randint(1, 99)) for at in closed_at]
    await record(
        store,
        "\n".join(
            f"{closed} SPY {net:+} entered {before(closed, hours)}" for closed, net, hours in course
        ),
    )

    found = (await ask(store, "get_strategy_performance"))["overall"]

    equity = list(accumulate((net for _, net, _ in course), initial=0))
    peaks = accumulate(equity, max)
    deepest = min(now - peak for now, peak in zip(equity, peaks, strict=True))
    assert Decimal(found["max_drawdown"]) == deepest
    runs = [(won, len(list(run))) for won, run in groupby(net > 0 for _, net, _ in course if net)]
    for name, sign in (("win", True), ("loss", False)):
        longest = max((length for won, length in runs if won is sign), default=0)
        assert found[f"{name}_streak"]["length"] == longest
        held = [hours for _, net, hours in course if net and (net > 0) is sign]
        quartiles = statistics.quantiles(held, method="inclusive") if len(held) > 1 else held * 3
        said = found["holding_hours_wins" if sign else "holding_hours_losses"]
        assert said == pytest.approx(quartiles, abs=0.0501)


def before(moment: str, hours: int) -> str:
    return (datetime.fromisoformat(moment) - timedelta(hours=hours)).isoformat()


async def test_strategies_are_listed_best_first(store: Store) -> None:
    await record(
        store,
        """
        2026-01-05  SPY  -30  strategy slow
        2026-01-06  SPY  +50  strategy fast
        2026-01-07  SPY  +10
        """,
    )

    answer = await ask(store, "get_strategy_performance")

    named = [(one["strategy"], one["net_pnl"]) for one in answer["strategies"]]
    assert named == [("fast", "50.00"), (None, "10.00"), ("slow", "-30.00")]
    assert answer["comparison"]["strategies"] == 0
    assert [one["p_adjusted"] for one in answer["strategies"]] == [None] * 3
    assert answer["overall"]["n"] == 3


def styles(n: int, *, edge: bool, seed: int = 8) -> str:
    """Three strategies, a trade a day each in turn; with an edge one wins 8 of 10, else 5."""
    chance, start = random.Random(seed), date(2025, 1, 6)
    lines = []
    for i in range(n):
        style = ("fast", "slow", "other")[i % 3]
        won = chance.random() < (0.8 if edge and style == "fast" else 0.45)
        amount = chance.randint(60, 140)
        lines.append(
            f"{start + timedelta(days=i)} SPY {'+' if won else '-'}{amount} option call"
            f" strategy {style}"
        )
    return "\n".join(lines)


async def test_a_strategy_that_is_better_stands_out_from_the_best_by_luck(store: Store) -> None:
    await record(store, styles(180, edge=True))

    answer = await ask(store, "get_strategy_performance")

    chances = {one["strategy"]: one["p_adjusted"] for one in answer["strategies"]}
    returns = {one["strategy"]: one["mean_return"] for one in answer["strategies"]}
    assert answer["comparison"]["strategies"] == 3
    assert chances["fast"] <= 0.05 < min(chances["slow"], chances["other"])
    assert (
        returns["fast"]
        > answer["comparison"]["best_by_luck"]
        > max(returns["slow"], returns["other"])
    )
    assert "1 stands out from the others" in answer["summary"]


async def test_the_best_of_strategies_that_do_not_differ_is_called_luck(store: Store) -> None:
    await record(store, styles(180, edge=False))

    answer = await ask(store, "get_strategy_performance")

    assert min(one["p_adjusted"] for one in answer["strategies"]) > 0.05
    assert "none stands out from the others" in answer["summary"]


async def test_strategies_are_compared_on_the_whole_book_only(store: Store) -> None:
    await record(store, styles(180, edge=True))
    await record(store, "2026-01-05 AAPL +10 strategy fast")

    answer = await ask(store, "get_strategy_performance", ticker="SPY")

    assert "comparison" not in answer
    assert {one["p_adjusted"] for one in answer["strategies"]} == {None}


async def test_the_drawdown_is_held_against_other_orders_of_the_same_trades(
    store: Store,
) -> None:
    """All losses in a row fall deeper than nearly any order; spread evenly, than nearly none."""
    bunched = ["-10"] * 20 + ["+11"] * 20
    spread = ["-10", "+11"] * 20
    for account, order in (("bunched", bunched), ("spread", spread)):
        lines = [
            f"2026-01-{1 + i // 2:02d}T{10 + i % 2}:00Z SPY {net}" for i, net in enumerate(order)
        ]
        await record(store, "\n".join(lines), account=account)

    found = {
        account: (await ask(store, "get_strategy_performance", account=account))["overall"]
        for account in ("bunched", "spread")
    }

    assert found["bunched"]["max_drawdown"] == "-200.00"
    assert found["bunched"]["drawdown_order_p"] < 0.01
    assert found["spread"]["max_drawdown"] == "-10.00"
    assert found["spread"]["drawdown_order_p"] > 0.99


def won_and_lost(name: str, pattern: str, n: int) -> str:
    """A trade every second day, +20 or -20 as the pattern says."""
    return "\n".join(
        f"{date(2025, 1, 6) + timedelta(days=2 * i)} SPY {pattern[i % len(pattern)]}20"
        f" strategy {name}"
        for i in range(n)
    )


async def test_kelly_is_nothing_until_an_edge_is_shown(store: Store) -> None:
    """40 trades, 30 won of 20 and 10 lost of 20: payoff 1, f = .75 - .25 = .5; mean 10,
    squares 40 x 400, t^2 = 10^2 x 39 / (400 - 100) = 13; .25 x (12/13) is capped at .1."""
    await record(store, won_and_lost("good", "+++-", 40))
    await record(store, won_and_lost("even", "+-", 40))

    good, even, part = [
        (await ask(store, "get_strategy_performance", **asked))["overall"]
        for asked in ({"strategy": "good"}, {"strategy": "even"}, {"ticker": "SPY"})
    ]

    assert (good["kelly"], good.get("kelly_reason")) == (0.1, None)
    assert (even["kelly"], even["kelly_reason"]) == (0, "expectancy is not shown to be above 0")
    assert (part["kelly"], part["kelly_reason"]) == (
        0,
        "told of a whole book or a whole strategy only",
    )


async def test_kelly_needs_fifty_closed_trades_in_the_book(store: Store) -> None:
    await record(store, won_and_lost("good", "+++-", 49))

    overall = (await ask(store, "get_strategy_performance"))["overall"]

    assert overall["kelly"] == 0
    assert overall["kelly_reason"] == "fewer than 50 closed trades in the book"


async def test_money_made_without_paying_for_its_risk_is_flagged(store: Store) -> None:
    """One large trade earns 100 on a risk of 2,000; three small ones lose 20 on 100 each."""
    await record(
        store,
        """
        2026-01-05  SPY  +100  stop 80
        2026-01-06  SPY   -20  stop 99
        2026-01-07  SPY   -20  stop 99
        2026-01-08  SPY   -20  stop 99
        """,
    )

    overall = (await ask(store, "get_strategy_performance"))["overall"]

    assert overall["net_pnl"] == "40.00"
    assert overall["return_on_risk"] == pytest.approx((0.05 - 0.2 * 3) / 4)
    assert overall["signs_disagree"] is True


async def test_strategies_are_compared_in_money_where_risk_is_known_of_some_only(
    store: Store,
) -> None:
    """The same prices and odds; only one has stops, and on risk would look far better."""
    chance, start, lines = random.Random(3), date(2025, 1, 6), []
    for i in range(180):
        style = ("stopped", "free", "loose")[i % 3]
        net = chance.choice(["+50", "+20", "-30"])
        stop = " stop 99" if style == "stopped" else ""
        lines.append(f"{start + timedelta(days=i)} SPY {net} strategy {style}{stop}")
    await record(store, "\n".join(lines))

    answer = await ask(store, "get_strategy_performance")

    assert answer["comparison"]["basis"] == "currency"
    assert "USD a trade of any size; none stands out" in answer["summary"]
    assert {one["mean_return"] for one in answer["strategies"]} == {None}


@pytest.mark.parametrize(("stop", "basis"), [(" stop 95", "risk"), ("", "notional")])
async def test_strategies_are_compared_on_risk_or_else_on_notional(
    store: Store, stop: str, basis: str
) -> None:
    lines = [
        f"2026-{1 + i // 28:02d}-{1 + i % 28:02d} SPY {'+10' if i % 3 else '-10'}{stop}"
        f" strategy {'odd' if i % 2 else 'even'}"
        for i in range(60)
    ]
    await record(store, "\n".join(lines))

    answer = await ask(store, "get_strategy_performance")
    conditions = await ask(store, "get_best_entry_conditions")

    assert answer["comparison"]["basis"] == basis
    assert conditions["risk_known"] == (60 if stop else 0)


async def test_every_mean_has_its_interval(store: Store) -> None:
    """Hall's, by an oracle; of R, of returns and of a strategy's profit factor."""
    await record(store, styles(60, edge=False))

    answer = await ask(store, "get_strategy_performance")

    overall = answer["overall"]
    async with store.read() as session:
        r = [float(one or 0) for one in await session.scalars(select(Trade.r_multiple))]
    assert (overall["expectancy_r_low"], overall["expectancy_r_high"]) == pytest.approx(
        hall(r), abs=1e-4
    )
    # Options: the risk is the premium, so R is the return on risk.
    assert (overall["return_low"], overall["return_high"]) == pytest.approx(hall(r), abs=1e-4)
    for one in answer["strategies"]:
        assert one["expectancy_low"] is not None
        assert one["profit_factor_low"] < one["profit_factor"] < one["profit_factor_high"]
