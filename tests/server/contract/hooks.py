"""What generated requests are made of, and a check that goes beyond the usual ones."""

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, Response

OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=OFFSETS)  # noqa: DTZ001
# A ticker is kept in capitals, of which a few letters have two.
LETTERS = st.characters(codec="utf-8", categories=("L", "N", "P")).filter(
    lambda letter: len(letter.upper()) == 1
)
WORDS = st.text(LETTERS, min_size=1, max_size=9)

schemathesis.openapi.format("date-time", MOMENTS.map(lambda moment: moment.isoformat()))
schemathesis.openapi.format("visible-text", st.lists(WORDS, min_size=1, max_size=3).map(" ".join))
schemathesis.openapi.format("text", WORDS)
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(available_timezones())))


@schemathesis.check
def no_field_is_refused(_ctx: CheckContext, response: Response, case: Case[Any]) -> Any:
    """What is as the schema says is refused, if at all, for what it says in all."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if positive and response.status_code == 422:
        assert "errors" not in response.json(), response.text
