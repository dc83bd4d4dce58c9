"""Futures by the names that brokers give them."""

import re

# MESM6, ESZ26, /MNQU6, F.US.MESM26, and MES 09-26.
CODED = re.compile(r"(?:F\.US\.|CM\.|/)?(?P<root>[A-Z0-9]{1,5}?)[FGHJKMNQUVXZ][0-9]{1,2}")
DATED = re.compile(r"/?(?P<root>[A-Z0-9]{1,5}) [0-9]{2}-[0-9]{2}")


def future_root(symbol: str) -> str | None:
    """The root of a future's symbol, under which its multiplier is known; None if it is none."""
    text = symbol.strip().upper()
    found = DATED.fullmatch(text) or CODED.fullmatch(text)
    return found["root"] if found else None
