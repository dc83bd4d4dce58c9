"""What both the orders and the history of Tradier are read into."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.statements.contracts import Contract, contract, underlying
from store.statements.execution import Bracket, CashRow, Execution, Instrument
from store.statements.refusing import Refused, Rejection

ZONE = ZoneInfo("America/New_York")
DESCRIBED = re.compile(
    r"(?P<type>CALL|PUT)\s+(?P<root>[A-Z][A-Z0-9./]{0,6})\s+"
    r"(?P<day>[0-9]{2}/[0-9]{2}/[0-9]{2})\s+(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,3})?)"
)


@dataclass
class Deals:
    """What was read; nothing of it is held against anything yet. `brackets` are by the number
    of the order that opens."""

    executions: list[Execution] = field(default_factory=list)
    cash: list[CashRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    brackets: dict[str, Bracket] = field(default_factory=dict)


def instrument(symbol: str, column: str) -> Instrument:
    """What a symbol of Tradier's names: an option by its 21 letters, else shares."""
    if named := contract(symbol):
        return as_option(named)
    if not re.fullmatch(r"[A-Z][A-Z0-9./]{0,9}", symbol):
        raise Refused(column, symbol, "a symbol such as AAPL or AAPL260116C00250000 is needed")
    return Instrument("equity", symbol)


def option(said: str) -> Instrument:
    """The option that a symbol names, or a description such as CALL GE 06/22/18 14."""
    if named := contract(said):
        return as_option(named)
    if found := DESCRIBED.search(said.upper()):
        month, on, year = found["day"].split("/")
        strike = int(Decimal(found["strike"]) * 1000)
        letter = found["type"][0]
        named = contract(f"{found['root']}{year}{month}{on}{letter}{strike:08d}")
        if named:
            return as_option(named)
    raise Refused("symbol", said, "the history does not name the option; end its trade by hand")


def as_option(named: Contract) -> Instrument:
    return Instrument(
        "option", underlying(named.root), named.option_type, named.strike, named.expiry
    )


def day_of(at: datetime) -> date:
    return at.astimezone(ZONE).date()
