"""Names: the keys by which they are compared, and what may be one."""

from store.errors import Invalid

LABEL_LENGTH = 100


def name_key(name: str) -> str:
    """`leap_call`, `LEAP_CALL ` and `Leap_call` are one name."""
    return " ".join(name.split()).casefold()


def label(what: str, text: str) -> str:
    """`text` with single spaces, if it can name something.

    Raises:
        Invalid: it is empty, long, or has characters that cannot be seen.
    """
    said = " ".join(text.split())
    if not 1 <= len(said) <= LABEL_LENGTH or not said.isprintable():
        raise Invalid(
            f"The {what} has {len(said)} characters; 1 to {LABEL_LENGTH} printable ones are"
            " accepted."
        )
    return said
