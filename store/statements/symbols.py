"""Symbols as people read them: shares, options in words, futures."""

import re
from datetime import date
from decimal import Decimal

from store.records import OptionType
from store.statements.contracts import UNDERLYING, Contract, underlying
from store.statements.execution import Instrument
from store.statements.refusing import Refused

# AAPL 16JAN26 150 C, AAPL 01/16/2026 150.00 C.
WORDS = re.compile(
    r"(?P<root>[A-Z][A-Z0-9./ ]{0,7}?) (?:(?P<day>[0-9]{2})(?P<word>[A-Z]{3})(?P<short>[0-9]{2})"
    r"|(?P<month>[0-9]{2})/(?P<date>[0-9]{2})/(?P<year>20[0-9]{2}))"
    r" (?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?) (?P<type>[CP])"
)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FUTURE = re.compile(r"/?(?P<root>[A-Z0-9]{1,5})[FGHJKMNQUVXZ][0-9]{1,2}")
TICKER = re.compile(r"[A-Z0-9][A-Z0-9 ./&+_-]{0,31}")
SHARE_CLASS = re.compile(r"([A-Z]{1,5})[ /]([A-Z])")
# They settle in cash: nobody delivers an index.
INDICES = {*UNDERLYING.values(), "OEX", "XEO", "XND", "MRUT"}


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


def option(
    terms: Contract, column: str, *, below: str = "", unit: Decimal | None = None
) -> Instrument:
    """The instrument of an option's terms, on `below` where the file names its underlying, for
    `unit` shares where that is not the standard.

    Raises:
        Refused: its root ends in a digit, so its terms were adjusted, or names no symbol.
    """
    if terms.root.strip()[-1:].isdigit():
        reason = "an adjusted option delivers something else than 100 shares; record it by hand"
        raise Refused(column, terms.root, reason)
    return Instrument(
        "option",
        ticker(below or underlying(terms.root), column),
        terms.option_type,
        terms.strike,
        terms.expiry,
        unit,
    )


def require_settlement(instrument: Instrument, kind: str, column: str) -> None:
    """Refuse the end of an index option that is assigned or exercised at 0, for its cash is
    missing then."""
    if kind in ("assigned", "exercised") and instrument.ticker in INDICES:
        reason = "an index option settles in cash, and the row does not say for how much"
        raise Refused(column, "0", reason)
