"""What is said when a trade is recorded: trades, legs, fills, snapshots.

The same shapes come in through every door (Python, importers, command line). Numbers are
exact decimals; a float is refused, more digits than are kept are rounded half-even.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from store.columns import LARGEST, MONEY_DIGITS, PRICE_DIGITS, rounded
from store.vocabulary import storable, visible

FILLS_MAX = 10_000  # Of one leg.

Mode = Literal["paper", "live"]
Direction = Literal["bullish", "bearish", "neutral"]
Instrument = Literal["equity", "option", "future", "crypto"]
OptionType = Literal["call", "put"]
Side = Literal["buy", "sell"]
FillKind = Literal["trade", "expired", "assigned", "exercised", "settled"]
ExitReason = Literal[
    "target", "stop", "trailing_stop", "time", "signal", "manual", "expired", "assigned",
    "exercised", "settled", "other",
]  # fmt: skip


PLAIN_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")


def _exact(value: Any) -> Any:
    if isinstance(value, (float, bool)):
        raise ValueError("an exact decimal is needed (a string, an integer or a Decimal)")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, str) and not PLAIN_NUMBER.fullmatch(value):
        raise ValueError("a number such as 1234.56 is needed")
    return value


def _written_out(value: Any) -> Any:
    """A number would be taken for seconds since 1970, which nobody says of a trade."""
    if isinstance(value, date) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("a day or moment as ISO 8601 writes it is needed")


def _kept(digits: int) -> AfterValidator:
    def keep(value: Decimal) -> Decimal:
        largest = Decimal(LARGEST).scaleb(-digits)
        # abs() would round to what the context has room for, or overflow.
        if not value.is_finite() or value.copy_abs() > largest:
            raise ValueError(f"a number up to {largest:.0f} is needed")
        return rounded(value, digits)

    return AfterValidator(keep)


def _clean(value: str) -> str:
    """Single spaces, nothing that cannot be seen: names are compared and printed."""
    clean = " ".join(value.split())
    if any(letter < " " for letter in value) or visible(clean) != clean:
        raise ValueError("text without control characters or invisible ones is needed")
    return clean


def _text(value: str) -> str:
    if not storable(value):
        raise ValueError("text without NUL or lone surrogates is needed")
    return value


def _utc(at: datetime) -> datetime:
    """One moment is one value, whatever offset it was said with."""
    if not 1900 <= at.year < 2200:
        raise ValueError("a moment from 1900 to 2199 is needed")
    return at.astimezone(UTC)


# What JSON Schema has no word for is named by a format, or said by `decimals`.
Exact = Annotated[
    Decimal, BeforeValidator(_exact), BeforeValidator(_plain), _kept(PRICE_DIGITS),
    Field(json_schema_extra={"decimals": PRICE_DIGITS}),
]  # fmt: skip
Cash = Annotated[
    Decimal, BeforeValidator(_exact), BeforeValidator(_plain), _kept(MONEY_DIGITS),
    Field(json_schema_extra={"decimals": MONEY_DIGITS}),
]  # fmt: skip
# Text is a word here, whatever it looks like.
Fact = Annotated[
    Decimal,
    BeforeValidator(_exact),
    _kept(PRICE_DIGITS),
    Field(strict=True),
    WithJsonSchema(
        {
            "type": "number",
            "minimum": -(LARGEST // 10**PRICE_DIGITS),
            "maximum": LARGEST // 10**PRICE_DIGITS,
        }
    ),
]
Positive = Annotated[Exact, Field(gt=0)]
Score = Annotated[Exact, Field(ge=0, le=100)]
VISIBLE = Field(json_schema_extra={"format": "visible-text"})
Name = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=100), VISIBLE]
Ticker = Annotated[Name, AfterValidator(str.upper), Field(max_length=32)]
Text = Annotated[
    str, AfterValidator(_text), Field(min_length=1, max_length=20_000),
    Field(json_schema_extra={"format": "text"}),
]  # fmt: skip
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
Day = Annotated[date, BeforeValidator(_written_out)]
Reason = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=500), VISIBLE]


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FillEntry(Said):
    """One execution. `fee` is positive when it costs, negative when it is a rebate.

    `kind` is `trade` for a dealt price; `expired`, `assigned` and `exercised` close an
    option at 0, `settled` closes it in cash at intrinsic value.
    """

    side: Side
    quantity: Positive
    price: Exact
    filled_at: Moment
    fee: Cash = Decimal(0)
    kind: FillKind = "trade"
    execution_id: Name | None = None


class LegEntry(Said):
    """One instrument of a trade. `multiplier` is stored, never guessed: 100 for a standard
    option, 1 for a share or a coin; a future must say its own. `delivered` are shares that
    came by assignment or exercise of another leg: they are no part of the entry."""

    instrument: Instrument
    fills: tuple[FillEntry, ...] = Field(min_length=1, max_length=FILLS_MAX)
    option_type: OptionType | None = None
    strike: Positive | None = None
    expiry: Day | None = None
    multiplier: Positive | None = None
    symbol: Name | None = None
    # Left out where it is false: hashes of what was recorded before it existed stay.
    delivered: bool = Field(default=False, exclude_if=lambda delivered: not delivered)


class TradeEntry(Said):
    """A trade as it is recorded: everything known at entry, and its fills so far."""

    account: Name
    ticker: Ticker
    legs: tuple[LegEntry, ...] = Field(min_length=1, max_length=8)
    strategy: Name | None = None
    structure: Name | None = None
    direction: Direction | None = None
    stop_loss: Exact | None = None
    take_profit: Exact | None = None
    scanner_score: Score | None = None
    ai_score: Score | None = None
    delta: Annotated[Exact, Field(ge=-100_000, le=100_000)] | None = None
    gamma: Exact | None = None
    theta: Exact | None = None
    vega: Exact | None = None
    iv: Annotated[Exact, Field(ge=0, le=100)] | None = None
    conditions: dict[Name, Fact | Name] = Field(default_factory=dict, max_length=100)
    exit_reason: ExitReason | None = None
    source: Name = "manual"
    external_id: Name | None = None
    broker_order_id: Name | None = None
    stop_order_id: Name | None = None
    target_order_id: Name | None = None


class SnapshotEntry(Said):
    """The trade's net mark per unit and the underlying's price at a moment."""

    taken_at: Moment
    mark_price: Exact
    underlying_price: Annotated[Exact, Field(ge=0)] | None = None


class Accounting(Said):
    """Base of the ways in which a trade ends other than by dealing."""

    at: Moment


class ByFills(Said):
    """Closed by dealing: the closing fills by leg number."""

    fills: dict[int, tuple[FillEntry, ...]] = Field(min_length=1)


class LegPrice(Said):
    price: Exact
    fee: Cash = Decimal(0)


class ByPrices(Said):
    """Every open leg is dealt away whole at `at`: its price, and its fee, by leg number."""

    at: Moment
    prices: dict[int, LegPrice] = Field(min_length=1)


class ByExpiry(Accounting):
    """Every open option expires worthless at `at`."""


class BySettlement(Accounting):
    """Every open option is settled in cash at intrinsic value for `underlying_price`."""

    underlying_price: Annotated[Exact, Field(ge=0)]


class ByDelivery(Accounting):
    """One option leg is assigned (if short) or exercised (if long): it closes at 0 and the
    shares are traded at the strike inside the same trade, which lives until it is flat."""

    leg: int
    quantity: Positive | None = None
    fee: Cash = Decimal(0)


Ending = ByFills | ByPrices | ByExpiry | BySettlement | ByDelivery
