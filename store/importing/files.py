"""A file of trades into the ledger: all of them or none, and each only once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, require_account
from store.audit import Recorded, opening_hash, replayed
from store.batches import MOST, record_trades
from store.database import user_of
from store.errors import Conflict, Invalid
from store.importers.imported import ImportFile, ImportTrade, stated
from store.importing.ready import AUTHOR, RowsRefused, as_kept, ready
from store.models import Fill, Request, Trade
from store.pnl import PRECISION
from store.recording import add_note, close_trade, open_trade
from store.records import ByFills, FillEntry, LegEntry, TradeEntry
from store.statements.refusing import Rejection
from store.vocabulary import name_key

ASKED_AT_ONCE = 500  # Trades in one statement.

Value = TypeVar("Value")


@dataclass(frozen=True)
class ImportResult:
    """What an import did. Amounts are the closed trades' net P&L, in the accounts' currency.

    `stored_net_pnl` is what the database now holds for the file's trades, those already
    there included; it is the file's sum plus the rounding, or nothing is recorded.
    """

    accounts: tuple[AccountEntry, ...]
    recorded: int
    already_there: int
    rejected: tuple[Rejection, ...]
    numbers: tuple[int, ...]
    stored_net_pnl: Decimal
    file_net_pnl: Decimal
    rounding: Decimal


async def import_trades(
    session: AsyncSession,
    file: ImportFile,
    *,
    take_good: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Record the trades of `file` in the caller's transaction.

    A trade that an earlier import recorded is left as it is; one that it recorded as open
    and that the file has closed since is closed, and counted as recorded. `progress` is
    told how many rows are done, and of how many.

    Raises:
        Invalid: rows are refused and `take_good` is not set, or a trade cannot be recorded.
        Conflict: an account exists with another mode or currency, or a row was imported
            before with other content.
    """
    if file.rejected and not take_good:
        rows = len(file.trades) + len(file.rejected)
        raise RowsRefused(file.path.name, rows, file.rejected)
    accounts = [
        await ready(session, account, file.path.name, mode=account.mode, currency=file.currency)
        for account in file.accounts
    ]
    # Oldest first, whatever the file's order: numbers then rise with time.
    trades = sorted(file.trades, key=opened_at)
    keys = [request_key(file.format, trade) for trade in trades]
    known = await known_requests(session, keys)
    recorded: list[Recorded] = []
    seen = set(known)
    for some in chunks(list(zip(keys, trades, strict=True)), MOST):
        # A key that the file has twice is new once.
        new = {key: trade for key, trade in reversed(some) if key not in seen}
        fresh = await record_new(session, dict(reversed(new.items())))
        for key, trade in some:
            one = fresh.pop(key, None) or repeated(known.get(key), trade)
            recorded.append(one or await record(session, file, trade, known=key in known))
            if trade.note is not None:
                await keep_note(session, recorded[-1].number, key, trade.note)
            if progress is not None:
                progress(len(recorded), len(trades))
        seen.update(new)
    closed = [
        one.number for one, trade in zip(recorded, trades, strict=True) if trade.net_pnl is not None
    ]
    stored = await stored_net_pnl(session, closed)
    require_reconciled(file, stored)
    return ImportResult(
        accounts=tuple(map(as_kept, accounts)),
        recorded=sum(not one.replayed for one in recorded),
        already_there=sum(one.replayed for one in recorded),
        rejected=file.rejected,
        numbers=tuple(one.number for one in recorded),
        stored_net_pnl=stored,
        file_net_pnl=file.file_net_pnl,
        rounding=file.rounding,
    )


def opened_at(trade: ImportTrade) -> datetime:
    return min(fill.filled_at for leg in trade.entry.legs for fill in leg.fills)


async def record_new(
    session: AsyncSession, trades: Mapping[str, ImportTrade]
) -> dict[str, Recorded]:
    """Record `trades`, none of whose keys is known, at once; none of them where one cannot be
    recorded: one by one they say which, and why."""
    entries = [trade.entry for trade in trades.values()]
    try:
        async with session.begin_nested():
            numbers = await record_trades(session, entries, keys=list(trades), author=AUTHOR)
    except (Conflict, Invalid):
        return {}
    return {
        key: Recorded(number, "open" if trade.net_pnl is None else "closed")
        for (key, trade), number in zip(trades.items(), numbers, strict=True)
    }


def repeated(request: Request | None, trade: ImportTrade) -> Recorded | None:
    """What an earlier import made of the trade, if it said the same."""
    if request is None or request.content_hash != opening_hash(trade.entry):
        return None
    return replayed(request)


async def keep_note(session: AsyncSession, number: int, key: str, note: str) -> None:
    # The note's text is in its key: an edited one is appended, the same one is there.
    note_key = f"{key}:note:{sha256(note.encode()).hexdigest()[:16]}"
    await add_note(session, number, note, author=AUTHOR, key=note_key)


