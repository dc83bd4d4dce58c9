"""Is everything that was recorded still as it was recorded? Names the first thing that is not.

The locks refuse every client but the owner of the database, who can take them away. So
everything is worked out again: the guards against the declared ones, the audit chain link
by link, each locked trade, note and correction against the hash that the audit took of it,
each P&L against the cash that its fills moved, and the sums of SQL against those of rows.

Whoever owns the database could rewrite the whole chain. Against that helps a `Head` kept
elsewhere: the chain that is verified later must contain it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any, TypeAlias

from sqlalchemy import func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import FIRST, entry_hash
from store.columns import MONEY_DIGITS, rounded
from store.database import Store, user_of
from store.fixed import WholeTrade, note_row, row_hash, state_hash, whole_trades
from store.guards import wrong_guard
from store.models import Account, AuditEntry, Correction, Trade, User
from store.pnl import PRECISION

Corrections: TypeAlias = dict[int, Mapping[str, Any]]  # By the number that was corrected.

AT_ONCE = 500  # Rows of a table in one statement.
LAST = 2**63 - 1


class Wrong(Exception):  # noqa: N818
    """What was found first; the text names it."""


@dataclass(frozen=True)
class Head:
    """The last entry of a user's audit chain: it stands for everything before it."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass
class Verified:
    """What was checked of one user, and what was `wrong` first, if anything."""

    user_id: int
    entries: int = 0
    trades: int = 0
    head: Head | None = None
    wrong: str | None = None


@dataclass
class _Claims:
    """The audit entries that fixed something: by trade, and of notes in their order."""

    states: dict[int, list[tuple[AuditEntry, dict[str, Any]]]] = field(default_factory=dict)
    notes: list[tuple[AuditEntry, dict[str, Any]]] = field(default_factory=list)

    def add(self, entry: AuditEntry) -> None:
        result = json.loads(entry.result)
        if entry.command == "add_note":
            self.notes.append((entry, result))
        elif result.get("status") not in (None, "open") or entry.state_hash is not None:
            self.states.setdefault(result["number"], []).append((entry, result))


async def verify_database(store: Store) -> str | None:
    """What is wrong with the guards, or with the file itself; None if nothing is."""
    async with store.read() as session:
        if store.database.dialect == "sqlite":
            said = await session.scalar(text("PRAGMA quick_check(1)"))
            if said != "ok":
                return f"the file is damaged: {said}"
        if wrong := await wrong_guard(session):
            return f"a lock or wall is {wrong}"
    return None


async def verify_user(store: Store, user_id: int, *, expected: Head | None = None) -> Verified:
    """Everything of one user, from one snapshot; `expected` must be in the chain."""
    found = Verified(user_id)
    async with store.read(user_id) as session:
        try:
            await _verify(session, found, expected)
        except Wrong as wrong:
            found.wrong = str(wrong)
    return found


async def _verify(session: AsyncSession, found: Verified, expected: Head | None) -> None:
    user = await session.scalar(select(User).where(User.user_id == user_of(session)))
    if user is None:
        raise Wrong("there is no such user")
    claims = await _chain(session, found, user, expected)
    corrected = await _corrections(session)
    count, net = 0, Decimal(0)
    for first in range(1, user.last_trade + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, user.last_trade)
        trades = await whole_trades(session, first, last)
        _require_all([trade.row["number"] for trade in trades], first, last, "trade")
        for trade in trades:
            _check_trade(trade, claims, corrected)
        closed = [trade.row["net_pnl"] for trade in trades if trade.row["status"] == "closed"]
        count, net = count + len(closed), net + sum(closed)
        found.trades += len(trades)
    await _check_counters(session, user)
    await _check_notes(session, claims)
    await _check_sums(session, count, net)


async def _chain(
    session: AsyncSession, found: Verified, user: User, expected: Head | None
) -> _Claims:
    """Every link of the audit; gives what the entries say they fixed."""
    claims, previous, seen = _Claims(), FIRST, expected is None
    for first in range(1, user.last_audit + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, user.last_audit)
        entries = await _entries(session, first, last)
        _require_all([entry.entry_number for entry in entries], first, last, "audit entry")
        for entry in entries:
            _check_link(entry, previous)
            previous = entry.entry_hash
            seen = seen or Head(entry.entry_number, previous) == expected
            claims.add(entry)
        found.entries += len(entries)
    if await _entries(session, user.last_audit + 1, LAST):
        raise Wrong(f"there are audit entries after {user.last_audit}, the last that was counted")
    if previous != (user.audit_head or FIRST):
        raise Wrong(f"audit entry {user.last_audit} is not the head that was kept of the chain")
    if not seen:
        raise Wrong(f"the chain does not contain the entry {expected}")
    found.head = Head(user.last_audit, previous)
    return claims


async def _entries(session: AsyncSession, first: int, last: int) -> Sequence[AuditEntry]:
    within = AuditEntry.entry_number.between(first, last)
    found = await session.scalars(
        select(AuditEntry)
        .where(AuditEntry.user_id == user_of(session), within)
        .order_by(AuditEntry.entry_number)
        .limit(AT_ONCE)
    )
    return found.all()


