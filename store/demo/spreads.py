"""Trades in options, all bullish: LEAP calls, verticals for a debit and for a credit, puts
sold against cash.

The net price at which a trade ends is drawn; the underlying's price follows from it, and
from that the prices of the legs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

from store.demo.market import LAST_DAY, at, cents, market_hours, monthly_expiry, open_days, tick
from store.demo.options import Greeks, Option, quote, spot_for, together
from store.demo.plans import End, Plan, Setup
from store.demo.walk import moments_between, path
from store.records import (
    ByDelivery,
    ByExpiry,
    ByFills,
    ExitReason,
    FillEntry,
    LegEntry,
    SnapshotEntry,
    TradeEntry,
)

FEE_PER_CONTRACT = Decimal("0.65")
LEAP_BUDGET = 9000  # Dollars of premium, or one contract.


@dataclass(frozen=True)
class Package:
    """Options dealt together, `contracts` of each."""

    setup: Setup
    options: tuple[Option, ...]
    contracts: int

    @property
    def single(self) -> bool:
        return len(self.options) == 1

    def prices(self, spot: float, day: date) -> list[Decimal]:
        return [quote(option, spot, day, self.setup.iv) for option in self.options]

    def net(self, prices: Sequence[Decimal]) -> Decimal:
        """As the ledger says it: a single leg's own price, else debit less credit."""
        if self.single:
            return prices[0]
        legs = zip(self.options, prices, strict=True)
        return sum((option.sign * price for option, price in legs), Decimal(0))

    def spot_for(self, net: float, day: date) -> float:
        signed = net * self.options[0].sign if self.single else net
        return spot_for(self.options, signed, day, self.setup.iv, self.setup.spot)

    def fill(
        self, option: Option, price: Decimal, moment: datetime, *, closing: bool, contracts: int
    ) -> FillEntry:
        bought = (option.sign > 0) != closing
        return FillEntry(
            side="buy" if bought else "sell",
            quantity=Decimal(contracts),
            price=price,
            filled_at=moment,
            fee=FEE_PER_CONTRACT * contracts,
        )

    def entry(
        self, stop_loss: Decimal | None = None, take_profit: Decimal | None = None
    ) -> TradeEntry:
        """The trade opened at the prices of its first day."""
        setup = self.setup
        dealt = zip(self.options, self.prices(setup.spot, setup.opened_on), strict=True)
        legs = tuple(
            LegEntry(
                instrument="option",
                option_type=option.kind,
                strike=option.strike,
                expiry=option.expiry,
                fills=(
                    self.fill(
                        option, price, setup.opened_at, closing=False, contracts=self.contracts
                    ),
                ),
            )
            for option, price in dealt
        )
        held = together(self.options, setup.spot, setup.opened_on, setup.iv)
        return TradeEntry(
            **setup.said(),
            **_greeks(held),
            iv=_digits(setup.iv),
            legs=legs,
            stop_loss=stop_loss,
            take_profit=take_profit,
        )

    def end(
        self, net: float, reason: ExitReason, *, sold_before: int = 0
    ) -> tuple[tuple[End, ...], float]:
        """Closed by dealing at about `net`, and the underlying's price then."""
        setup = self.setup
        spot = self.spot_for(net, setup.closed_on)
        dealt = zip(self.options, self.prices(spot, setup.closed_on), strict=True)
        left = self.contracts - sold_before
        fills: dict[int, tuple[FillEntry, ...]] = {
            number: (self.fill(option, price, setup.closed_at, closing=True, contracts=left),)
            for number, (option, price) in enumerate(dealt, start=1)
        }
        return (End(ByFills(fills=fills), reason),) if setup.ends else (), spot

    def marks(self, spot: float, rng: Random) -> tuple[SnapshotEntry, ...]:
        """Snapshots on the underlying's way to `spot`."""
        return tuple(
            SnapshotEntry(
                taken_at=moment,
                mark_price=self.net(self.prices(price, moment.date())),
                underlying_price=cents(price),
            )
            for moment, price in path(self.setup, self.setup.spot, spot, rng)
        )


def _greeks(held: Greeks) -> dict[str, Any]:
    return {name: _digits(getattr(held, name)) for name in ("delta", "gamma", "theta", "vega")}


