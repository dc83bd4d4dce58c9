"""Which facts known at entry are looked at: bands, words and quartiles, fixed beforehand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.evidence.grid import (
    BANDED,
    GRID,
    WEEKDAYS,
    WORDED,
    Condition,
    Value,
    conditions_of,
)
from tests.evidence.books import banded

SCORE_BANDS = ["<50", "=50-59", "=60-69", "=70-79", "=80-89", ">=90", ">=60", ">=70", ">=80"]
PARTITIONS = {
    "scanner_score": SCORE_BANDS[:6],
    "ai_score": SCORE_BANDS[:6],
    "abs_delta": ["<0.2", "=0.2-0.4", "=0.4-0.6", "=0.6-0.8", ">=0.8"],
    "iv": ["<0.2", "=0.2-0.35", "=0.35-0.5", "=0.5-0.8", ">=0.8"],
    "dte": ["=0-1", "=2-7", "=8-21", "=22-60", ">=61"],
}


def names(columns: dict[str, list[Value]]) -> list[str]:
    return [condition.name for condition in conditions_of(columns)]


# Bands of known numbers.


@pytest.mark.parametrize("column", PARTITIONS)
def test_the_bands_are_those_of_the_evidence_document(column: str) -> None:
    """EVIDENCE 3: scores also from 60, 70 and 80 up."""
    assert banded(column) == PARTITIONS[column] + (SCORE_BANDS[6:] if "score" in column else [])


def test_only_scores_delta_volatility_and_days_to_expiry_have_fixed_bands() -> None:
    assert set(BANDED) == set(PARTITIONS)


@pytest.mark.parametrize(
    ("column", "value", "bands"),
    [
        ("scanner_score", 49.99, ["<50"]),
        ("scanner_score", 50, ["=50-59"]),
        ("scanner_score", 59.99, ["=50-59"]),
        ("scanner_score", 69.5, ["=60-69", ">=60"]),
        ("scanner_score", 70, ["=70-79", ">=60", ">=70"]),
        ("scanner_score", 60, ["=60-69", ">=60"]),
        ("scanner_score", 69.99, ["=60-69", ">=60"]),
        ("ai_score", 59.99, ["=50-59"]),
        ("ai_score", 79.99, ["=70-79", ">=60", ">=70"]),
        ("ai_score", 80, ["=80-89", ">=60", ">=70", ">=80"]),
        ("ai_score", 100, [">=90", ">=60", ">=70", ">=80"]),
        ("ai_score", -5, ["<50"]),
        ("abs_delta", 0.2, ["=0.2-0.4"]),
        ("abs_delta", 0.4, ["=0.4-0.6"]),
        ("abs_delta", 1, [">=0.8"]),
        ("iv", 0.1999, ["<0.2"]),
        ("iv", 0.35, ["=0.35-0.5"]),
        ("dte", 0, ["=0-1"]),
        ("dte", 1, ["=0-1"]),
        ("dte", 2, ["=2-7"]),
        ("dte", 7, ["=2-7"]),
        ("dte", 21, ["=8-21"]),
        ("dte", 60, ["=22-60"]),
        ("dte", 61, [">=61"]),
    ],
)
def test_a_band_includes_its_lower_end_and_not_the_next_one(
    column: str, value: float, bands: list[str]
) -> None:
    held = [band.name for band in GRID if band.column == column and band.holds(value)]
    assert held == [column + label for label in bands]


@pytest.mark.parametrize("column", PARTITIONS)
def test_each_band_begins_where_its_name_says_and_ends_where_the_next_begins(column: str) -> None:
    partition = [column + label for label in PARTITIONS[column]]
    bands = [band for band in GRID if band.name in partition]
    assert [a.high for a in bands[:-1]] == [b.low for b in bands[1:]]
    assert bands[-1].high is None
    for band in bands:
        first = float(re.findall(r"[\d.]+", band.name)[0])
        assert first == (band.high if "<" in band.name else band.low)


@given(st.sampled_from(sorted(PARTITIONS)), st.floats(0, 400))
def test_every_value_falls_into_exactly_one_band_of_its_partition(
    column: str, value: float
) -> None:
    partition = [column + label for label in PARTITIONS[column]]
    assert sum(band.holds(value) for band in GRID if band.name in partition) == 1


def test_the_names_of_bands_are_unique_and_have_no_spaces() -> None:
    assert len({band.name for band in GRID}) == len(GRID)
    assert not any(" " in band.name for band in GRID)


# Unknown values and values of the other kind.


@pytest.mark.parametrize("condition", [*GRID[:9], Condition("strategy=x", "strategy", word="x")])
def test_no_condition_holds_for_an_unknown_value(condition: Condition) -> None:
    assert not condition.holds(None)


def test_a_band_does_not_hold_for_a_word_nor_a_word_for_a_number() -> None:
    assert not Condition("iv<0.2", "iv", high=0.2).holds("0.1")
    assert not Condition("iv=0.1", "iv", word="0.1").holds(0.1)


def test_a_word_holds_for_itself_only() -> None:
    condition = Condition("strategy=swing", "strategy", word="swing")
    assert [condition.holds(word) for word in ("swing", "Swing", "swing ")] == [True, False, False]


# Words.


def test_words_come_most_frequent_first_then_in_alphabetical_order() -> None:
    assert names({"strategy": ["b", "c", "a", "c", None]}) == [
        "strategy=c",
        "strategy=a",
        "strategy=b",
    ]


def test_a_free_fact_has_at_most_its_twenty_most_frequent_words() -> None:
    """Word k occurs k + 1 times, so words 0 and 1 of 22 are left out."""
    words: list[Value] = [f"w{k:02}" for k in range(22) for _ in range(k + 1)]
    assert names({"condition.mood": words}) == [f"condition.mood=w{k:02}" for k in range(21, 1, -1)]


@pytest.mark.parametrize("column", WORDED)
def test_a_known_fact_has_all_of_its_words(column: str) -> None:
    assert len(names({column: [f"w{k}" for k in range(25)]})) == 25


def test_the_known_words_are_those_of_the_evidence_document() -> None:
    assert set(WORDED) == {
        "strategy", "structure", "option_type", "direction", "weekday", "hour", "ticker",
    }  # fmt: skip
    assert WEEKDAYS == ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.mark.parametrize("column", ["exit_reason", "net_pnl", "holding_seconds", "conditions"])
def test_a_column_that_is_not_known_at_entry_is_never_looked_at(column: str) -> None:
    assert conditions_of({column: [1.0, 2.0, "x", "y"]}) == []


@pytest.mark.parametrize("column", ["option_type", "direction"])
def test_calls_puts_bulls_and_bears_are_directions(column: str) -> None:
    assert Condition(f"{column}=x", column, word="x").is_direction


def test_nothing_else_is_a_direction() -> None:
    columns: dict[str, list[Value]] = {name: ["x"] for name in (*WORDED, "condition.direction")}
    found = [c.column for c in (*GRID, *conditions_of(columns)) if c.is_direction]
    assert set(found) == {"option_type", "direction"}


# Free facts that are numbers.


def test_a_free_number_is_cut_at_the_quartiles_of_the_book() -> None:
    """Of 1 to 8, those at positions 8/4, 16/4 and 24/4 counted from 0: 3, 5 and 7."""
    assert names({"condition.vix": [8.0, 7, 6, 5, 4, 3, 2, 1, None]}) == [
        "condition.vix<3",
        "condition.vix=3-5",
        "condition.vix=5-7",
        "condition.vix>=7",
    ]


def test_equal_quartiles_make_fewer_bands() -> None:
    assert names({"condition.gap": [0, 0, 0, 2.5]}) == ["condition.gap<2.5", "condition.gap>=2.5"]


@pytest.mark.parametrize("values", [[], [None], [3.5] * 9])
def test_a_free_fact_without_two_values_has_no_bands(values: list[Value]) -> None:
    assert names({"condition.vix": values}) == []


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_every_free_number_falls_into_one_of_the_quartile_bands_and_none_is_empty(
    values: list[float],
) -> None:
    bands = conditions_of({"condition.x": list(values)})
    held = [[band.holds(value) for value in values] for band in bands]
    assert all(sum(column) == 1 for column in zip(*held, strict=True))
    assert all(any(row) for row in held)
    if len(set(values)) == len(values) >= 4:
        assert len(bands) == 4
        assert all(abs(sum(row) - len(values) / 4) <= 1 for row in held)


def test_cuts_that_differ_in_the_seventh_digit_have_different_names() -> None:
    values: list[Value] = [5123.4561, 5123.4562, 5123.4563, 5123.4564]
    assert names({"condition.spx": values}) == [
        "condition.spx<5123.4562",
        "condition.spx=5123.4562-5123.4563",
        "condition.spx=5123.4563-5123.4564",
        "condition.spx>=5123.4564",
    ]


def test_a_free_fact_of_words_and_numbers_is_looked_at_both_ways() -> None:
    assert names({"condition.x": ["low", 1, 2]}) == [
        "condition.x=low",
        "condition.x<2",
        "condition.x>=2",
    ]


def test_conditions_come_in_a_fixed_order_whatever_the_order_of_the_columns() -> None:
    columns: dict[str, list[Value]] = {
        "condition.b": ["x"],
        "condition.a": ["x"],
        "ticker": ["SPY"],
        "strategy": ["swing"],
        "dte": [1],
    }
    assert names(columns) == names(dict(reversed(columns.items())))
    assert names(columns)[-4:] == ["strategy=swing", "ticker=SPY", "condition.a=x", "condition.b=x"]
    assert all(name.startswith("dte") for name in names(columns)[:5])
