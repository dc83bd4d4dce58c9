"""What follows from a trade's fills: status, P&L, risk, outcome, entry-time facts.

Computed here once, when something is recorded, and stored; nothing is derived again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, localcontext
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from store import pnl, structures
from store.columns import LARGEST, MONEY_DIGITS, PRICE_DIGITS, rounded
from store.errors import Invalid
from store.records import FillEntry, LegEntry

STANDARD_MULTIPLIER = {"option": Decimal(100), "equity": Decimal(1), "crypto": Decimal(1)}
ENDINGS = ("assigned", "exercised", "settled", "expired")  # What says most, first.
# Derived numbers by the digits they are kept with.
PRICES = ("entry_price", "exit_price", "r_multiple", "return_on_risk")
AMOUNTS = ("initial_risk", "gross_pnl", "fees", "net_pnl")
# What a trade has at its end only.
ENDS = (
    "closed_at", "closed_on", "holding_seconds", "exit_price", "gross_pnl", "fees", "net_pnl",
    "r_multiple", "return_on_risk", "outcome", "exit_reason",
)  # fmt: skip


@dataclass(frozen=True)
class Leg:
    """A leg with its fills, in the order of recording."""

    number: int
    instrument: str
    multiplier: Decimal
    fills: tuple[FillEntry, ...]
    option_type: Literal["call", "put"] | None = None
    strike: Decimal | None = None
    expiry: date | None = None
    symbol: str | None = None
    delivered: bool = False

    @property
    def in_time(self) -> list[FillEntry]:
        return sorted(self.fills, key=lambda fill: fill.filled_at)

    @property
    def position(self) -> pnl.Position:
        return pnl.position([as_fill(fill) for fill in self.in_time], self.multiplier)

    def with_fills(self, more: Iterable[FillEntry]) -> "Leg":
        return replace(self, fills=(*self.fills, *more))


def plain(value: Decimal) -> str:
    """A number as one says it: 2, not 2.00000000."""
    return f"{value.normalize():f}"


def as_fill(fill: FillEntry) -> pnl.Fill:
    return pnl.Fill(fill.side, fill.quantity, fill.price, fill.filled_at, fill.fee)


def named(number: int, instrument: str) -> str:
    """A leg as refusals call it."""
    return f"Leg {number} ({instrument})"


def leg_of(number: int, entry: LegEntry) -> Leg:
    """The leg that `entry` describes.

    Raises:
        Invalid: what is said does not make an instrument, or a fill cannot be one of it.
    """
    here = named(number, entry.instrument)
    option = (entry.option_type, entry.strike)
    if entry.instrument == "option" and (None in option or entry.expiry is None):
        raise Invalid(f"{here} needs option_type, strike and expiry.")
    if entry.instrument != "option" and option != (None, None):
        raise Invalid(f"{here} has option_type or strike; only an option has.")
    if entry.delivered and entry.instrument != "equity":
        raise Invalid(f"{here} is delivered; only shares are.")
    multiplier = entry.multiplier or STANDARD_MULTIPLIER.get(entry.instrument)
    if multiplier is None:
        raise Invalid(f"{here} needs its multiplier (currency per point); it is never guessed.")
    for fill in entry.fills:
        check_fill(here, entry.instrument, fill)
    return Leg(
        number=number,
        instrument=entry.instrument,
        multiplier=multiplier,
        fills=entry.fills,
        option_type=entry.option_type,
        strike=entry.strike,
        expiry=entry.expiry,
        symbol=entry.symbol,
        delivered=entry.delivered,
    )


def check_fill(leg: str, instrument: str, fill: FillEntry) -> None:
    """Refuse a fill that its instrument cannot have."""
    if fill.price < 0 and instrument != "future":
        raise Invalid(f"{leg} has a fill at {fill.price}; a price of 0 or more is accepted.")
    if fill.kind != "trade" and instrument != "option":
        raise Invalid(f"{leg} has a fill of kind {fill.kind}; only an option ends so.")
    if fill.kind in ("expired", "assigned", "exercised") and fill.price != 0:
        raise Invalid(f"{leg} is {fill.kind} at {fill.price}; the option leg closes at 0.")


def positions_of(legs: Sequence[Leg]) -> dict[int, pnl.Position]:
    """The position of every leg by its number.

    Raises:
        Invalid: a leg's fills go through zero; such a fill belongs to two trades.
    """
    found = {}
    for leg in legs:
        if leg.in_time[0].kind != "trade":
            raise Invalid(f"Leg {leg.number} begins with a fill of kind {leg.in_time[0].kind}.")
        try:
            found[leg.number] = leg.position
        except pnl.FlipsError as error:
            raise Invalid(
                f"The fills of leg {leg.number} close {plain(error.excess)} more than is open; the"
                " rest belongs to a trade of its own."
            ) from None
    return found


def held(legs: Sequence[Leg], positions: Mapping[int, pnl.Position]) -> list[structures.Held]:
    """The legs as entered, for what the structure says."""
    return [
        structures.Held(
            instrument=leg.instrument,
            quantity=found.sign * found.entered_quantity,
            multiplier=leg.multiplier,
            cost=found.sign * found.entered_cost * leg.multiplier,
            option_type=leg.option_type,
            strike=leg.strike,
            expiry=leg.expiry,
        )
        for leg in legs
        for found in (positions[leg.number],)
    ]


def trade_result(legs: Sequence[Leg], positions: Mapping[int, pnl.Position]) -> pnl.Result:
    """What the trade comes to so far; `positions` are those of all its legs."""
    entered = [positions[leg.number] for leg in legs if not leg.delivered]
    fees = sum((fill.fee for leg in legs for fill in leg.fills), Decimal(0))
    return pnl.result(entered, list(positions.values()), fees)


class Shape(NamedTuple):
    """What a trade is called, and which way it leans; None: as its legs say."""

    structure: str | None
    direction: str | None


def shape_of(legs: Sequence[Leg]) -> Shape:
    """What the legs that were entered are called and how they lean."""
    entered = [leg for leg in legs if not leg.delivered]
    shape = held(entered, positions_of(entered))
    return Shape(structures.name(shape), structures.direction(shape))


def facts(
    legs: Sequence[Leg],
    *,
    zone: str,
    tolerance: Decimal,
    stop_loss: Decimal | None,
    direction: str | None,
    structure: str | None,
    exit_reason: str | None,
) -> dict[str, Any]:
    """Every derived column of `trades`; those of the end are None while it is open."""
    entered = [leg for leg in legs if not leg.delivered]
    if not entered:
        raise Invalid("Every leg is delivered; the option that delivered them is missing.")
    positions = positions_of(legs)
    trade = trade_result(legs, positions)
    shape = held(entered, positions)
    risk = _risk(trade, stop_loss, shape)
    derived = {
        **_at_entry(entered, ZoneInfo(zone)),
        "structure": structure or structures.name(shape),
        "direction": direction or structures.direction(shape),
        "quantity": trade.quantity,
        "price_sign": trade.sign,
        "entry_price": trade.entry_price,
        "initial_risk": risk,
        **_at_end(legs, trade, ZoneInfo(zone), tolerance, risk, exit_reason, _notional(shape)),
    }
    for names, digits in ((PRICES, PRICE_DIGITS), (AMOUNTS, MONEY_DIGITS)):
        for name in names:
            check_size(name, derived[name], digits)
    return derived


def check_size(name: str, value: Decimal | None, digits: int) -> None:
    """Refuse a result that 64 bits cannot keep."""
    if value is not None and abs(value) > Decimal(LARGEST).scaleb(-digits):
        raise Invalid(f"The {name} would be {value:.0f}, which is beyond what is kept.")


def _risk(
    trade: pnl.Result, stop_loss: Decimal | None, shape: Sequence[structures.Held]
) -> Decimal | None:
    """|entry - stop| where a stop was set that would lose, else the defined maximum loss, else
    unknown; never more than that maximum. A stop at the entry risks nothing to measure by."""
    most = structures.loss_max(shape)
    if stop_loss is None or (trade.entry_price - stop_loss) * trade.sign < 0:
        return most
    risk = pnl.risk_from_stop(trade, stop_loss)
    return risk if risk is None or most is None else min(risk, most)


def _notional(shape: Sequence[structures.Held]) -> Decimal:
    with localcontext(prec=pnl.PRECISION):
        return sum((abs(leg.cost) for leg in shape), Decimal(0))


def _at_entry(legs: Sequence[Leg], zone: ZoneInfo) -> dict[str, Any]:
    opened_at = min(fill.filled_at for leg in legs for fill in leg.fills)
    local = opened_at.astimezone(zone)
    expiries = [leg.expiry for leg in legs if leg.instrument == "option" and leg.expiry]
    first = min(expiries, default=None)
    if first is not None and first < local.date():
        raise Invalid(f"The option expired on {first}, before the trade opened on {local.date()}.")
    single = legs[0] if len(legs) == 1 and legs[0].instrument == "option" else None
    return {
        "opened_at": opened_at,
        "opened_on": local.date(),
        "entry_weekday": local.isoweekday(),
        "entry_hour": local.hour,
        "dte": (first - local.date()).days if first is not None else None,
        "option_type": single.option_type if single else None,
        "strike": single.strike if single else None,
        "expiry": single.expiry if single else None,
    }


def _at_end(
    legs: Sequence[Leg],
    trade: pnl.Result,
    zone: ZoneInfo,
    tolerance: Decimal,
    risk: Decimal | None,
    exit_reason: str | None,
    notional: Decimal,
) -> dict[str, Any]:
    if not trade.flat:
        return {"status": "open", **dict.fromkeys(ENDS)}
    moments = [fill.filled_at for leg in legs for fill in leg.fills]
    closed_at = max(moments)
    basis = risk or notional
    with localcontext(prec=pnl.PRECISION):
        returned = rounded(trade.net / basis, PRICE_DIGITS) if basis else None
    return {
        "status": "closed",
        "closed_at": closed_at,
        "closed_on": closed_at.astimezone(zone).date(),
        "holding_seconds": int((closed_at - min(moments)).total_seconds()),
        "exit_price": trade.exit_price,
        "gross_pnl": trade.gross,
        "fees": trade.fees,
        "net_pnl": trade.net,
        "r_multiple": pnl.r_multiple(trade.net, risk),
        "return_on_risk": returned,
        "outcome": pnl.outcome(trade.net, tolerance),
        "exit_reason": exit_reason or _why_it_ended(legs),
    }


def _why_it_ended(legs: Sequence[Leg]) -> str:
    """How the last fills came about; a dealt one is `manual` until somebody says more."""
    fills = [fill for leg in legs for fill in leg.fills]
    last_at = max(fill.filled_at for fill in fills)
    kinds = {fill.kind for fill in fills if fill.filled_at == last_at}
    return next((kind for kind in ENDINGS if kind in kinds), "manual")
