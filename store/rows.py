"""A trade as the rows of its tables. Pure: what is inserted, and what follows from it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from store.audit import Command
from store.derived import ENDS, Leg, facts, leg_of
from store.errors import Invalid
from store.models import Account
from store.records import TradeEntry
from store.vocabulary import name_key

SAID = (
    "ticker", "stop_loss", "take_profit", "scanner_score", "ai_score", "delta", "gamma",
    "theta", "vega", "iv", "stop_order_id", "target_order_id", "source",
)  # fmt: skip
EXTERNAL = ("external_id", "broker_order_id")


def worked_out(entry: TradeEntry, account: Account) -> tuple[list[Leg], dict[str, Any]]:
    """The legs of `entry`, and every column of its trade that follows from them.

    Raises:
        Invalid: the legs and fills do not make a trade.
    """
    legs = [leg_of(index, leg) for index, leg in enumerate(entry.legs, start=1)]
    derived = facts(
        legs,
        zone=account.zone,
        tolerance=account.tolerance,
        stop_loss=entry.stop_loss,
        direction=entry.direction,
        structure=entry.structure and name_key(entry.structure).replace(" ", "_"),
        exit_reason=entry.exit_reason,
    )
    return legs, derived


def trade_row(
    command: Command,
    account: Account,
    entry: TradeEntry,
    number: int,
    strategy: str | None,
    derived: Mapping[str, Any],
) -> dict[str, Any]:
    """The row of an open trade. What only its end has, and the ids of others, are set with
    `external_ids(entry) | derived` when its parts are there: that is what locks it."""
    so_far = [name for name in derived if name not in ENDS]
    return {
        "user_id": account.user_id,
        "number": number,
        "account_id": account.account_id,
        "mode": account.mode,
        "currency": account.currency,
        "strategy": strategy,
        "recorded_at": command.made_at,
        **{name: getattr(entry, name) for name in SAID},
        **{name: derived[name] for name in so_far},
        "status": "open",  # Whatever the derived one is.
    }


def external_ids(entry: TradeEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in EXTERNAL}


def leg_rows(user_id: int, number: int, legs: Sequence[Leg]) -> list[dict[str, Any]]:
    return [
        {
            "user_id": user_id,
            "trade_number": number,
            "leg_number": leg.number,
            "instrument": leg.instrument,
            "symbol": leg.symbol,
            "option_type": leg.option_type,
            "strike": leg.strike,
            "expiry": leg.expiry,
            "multiplier": leg.multiplier,
            "delivered": int(leg.delivered),
        }
        for leg in legs
    ]


def fill_rows(
    user_id: int, number: int, legs: Sequence[Leg], there: Mapping[int, int]
) -> list[dict[str, Any]]:
    """The fills of `legs` but for the first ones, as many by leg as are `there`."""
    return [
        {
            "user_id": user_id,
            "trade_number": number,
            "leg_number": leg.number,
            "fill_number": index,
            **dict(fill),
        }
        for leg in legs
        for index, fill in enumerate(leg.fills, start=1)
        if index > there.get(leg.number, 0)
    ]


def condition_rows(user_id: int, number: int, entry: TradeEntry) -> list[dict[str, Any]]:
    """
    Raises:
        Invalid: two names of conditions are the same.
    """
    named: dict[str, Decimal | str] = {}
    for name, value in entry.conditions.items():
        if named.setdefault(name_key(name), value) is not value:
            raise Invalid(f"The condition {name_key(name)} is said twice.")
    return [
        {
            "user_id": user_id,
            "trade_number": number,
            "name": name,
            "word": None if isinstance(value, Decimal) else value,
            "number": value if isinstance(value, Decimal) else None,
        }
        for name, value in named.items()
    ]
