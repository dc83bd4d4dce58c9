"""Which of the findings are told, and under which name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from store.evidence.family import Candidate, overlap
from store.evidence.verdicts import CLAIMS, REFUSED, Verdict, order

SAME = 0.5  # Share of common trades (Jaccard) from which two claims are one.
CLAIMED = 5


@dataclass(frozen=True)
class Judged:
    verdict: Verdict
    candidate: Candidate


def beyond_their_parts(alone: Sequence[Judged], pairs: Sequence[Judged]) -> list[Judged]:
    """Pairs that say something: no part of theirs is a claim, or was refused one, by itself."""
    settled = {one.verdict.name for one in alone if one.verdict.tier in (*CLAIMS, *REFUSED)}
    return [
        pair
        for pair in pairs
        if pair.verdict.tier != "insufficient"
        if not settled & {part.name for part in pair.candidate.parts}
    ]


def listed(judged: Sequence[Judged]) -> tuple[Verdict, ...]:
    """In order, at most 5 claims. A claim that holds for mostly the same trades as a stronger
    one is named under it; so is one under a stronger finding that was refused for its money
    or for having faded, lest the same trades come back under another name."""
    by_strength = sorted(judged, key=_strength)
    kept: list[Judged] = []
    for one in by_strength:
        above = next((k for k, other in enumerate(kept) if _covers(other, one)), None)
        if above is None:
            kept.append(one)
            continue
        verdict = kept[above].verdict
        also = (*verdict.also, one.verdict.name, *one.verdict.also)
        kept[above] = replace(kept[above], verdict=replace(verdict, also=also))
    verdicts = sorted((one.verdict for one in kept), key=order)
    claims = [verdict for verdict in verdicts if verdict.tier in CLAIMS]
    return (*claims[:CLAIMED], *(verdict for verdict in verdicts if verdict.tier not in CLAIMS))


def _strength(one: Judged) -> tuple[float, float, str]:
    """By chance of luck whatever the tier: permuted, all strong ones have the same p_adjusted."""
    return one.verdict.p_adjusted or 0.0, one.verdict.p or 0.0, one.verdict.name


def _covers(stronger: Judged, claim: Judged) -> bool:
    return (
        claim.verdict.tier in CLAIMS
        and stronger.verdict.tier in (*CLAIMS, *REFUSED)
        and overlap(stronger.candidate.held, claim.candidate.held) >= SAME
    )
