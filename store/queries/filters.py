"""The filters that questions share, and the decorator that gives a question its filters.

A question is an async function `(session, filters, own arguments) -> Answer`. `question`
names the filters it takes; they become its own keyword arguments, described once, here.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.errors import Invalid
from store.models import Account, Strategy, Trade
from store.records import storable
from store.vocabulary import name_key

A = TypeVar("A")
NONE = SkipJsonSchema[None]

Status = Literal["open", "closed", "superseded", "void", "all"]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which trades a question is about; case and spaces of names do not matter."""

    ticker: Annotated[str | NONE, Field(description="Underlying, e.g. AAPL")] = None
    strategy: str | NONE = None
    account: str | NONE = None
    mode: Annotated[
        Literal["live", "paper", "all"] | NONE,
        Field(description="Default: live if there is any"),
    ] = None
    option_type: Annotated[
        Literal["call", "put"] | NONE, Field(description="Single-leg options only")
    ] = None
    structure: Annotated[str | NONE, Field(description="E.g. single, vertical")] = None
    since: Annotated[
        str | NONE, Field(description="Exit day (market zone) or moment with offset, inclusive")
    ] = None
    until: Annotated[str | NONE, Field(description="The same, exclusive")] = None
    outcome: Literal["win", "loss", "breakeven"] | NONE = None
    status: Annotated[Status | NONE, Field(description="Default: closed")] = None

    def __post_init__(self) -> None:
        for name in ("ticker", "strategy", "account", "structure"):
            if not storable(getattr(self, name) or ""):
                raise Invalid(f"{name} has a NUL or a lone surrogate; plain text is accepted.")
        limits = [day_or_moment(name, value) for name, value in self._limits()]
        if len(limits) == 2 and type(limits[0]) is type(limits[1]) and limits[0] > limits[1]:
            raise Invalid(f"since {self.since} is after until {self.until}.")

    def _limits(self) -> list[tuple[str, str]]:
        both = (("since", self.since), ("until", self.until))
        return [(name, value) for name, value in both if value is not None]

    def said(self) -> dict[str, str]:
        """The filters as they are applied."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        if self.ticker:
            values["ticker"] = self.ticker.strip().upper()
        return values

    def matching(self, user_id: int, *, closed: bool) -> list[ColumnElement[bool]]:
        """Predicates on `Trade` but for status and mode; periods are by exit if `closed`,
        else by entry."""
        found: list[ColumnElement[bool]] = []
        if self.mode in ("live", "paper"):
            found.append(Trade.mode == self.mode)
        if self.ticker is not None:
            found.append(Trade.ticker == self.ticker.strip().upper())
        if self.strategy is not None:
            named = select(Strategy.name).where(
                Strategy.user_id == user_id, Strategy.name_key == name_key(self.strategy)
            )
            found.append(Trade.strategy == named.scalar_subquery())
        if self.account is not None:
            booked = select(Account.account_id).where(
                Account.user_id == user_id, Account.name_key == name_key(self.account)
            )
            found.append(Trade.account_id == booked.scalar_subquery())
        if self.option_type is not None:
            found.append(Trade.option_type == self.option_type)
        if self.structure is not None:
            found.append(Trade.structure == name_key(self.structure).replace(" ", "_"))
        if self.outcome is not None:
            found.append(Trade.outcome == self.outcome)
        return found + self._period(closed)

    def _period(self, closed: bool) -> list[ColumnElement[bool]]:
        found = []
        for name, value in self._limits():
            limit = day_or_moment(name, value)
            column: ColumnElement[Any]
            if isinstance(limit, datetime):
                column = Trade.closed_at if closed else Trade.opened_at  # type: ignore[assignment]
            else:
                column = Trade.closed_on if closed else Trade.opened_on  # type: ignore[assignment]
            found.append(column >= limit if name == "since" else column < limit)
        return found

    def in_status(self) -> list[ColumnElement[bool]]:
        """The statuses that a list of trades shows."""
        if self.status == "all":
            return []
        return [Trade.status == (self.status or "closed")]


def day_or_moment(name: str, value: str) -> date | datetime:
    """A bare date is a day of the market's zone; a moment needs its offset.

    Raises:
        Invalid: it is neither.
    """
    text = value.strip()
    try:
        if len(text) == len("2026-01-31"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1900 <= moment.year < 2200:
        raise Invalid(
            f"{name} is {text[:40]!r}; a day (2026-01-31) or a moment with its offset"
            " (2026-01-31T15:30:00-05:00) is accepted."
        )
    return moment


def question(
    *filters: str, first: Sequence[str] = ()
) -> Callable[[Callable[..., Awaitable[A]]], Callable[..., Awaitable[A]]]:
    """Make an async function of (session, filters, ...) a question with those `filters`.

    In its signature the filters named `first` lead, then come its own arguments, then the
    other filters. Unknown arguments raise TypeError, as for any function.
    """

    def make(function: Callable[..., Awaitable[A]]) -> Callable[..., Awaitable[A]]:
        session, _filters, *own = signature(function, eval_str=True).parameters.values()
        shared = {
            parameter.name: parameter.replace(kind=Parameter.KEYWORD_ONLY)
            for parameter in signature(Filters, eval_str=True).parameters.values()
            if parameter.name in (*first, *filters)
        }
        leading = [shared.pop(name) for name in first]
        kept = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
        asked = [*leading, *kept, *shared.values()]
        names = {parameter.name for parameter in (*leading, *shared.values())}
        result = signature(function, eval_str=True).return_annotation

        @wraps(function)
        async def ask(session: AsyncSession, **arguments: Any) -> A:
            # Blank is what some hosts send for an argument that is not given.
            given = {name: value for name, value in arguments.items() if value not in (None, "")}
            mine = Filters(**{name: given.pop(name) for name in names if name in given})
            return await function(session, mine, **given)

        ask.__signature__ = signature(function).replace(  # type: ignore[attr-defined]
            parameters=[session, *asked], return_annotation=result
        )
        ask.__annotations__ = {
            "session": AsyncSession,
            **{parameter.name: parameter.annotation for parameter in asked},
            "return": result,
        }
        return ask

    return make


def when(status: Status | None) -> ColumnElement[datetime]:
    """The moment by which trades of `status` are ordered: exit, or entry while open."""
    if status == "open":
        return Trade.opened_at.expression
    if status in (None, "closed"):
        return Trade.closed_at.expression  # type: ignore[return-value]
    return func.coalesce(Trade.closed_at, Trade.opened_at)


__all__ = ["Filters", "Status", "day_or_moment", "or_", "question", "when"]
