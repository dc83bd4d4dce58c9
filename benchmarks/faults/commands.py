"""What is recorded: a trader's commands, the same ones for the same seed and answers.

So the parent of a killed recorder knows every command it gave, the last one included,
from the acknowledgements alone.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import Recorded
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.recording import add_fill, add_note, add_snapshots, close_trade, open_trade
from store.records import ByFills, FillEntry, LegEntry, SnapshotEntry, TradeEntry

ACCOUNT = "Main"
SHARES = 100
BEGIN = datetime(2026, 1, 5, 15, tzinfo=UTC)
EXPIRY = date(2026, 3, 20)
NAMED: dict[str, Callable[..., Awaitable[Recorded]]] = {
    command.__name__: command
    for command in (
        open_trade, add_fill, add_snapshots, close_trade, correct_trade, void_trade, add_note
    )
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    name: str
    arguments: dict[str, Any]
    key: str


@dataclass(frozen=True)
class Said:
    """A command and what its caller heard: nothing, if the caller or the server was killed."""

    command: Command
    answer: Recorded | None


async def say(store: Store, user_id: int, command: Command) -> Recorded:
    """Record in a unit of work of its own; what it gives has been committed."""
    async with store.write(user_id) as session:
        return await carry_out(session, command)


async def carry_out(session: AsyncSession, command: Command) -> Recorded:
    return await NAMED[command.name](session, **command.arguments, key=command.key)


class Trader:
    """Thinks of commands that fit what it has recorded so far.

    `next` gives the next one, `learn` tells what it led to. Half are trades with two fills
    a leg, closed at once; the others open, fill (through zero, too), mark, close, correct,
    void and annotate the trader's own trades.
    """

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._given = 0
        self._held: dict[int, int] = {}  # Shares by open trade.
        self._closed: list[int] = []

    def next(self) -> Command:
        possible: list[tuple[Callable[[], Command], int]] = [(self.closed, 10), (self.opened, 4)]
        if self._held:
            possible += [(self.filled, 3), (self.marked, 2), (self.ended, 2)]
        if self._closed:
            possible += [(self.corrected, 1), (self.voided, 1), (self.annotated, 1)]
        kinds = [kind for kind, _weight in possible]
        weights = [weight for _kind, weight in possible]
        return self._chance.choices(kinds, weights)[0]()

    def learn(self, command: Command, recorded: Recorded) -> None:
        named: int | None = command.arguments.get("number")
        if command.name in ("correct_trade", "void_trade") and named in self._closed:
            self._closed.remove(named)
        if recorded.next_number is not None and named is not None:
            over = command.arguments["fill"].quantity - self._held[named]
            self._held[recorded.next_number] = -int(over)
        if recorded.status != "open":
            self._held.pop(recorded.number, None)
        elif command.name == "open_trade":
            self._held[recorded.number] = SHARES
        elif command.name == "add_fill":
            self._held[recorded.number] -= int(command.arguments["fill"].quantity)
        if recorded.status == "closed" and recorded.number not in self._closed:
            self._closed.append(recorded.number)

    def closed(self) -> Command:
        return self._command("open_trade", entry=self._trade())

    def opened(self) -> Command:
        bought = self._fill("buy", SHARES)
        leg = LegEntry(instrument="equity", fills=(bought,))
        return self._command("open_trade", entry=self._entry(leg))

    def filled(self) -> Command:
        number, held = self._an_open_trade()
        # Part of it, all of it, or through zero into a trade of its own.
        sizes = [held] if abs(held) < SHARES else [held // 4, held, held + held // 2]
        size = self._chance.choice(sizes)
        fill = self._fill("sell" if size > 0 else "buy", abs(size), hours=2)
        return self._command("add_fill", number=number, leg_number=1, fill=fill)

    def marked(self) -> Command:
        number, _held = self._an_open_trade()
        marks = [
            # A moment of its own: one that is marked already keeps its first mark.
            SnapshotEntry(
                taken_at=BEGIN + timedelta(hours=3, seconds=3 * self._given + after),
                mark_price=self._price(),
            )
            for after in range(3)
        ]
        return self._command("add_snapshots", number=number, snapshots=marks)

    def ended(self) -> Command:
        number, held = self._an_open_trade()
        fill = self._fill("sell" if held > 0 else "buy", abs(held), hours=4)
        return self._command("close_trade", number=number, how=ByFills(fills={1: (fill,)}))

    def corrected(self) -> Command:
        number = self._chance.choice(self._closed)
        return self._command(
            "correct_trade", number=number, entry=self._trade(), reason="the fills were wrong"
        )

    def voided(self) -> Command:
        number = self._chance.choice(self._closed)
        return self._command("void_trade", number=number, reason="never happened")

    def annotated(self) -> Command:
        number = self._chance.choice(self._closed)
        return self._command("add_note", number=number, body=f"Note {self._given}")

    def _command(self, name: str, **arguments: Any) -> Command:
        self._given += 1
        return Command(name, arguments, key=f"{self._name}-{self._given}")

    def _trade(self) -> TradeEntry:
        if self._chance.random() < 0.5:
            return self._entry(LegEntry(instrument="equity", fills=self._there_and_back("buy")))
        sold, bought = (
            LegEntry(
                instrument="option",
                option_type="put",
                strike=Decimal(strike),
                expiry=EXPIRY,
                fills=self._there_and_back(side),
            )
            for strike, side in ((100, "sell"), (95, "buy"))
        )
        return self._entry(sold, bought)

    def _entry(self, *legs: LegEntry) -> TradeEntry:
        return TradeEntry(
            account=ACCOUNT,
            ticker=self._chance.choice(("AAPL", "SPY", "TSLA")),
            legs=legs,
            conditions={"regime": self._chance.choice(("bull", "bear"))},
        )

    def _there_and_back(self, side: str) -> tuple[FillEntry, FillEntry]:
        back = "sell" if side == "buy" else "buy"
        return self._fill(side, 2), self._fill(back, 2, hours=1)

    def _fill(self, side: str, quantity: int, *, hours: int = 0) -> FillEntry:
        return FillEntry.model_validate(
            {
                "side": side,
                "quantity": quantity,
                "price": self._price(),
                "fee": Decimal(self._chance.randint(0, 300)) / 100,
                "filled_at": BEGIN + timedelta(hours=hours),
            }
        )

    def _price(self) -> Decimal:
        return Decimal(self._chance.randint(100, 20_000)) / 100

    def _an_open_trade(self) -> tuple[int, int]:
        return self._chance.choice(sorted(self._held.items()))
