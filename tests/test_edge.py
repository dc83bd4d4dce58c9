"""Which facts known at entry go with winning, and when that may be said.

The rules are EVIDENCE 3 and 5. Expected numbers come from a hand calculation, from scipy
or from simulated histories that have no edge.
"""

from collections.abc import Sequence
from dataclasses import astuple, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from store.edge import (
    GRID,
    Book,
    Cell,
    Fact,
    Verdict,
    Verdicts,
    holm,
    judge,
    mid_p,
    smallest_visible_edge,
    tally,
)

BOOK = Book(n=210, wins=100, losses=100, breakevens=10)


def cell(name: str, wins: int, losses: int, mean_ret: float | None = 0.1) -> Cell:
    n = wins + losses
    known = 0 if mean_ret is None else n
    return Cell(name, n, wins, losses, 0, ret_sum=(mean_ret or 0.0) * known, ret_n=known)


def only(verdicts: Verdicts) -> Verdict:
    (verdict,) = verdicts.verdicts
    return verdict


# The grid.


@pytest.mark.parametrize(
    ("column", "value", "names"),
    [
        ("scanner_score", "49.99", ["<50"]),
        ("scanner_score", "50", ["=50-59"]),
        ("scanner_score", "69.5", ["=60-69", ">=60"]),
        ("scanner_score", "70", ["=70-79", ">=60", ">=70"]),
        ("ai_score", "100", [">=90", ">=60", ">=70", ">=80"]),
        ("abs_delta", "0.2", ["=0.2-0.4"]),
        ("abs_delta", "1", [">=0.8"]),
        ("iv", "0.1999", ["<0.2"]),
        ("iv", "0.35", ["=0.35-0.5"]),
        ("dte", "1", ["=0-1"]),
        ("dte", "2", ["=2-7"]),
        ("dte", "21", ["=8-21"]),
        ("dte", "60", ["=22-60"]),
        ("dte", "61", [">=61"]),
    ],
)
def test_a_value_falls_into_its_bands(column: str, value: str, names: list[str]) -> None:
    held = [band.name for band in GRID if band.column == column and band.holds(Decimal(value))]
    assert held == [column + name for name in names]


@given(st.sampled_from(["iv", "dte", "abs_delta"]), st.decimals(0, 400, places=4))
def test_every_value_falls_into_exactly_one_band_of_a_partition(
    column: str, value: Decimal
) -> None:
    assert sum(band.holds(value) for band in GRID if band.column == column) == 1


def test_band_names_are_unique_and_begin_with_their_column_and_an_operator() -> None:
    assert len({band.name for band in GRID}) == len(GRID)
    assert all(band.name.removeprefix(band.column)[0] in "=<>" for band in GRID)


# The chance of luck.


def test_mid_p_counts_half_of_the_result_itself() -> None:
    """3 wins of 4 from 4 of 8: P(H = 4) + P(H = 3) / 2 = (1 + 16 / 2) / 70."""
    assert mid_p(3, 4, 4, 8) == pytest.approx(9 / 70, rel=1e-14)


@given(st.data())
def test_mid_p_agrees_with_exact_integer_arithmetic(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 400))
    wins = data.draw(st.integers(0, total))
    drawn = data.draw(st.integers(0, total))
    won = data.draw(st.integers(max(0, drawn + wins - total), min(drawn, wins)))
    ways = [comb(wins, k) * comb(total - wins, drawn - k) for k in range(won, drawn + 1)]
    exact = Fraction(2 * sum(ways[1:]) + ways[0], 2 * comb(total, drawn))
    assert mid_p(won, drawn, wins, total) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("sigmas", [-3.0, 0.0, 3.0, 8.0, 20.0])
