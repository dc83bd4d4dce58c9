"""Numbers, days and moments as brokers write them, or the reason a field is refused."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from store.statements.refusing import Refused

NOTHING = {"", "-", "--", "---", "n/a", "na", "none", "null", "\u2013", "\u2014"}
CURRENCY = re.compile(
    r"^(?P<sign>[+-]?)\s*(?:[$€£¥]|US\$|USD|EUR|GBP)?\s*|\s*(?:[$€£¥]|USD|EUR|GBP)$"
)
PLAIN = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?")
NOON, CLOSE = time(12), time(16)
MARKET = ZoneInfo("America/New_York")  # By whose clock the brokers of the US write days.


def amount(text: str, column: str, *, decimal: Literal[".", ","] = ".") -> Decimal | None:
    """An exact number as people write it: `$1,234.50`, `($1.23)`, `1.234,56`, `12-`, `+5`.

    None where nothing is said (blank, `--`, `n/a`).

    Raises:
        Refused: it is no number, or its thousands are not where thousands are.
    """
    if decimal == "." and PLAIN.fullmatch(text):
        return Decimal(text)
    bare = text.strip().replace("\u2212", "-").replace("\u00a0", " ").strip("'\"")
    if bare.casefold() in NOTHING:
        return None
    negative = bare.startswith("(") and bare.endswith(")")
    if negative:
        bare = bare[1:-1].strip()
    bare = CURRENCY.sub(lambda found: found["sign"] or "", bare).strip()
    if bare.endswith(("-", "+")):
        bare = bare[-1] + bare[:-1]
    number = _joined(bare, "," if decimal == "." else ".").replace(decimal, ".")
    if not PLAIN.fullmatch(number):
        example = "1,234.56" if decimal == "." else "1.234,56"
        raise Refused(column, text, f"a number such as {example} is needed")
    found = Decimal(number)
    return -found if negative else found


def _joined(text: str, thousands: str) -> str:
    """`text` without separators of thousands, if they stand where they belong."""
    whole = re.fullmatch(rf"([+-]?[0-9]{{1,3}})((?:[{thousands} '][0-9]{{3}})+)(\D.*)?", text)
    if whole is None:
        return text
    return whole[1] + re.sub(rf"[{thousands} ']", "", whole[2]) + (whole[3] or "")


def needed(text: str, column: str, *, decimal: Literal[".", ","] = ".") -> Decimal:
    """As `amount`, where something must be said."""
    found = amount(text, column, decimal=decimal)
    if found is None:
        raise Refused(column, text, "a number is needed")
    return found


def above_zero(text: str, column: str, *, decimal: Literal[".", ","] = ".") -> Decimal:
    """As `needed`, of what is never 0 or below, such as a quantity whose side stands elsewhere."""
    found = needed(text, column, decimal=decimal)
    if found <= 0:
        raise Refused(column, text, "a number above 0 is needed")
    return found


def not_zero(text: str, column: str, *, decimal: Literal[".", ","] = ".") -> Decimal:
    """As `needed`, of what has a sign, such as the change of a position."""
    found = needed(text, column, decimal=decimal)
    if not found:
        raise Refused(column, text, "a number other than 0 is needed")
    return found


def day(text: str, column: str, *formats: str) -> date:
    """A day in the first of `formats` (as strptime writes them) that fits."""
    return _parsed(text, column, formats).date()


def clock(text: str, column: str, *formats: str) -> datetime:
    """A day and time in the first of `formats` that fits; with an offset only if one is said."""
    return _parsed(text, column, formats)


@lru_cache(maxsize=1024)  # Many rows are of one day.
def _parsed(text: str, column: str, formats: tuple[str, ...]) -> datetime:
    for one in formats:
        try:
            found = datetime.strptime(text.strip(), one)  # noqa: DTZ007
        except ValueError:
            continue
        if 1970 <= found.year < 2200:
            return found
    example = datetime(2026, 1, 31, 15, 30).strftime(formats[0])  # noqa: DTZ001
    raise Refused(column, text, f"a date such as {example} is needed")


def moment(shown: datetime, zone: ZoneInfo, column: str, text: str) -> datetime:
    """What a clock showed in `zone`, in UTC; its own offset wins. Refused where clocks skipped
    it; the earlier of the two where they showed it twice, for an exchange is closed then and
    brokers write no offset."""
    if shown.tzinfo is not None:
        return shown.astimezone(UTC)
    found = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) != shown:
        raise Refused(column, text, f"clocks in {zone.key} skipped this moment")
    return found


def of_day(on: date, zone: ZoneInfo, *, ending: bool = False) -> datetime:
    """The moment that stands for a day of which no time is said: noon, or 16:00 for what ends
    an option, so that it follows the day's deals."""
    return datetime.combine(on, CLOSE if ending else NOON, zone).astimezone(UTC)


def ended(on: date, expiry: date | None, zone: ZoneInfo) -> datetime:
    """The moment that stands for the end of an option that is booked on a day: brokers book
    the expiry of a Friday on Saturday or Monday."""
    return of_day(min(on, expiry) if expiry else on, zone, ending=True)
