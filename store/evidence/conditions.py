"""Which facts known at entry go with winning, beyond luck?

One family is every condition of one book. Wins among a condition's trades are compared with
the book's by an exact tail, deflated for trades that win or lose together, and adjusted for
having looked at every condition: by permutation, or by Holm in very large books. What stands
out then has to pass the gates: it must earn money, and must not have faded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from store.evidence.book import Book
from store.evidence.dependence import Floats, clusters_of
from store.evidence.family import Candidate, Pairs, pairs, singles
from store.evidence.gates import Halves, tier_of
from store.evidence.grid import Condition, conditions_of
from store.evidence.luck import deflated, holm, mid_ps, permuted_ps, step_down
from store.evidence.power import smallest_visible_edge
from store.evidence.sample import Bools, Ints, Sample
from store.evidence.shrinkage import NOTHING, Weights, fitted, shrunk
from store.evidence.telling import Judged, beyond_their_parts, listed
from store.evidence.thresholds import (
    ALPHA,
    CLOSED_MIN,
    FEWER_FROM,
    HOLM_FROM,
    PERMUTATIONS,
    PERMUTATIONS_FEWER,
    SIDE_MIN,
    TOO_FEW_WEEKS,
)
from store.evidence.verdicts import CLAIMS, Verdict, Verdicts, order
from store.stats import (
    WEEKS_MIN,
    design_effect,
    enough_for_interval,
    mean_interval,
    normal_quantile,
    wilson,
)

PAIRS_FROM = 300
PAIRS_SHARE = 0.2  # Of the whole chance of error, where pairs are looked at.
PAIRS_LISTED = 40
PREVALENCE = 0.25


def judge(book: Book, *, avoid: bool = False) -> Verdicts:
    """What may be claimed about each condition of one book.

    `avoid` asks for conditions that lose: a family and an answer of its own. A condition
    needs max(8, 2 %) decided trades inside and as many outside to be tested; from 300 decided
    trades pairs of conditions are tested, too (15, 3 %). Conditions that hold for the same
    trades are one. The chance of any false claim in a history without an edge is at most
    5 %, with or without a market that moves trades together, as simulated
    (`python -m benchmarks.evidence`). A claim that could already be made after two thirds of
    the trades, by the same bands, is confirmed.
    """
    grid = conditions_of(book.facts)
    found = _search(book, grid, avoid)
    if not any(verdict.tier == "supported" for verdict in found.verdicts):
        return found
    earlier = _search(book.first(2 * len(book) // 3), grid, avoid)
    stood = {name for v in earlier.verdicts if v.tier in CLAIMS for name in (v.name, *v.also)}
    verdicts = [
        replace(verdict, tier="confirmed")
        if verdict.tier == "supported" and verdict.name in stood
        else verdict
        for verdict in found.verdicts
    ]
    return replace(found, verdicts=tuple(sorted(verdicts, key=order)))


def _search(book: Book, grid: Sequence[Condition], avoid: bool) -> Verdicts:
    """One run over one book; the highest tier is supported."""
    sample = Sample.of(book, avoid=avoid)
    alone = _Tests.of(sample, singles(book.facts, grid, sample.decided))
    reason = _why_insufficient(sample)
    together = Pairs([], 0)
    if reason is None and len(sample) >= PAIRS_FROM:
        together = pairs(alone.candidates, sample.decided, sample.y, PAIRS_LISTED)
    share = PAIRS_SHARE if together.looked_at else 0.0
    chances = _chances(sample, alone, 1 - share) if reason is None else None
    mixture = _mixture(sample, alone) if reason is None else NOTHING
    judged = _judged(sample, alone, chances, mixture, avoid)
    if together.looked_at:
        both = _Tests.of(sample, together.strongest)
        bound = _bounded(sample, both, together.looked_at, share)
        judged += beyond_their_parts(judged, _judged(sample, both, bound, mixture, avoid))
    checked = len(alone.candidates) + together.looked_at
    return Verdicts(
        verdicts=listed(judged),
        checked=checked,
        smallest_visible_edge=_visible_edge(sample, alone, chances),
        reason=reason,
        avoid=avoid,
        n=len(book),
        n_decided=len(sample),
        base_rate=_as_win_rate(sample.base, avoid) if len(sample) else None,
        prior_weights=mixture,
        risk_known=sum(book.risked),
        basis=book.basis,
    )


def _why_insufficient(sample: Sample) -> str | None:
    if len(sample.outcomes) < CLOSED_MIN:
        return f"fewer than {CLOSED_MIN} closed trades"
    if np.count_nonzero(sample.outcomes > 0) < SIDE_MIN:
        return f"fewer than {SIDE_MIN} wins"
    if np.count_nonzero(sample.outcomes < 0) < SIDE_MIN:
        return f"fewer than {SIDE_MIN} losses"
    if len(np.unique(sample.weeks)) < WEEKS_MIN:
        return TOO_FEW_WEEKS
    return None


# How likely luck is.


@dataclass(frozen=True)
class _Tests:
    """Conditions with the decided trades inside (`sizes`), those among them with y = 1
    (`wins`) and design effects; `held` is decided trades x conditions, kept by condition."""

    candidates: list[Candidate]
    held: Bools
    sizes: Ints
    wins: Ints
    deffs: Floats

    @classmethod
    def of(cls, sample: Sample, candidates: list[Candidate]) -> "_Tests":
        held = np.zeros((len(candidates), len(sample)), bool)
        for row, one in zip(held, candidates, strict=True):
            row[:] = one.held[sample.decided]
        return cls(
            candidates=candidates,
            held=held.T,
            sizes=np.count_nonzero(held, axis=1),
            wins=np.count_nonzero(held & (sample.y > 0), axis=1),
            deffs=sample.dependence.design_effects(held.T) if candidates else np.zeros(0),
        )

    def lifts(self, sample: Sample) -> Floats:
        inside, outside = self.sizes, len(sample) - self.sizes
        return self.wins / inside - (sample.total - self.wins) / outside

    def errors(self, sample: Sample) -> Floats:
        """Standard errors of the lifts."""
        inside, outside = self.sizes, len(sample) - self.sizes
        spread = sample.base * (1 - sample.base) * (1 / inside + 1 / outside)
        return np.sqrt(spread * self.deffs)


@dataclass(frozen=True)
class _Chances:
    """p and adjusted p of each condition, and the z that is critical for the family."""

    ps: Floats
    adjusted: Floats
    z_critical: float


def _chances(sample: Sample, tests: _Tests, share: float) -> _Chances | None:
    """Conditions alone, at `share` of the whole chance of error."""
    if not tests.candidates:
        return None
    ps = deflated(mid_ps(tests.wins, tests.sizes, len(sample), sample.total), tests.deffs)
    if len(sample) > HOLM_FROM:
        return _Chances(
            ps,
            np.minimum(1.0, holm(ps) / share),
            normal_quantile(1 - ALPHA * share / len(ps)),
        )
    times = PERMUTATIONS_FEWER if len(sample) > FEWER_FROM else PERMUTATIONS
    by_luck = permuted_ps(sample.y, tests.held, times, sample.seed(tests.held))
    critical = float(np.quantile(by_luck.min(axis=1), ALPHA * share))
    return _Chances(
        ps,
        np.minimum(1.0, step_down(ps, by_luck) / share),
        -normal_quantile(min(0.5, max(critical, 1e-12))),
    )


def _bounded(sample: Sample, tests: _Tests, looked_at: int, share: float) -> _Chances:
    """Pairs, of which only the strongest are at hand: Bonferroni over all looked at."""
    ps = deflated(mid_ps(tests.wins, tests.sizes, len(sample), sample.total), tests.deffs)
    return _Chances(ps, np.minimum(1.0, ps * looked_at / share), 0.0)


def _mixture(sample: Sample, tests: _Tests) -> Weights:
    return fitted(tests.lifts(sample), tests.errors(sample))


def _visible_edge(sample: Sample, tests: _Tests, chances: _Chances | None) -> float | None:
    """At a prevalence of 25 % and the design effect that is usual in this book."""
    z = chances.z_critical if chances else normal_quantile(1 - ALPHA / max(1, len(tests.deffs)))
    deff = float(np.median(tests.deffs)) if len(tests.deffs) else 1.0
    return smallest_visible_edge(sample.base, len(sample), PREVALENCE * len(sample), z, deff)


# What may be claimed.


def _judged(
    sample: Sample, tests: _Tests, chances: _Chances | None, mixture: Weights, avoid: bool
) -> list[Judged]:
    """A verdict for each condition, in their order."""
    if not tests.candidates:
        return []
    worth = shrunk(tests.lifts(sample), tests.errors(sample), mixture)
    picked = sample.base + worth * (1 - tests.sizes / len(sample))
    wins = sample.outcomes[sample.decided] > 0
    weeks = clusters_of(tests.held, wins, sample.weeks)
    blocks = clusters_of(tests.held, wins, sample.blocks)
    verdicts = []
    for k, candidate in enumerate(tests.candidates):
        outcomes, returns = sample.outcomes[candidate.held], sample.returns[candidate.held]
        won, lost = int((outcomes > 0).sum()), int((outcomes < 0).sum())
        interval = wilson(won, lost, design_effect(won, lost, weeks[k], blocks[k]) or 1.0)
        rest = (sample.total - tests.wins[k]) / (len(sample) - tests.sizes[k])
        earned = _Earned.of(returns[~np.isnan(returns)], won, lost)
        pays = _mean(sample.earned[candidate.held]), _mean(sample.earned[~candidate.held])
        halves = Halves.of(sample, candidate.held, float(tests.deffs[k]))
        adjusted = float(chances.adjusted[k]) if chances else None
        verdict = Verdict(
            name=candidate.name,
            tier=tier_of(adjusted, earned.mean, pays, halves, candidate.is_direction, avoid),
            is_direction=candidate.is_direction,
            n=len(outcomes),
            wins=won,
            losses=lost,
            breakevens=len(outcomes) - won - lost,
            win_rate=won / (won + lost),
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            shrunk_win_rate=_as_win_rate(float(picked[k]), avoid),
            rest_win_rate=_as_win_rate(float(rest), avoid),
            p=float(chances.ps[k]) if chances else None,
            p_adjusted=adjusted,
            mean_return=earned.mean,
            mean_return_low=earned.low,
            mean_return_high=earned.high,
            early=None if halves is None else _as_win_rate(halves.early, avoid),
            recent=None if halves is None else _as_win_rate(halves.recent, avoid),
            also=candidate.also,
            parts=candidate.parts,
        )
        verdicts.append(Judged(verdict, candidate))
    return verdicts


def _as_win_rate(rate: float, avoid: bool) -> float:
    return 1 - rate if avoid else rate


@dataclass(frozen=True)
class _Earned:
    """Mean return on risk with its 90 % interval; None where it is not known."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, returns: Floats, wins: int, losses: int) -> "_Earned":
        if not len(returns):
            return cls()
        total = float(returns.sum())
        mean, interval = total / len(returns), None
        if enough_for_interval(len(returns), wins, losses):
            squares, cubes = float((returns**2).sum()), float((returns**3).sum())
            interval = mean_interval(len(returns), total, squares, cubes)
        return cls(mean, interval.low, interval.high) if interval else cls(mean)


def _mean(returns: Floats) -> float | None:
    known = returns[~np.isnan(returns)]
    return float(known.mean()) if len(known) else None
