"""Names and texts: the keys by which names are compared, and what may be one."""

import re
from unicodedata import category

from store.errors import Invalid

LABEL_LENGTH = 100
DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def name_key(name: str) -> str:
    """`leap_call`, `LEAP_CALL ` and `Leap_call` are one name."""
    return " ".join(name.split()).casefold()


def visible(text: str) -> str:
    """`text` without what cannot be seen: control, bidirectional, zero-width, tag and other
    such characters. Blanks, tabs and ends of lines stay."""
    if text.isascii() and text.isprintable():
        return text
    seen = (letter for letter in text if letter.isprintable() or category(letter) == "Zs"
            or letter in "\n\t")  # fmt: skip
    return DRAWN_AS_NOTHING.sub("", "".join(seen))


def storable(value: str) -> bool:
    """NUL and lone surrogates are in no database's text."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)


def label(what: str, text: str) -> str:
    """`text` with single spaces, if it can name something.

    Raises:
        Invalid: it is empty, long, or has characters that cannot be seen.
    """
    said = " ".join(text.split())
    if not 1 <= len(said) <= LABEL_LENGTH or "\n" in text or visible(said) != said:
        raise Invalid(
            f"The {what} has {len(said)} characters; 1 to {LABEL_LENGTH} that can be seen are"
            " accepted."
        )
    return said
