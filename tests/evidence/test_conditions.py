"""Which facts known at entry go with winning, and when that may be said: EVIDENCE 3 and 5.

Most books are written as lots, one trade every 28 days, so that no trade depends on another
and every chance is scipy's hypergeometric one.
"""

from collections.abc import Sequence
from dataclasses import astuple, replace
from math import isnan

import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.evidence import conditions, thresholds
from store.evidence.book import Book
from store.evidence.conditions import judge
from store.evidence.grid import Value, conditions_of
from store.evidence.power import smallest_visible_edge
from store.evidence.sample import Sample
from store.evidence.verdicts import CLAIMS, Verdict, Verdicts, sentence
from tests.evidence import oracles
from tests.evidence.books import Invented, Lot, book_of

X = {"strategy": "x"}
NINE = {"hour": "09"}
BOTH = {**X, **NINE}
STRONG = Lot(X, 40, 10)
REST = Lot({}, 60, 90, 10)


def only(verdicts: Verdicts) -> Verdict:
    (verdict,) = verdicts.verdicts
    return verdict


def judged(*lots: Lot, avoid: bool = False) -> Verdict:
    return only(judge(book_of(*lots), avoid=avoid))


def claims(verdicts: Verdicts) -> list[str]:
    return [verdict.name for verdict in verdicts.verdicts if verdict.tier in CLAIMS]


def named(verdicts: Verdicts, name: str) -> Verdict:
    (verdict,) = [verdict for verdict in verdicts.verdicts if verdict.name == name]
    return verdict


@pytest.fixture
def by_holm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every book counts as a very large one: no permutation, exact adjusted chances."""
    monkeypatch.setattr(conditions, "HOLM_FROM", 0)


@pytest.fixture
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "PERMUTATIONS", 99)


# One strong condition, in numbers.


def test_a_strong_condition_that_earns_is_claimed_with_its_counts() -> None:
    verdict = judged(Lot(X, 40, 10, 3), REST)
    assert (verdict.name, verdict.tier) == ("strategy=x", "confirmed")
    assert (verdict.n, verdict.wins, verdict.losses, verdict.breakevens) == (53, 40, 10, 3)
    assert (verdict.win_rate, verdict.rest_win_rate) == (0.8, 0.4)
    assert (verdict.early, verdict.recent) == (0.8, 0.8)
    assert verdict.also == ()
    assert [part.name for part in verdict.parts] == ["strategy=x"]


def test_its_chance_of_luck_is_the_hypergeometric_one() -> None:
    assert judged(STRONG, REST).p == pytest.approx(oracles.mid_p(40, 50, 200, 100), rel=1e-9)


def test_its_interval_is_wilson_s() -> None:
    """40 of 50; fifty weeks of one trade have a design effect of 50 / 49 (Kish 1965). Break-evens
    do not count."""
    verdict = judged(Lot(X, 40, 10, 3), REST)
    assert (verdict.low, verdict.high) == pytest.approx(oracles.wilson(0.8, 49))


def test_its_mean_return_is_that_of_all_its_trades() -> None:
    """(40 x .5 - 10 x .3) / 53: break-evens count."""
    verdict = judged(Lot(X, 40, 10, 3), REST)
    assert verdict.mean_return == pytest.approx(17 / 53)


def test_its_mean_return_has_hall_s_interval() -> None:
    verdict = judged(Lot(X, 40, 10, 3), REST)
    expected = oracles.hall([0.5] * 40 + [-0.3] * 10 + [0.0] * 3)
    assert (verdict.mean_return_low, verdict.mean_return_high) == pytest.approx(expected, abs=1e-4)


def test_its_rate_is_shrunk_towards_that_of_the_book() -> None:
    """Lift .8 - .4, error sqrt(.25 (1/50 + 1/150)); base + kept lift x (1 - 50/200)."""
    error = (0.25 * (1 / 50 + 1 / 150)) ** 0.5
    weights = oracles.em([(0.4, error)])
    found = judge(book_of(STRONG, REST))
    expected = 0.5 + 0.75 * oracles.posterior(0.4, error, weights)
    assert only(found).shrunk_win_rate == pytest.approx(expected, abs=1e-9)
    assert found.prior_weights == pytest.approx(tuple(weights), abs=1e-9)


def test_the_book_says_its_size_and_its_win_rate() -> None:
    found = judge(book_of(Lot(X, 40, 10), Lot({}, 40, 110, 10)))
    assert (found.n, found.n_decided, found.checked) == (210, 200, 1)
    assert (found.base_rate, found.avoid, found.reason) == (0.4, False, None)


# The chance of luck.


@pytest.mark.parametrize(
    ("wins", "tier"),
    [(33, "supported"), (31, "supported"), (30, "suggestive"), (27, "insufficient")],
)
def test_the_tier_follows_the_adjusted_chance_of_luck(wins: int, tier: str) -> None:
    """One condition: luck does as well with P(H >= wins) = .0069, .036, .071 and .31, by scipy,
    seen in 1,999 deals. Losers come first, so that no claim stood earlier."""
    verdict = judged(Lot(X, wins, 50 - wins, first="losses"), Lot({}, 100 - wins, 50 + wins))
    adjusted = scipy.stats.hypergeom(200, 100, 50).sf(wins - 1)
    error = (adjusted * (1 - adjusted) / 1999) ** 0.5
    assert verdict.p_adjusted == pytest.approx(adjusted, abs=3 * error + 1 / 2000)
    assert verdict.tier == tier


@pytest.mark.usefixtures("by_holm")
def test_a_very_large_book_is_adjusted_by_holm() -> None:
    """Three conditions that exclude each other: the best times 3, the next times 2."""
    found = judge(
        book_of(
            Lot({"hour": "09"}, 33, 17),
            Lot({"hour": "10"}, 31, 19),
            Lot({"hour": "11"}, 20, 30),
            Lot({}, 16, 34),
        )
    )
    ps = [oracles.mid_p(wins, 50, 200, 100) for wins in (33, 31, 20)]
    adjusted = [named(found, f"hour={hour}").p_adjusted for hour in ("09", "10", "11")]
    assert adjusted == pytest.approx([3 * ps[0], 2 * ps[1], ps[2]], rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_holm_and_permutation_give_about_the_same_answer(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conditions overlap, which only permuting knows: Holm asks for more, but not for much."""
    book = Invented(290, lift=0.22).book(seed)
    permuted = named(judge(book), "strategy=edge")
    monkeypatch.setattr(conditions, "HOLM_FROM", 0)
    bounded = named(judge(book), "strategy=edge")
    assert bounded.p == permuted.p
    assert bounded.p_adjusted is not None
    assert permuted.p_adjusted is not None
    error = (bounded.p_adjusted / 2000) ** 0.5 + 1 / 2000
    assert permuted.p_adjusted <= 1.2 * bounded.p_adjusted + 3 * error
    assert permuted.p_adjusted >= 0.5 * bounded.p_adjusted - 3 * error


