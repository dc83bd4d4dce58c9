"""How fast the database grows, and when a quota is full at that pace. Pure arithmetic.

A group of tables grows as its commands do: of the bytes that it has, the share that was recorded
in the last 30 days, by the day. The day of the first trade is left out, for what is recorded then
is mostly a history that was imported. Market data is loaded by hand and not forecast.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WINDOW = timedelta(days=30)
FIRST_DAY = timedelta(days=1)
DAYS_NEEDED = 7
WARNED_FROM = 0.8
DAYS_MAX = 36_500  # Beyond a century nothing is said.


@dataclass(frozen=True)
class Activity:
    """What was recorded within `days`, as shares of all there is: trades, and commands."""

    days: float
    trades: float
    commands: float
    calls_days: float | None  # Since the first logged call; None without any.


@dataclass(frozen=True)
class Storage:
    """Sizes in bytes. `groups` is None where telling the tables apart would read all of a large
    file; `closed_trades` is counted, or estimated from a sample of `sampled` trades."""

    total: int
    groups: dict[str, int] | None
    closed_trades: int
    sampled: int | None
    activity: Activity | None  # None while no trade is recorded.

    @property
    def per_closed_trade(self) -> int | None:
        """Bytes of trades with all their parts and indexes, for each closed trade."""
        if self.groups is None or not self.closed_trades:
            return None
        return round(self.groups["trades"] / self.closed_trades)

    @property
    def days(self) -> float:
        """How many days of recording the pace stands on."""
        return self.activity.days if self.activity else 0.0

    @property
    def growth_per_day(self) -> int | None:
        """Bytes; None with fewer than 7 days to tell from."""
        seen = self.activity
        if seen is None or seen.days < DAYS_NEEDED:
            return None
        if self.groups is None:
            return round(self.total * seen.trades / seen.days)
        trades = self.groups["trades"] + self.groups["executions"]
        commands = self.groups["audit"] + self.groups["requests"]
        grown = (trades * seen.trades + commands * seen.commands) / seen.days
        if seen.calls_days is not None:
            grown += self.groups["calls"] / max(seen.calls_days, 1.0)
        return round(grown)


@dataclass(frozen=True)
class Forecast:
    """`used` is the share of the quota. `reached_at` is None where it is not to be said: too
    little is known, nothing is growing, or it takes more than a century."""

    quota: int
    used: float
    reached_at: datetime | None

    @property
    def warning(self) -> bool:
        return self.used >= WARNED_FROM


def window_start(first: datetime, now: datetime) -> datetime:
    """From when on what was recorded shows the pace, if the first trade was recorded at `first`."""
    return max(first + FIRST_DAY, now - WINDOW)


def forecast(storage: Storage, quota: int, now: datetime) -> Forecast:
    """When a database of `storage` has `quota` bytes, if it grows on as it did."""
    left, pace = quota - storage.total, storage.growth_per_day
    reached: datetime | None = None
    if left <= 0:
        reached = now
    elif pace and left / pace <= DAYS_MAX:
        reached = now + timedelta(days=left / pace)
    return Forecast(quota, storage.total / quota, reached and reached.astimezone(UTC))
