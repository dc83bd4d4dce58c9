"""What every question counts: one mode, one currency, closed trades, the period asked for."""

from collections.abc import Sequence
from typing import Any

import pytest

from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Invalid
from store.queries.get_trade_history import get_trade_history
from tests.ledger import read as line
from tests.ledger import record, trade
from tests.server.asking import ToolFailed, ask

BOTH = """
    2026-01-05  AAPL  +10
    2026-01-06  AAPL  -20
"""
TOTALS = {
    "get_trade_history": ("totals",),
    "get_strategy_performance": ("overall",),
    "get_best_entry_conditions": ("overall",),
}


async def live_and_paper(store: Store) -> None:
    await record(store, BOTH, account="sim", mode="paper")
    await record(store, "2026-01-07 AAPL +5", account="real", mode="live")


def n_of(tool: str, answer: dict[str, Any]) -> int:
    for name in TOTALS[tool]:
        answer = answer[name]
    return int(answer["n"])


@pytest.mark.parametrize("tool", TOTALS)
async def test_live_is_answered_and_the_paper_trades_left_out_are_counted(
    store: Store, tool: str
) -> None:
    await live_and_paper(store)

    answer = await ask(store, tool)

    assert (answer["scope"]["mode"], n_of(tool, answer)) == ("live", 1)
    assert answer["scope"]["left_out"] == ["2 paper"]


@pytest.mark.parametrize("tool", TOTALS)
async def test_paper_is_answered_when_asked(store: Store, tool: str) -> None:
    await live_and_paper(store)

    answer = await ask(store, tool, mode="paper")

    assert (answer["scope"]["mode"], n_of(tool, answer)) == ("paper", 2)


@pytest.mark.parametrize("tool", TOTALS)
async def test_both_are_pooled_only_when_asked(store: Store, tool: str) -> None:
    await live_and_paper(store)

    answer = await ask(store, tool, mode="all")

    assert (answer["scope"]["mode"], n_of(tool, answer)) == ("all", 3)
    assert answer["scope"]["left_out"] == []


async def test_paper_is_answered_while_there_is_nothing_live(store: Store) -> None:
    await record(store, BOTH)

    assert (await ask(store, "get_trade_history"))["scope"]["mode"] == "paper"


async def test_live_asked_of_a_paper_book_says_live(store: Store) -> None:
    await record(store, BOTH)

    answer = await ask(store, "get_trade_history", mode="live")

    assert (answer["scope"]["mode"], answer["totals"]["n"]) == ("live", 0)
    assert answer["trades"] == []


@pytest.mark.parametrize("mode", [None, "paper", "all"])
async def test_two_currencies_are_never_summed(store: Store, mode: str | None) -> None:
    await record(store, BOTH, account="dollars")
    await record(store, "2026-01-07 SAP +1000", account="euros", currency="EUR")

    answer = await ask(store, "get_trade_history", mode=mode)

    assert (answer["scope"]["currency"], answer["totals"]["net_pnl"]) == ("USD", "-10.00")
    [left_out] = answer["scope"]["left_out"]
    assert left_out == f"1 {mode or 'paper'} in EUR"
    assert {one["ticker"] for one in answer["trades"]} == {"AAPL"}


async def test_an_account_is_answered_in_its_own_currency(store: Store) -> None:
    await record(store, BOTH, account="dollars")
    await record(store, "2026-01-07 SAP +1000", account="euros", currency="EUR")

    answer = await ask(store, "get_trade_history", account="euros")

    assert (answer["scope"]["currency"], answer["totals"]["net_pnl"]) == ("EUR", "1000.00")


@pytest.mark.parametrize("tool", TOTALS)
async def test_open_trades_are_left_out_with_what_they_are_worth(store: Store, tool: str) -> None:
    await record(store, BOTH)
    await record(store, "2026-01-07 MSFT +15.50 open\n2026-01-08 MSFT open")

    answer = await ask(store, tool)

    assert n_of(tool, answer) == 2
    assert answer["scope"]["left_out"] == ["2 open, unrealised P&L 15.50"]


@pytest.mark.parametrize("tool", TOTALS)
async def test_superseded_and_void_trades_never_count(store: Store, tool: str) -> None:
    first, second, third = await record(store, BOTH + "    2026-01-07 AAPL +500")
    restated = trade({"account": "main", **line("2026-01-05 AAPL +11")})
    async with store.write() as session:
        await correct_trade(session, first, restated, reason="fill was wrong")
        await void_trade(session, third, reason="never happened")

    answer = await ask(store, tool)

    assert n_of(tool, answer) == 2
    assert answer["overall" if "overall" in answer else "totals"]["losses"] == 1
    if tool == "get_trade_history":
        assert answer["totals"]["net_pnl"] == "-9.00"
        assert sorted(one["number"] for one in answer["trades"]) == [second, 4]


async def test_a_book_of_only_void_trades_can_be_listed(store: Store) -> None:
    [number] = await record(store, "2026-01-07 AAPL +500")
    async with store.write() as session:
        await void_trade(session, number, reason="never happened")

    answer = await ask(store, "get_trade_history", status="void")

    assert [one["number"] for one in answer["trades"]] == [number]
    assert answer["totals"]["n"] == 0


# 23:30 in New York on the 6th is 04:30 UTC on the 7th.
LATE = """
    2026-01-06T17:00Z  AAPL  +1
    2026-01-07T04:30Z  SPY   +1
    2026-01-07T17:00Z  MSFT  +1
"""