async def record(
    session: AsyncSession, file: ImportFile, trade: ImportTrade, *, known: bool
) -> Recorded:
    key = request_key(file.format, trade)
    try:
        return await open_or_close(session, trade, key, known=known)
    except (Conflict, Invalid) as error:
        raise type(error)(f"{file.path.name}, row {trade.row}: {error}") from error


async def open_or_close(
    session: AsyncSession, trade: ImportTrade, key: str, *, known: bool
) -> Recorded:
    """The trade recorded, found as it was, or, if it was open and the file has closed it
    since, closed."""
    try:
        return await open_trade(session, trade.entry, key=key, author=AUTHOR)
    except Conflict:
        if not known:
            raise
    number = await number_of(session, trade.entry)
    try:
        opened, exits = taken_apart(trade.entry, await entry_fees(session, number))
        await open_trade(session, opened, key=key, author=AUTHOR)
    except (Conflict, ValueError):
        raise Conflict(
            f"an earlier import recorded this trade (number {number}) with other values. If the"
            " file is right now, correct the trade; if it is another trade, give it its own"
            " external_id or --account."
        ) from None
    return await close_trade(
        session,
        number,
        ByFills(fills=exits),
        exit_reason=trade.entry.exit_reason,
        key=f"{key}:close",
        author=AUTHOR,
    )


async def number_of(session: AsyncSession, entry: TradeEntry) -> int:
    """The number under which an import first recorded `entry`."""
    account = await require_account(session, entry.account)
    number = await session.scalar(
        select(func.min(Trade.number)).where(
            Trade.user_id == user_of(session),
            Trade.account_id == account.account_id,
            Trade.source == entry.source,
            Trade.external_id == entry.external_id,
        )
    )
    if number is None:
        raise Conflict("its key belongs to something else")
    return number


async def entry_fees(session: AsyncSession, number: int) -> dict[int, Decimal]:
    """The fee of each leg's first fill, as stored."""
    rows = await session.execute(
        select(Fill.leg_number, Fill.fee).where(
            Fill.user_id == user_of(session), Fill.trade_number == number, Fill.fill_number == 1
        )
    )
    return {row.leg_number: row.fee for row in rows}


def taken_apart(
    entry: TradeEntry, fees: Mapping[int, Decimal]
) -> tuple[TradeEntry, dict[int, tuple[FillEntry, ...]]]:
    """A closed trade as it was when it was open, and the fills that closed it.

    The entry's fee is what was recorded then; what the file adds is the exit's.

    Raises:
        ValueError: the trade is not one entry and one exit a leg.
    """
    legs: list[LegEntry] = []
    exits: dict[int, tuple[FillEntry, ...]] = {}
    for number, leg in enumerate(entry.legs, start=1):
        first, last = leg.fills
        with localcontext(prec=PRECISION):
            rest = first.fee + last.fee - fees.get(number, first.fee)
        first = first.model_copy(update={"fee": fees.get(number, first.fee)})
        legs.append(leg.model_copy(update={"fills": (first,)}))
        exits[number] = (last.model_copy(update={"fee": rest}),)
    return entry.model_copy(update={"legs": tuple(legs), "exit_reason": None}), exits


def request_key(source: str, trade: ImportTrade) -> str:
    """What makes a row the same row in every import of it."""
    named = f"{name_key(trade.entry.account)}\n{trade.entry.external_id}"
    return f"import:{source}:{sha256(named.encode()).hexdigest()[:40]}"


async def known_requests(session: AsyncSession, keys: Sequence[str]) -> dict[str, Request]:
    """What is recorded under those of `keys` that are known."""
    found: dict[str, Request] = {}
    for some in chunks(keys, ASKED_AT_ONCE):
        statement = select(Request).where(
            Request.user_id == user_of(session), Request.request_key.in_(some)
        )
        found |= {request.request_key: request for request in await session.scalars(statement)}
    return found


async def stored_net_pnl(session: AsyncSession, numbers: Sequence[int]) -> Decimal:
    total = Decimal(0)
    for some in chunks(numbers, ASKED_AT_ONCE):
        statement = select(func.sum(Trade.net_pnl)).where(
            Trade.user_id == user_of(session), Trade.number.in_(some)
        )
        with localcontext(prec=PRECISION):
            total += await session.scalar(statement) or Decimal(0)
    return total


def chunks(values: Sequence[Value], size: int) -> Iterable[Sequence[Value]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def require_reconciled(file: ImportFile, stored: Decimal) -> None:
    with localcontext(prec=PRECISION):
        expected = sum((stated(trade) + trade.rounding for trade in file.trades), Decimal(0))
    if stored != expected:
        raise Conflict(
            f"{file.path.name} comes to {expected}, its trades in the store to {stored};"
            " nothing was recorded."
        )
