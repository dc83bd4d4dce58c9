"""What a field says: numbers, moments, days and words, or the reason it is refused."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from store.errors import Invalid
from store.importers.imported import net_pnl
from store.importers.table import Row
from store.records import TradeEntry
from store.statements.refusing import Refused, printable

Entry = TypeVar("Entry", bound=BaseModel)

NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?")
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,12})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def number(row: Row, column: str) -> Decimal | None:
    """An exact number, None where the field is blank."""
    text = row.text(column)
    return parsed_number(text, column) if text else None


def parsed_number(text: str, column: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise Refused(
            column, text, "a number such as 1234.56 is needed (no thousands separator, no currency)"
        )
    return Decimal(text)


def needed_number(row: Row, column: str) -> Decimal:
    found = number(row, column)
    if found is None:
        raise Refused(column, "", "a number is needed")
    return found


def word(row: Row, column: str, accepted: Sequence[str]) -> str | None:
    """One of `accepted`, whatever its case; spaces and dashes may stand for underscores."""
    text = row.text(column)
    if not text:
        return None
    found = re.sub(r"[\s-]+", "_", text.lower())
    if found not in accepted:
        raise Refused(column, text, f"one of {', '.join(accepted)} is needed")
    return found


def day(row: Row, column: str) -> date | None:
    text = row.text(column)
    if not text:
        return None
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise Refused(column, text, "a day such as 2026-01-31 is needed")


def moment(row: Row, column: str, zone: ZoneInfo | None) -> datetime | None:
    """A moment in UTC. Its own offset wins; without one `zone` says where its clock hung."""
    text = row.text(column)
    if not text:
        return None
    if not MOMENT.fullmatch(text):
        raise Refused(column, text, "a moment such as 2026-01-31T15:30:00-05:00 is needed")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(column, text, "there is no such moment") from None
    if found.tzinfo is None:
        return local(found, zone, column, text)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise Refused(column, text, "there is no such moment in UTC") from None


def local(clock: datetime, zone: ZoneInfo | None, column: str, text: str) -> datetime:
    """What `clock` showed in `zone`, in UTC; refused where clocks skipped or repeated it."""
    if zone is None:
        raise Refused(column, text, "the moment has no offset from UTC; name its --zone")
    try:
        first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        raise Refused(column, text, "there is no such moment in UTC") from None
    if first.astimezone(zone).replace(tzinfo=None) != clock:
        raise Refused(column, text, f"clocks in {zone.key} skipped this moment; add its offset")
    if first != second:
        raise Refused(column, text, f"clocks in {zone.key} showed this twice; add its offset")
    return first


def zone_named(name: str | None) -> ZoneInfo | None:
    """Raises:
    Invalid: there is no such zone.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid(
            f"No time zone '{printable(name)}'; a name such as America/New_York is accepted."
        ) from None


def built(model: type[Entry], columns: Mapping[str, str], row: Row, **values: Any) -> Entry:
    """An entry of `values`; what the entry refuses is said of the column it came from."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
    # A condition is a number or a word: of the two refusals ours says more.
    first = next((one for one in wrong if one["type"] == "value_error"), wrong[0])
    place = [str(part) for part in first["loc"]] or ["row"]
    column = f"condition.{place[1]}" if place[0] == "conditions" and len(place) > 1 else place[0]
    column = columns.get(column, column)
    reason = first["msg"].removeprefix("Value error, ")
    raise Refused(column, row.text(column), reason[:1].lower() + reason[1:])


def earned(entry: TradeEntry, row: Row, zone: str) -> Decimal | None:
    """What `entry` will be recorded with; what the ledger refuses is said of the row."""
    try:
        return net_pnl(entry, zone)
    except Invalid as error:
        raise Refused("row", row.text("ticker"), str(error)) from None
