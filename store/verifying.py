"""Is everything that was recorded still as it was recorded? Names the first thing that is not.

The locks refuse every client but the owner of the database, who can take them away. So
everything is worked out again: the guards against the declared ones, the audit chain link
by link, each locked trade, note, checklist and correction against the hash that the audit
took of it, each P&L against the cash that its fills moved, and the sums of SQL against those
of rows.

Whoever owns the database could rewrite the whole chain. Against that helps a `Head` kept
elsewhere: the chain that is verified later must contain it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, TypeAlias

from sqlalchemy import exists, func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import FIRST, entry_hash
from store.columns import MONEY_DIGITS, rounded
from store.database import Store, user_of
from store.faults import state_of
from store.fixed import (
    Row,
    WholeTrade,
    batch_hash,
    checks_of,
    notes_of,
    row_hash,
    rows_hash,
    state_hash,
    whole_trades,
)
from store.guards import wrong_guard
from store.models import Account, AuditEntry, Correction, Trade, User
from store.pnl import PRECISION
from store.users import require_user
from store.verifying_content import Keyed, Made, Wrong, check_content, check_executions

# The command that made a correction, and the number of the trade that it left.
Explained: TypeAlias = tuple[str, int]

EXPLAINING = ("correct_trade", "void_trade")
AT_ONCE = 500  # Rows of a table in one statement.
DATA_EXCEPTION, MALFORMED = "22", "malformed JSON"  # By PostgreSQL, and by SQLite.


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
    open_trades: int = 0  # Of them; what was known at their entry is verified, no more.
    head: Head | None = None
    wrong: str | None = None


@dataclass
class _Batch:
    """The trades that one command recorded; their hashes come together as they are seen."""

    entry: AuditEntry
    first: int
    last: int
    still_open: frozenset[int]
    trades: list[WholeTrade] = field(default_factory=list)

    def add(self, trade: WholeTrade) -> None:
        self.trades.append(trade)
        if trade.row["number"] < self.last:
            return
        if self.entry.state_hash != batch_hash(self.trades, self.still_open):
            raise Wrong(
                f"one of the trades {self.first} to {self.last} is not what audit entry"
                f" {self.entry.entry_number} ({self.entry.command}) locked"
            )
        self.trades.clear()


@dataclass
class _Claims:
    """What the audit entries say: which fixed the state of a trade, which wrote a note or a
    checklist, and how far their commands counted."""

    states: dict[int, list[tuple[AuditEntry, dict[str, Any]]]] = field(default_factory=dict)
    notes: dict[tuple[int, int], AuditEntry] = field(default_factory=dict)
    # Of a trade, by the moment that the rows of one command share.
    checks: dict[tuple[int, datetime], AuditEntry] = field(default_factory=dict)
    last_trade: int = 0
    # Users and accounts were not always on the record: then what they counted is not known.
    last_account: int | None = None
    ledger_version: int | None = None
    tier: str | None = None
    flipped: set[int] = field(default_factory=set)  # Trades that a fill through zero opened.
    made: Made = field(default_factory=Made)
    batches: list["_Batch"] = field(default_factory=list)
    # By audit entry, of the executions that it kept.
    kept: dict[int, AuditEntry] = field(default_factory=dict)
    _noted: Counter[int] = field(default_factory=Counter)

    def add(self, entry: AuditEntry) -> None:
        result = json.loads(entry.result)
        number, account = result.get("number"), result.get("account")
        if entry.command == "add_user":
            self.last_account = self.ledger_version = 0
        self.tier = result.get("tier", self.tier)
        self.last_account = account or self.last_account
        self.made.add(entry, account, result.get("token"))
        first = result.get("first")
        if self.ledger_version is not None:
            self.ledger_version += any(one is not None for one in (number, account, first))
        if "executions" in result:
            self.kept[entry.entry_number] = entry
        if first is not None:
            self.batches.append(_Batch(entry, first, result["last"], frozenset(result["open"])))
            self.last_trade = max(self.last_trade, result["last"])
            if "keys" in result:
                self.made.keyed.append(Keyed(first, result["last"], result["keys"]))
        if number is None:
            return
        if rest := result.get("next_number"):
            self.flipped.add(rest)
        self.last_trade = max(self.last_trade, number, rest or 0)
        if entry.command == "add_note":
            self._noted[number] += 1
            self.notes[number, self._noted[number]] = entry
        elif entry.command == "answer_checklist":
            self.checks[number, entry.made_at] = entry
        elif result["status"] != "open" or entry.command in (*EXPLAINING, "open_trade"):
            self.states.setdefault(number, []).append((entry, result))

    def batch_of(self, number: int) -> _Batch | None:
        """The batch in which trade `number` was recorded; trades are asked for in their order."""
        while self.batches and self.batches[0].last < number:
            self.batches.pop(0)
        inside = self.batches and self.batches[0].first <= number
        return self.batches[0] if inside else None


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
    """Everything of one user, from one snapshot; `expected` must be in the chain.

    Raises:
        NotFound: there is no such user.
    """
    found = Verified(user_id)
    async with store.read(user_id) as session:
        try:
            with _readable("of the user"):
                user = await require_user(session)
            await _verify(session, found, user, expected)
        except Wrong as wrong:
            found.wrong = str(wrong)
    return found


async def _verify(
    session: AsyncSession, found: Verified, user: User, expected: Head | None
) -> None:
    claims = await _chain(session, found, user, expected)
    await _check_counters(session, user, claims)
    await check_content(session, claims.made)
    await check_executions(session, claims.kept)
    corrections = await _corrections(session, claims)
    ended = {
        row["number"]: "superseded" if row["replacement"] else "void"
        for row in corrections.values()
    }
    count, net = 0, Decimal(0)
    for first in range(1, user.last_trade + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, user.last_trade)
        with _readable(f"of the trades {first} to {last}"):
            trades = await whole_trades(session, first, last)
        _require_all([trade.row["number"] for trade in trades], first, last, "trade")
        for trade in trades:
            _check_trade(trade, ended.get(trade.row["number"]), claims, corrections)
        await _check_notes(session, claims, first, last)
        await _check_checklists(session, claims, first, last)
        closed = [trade.row["net_pnl"] for trade in trades if trade.row["status"] == "closed"]
        count, net = count + len(closed), net + sum(closed)
        found.trades += len(trades)
        found.open_trades += sum(trade.row["status"] == "open" for trade in trades)
    for number, _ in claims.notes:
        raise Wrong(f"a note of trade {number} is missing")
    for number, _ in claims.checks:
        raise Wrong(f"the checklist of trade {number} is missing")
    await _check_sums(session, count, net)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """A value that is not what its column holds was not written by us."""
    try:
        yield
    except ValueError:
        raise Wrong(f"a value {what} cannot be read") from None
    except DBAPIError as error:
        # The database unpacks paths itself.
        if (state_of(error) or "")[:2] != DATA_EXCEPTION and MALFORMED not in str(error):
            raise
        raise Wrong(f"a value {what} cannot be read") from None


async def _chain(
    session: AsyncSession, found: Verified, user: User, expected: Head | None
) -> _Claims:
    """Every link of the audit; gives what the entries say they fixed."""
    claims, previous, seen = _Claims(), FIRST, expected in (None, Head(0, FIRST))
    for first in range(1, user.last_audit + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, user.last_audit)
        with _readable(f"of the audit entries {first} to {last}"):
            entries = await _entries(session, first, last)
        _require_all([entry.entry_number for entry in entries], first, last, "audit entry")
        for entry in entries:
            _check_link(entry, previous)
            previous = entry.entry_hash
            seen = seen or Head(entry.entry_number, previous) == expected
            claims.add(entry)
        found.entries += len(entries)
    if await _any_beyond(session, AuditEntry.entry_number, user.last_audit):
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


def _check_trade(
    trade: WholeTrade, ended: str | None, claims: _Claims, corrections: dict[Explained, Row]
) -> None:
    number, status = trade.row["number"], trade.row["status"]
    claimed = claims.states.get(number, [])
    batch = claims.batch_of(number)
    locked = any(result["status"] != "open" for _, result in claimed) or (
        batch is not None and number not in batch.still_open
    )
    expected = ended or ("closed" if locked else "open")
    if status != expected:
        raise Wrong(f"trade {number} is {status}, by the record it is {expected}")
    if number in claims.flipped and trade.supposes:
        raise Wrong(f"trade {number} began with a fill through zero, and more is said of its entry")
    for entry, result in claimed:
        _check_state(trade, entry, result, corrections)
    if batch is not None:
        batch.add(trade)
    if status in ("closed", "superseded") or trade.row["net_pnl"] is not None:
        _check_cash(trade)


def _check_state(
    trade: WholeTrade, entry: AuditEntry, result: dict[str, Any], corrections: dict[Explained, Row]
) -> None:
    """What the trade is now against what `entry` locked."""
    if entry.state_hash is None:
        return  # Before the audit took such hashes.
    number = trade.row["number"]
    correction = corrections.get((entry.command, number))
    now = state_hash(
        trade=trade.hash if result["status"] != "open" else trade.entry_hash,
        correction=row_hash(correction) if correction else None,
    )
    if now != entry.state_hash:
        raise Wrong(
            f"trade {number}{' or its correction' if correction else ''} is not what audit entry"
            f" {entry.entry_number} ({entry.command}) locked"
        )


def _check_cash(trade: WholeTrade) -> None:
    """A flat trade earned what its fills moved in cash: a second method beside lots."""
    number, row = trade.row["number"], trade.row
    multiplier = {leg["leg_number"]: leg["multiplier"] for leg in trade.parts["legs"]}
    gross = fees = Decimal(0)
    with localcontext(prec=PRECISION):
        for fill in trade.parts["fills"]:
            if fill["leg_number"] not in multiplier:
                raise Wrong(f"a leg of trade {number} is missing")
            cash = fill["price"] * fill["quantity"] * multiplier[fill["leg_number"]]
            gross += cash if fill["side"] == "sell" else -cash
            fees += fill["fee"]
    gross = rounded(gross, MONEY_DIGITS)
    for name, worked_out in (("gross_pnl", gross), ("fees", fees), ("net_pnl", gross - fees)):
        if row[name] != worked_out:
            raise Wrong(f"trade {number} has {name} {row[name]}, its fills come to {worked_out}")


async def _check_notes(session: AsyncSession, claims: _Claims, first: int, last: int) -> None:
    """The notes of some trades; those that are there are claimed no longer."""
    with _readable(f"of the notes of trades {first} to {last}"):
        notes = await notes_of(session, first, last)
    for note in notes:
        number = note["trade_number"]
        entry = claims.notes.pop((number, note["note_number"]), None)
        if entry is None:
            raise Wrong(f"a note of trade {number} is on no record")
        if entry.state_hash not in (None, state_hash(note=row_hash(note))):
            raise Wrong(
                f"a note of trade {number} is not what audit entry {entry.entry_number} wrote"
            )


async def _check_checklists(session: AsyncSession, claims: _Claims, first: int, last: int) -> None:
    """The checklists of some trades; those that are there are claimed no longer."""
    with _readable(f"of the checklists of trades {first} to {last}"):
        checks = await checks_of(session, first, last)
    answered: dict[tuple[int, datetime], list[Row]] = defaultdict(list)
    for check in checks:
        answered[check["trade_number"], check["answered_at"]].append(check)
    for (number, answered_at), rows in answered.items():
        entry = claims.checks.pop((number, answered_at), None)
        if entry is None or entry.state_hash != state_hash(checks=rows_hash(rows)):
            raise Wrong(f"the checklist of trade {number} is not what the audit says of it")


async def _check_counters(session: AsyncSession, user: User, claims: _Claims) -> None:
    """The user's counters are as far as its commands counted, and nothing is beyond them."""
    for name in ("last_trade", "last_account", "ledger_version", "tier"):
        said, kept = getattr(claims, name), getattr(user, name)
        if said is not None and said != kept:
            raise Wrong(f"{name} of the user is {kept}, by the audit it is {said}")
    mine = select(Account.account_id).where(Account.user_id == user.user_id)
    accounts = (await session.scalars(mine.order_by(Account.account_id))).all()
    _require_all(accounts, 1, user.last_account, "account")
    if len(accounts) > user.last_account:
        raise Wrong(f"there are accounts after {user.last_account}, the last that was counted")
    if await _any_beyond(session, Trade.number, user.last_trade):
        raise Wrong(f"there are trades after {user.last_trade}, the last that was counted")


async def _any_beyond(session: AsyncSession, column: Any, last: int) -> bool:
    mine = column.class_.user_id == user_of(session)
    return bool(await session.scalar(select(exists().where(mine, column > last))))


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


async def _corrections(session: AsyncSession, claims: _Claims) -> dict[Explained, Row]:
    """Each has an entry that made it, and each such entry its correction."""
    statement = select(*inspect(Correction).columns).where(Correction.user_id == user_of(session))
    with _readable("of the corrections"):
        rows = (await session.execute(statement)).mappings().all()
    found: dict[Explained, Row] = {}
    for row in rows:
        replacement = row["replacement"]
        found["correct_trade" if replacement else "void_trade", replacement or row["number"]] = (
            dict(row)
        )
    made = {
        (entry.command, number)
        for number, entries in claims.states.items()
        for entry, _ in entries
        if entry.command in EXPLAINING
    }
    if missing := sorted(made - set(found)):
        raise Wrong(f"the correction that made trade {missing[0][1]} is missing")
    if added := sorted(set(found) - made):
        raise Wrong(f"the correction of trade {found[added[0]]['number']} is on no record")
    return found
