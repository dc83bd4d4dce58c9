"""What was dealt, by the names that brokers give it."""

import re
from decimal import Decimal

from store.derived import STANDARD_MULTIPLIER
from store.records import Instrument as InstrumentKind
from store.statements.contracts import Contract, contract
from store.statements.execution import Instrument
from store.statements.refusing import Refused

TICKER = re.compile(r"[A-Z0-9][A-Z0-9 ./&+_-]{0,31}")
# Shares as exchanges in the US name them, BRK.B and BRK/B, BAC-PL and ABC.WS among them.
SHARES = re.compile(r"[A-Z]{1,5}(?:[ ./-][A-Z]{1,3})?")
SHARE_CLASS = re.compile(r"([A-Z]{1,5})[ /]([A-Z])")
# A money market fund, whose share is a dollar: what lies there is cash.
MONEY_FUND = re.compile(r"[A-Z]{3}XX")
# A bond or a CD, which has no ticker.
CUSIP = re.compile(r"(?=.*[0-9])[A-Z0-9]{9}")
# MESM6, ESZ26, /MNQU6, F.US.MESM26, and MES 09-26.
FUTURES = (
    re.compile(r"/?(?P<root>[A-Z0-9]{1,5}) [0-9]{2}-[0-9]{2}"),
    re.compile(r"(?:F\.US\.|CM\.|/)?(?P<root>[A-Z0-9]{1,5}?)[FGHJKMNQUVXZ][0-9]{1,2}"),
)
# Index options trade under roots of their own; the underlying is what a trader calls it.
UNDERLYING = {
    "SPXW": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
    "XSPW": "XSP",
    "DJXW": "DJX",
}
# They settle in cash: nobody delivers an index.
INDICES = {*UNDERLYING.values(), "OEX", "XEO", "XND", "MRUT"}


def ticker(text: str, column: str) -> str:
    """A symbol in one spelling: `BRK B` and `BRK/B` are BRK.B.

    Raises:
        Refused: it is no symbol.
    """
    found = text.strip().upper()
    if not TICKER.fullmatch(found):
        raise Refused(column, text, "a symbol such as AAPL is needed")
    share_class = SHARE_CLASS.fullmatch(found)
    return f"{share_class[1]}.{share_class[2]}" if share_class else found


def shares(symbol: str, column: str) -> Instrument:
    """Shares that are traded in the US.

    Raises:
        Refused: it is no ticker of theirs.
    """
    if not SHARES.fullmatch(symbol.strip().upper()):
        raise Refused(column, symbol, "a ticker such as AAPL, or an option, is needed")
    return Instrument("equity", ticker(symbol, column))


def left_out(symbol: str) -> str | None:
    """The word under which deals in what is no share are counted, not traded."""
    if MONEY_FUND.fullmatch(symbol.upper()):
        return "money market funds"
    return "bonds" if CUSIP.fullmatch(symbol.upper()) else None


def underlying(root: str) -> str:
    """The ticker under which the trades of an option's root are kept."""
    return UNDERLYING.get(root, root)


def option(
    terms: Contract, column: str, *, below: str = "", unit: Decimal | None = None
) -> Instrument:
    """The instrument of an option's terms, on `below` where the file names its underlying, for
    `unit` shares where the file says it.

    Raises:
        Refused: its root ends in a digit, so its terms were adjusted, and what it delivers is
            not in its name; or it names no symbol.
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
        kept_multiplier("option", unit, column),
    )


def shares_or_option(symbol: str, column: str) -> Instrument:
    """What an OCC symbol or a ticker names.

    Raises:
        Refused: it is neither.
    """
    terms = contract(symbol)
    return shares(symbol, column) if terms is None else option(terms, column)


def future_root(symbol: str) -> str | None:
    """The root of a future's symbol, under which its multiplier is known; None if it is none."""
    text = symbol.strip().upper()
    found = next((one for pattern in FUTURES if (one := pattern.fullmatch(text))), None)
    return found["root"] if found else None


def future(symbol: str, column: str, unit: Decimal, *, below: str = "") -> Instrument:
    """A future; its trades are kept under its root, that of `below` where the file has it."""
    root = future_root(below or symbol) or below or symbol
    return Instrument(
        "future",
        ticker(root, column),
        multiplier=kept_multiplier("future", unit, column),
        symbol=symbol,
    )


def option_on_future(
    terms: Contract, column: str, *, below: str, unit: Decimal | None
) -> Instrument:
    """An option of a future: the trades of both are kept under the future's root."""
    root = ticker(future_root(below) or below, column)
    unit = kept_multiplier("option", unit, column)
    return Instrument("option", root, terms.option_type, terms.strike, terms.expiry, unit)


def kept_multiplier(kind: InstrumentKind, said: Decimal | None, column: str) -> Decimal | None:
    """What an `Instrument` keeps of the multiplier that a file says: None for the standard one.

    Raises:
        Refused: it is not above 0.
    """
    if said is not None and said <= 0:
        raise Refused(column, f"{said:f}", "a multiplier above 0 is needed")
    return None if said == STANDARD_MULTIPLIER.get(kind) else said
