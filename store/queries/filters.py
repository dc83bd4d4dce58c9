"""The filters that questions share, and the decorator that gives a question its filters.

A question is an async function `(session, filters, own arguments) -> Answer`. `question`
names the filters it takes; they become its own keyword arguments, described once, here.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import ColumnElement, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Count, Day, Moment, Words
from store.errors import Invalid
from store.models import Account, Strategy, Trade
from store.queries.answer import Answer
from store.queries.remembering import answered
from store.queries.running import USER
from store.vocabulary import name_key, storable

A = TypeVar("A", bound=Answer)
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

    @property
    def shape(self) -> "Shape":
        """What kind of filters these are, whatever they say."""
        limits = {name: day_or_moment(name, value) for name, value in self._limits()}
        return Shape(
            given=frozenset(name for name in BOUND if getattr(self, name) is not None),
            mode=self.mode,
            status=self.status,
            by_moment=frozenset(
                name for name, limit in limits.items() if isinstance(limit, datetime)
            ),
            by_day=frozenset(
                name for name, limit in limits.items() if not isinstance(limit, datetime)
            ),
        )

    def values(self) -> dict[str, Any]:
        """What the parameters of the shape's predicates are."""
        found: dict[str, Any] = {
            name: KEPT.get(name, str)(value)
            for name in BOUND
            if (value := getattr(self, name)) is not None
        }
        return found | {name: day_or_moment(name, value) for name, value in self._limits()}

    def matching(self, user_id: int, *, closed: bool) -> list[ColumnElement[bool]]:
        """The predicates of the shape, with their values."""
        values = {"user_id": user_id, **self.values()}
        return self.shape.matching(closed=closed, values=values)

    def in_status(self) -> list[ColumnElement[bool]]:
        """The statuses that a list of trades shows."""
        return self.shape.in_status()


# Filters that are compared as they are kept.
BOUND = ("ticker", "strategy", "account", "option_type", "structure", "outcome")
KEPT: dict[str, Callable[[str], str]] = {
    "ticker": lambda word: word.strip().upper(),
    "strategy": name_key,
    "account": name_key,
    "structure": lambda word: name_key(word).replace(" ", "_"),
}
NO_VALUES: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Shape:
    """Which filters are given. One statement serves all of one shape: what they say are its
    parameters, named as the filters, and `user_id`."""

    given: frozenset[str] = frozenset()
    mode: str | None = None
    status: str | None = None
    by_moment: frozenset[str] = frozenset()
    by_day: frozenset[str] = frozenset()

    def matching(
        self, *, closed: bool, values: Mapping[str, Any] = NO_VALUES
    ) -> list[ColumnElement[bool]]:
        """Predicates on `Trade` but for status and book; periods are by exit if `closed`,
        else by entry. Their parameters have `values`, or get them when they are asked."""
        user = bindparam("user_id", values["user_id"], Count) if values else USER
        said = {name: bindparam(name, values.get(name), Words) for name in self.given}
        found: list[ColumnElement[bool]] = []
        if self.mode in ("live", "paper"):
            found.append(Trade.mode == self.mode)
        if "strategy" in said:
            named = select(Strategy.name).where(
                Strategy.user_id == user, Strategy.name_key == said["strategy"]
            )
            found.append(Trade.strategy == named.scalar_subquery())
        if "account" in said:
            booked = select(Account.account_id).where(
                Account.user_id == user, Account.name_key == said["account"]
            )
            found.append(Trade.account_id == booked.scalar_subquery())
        for name in ("ticker", "option_type", "structure", "outcome"):
            if name in said:
                found.append(getattr(Trade, name) == said[name])
        return found + self._period(closed, values)

    def _period(self, closed: bool, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
        moment: Any = Trade.closed_at if closed else Trade.opened_at
        day: Any = Trade.closed_on if closed else Trade.opened_on
        found = []
        for name in ("since", "until"):
            for column, names, kind in ((moment, self.by_moment, Moment), (day, self.by_day, Day)):
                if name in names:
                    limit = bindparam(name, values.get(name), kind())
                    found.append(column >= limit if name == "since" else column < limit)
        return found

    def in_status(self) -> list[ColumnElement[bool]]:
        return [] if self.status == "all" else [Trade.status == (self.status or "closed")]


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
            asked = (function.__name__, mine, repr(sorted(given.items())))
            return await answered(session, asked, lambda: function(session, mine, **given))

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