@pytest.mark.parametrize(
    ("period", "tickers"),
    [
        ({"since": "2026-01-06"}, ["AAPL", "MSFT", "SPY"]),
        ({"since": "2026-01-07"}, ["MSFT"]),
        ({"until": "2026-01-07"}, ["AAPL", "SPY"]),
        ({"since": "2026-01-06", "until": "2026-01-07"}, ["AAPL", "SPY"]),
        ({"since": "2026-01-06", "until": "2026-01-06"}, []),
        ({"since": "2026-01-07T04:30:00Z"}, ["MSFT", "SPY"]),
        ({"since": "2026-01-06T23:30:00-05:00"}, ["MSFT", "SPY"]),
        ({"until": "2026-01-06T23:30:00-05:00"}, ["AAPL"]),
        ({"since": "2026-01-07T00:00:00+00:00", "until": "2026-01-07T17:00Z"}, ["SPY"]),
    ],
)
async def test_a_period_includes_its_start_excludes_its_end_and_counts_market_days(
    store: Store, period: dict[str, str], tickers: list[str]
) -> None:
    await record(store, LATE)

    answer = await ask(store, "get_trade_history", **period)

    assert sorted(one["ticker"] for one in answer["trades"]) == tickers
    assert answer["totals"]["n"] == len(tickers)


async def test_the_scope_names_the_first_and_last_market_day(store: Store) -> None:
    await record(store, LATE)

    scope = (await ask(store, "get_trade_history", until="2026-01-07"))["scope"]

    assert (scope["first"], scope["last"]) == ("2026-01-06", "2026-01-06")
    assert scope["zone"] == "America/New_York"


async def test_a_moment_without_offset_or_no_moment_is_refused(store: Store) -> None:
    none = ["2026-01-07T04:30:00", "2026-13-01", "yesterday"]
    beyond = ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"]
    accepted = r"a day \(2026-01-31\) or a moment"

    for name in ("since", "until"):
        for value in none + beyond:
            async with store.read() as session:
                with pytest.raises(Invalid, match=rf"^{name} is '.*'; {accepted}"):
                    await get_trade_history(session, **{name: value})


MIXED = """
    2026-01-05  AAPL  +10  option call  strategy leap
    2026-01-06  AAPL  -20  option put   strategy leap
    2026-01-07  SPY    +5  option call  strategy swing
    2026-01-08  SPY    +0  strategy leap
    2026-01-09  SPY  open  strategy leap
"""


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"outcome": "win"}, [1, 3]),
        ({"outcome": "loss"}, [2]),
        ({"outcome": "breakeven"}, [4]),
        ({"option_type": "call"}, [1, 3]),
        ({"structure": "Single"}, [1, 2, 3, 4]),
        ({"ticker": "aapl", "outcome": "win"}, [1]),
        ({"strategy": "leap", "since": "2026-01-06"}, [2, 4]),
        ({"strategy": "leap", "ticker": "SPY", "account": "main", "mode": "paper"}, [4]),
        ({"strategy": "swing", "option_type": "put"}, []),
        ({"status": "all"}, [1, 2, 3, 4, 5]),
        ({"status": "all", "ticker": "SPY"}, [3, 4, 5]),
    ],
)
async def test_filters_combine(
    store: Store, filters: dict[str, str], numbers: Sequence[int]
) -> None:
    await record(store, MIXED)

    answer = await ask(store, "get_trade_history", limit=100, **filters)

    assert sorted(one["number"] for one in answer["trades"]) == numbers
    assert answer["totals"]["n"] == len([number for number in numbers if number != 5])


@pytest.mark.parametrize(
    ("filters", "numbers", "closed"),
    [({}, [5], 4), ({"ticker": "AAPL"}, [], 2), ({"since": "2026-01-09"}, [5], 0),
     ({"since": "2026-01-10"}, [], 0)],
)  # fmt: skip
async def test_a_list_of_open_trades_goes_by_entry_beside_the_closed_ones_that_match(
    store: Store, filters: dict[str, str], numbers: Sequence[int], closed: int
) -> None:
    await record(store, MIXED)

    answer = await ask(store, "get_trade_history", status="open", **filters)

    assert [one["number"] for one in answer["trades"]] == numbers
    assert answer["totals"]["n"] == closed


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-02-01", "2026-01-01"), ("2026-01-05T15:00Z", "2026-01-05T14:59:59Z")],
)
async def test_a_period_that_ends_before_it_begins_is_refused(
    store: Store, since: str, until: str
) -> None:
    with pytest.raises(ToolFailed, match=f"^since {since} is after until {until}"):
        await ask(store, "get_strategy_performance", since=since, until=until)


@pytest.mark.parametrize("word", ["null", "{}", "[1]", "true", "None"])
async def test_a_strategy_may_be_named_by_any_word(store: Store, word: str) -> None:
    """Nothing in an argument that is text is read as JSON."""
    await record(store, f"2026-01-05 SPY +10 strategy '{word}'\n2026-01-06 SPY -10 strategy other")

    answer = await ask(store, "get_strategy_performance", strategy=word)

    assert answer["overall"]["n"] == 1


async def test_an_account_whose_trades_are_all_void_is_answered_from_its_own_book(
    store: Store,
) -> None:
    await record(store, "2026-01-05 AAPL +10", account="main", mode="paper")
    await record(store, "2026-01-05 SPY +10", account="swing", mode="live")
    async with store.write() as session:
        await void_trade(session, 1, reason="never happened")

    answer = await ask(store, "get_overview", account="main")

    assert (answer["void"], answer["scope"]["mode"], answer["scope"]["trades"]) == (1, "paper", 0)
