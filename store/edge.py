"""Is there an edge? Which facts known at entry go with winning, beyond luck.

One family is every condition of one book. Its p-values come from `mid_p`, are adjusted for
having looked at all of them by `_adjusted`, pass the gates and end as a tier. Trades are
taken as independent here: a market with memory breaks that (EVIDENCE 3), and the place for
permutation min-P and design effects is `_adjusted`.

A condition is named COLUMN, then '=', '>=' or '<', then a value, without spaces:
`option_type=call`, `scanner_score>=70`, `iv<0.2`. '=' with two numbers is a band: from the
first up to, not including, the next band's first (`scanner_score=60-69` holds at 69.5;
`abs_delta=0.2-0.4` does not at 0.4; dte is whole days, so `dte=8-21` includes both ends).
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil, fsum, inf, sqrt
from typing import Literal

from store.stats import Interval, enough_for_interval, mean_interval, normal_quantile, wilson

ALPHA = 0.05  # Adjusted chance of luck up to which an edge is supported ...
HINT = 0.20  # ... and up to which there is a hint.
CLOSED_MIN = 50
SIDE_MIN = 5
POWER_Z = 0.84  # 80 % power.
PREVALENCE = 0.25
DIRECTION_LIKE = ("option_type=", "direction=")
NEGLIGIBLE = 1e-18

Tier = Literal[
    "supported",
    "suggestive",
    "wins_but_loses_money",
    "loses_often_but_makes_money",
    "insufficient",
]
RANKS: dict[Tier, int] = {
    "supported": 0,
    "suggestive": 1,
    "wins_but_loses_money": 2,
    "loses_often_but_makes_money": 2,
    "insufficient": 3,
}


# The grid: which numeric facts are looked at, fixed before any trade is seen.


@dataclass(frozen=True)
class Band:
    """`low <= value < high` of a numeric entry fact; an end that is None is open.

    `abs_delta` is the absolute value of delta; the other columns are the trade's own.
    """

    name: str
    column: str
    low: Decimal | None
    high: Decimal | None

    def holds(self, value: Decimal | int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


def _bands(column: str, *rows: tuple[str, str | None, str | None]) -> tuple[Band, ...]:
    return tuple(
        Band(
            column + label,
            column,
            None if low is None else Decimal(low),
            None if high is None else Decimal(high),
        )
        for label, low, high in rows
    )


_SCORE = (
    ("<50", None, "50"),
    ("=50-59", "50", "60"),
    ("=60-69", "60", "70"),
    ("=70-79", "70", "80"),
    ("=80-89", "80", "90"),
    (">=90", "90", None),
    (">=60", "60", None),
    (">=70", "70", None),
    (">=80", "80", None),
)

GRID: tuple[Band, ...] = (
    *_bands("scanner_score", *_SCORE),
    *_bands("ai_score", *_SCORE),
    *_bands(
        "abs_delta",
        ("<0.2", None, "0.2"),
        ("=0.2-0.4", "0.2", "0.4"),
        ("=0.4-0.6", "0.4", "0.6"),
        ("=0.6-0.8", "0.6", "0.8"),
        (">=0.8", "0.8", None),
    ),
    *_bands(
        "iv",
        ("<0.2", None, "0.2"),
        ("=0.2-0.35", "0.2", "0.35"),
        ("=0.35-0.5", "0.35", "0.5"),
        ("=0.5-0.8", "0.5", "0.8"),
        (">=0.8", "0.8", None),
    ),
    *_bands(
        "dte",
        ("=0-1", "0", "2"),
        ("=2-7", "2", "8"),
        ("=8-21", "8", "22"),
        ("=22-60", "22", "61"),
        (">=61", "61", None),
    ),
)


# What is judged: counts per condition, from SQL or from single trades.


@dataclass(frozen=True)
class Book:
    """All closed trades of one user and mode: the whole every condition is a part of."""

    n: int
    wins: int
    losses: int
    breakevens: int

    @property
    def decided(self) -> int:
        return self.wins + self.losses


@dataclass(frozen=True)
class Cell:
    """The closed trades of a book for which one condition held at entry.

    ret_sum, ret_squares and ret_cubes add up the return on risk of the ret_n trades that
    have one; without squares and cubes the mean has no interval. `members` is equal for two
    conditions that hold for exactly the same trades, None where that is not known.
    """

    name: str
    n: int
    wins: int
    losses: int
    breakevens: int
    ret_sum: float
    ret_n: int
    members: Hashable | None = None
    ret_squares: float | None = None
    ret_cubes: float | None = None

    @property
    def decided(self) -> int:
        return self.wins + self.losses


@dataclass(frozen=True)
class Fact:
    """One closed trade as an entry-time question sees it. `ret` is return on risk, 1 = 100 %."""

    outcome: Literal["win", "loss", "breakeven"]
    ret: float | None
    conditions: frozenset[str]


def tally(facts: Iterable[Fact]) -> tuple[Book, list[Cell]]:
    """Single trades counted: their book, and a cell for each condition, by name."""
    trades = list(facts)
    members: dict[str, list[int]] = {}
    for index, fact in enumerate(trades):
        for name in fact.conditions:
            members.setdefault(name, []).append(index)
    whole = _cell("", trades, range(len(trades)))
    return (
        Book(whole.n, whole.wins, whole.losses, whole.breakevens),
        [_cell(name, trades, members[name]) for name in sorted(members)],
    )


def _cell(name: str, trades: Sequence[Fact], indices: Sequence[int]) -> Cell:
    facts = [trades[index] for index in indices]
    outcomes = [fact.outcome for fact in facts]
    rets = [fact.ret for fact in facts if fact.ret is not None]
    return Cell(
        name,
        n=len(facts),
        wins=outcomes.count("win"),
        losses=outcomes.count("loss"),
        breakevens=outcomes.count("breakeven"),
        ret_sum=fsum(rets),
        ret_n=len(rets),
        members=tuple(indices),
        ret_squares=fsum(ret**2 for ret in rets),
        ret_cubes=fsum(ret**3 for ret in rets),
    )


# What comes back.


@dataclass(frozen=True)
class Verdict:
    """One condition: its counts, the rest of the book, and what may be claimed.

    Rates are of wins and losses, raw, with the Wilson 95 % interval; `lift` is win_rate
    minus rest_win_rate. `p` is the chance of at least this many wins (`avoid`: at most) if
    the condition meant nothing, `p_adjusted` the same for the best of all conditions
    checked; both None where the condition was not tested. mean_ret is the mean return on
    risk, None where unknown. `also` names conditions that held for exactly the same trades.
    """

    name: str
    tier: Tier
    sentence: str
    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: float | None
    low: float | None
    high: float | None
    rest_n: int
    rest_win_rate: float | None
    lift: float | None
    p: float | None
    p_adjusted: float | None
    mean_ret: float | None
    mean_ret_low: float | None
    mean_ret_high: float | None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdicts:
    """Every condition judged: supported, suggestive, refuted by money, then the rest.

    Ends are by adjusted p, p and name. `conditions_checked` counts those with enough trades
    inside and outside. `smallest_visible_edge` is the lift (a fraction) seen with 80 % power
    by a condition that holds for a quarter of the trades; None, with `no_edge_visible`, when
    not even the largest possible one could be seen yet. `reason` says why a whole book is
    insufficient.
    """

    verdicts: tuple[Verdict, ...]
    conditions_checked: int
    smallest_visible_edge: float | None
    no_edge_visible: bool
    reason: str | None


def judge(book: Book, cells: Sequence[Cell], *, avoid: bool = False) -> Verdicts:
    """What may be claimed about each condition of one book.

    `avoid` asks for conditions that lose: a family and an answer of its own. A condition
    needs max(8, 2 %) decided trades inside and as many outside to be tested. Conditions that
    hold for the same trades are one. A claim needs an adjusted p of at most 5 % and money
    that agrees; call or put, bullish or bearish is at most suggestive, and so is a condition
    whose returns are unknown. The chance of any false 'supported' is at most 5 % if trades
    are independent.
    """
    distinct = _distinct(cells)
    tested = [cell for cell, _ in distinct if _testable(book, cell)]
    reason = _why_insufficient(book)
    visible = _book_edge(book, len(tested), avoid=avoid)
    chances = {} if reason else _chances(book, tested, avoid=avoid)
    family = _Family(book, len(tested), visible, avoid)
    judged = [
        replace(_verdict(family, cell, *chances.get(cell.name, (None, None))), also=also)
        for cell, also in distinct
    ]
    return Verdicts(
        verdicts=tuple(sorted(judged, key=_order)),
        conditions_checked=len(tested),
        smallest_visible_edge=visible,
        no_edge_visible=visible is None,
        reason=reason,
    )


@dataclass(frozen=True)
class _Family:
    book: Book
    size: int
    visible: float | None
    avoid: bool


def _order(verdict: Verdict) -> tuple[int, float, float, str]:
    adjusted = inf if verdict.p_adjusted is None else verdict.p_adjusted
    return RANKS[verdict.tier], adjusted, inf if verdict.p is None else verdict.p, verdict.name


# Which conditions are tested.


def _distinct(cells: Sequence[Cell]) -> list[tuple[Cell, tuple[str, ...]]]:
    """One cell for each set of trades, with the other names of that set.

    A direction-like name stands for its set: a strategy that is every call of the book
    cannot be told from the market's trend either. Otherwise the first name does.
    """
    sets: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        key = ("name", cell.name) if cell.members is None else ("members", cell.members)
        sets.setdefault(key, []).append(cell)
    distinct = []
    for same in sets.values():
        first, *others = sorted(same, key=lambda cell: (not _direction_like(cell.name), cell.name))
        distinct.append((first, tuple(cell.name for cell in others)))
    return distinct


def _direction_like(name: str) -> bool:
    return name.startswith(DIRECTION_LIKE)


def _testable(book: Book, cell: Cell) -> bool:
    """Enough decided trades inside the condition, and outside."""
    least = max(8, ceil(book.decided / 50))
    return least <= cell.decided <= book.decided - least


def _why_insufficient(book: Book) -> str | None:
    if book.n < CLOSED_MIN:
        return f"fewer than {CLOSED_MIN} closed trades"
    if book.wins < SIDE_MIN:
        return f"fewer than {SIDE_MIN} wins"
    if book.losses < SIDE_MIN:
        return f"fewer than {SIDE_MIN} losses"
    return None


# How likely luck is.


def _chances(
    book: Book, tested: Sequence[Cell], *, avoid: bool
) -> dict[str, tuple[float | None, float | None]]:
    """(p, adjusted p) of each tested condition, by name."""
    ps = [mid_p(cell.wins, cell.decided, book.wins, book.decided, lower=avoid) for cell in tested]
    names = (cell.name for cell in tested)
    return dict(zip(names, zip(ps, _adjusted(ps), strict=True), strict=True))


def _adjusted(ps: Sequence[float]) -> list[float]:
    return holm(ps)


def mid_p(
    wins_in: int, decided_in: int, wins_all: int, decided_all: int, *, lower: bool = False
) -> float:
    """P(H > w) + P(H = w) / 2, H the wins among `decided_in` trades drawn from the book.

    Lancaster 1961, on Fisher's hypergeometric distribution; `lower` takes P(H < w) instead,
    and the two add up to 1. The terms are built by their exact ratios outward from the mode
    and divided by their own sum: log-gammas of large books cancel to 1e-10, this keeps 1e-12
    to a million trades. A chance below 1e-300 may come back as 0.

    Raises:
        ValueError: counts that no book can have.
    """
    if lower:
        return mid_p(decided_in - wins_in, decided_in, decided_all - wins_all, decided_all)
    least, most = max(0, decided_in + wins_all - decided_all), min(decided_in, wins_all)
    if not (0 <= decided_in <= decided_all and least <= wins_in <= most):
        raise ValueError(
            f"{wins_in} wins of {decided_in} cannot be part of {wins_all} wins of {decided_all}."
        )
    mode = (decided_in + 1) * (wins_all + 1) // (decided_all + 2)
    up = _weights(mode, decided_in, wins_all, decided_all, reach=wins_in)
    # Downward in wins is upward in losses.
    down = _weights(decided_in - mode, decided_in, decided_all - wins_all, decided_all, reach=0)
    by_wins = [*reversed(down[1:]), *up]
    at = wins_in - (mode - len(down) + 1)  # Where wins_in is; negative: beyond what counts.
    if at < 0:
        return 1.0
    here = by_wins[at] if at < len(by_wins) else 0.0
    return (fsum(by_wins[at + 1 :]) + here / 2) / fsum(by_wins)


def _weights(start: int, drawn: int, marked: int, total: int, *, reach: int) -> list[float]:
    """P(H = start), P(H = start + 1), ... as multiples of the first, start being the mode.

    Goes on past `reach` until nothing more can be seen in a sum from there.
    """
    weights = [1.0]
    floor = NEGLIGIBLE if reach <= start else 0.0
    for k in range(start, min(drawn, marked)):
        ratio = (marked - k) * (drawn - k) / ((k + 1) * (total - marked - drawn + k + 1))
        weights.append(weights[-1] * ratio)
        if k + 1 == reach:
            floor = NEGLIGIBLE * weights[-1]
        if weights[-1] <= floor:
            break
    return weights


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the order given (Holm 1979).

    The chance of any false one at or below a level is at most that level, however the tests
    depend on each other. At most 1, and in the order of the p-values.
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def smallest_visible_edge(
    base_rate: float,
    n_decided: int,
    n_in: float,
    family: int,
    *,
    alpha: float = ALPHA,
    deff: float = 1.0,
) -> float | None:
    """Smallest lift in win rate (a fraction) that 80 % of such histories would show.

    (z + .84) sqrt(p q (1/n_in + 1/(n - n_in)) deff), z the one-sided critical value at
    alpha / family (two-proportion power, Fleiss 1981, 3.2; Bonferroni). None where base_rate
    plus it exceeds 1, so that no edge could be visible yet, and where a side has no trades
    or the book only wins or only loses.
    """
    if not (0 < n_in < n_decided and 0 < base_rate < 1):
        return None
    z = normal_quantile(1 - alpha / max(1, family))
    variance = base_rate * (1 - base_rate) * (1 / n_in + 1 / (n_decided - n_in)) * deff
    edge = (z + POWER_Z) * sqrt(variance)
    return edge if base_rate + edge <= 1 else None


def _book_edge(book: Book, family: int, *, avoid: bool) -> float | None:
    """At a prevalence of 25 %; for `avoid` the room is downward."""
    if not book.decided:
        return None
    base = (book.losses if avoid else book.wins) / book.decided
    return smallest_visible_edge(base, book.decided, PREVALENCE * book.decided, family)


# What may be claimed.


def _verdict(family: _Family, cell: Cell, p: float | None, p_adjusted: float | None) -> Verdict:
    book = family.book
    interval = wilson(cell.wins, cell.losses)
    rate = _rate(cell.wins, cell.decided)
    rest = _rate(book.wins - cell.wins, book.decided - cell.decided)
    mean = cell.ret_sum / cell.ret_n if cell.ret_n else None
    spread = _ret_interval(cell)
    verdict = Verdict(
        name=cell.name,
        tier=_tier(cell.name, p_adjusted, mean, avoid=family.avoid),
        sentence="",
        n=cell.n,
        wins=cell.wins,
        losses=cell.losses,
        breakevens=cell.breakevens,
        win_rate=rate,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        rest_n=book.n - cell.n,
        rest_win_rate=rest,
        lift=None if rate is None or rest is None else rate - rest,
        p=p,
        p_adjusted=p_adjusted,
        mean_ret=mean,
        mean_ret_low=spread.low if spread else None,
        mean_ret_high=spread.high if spread else None,
    )
    return replace(verdict, sentence=_sentence(family, verdict))


def _rate(wins: int, decided: int) -> float | None:
    return wins / decided if decided else None


def _ret_interval(cell: Cell) -> Interval | None:
    if cell.ret_squares is None or cell.ret_cubes is None:
        return None
    if not enough_for_interval(cell.ret_n, cell.wins, cell.losses):
        return None
    return mean_interval(cell.ret_n, cell.ret_sum, cell.ret_squares, cell.ret_cubes)


def _tier(name: str, p_adjusted: float | None, mean_ret: float | None, *, avoid: bool) -> Tier:
    if p_adjusted is None or p_adjusted > HINT:
        return "insufficient"
    if mean_ret is not None and not avoid and mean_ret <= 0:
        return "wins_but_loses_money"
    if mean_ret is not None and avoid and mean_ret >= 0:
        return "loses_often_but_makes_money"
    if p_adjusted > ALPHA or mean_ret is None or _direction_like(name):
        return "suggestive"
    return "supported"


# What the reader is told: numbers only, never a name or any other stored text.


def _sentence(family: _Family, verdict: Verdict) -> str:
    match verdict.tier:
        case "supported":
            return _likely_real(family, verdict)
        case "suggestive":
            return _weak_hint(verdict)
        case "wins_but_loses_money":
            return (
                f"Wins more often but loses on average ({_money(verdict)}). "
                "Do not treat as an edge."
            )
        case "loses_often_but_makes_money":
            return (
                f"Wins less often but does not lose on average ({_money(verdict)}). "
                "No reason to avoid it."
            )
        case "insufficient":
            return _nothing_yet(family)


def _likely_real(family: _Family, verdict: Verdict) -> str:
    extreme = "worst" if family.avoid else "best"
    return (
        f"Likely real: raw {_percent(verdict.win_rate)} wins (n={verdict.n}) vs "
        f"{_percent(verdict.rest_win_rate)}; after checking {family.size} conditions the chance "
        f"of such a {extreme} result by luck is {_chance(verdict.p_adjusted)}. Not a forecast."
    )


def _weak_hint(verdict: Verdict) -> str:
    if _direction_like(verdict.name):
        return "Calls and puts cannot be told apart from the market's own trend in one history."
    if verdict.mean_ret is None:
        return "A hint at most: what these trades earned on risk is not known. Do not size on it."
    return (
        "Weak hint, not evidence: one in five edge-free traders would show something like it. "
        "Do not size on it."
    )


def _nothing_yet(family: _Family) -> str:
    sign = "-" if family.avoid else "+"
    yet = (
        "No edge could be visible yet."
        if family.visible is None
        else f"Only an edge of about {sign}{family.visible * 100:.0f} points would be visible yet."
    )
    return (
        f"{family.book.n} trades, {family.size} conditions checked: nothing stands out from luck. "
        f"{yet} This is not evidence of no edge."
    )


def _money(verdict: Verdict) -> str:
    mean = f"{verdict.mean_ret:+.1%} of risk per trade"
    if verdict.mean_ret_low is None or verdict.mean_ret_high is None:
        return mean
    return f"{mean}, 90% {verdict.mean_ret_low:+.1%} to {verdict.mean_ret_high:+.1%}"


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.0%}"


def _chance(p: float | None) -> str:
    return "unknown" if p is None else f"{p:.1%}" if p >= 0.001 else "below 0.1%"
