"""What a ledger has to hold, kept in plain dictionaries: the second method of test_stateful.

It shares the words of the store (entries, answers, refusals) and none of its arithmetic:
what a trade earned is the cash that its fills moved, less their fees, and what is open is
the sum of what was bought and sold. Nothing here is changed before all of a command is
known to be right, so a refusal needs no undoing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate
from math import gcd
from typing import Any

from store.accounts import AccountEntry
from store.audit import Recorded
from store.errors import Conflict, Invalid, NotFound
from store.records import (
    ByDelivery,
    ByExpiry,
    ByFills,
    ByPrices,
    BySettlement,
    Ending,
    FillEntry,
    LegEntry,
    SnapshotEntry,
    TradeEntry,
)

NOTHING = Decimal(0)
MULTIPLIER = {"equity": Decimal(1), "option": Decimal(100)}
COUNTED = ("open", "closed")


@dataclass(frozen=True)
class Command:
    """A command as the store and the model are both given it."""

    name: str
    arguments: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True)
class Leg:
    instrument: str
    multiplier: Decimal
    option_type: str | None = None
    strike: Decimal | None = None
    expiry: date | None = None
    delivered: bool = False
    fills: tuple[FillEntry, ...] = ()

    @classmethod
    def of(cls, entry: LegEntry) -> "Leg":
        multiplier = entry.multiplier or MULTIPLIER[entry.instrument]
        option = (entry.option_type, entry.strike, entry.expiry)
        return cls(entry.instrument, multiplier, *option, fills=entry.fills)

    def plus(self, *fills: FillEntry) -> "Leg":
        return replace(self, fills=self.fills + fills)

    def until(self, at: datetime) -> "Leg":
        return replace(self, fills=tuple(fill for fill in self.fills if fill.filled_at <= at))

    @property
    def in_time(self) -> list[FillEntry]:
        return sorted(self.fills, key=lambda fill: fill.filled_at)

    @property
    def held(self) -> Decimal:
        """Bought less sold."""
        return sum(map(signed, self.fills), NOTHING)

    @property
    def cash(self) -> Decimal:
        """Received less paid, fees apart."""
        return -sum((signed(fill) * fill.price for fill in self.fills), NOTHING) * self.multiplier

    @property
    def beyond_zero(self) -> Decimal:
        """By how much the fills first take the leg to the other side of its first one."""
        held = list(accumulate(map(signed, self.in_time)))
        gone = (abs(now) for now in held if now * held[0] < 0)
        return next(gone, NOTHING)


@dataclass(frozen=True)
class Trade:
    account: str
    tolerance: Decimal
    legs: dict[int, Leg]
    source: str = "manual"
    external_id: str | None = None
    status: str = "open"
    replacement: int | None = None
    unrealised: Decimal | None = None
    marks: dict[datetime, tuple[Decimal, Decimal]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def fills(self) -> list[FillEntry]:
        return [fill for leg in self.legs.values() for fill in leg.fills]

    @property
    def flat(self) -> bool:
        return not any(leg.held for leg in self.legs.values())

    @property
    def holds_options(self) -> bool:
        return any(leg.strike and leg.held for leg in self.legs.values())

    @property
    def opened_at(self) -> datetime:
        dealt = [leg for leg in self.legs.values() if not leg.delivered]
        return min(fill.filled_at for leg in dealt for fill in leg.fills)

    @property
    def closed_at(self) -> datetime | None:
        return max(fill.filled_at for fill in self.fills) if self.flat else None

    @property
    def gross(self) -> Decimal:
        return sum((leg.cash for leg in self.legs.values()), NOTHING)

    @property
    def fees(self) -> Decimal:
        return sum((fill.fee for fill in self.fills), NOTHING)

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees

    @property
    def outcome(self) -> str:
        if abs(self.net) <= self.tolerance:
            return "breakeven"
        return "win" if self.net > 0 else "loss"

    def filled(self, more: Mapping[int, Sequence[FillEntry]]) -> "Trade":
        """With more fills by leg; closed if that leaves nothing open."""
        legs = {number: leg.plus(*more.get(number, ())) for number, leg in self.legs.items()}
        if any(leg.beyond_zero or leg.in_time[0].kind != "trade" for leg in legs.values()):
            raise Invalid("a leg goes through zero, or begins by ending")
        grown = replace(self, legs=legs)
        return replace(grown, status="closed", unrealised=None) if grown.flat else grown

    def worth(self, mark: SnapshotEntry) -> Decimal:
        """What it had come to at the mark: the cash moved by then, less fees, and what was
        open, which the mark prices by the share or, of several legs, by the unit."""
        past = replace(
            self, legs={number: leg.until(mark.taken_at) for number, leg in self.legs.items()}
        )
        if not any(leg.fills and not leg.delivered for leg in past.legs.values()):
            raise Invalid("a mark before the trade")
        held = [leg for leg in past.legs.values() if leg.held]
        units = Decimal(gcd(*(int(leg.held) for leg in held)))
        if len(held) == 1:
            units = held[0].held
        largest = max((leg.multiplier for leg in held), default=NOTHING)
        return past.net + mark.mark_price * units * largest

    def marked(self, marks: Iterable[SnapshotEntry]) -> "Trade":
        """With more marks; the first one of a moment stays."""
        said = {mark.taken_at: (mark.mark_price, self.worth(mark)) for mark in reversed([*marks])}
        kept = said | self.marks
        last = kept[max(kept)][1] if kept and said else self.unrealised
        return replace(self, marks=kept, unrealised=last)


def signed(fill: FillEntry) -> Decimal:
    return fill.quantity if fill.side == "buy" else -fill.quantity


@dataclass
class Ledger:
    """One user's accounts and trades, what was answered under which key, what was done."""

    accounts: dict[str, AccountEntry] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict)
    answers: dict[str, tuple[Command, Recorded]] = field(default_factory=dict)
    done: list[str] = field(default_factory=lambda: ["add_user"])
    version: int = 0

    def put_account(self, entry: AccountEntry) -> None:
        known = self.accounts.get(entry.name.casefold())
        if known is None:
            self.accounts[entry.name.casefold()] = entry
            self.done.append("put_account")
            self.version += 1
        elif known.model_copy(update={"name": entry.name}) != entry:
            raise Conflict("an account says otherwise")

    def do(self, command: Command) -> Recorded:
        """What a command answers, done once whatever its key is repeated for."""
        if command.key in self.answers:
            said, answer = self.answers[command.key]
            if said != command:
                raise Conflict("a key with other content")
            return replace(answer, replayed=True)
        changed = getattr(self, command.name)(**command.arguments)
        self.trades |= changed
        self.done.append(command.name)
        self.version += 1
        answer = self._answer(command, changed)
        if command.key is not None:
            self.answers[command.key] = (command, answer)
        return answer

    def _answer(self, command: Command, changed: Mapping[int, Trade]) -> Recorded:
        """The trade that was spoken of, or the new one that says it anew."""
        first, last = min(changed), max(changed)
        if command.name == "correct_trade":
            return Recorded(last, self.trades[last].status)
        flipped = last if last != first else None
        return Recorded(first, self.trades[first].status, next_number=flipped)

    # The commands: each gives the trades that are new or other than before.

    def open_trade(self, entry: TradeEntry) -> dict[int, Trade]:
        return {self.next: self._unique(self._made(entry))}

    def add_fill(self, number: int, leg_number: int, fill: FillEntry) -> dict[int, Trade]:
        trade = self._open(number)
        leg = self._leg(trade, leg_number)
        excess = leg.plus(fill).beyond_zero
        if not excess:
            return {number: trade.filled({leg_number: [fill]})}
        if len(trade.legs) > 1 or excess >= fill.quantity:
            raise Invalid("a fill that belongs to two trades, or turns the trade around")
        fee = fill.fee * excess / fill.quantity
        ending = fill.model_copy(update={"quantity": fill.quantity - excess, "fee": fill.fee - fee})
        rest = fill.model_copy(update={"quantity": excess, "fee": fee})
        legs = {1: replace(leg, fills=(rest,))}
        opened = Trade(trade.account, trade.tolerance, legs, trade.source)
        return {number: trade.filled({leg_number: [ending]}), self.next: opened}

    def close_trade(
        self, number: int, how: Ending, exit_reason: str | None = None
    ) -> dict[int, Trade]:
        trade = self._open(number)
        if isinstance(how, ByDelivery):
            return {number: self._delivered(trade, how)}
        for leg_number in said_legs(how):
            self._leg(trade, leg_number)
        fills = how.fills if isinstance(how, ByFills) else ended(trade, how)
        closed = trade.filled(fills)
        if not closed.flat:
            raise Invalid("something would stay open")
        return {number: closed}

    def add_snapshots(self, number: int, snapshots: list[SnapshotEntry]) -> dict[int, Trade]:
        return {number: self._open(number).marked(snapshots)}

    def add_note(self, number: int, body: str) -> dict[int, Trade]:
        trade = self._known(number)
        return {number: replace(trade, notes=(*trade.notes, body))}

    def correct_trade(self, number: int, entry: TradeEntry, reason: str) -> dict[int, Trade]:
        old = self._known(number)
        if old.status != "closed":
            raise Conflict("only a closed trade is restated")
        new = self._made(entry)
        if entry.external_id is None:
            new = replace(new, source=old.source, external_id=old.external_id)
        superseded = replace(old, status="superseded", replacement=self.next)
        return {number: superseded, self.next: self._unique(new, but=number)}

    def void_trade(self, number: int, reason: str) -> dict[int, Trade]:
        trade = self._known(number)
        if trade.status not in COUNTED:
            raise Conflict("it is void or superseded already")
        return {number: replace(trade, status="void")}

    # What the commands look up.

    @property
    def next(self) -> int:
        return len(self.trades) + 1

    def numbers(self, *statuses: str) -> list[int]:
        return [number for number, trade in self.trades.items() if trade.status in statuses]

    def _known(self, number: int) -> Trade:
        if number not in self.trades:
            raise NotFound("no such trade of this user")
        return self.trades[number]

    def _open(self, number: int) -> Trade:
        if self._known(number).status != "open":
            raise Conflict("a locked trade")
        return self.trades[number]

    def _leg(self, trade: Trade, leg_number: int) -> Leg:
        if leg_number not in trade.legs:
            raise NotFound("no such leg")
        return trade.legs[leg_number]

    def _made(self, entry: TradeEntry) -> Trade:
        account = self.accounts.get(entry.account.casefold())
        if account is None:
            raise NotFound("no such account")
        legs = {number: Leg.of(leg) for number, leg in enumerate(entry.legs, start=1)}
        trade = Trade(account.name, account.tolerance, legs, entry.source, entry.external_id)
        return trade.filled({})

    def _unique(self, trade: Trade, but: int | None = None) -> Trade:
        """Refuses an external id that another trade of the account counts under."""
        told = (trade.account, trade.source, trade.external_id)
        for number, other in self.trades.items():
            taken = (other.account, other.source, other.external_id)
            if number != but and other.status in COUNTED and trade.external_id and told == taken:
                raise Conflict("an external id belongs to another trade")
        return trade

    def _delivered(self, trade: Trade, how: ByDelivery) -> Trade:
        """The option ends at 0 and its shares change hands at the strike."""
        option = self._leg(trade, how.leg)
        if option.strike is None or not option.held:
            raise Invalid("no open option")
        contracts = how.quantity or abs(option.held)
        if contracts > abs(option.held):
            raise Invalid("more contracts than are open")
        long = option.held > 0
        end = FillEntry(
            side="sell" if long else "buy", quantity=contracts, price=NOTHING,
            filled_at=how.at, fee=how.fee, kind="exercised" if long else "assigned",
        )  # fmt: skip
        receives = option.option_type == ("call" if long else "put")
        dealt = FillEntry(
            side="buy" if receives else "sell", quantity=contracts * option.multiplier,
            price=option.strike, filled_at=how.at,
        )  # fmt: skip
        held = (n for n, leg in trade.legs.items() if leg.instrument == "equity")
        shares = next(held, len(trade.legs) + 1)
        received = {shares: Leg("equity", Decimal(1), delivered=True)}
        with_shares = replace(trade, legs=received | trade.legs)
        return with_shares.filled({how.leg: [end], shares: [dealt]})


