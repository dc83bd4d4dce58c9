"""Options by the names that brokers give them."""

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from store.records import OptionType
from store.statements.execution import Instrument
from store.statements.refusing import Refused

STANDARD = Decimal(100)  # Shares of an option.

# Shares as exchanges in the US name them, BRK.B and BRK/B among them.
TICKER = re.compile(r"[A-Z]{1,5}(?:[./][A-Z]{1,2})?")
# A money market fund, whose share is a dollar: what lies there is cash.
MONEY_FUND = re.compile(r"[A-Z]{3}XX")
# A bond or a CD, which has no ticker.
CUSIP = re.compile(r"(?=.*[0-9])[A-Z0-9]{9}")

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


# They settle in cash: nobody delivers an index.
INDICES = {*UNDERLYING.values(), "OEX", "XEO", "XND", "MRUT"}


def option(
    found: Contract, column: str, text: str, multiplier: Decimal | None = None
) -> Instrument:
    """The instrument of an option's terms. `multiplier` is what the file says of it.

    Raises:
        Refused: the root ends in a digit, so its terms were adjusted, and what it delivers
            is not in its name.
    """
    if found.root[-1].isdigit():
        reason = "an adjusted option delivers something else than 100 shares; record it by hand"
        raise Refused(column, text, reason)
    return Instrument(
        "option",
        underlying(found.root),
        found.option_type,
        found.strike,
        found.expiry,
        None if multiplier == STANDARD else multiplier,
    )
