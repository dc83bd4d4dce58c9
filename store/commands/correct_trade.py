"""Restate a closed trade, by what was wrong in it."""

import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from store import corrections
from store.commands.command import Key, Reason, TradeNumber, command
from store.commands.flat import (
    NONE,
    OF_A_LEG,
    PLAIN,
    FlatTrade,
    facts_of,
    fill_of,
    in_words,
    leg_of,
    legs_of,
    moment,
    when_of,
    zone_of,
)
from store.commands.stored import stored_entry
from store.commands.written import Written, whole, written
from store.derived import plain
from store.errors import Conflict, Invalid
from store.importers.generic_csv import CONDITION, FACTS
from store.importers.table import Row
from store.importers.values import built
from store.recording import require_trade
from store.records import FillEntry, LegEntry, TradeEntry
from store.statements.refusing import Refused
from store.vocabulary import name_key

CLEARED = (
    *FACTS, "strategy", "structure", "stop_order_id", "target_order_id", "exit_reason",
)  # fmt: skip
FILL_GRAMMAR = (
    "a leg's number, buy or sell, quantity, @ and price, fee where known, at and the moment:"
    " '1 buy 100 @ 10.50 fee 1 at 2026-01-05T10:15:00-05:00', then expired, assigned, exercised"
    " or settled if it was not dealt"
)
FILL = re.compile(
    r"(?P<leg>[1-8]) (?P<side>buy|sell) (?P<quantity>\S+) @ ?(?P<price>\S+)"
    r"(?: fee (?P<fee>\S+))? at (?P<filled_at>\S+)"
    r"(?: (?P<kind>expired|assigned|exercised|settled))?",
    re.IGNORECASE,
)
MOMENTS = ("opened_at", "closed_at")
OPTION = ("instrument", "option_type", "strike", "expiry", "multiplier")


@command()
async def correct_trade(
    session: AsyncSession,
    number: TradeNumber,
    reason: Reason,
    trade: FlatTrade,
    fills: Annotated[
        list[str] | NONE,
        Field(
            description="All fills anew, by leg: '1 buy 100 @ 10.50 fee 1 at"
            " 2026-01-05T10:15:00-05:00'; expired, settled ... may follow"
        ),
    ] = None,
    clear: Annotated[
        list[str] | NONE, Field(description="Fields to empty, e.g. stop_loss, condition.NAME")
    ] = None,
    key: Key = None,
    *,
    author: str,
) -> Written:
    """Correct a closed trade: give only the fields that were wrong. A complete restatement with
    its own number takes its place; the old one stays readable. Where there were several fills,
    give them all anew by fills, or by legs. Try dry_run first: changes shows what
    differs. Never to improve a result, nor with hindsight. A retry is refused as superseded, or
    answered if it has the same key."""
    before = await whole(session, number)
    old = await require_trade(session, number)
    if old.status == "open":
        raise Conflict(
            f"Trade {number} is open; only a closed trade is corrected. One recorded wrongly is"
            " voided (void_trade) and recorded anew."
        )
    entry = await stored_entry(session, old)
    try:
        zone = await zone_of(session, trade.zone, trade.account or entry.account)
        new = restated(entry, trade, fills or [], clear or [], zone, number)
    except Refused as refused:
        raise in_words(refused) from None
    if new == entry:
        raise Invalid(f"Nothing of this differs from trade {number}; say what was wrong in it.")
    recorded = await corrections.correct_trade(
        session, number, new, reason=reason, key=key, author=author
    )
    return await written(session, recorded, "Trade corrected", corrected=before)


def restated(
    entry: TradeEntry,
    said: FlatTrade,
    fills: Sequence[str],
    clear: Sequence[str],
    zone: ZoneInfo | None,
    number: int,
) -> TradeEntry:
    """`entry` with what is said in place of what it has."""
    row = said.row()
    values: dict[str, Any] = {name: getattr(entry, name) for name in TradeEntry.model_fields}
    conditions = dict(entry.conditions)
    for name in clear:
        _empty(name, values, conditions)
    facts = facts_of(row)
    values |= facts | {"conditions": conditions | facts.get("conditions", {})}
    beside = next((name for name in (*OF_A_LEG, *MOMENTS) if row.text(name)), None)
    if fills:
        if beside or said.legs:
            raise Refused(beside or "legs", row.text(beside or ""), "fills say it already")
        values["legs"] = refilled(entry, fills, zone)
    elif beside or said.legs:
        values["legs"] = restated_legs(entry, said, row, zone, number)
    return built(TradeEntry, {}, row, **values)