def said_legs(how: Ending) -> list[int]:
    """The legs that are named."""
    if isinstance(how, ByFills):
        return list(how.fills)
    return list(how.prices) if isinstance(how, ByPrices) else []


def ended(trade: Trade, how: ByPrices | ByExpiry | BySettlement) -> dict[int, list[FillEntry]]:
    """The fills by which legs are dealt away, expire worthless, or are paid what they are worth."""
    fills = {}
    if isinstance(how, ByPrices):
        for number, said in how.prices.items():
            held = trade.legs[number].held
            if not held:
                raise Invalid("what is flat cannot be dealt away")
            fills[number] = [
                FillEntry(
                    side="sell" if held > 0 else "buy", quantity=abs(held), price=said.price,
                    fee=said.fee, filled_at=how.at,
                )
            ]  # fmt: skip
        return fills
    for number, leg in trade.legs.items():
        if not leg.held:
            continue
        if leg.strike is None:
            raise Invalid("what is no option cannot expire")
        worth = NOTHING
        if isinstance(how, BySettlement):
            call, put = how.underlying_price - leg.strike, leg.strike - how.underlying_price
            worth = max(call if leg.option_type == "call" else put, NOTHING)
        fills[number] = [
            FillEntry(
                side="sell" if leg.held > 0 else "buy", quantity=abs(leg.held), price=worth,
                filled_at=how.at, kind="settled" if worth else "expired",
            )
        ]  # fmt: skip
    return fills
