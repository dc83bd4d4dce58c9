"""The invented market of the demo: trading days, prices, volatility, regimes.

Prices walk once for the whole demo, so that entries of a ticker follow one another
plausibly; a trade then moves from its entry to the exit that was drawn for it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from math import exp
from random import Random
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY, LAST_DAY = date(2025, 5, 1), date(2026, 10, 30)
FRIDAY = 4
CENT, NICKEL = Decimal("0.01"), Decimal("0.05")
HOLIDAYS = frozenset(map(date.fromisoformat, (
    "2025-05-26", "2025-06-19", "2025-07-04", "2025-09-01", "2025-11-27", "2025-12-25",
    "2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25", "2026-06-19",
    "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25", "2027-06-18",
)))  # fmt: skip


@dataclass(frozen=True)
class Underlying:
    """A ticker: its first price, its implied volatility, how often it is traded."""

    ticker: str
    price: float
    iv: float
    weight: float


UNDERLYINGS = (
    Underlying("AAPL", 212, 0.28, 0.21),
    Underlying("NVDA", 135, 0.42, 0.19),
    Underlying("MSFT", 435, 0.24, 0.15),
    Underlying("SPY", 560, 0.16, 0.14),
    Underlying("AMD", 118, 0.48, 0.13),
    Underlying("TSLA", 285, 0.56, 0.145),
    Underlying("PLTR", 124, 0.54, 0.035),
)
REGIMES = {"trending": (12, 17), "choppy": (15, 22), "volatile": (21, 34)}  # With their VIX.


def open_days(first: date, last: date) -> list[date]:
    """The days from `first` to `last` on which New York trades."""
    days = (first + timedelta(days=count) for count in range((last - first).days + 1))
    return [day for day in days if is_open(day)]


def is_open(day: date) -> bool:
    return day.weekday() <= FRIDAY and day not in HOLIDAYS


def monthly_expiry(after: date) -> date:
    """The first third Friday on or after `after`; the day before where that is a holiday."""
    first = after.replace(day=1)
    third_friday = first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)
    expiry = third_friday if is_open(third_friday) else third_friday - timedelta(days=1)
    return (
        expiry if expiry >= after else monthly_expiry((first + timedelta(days=32)).replace(day=1))
    )


def at(day: date, hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of the New York day, in UTC."""
    return datetime.combine(day, time(hour, minute, second), NEW_YORK).astimezone(UTC)


def market_hours(day: date, rng: Random) -> datetime:
    """Some moment between 9:35 and 15:49 in New York."""
    minute = rng.randrange(9 * 60 + 35, 15 * 60 + 50)
    return at(day, minute // 60, minute % 60, rng.randrange(60))


def tick(price: float) -> Decimal:
    """On the grid on which options are dealt: cents below 3 dollars, five cents above."""
    grid = CENT if price < 3 else NICKEL
    steps = (Decimal(repr(max(price, 0.01))) / grid).to_integral_value(ROUND_HALF_EVEN)
    return (steps * grid).quantize(CENT)


def cents(price: float) -> Decimal:
    return Decimal(repr(price)).quantize(CENT, ROUND_HALF_EVEN)


class Market:
    """Closing prices of every ticker, and the regime and VIX of every day."""

    def __init__(self, rng: Random) -> None:
        self.days = open_days(FIRST_DAY, LAST_DAY)
        self.prices = {each.ticker: self._walk(each, rng) for each in UNDERLYINGS}
        self.regimes: list[str] = []
        while len(self.regimes) < len(self.days):
            regime = rng.choices(tuple(REGIMES), (0.5, 0.3, 0.2))[0]
            self.regimes += [regime] * rng.randrange(8, 25)
        self.vix = [rng.randrange(*(10 * end for end in REGIMES[each])) for each in self.regimes]

    def _walk(self, underlying: Underlying, rng: Random) -> list[float]:
        """A calm random walk with some upward drift."""
        prices, price = [], underlying.price
        for _ in self.days:
            prices.append(price)
            price *= exp(rng.gauss(0.0005, underlying.iv / 16 / 2))
        return prices