def _empty(name: str, values: dict[str, Any], conditions: dict[str, Any]) -> None:
    if name in CLEARED:
        values[name] = None
        return
    key = name_key(name.removeprefix(CONDITION))
    if not name.startswith(CONDITION) or key not in conditions:
        accepted = ", ".join((*CLEARED, *(f"{CONDITION}{one}" for one in conditions)))
        raise Refused("clear", name, f"accepted are {accepted}")
    del conditions[key]


def restated_legs(
    entry: TradeEntry, said: FlatTrade, row: Row, zone: ZoneInfo | None, number: int
) -> tuple[LegEntry, ...]:
    """The legs as they should have been: said anew, or the only one with what is changed.

    Raises:
        Invalid: there are several legs or fills, so that a single price says too little.
    """
    fills = sorted(
        (fill for leg in entry.legs for fill in leg.fills), key=lambda fill: fill.filled_at
    )
    moments = {
        "opened_at": fills[0].filled_at.isoformat(),
        "closed_at": fills[-1].filled_at.isoformat(),
    }
    known = Row(0, moments | row.fields)
    if said.legs:
        return legs_of(said, known, zone)
    if len(entry.legs) > 1 or len(fills) != 2:
        raise Invalid(
            f"Trade {number} has {len(entry.legs)} legs and {len(fills)} fills; give them all anew"
            " by fills, or by legs, each with its entry and its exit."
        )
    [leg], (first, last) = entry.legs, fills
    again = leg_of(Row(0, as_said(leg, first, last, row) | known.fields), when_of(known, zone))
    dealt_otherwise = row.text("exit_price") or row.text("exit_reason")
    kept = {"execution_id": last.execution_id} | ({} if dealt_otherwise else {"kind": last.kind})
    exits = again.fills[1].model_copy(update=kept)
    entered = again.fills[0].model_copy(update={"execution_id": first.execution_id})
    return (again.model_copy(update={"fills": (entered, exits), "symbol": leg.symbol}),)


def refilled(entry: TradeEntry, said: Sequence[str], zone: ZoneInfo | None) -> tuple[LegEntry, ...]:
    """The legs, with the fills that are said in place of theirs."""
    fills: dict[int, list[FillEntry]] = defaultdict(list)
    for text in said:
        found = FILL.fullmatch(" ".join(text.split()))
        if found is None:
            raise Refused("fills", text, f"accepted is {FILL_GRAMMAR}")
        words = {name: value for name, value in found.groupdict().items() if value}
        row = Row(0, words)
        try:
            fill = fill_of(
                row, PLAIN, words["side"].lower(), moment(row, "filled_at", zone),
                kind=words.get("kind", "trade").lower(),
            )  # fmt: skip
        except Refused as refused:
            raise Refused("fills", text, f"{in_words(refused)}".rstrip(".")) from None
        fills[int(words["leg"])].append(fill)
    if set(fills) != set(range(1, len(entry.legs) + 1)):
        raise Refused("fills", "", f"each of the {len(entry.legs)} legs needs its own")
    return tuple(
        leg.model_copy(update={"fills": tuple(known(fill, leg) for fill in fills[number])})
        for number, leg in enumerate(entry.legs, start=1)
    )


def known(fill: FillEntry, leg: LegEntry) -> FillEntry:
    """The fill, with the broker's id of the one that `leg` has at the same moment."""
    ids = [
        one.execution_id
        for one in leg.fills
        if (one.side, one.filled_at) == (fill.side, fill.filled_at)
    ]
    return fill.model_copy(update={"execution_id": ids[0]}) if len(ids) == 1 else fill


def as_said(leg: LegEntry, first: FillEntry, last: FillEntry, row: Row) -> dict[str, str]:
    """The fields of a leg as a trade said flatly has them; another instrument has its own."""
    said: dict[str, Any] = {
        "side": "long" if first.side == "buy" else "short",
        "quantity": first.quantity,
        "entry_price": first.price,
        "entry_fee": first.fee,
        "exit_price": last.price,
        "exit_fee": last.fee,
    }
    if not row.text("instrument"):
        said |= {name: getattr(leg, name) for name in OPTION}
    return {name: words(value) for name, value in said.items() if value is not None}


def words(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
