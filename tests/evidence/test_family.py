"""The conditions of a book that have enough trades to be tested, alone and in pairs.

Pairs are checked against brute force: every two conditions, counted trade by trade.
"""

from collections.abc import Sequence
from itertools import combinations
from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.evidence.family import Candidate, Pairs, enough, pairs, singles
from store.evidence.grid import Condition, Value, conditions_of

Bools = NDArray[np.bool_]

LOW, MIDDLE = Condition("iv<0.2", "iv", high=0.2), Condition("iv=0.2-0.4", "iv", low=0.2, high=0.4)
WORD = Condition("iv=low", "iv", word="low")
ABOVE = Condition("iv>=0.4", "iv", low=0.4)


def first(n: int, of: int) -> Bools:
    return np.arange(of) < n


def everyone(n: int) -> Bools:
    return np.ones(n, np.bool_)


def found(facts: dict[str, Sequence[Value]], decided: Bools) -> list[Candidate]:
    return singles(facts, conditions_of(facts), decided)


# Which trades a condition holds for.


@given(
    st.lists(
        st.one_of(st.none(), st.floats(-1, 1), st.integers(-1, 1), st.sampled_from(["low", ""])),
        min_size=20,
        max_size=20,
    ),
    st.sampled_from([LOW, MIDDLE, ABOVE, WORD]),
)
def test_a_condition_holds_for_the_trades_it_says(
    values: list[Value], condition: Condition
) -> None:
    enough_of_each: list[Value] = [0.1, 0.3, 0.5, "low"]
    column = values + enough_of_each * 8
    expected = [condition.holds(value) for value in column]
    (candidate,) = singles({"iv": column}, [condition], everyone(52))
    assert candidate.held.tolist() == expected


def test_a_band_includes_its_lower_end_and_not_its_upper() -> None:
    facts = {"iv": [0.2] * 10 + [0.4] * 10 + [0.3] * 10}
    (candidate,) = singles(facts, [MIDDLE], everyone(30))
    assert candidate.held.tolist() == [True] * 10 + [False] * 10 + [True] * 10


def test_a_word_that_no_trade_has_holds_for_none_of_them() -> None:
    """As in the first part of a book: neither for unknown values nor for any other word."""
    unseen = Condition("iv=unseen", "iv", word="unseen")
    facts: dict[str, Sequence[Value]] = {"iv": [None, "low", "high", "mid", 0.5] * 10}
    assert singles(facts, [unseen], everyone(50)) == []


# Enough trades.


@pytest.mark.parametrize(
    ("decided", "inside", "tested"),
    [
        (200, 7, False),
        (200, 8, True),
        (200, 192, True),
        (200, 193, False),
        (400, 8, True),
        (402, 8, False),  # ceil(2 % of 402) = 9
        (402, 9, True),
        (1000, 19, False),
        (1000, 20, True),
        (1000, 980, True),
        (1000, 981, False),
        (15, 8, False),
        (16, 8, True),
    ],
)
def test_a_condition_needs_eight_or_two_per_cent_of_the_trades_inside_and_outside(
    decided: int, inside: int, tested: bool
) -> None:
    words: list[Value] = ["swing"] * inside + [None] * (decided - inside)
    assert bool(found({"strategy": words}, everyone(decided))) is tested


def test_breakevens_do_not_count_towards_enough() -> None:
    """Ten trades inside, three of them break-even; thirty outside, all decided."""
    decided = ~first(3, 40)
    assert found({"strategy": ["swing"] * 10 + [None] * 30}, decided) == []
    assert found({"strategy": ["swing"] * 11 + [None] * 29}, decided) != []


def test_enough_counts_decided_trades_on_either_side() -> None:
    assert enough(first(10, 30), everyone(30), 10)
    assert not enough(first(10, 30), everyone(30), 11)
    assert not enough(first(21, 30), everyone(30), 10)
    assert not enough(first(20, 30), first(29, 30), 10)