def test_mid_p_keeps_twelve_digits_at_a_hundred_thousand_trades(sigmas: float) -> None:
    total, wins, drawn = 100_000, 55_000, 25_000
    won = 13_750 + round(sigmas * (25_000 * 0.55 * 0.45 * 0.75) ** 0.5)
    way = here = comb(wins, won) * comb(total - wins, drawn - won)
    more = 0
    for k in range(won, drawn):
        way = way * (wins - k) * (drawn - k) // ((k + 1) * (total - wins - drawn + k + 1))
        more += way
        if way.bit_length() < more.bit_length() - 60:
            break
    exact = Fraction(2 * more + here, 2 * comb(total, drawn))
    assert mid_p(won, drawn, wins, total) == pytest.approx(float(exact), rel=1e-12)


@given(st.integers(50, 5000), st.floats(0.1, 0.9), st.floats(0.05, 0.95), st.floats(-4, 4))
def test_mid_p_agrees_with_scipy(total: int, base: float, share: float, sigmas: float) -> None:
    wins, drawn = round(total * base), round(total * share)
    law = scipy.stats.hypergeom(total, wins, drawn)
    low, high = law.support()
    won = int(np.clip(round(law.mean() + sigmas * law.std()), low, high))
    expected = law.sf(won) + law.pmf(won) / 2
    assert mid_p(won, drawn, wins, total) == pytest.approx(expected, rel=1e-7, abs=1e-14)


@given(st.data())
def test_the_two_tails_add_up_to_one(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 3000))
    wins = data.draw(st.integers(0, total))
    drawn = data.draw(st.integers(0, total))
    won = data.draw(st.integers(max(0, drawn + wins - total), min(drawn, wins)))
    tails = mid_p(won, drawn, wins, total) + mid_p(won, drawn, wins, total, lower=True)
    assert tails == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("counts", [(5, 4, 5, 10), (0, 8, 5, 10), (-1, 4, 5, 10), (2, 11, 5, 10)])
def test_counts_that_no_book_can_have_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be part of"):
        mid_p(*counts)


# Having looked at many conditions.


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less() -> None:
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    """Marcus, Peritz & Gabriel 1976: the worst Bonferroni p of all families it belongs to."""
    everyone = range(len(ps))
    families = [set(f) for size in everyone for f in combinations(everyone, size + 1)]
    worst = [max(len(f) * min(ps[j] for j in f) for f in families if i in f) for i in everyone]
    assert holm(ps) == pytest.approx([min(1.0, p) for p in worst])


