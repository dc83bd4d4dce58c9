"""What brokers' files said was dealt, kept once each and never changed.

Trades are made of all executions of an account, so the files of a broker may come in any
order, overlap, and be imported again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, begin, note_down
from store.bulk import insert_bound, sheet_of
from store.database import user_of
from store.fixed import rows_hash
from store.models import Execution as Row
from store.statements.execution import Execution, Instrument
from store.statements.rounds import Dealt

KEEPING = "keep_executions"
MOST = 1000  # Executions in one entry of the audit.
ASKED_AT_ONCE = 500
# What makes two executions of one id the same; fees may be restated by a broker.
TERMS = (
    "ticker", "instrument", "symbol", "option_type", "strike", "expiry", "multiplier", "side",
    "kind",
)  # fmt: skip
SAME = (*TERMS, "quantity", "price", "filled_at")


@dataclass(frozen=True)
class Kept:
    """Executions of a file that are new, and those of an id that is known with other
    content."""

    new: tuple[Dealt, ...]
    contradicting: tuple[Dealt, ...]


async def new_ones(
    session: AsyncSession, account_id: int, source: str, dealt: Sequence[Dealt]
) -> Kept:
    """Those of `dealt` that are not kept yet."""
    known = await _known(session, account_id, source, {one.id for one in dealt})
    new, contradicting = [], []
    for one in dealt:
        there = known.get(one.id)
        if there is None:
            new.append(one)
            continue
        said = row_of(one)
        if any(all(row[name] == said[name] for name in SAME) for row in there):
            continue
        alike = all(row[name] == said[name] for row in there for name in TERMS)
        if not (one.execution.partial and alike):
            contradicting.append(one)
        elif all(row["quantity"] != said["quantity"] for row in there):
            new.append(one)
        else:
            contradicting.append(one)
    return Kept(tuple(new), tuple(contradicting))


async def keep(
    session: AsyncSession,
    account_id: int,
    source: str,
    dealt: Sequence[Dealt],
    *,
    author: str = OWNER,
) -> None:
    """Append executions that are not kept yet."""
    sheet = await sheet_of(session, Row)
    for start in range(0, len(dealt), MOST):
        rows = [
            {"user_id": user_of(session), "account_id": account_id, "source": source}
            | row_of(one)
            | {"entry_place": place}
            for place, one in enumerate(dealt[start : start + MOST], start=1)
        ]
        command = await begin(session, KEEPING, {"executions": rows}, key=None, author=author)
        number = command.last_audit + 1
        bound = [sheet.bound(row | {"audit_entry": number}) for row in rows]
        await insert_bound(session, sheet, bound)
        await note_down(
            session,
            command,
            {"executions": len(rows)},
            state=rows_hash([sheet.read(one) for one in bound]),
            answers_change=False,
        )


async def executions_of(
    session: AsyncSession, account_id: int, source: str, since: Mapping[str, datetime]
) -> dict[str, list[Dealt]]:
    """What is kept of each ticker `since` its moment, by ticker; of an order that was filled
    further, its latest state."""
    rows = await session.execute(
        select(*Row.__table__.columns)
        .where(
            Row.user_id == user_of(session),
            Row.account_id == account_id,
            Row.source == source,
            Row.ticker.in_(since),
            Row.filled_at >= min(since.values()),
        )
        .order_by(Row.ticker, Row.filled_at)  # Or SQLite reads all that the user has.
    )
    latest: dict[str, Any] = {}
    for row in rows:
        earlier = latest.get(row.execution_id)
        if row.filled_at >= since[row.ticker] and (
            earlier is None or row.quantity > earlier.quantity
        ):
            latest[row.execution_id] = row
    found: dict[str, list[Dealt]] = defaultdict(list)
    for one in dealt_in(latest.values()):
        found[one.execution.instrument.ticker].append(one)
    return found


async def rows_of_entry(session: AsyncSession, number: int) -> Sequence[Any]:
    """The rows that audit entry `number` appended, in their order."""
    rows = await session.execute(
        select(*Row.__table__.columns)
        .where(Row.user_id == user_of(session), Row.audit_entry == number)
        .order_by(Row.entry_place)
    )
    return rows.mappings().all()


def row_of(one: Dealt) -> dict[str, Any]:
    done, instrument = one.execution, one.execution.instrument
    return {
        "execution_id": one.id,
        "ticker": instrument.ticker,
        "instrument": instrument.kind,
        "symbol": instrument.symbol,
        "option_type": instrument.option_type,
        "strike": instrument.strike,
        "expiry": instrument.expiry,
        "multiplier": instrument.multiplier,
        "side": done.side,
        "quantity": done.quantity,
        "price": done.price,
        "fee": done.fee,
        "filled_at": done.at,
        "dated": int(done.dated),
        "place": one.place,
        "kind": done.kind,
        "effect": done.effect,
        "order_id": done.order,
        "delivery": int(done.delivery),
    }


def dealt_in(rows: Iterable[Any]) -> Iterator[Dealt]:
    """The executions that were kept as `rows`; those of one instrument share it."""
    instruments: dict[Instrument, Instrument] = {}
    for row in rows:
        instrument = Instrument(
            kind=row.instrument,
            ticker=row.ticker,
            option_type=row.option_type,
            strike=row.strike,
            expiry=row.expiry,
            multiplier=row.multiplier,
            symbol=row.symbol,
        )
        yield _dealt(row, instruments.setdefault(instrument, instrument))


def _dealt(row: Any, instrument: Instrument) -> Dealt:
    execution = Execution(
        row=0,
        instrument=instrument,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        at=row.filled_at,
        fee=row.fee,
        kind=row.kind,
        effect=row.effect,
        id=row.execution_id,
        order=row.order_id,
        dated=bool(row.dated),
        delivery=bool(row.delivery),
    )
    return Dealt(row.execution_id, row.place, execution)


async def _known(
    session: AsyncSession, account_id: int, source: str, ids: Iterable[str]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    wanted = sorted(ids)
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        rows = await session.execute(
            select(*Row.__table__.columns).where(
                Row.user_id == user_of(session),
                Row.account_id == account_id,
                Row.source == source,
                Row.execution_id.in_(wanted[start : start + ASKED_AT_ONCE]),
            )
        )
        for row in rows.mappings():
            found[row["execution_id"]].append(row)
    return found
