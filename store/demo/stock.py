"""Swing trades in shares: bought or sold short, a stop at once, two to three risks to gain."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import sqrt
from random import Random

from store.demo.market import cents
from store.demo.plans import End, Plan, Setup
from store.demo.walk import moments_between, path
from store.records import ByFills, ExitReason, FillEntry, LegEntry, SnapshotEntry, TradeEntry

FEE_PER_SHARE, FEE_LEAST = Decimal("0.005"), Decimal("1.00")


@dataclass(frozen=True)
class Levels:
    """Prices of one swing trade; `side` is +1 long, -1 short, `risk` a share's."""

    side: int
    entry: Decimal
    stop: Decimal
    target: Decimal

    @property
    def risk(self) -> Decimal:
        return abs(self.entry - self.stop)

    def after(self, risks: float) -> Decimal:
        """The price at which `risks` times the risk is gained (lost, if negative)."""
        return cents(float(self.entry) + self.side * risks * float(self.risk))


def swing_stock(setup: Setup, rng: Random) -> Plan:
    levels = _levels(setup, rng)
    shares = max(2, round(rng.uniform(250, 600) / float(levels.risk) / 2) * 2)
    exit_price, reason = _exit(setup, levels, rng)
    opening = _fill(levels.side, shares, levels.entry, setup.opened_at)
    entry = TradeEntry(
        **setup.said(),
        legs=(LegEntry(instrument="equity", fills=(opening,)),),
        stop_loss=levels.stop,
        take_profit=levels.target,
    )
    marks = _marks(setup, levels, exit_price, rng)
    if not setup.ends:
        return Plan(entry, marks=marks)
    partial = _partial_exit(setup, levels, exit_price, shares // 2, rng)
    left = shares - len(partial) * (shares // 2)
    closing = _fill(-levels.side, left, exit_price, setup.closed_at)
    return Plan(entry, partial, marks, ends=(End(ByFills(fills={1: (closing,)}), reason),))


def _levels(setup: Setup, rng: Random) -> Levels:
    side = 1 if rng.random() < 0.8 else -1
    entry = cents(setup.spot)
    days = (setup.closed_at - setup.opened_at).days
    risk = setup.spot * setup.iv * sqrt((days + 2) / 365) * rng.uniform(0.5, 0.8)
    return Levels(
        side,
        entry,
        stop=cents(float(entry) - side * risk),
        target=cents(float(entry) + side * risk * rng.uniform(2, 2.8)),
    )


def _exit(setup: Setup, levels: Levels, rng: Random) -> tuple[Decimal, ExitReason]:
    """Winners reach the target or are taken before it; losers are stopped or cut before."""
    early = rng.random() < 0.5
    if setup.result == "scratch":
        return levels.entry, "time"
    if setup.result == "win":
        if not early:
            return levels.target, "target"
        return levels.after(rng.uniform(0.5, 1.8)), rng.choice(("trailing_stop", "signal", "time"))
    if not early:
        slippage = Decimal(rng.randrange(4)) / 100
        return levels.stop - levels.side * slippage, "stop"
    return levels.after(-rng.uniform(0.25, 0.9)), rng.choice(("signal", "time", "manual"))


def _partial_exit(
    setup: Setup, levels: Levels, exit_price: Decimal, shares: int, rng: Random
) -> tuple[FillEntry, ...]:
    """Half is sold at one risk, in some of the trades that go further."""
    if levels.side * (exit_price - levels.after(1)) <= 0 or rng.random() < 0.5:
        return ()
    halfway = setup.opened_at + (setup.closed_at - setup.opened_at) / 2
    return tuple(
        _fill(-levels.side, shares, levels.after(1), moment)
        for moment in moments_between(halfway, setup.closed_at, 1)
    )


def _fill(side: int, shares: int, price: Decimal, moment: datetime) -> FillEntry:
    return FillEntry(
        side="buy" if side > 0 else "sell",
        quantity=Decimal(shares),
        price=price,
        filled_at=moment,
        fee=max(FEE_LEAST, FEE_PER_SHARE * shares),
    )


def _marks(
    setup: Setup, levels: Levels, exit_price: Decimal, rng: Random
) -> tuple[SnapshotEntry, ...]:
    """Within stop and target, which would have ended the trade."""
    low, high = sorted((float(levels.stop), float(levels.target)))
    marks = []
    for moment, price in path(setup, float(levels.entry), float(exit_price), rng):
        mark = cents(min(max(price, low + 0.01), high - 0.01))
        marks.append(SnapshotEntry(taken_at=moment, mark_price=mark, underlying_price=mark))
    return tuple(marks)