# One name for the same trades.


def test_conditions_that_hold_for_the_same_trades_are_one() -> None:
    facts: dict[str, Sequence[Value]] = {
        "strategy": ["swing"] * 10 + [None] * 20,
        "dte": [5] * 10 + [None] * 20,
        "hour": ["09"] * 9 + [None] * 21,
    }
    merged, other = found(facts, everyone(30))
    assert (merged.name, merged.also) == ("dte=2-7", ("strategy=swing",))
    assert (other.name, other.also) == ("hour=09", ())


@pytest.mark.parametrize(("column", "word"), [("option_type", "call"), ("direction", "bullish")])
def test_a_strategy_that_is_every_call_of_the_book_is_a_direction(column: str, word: str) -> None:
    facts: dict[str, Sequence[Value]] = {
        "dte": [5] * 10 + [None] * 20,
        "strategy": ["swing"] * 10 + [None] * 20,
        column: [word] * 10 + [None] * 20,
    }
    (candidate,) = found(facts, everyone(30))
    assert (candidate.name, candidate.is_direction) == (f"{column}={word}", True)
    assert candidate.also == ("dte=2-7", "strategy=swing")


@pytest.mark.parametrize(("apart", "alike"), [(1, True), (4, False)])
def test_a_strategy_that_is_nearly_every_call_is_as_good_as_a_direction(
    apart: int, alike: bool
) -> None:
    """50 calls of 100 trades; with one apart on either side phi is .96, with four .84."""
    facts: dict[str, Sequence[Value]] = {
        "option_type": ["call"] * 50 + ["put"] * 50,
        "strategy": ["other"] * apart + ["swing"] * 50 + ["other"] * (50 - apart),
    }
    by_name = {one.name: one.is_direction for one in found(facts, everyone(100))}
    assert by_name["strategy=swing"] is alike
    assert by_name["option_type=call"] is True


def test_a_condition_of_nearly_all_trades_is_no_direction_because_nearly_all_are_calls() -> None:
    """180 of 200 are calls, another 180 have a DTE: 170 in common, phi below .5."""
    facts: dict[str, Sequence[Value]] = {
        "option_type": ["call"] * 180 + ["put"] * 20,
        "dte": [None] * 10 + [5] * 170 + [None] * 10 + [5] * 10,
    }
    by_name = {one.name: one.is_direction for one in found(facts, everyone(200))}
    assert by_name["dte=2-7"] is False


def test_conditions_that_differ_in_one_trade_stay_two() -> None:
    facts: dict[str, Sequence[Value]] = {
        "strategy": ["swing"] * 10 + [None] * 20,
        "hour": ["09"] * 11 + [None] * 19,
    }
    assert [one.also for one in found(facts, everyone(30))] == [(), ()]


def test_a_pair_is_named_by_both_and_a_direction_if_either_is() -> None:
    call = Condition("option_type=call", "option_type", word="call")
    assert Candidate((LOW, ABOVE), everyone(3)).name == "iv<0.2 & iv>=0.4"
    assert not Candidate((LOW, ABOVE), everyone(3)).is_direction
    assert Candidate((LOW, call), everyone(3)).is_direction


# Pairs.


def brute_force(candidates: Sequence[Candidate], decided: Bools, y: list[int]) -> dict[str, float]:
    """The standardised excess of every pair that may be looked at."""
    n = int(decided.sum())
    base, least, excess = sum(y) / n, max(15, ceil(3 * n / 100)), {}
    for one, other in combinations(candidates, 2):
        if one.is_direction or other.is_direction:
            continue
        if one.parts[0].column == other.parts[0].column:
            continue
        inside = [i for i, k in enumerate(np.flatnonzero(decided)) if one.held[k] and other.held[k]]
        alone = [int((c.held & decided).sum()) for c in (one, other)]
        if not least <= len(inside) <= n - least or len(inside) in alone:
            continue
        won = sum(y[i] for i in inside)
        variance = base * (1 - base) * len(inside) * (n - len(inside)) / n
        excess[f"{one.name} & {other.name}"] = (won - len(inside) * base) / sqrt(variance)
    return excess


