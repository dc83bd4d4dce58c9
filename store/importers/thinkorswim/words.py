"""What the descriptions in the Cash Balance of a thinkorswim statement say.

- `BOT +4 BWXT 100 21 NOV 25 160 CALL @10.85 CBOE`, `SOLD -100 URAN @51.00`, under `tIP ` and
  the like where it was dealt on a phone; spreads name several strikes.
- `Removed due to Expiration PUT S & P 500 INDEX $6500 EXP 04/10/26: EXP: -1.0
  .SPXW260410P6500`, `... ASG: 1.0 .UUUU240816P6`, and TD Ameritrade's `REMOVAL OF OPTION DUE
  TO EXERCISE -10.0 SPY 100 (Weeklys) 10 JUN 22 402 PUT`: the number is what came into the
  position, so -1 removes a bought option.
- `Bought 100.0 XLE due to assignment`, `SOLD -100.0 GS UPON GOLDMAN SACHS GROUP INC`: shares.
"""

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from store.records import FillKind, Side
from store.statements.amounts import day, needed, not_zero
from store.statements.contracts import OPTION_TYPES, Contract, contract
from store.statements.execution import Instrument
from store.statements.instruments import option
from store.statements.instruments import shares as shares_of
from store.statements.refusing import Refused

COLUMN = "DESCRIPTION"
EXPIRY = re.compile(r"\b(\d{1,2}) ([A-Z]{3}) (\d{2}|\d{4})\b", re.I)
TERMS = (
    r"(?P<root>\$?[A-Z]+(?:[./][A-Z]+)?)(?: (?P<shares>\d+)(?: \(\w+\))?"
    r" (?P<day>\d{1,2} [A-Z]{3} \d{2,4})(?: [\[(]\w+[\])])? (?P<strike>[\d.]+) (?P<type>CALL|PUT))?"
)
NUMBER = r"(?P<quantity>[+-]?[\d,]*\.?\d+)"
DEAL = re.compile(rf"\b(?P<verb>BOT|SOLD) {NUMBER} {TERMS} @(?P<price>[\d.,]+)(?: [A-Z ]+)?$")
SHARES = re.compile(
    rf"\b(?P<verb>BOT|SOLD|BOUGHT) {NUMBER} (?P<symbol>[A-Z0-9./]+) (?:UPON|DUE TO)\b", re.I
)
REMOVED = re.compile(rf"(?:^|\s){NUMBER} (?P<occ>\.[A-Z0-9./]+)$")
REMOVAL = re.compile(rf"\bDUE TO [A-Z]+ {NUMBER} {TERMS}$", re.I)
ENDS: dict[str, FillKind] = {
    "EXP:": "expired", "ASG:": "assigned", "EXE:": "exercised",
    "EXPIRATION": "expired", "ASSIGNMENT": "assigned", "EXERCISE": "exercised",
}  # fmt: skip


class Said(NamedTuple):
    """What a description says was dealt."""

    side: Side
    quantity: Decimal
    instrument: Instrument
    price: Decimal


class Removed(NamedTuple):
    kind: FillKind
    side: Side
    quantity: Decimal
    instrument: Instrument


def deal(text: str) -> Said | None:
    """A deal in shares or in one option; None for spreads, futures and anything else."""
    found = DEAL.search(text)
    if found is None:
        return None
    side: Side = "buy" if found["verb"] == "BOT" else "sell"
    return Said(side, _number(found), _instrument(found), needed(found["price"], COLUMN))


def shares(text: str) -> tuple[Side, Decimal, str] | None:
    """Side, number and symbol of shares that came or went without an order."""
    found = SHARES.search(text)
    if found is None:
        return None
    return ("sell" if found["verb"].upper() == "SOLD" else "buy"), _number(found), found["symbol"]


def removed(text: str) -> Removed:
    """The option that ended.

    Raises:
        Refused: the description is no such, or names no option.
    """
    upper = text.upper()
    kind = next((kind for word, kind in ENDS.items() if word in upper), None)
    named, termed = REMOVED.search(upper), REMOVAL.search(upper)
    if kind is not None and named is not None:
        return _removed(kind, named, _occ(named["occ"], text))
    if kind is not None and termed is not None and termed["type"] is not None:
        return _removed(kind, termed, _instrument(termed))
    raise Refused(COLUMN, text, "an option that expired, was assigned or was exercised is needed")


def _removed(kind: FillKind, found: re.Match[str], instrument: Instrument) -> Removed:
    side: Side = "sell" if found["quantity"].startswith("-") else "buy"
    return Removed(kind, side, _number(found), instrument)


def expiry(text: str, column: str) -> date:
    """The day in `18 SEP 26` or `10 OCT 2025 (Weeklys)`."""
    found = EXPIRY.search(text)
    if found is None:
        raise Refused(column, text, "an expiry such as 18 SEP 26 is needed")
    return day(" ".join(found.groups()).title(), column, "%d %b %y", "%d %b %Y")


def _number(found: re.Match[str]) -> Decimal:
    return abs(not_zero(found["quantity"], COLUMN))


def _occ(symbol: str, text: str) -> Instrument:
    terms = contract(symbol)
    if terms is None:
        raise Refused(COLUMN, text, "an option such as .SPXW260410P6500 is needed")
    return option(terms, COLUMN)


def _instrument(found: re.Match[str]) -> Instrument:
    root = re.sub(r"^\$|\.X$", "", found["root"].upper())
    if found["type"] is None:
        return shares_of(root, COLUMN)
    strike = needed(found["strike"], COLUMN)
    kind = OPTION_TYPES[found["type"].upper()]
    terms = Contract(root, expiry(found["day"], COLUMN), kind, strike)
    return option(terms, COLUMN, unit=needed(found["shares"], COLUMN))
