"""The way of a price between two moments, for the snapshots of a trade."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import sqrt
from random import Random

from store.demo.market import NEW_YORK, at, is_open
from store.demo.plans import Setup

SNAPSHOT_SHARE = 0.25  # Of the closed trades; every open one has snapshots.
SNAPSHOTS = 7


def path(setup: Setup, start: float, end: float, rng: Random) -> Iterator[tuple[datetime, float]]:
    """Moments in market hours and prices: a bridge from `start` to `end`; for most trades
    there is none."""
    wanted = rng.random() < SNAPSHOT_SHARE or not setup.ends
    size = max(abs(end - start), 0.01 * setup.spot) * 0.4
    length = (setup.closed_at - setup.opened_at).total_seconds()
    for moment in moments_between(setup.opened_at, setup.closed_at, SNAPSHOTS * wanted):
        gone = (moment - setup.opened_at).total_seconds() / length
        yield moment, start + (end - start) * gone + rng.gauss(0, size * sqrt(gone * (1 - gone)))


def moments_between(start: datetime, end: datetime, count: int) -> list[datetime]:
    """At most `count` moments after `start` and before `end`, at 15:30 on trading days."""
    spaced = (start + (end - start) * (step + 1) / (count + 1) for step in range(count))
    moments = {_at_half_past_three(moment) for moment in spaced}
    return sorted(moment for moment in moments if start < moment < end)


def _at_half_past_three(moment: datetime) -> datetime:
    day = moment.astimezone(NEW_YORK).date()
    while not is_open(day):
        day += timedelta(days=1)
    return at(day, 15, 30)