@given(st.lists(st.floats(0, 1), max_size=40))
def test_holm_keeps_the_order_and_never_lowers_a_p(ps: list[float]) -> None:
    adjusted = holm(ps)
    pairs = sorted(zip(ps, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert all(before <= after <= 1 for before, after in pairs)


# What could be seen.


@pytest.mark.parametrize(("n", "points"), [(200, 32), (500, 21), (2000, 10)])
def test_the_smallest_visible_edge_is_the_one_the_evidence_names(n: int, points: int) -> None:
    """63 conditions, a quarter of the trades inside, a base of one half (EVIDENCE 3)."""
    edge = smallest_visible_edge(0.5, n, n / 4, 63)
    assert edge == pytest.approx(points / 100, abs=0.01)


def test_the_smallest_visible_edge_by_hand() -> None:
    """One condition, 100 of 200 in: (1.6449 + .84) sqrt(.5 x .5 x (1/100 + 1/100))."""
    assert smallest_visible_edge(0.5, 200, 100, 1) == pytest.approx(2.48485 * 0.0707107, rel=1e-4)


def test_a_design_effect_of_four_doubles_the_smallest_visible_edge() -> None:
    alone, shared = (smallest_visible_edge(0.4, 900, 300, 20, deff=deff) for deff in (1, 4))
    assert alone is not None
    assert shared == pytest.approx(2 * alone)


@pytest.mark.parametrize(
    ("base", "n", "inside"), [(0.8, 60, 15), (0.5, 60, 0), (0.5, 60, 60), (0, 60, 15), (1, 60, 15)]
)
def test_where_no_edge_fits_below_certainty_none_is_visible(
    base: float, n: int, inside: int
) -> None:
    assert smallest_visible_edge(base, n, inside, 30) is None


def test_eighty_per_cent_of_histories_show_the_smallest_visible_edge() -> None:
    """400 trades, 100 inside, one condition: power by binomial simulation is .80."""
    edge = smallest_visible_edge(0.5, 400, 100, 1)
    assert edge is not None
    rng = np.random.default_rng(11)
    inside = rng.binomial(100, 0.5 + 0.75 * edge, 2000)
    outside = rng.binomial(300, 0.5 - 0.25 * edge, 2000)
    seen = [
        mid_p(int(w), 100, int(w + v), 400) <= 0.05 for w, v in zip(inside, outside, strict=True)
    ]
    assert 0.76 <= np.mean(seen) <= 0.84


# One condition.


def test_a_strong_condition_that_earns_is_supported_in_numbers_only() -> None:
    """40 of 50 against 60 of 150; p by scipy, one condition, so adjusted is p."""
    verdict = only(judge(BOOK, [cell("strategy=ignore all rules", 40, 10)]))
    law = scipy.stats.hypergeom(200, 100, 50)
    assert verdict.tier == "supported"
    assert (verdict.win_rate, verdict.rest_win_rate, verdict.rest_n) == (0.8, 0.4, 160)
    assert verdict.lift == pytest.approx(0.4)
    assert verdict.p == verdict.p_adjusted == pytest.approx(law.sf(40) + law.pmf(40) / 2)
    assert verdict.sentence == (
        "Likely real: raw 80% wins (n=50) vs 40%; after checking 1 conditions the chance of "
        "such a best result by luck is below 0.1%. Not a forecast."
    )


def test_a_verdict_carries_its_counts_and_the_wilson_interval() -> None:
    """Wilson 95 % of 40 in 50 by scipy; breakevens count in n only."""
    wilson = scipy.stats.binomtest(40, 50).proportion_ci(0.95, method="wilson")
    verdict = only(judge(BOOK, [Cell("iv>=0.8", 53, 40, 10, 3, 5.3, 53)]))
    assert (verdict.n, verdict.wins, verdict.losses, verdict.breakevens) == (53, 40, 10, 3)
    assert (verdict.low, verdict.high) == pytest.approx((wilson.low, wilson.high))
    assert verdict.mean_ret == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wins", "adjusted", "tier"),
    [(33, 0.0048, "supported"), (30, 0.0533, "suggestive"), (27, 0.2597, "insufficient")],
)
def test_the_tier_follows_the_adjusted_chance_of_luck(
    wins: int, adjusted: float, tier: str
) -> None:
    """By scipy, hypergeom(200, 100, 50): sf + pmf / 2; one condition, so nothing to adjust."""
    verdict = only(judge(BOOK, [cell("iv>=0.8", wins, 50 - wins)]))
    assert verdict.p_adjusted == pytest.approx(adjusted, abs=5e-5)
    assert verdict.tier == tier


def test_a_weak_hint_says_that_it_is_not_evidence() -> None:
    assert only(judge(BOOK, [cell("iv>=0.8", 30, 20)])).sentence == (
        "Weak hint, not evidence: one in five edge-free traders would show something like it. "
        "Do not size on it."
    )


def test_what_does_not_stand_out_is_told_with_the_smallest_visible_edge() -> None:
    """(1.6449 + .84) sqrt(.25 (1/50 + 1/150)) = .2029"""
    verdicts = judge(BOOK, [cell("iv>=0.8", 25, 25)])
    assert verdicts.smallest_visible_edge == pytest.approx(0.2029, abs=1e-4)
    assert only(verdicts).sentence == (
        "210 trades, 1 conditions checked: nothing stands out from luck. Only an edge of about "
        "+20 points would be visible yet. This is not evidence of no edge."
    )


def test_the_best_of_many_conditions_needs_a_better_result() -> None:
    """32 of 50 is p = .01175 alone (scipy); as the best of ten it is .1175."""
    others = [cell(f"hour={hour}", 25, 25) for hour in range(9)]
    best = judge(BOOK, [*others, cell("iv>=0.8", 32, 18)]).verdicts[0]
    assert (best.name, best.tier) == ("iv>=0.8", "suggestive")
    assert best.p_adjusted == pytest.approx(0.1175, abs=1e-4)


# Gates.


@pytest.mark.parametrize("mean_ret", [-0.032, 0.0])
def test_a_condition_that_wins_but_does_not_earn_is_no_edge(mean_ret: float) -> None:
    assert only(judge(BOOK, [cell("iv>=0.8", 40, 10, mean_ret)])).tier == "wins_but_loses_money"


def test_a_winning_condition_that_loses_money_says_how_much() -> None:
    assert only(judge(BOOK, [cell("iv>=0.8", 40, 10, -0.032)])).sentence == (
        "Wins more often but loses on average (-3.2% of risk per trade). Do not treat as an edge."
    )


def test_the_loss_has_an_interval_where_the_squares_are_known() -> None:
    """Forty times +5 %, ten times -40 %: mean -4 %; between the bounds lies the mean."""
    known = Cell("iv>=0.8", 50, 40, 10, 0, -2.0, 50, None, 40 * 0.0025 + 1.6, 40 * 0.05**3 - 0.64)
    verdict = only(judge(BOOK, [known]))
    assert verdict.mean_ret_low is not None
    assert verdict.mean_ret_high is not None
    assert verdict.mean_ret_low < -0.04 < verdict.mean_ret_high
    assert f"90% {verdict.mean_ret_low:+.1%} to {verdict.mean_ret_high:+.1%})" in verdict.sentence


@pytest.mark.parametrize("name", ["option_type=call", "direction=bullish"])
def test_a_direction_is_at_most_a_hint(name: str) -> None:
    verdict = only(judge(BOOK, [cell(name, 40, 10)]))
    assert (verdict.tier, verdict.sentence) == (
        "suggestive",
        "Calls and puts cannot be told apart from the market's own trend in one history.",
    )


def test_a_strategy_that_is_every_call_of_the_book_is_a_direction() -> None:
    same = [replace(cell(name, 40, 10), members=7) for name in ("a=1", "option_type=call", "z=1")]
    verdict = only(judge(BOOK, same))
    assert (verdict.name, verdict.tier) == ("option_type=call", "suggestive")
    assert verdict.also == ("a=1", "z=1")


def test_conditions_that_hold_for_the_same_trades_are_checked_once() -> None:
    same = [replace(cell(name, 40, 10), members="x") for name in ("strategy=b", "dte=2-7")]
    verdicts = judge(BOOK, [*same, cell("iv<0.2", 40, 10), cell("hour=9", 40, 10)])
    assert verdicts.conditions_checked == 3
    assert [v.name for v in verdicts.verdicts] == ["dte=2-7", "hour=9", "iv<0.2"]


def test_without_known_returns_a_condition_is_at_most_a_hint() -> None:
    verdict = only(judge(BOOK, [cell("iv>=0.8", 40, 10, None)]))
    assert (verdict.tier, verdict.mean_ret) == ("suggestive", None)
    assert "not known" in verdict.sentence


# Who is tested.


@pytest.mark.parametrize(
    ("decided", "inside", "tested"),
    [
        (200, 7, False),
        (200, 8, True),
        (200, 192, True),
        (200, 193, False),
        (402, 8, False),  # ceil(2 % of 402) = 9
        (402, 9, True),
    ],
)
def test_a_condition_needs_eight_or_two_per_cent_of_the_trades_inside_and_outside(
    decided: int, inside: int, tested: bool
) -> None:
    book = Book(decided, decided // 2, decided // 2, 0)
    wins = inside // 2
    verdicts = judge(book, [cell("iv<0.2", wins, inside - wins)])
    assert (only(verdicts).p is not None) is tested
    assert verdicts.conditions_checked == int(tested)


@pytest.mark.parametrize(
    ("book", "reason"),
    [
        (Book(49, 30, 19, 0), "fewer than 50 closed trades"),
        (Book(50, 4, 46, 0), "fewer than 5 wins"),
        (Book(50, 40, 4, 6), "fewer than 5 losses"),
        (Book(50, 30, 19, 1), None),
    ],
)
def test_a_small_or_one_sided_book_is_insufficient_and_says_why(
    book: Book, reason: str | None
) -> None:
    assert judge(book, []).reason == reason


def test_a_small_book_still_gives_counts_and_intervals_but_no_claim() -> None:
    verdicts = judge(Book(49, 25, 24, 0), [cell("iv>=0.8", 15, 0), cell("hour=9", 2, 1)])
    assert {v.tier for v in verdicts.verdicts} == {"insufficient"}
    assert all(v.p is None and v.p_adjusted is None for v in verdicts.verdicts)
    (hour, iv) = verdicts.verdicts
    assert (hour.n, iv.n, iv.win_rate) == (3, 15, 1.0)
    assert iv.low == pytest.approx(0.7961, abs=1e-4)  # n / (n + z^2) = 15 / 18.8415
    assert verdicts.smallest_visible_edge is not None


def test_an_empty_book_sees_no_edge() -> None:
    verdicts = judge(Book(0, 0, 0, 0), [])
    assert astuple(verdicts) == ((), 0, None, True, "fewer than 50 closed trades")


def test_where_no_edge_could_be_visible_the_sentence_says_so() -> None:
    book = Book(60, 54, 6, 0)
    verdicts = judge(book, [cell("iv>=0.8", 14, 1)])
    assert verdicts.no_edge_visible
    assert "No edge could be visible yet." in only(verdicts).sentence


def test_verdicts_come_supported_first_then_hints_then_refuted_then_the_rest() -> None:
    cells = [
        cell("hour=9", 25, 25),
        cell("iv<0.2", 2, 3),
        cell("hour=8", 25, 25),
        cell("iv>=0.8", 45, 5, -0.1),
        cell("dte=2-7", 40, 10),
        cell("direction=bullish", 43, 7),
    ]
    assert [v.name for v in judge(BOOK, cells).verdicts] == [
        "dte=2-7",
        "direction=bullish",
        "iv>=0.8",
        "hour=8",
        "hour=9",
        "iv<0.2",
    ]


# Conditions to avoid.


def test_a_losing_condition_is_worth_avoiding() -> None:
    verdict = only(judge(BOOK, [cell("iv>=0.8", 10, 40, -0.2)], avoid=True))
    assert verdict.tier == "supported"
    assert verdict.lift == pytest.approx(-0.4)
    assert "such a worst result" in verdict.sentence


def test_a_condition_that_loses_often_but_makes_money_is_not_to_be_avoided() -> None:
    verdict = only(judge(BOOK, [cell("iv>=0.8", 10, 40, 0.25)], avoid=True))
    assert verdict.tier == "loses_often_but_makes_money"
    assert verdict.sentence == (
        "Wins less often but does not lose on average (+25.0% of risk per trade). "
        "No reason to avoid it."
    )


def test_a_winning_condition_is_nothing_to_avoid_nor_a_losing_one_an_edge() -> None:
    assert only(judge(BOOK, [cell("iv>=0.8", 40, 10)], avoid=True)).tier == "insufficient"
    assert only(judge(BOOK, [cell("iv>=0.8", 10, 40)])).tier == "insufficient"


@given(st.integers(0, 50))
def test_avoiding_is_the_mirror_image_of_seeking(wins: int) -> None:
    book = Book(200, 120, 80, 0)
    mirrored = Book(200, 80, 120, 0)
    seek = judge(book, [cell("iv<0.2", wins, 50 - wins, 0.1)])
    avoid = judge(mirrored, [cell("iv<0.2", 50 - wins, wins, -0.1)], avoid=True)
    assert only(seek).tier == only(avoid).tier
    assert only(seek).p_adjusted == only(avoid).p_adjusted
    assert seek.smallest_visible_edge == avoid.smallest_visible_edge


# Single trades counted.


def test_trades_are_counted_into_a_book_and_its_cells() -> None:
    book, cells = tally(
        [
            Fact("win", 0.5, frozenset({"iv<0.2", "hour=9"})),
            Fact("loss", -1.0, frozenset({"hour=9", "iv<0.2"})),
            Fact("breakeven", None, frozenset({"hour=9"})),
            Fact("win", 0.25, frozenset()),
        ]
    )
    assert book == Book(4, 2, 1, 1)
    assert [(c.name, c.n, c.wins, c.losses, c.breakevens) for c in cells] == [
        ("hour=9", 3, 1, 1, 1),
        ("iv<0.2", 2, 1, 1, 0),
    ]
    assert [(c.ret_sum, c.ret_n, c.ret_squares, c.ret_cubes) for c in cells] == [
        (-0.5, 2, 1.25, -0.875),
        (-0.5, 2, 1.25, -0.875),
    ]


def test_conditions_have_equal_members_when_they_hold_for_the_same_trades() -> None:
    facts = [Fact("win", 1.0, frozenset({"a=1", "b=1"})), Fact("loss", -1.0, frozenset({"c=1"}))]
    a, b, c = tally(facts)[1]
    assert a.members == b.members != c.members


# Error rates, on simulated books of independent trades.


def history(rng: np.random.Generator, n: int, base: float, lift: float = 0.0) -> list[Fact]:
    """Trades over five facts of the grid and three free ones; only `edge=1` may matter."""
    columns = {
        "scanner_score": rng.uniform(30, 100, n),
        "abs_delta": rng.uniform(0, 1, n),
        "iv": rng.uniform(0.1, 1, n),
        "dte": rng.integers(0, 90, n),
    }
    free = {"weekday": 5, "hour": 7, "strategy": 6, "edge": 4}
    labels = {name: rng.integers(0, kinds, n) for name, kinds in free.items()}
    won = rng.random(n) < base + lift * (labels["edge"] == 1)
    held = [(b.name, _held(b.low, b.high, columns[b.column])) for b in GRID if b.column in columns]
    return [
        Fact(
            "win" if won[i] else "loss",
            1.0 if won[i] else -0.2,
            frozenset(
                [name for name, holds in held if holds[i]]
                + [f"{name}={kinds[i]}" for name, kinds in labels.items()]
            ),
        )
        for i in range(n)
    ]


def _held(low: Decimal | None, high: Decimal | None, values: np.ndarray) -> np.ndarray:
    above = values >= (-np.inf if low is None else float(low))
    return above & (values < (np.inf if high is None else float(high)))


def supported(facts: Sequence[Fact], *, avoid: bool = False) -> list[str]:
    verdicts = judge(*tally(facts), avoid=avoid).verdicts
    return [verdict.name for verdict in verdicts if verdict.tier == "supported"]


def test_at_most_one_trader_in_twenty_without_an_edge_is_told_of_one() -> None:
    """600 histories, every one earning, so that only the chance of luck stands in the way."""
    rng = np.random.default_rng(20260106)
    false = [
        bool(supported(history(rng, n, base)))
        for n in (60, 200, 500)
        for base in (0.4, 0.6)
        for _ in range(100)
    ]
    assert np.mean(false) <= 0.05


def test_a_real_edge_of_thirty_points_in_a_quarter_of_500_trades_is_found() -> None:
    rng = np.random.default_rng(3)
    found = ["edge=1" in supported(history(rng, 500, 0.45, 0.30)) for _ in range(40)]
    assert np.mean(found) >= 0.90


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_conditions_does_not_change_the_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    book, cells = tally(history(rng, 60, 0.5))
    assume(book.wins >= 5)
    shuffled = [cells[i] for i in rng.permutation(len(cells))]
    assert judge(book, shuffled) == judge(book, cells)