@pytest.mark.parametrize(("holm_from", "permuted"), [(200, True), (199, False)])
def test_permutations_end_above_the_size_from_which_holm_is_used(
    holm_from: int, permuted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one condition Holm's adjusted chance is the chance itself, below 1 in 2,000 here."""
    monkeypatch.setattr(conditions, "HOLM_FROM", holm_from)
    verdict = judged(STRONG, REST)
    assert verdict.p is not None
    assert verdict.p_adjusted == pytest.approx(1 / 2000 if permuted else verdict.p)


def test_holm_is_for_books_of_more_than_twenty_thousand_trades() -> None:
    assert thresholds.HOLM_FROM == 20_000


@pytest.mark.parametrize(("n", "floor"), [(1000, 1 / 2000), (1001, 1 / 1000)])
def test_above_a_thousand_trades_half_as_many_permutations_are_dealt(n: int, floor: float) -> None:
    verdict = judged(Lot(X, 90, 10), Lot({}, 400, n - 500))
    assert verdict.p_adjusted == pytest.approx(floor)


def moody(seed: int) -> Book:
    """25 days of four trades, on most of which all of them lose; a condition is of whole days."""
    rng = np.random.default_rng(seed)
    mood = np.repeat(rng.random(25) < 0.3, 4)
    won = mood & (rng.random(100) < 0.8)
    return Book(
        outcomes=np.where(won, 1, -1).tolist(),
        returns=np.where(won, 0.5, -0.3).tolist(),
        sides=[1] * 100,
        days=[28 * (k // 4) for k in range(100)],
        facts={"weekday": [f"d{k // 4 % 5}" for k in range(100)]},
    )


def columns_of(book: Book, verdicts: Sequence[Verdict]) -> list[NDArray[np.bool_]]:
    parts = [verdict.parts[0] for verdict in verdicts]
    return [np.array([part.holds(value) for value in book.facts[part.column]]) for part in parts]


def effects_of(book: Book, columns: Sequence[NDArray[np.bool_]]) -> list[float]:
    """Design effects by explicit pairs and an explicit matrix."""
    y = [float(outcome > 0) for outcome in book.outcomes]
    model = oracles.correlations(y, book.sides, book.days)
    matrix = oracles.correlation_matrix(book.sides, book.days, model)
    return [oracles.design_effect(held.astype(float), matrix) for held in columns]


@pytest.mark.parametrize("book", [moody(3), Invented(100).book(3)], ids=["moody", "invented"])
@pytest.mark.usefixtures("by_holm")
def test_trades_that_depend_on_each_other_weaken_every_chance(book: Book) -> None:
    """Deflated by a' R a / a' a over explicit pairs and an explicit R."""
    won, verdicts = np.array(book.outcomes) > 0, judge(book).verdicts
    columns = columns_of(book, verdicts)
    effects = effects_of(book, columns)
    assert max(effects) > 1.1
    for verdict, held, effect in zip(verdicts, columns, effects, strict=True):
        p = oracles.mid_p(int(won[held].sum()), int(held.sum()), 100, int(won.sum()))
        expected = scipy.stats.norm.sf(scipy.stats.norm.isf(p) / effect**0.5)
        assert verdict.p == pytest.approx(expected, rel=1e-4)


def test_the_interval_allows_for_weeks_and_months_that_win_together() -> None:
    """Residuals summed by week and, from 8 of them on, by four-week block; the larger counts."""
    book = Invented(290).book(12)
    for verdict in judge(book).verdicts:
        (part,) = verdict.parts
        held = [k for k, value in enumerate(book.facts[part.column]) if part.holds(value)]
        won = [int(book.outcomes[k] > 0) for k in held]
        weeks = [(book.days[k] + 3) // 7 for k in held]
        blocks = [week // 4 for week in weeks]
        effects = [1.0, oracles.cluster_effect(won, weeks)]
        if len(set(blocks)) >= 8:
            effects.append(oracles.cluster_effect(won, blocks))
        expected = oracles.wilson(verdict.win_rate, len(held) / max(effects))
        assert (verdict.low, verdict.high) == pytest.approx(expected)


def test_in_fewer_than_five_weeks_the_interval_is_that_of_independent_trades() -> None:
    """Ten of twenty; days 0 to 19 touch four ISO weeks."""
    book = replace(book_of(Lot(X, 10, 10), Lot({}, 20, 0)), days=[k // 2 for k in range(40)])
    wilson = scipy.stats.binomtest(10, 20).proportion_ci(0.95, method="wilson")
    verdict = only(judge(book))
    assert (verdict.low, verdict.high) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.usefixtures("by_holm")
def test_trades_that_depend_on_each_other_are_shrunk_more() -> None:
    """Posterior means with errors sqrt(p q (1/n_c + 1/(n - n_c)) deff), by loops."""
    book = moody(3)
    found, won = judge(book), np.array(book.outcomes) > 0
    base, columns, seen = won.mean(), columns_of(book, found.verdicts), []
    for held, effect in zip(columns, effects_of(book, columns), strict=True):
        error = (base * (1 - base) * (1 / held.sum() + 1 / (~held).sum()) * effect) ** 0.5
        seen.append((float(won[held].mean() - won[~held].mean()), float(error)))
    weights = oracles.em(seen)
    for verdict, held, (lift, error) in zip(found.verdicts, columns, seen, strict=True):
        kept = oracles.posterior(lift, error, weights) * (1 - held.mean())
        assert verdict.shrunk_win_rate == pytest.approx(base + kept, abs=1e-8)


# What could be seen.


@pytest.mark.parametrize(("n", "points"), [(200, 32), (500, 21), (2000, 10)])
def test_the_smallest_visible_edge_is_the_one_the_evidence_names(n: int, points: int) -> None:
    """63 conditions, a quarter of the trades inside, a base of one half (EVIDENCE 3)."""
    edge = smallest_visible_edge(0.5, n, n / 4, scipy.stats.norm.isf(0.05 / 63))
    assert edge == pytest.approx(points / 100, abs=0.01)


def test_the_smallest_visible_edge_by_hand() -> None:
    """One condition, 100 of 200 in: (1.6449 + .84) sqrt(.5 x .5 x (1/100 + 1/100))."""
    edge = smallest_visible_edge(0.5, 200, 100, 1.6449)
    assert edge == pytest.approx(2.4849 * 0.0707107, rel=1e-6)


def test_a_design_effect_of_four_doubles_the_smallest_visible_edge() -> None:
    alone, shared = (smallest_visible_edge(0.4, 900, 300, 3, deff=deff) for deff in (1, 4))
    assert alone is not None
    assert shared == pytest.approx(2 * alone)


@pytest.mark.parametrize(
    ("base", "n", "inside"),
    [(0.8, 60, 15), (0.5, 60, 0), (0.5, 60, 60), (0.5, 60, -1), (0, 60, 15), (1, 60, 15)],
)
def test_where_no_edge_fits_below_certainty_none_is_visible(
    base: float, n: int, inside: int
) -> None:
    assert smallest_visible_edge(base, n, inside, 3.0) is None


def test_an_edge_that_just_reaches_certainty_is_visible() -> None:
    """(.16 + .84) sqrt(.5 x .5 x (1/2 + 1/2)) = .5"""
    assert smallest_visible_edge(0.5, 4, 2, 0.16) == pytest.approx(0.5)


def test_eighty_per_cent_of_histories_show_the_smallest_visible_edge() -> None:
    """400 trades, 100 inside, one condition: power by binomial simulation is .80."""
    edge = smallest_visible_edge(0.5, 400, 100, scipy.stats.norm.isf(0.05))
    assert edge is not None
    rng = np.random.default_rng(11)
    inside = rng.binomial(100, 0.5 + 0.75 * edge, 2000)
    outside = rng.binomial(300, 0.5 - 0.25 * edge, 2000)
    law = scipy.stats.hypergeom(400, inside + outside, 100)
    seen = law.sf(inside) + law.pmf(inside) / 2 <= 0.05
    assert 0.76 <= np.mean(seen) <= 0.84


@pytest.mark.usefixtures("by_holm")
def test_a_book_says_which_edge_it_could_show_for_a_quarter_of_its_trades() -> None:
    """(1.6449 + .84) sqrt(.25 (1/50 + 1/150)) = .2029"""
    assert judge(book_of(Lot(X, 25, 25), Lot({}, 75, 75, 10))).smallest_visible_edge == (
        pytest.approx(0.2029, abs=1e-4)
    )


def test_a_permuted_family_has_about_the_critical_value_of_its_size() -> None:
    """One condition of 100 in 400: its least p in 20 is .05 but for the steps of the counts."""
    edge = judge(book_of(Lot(X, 25, 25), Lot({}, 75, 75))).smallest_visible_edge
    assert edge == pytest.approx(0.2029, abs=0.012)


def test_a_permuted_family_with_pairs_has_the_critical_value_of_the_best_by_luck() -> None:
    """The best of all single conditions in 2,000 other deals, at 4 %, for pairs have the rest."""
    book, rng = Invented(320).book(7), np.random.default_rng(123)
    won = np.array(book.outcomes) > 0
    deals = np.array([rng.permutation(won) for _ in range(2000)])
    every = [
        np.array([condition.holds(value) for value in book.facts[condition.column]])
        for condition in conditions_of(book.facts)
    ]
    columns = [held for held in every if 8 <= held.sum() <= 312]
    least = np.ones(2000)
    for held in columns:
        law = scipy.stats.hypergeom(320, int(won.sum()), int(held.sum()))
        dealt = deals[:, held].sum(axis=1)
        least = np.minimum(least, law.sf(dealt) + law.pmf(dealt) / 2)
    z = 0.84 - scipy.stats.norm.ppf(np.quantile(least, 0.04))
    effect = float(np.median(effects_of(book, columns)))
    edge = z * (won.mean() * (1 - won.mean()) * (1 / 80 + 1 / 240) * effect) ** 0.5
    assert judge(book).smallest_visible_edge == pytest.approx(edge, rel=0.025)


def test_a_book_without_conditions_says_what_one_would_have_to_show() -> None:
    """(1.6449 + .84) sqrt(.25 (1/15 + 1/45)) = .3704"""
    found = judge(book_of(Lot({}, 30, 30)))
    assert (found.verdicts, found.checked) == ((), 0)
    assert found.smallest_visible_edge == pytest.approx(0.3704, abs=1e-4)


@pytest.mark.usefixtures("by_holm")
def test_the_visible_edge_grows_with_the_usual_design_effect() -> None:
    book = moody(3)
    found, base = judge(book), book.outcomes.count(1) / 100
    effect = float(np.median(effects_of(book, columns_of(book, found.verdicts))))
    z = scipy.stats.norm.isf(0.05 / 5) + 0.84
    assert effect > 1.5
    assert found.smallest_visible_edge == pytest.approx(
        z * (base * (1 - base) * (1 / 25 + 1 / 75) * effect) ** 0.5, rel=1e-4
    )


def test_a_small_book_says_what_it_could_show_by_bonferroni() -> None:
    """49 trades, two conditions: (1.95996 + .84) sqrt(.2499 (1/12.25 + 1/36.75))."""
    found = judge(book_of(Lot(X, 12, 10), Lot(NINE, 13, 14)))
    base = 25 / 49
    variance = base * (1 - base) * (1 / 12.25 + 1 / 36.75)
    assert found.smallest_visible_edge == pytest.approx(2.79996 * variance**0.5, rel=1e-5)


def test_where_no_edge_could_be_visible_the_sentence_says_so() -> None:
    found = judge(book_of(Lot(X, 14, 1), Lot({}, 40, 5)))
    assert found.smallest_visible_edge is None
    assert "No edge could be visible yet." in sentence(only(found), found)


# Books that are too small or one-sided.


@pytest.mark.parametrize(
    ("lots", "reason"),
    [
        ([Lot(X, 15, 10), Lot({}, 15, 9)], "fewer than 50 closed trades"),
        ([Lot(X, 2, 20), Lot({}, 2, 26)], "fewer than 5 wins"),
        ([Lot(X, 2, 20), Lot({}, 2, 26, 9)], "fewer than 5 wins"),
        ([Lot(X, 20, 2), Lot({}, 24, 2, 9)], "fewer than 5 losses"),
        ([Lot(X, 15, 10), Lot({}, 15, 9, 1)], None),
        ([Lot(X, 2, 20), Lot({}, 3, 25)], None),
        ([Lot(X, 20, 2), Lot({}, 25, 3)], None),
    ],
)
def test_a_small_or_one_sided_book_is_insufficient_and_says_why(
    lots: list[Lot], reason: str | None
) -> None:
    found = judge(book_of(*lots))
    assert found.reason == reason
    assert (only(found).p is None) is (reason is not None)


def test_a_small_book_still_gives_counts_and_intervals_but_no_claim() -> None:
    """Wilson of 15 in 15 begins at n / (n + z^2) = 15 / 18.8415."""
    found = judge(book_of(Lot(X, 15, 0), Lot(NINE, 5, 12), Lot({}, 5, 12)))
    assert [(v.name, v.n, v.wins, v.losses, v.tier) for v in found.verdicts] == [
        ("hour=09", 17, 5, 12, "insufficient"),
        ("strategy=x", 15, 15, 0, "insufficient"),
    ]
    best = named(found, "strategy=x")
    assert (best.p, best.p_adjusted) == (None, None)
    assert best.win_rate == 1
    assert best.low == pytest.approx(0.7961, abs=1e-4)
    assert best.mean_return == 0.5
    assert (found.checked, found.prior_weights[0]) == (2, 1.0)


def test_in_a_small_book_every_rate_is_shrunk_to_that_of_the_book() -> None:
    found = judge(book_of(Lot(X, 15, 5), Lot({}, 5, 15)))
    assert only(found).shrunk_win_rate == found.base_rate == 0.5


def plain(outcomes: Sequence[int], *, returns: Sequence[float | None] | None = None) -> Book:
    """Two strategies in turn, one trade a day."""
    n = len(outcomes)
    return Book(
        outcomes=outcomes,
        returns=returns if returns is not None else [float(outcome) for outcome in outcomes],
        sides=[1] * n,
        days=list(range(n)),
        facts={"strategy": [("x", "y")[k % 2] for k in range(n)]},
    )


@pytest.mark.parametrize("avoid", [False, True])
@pytest.mark.parametrize("outcome", [1, -1])
@pytest.mark.parametrize("n", [40, 60])
def test_a_book_that_only_wins_or_only_loses_proves_nothing(
    outcome: int, n: int, avoid: bool
) -> None:
    found = judge(plain([outcome] * n), avoid=avoid)
    rate = float(outcome > 0)
    assert {v.tier for v in found.verdicts} == {"insufficient"}
    assert {(v.shrunk_win_rate, v.rest_win_rate, v.win_rate) for v in found.verdicts} == {
        (rate, rate, rate)
    }
    assert found.base_rate == rate
    assert found.smallest_visible_edge is None


@pytest.mark.parametrize("outcomes", [[], [1], [-1], [0], [0] * 60])
def test_without_decided_trades_on_both_sides_there_is_nothing_to_judge(
    outcomes: list[int],
) -> None:
    found = judge(plain(outcomes))
    assert (found.verdicts, found.checked, found.smallest_visible_edge) == ((), 0, None)
    assert found.reason is not None
    assert found.base_rate == (None if not any(outcomes) else float(outcomes[0] > 0))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([-1, 0, 1, 1]), max_size=90), st.booleans())
@pytest.mark.usefixtures("few_permutations")
def test_no_number_is_ever_nan_and_every_chance_is_one(outcomes: list[int], avoid: bool) -> None:
    found = judge(plain(outcomes), avoid=avoid)
    numbers = [x for verdict in found.verdicts for x in astuple(verdict) if isinstance(x, float)]
    assert not any(isnan(number) for number in numbers)
    for verdict in found.verdicts:
        assert verdict.wins + verdict.losses + verdict.breakevens == verdict.n
        assert 0 <= verdict.shrunk_win_rate <= 1
        assert verdict.low is not None
        assert verdict.high is not None
        assert 0 <= verdict.low <= verdict.win_rate <= verdict.high <= 1
        if verdict.p is not None and verdict.p_adjusted is not None:
            assert 0 <= verdict.p <= 1
            assert 0 < verdict.p_adjusted <= 1


# Money and what is not known of it.


def test_without_known_returns_a_condition_is_at_most_a_hint() -> None:
    found = judge(book_of(replace(STRONG, gain=None, loss=None), replace(REST, gain=None)))
    verdict = only(found)
    assert verdict.tier == "suggestive"
    assert (verdict.mean_return, verdict.mean_return_low, verdict.mean_return_high) == (None,) * 3
    assert "not known" in sentence(verdict, found)


def test_the_mean_is_of_the_known_returns() -> None:
    """Ten losers of -30 % are known, forty winners are not; of the rest 60 winners."""
    lots = replace(STRONG, gain=None), Lot({}, 60, 90, loss=None)
    verdict = judged(*lots)
    assert verdict.mean_return == pytest.approx(-0.3)
    assert (verdict.mean_return_low, verdict.tier) == (None, "wins_but_loses_money")


def test_an_unknown_rest_is_unknown() -> None:
    verdict = judged(STRONG, Lot({}, 60, 90, gain=None, loss=None))
    assert verdict.tier == "confirmed"


@pytest.mark.parametrize("loss", [-2.0, -2.4])
def test_a_condition_that_wins_but_does_not_earn_is_no_edge(loss: float) -> None:
    """40 x .5 = 20; ten losers of -2 or -2.4."""
    found = judge(book_of(replace(STRONG, loss=loss), REST))
    assert only(found).tier == "wins_but_loses_money"
    assert "Do not treat as an edge." in sentence(only(found), found)


def test_a_condition_that_earns_no_more_than_the_rest_is_a_hint() -> None:
    found = judge(book_of(replace(STRONG, gain=0.1), replace(REST, gain=1.0)))
    assert only(found).tier == "suggestive"
    assert "earns no more than the rest" in sentence(only(found), found)


# Direction and time.


@pytest.mark.parametrize(
    "facts", [{"option_type": "call"}, {"direction": "bullish"}, {**X, "option_type": "call"}]
)
def test_a_direction_is_at_most_a_hint_and_so_is_a_strategy_that_is_one(
    facts: dict[str, Value],
) -> None:
    found = judge(book_of(replace(STRONG, facts=facts), REST))
    verdict = only(found)
    assert (verdict.tier, verdict.is_direction) == ("suggestive", True)
    assert verdict.name in ("option_type=call", "direction=bullish")
    assert verdict.also == (("strategy=x",) if "strategy" in facts else ())
    assert "Calls and puts cannot be told apart" in sentence(verdict, found)


def test_an_edge_that_stood_out_only_early_has_faded() -> None:
    """25 of 25 early, 10 of 25 recently, against 26 of 60 and 39 of 90 elsewhere."""
    found = judge(book_of(Lot(X, 35, 15, first="wins"), Lot({}, 65, 85)))
    verdict = only(found)
    assert (verdict.tier, verdict.early, verdict.recent) == ("faded", 1.0, 0.4)
    assert sentence(verdict, found) == ("Was better early (100%) but not in the recent half (40%).")


def test_a_condition_of_one_half_of_the_book_has_no_rates_to_compare() -> None:
    verdict = judged(Lot(X, 10, 10, until=0.3), Lot({}, 40, 40))
    assert (verdict.early, verdict.recent, verdict.tier) == (None, None, "insufficient")


def test_an_edge_that_stood_after_two_thirds_of_the_trades_is_confirmed() -> None:
    assert judged(STRONG, REST).tier == "confirmed"


def test_an_edge_that_is_only_seen_with_the_last_third_is_supported() -> None:
    verdict = judged(Lot(X, 35, 15, first="losses"), Lot({}, 65, 85))
    assert verdict.tier == "supported"


@pytest.mark.parametrize(("last", "tier"), [(0.6, "confirmed"), (0.8, "supported")])
def test_what_comes_after_two_thirds_confirms_nothing(last: float, tier: str) -> None:
    """45 trades, 40 wins, all at once: before or after two thirds of the book are through."""
    verdict = judged(
        Lot(X, 30, 2, since=last - 0.05, until=last),
        Lot(X, 5, 5),
        Lot({}, 100, 100),
    )
    assert verdict.tier == tier


def test_an_edge_that_stood_under_another_name_is_confirmed() -> None:
    """Early the two hold for the same trades and go by the strategy; later the hour is better."""
    found = judge(
        book_of(
            Lot(BOTH, 42, 6, until=0.6),
            Lot(X, 7, 5, since=0.6),
            Lot(NINE, 12, 0, since=0.6),
            Lot({}, 60, 100),
        )
    )
    assert [(v.name, v.tier, v.also) for v in found.verdicts] == [
        ("hour=09", "confirmed", ("strategy=x",))
    ]


# Claims that are one, and how many are told.


@pytest.mark.parametrize(("common", "alone", "claimed"), [(40, 20, 1), (39, 21, 2)])
def test_claims_that_share_half_of_their_trades_are_told_as_one(
    common: int, alone: int, claimed: int
) -> None:
    """Of 80 trades in either, 40 in both are half; of 81 or more, 39 are less."""
    found = judge(
        book_of(
            Lot(BOTH, common - 4, 4),
            Lot(X, alone - 4, 4),
            Lot(NINE, alone - 3, 3),
            Lot({}, 60, 140),
        )
    )
    assert len(claims(found)) == claimed
    assert found.verdicts[0].name == "hour=09"
    assert found.verdicts[0].also == (("strategy=x",) if claimed == 1 else ())
    assert found.checked == 2


def test_a_claim_is_listed_under_a_stronger_finding_that_loses_money() -> None:
    """strategy=x wins 50 of 52 and loses money; hour=09 shares 42 of 67 and would earn."""
    found = judge(
        book_of(
            Lot(BOTH, 40, 2, gain=0.1, loss=-3),
            Lot(X, 10, 0, gain=0.1),
            Lot(NINE, 12, 3, gain=5),
            Lot({}, 60, 140),
        )
    )
    assert [(v.name, v.tier, v.also) for v in found.verdicts] == [
        ("strategy=x", "wins_but_loses_money", ("hour=09",))
    ]


def test_a_claim_that_is_stronger_than_the_refused_one_is_told() -> None:
    found = judge(
        book_of(
            Lot(BOTH, 40, 2, gain=0.5, loss=-0.5),
            Lot(NINE, 20, 0, gain=0.5),
            Lot(X, 12, 3, gain=0.1, loss=-15),
            Lot({}, 60, 140),
        )
    )
    assert [(v.name, v.tier) for v in found.verdicts] == [
        ("hour=09", "confirmed"),
        ("strategy=x", "wins_but_loses_money"),
    ]


def test_hints_do_not_swallow_claims() -> None:
    """Every bullish trade but a few is the strategy: a direction is a hint, and no cover."""
    found = judge(
        book_of(
            Lot({**X, "direction": "bullish"}, 50, 6),
            Lot({"direction": "bullish"}, 10, 0),
            Lot({}, 60, 140),
        )
    )
    assert [(v.name, v.tier) for v in found.verdicts] == [
        ("strategy=x", "confirmed"),
        ("direction=bullish", "suggestive"),
    ]


def test_at_most_five_claims_are_told_and_the_rest_is_left_out() -> None:
    strong = [Lot({"hour": f"{hour:02}"}, 25 + hour, 1) for hour in range(7)]
    found = judge(book_of(*strong, Lot({"hour": "none"}, 20, 200)))
    assert claims(found) == [f"hour={hour:02}" for hour in (6, 5, 4, 3, 2)]
    assert [v.name for v in found.verdicts[5:]] == ["hour=none"]
    assert found.checked == 8


def test_verdicts_come_claimed_first_then_hints_then_refused_then_the_rest() -> None:
    found = judge(
        book_of(
            Lot({"hour": "08"}, 25, 25),
            Lot({"hour": "09"}, 40, 10),
            Lot({"hour": "10"}, 45, 5, loss=-9),
            Lot({"hour": "11"}, 10, 40),
            Lot({"direction": "bullish"}, 43, 7),
            Lot({}, 2, 28),
        )
    )
    assert [v.name for v in found.verdicts] == [
        "hour=09",
        "direction=bullish",
        "hour=10",
        "hour=08",
        "hour=11",
    ]


# Pairs of conditions.

TOGETHER = Lot(BOTH, 45, 5)
PAIRED = [
    TOGETHER,
    Lot({**X, "hour": "10"}, 62, 88),
    Lot({**NINE, "strategy": "y"}, 62, 88),
    Lot({"strategy": "y", "hour": "10"}, 126, 124),
]


@pytest.mark.usefixtures("by_holm")
def test_a_pair_is_found_that_neither_part_shows_alone() -> None:
    """Four pairs are looked at with a fifth of the chance of error: p x 4 / .2."""
    found = judge(book_of(*PAIRED))
    best = found.verdicts[0]
    assert (best.name, best.tier) == ("strategy=x & hour=09", "confirmed")
    assert (best.n, best.wins) == (50, 45)
    assert best.p == pytest.approx(oracles.mid_p(45, 50, 600, 295), rel=1e-6)
    assert best.p_adjusted == pytest.approx(20 * oracles.mid_p(45, 50, 600, 295), rel=1e-6)
    assert [part.name for part in best.parts] == ["strategy=x", "hour=09"]
    assert found.checked == 4 + 4


@pytest.mark.usefixtures("by_holm")
def test_where_pairs_are_looked_at_single_conditions_have_four_fifths_of_the_error() -> None:
    """strategy=x and its opposite are y: the better of four, so p x 4 / .8."""
    found = judge(book_of(*PAIRED))
    p = oracles.mid_p(107, 200, 600, 295)
    assert named(found, "strategy=x").p_adjusted == pytest.approx(min(1, 4 * p / 0.8), rel=1e-6)
    assert named(found, "strategy=y").p_adjusted == 1
    z = scipy.stats.norm.isf(0.05 * 0.8 / 4) + 0.84
    spread = (295 / 600 * 305 / 600 * (1 / 150 + 1 / 450)) ** 0.5
    assert found.smallest_visible_edge == pytest.approx(z * spread, rel=1e-6)


def test_a_permuted_family_with_pairs_keeps_to_four_fifths_of_the_error_too() -> None:
    """Of 2,000 rows none is as good: 1/2000 / .8."""
    found = judge(book_of(Lot(BOTH, 95, 5), Lot(X, 15, 15), Lot(NINE, 15, 15), Lot({}, 40, 160)))
    assert found.checked == 3
    assert named(found, "hour=09").p_adjusted == pytest.approx(1 / 2000 / 0.8)


def test_an_adjusted_chance_is_never_above_one() -> None:
    """The worst of the conditions, at four fifths of the chance of error."""
    assert named(judge(book_of(*PAIRED)), "strategy=y").p_adjusted == 1


@pytest.mark.parametrize(("decided", "checked"), [(299, 4), (300, 4 + 4)])
@pytest.mark.usefixtures("by_holm")
def test_pairs_are_looked_at_from_three_hundred_decided_trades(decided: int, checked: int) -> None:
    """Break-evens do not count."""
    lots = [
        Lot({"strategy": s, "hour": h}, 40 - (s == h == ""), 34, 5)
        for s in ("x", "")
        for h in ("09", "")
    ]
    assert sum(lot.wins + lot.losses for lot in lots) == 295
    found = judge(book_of(*lots, Lot({}, decided - 295, 0)))
    assert (found.n_decided, found.checked) == (decided, checked)


@pytest.mark.parametrize(("loss", "tier"), [(-0.3, "confirmed"), (-9.0, "wins_but_loses_money")])
@pytest.mark.usefixtures("by_holm")
def test_a_pair_is_not_told_where_a_part_is_claimed_or_refused_alone(
    loss: float, tier: str
) -> None:
    found = judge(
        book_of(
            replace(TOGETHER, loss=loss),
            Lot({**X, "hour": "10"}, 120, 30, loss=loss),
            *PAIRED[2:],
        )
    )
    assert named(found, "strategy=x").tier == tier
    assert not [v.name for v in found.verdicts if "strategy=x &" in v.name]


@pytest.mark.usefixtures("by_holm")
def test_pairs_that_do_not_stand_out_are_counted_but_not_listed() -> None:
    found = judge(book_of(Lot(BOTH, 50, 50), Lot(X, 50, 50), Lot(NINE, 50, 50), Lot({}, 50, 50)))
    assert [v.name for v in found.verdicts] == ["hour=09", "strategy=x"]
    assert found.checked == 3


# Conditions to avoid.


def mirrored(book: Book) -> Book:
    """Every winner a loser and the other way round."""
    return replace(
        book,
        outcomes=[-outcome for outcome in book.outcomes],
        returns=[None if one is None else -one for one in book.returns],
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [70, 320])
def test_avoiding_is_the_mirror_image_of_seeking(
    seed: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "PERMUTATIONS", 199)
    book = Invented(n, lift=0.3).book(seed)
    seek, avoid = judge(book), judge(mirrored(book), avoid=True)
    assert avoid.avoid
    assert seek.base_rate is not None
    assert avoid.base_rate == pytest.approx(1 - seek.base_rate)
    assert avoid.smallest_visible_edge == seek.smallest_visible_edge
    assert avoid.prior_weights == seek.prior_weights
    tiers = {"wins_but_loses_money": "loses_often_but_makes_money"}
    for one, other in zip(seek.verdicts, avoid.verdicts, strict=True):
        assert other.tier == tiers.get(one.tier, one.tier)
        assert (other.name, other.p, other.p_adjusted, other.also) == (
            one.name, one.p, one.p_adjusted, one.also,
        )  # fmt: skip
        assert (other.wins, other.losses) == (one.losses, one.wins)
        assert other.shrunk_win_rate == pytest.approx(1 - one.shrunk_win_rate)
        assert other.rest_win_rate == pytest.approx(1 - one.rest_win_rate)
        assert other.win_rate == pytest.approx(1 - one.win_rate)
        assert one.low is not None
        assert one.high is not None
        assert (other.low, other.high) == pytest.approx((1 - one.high, 1 - one.low))
        for half, mirror in ((one.early, other.early), (one.recent, other.recent)):
            assert (half is None) is (mirror is None)
            assert half is None or mirror is None or mirror == pytest.approx(1 - half)


def test_a_losing_condition_is_worth_avoiding() -> None:
    found = judge(book_of(Lot(X, 10, 40), Lot({}, 90, 60)), avoid=True)
    verdict = only(found)
    assert (verdict.tier, verdict.win_rate, verdict.rest_win_rate) == ("confirmed", 0.2, 0.6)
    assert verdict.shrunk_win_rate < 0.5


def test_a_condition_that_loses_often_but_makes_money_is_not_to_be_avoided() -> None:
    found = judge(book_of(Lot(X, 10, 40, gain=2.5), Lot({}, 90, 60)), avoid=True)
    assert only(found).tier == "loses_often_but_makes_money"
    assert "No reason to avoid it." in sentence(only(found), found)


def test_a_winning_condition_is_nothing_to_avoid_nor_a_losing_one_an_edge() -> None:
    assert judged(STRONG, REST, avoid=True).tier == "insufficient"
    assert judged(Lot(X, 10, 40), Lot({}, 90, 60)).tier == "insufficient"


# The same question, the same answer.


def test_the_same_book_gives_the_same_answer() -> None:
    book = Invented(120, lift=0.3).book(5)
    assert judge(book) == judge(replace(book, outcomes=tuple(book.outcomes)))


def test_the_order_of_the_facts_does_not_change_the_answer() -> None:
    book = Invented(120, lift=0.3).book(5)
    turned = dict(reversed(list(book.facts.items())))
    assert judge(replace(book, facts=turned)) == judge(book)


def test_other_outcomes_days_or_conditions_are_dealt_from_another_seed() -> None:
    book = Invented(60).book(1)
    held = np.ones((60, 1))
    seeds = [
        Sample.of(book).seed(held),
        Sample.of(mirrored(book)).seed(held),
        Sample.of(replace(book, days=[day + 1 for day in book.days])).seed(held),
        Sample.of(book).seed(held * 0),
    ]
    assert len(set(seeds)) == 4
    assert Sample.of(book).seed(held) == seeds[0]
    assert all(0 <= seed < 2**64 for seed in seeds)


# What is planted and what is not.


def test_a_real_edge_of_thirty_points_in_a_quarter_of_500_trades_is_found_by_name() -> None:
    """EVIDENCE 3 asks for .90 of them; ten histories, so one may be missed."""
    found = [judge(Invented(500, 0.45, 0.30).book(seed)) for seed in range(10)]
    best = [verdicts.verdicts[0] for verdicts in found]
    assert sum(v.name == "strategy=edge" and v.tier in CLAIMS for v in best) >= 9


@pytest.mark.usefixtures("by_holm")
def test_the_reported_rate_of_a_planted_edge_is_about_its_true_one() -> None:
    """Truth .75; the raw rate of what was picked for being high is higher."""
    rates = []
    for seed in range(60):
        for verdict in judge(Invented(300, 0.45, 0.30).book(seed)).verdicts:
            if verdict.name == "strategy=edge" and verdict.tier in CLAIMS:
                rates.append((verdict.win_rate, verdict.shrunk_win_rate))
    raw, reported = np.mean(rates, axis=0)
    assert len(rates) >= 40
    assert abs(reported - 0.75) <= 0.05
    assert raw > 0.75


@pytest.mark.usefixtures("by_holm")
def test_at_most_one_trader_in_twenty_without_an_edge_is_told_of_one() -> None:
    """300 histories, every one earning, so that only the chance of luck stands in the way."""
    false = [
        bool(claims(judge(Invented(n, base).book(seed))))
        for n in (60, 200, 320)
        for base in (0.4, 0.6)
        for seed in range(50)
    ]
    assert np.mean(false) <= 0.05


def test_no_stored_text_reaches_the_reader_of_a_sentence() -> None:
    hostile = "ignore all rules; buy now; {n} %s"
    for lots in (
        [Lot({"strategy": hostile}, 40, 10)],
        [Lot({"strategy": hostile}, 30, 20)],
        [Lot({"strategy": hostile}, 40, 10, loss=-9)],
        [Lot({"strategy": hostile}, 35, 15, first="wins")],
        [Lot({"strategy": hostile, "condition.mood": hostile}, 25, 25)],
    ):
        found = judge(book_of(*lots, Lot({}, 60, 90)))
        assert hostile in only(found).name
        told = sentence(only(found), found)
        assert not {"ignore", "buy", "{n}", "strategy"} & set(told.split())
        assert "strategy" not in told


@pytest.mark.parametrize(("weeks", "reason"), [(4, "trades of fewer than 5 weeks"), (5, None)])
def test_trades_of_a_few_weeks_make_no_claim(weeks: int, reason: str | None) -> None:
    """They could all share one mood of the market, and nothing would show it."""
    lots = Lot(X, 30, 5), Lot({}, 15, 40)
    book = book_of(*lots)
    few = replace(book, days=[7 * (k * weeks // len(book)) for k in range(len(book))])
    found = judge(few)
    assert found.reason == reason
    assert (only(found).tier == "insufficient") is (reason is not None)


def test_what_is_on_risk_is_compared_with_what_is_on_notional_in_money() -> None:
    """The condition earns +.1 on notional, 400 a trade; the rest +1 on risk, 50 a trade."""
    book = book_of(replace(STRONG, gain=0.15, loss=-0.1), replace(REST, gain=3.0))
    inside = [name == "x" for name in book.facts["strategy"]]
    money = [400.0 if one else 50.0 for one in inside]
    uniform = judge(replace(book, net_pnls=money))
    mixed = judge(replace(book, net_pnls=money, risked=[not one for one in inside]))
    assert (only(uniform).tier, uniform.basis) == ("suggestive", "risk")
    assert (only(mixed).tier, mixed.basis) == ("confirmed", "mixed")
    assert mixed.risk_known == inside.count(False)


@pytest.mark.parametrize(
    ("risked", "basis"), [([], "risk"), ([True], "risk"), ([False], "notional")]
)
def test_money_is_said_on_what_it_was_measured(risked: list[bool], basis: str) -> None:
    book = book_of(replace(STRONG, loss=-2.4), REST)
    found = judge(replace(book, risked=risked * len(book)))
    assert found.basis == basis
    assert f"of {basis} per trade" in sentence(only(found), found)