def _digits(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def _strike(price: float) -> Decimal:
    return Decimal(round(price / 5) * 5)


def _width(setup: Setup) -> int:
    return 5 if setup.spot < 300 else 10


def leap_call(setup: Setup, rng: Random) -> Plan:
    """A deep call for a year or more. Most have a stop at half the premium; without one the
    premium is what is risked."""
    expiry = monthly_expiry(setup.opened_on + timedelta(days=rng.randrange(330, 500)))
    strike = _strike(setup.spot * rng.uniform(0.82, 0.93))
    option = Option("call", strike, expiry, 1)
    premium = quote(option, setup.spot, setup.opened_on, setup.iv)
    affordable = int(LEAP_BUDGET / premium / 100)
    package = Package(setup, (option,), min(max(affordable, 1), 4))
    stop = cents(float(premium) * 0.5) if rng.random() < 0.7 else None
    change, reason = _leap_exit(setup, rng, stopped=stop is not None)
    partial = _leap_partial(package, premium, change, rng)
    sold = sum(int(fill.quantity) for fill in partial)
    ends, spot = package.end(float(premium) * (1 + change), reason, sold_before=sold)
    entry = package.entry(stop, cents(float(premium) * 1.6))
    return Plan(entry, partial, package.marks(spot, rng), ends)


def _leap_exit(setup: Setup, rng: Random, *, stopped: bool) -> tuple[float, ExitReason]:
    """The change of the premium, and why it was taken."""
    if setup.result == "scratch":
        return 0.0, "time"
    if setup.result == "win":
        reached = rng.random() < 0.3
        return (
            (0.6, "target")
            if reached
            else (rng.uniform(0.15, 0.55), rng.choice(("signal", "time")))
        )
    if stopped and rng.random() < 0.5:
        return -0.5, "stop"
    return -rng.uniform(0.12, 0.48), rng.choice(("signal", "manual", "time"))


def _leap_partial(
    package: Package, premium: Decimal, change: float, rng: Random
) -> tuple[FillEntry, ...]:
    """One contract is sold a fifth up, in some of the trades that go further."""
    setup = package.setup
    if not setup.ends or package.contracts == 1 or change <= 0.25 or rng.random() < 0.5:
        return ()
    price = tick(float(premium) * 1.2)
    return tuple(
        package.fill(package.options[0], price, moment, closing=True, contracts=1)
        for moment in moments_between(setup.opened_at, setup.closed_at, 1)
    )


def call_debit_spread(setup: Setup, rng: Random) -> Plan:
    """A vertical bought: what it costs is all it can lose."""
    expiry = monthly_expiry(setup.opened_on + timedelta(days=rng.randrange(38, 62)))
    low, width = _strike(setup.spot * rng.uniform(0.985, 1.01)), _width(setup)
    options = (Option("call", low, expiry, 1), Option("call", low + width, expiry, -1))
    package = Package(setup, options, rng.randrange(1, 5))
    debit = float(package.net(package.prices(setup.spot, setup.opened_on)))
    net, reason = _debit_exit(setup, debit, width, rng)
    ends, spot = package.end(net, reason)
    return Plan(package.entry(), (), package.marks(spot, rng), ends)


def _debit_exit(setup: Setup, debit: float, width: int, rng: Random) -> tuple[float, ExitReason]:
    if setup.result == "scratch":
        return debit, "time"
    if setup.result == "win":
        return debit + rng.uniform(0.35, 0.95) * (width - debit), rng.choice(("target", "signal"))
    return debit * (1 - rng.uniform(0.35, 0.95)), rng.choice(("signal", "time", "manual"))


def put_credit_spread(setup: Setup, rng: Random) -> Plan:
    """A vertical sold: it keeps a small credit often, and loses much of its width at times."""
    expiry = monthly_expiry(setup.opened_on + timedelta(days=rng.randrange(28, 46)))
    high, width = _strike(setup.spot * rng.uniform(0.90, 0.94)), _width(setup)
    options = (Option("put", high, expiry, -1), Option("put", high - width, expiry, 1))
    package = Package(setup, options, rng.randrange(1, 5))
    credit = -float(package.net(package.prices(setup.spot, setup.opened_on)))
    if setup.result == "win" and setup.ends and expiry <= LAST_DAY and rng.random() < 0.3:
        worthless = End(ByExpiry(at=at(expiry, 16, 0)), "expired")
        return Plan(package.entry(), (), package.marks(setup.spot, rng), (worthless,))
    net, reason = _credit_exit(setup, credit, width, rng)
    ends, spot = package.end(net, reason)
    return Plan(package.entry(), (), package.marks(spot, rng), ends)


def _credit_exit(setup: Setup, credit: float, width: int, rng: Random) -> tuple[float, ExitReason]:
    if setup.result == "scratch":
        return -credit, "time"
    if setup.result == "win":
        return -credit * (1 - rng.uniform(0.35, 0.7)), "target"
    lost = rng.uniform(0.6, 0.95) * (width - credit)
    return -(credit + lost), rng.choice(("signal", "manual"))


def cash_secured_put(setup: Setup, rng: Random) -> Plan:
    """A put sold below the market; some that end in the money are assigned, and the shares
    sold days later inside the same trade."""
    expiry = monthly_expiry(setup.opened_on + timedelta(days=rng.randrange(24, 46)))
    strike = _strike(setup.spot * rng.uniform(0.93, 0.97))
    package = Package(setup, (Option("put", strike, expiry, -1),), 1)
    credit = package.prices(setup.spot, setup.opened_on)[0]
    later = [day for day in open_days(expiry, LAST_DAY) if day > expiry]
    if setup.result == "loss" and setup.ends and len(later) >= 5:
        return _assigned(package, credit, market_hours(later[rng.randrange(5)], rng), rng)
    left = {"win": rng.uniform(0.1, 0.5), "loss": rng.uniform(1.5, 2.6), "scratch": 1.0}
    reason: ExitReason = "target" if setup.result == "win" else "manual"
    ends, spot = package.end(float(credit) * left[setup.result], reason)
    return Plan(package.entry(), (), package.marks(spot, rng), ends)


def _assigned(package: Package, credit: Decimal, sold_at: datetime, rng: Random) -> Plan:
    [option] = package.options
    delivery = ByDelivery(at=at(option.expiry, 16, 0), leg=1)
    price = cents(float(option.strike - credit) * (1 - rng.uniform(0.005, 0.05)))
    sale = FillEntry(
        side="sell", quantity=Decimal(100), price=price, filled_at=sold_at, fee=Decimal("1.00")
    )
    ends = (End(delivery), End(ByFills(fills={2: (sale,)}), "assigned"))
    return Plan(package.entry(), (), package.marks(float(price), rng), ends)
