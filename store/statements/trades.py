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
from store.records import LegEntry, TradeEntry
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
    delivered = _delivered(found)
    groups = _grouped([one for one in found if id(one) not in delivered])
    groups.sort(key=lambda group: _since(group[0]))
    trades = []
    for group in groups:
        options = {id(one) for one in group}
        shares = [one for one in found if id(one) in delivered and delivered[id(one)] in options]
        trades.append(_entry(group, shares, account, source))
    return Assembled(tuple(trades), tuple(unopened))


def _since(one: Round) -> tuple[datetime, int, str]:
    first = one.opening
    return first.execution.at, first.place, first.id


def _delivered(found: Sequence[Round]) -> dict[int, int]:
    """Of each round of shares that an assignment or exercise opened, the option's round; both
    by their `id()`."""
    ended: dict[tuple[str, date, Decimal, Decimal], list[Round]] = defaultdict(list)
    for one in found:
        for part in one.parts:
            if part.fill.kind in ("assigned", "exercised") and one.instrument.strike:
                shares = part.fill.quantity * one.instrument.unit
                ticker, strike = one.instrument.ticker, one.instrument.strike
                ended[ticker, part.fill.filled_at.date(), strike, shares].append(one)
    delivered = {}
    for one in found:
        first = one.parts[0]
        if not first.dealt.execution.delivery:
            continue
        done = first.dealt.execution
        options = ended.get((one.instrument.ticker, done.at.date(), done.price, done.quantity))
        if options:
            delivered[id(one)] = id(options.pop(0))
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
    several = len({one.instrument for one in group}) == len(group) <= LEGS_MAX
    if several and (group[0].opening.execution.order is not None or _has_name(group)):
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


def _entry(
    group: Sequence[Round], shares: Sequence[Round], account: str, source: str
) -> TradeEntry:
    """The trade of rounds that were opened as one, and of the shares delivered to it."""
    first = group[0].opening
    return TradeEntry(
        account=account,
        ticker=group[0].instrument.ticker,
        legs=(
            *(_leg(one, delivered=False) for one in group),
            *(_leg(one, delivered=True) for one in shares),
        ),
        source=source,
        external_id=first.id,
        broker_order_id=first.execution.order,
    )


def _leg(one: Round, *, delivered: bool) -> LegEntry:
    instrument = one.instrument
    return LegEntry(
        instrument=instrument.kind,
        fills=tuple(part.fill for part in one.parts),
        option_type=instrument.option_type,
        strike=instrument.strike,
        expiry=instrument.expiry,
        multiplier=instrument.multiplier,
        symbol=instrument.symbol,
        delivered=delivered,
    )
