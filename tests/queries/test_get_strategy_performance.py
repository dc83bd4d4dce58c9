"""get_strategy_performance: how a strategy has done, and how sure one can be."""

import csv
import shutil
import statistics
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from store.database import Store
from store.importers import read
from store.importing import import_file
from store.schema import prepare
from tests.conftest import in_own_loop, settings_for
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


async def test_strategies_are_compared_best_first_with_the_caveat(store: Store) -> None:
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
    assert "The best of 3 strategies looks good by luck alone, too." in answer["summary"]
    assert answer["overall"]["n"] == 3
