"""What comes back about a condition, and what the reader is told: numbers, never a name."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from store.evidence.book import Basis
from store.evidence.grid import Condition
from store.evidence.thresholds import ALPHA

Tier = Literal[
    "confirmed",
    "supported",
    "suggestive",
    "faded",
    "wins_but_loses_money",
    "loses_often_but_makes_money",
    "insufficient",
]
RANKS: dict[Tier, int] = {
    "confirmed": 0,
    "supported": 1,
    "suggestive": 2,
    "faded": 3,
    "wins_but_loses_money": 3,
    "loses_often_but_makes_money": 3,
    "insufficient": 4,
}
CLAIMS: tuple[Tier, ...] = ("confirmed", "supported")
REFUSED: tuple[Tier, ...] = ("faded", "wins_but_loses_money", "loses_often_but_makes_money")


@dataclass(frozen=True)
class Verdict:
    """One condition: its counts, the rest of the book, and what may be claimed.

    win_rate, of wins and losses, is raw, with the Wilson 95 % interval for trades that
    depend on each other; shrunk_win_rate is what is left of it
    after allowing for its being picked from many. `p` is the chance of at least this many
    wins (`avoid`: at most) if the condition meant nothing, `p_adjusted` the same for the
    best of all conditions checked; both None where the book is too small to test.
    mean_return is net P&L on risk, with its 90 % interval, None where unknown. early and
    recent are the raw win rates in either half of the book. `also` names conditions that
    held for the same trades, or for mostly the same; `parts` are the one or two conditions
    that the name joins.
    """

    name: str
    tier: Tier
    is_direction: bool
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: float
    low: float | None
    high: float | None
    shrunk_win_rate: float
    rest_win_rate: float
    p: float | None
    p_adjusted: float | None
    mean_return: float | None
    mean_return_low: float | None
    mean_return_high: float | None
    early: float | None
    recent: float | None
    also: tuple[str, ...] = ()
    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Verdicts:
    """Every condition that was tested, what may be claimed first.

    Ties are by adjusted p, p and name. `checked` counts conditions with enough trades inside
    and outside, pairs among them. `smallest_visible_edge` is the lift (a fraction) that four
    of five histories like this would show for a condition that holds for a quarter of the
    trades; None when not even the largest possible one could be seen yet. `reason` says why
    a whole book is insufficient. `prior_weights` (of `shrinkage.SPREADS`) and `base_rate`
    shrink any other group's rate. `risk_known` counts the trades whose return is on risk;
    that of the others is on notional (`basis`).
    """

    verdicts: tuple[Verdict, ...]
    checked: int
    smallest_visible_edge: float | None
    reason: str | None
    avoid: bool
    n: int
    n_decided: int
    base_rate: float | None
    prior_weights: tuple[float, ...]
    risk_known: int = 0
    basis: Basis = "risk"


def order(verdict: Verdict) -> tuple[int, float, float, str]:
    adjusted = inf if verdict.p_adjusted is None else verdict.p_adjusted
    return RANKS[verdict.tier], adjusted, inf if verdict.p is None else verdict.p, verdict.name


def sentence(verdict: Verdict, family: Verdicts) -> str:
    """What may be said about a condition, in one sentence without any stored text."""
    return _SENTENCES[verdict.tier](verdict, family)


def _confirmed(verdict: Verdict, family: Verdicts) -> str:
    return (
        f"Held up over time: {_percent(verdict.shrunk_win_rate)} wins here vs"
        f" {_percent(verdict.rest_win_rate)} elsewhere (n={verdict.n}); luck alone shows this in"
        " under 5% of edge-free histories, and it already stood a third of the trades ago."
    )


def _supported(verdict: Verdict, family: Verdicts) -> str:
    extreme = "worst" if family.avoid else "best"
    return (
        f"Likely real: about {_percent(verdict.shrunk_win_rate)} wins (raw"
        f" {_percent(verdict.win_rate)}, n={verdict.n}) vs {_percent(verdict.rest_win_rate)};"
        f" after checking {family.checked} conditions the chance of such a {extreme} result by"
        f" luck is {_chance(verdict.p_adjusted)}. Not a forecast."
    )


def _suggestive(verdict: Verdict, family: Verdicts) -> str:
    if verdict.is_direction:
        return "Calls and puts cannot be told apart from the market's own trend in one history."
    if verdict.mean_return is None:
        return "A hint at most: what these trades earned on risk is not known. Do not size on it."
    if (verdict.p_adjusted or 0.0) <= ALPHA:
        return (
            f"{'Loses' if family.avoid else 'Wins'} more often, but earns"
            f" {'no less' if family.avoid else 'no more'} than the rest. Do not size on it."
        )
    return (
        "Weak hint, not evidence: one in five edge-free traders would show something like it."
        " Do not size on it."
    )


def _faded(verdict: Verdict, family: Verdicts) -> str:
    kind = "worse" if family.avoid else "better"
    return (
        f"Was {kind} early ({_percent(verdict.early)}) but not in the recent half"
        f" ({_percent(verdict.recent)})."
    )


def _loses_money(verdict: Verdict, family: Verdicts) -> str:
    return (
        f"{_wins(verdict, 'more')} but loses on average ({_money(verdict, family)})."
        " Do not treat as an edge."
    )


def _makes_money(verdict: Verdict, family: Verdicts) -> str:
    return (
        f"{_wins(verdict, 'less')} but does not lose on average ({_money(verdict, family)})."
        " No reason to avoid it."
    )


def _wins(verdict: Verdict, how: str) -> str:
    """Hedged where luck may well be why it wins more, or less, often."""
    likely = (verdict.p_adjusted or 0.0) <= ALPHA
    return f"Wins {how} often" if likely else f"May win {how} often (a hint, not evidence)"


def _insufficient(verdict: Verdict, family: Verdicts) -> str:
    return nothing_yet(family)


def nothing_yet(family: Verdicts) -> str:
    """What stands for every insufficient condition alike."""
    return (
        f"{family.n} trades, {family.checked} conditions checked: nothing stands out from luck."
        f" {visible(family)} This is not evidence of no edge."
    )


_SENTENCES = {
    "confirmed": _confirmed,
    "supported": _supported,
    "suggestive": _suggestive,
    "faded": _faded,
    "wins_but_loses_money": _loses_money,
    "loses_often_but_makes_money": _makes_money,
    "insufficient": _insufficient,
}


def visible(family: Verdicts) -> str:
    """The smallest edge that could be seen, lest nothing found is read as nothing there."""
    if family.smallest_visible_edge is None:
        return "No edge could be visible yet."
    sign = "-" if family.avoid else "+"
    points = f"{sign}{100 * family.smallest_visible_edge:.0f} points"
    return f"Only an edge of about {points} would be visible yet."


def _money(verdict: Verdict, family: Verdicts) -> str:
    if verdict.mean_return is None:
        return "how much is unknown"
    mean = f"{verdict.mean_return:+.1%} of {_BASES[family.basis]} per trade"
    if verdict.mean_return_low is None or verdict.mean_return_high is None:
        return mean
    return f"{mean}, 90% {verdict.mean_return_low:+.1%} to {verdict.mean_return_high:+.1%}"


_BASES = {"risk": "risk", "notional": "notional", "mixed": "risk or else notional"}


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.0%}"


def _chance(p: float | None) -> str:
    return "unknown" if p is None else f"{p:.1%}" if p >= 0.001 else "below 0.1%"
