"""What every answer carries: a summary, its scope, its evidence, where it comes from.

Money is a decimal string, ratios are rounded to 4 digits, what is not defined is null:
never NaN or Infinity. The structured form and the text stand alone and say the same.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from store.stats import Sums, measures
from store.vocabulary import visible

DEFINITIONS = "2"  # Version of what win, net P&L and the rest mean; see EVIDENCE in the docs.

Evidence = Literal[
    "none", "insufficient", "descriptive", "confirmed", "supported", "suggestive", "faded",
    "wins_but_loses_money", "loses_often_but_makes_money",
]  # fmt: skip


def moment_now() -> datetime:
    """Now, to the second, as answers say it."""
    return datetime.now(UTC).replace(microsecond=0)


def money(value: Decimal | str | None) -> str | None:
    """Exact, with at least two decimals: 408 is "408.00", 0.125 is "0.125"."""
    if value is None or isinstance(value, str):
        return value
    plain = format(value.normalize() + 0, "f")
    whole, _, decimals = plain.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def plain(value: Decimal | str | None) -> str | None:
    """Exact, without trailing zeros."""
    return value if value is None or isinstance(value, str) else format(value.normalize() + 0, "f")


def ratio(value: float | None) -> float | None:
    if value is None or not isfinite(value):
        return None
    return round(value, 4) + 0.0  # Never -0.0.


T = TypeVar("T")
Money = Annotated[str, BeforeValidator(money)]
MoneyOrNone = Annotated[str | None, BeforeValidator(money)]
Plain = Annotated[str, BeforeValidator(plain)]
PlainOrNone = Annotated[str | None, BeforeValidator(plain)]
# Rounded as it leaves, so that nothing is computed from a rounded ratio.
Ratio = Annotated[float | None, PlainSerializer(ratio, when_used="json")]
# For what is left out of an answer when there is nothing to say.
Optional = Annotated[T | None, Field(default=None, exclude_if=lambda value: value is None)]


class Shown(BaseModel):
    """What an agent is shown. Names in it are the words of users, files and other clients
    of the database: what a reader would not see, a model does not get either."""

    # One for all fields: one for each would have to be built for each before a server answers.
    @model_validator(mode="after")
    def _seen(self) -> Self:
        said = vars(self)
        for name, value in said.items():
            if isinstance(value, str):
                said[name] = visible(value)
            elif isinstance(value, list) and value and isinstance(value[0], str):
                said[name] = [visible(one) for one in value]
        return self


class Part(Shown):
    """A piece of an answer."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Scope(Part):
    """Which trades the answer is about, and which it leaves out."""

    filters: dict[str, str]
    mode: Literal["paper", "live", "all"] | None
    currency: str | None
    zone: str | None
    first: date | None
    last: date | None
    trades: int
    left_out: list[str]


class Provenance(Part):
    as_of: AwareDatetime
    last_closed: AwareDatetime | None
    definitions: str = DEFINITIONS


class Counts(Part):
    """Counts and win rate of a group, with its 95 % interval for trades that depend on each
    other."""

    n: int
    wins: int
    losses: int
    breakevens: int
    win_rate: Ratio
    win_rate_low: Ratio
    win_rate_high: Ratio


class Rate(Counts):
    """A group's money beside its win rate; `dependence` says where that could not be judged."""

    win_rate_all: Ratio
    net_pnl: Money
    expectancy: MoneyOrNone
    dependence: Optional[str]

    @classmethod
    def of(cls, sums: Sums, **more: Any) -> Self:
        found = measures(sums)
        unjudged = sums.n and not found.dependence_judged
        return cls(
            **{**vars(sums), **vars(found)},
            dependence="unjudged: fewer than 5 weeks" if unjudged else None,
            **more,
        )

    def said(self) -> str:
        """The win rate in words, with n and interval."""
        if self.win_rate is None or self.win_rate_low is None or self.win_rate_high is None:
            return f"no decided trade (n={self.n})"
        return (
            f"win rate {self.win_rate:.1%} (n={self.n}, 95% {self.win_rate_low:.1%}"
            f" to {self.win_rate_high:.1%})"
        )


class Totals(Rate):
    """All of a group's money."""

    gross_pnl: Money
    fees: Money
    expectancy_low: MoneyOrNone
    expectancy_high: MoneyOrNone
    profit_factor: Ratio
    profit_factor_low: Ratio
    profit_factor_high: Ratio
    profit_factor_reason: Optional[str]
    payoff_ratio: Ratio


class Told(Shown):
    """What an agent is told, in fields that begin with one sentence."""

    summary: str

    def text(self) -> str:
        """The whole answer in few lines: the summary, then every field."""
        fields = self.model_dump(mode="json")
        return "\n".join([fields.pop("summary"), *_lines(fields)])


class Answer(Told):
    """The frame of every answer; a question adds its own fields between."""

    evidence: Evidence
    scope: Scope
    provenance: Provenance


def _lines(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = list(dict.fromkeys(key for row in value for key in row))
            yield f"{name}: {' | '.join(columns)}"
            for row in value:
                yield "- " + " | ".join(_word(row.get(column)) for column in columns)
        else:
            yield f"{name}: {_word(value)}"


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{_word(key)} {_word(inner)}" for key, inner in value.items()) or "-"
    if isinstance(value, list):
        return "; ".join(map(_word, value)) or "-"
    word = str(value)
    # What would pass for a line or a column of the answer is quoted.
    return json.dumps(word, ensure_ascii=False) if "\n" in word or "|" in word else word
