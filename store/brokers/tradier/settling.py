"""Orders and history together: each deal once, with what it cost.

Per day, instrument and side, what the history says is held against what the orders of that day
said, those of earlier runs too. Where the quantities agree the history only says what it cost,
shared out by quantity; what it has beyond the orders is an execution of its own, at the price
that is left; where it has less, or other prices, that is said and nothing is made of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from store.brokers.tradier.deals import Deals, day_of
from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded
from store.pnl import PRECISION
from store.statements.execution import Execution, Instrument
from store.statements.refusing import Rejection

CENT = Decimal("0.01")


class Part(NamedTuple):
    """So much of an order, dealt on one day; `id` is its execution's."""

    id: str
    instrument: Instrument
    side: str | None
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass
class Settled:
    """`executions` are what to record; `parts` all that is known of orders; `fees` what each
    order's execution cost, by id, as far as the history says; `unposted` are the ids of which it
    says nothing yet."""

    executions: list[Execution]
    parts: list[Part]
    fees: dict[str, Decimal]
    unposted: set[str]
    rejected: list[Rejection]


def settled(ordered: Sequence[Execution], stored: Iterable[Part], posted: Deals) -> Settled:
    """The day's orders and what the history posted, each deal once.

    `stored` are parts of orders that earlier runs recorded: of these nothing is recorded
    again, and what the history says of their days is only what they cost.
    """
    parts = [*stored]
    held = {(part.id, part.quantity) for part in _sums(parts)}
    fresh = [one for one in ordered if (one.id, one.quantity) not in held]
    parts += _deltas(fresh, parts)
    by_key: dict[object, list[Part]] = defaultdict(list)
    for part in parts:
        by_key[_key(part)].append(part)
    found = Settled([], parts, {}, {part.id for part in parts}, [])
    groups: dict[object, list[Execution]] = defaultdict(list)
    for one in posted.executions:
        if one.kind == "trade" and not one.delivery and by_key.get(_key(one)):
            groups[_key(one)].append(one)
        else:
            found.executions.append(one)
    for key, rows in groups.items():
        _settle(by_key[key], rows, found)
    found.executions += [replace(one, fee=found.fees.get(str(one.id), one.fee)) for one in fresh]
    found.executions.sort(key=lambda one: one.at)
    return found


def parts_of(stored: Iterable[Execution]) -> list[Part]:
    """What was dealt of orders that are stored, each as often as it had grown, smallest
    first."""
    parts: list[Part] = []
    for one in stored:
        parts += _deltas([one], parts)
    return parts


def shared(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """`total` by weight; what rounding leaves goes to the last that has any."""
    with localcontext(prec=PRECISION):
        whole = sum(weights, Decimal(0))
        shares = [rounded(total * weight / whole, MONEY_DIGITS) for weight in weights]
        last = max(place for place, weight in enumerate(weights) if weight)
        shares[last] += total - sum(shares, Decimal(0))
    return shares


def _settle(parts: Sequence[Part], rows: Sequence[Execution], found: Settled) -> None:
    """Share out what `rows` cost; what they say beyond `parts` is an execution of its own."""
    with localcontext(prec=PRECISION):
        quantity = sum((row.quantity for row in rows), Decimal(0))
        value = sum((row.quantity * row.price for row in rows), Decimal(0))
        fee = sum((row.fee for row in rows), Decimal(0))
        mine = sum((part.quantity for part in parts), Decimal(0))
        my_value = sum((part.quantity * part.price for part in parts), Decimal(0))
        rest = quantity - mine
        price = (value - my_value) / rest if rest else Decimal(0)
        low, high = min(row.price for row in rows), max(row.price for row in rows)
        agrees = rest > 0 and low - CENT <= price <= high + CENT
        if not (agrees or (rest == 0 and abs(value - my_value) <= CENT * quantity)):
            reason = (
                f"the orders of that day are {mine:f} for {my_value:f}, the history says"
                f" {quantity:f} for {value:f}"
            )
            found.rejected.append(
                Rejection("history", rows[0].row, "quantity", f"{quantity:f}", reason)
            )
            return
        shares = shared(fee, [part.quantity for part in parts] + [rest])
    for part, share in zip(parts, shares, strict=False):
        found.fees[part.id] = found.fees.get(part.id, Decimal(0)) + share
        found.unposted.discard(part.id)
    if rest:
        one = replace(rows[0], quantity=rest, price=rounded(price, PRICE_DIGITS), cash=None)
        found.executions.append(replace(one, fee=shares[-1]))


def _deltas(fresh: Sequence[Execution], stored: Sequence[Part]) -> list[Part]:
    """What of each order was not dealt before: its average price is of all of it."""
    before: dict[str, Part] = {part.id: part for part in _sums(stored)}
    found = []
    for one in fresh:
        earlier = before.get(str(one.id))
        quantity, price = one.quantity, one.price
        if earlier is not None:
            with localcontext(prec=PRECISION):
                quantity = one.quantity - earlier.quantity
                value = one.quantity * one.price - earlier.quantity * earlier.price
                price = value / quantity if quantity > 0 else one.price
        if quantity > 0:
            found.append(Part(str(one.id), one.instrument, one.side, quantity, price, one.at))
    return found


def _sums(parts: Iterable[Part]) -> list[Part]:
    """The parts of an order as one, with their average price."""
    sums: dict[str, Part] = {}
    with localcontext(prec=PRECISION):
        for part in parts:
            if (so_far := sums.get(part.id)) is None:
                sums[part.id] = part
                continue
            quantity = so_far.quantity + part.quantity
            value = so_far.quantity * so_far.price + part.quantity * part.price
            sums[part.id] = part._replace(quantity=quantity, price=value / quantity)
    return list(sums.values())


def _key(one: Execution | Part) -> tuple[object, ...]:
    what = one.instrument
    return (day_of(one.at), what.kind, what.ticker, what.option_type, what.strike, what.expiry,
            one.side)  # fmt: skip
