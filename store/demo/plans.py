"""What is to be recorded of one demo trade, and what was known before it was taken."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from store.demo.market import NEW_YORK
from store.records import Ending, ExitReason, FillEntry, SnapshotEntry, TradeEntry

Result = Literal["win", "loss", "scratch"]


@dataclass(frozen=True)
class Setup:
    """A trade about to be taken, and how it is going to end.

    `result` was drawn from the strategy and the scanner's score alone. `ends` is False for
    a trade still open on the last day of the demo.
    """

    account: str
    strategy: str
    ticker: str
    opened_at: datetime
    closed_at: datetime
    spot: float
    iv: float
    scanner_score: int | None
    ai_score: int | None
    conditions: dict[str, Decimal | str]
    result: Result
    ends: bool

    @property
    def opened_on(self) -> date:
        return self.opened_at.astimezone(NEW_YORK).date()

    @property
    def closed_on(self) -> date:
        return self.closed_at.astimezone(NEW_YORK).date()

    def said(self) -> dict[str, Any]:
        """The fields of TradeEntry that do not depend on the instrument."""
        return {
            "account": self.account,
            "strategy": self.strategy,
            "ticker": self.ticker,
            "scanner_score": self.scanner_score,
            "ai_score": self.ai_score,
            "conditions": self.conditions,
            "source": "demo",
        }


@dataclass(frozen=True)
class End:
    how: Ending
    reason: ExitReason | None = None


@dataclass(frozen=True)
class Restatement:
    entry: TradeEntry
    reason: str


@dataclass(frozen=True)
class Note:
    body: str
    author: str = "owner"


@dataclass(frozen=True)
class Plan:
    """One trade in the order of its recording.

    `entry` holds the opening fills; partial exits are fills of leg 1. Nothing in `ends`
    leaves the trade open.
    """

    entry: TradeEntry
    partial_exits: tuple[FillEntry, ...] = ()
    marks: tuple[SnapshotEntry, ...] = ()
    ends: tuple[End, ...] = ()
    notes: tuple[Note, ...] = ()
    restatement: Restatement | None = None

    @property
    def opened_at(self) -> datetime:
        return min(fill.filled_at for leg in self.entry.legs for fill in leg.fills)
