"""What users say in test_stateful, as Hypothesis draws it.

Prices are whole cents and fees whole tenths of a cent per unit, so that no sum is rounded
and the fee of a fill through zero divides exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from store.accounts import AccountEntry
from store.records import (
    ByDelivery,
    ByExpiry,
    ByFills,
    ByPrices,
    BySettlement,
    FillEntry,
    LegEntry,
    LegPrice,
    SnapshotEntry,
    TradeEntry,
)
from tests.model import Command, Leg, Trade

START = datetime(2026, 1, 5, 15, tzinfo=UTC)
EXPIRY = date(2030, 6, 21)

# The first two are there from the start: the third is one of them in other letters, the
# last two contradict it.
ACCOUNTS = [
    AccountEntry(name="main", mode="paper"),
    AccountEntry(name="swing", mode="live", tolerance=Decimal(150)),
    AccountEntry(name="MAIN", mode="paper"),
    AccountEntry(name="europe", mode="live", currency="EUR"),
    AccountEntry(name="main", mode="live"),
    AccountEntry(name="Main", mode="paper", tolerance=Decimal(1)),
]
SHAPES = [
    "buy 1 equity",
    "sell 3 equity",
    "buy 1 call 100",
    "sell 1 put 95",
    "buy 1 call 100, sell 1 call 110",
    "sell 1 put 95, buy 1 put 90, sell 1 call 105, buy 1 call 110",
    "buy 1 call 90, sell 2 call 100, buy 1 call 110",
    "buy 100 equity, sell 1 call 105",
    "sell 100 equity, sell 1 put 95",
]
# `europe` is declared at some time or never, `mian` never.
ACCOUNT_NAMES = [*["main", "Main", "swing"] * 4, "europe", "europe", "mian"]
OTHER = {"buy": "sell", "sell": "buy"}

Commands = st.SearchStrategy[Command]
Deal = st.SearchStrategy[tuple[str, Decimal]]

prices = st.integers(0, 20_000).map(lambda cents: Decimal(cents).scaleb(-2))
quantities = st.integers(1, 9).map(Decimal)
# Per unit; a negative one is a rebate.
fee_rates = st.sampled_from([Decimal(0), Decimal("0.005"), Decimal("0.65"), Decimal("-0.002")])


@st.composite
def fills(draw: st.DrawFn, side: str, quantity: Decimal, at: datetime) -> FillEntry:
    return FillEntry.model_validate(
        {
            "side": side,
            "quantity": quantity,
            "price": draw(prices),
            "filled_at": at,
            "fee": draw(fee_rates) * quantity,
        }
    )


@st.composite
def trades(draw: st.DrawFn, at: datetime) -> TradeEntry:
    """A trade of some shape that opens at `at`; one in three is said with its exit."""
    shape, times = draw(st.sampled_from(SHAPES)), draw(quantities)
    exit_at = draw(st.sampled_from([at + timedelta(days=1), None, None]))
    legs = [draw(legs_of(words.split(), times, at, exit_at)) for words in shape.split(", ")]
    return TradeEntry(
        account=draw(st.sampled_from(ACCOUNT_NAMES)),
        ticker="AAPL",
        legs=tuple(legs),
        strategy=draw(st.sampled_from([None, "leap_call", "LEAP_CALL"])),
        source=draw(st.sampled_from(["manual", "broker"])),
        external_id=draw(st.sampled_from([None, None, None, "T-1", "T-2"])),
    )


@st.composite
def legs_of(
    draw: st.DrawFn, words: Sequence[str], times: Decimal, at: datetime, exit_at: datetime | None
) -> LegEntry:
    side, ratio, kind, *strike = words
    quantity = times * int(ratio)
    said = [draw(fills(side, quantity, at))]
    if exit_at:
        said.append(draw(fills(OTHER[side], quantity, exit_at)))
    option = {"option_type": kind, "strike": strike[0], "expiry": EXPIRY} if strike else {}
    instrument = "option" if strike else "equity"
    return LegEntry.model_validate({"instrument": instrument, "fills": said, **option})


def command(name: str, **arguments: Any) -> Command:
    """Without a key yet."""
    return Command(name, arguments)


def openings(at: datetime) -> Commands:
    return trades(at).map(lambda entry: command("open_trade", entry=entry))


# What is said of a trade: each takes its number, the trade as the model has it, and the time.


def scale_ins(number: int, trade: Trade, at: datetime) -> Commands:
    return dealt(number, trade, at, lambda leg: st.tuples(st.just(leg_side(leg)), quantities))


def partial_exits(number: int, trade: Trade, at: datetime) -> Commands:
    """Less than is held; of one it is all."""

    def part(leg: Leg) -> Deal:
        some = st.integers(1, max(int(abs(leg.held)) - 1, 1)).map(Decimal)
        return st.tuples(st.just(OTHER[leg_side(leg)]), some)

    return dealt(number, trade, at, part)


def full_exits(number: int, trade: Trade, at: datetime) -> Commands:
    return dealt(
        number, trade, at, lambda leg: st.just((OTHER[leg_side(leg)], abs(leg.held) or Decimal(1)))
    )


def flips(number: int, trade: Trade, at: datetime) -> Commands:
    """More than is held: it goes through zero."""

    def more(leg: Leg) -> Deal:
        return quantities.map(lambda excess: (OTHER[leg_side(leg)], abs(leg.held) + excess))

    return dealt(number, trade, at, more)


def late_fills(number: int, trade: Trade, at: datetime) -> Commands:
    """A fill that was forgotten: it may be older than the others, even than the first."""
    some = st.tuples(st.sampled_from(["buy", "sell"]), quantities)
    past = st.integers(1, 30).map(lambda hours: at - timedelta(hours=hours))
    return past.flatmap(lambda then: dealt(number, trade, then, lambda leg: some))


@st.composite
def dealt(
    draw: st.DrawFn, number: int, trade: Trade, at: datetime, deal: Callable[[Leg], Deal]
) -> Command:
    """A fill of one of the legs, whose side and quantity `deal` tells."""
    leg_number = draw(st.sampled_from(sorted(trade.legs)))
    fill = draw(fills(*draw(deal(trade.legs[leg_number])), at))
    return command("add_fill", number=number, leg_number=leg_number, fill=fill)


def leg_side(leg: Leg) -> str:
    return leg.in_time[0].side


@st.composite
def marks(draw: st.DrawFn, number: int, trade: Trade, at: datetime) -> Command:
    """Up to three marks, among them moments that are marked already or before the trade."""
    hours = draw(st.lists(st.integers(-3, 5), max_size=3))
    said = [
        SnapshotEntry(taken_at=at - timedelta(hours=ago), mark_price=draw(prices)) for ago in hours
    ]
    return command("add_snapshots", number=number, snapshots=said)


@st.composite
def endings(draw: st.DrawFn, number: int, trade: Trade, at: datetime) -> Command:
    """Closed by fills of every leg (one of them forgotten, now and then)."""
    held = {number: leg for number, leg in trade.legs.items() if leg.held} or trade.legs
    kept = sorted(held)[draw(st.sampled_from([0, 0, 0, 0, 1])) :] or sorted(held)
    how = ByFills(
        fills={
            leg: (draw(fills(OTHER[leg_side(held[leg])], abs(held[leg].held) or Decimal(1), at)),)
            for leg in kept
        }
    )
    return command("close_trade", number=number, how=how, exit_reason="target")


@st.composite
def price_endings(draw: st.DrawFn, number: int, trade: Trade, at: datetime) -> Command:
    """Every open leg dealt away at a price (one of them forgotten, now and then)."""
    held = [number for number, leg in trade.legs.items() if leg.held] or [1]
    kept = held[draw(st.sampled_from([0, 0, 0, 0, 1])) :] or held
    said = {leg: LegPrice(price=draw(prices), fee=draw(fee_rates)) for leg in kept}
    return command("close_trade", number=number, how=ByPrices(at=at, prices=said))


def expiries(number: int, trade: Trade, at: datetime) -> Commands:
    return st.just(command("close_trade", number=number, how=ByExpiry(at=at)))


def settlements(number: int, trade: Trade, at: datetime) -> Commands:
    return prices.map(lambda price: BySettlement(at=at, underlying_price=price)).map(
        lambda how: command("close_trade", number=number, how=how)
    )


@st.composite
def deliveries(draw: st.DrawFn, number: int, trade: Trade, at: datetime) -> Command:
    """All contracts of an option leg, or one of them; shares cannot be delivered so."""
    options = [number for number, leg in trade.legs.items() if leg.strike and leg.held]
    how = ByDelivery(
        at=at,
        leg=draw(st.sampled_from(options or [1])),
        quantity=draw(st.sampled_from([None, None, Decimal(1), Decimal(3)])),
        fee=draw(fee_rates),
    )
    return command("close_trade", number=number, how=how)


def notes(number: int, trade: Trade, at: datetime) -> Commands:
    bodies = st.sampled_from(["too early", "déjà vu", "  as it is said\n"])
    return bodies.map(lambda body: command("add_note", number=number, body=body))


def corrections(number: int, trade: Trade, at: datetime) -> Commands:
    return trades(at).map(
        lambda entry: command("correct_trade", number=number, entry=entry, reason="wrong price")
    )


def voids(number: int, trade: Trade, at: datetime) -> Commands:
    return st.just(command("void_trade", number=number, reason="a test of the broker"))


ANYTHING = (
    scale_ins, partial_exits, marks, endings, expiries, deliveries, notes, corrections, voids,
)  # fmt: skip


def anything(number: int, trade: Trade, at: datetime) -> Commands:
    return st.sampled_from(ANYTHING).flatmap(lambda what: what(number, trade, at))


def otherwise(said: Command) -> Command:
    """The same command under the same key, with something else in it."""
    change: dict[str, Any] = {
        "open_trade": lambda: {"entry": said.arguments["entry"].model_copy(
            update={"ticker": "MSFT"})},
        "add_fill": lambda: {"fill": said.arguments["fill"].model_copy(
            update={"price": said.arguments["fill"].price + 1})},
        "close_trade": lambda: {"exit_reason": "other"},
        "add_snapshots": lambda: {"snapshots": [*said.arguments["snapshots"],
            SnapshotEntry(taken_at=START, mark_price=Decimal(1))]},
        "add_note": lambda: {"body": said.arguments["body"] + "!"},
        "correct_trade": lambda: {"reason": "another reason"},
        "void_trade": lambda: {"reason": "another reason"},
    }  # fmt: skip
    return replace(said, arguments={**said.arguments, **change[said.name]()})
