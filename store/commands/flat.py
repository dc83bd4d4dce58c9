"""A trade said flatly, as a person types it or an agent fills it in: plain values, one level.

One instrument is said by plain fields, several by `legs`, a short text each. Numbers and
moments are text until they are read here, so that nothing passes through binary fractions.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import require_account
from store.errors import Invalid
from store.importers.generic_csv import CONDITION, FACTS, instrument_of, kind_of
from store.importers.table import Row
from store.importers.values import MOMENT, NUMBER, built, day, number, word, zone_named
from store.importers.values import moment as read_moment
from store.recording import LEGS_MAX
from store.records import ExitReason, FillEntry, Instrument, LegEntry, OptionType, TradeEntry
from store.statements.refusing import Refused, printable
from store.vocabulary import name_key

NONE = SkipJsonSchema[None]
DIGITS_EXACT = 15  # As many as survive a binary fraction.
ACCOUNT_ZONE = "account"

NAMES = (
    "account", "ticker", "strategy", "structure", "external_id", "broker_order_id",
    "stop_order_id", "target_order_id",
)  # fmt: skip
OF_A_LEG = (
    "side", "quantity", "entry_price", "entry_fee", "exit_price", "exit_fee", "instrument",
    "option_type", "strike", "expiry", "multiplier",
)  # fmt: skip
ENTRY = {"price": "entry_price", "filled_at": "opened_at", "fee": "entry_fee"}
PLAIN = {"price": "price", "filled_at": "filled_at", "fee": "fee"}
EXIT = {"price": "exit_price", "filled_at": "closed_at", "fee": "exit_fee"}

LEG_GRAMMAR = (
    "'sell 1 put 450 2026-01-16 @ 2.15 fee 0.65 exit 0.40 fee 0.65': buy or sell, quantity, then"
    " call or put with strike and expiry, or shares, crypto or future; x50 for a multiplier; @ and"
    " the price; fee, exit and the exit's fee where known"
)
LEG = re.compile(
    r"(?P<side>buy|sell) (?P<quantity>\S+)"
    r" (?:(?P<option_type>call|put) (?P<strike>\S+) (?P<expiry>\S+)"
    r"|(?P<instrument>shares|crypto|future))"
    r"(?: x(?P<multiplier>\S+))?"
    r" @ ?(?P<entry_price>\S+)(?: fee (?P<entry_fee>\S+))?"
    r"(?: exit (?P<exit_price>\S+)(?: fee (?P<exit_fee>\S+))?)?",
    re.IGNORECASE,
)


def number_text(value: Any) -> Any:
    """A number as it was written, though JSON's arrive as binary fractions: the shortest text
    of such a one is what was written, up to 15 digits.

    Raises:
        ValueError: it is no number, or may have been another one.
    """
    if isinstance(value, bool):
        raise ValueError("a number is accepted")
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float):
        return value
    if not isfinite(value):
        raise ValueError("a finite number is accepted")
    if len(Decimal(repr(value)).normalize().as_tuple().digits) > DIGITS_EXACT:
        raise ValueError(f"a number of more than {DIGITS_EXACT} digits is accepted as text only")
    return repr(value)


Number = Annotated[
    str | NONE, BeforeValidator(number_text), WithJsonSchema({"type": "number"}), Field()
]
ExitFor = Annotated[ExitReason | NONE, Field(description="Why it ended")]
Zone = Annotated[
    str | NONE,
    Field(description="Of moments without offset: account (its market zone) or an IANA name"),
]
At = Annotated[str | NONE, Field(description="2026-01-05T10:15:00-05:00")]


@dataclass(frozen=True, kw_only=True)
class FlatTrade:
    """What may be said of a trade. Unless `legs` says them, the fields of a leg are those of
    its only one."""

    account: str | NONE = None
    ticker: Annotated[str | NONE, Field(description="Underlying")] = None
    opened_at: At = None
    side: Annotated[Literal["long", "short"] | NONE, Field(description="Default: long")] = None
    quantity: Annotated[Number, Field(description="Shares or contracts, above 0")] = None
    entry_price: Annotated[Number, Field(description="Per share or unit of the premium")] = None
    entry_fee: Annotated[Number, Field(description="Above 0 when it cost")] = None
    closed_at: At = None
    exit_price: Number = None
    exit_fee: Number = None
    exit_reason: ExitFor = None
    instrument: Annotated[
        Instrument | NONE, Field(description="Default: option if option_type is given, else equity")
    ] = None
    option_type: OptionType | NONE = None
    strike: Number = None
    expiry: Annotated[str | NONE, Field(description="2026-01-16")] = None
    multiplier: Annotated[Number, Field(description="A future needs it; options: 100")] = None
    legs: Annotated[
        list[str] | NONE,
        Field(
            description="Instead of side to multiplier, for a spread: 'sell 1 put 450 2026-01-16"
            " @ 2.15 fee 0.65', 'buy 100 shares @ 50'; 'exit 0.40 fee 0.65' may follow"
        ),
    ] = None
    strategy: str | NONE = None
    structure: Annotated[str | NONE, Field(description="Default: worked out")] = None
    stop_loss: Annotated[Number, Field(description="As set at entry")] = None
    take_profit: Number = None
    scanner_score: Number = None
    ai_score: Number = None
    delta: Number = None
    gamma: Number = None
    theta: Number = None
    vega: Number = None
    iv: Annotated[Number, Field(description="0.3 = 30 %")] = None
    conditions: Annotated[
        list[str] | NONE, Field(description="Other facts known at entry: name=value")
    ] = None
    external_id: str | NONE = None
    broker_order_id: str | NONE = None
    stop_order_id: str | NONE = None
    target_order_id: str | NONE = None
    zone: Zone = None

    def row(self) -> Row:
        """What is said, by name; conditions as `condition.NAME`.

        Raises:
            Refused: a condition is not name=value.
        """
        plain = {name: value for name, value in vars(self).items() if isinstance(value, str)}
        return Row(0, plain | dict(_conditions(self.conditions or ())))


def _conditions(said: Iterable[str]) -> Iterable[tuple[str, str]]:
    seen = set()
    for one in said:
        name, sign, value = one.partition("=")
        key = name_key(name)
        if not (sign and key and value.strip()):
            raise Refused("conditions", one, "name=value is accepted, such as regime=trending")
        if key in seen:
            raise Refused("conditions", one, "the same name is there twice")
        seen.add(key)
        yield CONDITION + key, value


async def zone_of(session: AsyncSession, zone: str | None, account: str) -> ZoneInfo | None:
    """Whose clock shows the moments that have no offset; None if they need one."""
    if zone is None:
        return None
    if name_key(zone) == ACCOUNT_ZONE:
        return ZoneInfo((await require_account(session, account)).zone)
    return zone_named(zone)


async def entry_of(session: AsyncSession, said: FlatTrade) -> TradeEntry:
    """The trade that is said.

    Raises:
        Invalid: a field is missing or refused; the message names it.
    """
    zone = await zone_of(session, said.zone, said.account or "")
    try:
        row = said.row()
        legs = legs_of(said, row, zone)
        return built(TradeEntry, {}, row, **facts_of(row), legs=legs)
    except Refused as refused:
        raise in_words(refused) from None


def in_words(refused: Refused) -> Invalid:
    """What was refused, as callers read it who know no rows."""
    field, value = printable(refused.column), printable(refused.value)
    said = f"{field} is '{value}'; " if value else f"{field}: "
    return Invalid(f"{said}{refused.reason}.")


def facts_of(row: Row) -> dict[str, Any]:
    """The fields of a trade but for its legs, as far as they are said."""
    conditions = {
        name.removeprefix(CONDITION): Decimal(text) if NUMBER.fullmatch(text) else text
        for name in row.fields
        if name.startswith(CONDITION) and (text := row.text(name))
    }
    facts = {
        **{name: row.text(name) or None for name in NAMES},
        **{name: number(row, name) for name in FACTS},
        "exit_reason": word(row, "exit_reason", get_args(ExitReason)),
        "conditions": conditions,
    }
    return {name: value for name, value in facts.items() if value not in (None, {})}


@dataclass(frozen=True)
class When:
    """When a trade began and, if it did, ended, and why."""

    opened_at: datetime
    closed_at: datetime | None
    exit_reason: str | None


def legs_of(said: FlatTrade, row: Row, zone: ZoneInfo | None) -> tuple[LegEntry, ...]:
    """The legs with their entries, and their exits if the trade is said with them."""
    when = when_of(row, zone)
    legs = spoken_legs(said.legs, row, when) if said.legs else (leg_of(row, when),)
    if when.closed_at is None and when.exit_reason is not None:
        raise Refused("exit_reason", row.text("exit_reason"), "only a trade with an exit has one")
    if when.closed_at is not None and all(len(leg.fills) == 1 for leg in legs):
        raise Refused("exit_price", "", "closed_at needs one, of each leg where there are several")
    return legs


def when_of(row: Row, zone: ZoneInfo | None) -> When:
    opened_at, closed_at = moment(row, "opened_at", zone), moment(row, "closed_at", zone)
    if opened_at is None:
        raise Refused("opened_at", "", "the moment of entry is needed")
    if closed_at is not None and closed_at < opened_at:
        raise Refused("closed_at", row.text("closed_at"), "it is before opened_at")
    return When(opened_at, closed_at, word(row, "exit_reason", get_args(ExitReason)))


def moment(row: Row, name: str, zone: ZoneInfo | None) -> datetime | None:
    """A moment in UTC; one without offset needs a zone."""
    found = MOMENT.fullmatch(row.text(name))
    if found and not found[3] and zone is None:
        raise Refused(
            name, row.text(name),
            "it has no offset from UTC: add it (-05:00), or say whose clock it is by zone",
        )  # fmt: skip
    return read_moment(row, name, zone)


def spoken_legs(said: Sequence[str], row: Row, when: When) -> tuple[LegEntry, ...]:
    if beside := next((name for name in OF_A_LEG if row.text(name)), None):
        raise Refused(beside, row.text(beside), "beside legs each leg says its own")
    if len(said) > LEGS_MAX:
        raise Refused("legs", f"{len(said)} legs", f"1 to {LEGS_MAX} are accepted")
    return tuple(spoken_leg(place, text, when) for place, text in enumerate(said, start=1))


def spoken_leg(place: int, text: str, when: When) -> LegEntry:
    """A leg said in words, as `LEG_GRAMMAR` has it."""
    found = LEG.fullmatch(" ".join(text.split()))
    if found is None:
        raise Refused(f"leg {place}", text, f"accepted is {LEG_GRAMMAR}")
    said = {name: value.lower() for name, value in found.groupdict().items() if value}
    said["side"] = "long" if said["side"] == "buy" else "short"
    if said.get("instrument") == "shares":
        said["instrument"] = "equity"
    try:
        return leg_of(Row(0, said), when)
    except Refused as refused:
        raise Refused(f"leg {place}", text, f"{in_words(refused)}".rstrip(".")) from None


def leg_of(row: Row, when: When) -> LegEntry:
    """The leg that the fields of `row` say."""
    instrument = instrument_of(row)
    short = word(row, "side", ("long", "short")) == "short"
    fills = [fill_of(row, ENTRY, "sell" if short else "buy", when.opened_at)]
    if (exit_price := number(row, "exit_price")) is not None:
        if when.closed_at is None:
            raise Refused("closed_at", "", "an exit price needs it")
        kind = kind_of(instrument, exit_price, when.exit_reason)
        fills.append(fill_of(row, EXIT, "buy" if short else "sell", when.closed_at, kind=kind))
    elif row.text("exit_fee"):
        raise Refused("exit_fee", row.text("exit_fee"), "only a leg with an exit price has one")
    return built(
        LegEntry,
        {},
        row,
        instrument=instrument,
        fills=tuple(fills),
        option_type=word(row, "option_type", ("call", "put")),
        strike=number(row, "strike"),
        expiry=day(row, "expiry"),
        multiplier=number(row, "multiplier"),
    )


def fill_of(
    row: Row, fields: Mapping[str, str], side: str, filled_at: datetime | None, **more: Any
) -> FillEntry:
    """One execution; `fields` names where its price and fee are said."""
    price, quantity = number(row, fields["price"]), number(row, "quantity")
    if quantity is None:
        raise Refused("quantity", "", "a number above 0 is needed")
    if price is None:
        raise Refused(fields["price"], "", "a price is needed")
    fee = number(row, fields["fee"]) or Decimal(0)
    return built(
        FillEntry, fields, row, side=side, quantity=quantity, price=price, filled_at=filled_at,
        fee=fee, **more,
    )  # fmt: skip
