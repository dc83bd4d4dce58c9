"""Keys by which names are compared."""


def name_key(name: str) -> str:
    """`leap_call`, `LEAP_CALL ` and `Leap_call` are one name."""
    return " ".join(name.split()).casefold()