def _check_link(entry: AuditEntry, previous: str) -> None:
    columns = {column.key: getattr(entry, column.key) for column in inspect(AuditEntry).columns}
    if entry_hash(columns) != entry.entry_hash:
        raise Wrong(f"audit entry {entry.entry_number} was altered")
    if entry.previous_hash != previous:
        raise Wrong(f"audit entry {entry.entry_number} does not follow the one before it")


def _require_all(numbers: Sequence[int], first: int, last: int, what: str) -> None:
    """Numbers are given one after another; a gap is a row that was taken away."""
    for expected in range(first, last + 1):
        if expected - first >= len(numbers) or numbers[expected - first] != expected:
            raise Wrong(f"{what} {expected} is missing")


def _check_trade(trade: WholeTrade, claims: _Claims, corrected: Corrections) -> None:
    number, status = trade.row["number"], trade.row["status"]
    correction = corrected.get(number)
    ended = "superseded" if correction and correction["replacement"] else "void"
    if correction is None and status in ("superseded", "void"):
        raise Wrong(f"trade {number} is {status}, and no correction says why")
    if correction is not None and status != ended:
        raise Wrong(f"trade {number} is {status}, though a correction made it {ended}")
    if status != "open" and number not in claims.states:
        raise Wrong(f"trade {number} is locked, and no audit entry locked it")
    for entry, result in claims.states.get(number, []):
        _check_state(trade, entry, result, corrected)
    if trade.row["net_pnl"] is not None:
        _check_cash(trade)


def _check_state(
    trade: WholeTrade, entry: AuditEntry, result: dict[str, Any], corrected: Corrections
) -> None:
    """What the trade is now against what `entry` locked."""
    if entry.state_hash is None:
        return  # Before the audit took such hashes.
    number = trade.row["number"]
    explained = _explanation(entry, number, corrected)
    now = state_hash(
        trade=trade.hash if result["status"] != "open" else None,
        correction=row_hash(explained) if explained else None,
    )
    if now != entry.state_hash:
        raise Wrong(
            f"trade {number} is not what audit entry {entry.entry_number} ({entry.command}) locked"
        )


def _explanation(
    entry: AuditEntry, number: int, corrected: Corrections
) -> Mapping[str, Any] | None:
    """The correction that `entry` wrote: the one that made trade `number`, or that voided it."""
    if entry.command == "correct_trade":
        found = [row for row in corrected.values() if row["replacement"] == number]
    elif entry.command == "void_trade":
        found = [row for row in corrected.values() if row["number"] == number]
    else:
        return None
    if not found:
        raise Wrong(f"the correction that audit entry {entry.entry_number} wrote is missing")
    return found[0]


def _check_cash(trade: WholeTrade) -> None:
    """A flat trade earned what its fills moved in cash: a second method beside lots."""
    number, row = trade.row["number"], trade.row
    multiplier = {leg["leg_number"]: leg["multiplier"] for leg in trade.parts["legs"]}
    gross = fees = Decimal(0)
    with localcontext(prec=PRECISION):
        for fill in trade.parts["fills"]:
            cash = fill["price"] * fill["quantity"] * multiplier[fill["leg_number"]]
            gross += cash if fill["side"] == "sell" else -cash
            fees += fill["fee"]
    gross = rounded(gross, MONEY_DIGITS)
    for name, worked_out in (("gross_pnl", gross), ("fees", fees), ("net_pnl", gross - fees)):
        if row[name] != worked_out:
            raise Wrong(f"trade {number} has {name} {row[name]}, its fills come to {worked_out}")


async def _check_notes(session: AsyncSession, claims: _Claims) -> None:
    counted = Counter[int]()
    for entry, result in claims.notes:
        counted[result["number"]] += 1
        note = await note_row(session, result["number"], counted[result["number"]])
        if note is None:
            raise Wrong(f"a note of trade {result['number']} is missing")
        if entry.state_hash not in (None, state_hash(note=row_hash(note))):
            raise Wrong(
                f"a note of trade {result['number']} is not what audit entry"
                f" {entry.entry_number} wrote"
            )


async def _check_counters(session: AsyncSession, user: User) -> None:
    """Nothing is there beyond what was counted."""
    for column, last in ((Trade.number, user.last_trade), (Account.account_id, user.last_account)):
        model = column.class_
        beyond = select(func.count()).where(model.user_id == user_of(session), column > last)
        if await session.scalar(beyond):
            raise Wrong(f"there are {model.__tablename__} after {last}, the last that was counted")


async def _check_sums(session: AsyncSession, count: int, net: Decimal) -> None:
    """What the questions sum, through their index, against the rows themselves."""
    row = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(Trade.net_pnl), 0)).where(
                Trade.user_id == user_of(session), Trade.status == "closed"
            )
        )
    ).one()
    if (row[0], row[1]) != (count, net):
        raise Wrong(f"closed trades sum to {row[0]} and {row[1]}, their rows to {count} and {net}")


async def _corrections(session: AsyncSession) -> Corrections:
    rows = await session.execute(
        select(*inspect(Correction).columns).where(Correction.user_id == user_of(session))
    )
    return {row["number"]: dict(row) for row in rows.mappings()}
