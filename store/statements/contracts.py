"""Options by the names that brokers give them."""

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from store.records import OptionType

# OCC's 21 letters, with and without blanks: root, YYMMDD, C or P, strike x 1000.
OCC = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{8})"
)
# The same with the strike as one says it: SPY260116C450, NVDA260710P195.5.
SHORT = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?)"
)


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
    return Contract(found["root"], expiry, "call" if found["type"] == "C" else "put", strike)


# Index options trade under roots of their own; the underlying is what a trader calls it.
UNDERLYING = {
    "SPXW": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
    "XSPW": "XSP",
    "DJXW": "DJX",
}


def underlying(root: str) -> str:
    """The ticker under which the trades of an option's root are kept."""
    return UNDERLYING.get(root, root)