@given(st.integers(0, 10**6), st.integers(60, 160), st.integers(1, 12))
def test_pairs_are_the_strongest_of_all_that_brute_force_finds(
    seed: int, n: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    facts: dict[str, Sequence[Value]] = {
        "strategy": rng.choice(["a", "b", "c"], n).tolist(),
        "hour": rng.choice(["09", "10"], n, p=[0.8, 0.2]).tolist(),
        "option_type": rng.choice(["call", "put"], n).tolist(),
        "scanner_score": rng.uniform(40, 100, n).tolist(),
    }
    decided = rng.random(n) < 0.9
    y = (rng.random(int(decided.sum())) < 0.6).astype(int)
    candidates = found(facts, decided)
    expected = brute_force(candidates, decided, y.tolist())
    answer = pairs(candidates, decided, y.astype(float), most)
    assert answer.looked_at == len(expected)
    assert len(answer.strongest) == min(most, len(expected))
    excess = [expected[pair.name] for pair in answer.strongest]
    assert excess == pytest.approx(sorted(expected.values(), reverse=True)[:most], abs=1e-6)


def test_a_pair_holds_where_both_of_its_conditions_do() -> None:
    facts: dict[str, Sequence[Value]] = {
        "strategy": ["a"] * 40 + [None] * 60,
        "hour": [None] * 20 + ["09"] * 40 + [None] * 40,
    }
    (pair,) = pairs(found(facts, everyone(100)), everyone(100), np.ones(100), 40).strongest
    assert pair.held.tolist() == [20 <= k < 40 for k in range(100)]
    assert [part.name for part in pair.parts] == ["strategy=a", "hour=09"]


@pytest.mark.parametrize(
    ("n", "both", "looked_at"),
    [(100, 14, 0), (100, 15, 1), (600, 17, 0), (600, 18, 1), (601, 18, 0), (601, 19, 1)],
)
def test_a_pair_needs_fifteen_or_three_per_cent_of_the_trades(
    n: int, both: int, looked_at: int
) -> None:
    facts: dict[str, Sequence[Value]] = {
        "strategy": ["a"] * (both + 20) + [None] * (n - both - 20),
        "hour": [None] * 20 + ["09"] * (both + 20) + [None] * (n - both - 40),
    }
    y = np.arange(n) % 2
    assert pairs(found(facts, everyone(n)), everyone(n), y, 40).looked_at == looked_at


@pytest.mark.parametrize(("outside", "looked_at"), [(14, 0), (15, 1)])
def test_a_pair_needs_as_many_trades_outside(outside: int, looked_at: int) -> None:
    """Either condition alone misses some of those outside."""
    n = 100
    one = Candidate((LOW,), np.arange(n) >= outside - 5)
    other = Candidate((Condition("dte>=61", "dte", low=61),), np.arange(n) < n - 5)
    assert pairs([one, other], everyone(n), np.arange(n) % 2, 40).looked_at == looked_at


def test_a_pair_that_is_one_of_its_parts_is_left_out() -> None:
    facts: dict[str, Sequence[Value]] = {
        "strategy": ["a"] * 20 + [None] * 80,
        "hour": ["09"] * 40 + [None] * 60,
    }
    assert pairs(found(facts, everyone(100)), everyone(100), np.ones(100), 40) == Pairs([], 0)


def test_fewer_than_two_conditions_make_no_pair() -> None:
    (one,) = found({"strategy": ["a"] * 20 + [None] * 80}, everyone(100))
    assert pairs([one], everyone(100), np.ones(100), 40) == Pairs([], 0)
    assert pairs([], everyone(100), np.ones(100), 40) == Pairs([], 0)
