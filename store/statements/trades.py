"""Rounds into trades: what was opened as one is one trade.

The legs of one order are one spread. Without orders, options of one underlying and expiry
that were opened in the same second (on the same day, where the file has days only) are one
if together they have a name: a vertical, a straddle, an iron condor. Shares that came by
assignment or exercise belong to the option's trade, which lives until both are flat; where
they meet shares that are held already, they close or add to those.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from store import structures
from store.records import LegEntry, Side, TradeEntry
from store.statements.execution import Instrument
from store.statements.rounds import Dealt, Part, Round, in_order, rounds

LEGS_MAX = 8


@dataclass(frozen=True)
class Assembled:
    """The trades of one account, oldest first, and what closes positions that were opened
    before the first execution."""

    trades: tuple[TradeEntry, ...]
    unopened: tuple[Part, ...]


def assembled(dealt: Iterable[Dealt], *, account: str, source: str) -> Assembled:
    """What all executions of one account come to, in whatever files they stood."""
    by_instrument: dict[Instrument, list[Dealt]] = defaultdict(list)
    for one in in_order(dealt):
        by_instrument[one.execution.instrument].append(one)
    found: list[Round] = []
    unopened: list[Part] = []
    for some in by_instrument.values():
        made, left = rounds(some)
        found += made
        unopened += left
    by_option = _delivered(found)
    delivered = {id(one) for some in by_option.values() for one in some}
    groups = _grouped([one for one in found if id(one) not in delivered])
    trades = [
        entry
        for group in sorted(groups, key=lambda group: _since(group[0]))
        for entry in _entries(
            group,
            [shares for one in group for shares in by_option.get(id(one), ())],
            account,
            source,
        )
    ]
    trades.sort(key=lambda entry: min(leg.fills[0].filled_at for leg in entry.legs))
    return Assembled(tuple(trades), tuple(unopened))


def _since(one: Round) -> tuple[datetime, int, str]:
    first = one.opening
    return first.execution.at, first.place, first.id


def _delivered(found: Sequence[Round]) -> dict[int, list[Round]]:
    """The rounds of shares that assignments and exercises opened, by the `id()` of the option's
    round: of its strike and day, dealt the way its end deals, no more than it ends."""
    due: dict[tuple[str, date, Decimal, Side], list[tuple[Round, Decimal]]] = defaultdict(list)
    for one in found:
        for part in one.parts:
            if part.fill.kind in ("assigned", "exercised") and one.instrument.strike:
                shares = part.fill.quantity * one.instrument.unit
                # A short put and a long call receive shares, a long put and a short call give.
                receives = (part.fill.side == "sell") == (one.instrument.option_type == "call")
                place = (one.instrument.ticker, part.fill.filled_at.date(), one.instrument.strike)
                due[(*place, "buy" if receives else "sell")].append((one, shares))
    delivered: dict[int, list[Round]] = defaultdict(list)
    for one in sorted(found, key=_since):
        first = one.parts[0]
        done = first.dealt.execution
        if not done.delivery:
            continue
        waiting = due[one.instrument.ticker, done.at.date(), done.price, first.fill.side]
        for index, (option, shares) in enumerate(waiting):
            if shares >= first.fill.quantity:
                waiting[index] = (option, shares - first.fill.quantity)
                delivered[id(option)].append(one)
                break
    return delivered


def _grouped(found: Sequence[Round]) -> list[list[Round]]:
    """Rounds that were opened as one."""
    groups: dict[tuple[object, ...], list[Round]] = defaultdict(list)
    for one in sorted(found, key=_since):
        groups[_opened_with(one)].append(one)
    return [part for group in groups.values() for part in _parts(group)]


def _opened_with(one: Round) -> tuple[object, ...]:
    """What rounds that may be one trade have in common."""
    first = one.opening.execution
    if first.order is not None:
        return "order", one.instrument.ticker, first.order
    if one.instrument.kind != "option":
        return "alone", id(one)
    second = first.at.replace(microsecond=0)
    return "moment", one.instrument.ticker, second, one.instrument.expiry


def _parts(group: Sequence[Round]) -> list[list[Round]]:
    """`group` as one trade, or where it is none, what of it is."""
    if len(group) == 1:
        return [list(group)]
    first: dict[Instrument, Round] = {}
    for one in group:
        first.setdefault(one.instrument, one)
    if len(first) < len(group):  # One of them was dealt again.
        again = [one for one in group if first[one.instrument] is not one]
        return _parts(list(first.values())) + _parts(again)
    if len(group) <= LEGS_MAX and (
        group[0].opening.execution.order is not None or _has_name(group)
    ):
        return [list(group)]
    sizes: dict[Decimal, list[Round]] = defaultdict(list)
    for one in group:
        sizes[_entered(one)].append(one)
    if len(sizes) > 1:
        return [part for some in sizes.values() for part in _parts(some)]
    return [[one] for one in group]


def _has_name(group: Sequence[Round]) -> bool:
    held = [
        structures.Held(
            instrument=one.instrument.kind,
            quantity=_entered(one) * (1 if one.parts[0].fill.side == "buy" else -1),
            multiplier=one.instrument.unit,
            cost=Decimal(0),
            option_type=one.instrument.option_type,
            strike=one.instrument.strike,
            expiry=one.instrument.expiry,
        )
        for one in group
    ]
    return structures.name(held) is not None


def _entered(one: Round) -> Decimal:
    """The quantity that was opened in the round's first second."""
    first = one.parts[0].fill
    second = first.filled_at.replace(microsecond=0)
    return sum(
        (
            part.fill.quantity
            for part in one.parts
            if part.fill.side == first.side and part.fill.filled_at.replace(microsecond=0) == second
        ),
        Decimal(0),
    )


def _entries(
    group: Sequence[Round], shares: Sequence[Round], account: str, source: str
) -> list[TradeEntry]:
    """The trade of rounds that were opened as one and of the shares delivered to it, which are
    one leg; and trades of the delivered shares that cannot be in it: of another side, of an
    execution that is in it already, or one leg too many."""
    first = group[0].opening
    inside = {part.dealt.id for one in group for part in one.parts}
    joined: list[Round] = []
    alone: list[Round] = []
    for one in sorted(shares, key=_since):
        fits = len(group) < LEGS_MAX and inside.isdisjoint(part.dealt.id for part in one.parts)
        if fits and (not joined or joined[0].parts[0].fill.side == one.parts[0].fill.side):
            joined.append(one)
            inside |= {part.dealt.id for part in one.parts}
        else:
            alone.append(one)
    legs = [_leg(one.instrument, one.parts, delivered=False) for one in group]
    if joined:
        parts = [part for one in joined for part in one.parts]
        legs.append(_leg(joined[0].instrument, parts, delivered=True))
    entry = TradeEntry(
        account=account,
        ticker=group[0].instrument.ticker,
        legs=tuple(legs),
        source=source,
        external_id=first.id,
        broker_order_id=first.execution.order,
    )
    others = [found for one in alone for found in _entries([one], [], account, source)]
    return [entry, *others]


def _leg(instrument: Instrument, parts: Sequence[Part], *, delivered: bool) -> LegEntry:
    return LegEntry(
        instrument=instrument.kind,
        fills=tuple(part.fill for part in parts),
        option_type=instrument.option_type,
        strike=instrument.strike,
        expiry=instrument.expiry,
        multiplier=instrument.multiplier,
        symbol=instrument.symbol,
        delivered=delivered,
    )
