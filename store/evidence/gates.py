"""What a condition that stands out from luck has to pass before it is called an edge."""

from dataclasses import dataclass

import numpy as np

from store.evidence.family import Bools
from store.evidence.sample import Sample
from store.evidence.thresholds import ALPHA, HINT
from store.evidence.verdicts import Tier

FADED_Z = 1.645


@dataclass(frozen=True)
class Halves:
    """Rates of y (wins, or losses for `avoid`) inside a condition and its lifts, in the early
    and the recent half of the book; `fading` is how many standard errors the lift fell."""

    early: float
    recent: float
    lift: float
    lift_recent: float
    fading: float

    @classmethod
    def of(cls, sample: Sample, held: Bools, deff: float) -> "Halves | None":
        """None where a half has no decided trades inside or none outside."""
        inside, middle = held[sample.decided], len(sample) // 2
        counts, rates = [], []
        for half in (slice(None, middle), slice(middle, None)):
            for chosen in (inside[half], ~inside[half]):
                counts.append(int(np.count_nonzero(chosen)))
                rates.append(float(sample.y[half][chosen].mean()) if counts[-1] else 0.0)
        if not all(counts):
            return None
        variance = sample.base * (1 - sample.base) * deff * sum(1 / count for count in counts)
        lift = float(sample.y[inside].mean() - sample.y[~inside].mean())
        early, recent = rates[0] - rates[1], rates[2] - rates[3]
        fading = (early - recent) / variance**0.5 if variance > 0 else 0.0
        return cls(rates[0], rates[2], lift, recent, fading)

    @property
    def faded(self) -> bool:
        return self.lift_recent <= self.lift / 2 and self.fading > FADED_Z


def tier_of(
    p_adjusted: float | None,
    mean_return: float | None,
    pays: tuple[float | None, float | None],
    halves: Halves | None,
    is_direction: bool,
    avoid: bool,
) -> Tier:
    """What may be claimed of a condition with this adjusted p; None: nothing was tested.

    Money first: a condition that wins more often but loses on average is no edge (`avoid`:
    one that loses more often but earns is none to avoid). One that earns no more than the
    rest (`pays`: the means inside and outside) is a hint at most. So is what earned nobody
    knows how much, and calls or puts, bullish or bearish: one history cannot tell them from
    the market's own trend.
    """
    if p_adjusted is None or p_adjusted > HINT:
        return "insufficient"
    if mean_return is not None and not avoid and mean_return <= 0:
        return "wins_but_loses_money"
    if mean_return is not None and avoid and mean_return >= 0:
        return "loses_often_but_makes_money"
    if halves is not None and halves.faded:
        return "faded"
    if is_direction or p_adjusted > ALPHA or mean_return is None or not _pays(*pays, avoid):
        return "suggestive"
    return "supported"


def _pays(inside: float | None, outside: float | None, avoid: bool) -> bool:
    """Whether the condition earns more than the rest (`avoid`: less), as far as is known."""
    if inside is None or outside is None:
        return True
    return inside < outside if avoid else inside > outside
