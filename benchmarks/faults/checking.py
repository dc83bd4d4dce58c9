"""Does the ledger hold what its callers were told, once, whole, and nothing else?

What ought to be stored is worked out from the commands alone, and the money from the cash
flows of the fills, so that no code of the store vouches for itself. (The hash of an audit
entry is the documented one.)
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Row, select
from sqlalchemy.orm import DeclarativeBase

from benchmarks.faults.commands import Said
from store.audit import FIRST, Recorded, entry_hash
from store.database import Store
from store.models import (
    AuditEntry,
    Condition,
    Correction,
    Fill,
    Leg,
    Note,
    Point,
    Request,
    Trade,
    User,
)

PARTS: dict[str, type[DeclarativeBase]] = {
    "legs": Leg, "fills": Fill, "conditions": Condition, "snapshots": Point, "notes": Note,
}  # fmt: skip
UNKEYED = ("add_user", "put_account")  # Which make the place that is recorded to.

T = TypeVar("T")


class Contradiction(Exception):  # noqa: N818
    """The ledger, or a call, is not as it was promised to be."""


@dataclass(frozen=True)
class Stored:
    """Every row of one user, of one moment."""

    user: Row[Any]
    trades: dict[int, Row[Any]]
    requests: dict[str, Row[Any]]
    audit: Sequence[Row[Any]]
    corrections: dict[int, Row[Any]]
    parts: dict[str, Sequence[Row[Any]]]


async def check(store: Store, user_id: int, said: Sequence[Said]) -> None:
    """Hold the ledger of a user who only ever said `said` against it.

    A command without an answer may have been recorded or not, but not in part. Commands
    about one trade are in the order they were given.

    Raises:
        Contradiction: the first thing that is not as it has to be.
    """
    stored = await read(store, user_id)
    require_acknowledged(stored, said)
    landed = [one for one in heard(stored, said) if one.answer]
    require_explained(stored, landed)
    require_whole(stored, landed)
    require_money(stored)
    require_record(stored)


async def read(store: Store, user_id: int) -> Stored:
    async with store.read(user_id) as session:

        async def rows(model: type[DeclarativeBase]) -> Sequence[Row[Any]]:
            table = model.__table__
            mine = select(table).where(table.c.user_id == user_id)
            return (await session.execute(mine.order_by(*table.primary_key))).all()

        (user,) = await rows(User)
        return Stored(
            user=user,
            trades={trade.number: trade for trade in await rows(Trade)},
            requests={request.request_key: request for request in await rows(Request)},
            audit=await rows(AuditEntry),
            corrections={correction.number: correction for correction in await rows(Correction)},
            parts={name: await rows(model) for name, model in PARTS.items()},
        )


def require_acknowledged(stored: Stored, said: Sequence[Said]) -> None:
    """What a caller was told is stored, as it was told."""
    for one in said:
        if one.answer is None:
            continue
        key = one.command.key
        if key not in stored.requests:
            raise Contradiction(f"{key} was acknowledged and is not stored.")
        answer = replace(one.answer, replayed=False)
        require_equal(f"The answer kept for {key}", answered(stored.requests[key]), answer)
        for number in (answer.number, answer.next_number):
            if number is not None and number not in stored.trades:
                raise Contradiction(f"Trade {number}, acknowledged to {key}, is lost.")


def heard(stored: Stored, said: Sequence[Said]) -> Iterator[Said]:
    """The same commands, with the answers that those without one would have got."""
    for one in said:
        request = stored.requests.get(one.command.key)
        yield replace(one, answer=answered(request) if request else None)


def answered(request: Row[Any]) -> Recorded:
    return Recorded(**json.loads(request.result))


def require_explained(stored: Stored, landed: Sequence[Said]) -> None:
    """Every key and every trade is some command's, every number is used, each once."""
    keys = [one.command.key for one in landed]
    for key in stored.requests.keys() - set(keys):
        raise Contradiction(f"{key} is stored, but nobody said it.")
    require_equal("The number of keys", len(stored.requests), len(keys))
    made = Counter(number for one in landed for number in numbers_made(one))
    for number in stored.trades:
        if made[number] != 1:
            raise Contradiction(f"Trade {number} is stored; {made[number]} commands recorded it.")
    require_equal("The trades' numbers", list(stored.trades), up_to(stored.user.last_trade))


def numbers_made(one: Said) -> list[int]:
    """The trades that a command recorded."""
    if one.answer is None:
        return []
    first = [one.answer.number] if one.command.name in ("open_trade", "correct_trade") else []
    return first + ([one.answer.next_number] if one.answer.next_number else [])


