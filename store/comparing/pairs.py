"""Which trade of one account is which of another, and what each lost on the way. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from store.columns import MONEY_DIGITS, rounded
from store.pnl import PRECISION
from store.stats import Interval, mean_interval

PAIRS_MIN = 20  # For an interval of the mean slippage.


class LegTerms(NamedTuple):
    """What a leg is, whatever was paid for it. `ratio` is its quantity in a unit."""

    instrument: str
    option_type: str | None
    strike: Decimal | None
    expiry: date | None
    multiplier: Decimal
    side: str
    ratio: Decimal


@dataclass(frozen=True)
class ClosedTrade:
    """A trade and its legs, in no order. `entry_cost` is the currency paid at entry, below 0
    what was received."""

    number: int
    ticker: str
    opened_at: datetime
    quantity: Decimal
    price_sign: int
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    net_pnl: Decimal
    outcome: str
    legs: frozenset[tuple[LegTerms, int]]
    entry_cost: Decimal


@dataclass(frozen=True)
class Pair:
    """A trade and what became of it in the other account."""

    day: date
    account: ClosedTrade
    other: ClosedTrade
    ambiguous: bool

    @property
    def entry_slippage(self) -> Decimal:
        """Per unit: paid more, or received less."""
        return self.account.price_sign * (self.other.entry_price - self.account.entry_price)

    @property
    def exit_slippage(self) -> Decimal:
        """Per unit: received less, or paid more."""
        return self.account.price_sign * (self.account.exit_price - self.other.exit_price)

    @property
    def slippage(self) -> Decimal:
        """Per unit, of both."""
        return self.entry_slippage + self.exit_slippage

    @property
    def entry_amount(self) -> Decimal:
        """In currency, from the fills themselves: average prices may be rounded."""
        return self._amount(-self.account.entry_cost, -self.other.entry_cost)

    @property
    def exit_amount(self) -> Decimal:
        return self.amount - self.entry_amount

    @property
    def amount(self) -> Decimal:
        """By how much gross P&L is less, in currency."""
        return self._amount(self.account.gross_pnl, self.other.gross_pnl)

    def _amount(self, here: Decimal, there: Decimal) -> Decimal:
        with localcontext(prec=PRECISION):
            scaled = here * self.other.quantity / self.account.quantity
            return rounded(scaled - there, MONEY_DIGITS)

    @property
    def per_unit(self) -> bool:
        """Whether the quantities differ, so that fees and net P&L are compared per unit."""
        return self.account.quantity != self.other.quantity

    @property
    def fees_difference(self) -> Decimal:
        """Second account minus first, in currency; per unit where the quantities differ."""
        return self._difference(self.account.fees, self.other.fees)

    @property
    def net_difference(self) -> Decimal:
        """Second account minus first, in currency; per unit where the quantities differ."""
        return self._difference(self.account.net_pnl, self.other.net_pnl)

    def _difference(self, here: Decimal, there: Decimal) -> Decimal:
        if not self.per_unit:
            return there - here
        with localcontext(prec=PRECISION):
            difference = there / self.other.quantity - here / self.account.quantity
            return rounded(difference, MONEY_DIGITS)


def match(
    account: Iterable[ClosedTrade], other: Iterable[ClosedTrade], zone: ZoneInfo
) -> list[Pair]:
    """Pairs by moment of entry and number of the first account's trade."""
    here, there = _alike(account, zone), _alike(other, zone)
    pairs = [
        Pair(alike[0], one, its, ambiguous=len(ours) != len(there[alike]))
        for alike, ours in here.items()
        for one, its in zip(ours, there.get(alike, ()), strict=False)
    ]
    return sorted(pairs, key=lambda pair: in_order(pair.account))


def _alike(
    trades: Iterable[ClosedTrade], zone: ZoneInfo
) -> dict[tuple[date, str, Any], list[ClosedTrade]]:
    """Trades that could be matched with the same ones, in order of entry."""
    found = defaultdict(list)
    for trade in sorted(trades, key=in_order):
        day = trade.opened_at.astimezone(zone).date()
        found[day, trade.ticker, trade.legs].append(trade)
    return found


def in_order(trade: ClosedTrade) -> tuple[datetime, int]:
    return trade.opened_at, trade.number


@dataclass(frozen=True)
class Slippage:
    """Of some pairs, in currency. `mean` is None without a pair; its 90 % interval (Hall's t,
    which takes pairs as independent) below 20 of them or where all are equal."""

    n: int
    entry: Decimal
    exit: Decimal
    total: Decimal
    mean: Decimal | None
    mean_low: Decimal | None
    mean_high: Decimal | None


def slippage_of(pairs: Sequence[Pair]) -> Slippage:
    amounts = [pair.amount for pair in pairs]
    entry = sum((pair.entry_amount for pair in pairs), Decimal(0))
    total = sum(amounts, Decimal(0))
    interval = _interval_of_mean(amounts)
    return Slippage(
        n=len(pairs),
        entry=entry,
        exit=total - entry,
        total=total,
        mean=rounded(total / len(pairs), MONEY_DIGITS) if pairs else None,
        mean_low=rounded(Decimal(interval.low), MONEY_DIGITS) if interval else None,
        mean_high=rounded(Decimal(interval.high), MONEY_DIGITS) if interval else None,
    )


def _interval_of_mean(amounts: Sequence[Decimal]) -> Interval | None:
    # In floats the spread of equal amounts might come out as a little above 0.
    if len(amounts) < PAIRS_MIN or len(set(amounts)) == 1:
        return None
    values = [float(amount) for amount in amounts]
    return mean_interval(
        len(values), sum(values), sum(x**2 for x in values), sum(x**3 for x in values)
    )
