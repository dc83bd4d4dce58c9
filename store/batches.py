"""Many trades in one command: statements over all of them, one entry of the audit."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import require_account
from store.audit import (
    OWNER,
    Command,
    Recorded,
    begin,
    note_down,
    opening_hash,
    require_key,
)
from store.bulk import insert_bound, sheet_of, update_bound
from store.database import user_of
from store.derived import ENDS
from store.errors import Conflict, Invalid
from store.fixed import (
    Row,
    WholeTrade,
    batch_hash,
    canonical,
    conditions_of,
    keys_hash,
    with_parts,
)
from store.market import anything_known, with_market_facts
from store.models import Account, Base, Condition, Fill, Leg, Request, Trade
from store.recording import known_strategy
from store.records import TradeEntry
from store.rows import (
    EXTERNAL,
    condition_rows,
    external_ids,
    fill_rows,
    leg_rows,
    trade_row,
    worked_out,
)

BATCH = "record_trades"
MOST = 500  # Trades in one batch.
AT_LAST = ("status", *ENDS, *EXTERNAL)  # Set when the parts are there: that locks a trade.

Rows: TypeAlias = dict[type[Base], list[dict[str, Any]]]  # By table.


async def record_trades(
    session: AsyncSession,
    entries: Sequence[TradeEntry],
    *,
    keys: Sequence[str] | None = None,
    author: str = OWNER,
) -> list[int]:
    """Record trades with their fills so far, as `open_trade` does each; gives their numbers,
    in the order of `entries`. Those whose legs are all flat are locked.

    With `keys`, one for each, none used before: `open_trade` of such a key finds its trade.

    Raises:
        NotFound: there is no such account.
        Invalid: the legs and fills of one do not make a trade, or a key can be none.
        Conflict: an external id, broker order id or key belongs to another trade.
    """
    numbers: list[int] = []
    for start in range(0, len(entries), MOST):
        some = keys and keys[start : start + MOST]
        numbers += await _record(session, entries[start : start + MOST], some, author)
    return numbers


async def _record(
    session: AsyncSession, entries: Sequence[TradeEntry], keys: Sequence[str] | None, author: str
) -> list[int]:
    contents = [opening_hash(entry) for entry in entries] if keys else []
    content = {"contents": contents, "keys": keys} if keys else {"trades": entries}
    command = await begin(session, BATCH, content, key=None, author=author)
    accounts: dict[str, Account] = {}
    strategies: dict[str | None, str | None] = {}
    rows: Rows = {Trade: [], Leg: [], Fill: [], Condition: []}
    user_id, market = user_of(session), await anything_known(session)
    for entry in entries:
        if entry.account not in accounts:
            accounts[entry.account] = await require_account(session, entry.account)
        if entry.strategy not in strategies:
            strategies[entry.strategy] = await known_strategy(session, entry.strategy)
        account, number = accounts[entry.account], command.next_trade()
        known = await with_market_facts(session, entry, account.zone) if market else entry
        try:
            legs, derived = worked_out(entry, account)
        except Invalid as error:
            raise Invalid(f"The trade in {entry.ticker} cannot be recorded: {error}") from None
        opened = trade_row(command, account, entry, number, strategies[entry.strategy], derived)
        rows[Trade].append(opened | derived | external_ids(entry))
        rows[Leg] += leg_rows(user_id, number, legs)
        rows[Fill] += fill_rows(user_id, number, legs, {})
        rows[Condition] += condition_rows(user_id, number, known)
    trades = await _write(session, rows)
    numbers = [trade.row["number"] for trade in trades]
    still_open = [trade.row["number"] for trade in trades if trade.row["status"] == "open"]
    result: dict[str, Any] = {"first": numbers[0], "last": numbers[-1], "open": still_open}
    if keys:
        result["keys"] = await _keep_keys(session, command, keys, contents, trades)
    await note_down(session, command, result, state=batch_hash(trades, set(still_open)))
    return numbers


async def _keep_keys(
    session: AsyncSession,
    command: Command,
    keys: Sequence[str],
    contents: Sequence[str],
    trades: Sequence[WholeTrade],
) -> str:
    """Remember under which key each trade was recorded, and as what; the hash of all of it."""
    recorded = [Recorded(trade.row["number"], trade.row["status"]) for trade in trades]
    rows = [
        {
            "user_id": user_of(session),
            "request_key": require_key(key),
            "command": BATCH,
            "content_hash": content,
            "result": canonical(asdict(one)),
            "made_at": command.made_at,
        }
        for key, content, one in zip(keys, contents, recorded, strict=True)
    ]
    sheet = await sheet_of(session, Request)
    try:
        await insert_bound(session, sheet, [sheet.bound(row) for row in rows])
    except IntegrityError:
        raise Conflict("A key of these trades was used before.") from None
    return keys_hash(rows)


async def _write(session: AsyncSession, rows: Rows) -> list[WholeTrade]:
    """Insert trades as open ones, then their parts, then end them; gives them as they are read."""
    sheet = await sheet_of(session, Trade)
    ended = [sheet.bound(row) for row in rows[Trade]]
    opening = sheet.bound({"status": "open"})
    begins = [name not in AT_LAST for name in sheet.names]
    opened = [
        tuple([pair[begun] for begun, pair in zip(begins, pairs, strict=True)])
        for pairs in (zip(opening, row, strict=True) for row in ended)
    ]
    await insert_bound(session, sheet, opened)
    parts: dict[str, Sequence[Row]] = {}
    for model in (Leg, Fill, Condition):
        of = await sheet_of(session, model)
        bound = [of.bound(row) for row in rows[model]]
        await insert_bound(session, of, bound)
        parts[model.__tablename__] = [of.read(one) for one in bound]
    try:
        await update_bound(session, sheet, ended, values=AT_LAST, key=("user_id", "number"))
    except IntegrityError as error:
        for name in EXTERNAL:
            if name in str(error.orig):
                raise Conflict(
                    f"The {name} of a trade belongs to another of the account."
                ) from None
        raise
    trades = [sheet.read(one) for one in ended]
    if rows[Condition]:  # Their names are in an order that is the database's own.
        first, last = trades[0]["number"], trades[-1]["number"]
        parts[Condition.__tablename__] = await conditions_of(session, first, last)
    return with_parts(trades, parts)
