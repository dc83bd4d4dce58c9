"""Options by the words with which brokers describe them."""

import re
from datetime import date, datetime
from decimal import Decimal

from store.statements.contracts import Contract

# PUT  MDB    07/17/26   312.500
TYPE_FIRST = re.compile(
    r"(?P<type>CALL|PUT)\s{1,9}(?P<root>[A-Z][A-Z0-9./]{0,6})\s{1,9}"
    r"(?P<day>[0-9]{1,2}/[0-9]{1,2}/(?:[0-9]{4}|[0-9]{2}))\s{1,9}\$?(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?)"
)
# MDB 07/17/2026 312.50 P
TYPE_LAST = re.compile(
    r"(?P<root>[A-Z][A-Z0-9./]{0,6})\s{1,9}(?P<day>[0-9]{1,2}/[0-9]{1,2}/(?:[0-9]{4}|[0-9]{2}))\s{1,9}"
    r"\$?(?P<strike>[0-9]{1,6}(?:\.[0-9]{1,4})?)\s{1,9}(?P<type>CALL|PUT|C|P)"
)


def described(text: str) -> Contract | None:
    """The option that a description says, days as month/day/year; None if it says none."""
    bare = text.strip().upper()
    found = TYPE_FIRST.fullmatch(bare) or TYPE_LAST.fullmatch(bare)
    if found is None:
        return None
    strike, expiry = Decimal(found["strike"]), _day(found["day"])
    if not strike or expiry is None:
        return None
    return Contract(found["root"], expiry, "put" if found["type"][0] == "P" else "call", strike)


def _day(text: str) -> date | None:
    year = "%Y" if len(text.rpartition("/")[2]) == 4 else "%y"
    try:
        return datetime.strptime(text, f"%m/%d/{year}").date()  # noqa: DTZ007
    except ValueError:
        return None
