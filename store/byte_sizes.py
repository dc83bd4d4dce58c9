"""Sizes in bytes as people write them: `500MB`, `8 GB`, `1GiB`."""

import re
from decimal import Decimal

SHOWN = ("B", "kB", "MB", "GB", "TB")
UNITS = {
    **{unit.lower(): 1000**power for power, unit in enumerate(SHOWN)},
    **{unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), start=1)},
}


def bytes_of(text: str) -> int:
    """How many bytes `text` says; MB is 1000², MiB is 1024².

    Raises:
        ValueError: it says no size above 0.
    """
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)", text.strip())
    unit = UNITS.get(found[2].lower()) if found else None
    size = int(Decimal(found[1]) * unit) if found and unit else 0
    if size < 1:
        raise ValueError("no size")
    return size


def shown_bytes(size: float) -> str:
    """`size` to a tenth of its unit of 1000: `42.1 MB`."""
    power = 0
    while abs(size) >= 1000 and power < len(SHOWN) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.1f} {SHOWN[power]}" if power else f"{size:.0f} B"
