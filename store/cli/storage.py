"""How large the database is, for people and as JSON."""

from collections.abc import Iterator
from typing import Any

from store.byte_sizes import shown_bytes
from store.errors import StoreError
from store.growth import DAYS_NEEDED, Forecast, Storage


def storage_as_dict(
    used: Storage | StoreError | None, full: Forecast | None
) -> dict[str, Any] | None:
    """Sizes in bytes; null is what is not known."""
    if not isinstance(used, Storage):
        return None if used is None else {"not_measured": str(used)}
    return {
        "bytes": used.total,
        "groups": used.groups,
        "closed_trades": used.closed_trades,
        "sampled_trades": used.sampled,
        "bytes_per_closed_trade": used.per_closed_trade,
        "growth": {
            "days": round(used.days, 1),
            "enough": used.days >= DAYS_NEEDED,
            "bytes_per_day": used.growth_per_day,
        },
        "quota": full and {
            "bytes": full.quota,
            "used": round(full.used, 4),
            "reached_on": full.reached_at and full.reached_at.date(),
            "warning": full.warning,
        },
    }  # fmt: skip


def storage_lines(used: Storage | StoreError | None, full: Forecast | None) -> Iterator[str]:
    if not isinstance(used, Storage):
        yield from () if used is None else (f"size      not measured: {used}",)
        return
    yield f"size      {shown_bytes(used.total)}: {groups_words(used)}"
    if used.per_closed_trade is not None:
        about = "" if used.sampled is None else "about "
        yield (f"a trade   {shown_bytes(used.per_closed_trade)} for each of {about}"
               f"{used.closed_trades:,} closed")  # fmt: skip
    yield f"growth    {growth_words(used)}"
    if full is not None:
        share = f"{100 * full.used:.1f} % of {shown_bytes(full.quota)}"
        yield f"quota     {share}, {reached_words(used, full)}"
        if full.warning:
            yield "warning   80 % of the quota are used or more"


def groups_words(used: Storage) -> str:
    if used.groups is None:
        return "a large file, of which --thorough measures the tables"
    each = [(name.replace("_", " "), size) for name, size in used.groups.items() if size]
    return ", ".join(f"{name} {shown_bytes(size)}" for name, size in each)


def growth_words(used: Storage) -> str:
    if used.growth_per_day is None:
        return f"not enough to tell: {used.days:.1f} days of recording, {DAYS_NEEDED} are needed"
    return f"{shown_bytes(used.growth_per_day)} a day, by {used.days:.0f} days of recording"


def reached_words(used: Storage, full: Forecast) -> str:
    if full.used >= 1:
        return "reached"
    if full.reached_at is not None:
        return f"reached about {full.reached_at:%Y-%m-%d} at this pace"
    if used.growth_per_day is None:
        return "no forecast yet"
    return "not reached at this pace"
