"""Options by the names that brokers give them."""

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from store.records import OptionType
from store.statements.amounts import day
from store.statements.refusing import Refused

# OCC's 21 letters, with and without blanks: root, YYMMDD, C or P, strike x 1000.
OCC = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{8})"
)
# The same with the strike as one says it: SPY260116C450, NVDA260710P195.5.
SHORT = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?)"
)

ROOT = r"(?P<root>[A-Z][A-Z0-9./ ]{0,7}?)"
DAY = r"(?P<day>[0-9]{1,2}/[0-9]{1,2}/(?:[0-9]{4}|[0-9]{2})|[0-9]{2}[A-Z]{3}[0-9]{2})"
STRIKE = r"\$?(?P<strike>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,6})(?:\.[0-9]{1,4})?)"
WORDS = (
    # PUT MDB 07/17/26 312.500
    re.compile(f"(?P<type>CALL|PUT) {ROOT} {DAY} {STRIKE}"),
    # MDB 07/17/2026 312.50 P, AAPL 16JAN26 150 C
    re.compile(f"{ROOT} {DAY} {STRIKE} (?P<type>CALL|PUT|C|P)"),
    # NVDA 10/31/2025 Put $165.00
    re.compile(f"{ROOT} {DAY} (?P<type>CALL|PUT) {STRIKE}"),
)
DAYS = ("%m/%d/%Y", "%m/%d/%y", "%d%b%y")
OPTION_TYPES: dict[str, OptionType] = {"C": "call", "CALL": "call", "P": "put", "PUT": "put"}


class Contract(NamedTuple):
    """An option's terms; `root` is the symbol under which it trades (SPXW for SPX)."""

    root: str
    expiry: date
    option_type: OptionType
    strike: Decimal


def contract(symbol: str) -> Contract | None:
    """The option that an OCC symbol names, in any of its usual spellings; None if it names none.

    `AAPL  260116C00150000`, `AAPL260116C00150000`, `-NVDA260710P195`, `.SPXW260116P5800`.
    """
    text = symbol.strip().upper()
    found = OCC.fullmatch(text)
    strike = Decimal(found["strike"]) / 1000 if found else None
    if found is None and (found := SHORT.fullmatch(text)):
        strike = Decimal(found["strike"])
    if found is None or not strike:
        return None
    digits = found["day"]
    try:
        expiry = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        return None
    return Contract(found["root"], expiry, OPTION_TYPES[found["type"]], strike)


def described(text: str) -> Contract | None:
    """The option that words say, days as month/day/year; None if they say none.

    `PUT MDB 07/17/26 312.500`, `MDB 07/17/2026 312.50 P`, `AAPL 16JAN26 150 C`,
    `NVDA 10/31/2025 Put $165.00`.
    """
    bare = " ".join(text.upper().split())
    found = next((one for pattern in WORDS if (one := pattern.fullmatch(bare))), None)
    strike = Decimal(found["strike"].replace(",", "")) if found else None
    if found is None or not strike:
        return None
    try:
        expiry = day(found["day"], "", *DAYS)
    except Refused:
        return None
    return Contract(found["root"], expiry, OPTION_TYPES[found["type"]], strike)
