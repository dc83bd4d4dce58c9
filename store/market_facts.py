"""What was known of a market at a moment: trend, regime, volatility, sector and size. Pure.

A fact is worked out from what was known by then and from nothing later, so that it can stand
beside a trade as a condition of its entry. Where too little was known there is no fact.

- `trend` of the ticker: `up` if the last close is above the mean of 50 closes and that above
  the mean of 200, `down` if both the other way round, else `mixed`. Means of 50 and of 200 days
  are those of Brock, Lakonishok and LeBaron, "Simple technical trading rules and the stochastic
  properties of stock returns", Journal of Finance 47 (1992).
- `market_regime`: the same of the index SPY, as `bull`, `bear` or `mixed`.
- `volatility_regime` of the index: where its realised volatility of 21 days stands among those
  of the last 252: `low` if less than a quarter of them are below it, `high` if three quarters or
  more are, else `normal`. Realised volatility is the root of the sum of squared log returns
  (Andersen and Bollerslev, International Economic Review 39, 1998).
- `sector`: as the last fundamentals said it.
- `cap` by the market capitalisation in US dollars: `mega` from 200 billion, `large` from 10,
  `mid` from 2, `small` from 250 million, else `micro` (FINRA, "Market Cap Explained", 2022).
"""

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

SHORT_MEAN, LONG_MEAN = 50, 200
MONTH, YEAR = 21, 252  # Trading days.
CLOSES_NEEDED = YEAR + MONTH  # The volatility's: 252 sums of 21 returns.
FACTS = ("trend", "market_regime", "volatility_regime", "sector", "cap")
LONGEST_GAP = timedelta(days=7)  # Between bars; exchanges were never closed for longer since 1933.
CAP_AGE = timedelta(days=366)
CAPS = (
    ("mega", Decimal(200_000_000_000)),
    ("large", Decimal(10_000_000_000)),
    ("mid", Decimal(2_000_000_000)),
    ("small", Decimal(250_000_000)),
)
REGIMES = {"up": "bull", "down": "bear", "mixed": "mixed"}


class Close(NamedTuple):
    """The close of a daily bar, and when it was known."""

    known_at: datetime
    price: Decimal


class Fundamental(NamedTuple):
    """A word or number about a ticker, from a day on."""

    name: str
    known_on: date
    value: str | Decimal


def facts_at(
    moment: datetime,
    day: date,
    *,
    ticker: Sequence[Close],
    index: Sequence[Close],
    fundamentals: Sequence[Fundamental],
) -> dict[str, str]:
    """The facts that were known at `moment`, which is on `day` in the market's zone.

    Of `ticker` and `index`, daily closes oldest first, those count that were known by then; of
    `fundamentals`, in any order, those of an earlier day: the hour at which they came is not
    known.
    """
    here, market = known_closes(ticker, moment), known_closes(index, moment)
    known = sorted((one for one in fundamentals if one.known_on < day), key=_known_on)
    regime = trend(market)
    facts = {
        "trend": trend(here),
        "market_regime": REGIMES[regime] if regime else None,
        "volatility_regime": volatility_regime(market),
        "sector": sector(known),
        "cap": cap(known, day),
    }
    return {name: value for name, value in facts.items() if value is not None}


def known_closes(closes: Sequence[Close], moment: datetime) -> list[Decimal]:
    """The prices known at `moment`, oldest first, without a gap of more than a week between
    them or before `moment`: what is further back is left out."""
    known = [close for close in closes if close.known_at <= moment][-CLOSES_NEEDED:]
    unbroken: list[Decimal] = []
    after = moment
    for close in reversed(known):
        if after - close.known_at > LONGEST_GAP:
            break
        unbroken.append(close.price)
        after = close.known_at
    return unbroken[::-1]


def trend(closes: Sequence[Decimal]) -> str | None:
    """`up`, `down` or `mixed`; None of fewer than 200 closes."""
    if len(closes) < LONG_MEAN:
        return None
    # Sums instead of means: of prices as they are kept these are exact.
    last, short, long = closes[-1], sum(closes[-SHORT_MEAN:]), sum(closes[-LONG_MEAN:])
    above = last * SHORT_MEAN > short and short * LONG_MEAN > long * SHORT_MEAN
    below = last * SHORT_MEAN < short and short * LONG_MEAN < long * SHORT_MEAN
    return "up" if above else "down" if below else "mixed"


def volatility_regime(closes: Sequence[Decimal]) -> str | None:
    """`low`, `normal` or `high`; None of fewer than 273 closes, or where one is not above 0."""
    if len(closes) < CLOSES_NEEDED or min(closes[-CLOSES_NEEDED:]) <= 0:
        return None
    logs = [math.log(close) for close in closes[-CLOSES_NEEDED:]]
    squares = [(later - earlier) ** 2 for earlier, later in pairwise(logs)]
    # Sums rank as their roots do.
    realised = [math.fsum(squares[end - MONTH : end]) for end in range(MONTH, len(squares) + 1)]
    below = sum(one < realised[-1] for one in realised)
    if below * 4 >= len(realised) * 3:
        return "high"
    return "low" if below * 4 < len(realised) else "normal"


def sector(known: Sequence[Fundamental]) -> str | None:
    """The last word about it."""
    words = [one.value for one in known if one.name == "sector" and isinstance(one.value, str)]
    return words[-1] if words else None


def cap(known: Sequence[Fundamental], day: date) -> str | None:
    """The size by the last market capitalisation; None where it is older than a year."""
    last = next((one for one in reversed(known) if one.name == "market_cap"), None)
    if last is None or isinstance(last.value, str) or day - last.known_on > CAP_AGE:
        return None
    dollars = last.value
    return next((name for name, least in CAPS if dollars >= least), "micro")


def _known_on(fundamental: Fundamental) -> date:
    return fundamental.known_on