def require_whole(stored: Stored, landed: Sequence[Said]) -> None:
    """Every trade has the parts and the status that its commands gave it."""
    expected: Counter[tuple[int, str]] = Counter()
    status: dict[int, str] = {}
    reasons = []
    for one in landed:
        expected.update(parts_given(one))
        status |= status_given(one)
        if one.command.name in ("correct_trade", "void_trade"):
            reasons.append(one.command.arguments["number"])
    found = Counter((row.trade_number, name) for name, rows in stored.parts.items() for row in rows)
    for number, name in sorted(expected | found):
        what = f"The number of {name} of trade {number}"
        require_equal(what, found[number, name], expected[number, name])
    for number, trade in stored.trades.items():
        require_equal(f"The status of trade {number}", trade.status, status[number])
    require_equal("The corrected trades", sorted(stored.corrections), sorted(reasons))


def parts_given(one: Said) -> dict[tuple[int, str], int]:
    assert one.answer is not None
    name, given, number = one.command.name, one.command.arguments, one.answer.number
    if name in ("open_trade", "correct_trade"):
        entry = given["entry"]
        return {
            (number, "legs"): len(entry.legs),
            (number, "fills"): sum(len(leg.fills) for leg in entry.legs),
            (number, "conditions"): len(entry.conditions),
        }
    if name == "add_fill" and (rest := one.answer.next_number):
        return {(number, "fills"): 1, (rest, "legs"): 1, (rest, "fills"): 1}
    return {
        "add_fill": {(number, "fills"): 1},
        "close_trade": {(number, "fills"): 1},
        "add_snapshots": {(number, "snapshots"): len(given.get("snapshots", ()))},
        "add_note": {(number, "notes"): 1},
        "void_trade": {},
    }[name]


def status_given(one: Said) -> dict[int, str]:
    assert one.answer is not None
    given = {} if one.command.name == "add_note" else {one.answer.number: one.answer.status}
    if one.command.name == "correct_trade":
        given[one.command.arguments["number"]] = "superseded"
    if one.answer.next_number:
        given[one.answer.next_number] = "open"
    return given


def require_money(stored: Stored) -> None:
    """Net P&L is what came in less what went out, and a closed trade is flat."""
    multiplier = {
        (leg.trade_number, leg.leg_number): leg.multiplier for leg in stored.parts["legs"]
    }
    cash: Counter[int] = Counter()
    held: Counter[tuple[int, int]] = Counter()
    for fill in stored.parts["fills"]:
        leg = (fill.trade_number, fill.leg_number)
        sign = 1 if fill.side == "sell" else -1
        amount = sign * fill.quantity * fill.price * multiplier[leg] - fill.fee
        cash[fill.trade_number] += amount
        held[leg] -= sign * fill.quantity
    still_open = {number for (number, _leg), quantity in held.items() if quantity}
    for number, trade in stored.trades.items():
        flat = number not in still_open
        require_equal(f"Whether trade {number} has ended", trade.closed_at is not None, flat)
        net = Decimal(cash[number]) if flat else None
        require_equal(f"The net P&L of trade {number}", trade.net_pnl, net)


def require_record(stored: Stored) -> None:
    """The audit entries are all there, chained, and tell of the same commands as the keys."""
    numbers = [entry.entry_number for entry in stored.audit]
    require_equal("The audit entries' numbers", numbers, up_to(stored.user.last_audit))
    head = FIRST
    for entry in stored.audit:
        what = f"Audit entry {entry.entry_number}"
        require_equal(f"{what}: the entry before it", entry.previous_hash, head)
        require_equal(f"{what}: its hash", entry.entry_hash, entry_hash(entry._asdict()))
        head = entry.entry_hash
    require_equal("The head of the audit chain", stored.user.audit_head or FIRST, head)
    told = [entry for entry in stored.audit if entry.command not in UNKEYED]
    require_equal("The commands on record", tells(told), tells(stored.requests.values()))


def tells(rows: Iterable[Row[Any]]) -> list[tuple[str, str, str]]:
    return sorted((row.command, row.content_hash, row.result) for row in rows)


def up_to(last: int) -> list[int]:
    return list(range(1, last + 1))


def require_equal(what: str, found: T, expected: T) -> None:
    if found != expected:
        raise Contradiction(f"{what}: {found} instead of {expected}."[:500])
