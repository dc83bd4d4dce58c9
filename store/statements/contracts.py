"""Options by the names that brokers give them."""

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from store.records import OptionType
from store.statements.refusing import Refused

# OCC's 21 letters, with and without blanks: root, YYMMDD, C or P, strike x 1000.
OCC = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{8})"
)
# The same with the strike as one says it: SPY260116C450, NVDA260710P195.5.
SHORT = re.compile(
    r"-?\.?(?P<root>[A-Z][A-Z0-9./]{0,6}?)\s*(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?)"
)

# As people write it: AAPL 16JAN26 150 C, AAPL 01/16/2026 150.00 C.
WORDS = re.compile(
    r"(?P<root>[A-Z][A-Z0-9./ ]{0,7}?) (?:(?P<day>[0-9]{2})(?P<word>[A-Z]{3})(?P<short>[0-9]{2})"
    r"|(?P<month>[0-9]{2})/(?P<date>[0-9]{2})/(?P<year>20[0-9]{2}))"
    r" (?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?) (?P<type>[CP])"
)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FUTURE = re.compile(r"/?(?P<root>[A-Z0-9]{1,5})[FGHJKMNQUVXZ][0-9]{1,2}")
TICKER = re.compile(r"[A-Z0-9][A-Z0-9 ./&+_-]{0,31}")
SHARE_CLASS = re.compile(r"([A-Z]{1,5})[ /]([A-Z])")


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


def contract_in_words(text: str) -> Contract | None:
    """The option that `AAPL 16JAN26 150 C` or `AAPL 01/16/2026 150.00 C` names, else None."""
    found = WORDS.fullmatch(" ".join(text.upper().split()))
    if found is None or not Decimal(found["strike"]):
        return None
    if found["word"] is None:
        year, month, day = (int(found[part]) for part in ("year", "month", "date"))
    elif found["word"] in MONTHS:
        month = MONTHS.index(found["word"]) + 1
        year, day = 2000 + int(found["short"]), int(found["day"])
    else:
        return None
    try:
        expiry = date(year, month, day)
    except ValueError:
        return None
    option_type: OptionType = "call" if found["type"] == "C" else "put"
    return Contract(found["root"], expiry, option_type, Decimal(found["strike"]))


def ticker(text: str, column: str) -> str:
    """A stock's or coin's symbol in one spelling: `BRK B` and `BRK/B` are BRK.B.

    Raises:
        Refused: it is no symbol.
    """
    found = text.strip().upper()
    if not TICKER.fullmatch(found):
        raise Refused(column, text, "a symbol such as AAPL is needed")
    share_class = SHARE_CLASS.fullmatch(found)
    return f"{share_class[1]}.{share_class[2]}" if share_class else found


def future_root(symbol: str) -> str:
    """The product of a future, without its month: MES of MESU6; what is none stays as it is."""
    found = FUTURE.fullmatch(symbol.strip().upper())
    return found["root"] if found else symbol.strip().upper()


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
