"""What both the orders and the history of Tradier are read into."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from store.statements.execution import Bracket, CashRow, Execution
from store.statements.refusing import Rejection

ZONE = ZoneInfo("America/New_York")


@dataclass
class Deals:
    """What was read; nothing of it is held against anything yet. `brackets` are by the number
    of the order that opens."""

    executions: list[Execution] = field(default_factory=list)
    cash: list[CashRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    brackets: dict[str, Bracket] = field(default_factory=dict)


def day_of(at: datetime) -> date:
    return at.astimezone(ZONE).date()
