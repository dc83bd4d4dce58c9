"""The commands that record: open, fill, mark, close, note.

Each is one unit of work inside the caller's transaction (`store.write()`), safe to repeat
under the same `key`, and on the audit record. A trade closes, and is locked, when its last
leg is flat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from store import pnl
from store.accounts import require_account
from store.audit import OWNER, Command, Recorded, begin, finish
from store.columns import MONEY_DIGITS
from store.database import user_of
from store.derived import (
    Leg,
    Shape,
    as_fill,
    check_fill,
    check_size,
    facts,
    leg_of,
    plain,
    positions_of,
    shape_of,
    trade_result,
)
from store.errors import Conflict, Invalid, NotFound
from store.fixed import note_row, row_hash, state_hash, whole_trade
from store.market import with_market_facts
from store.models import Account, Condition, Fill, Note, Snapshot, Strategy, Trade
from store.models import Leg as LegRow
from store.records import (
    ByDelivery,
    ByExpiry,
    ByFills,
    ByPrices,
    BySettlement,
    Ending,
    ExitReason,
    FillEntry,
    LegEntry,
    SnapshotEntry,
    Text,
    TradeEntry,
)
from store.rows import condition_rows, external_ids, fill_rows, leg_rows, trade_row, worked_out
from store.vocabulary import name_key, storable

LEGS_MAX = 8
EXIT_REASONS: tuple[str, ...] = get_args(ExitReason)


async def open_trade(
    session: AsyncSession, entry: TradeEntry, *, key: str | None = None, author: str = OWNER
) -> Recorded:
    """Record a trade with its fills so far; one whose legs are all flat is closed at once.

    Raises:
        NotFound: there is no such account.
        Invalid: the legs and fills do not make a trade.
        Conflict: the key, external id or broker order id belongs to another trade.
    """
    command = await begin(session, "open_trade", {"entry": entry}, key=key, author=author)
    if command.replay:
        return command.replay
    account = await require_account(session, entry.account)
    number = command.next_trade()
    derived = await write_trade(session, command, account, entry, number)
    await end_trade(session, number, external_ids(entry) | derived)
    return await _finish(session, command, Recorded(number, derived["status"]), opening=True)


async def add_fill(
    session: AsyncSession,
    number: int,
    leg_number: int,
    fill: FillEntry,
    *,
    exit_reason: str | None = None,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Add one execution to a leg of an open trade; the one that flattens it closes it.

    A fill larger than what is open goes through zero: it is split, its fee pro-rated, and
    the rest opens a trade of its own (`next_number`), with nothing assumed of its entry.
    """
    content = {"number": number, "leg": leg_number, "fill": fill, "exit_reason": exit_reason}
    command = await begin(session, "add_fill", content, key=key, author=author)
    if command.replay:
        return command.replay
    trade, legs = await open_trade_of(session, number)
    leg = _leg(legs, number, leg_number)
    check_fill(f"Leg {leg_number} ({leg.instrument})", leg.instrument, fill)
    flipped = None
    if excess := _excess(leg, fill):
        if len(legs) > 1:
            raise Invalid(
                f"The fill of {plain(fill.quantity)} closes {plain(excess)} more than leg"
                f" {leg_number} of trade {number} holds; record the rest as a trade of its own."
            )
        fill, rest = _split(fill, fill.quantity - excess)
        flipped = await _open_rest(session, command, trade, leg, rest)
    status = await _continue(session, trade, legs, {leg_number: [fill]}, exit_reason)
    return await _finish(session, command, Recorded(number, status, flipped))


async def close_trade(
    session: AsyncSession,
    number: int,
    how: Ending,
    *,
    exit_reason: str | None = None,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """End an open trade by fills or prices, expiry, cash settlement, assignment or exercise.

    Delivery closes the option and trades its shares at the strike inside the same trade,
    which stays open while it holds them. All else must leave it flat.

    Raises:
        Invalid: something would stay open, or the trade has no option to end so.
    """
    content = {"number": number, "how": {type(how).__name__: how}, "exit_reason": exit_reason}
    command = await begin(session, "close_trade", content, key=key, author=author)
    if command.replay:
        return command.replay
    trade, legs = await open_trade_of(session, number)
    if isinstance(how, ByDelivery):
        legs, fills = _delivered(legs, number, how)
        await _insert_legs(session, number, [leg for leg in legs if not leg.fills])
    elif isinstance(how, ByFills):
        fills = {leg: list(given) for leg, given in how.fills.items()}
    elif isinstance(how, ByPrices):
        fills = _dealt_away(legs, number, how)
    else:
        fills = _ended_options(legs, number, how)
    for leg_number, given in fills.items():
        leg = _leg(legs, number, leg_number)
        for fill in given:
            check_fill(f"Leg {leg_number} ({leg.instrument})", leg.instrument, fill)
    status = await _continue(session, trade, legs, fills, exit_reason)
    if status == "open" and not isinstance(how, ByDelivery):
        raise Invalid(f"Trade {number} would stay open: the fills do not flatten every leg.")
    return await _finish(session, command, Recorded(number, status))


async def extend_trade(
    session: AsyncSession,
    number: int,
    fills: Mapping[int, Sequence[FillEntry]],
    legs: Sequence[LegEntry] = (),
    *,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Add `fills` by leg number, and new `legs` with theirs, to an open trade at once; it
    closes when all are flat.

    Raises:
        Conflict: the trade is locked.
        Invalid: a fill goes through zero, or the legs do not make a trade.
    """
    content = {"number": number, "fills": fills, "legs": list(legs)}
    command = await begin(session, "extend_trade", content, key=key, author=author)
    if command.replay:
        return command.replay
    trade, there = await open_trade_of(session, number)
    if len(there) + len(legs) > LEGS_MAX:
        raise Invalid(f"Trade {number} would have more than {LEGS_MAX} legs.")
    added = [leg_of(place, leg) for place, leg in enumerate(legs, start=len(there) + 1)]
    await _insert_legs(session, number, added)
    await _insert_fills(session, number, added, {})
    for leg_number, given in fills.items():
        leg = _leg(there, number, leg_number)
        for fill in given:
            check_fill(f"Leg {leg_number} ({leg.instrument})", leg.instrument, fill)
    more = {leg: list(given) for leg, given in fills.items()}
    # What the legs so far were called by themselves is not what they are with others.
    own = shape_of(there)
    named = Shape(
        *(
            None if said == derived else said
            for said, derived in zip((trade.structure, trade.direction), own, strict=True)
        )
    )
    status = await _continue(session, trade, [*there, *added], more, None, named)
    return await _finish(session, command, Recorded(number, status))


async def add_snapshots(
    session: AsyncSession,
    number: int,
    snapshots: Sequence[SnapshotEntry],
    *,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Add marks to an open trade; a moment that is already marked keeps its first mark.

    `mark_price` is the price of the one leg that is open; of several it is the net price of
    a unit of what is open, a debit positive.
    """
    content = {"number": number, "snapshots": list(snapshots)}
    command = await begin(session, "add_snapshots", content, key=key, author=author)
    if command.replay:
        return command.replay
    _trade, legs = await open_trade_of(session, number)
    rows = [
        {
            "user_id": user_of(session),
            "trade_number": number,
            **snapshot.model_dump(),
            "unrealised_pnl": _unrealised(legs, number, snapshot),
        }
        for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.taken_at)
    ]
    if rows:
        dialect = session.get_bind().dialect.name
        statement = (insert_sqlite if dialect == "sqlite" else insert_postgresql)(Snapshot)
        await session.execute(statement.on_conflict_do_nothing(), rows)
        latest = (
            select(Snapshot.unrealised_pnl)
            .where(Snapshot.user_id == user_of(session), Snapshot.trade_number == number)
            .order_by(Snapshot.taken_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        await end_trade(session, number, {"unrealised_pnl": latest})
    return await finish(session, command, Recorded(number, "open"))


async def add_note(
    session: AsyncSession,
    number: int,
    body: Text,
    *,
    key: str | None = None,
    author: str = OWNER,
) -> Recorded:
    """Append a journal entry to a trade, open or locked. It is stored as it is said."""
    if not 1 <= len(body) <= 20_000 or not storable(body):
        raise Invalid(
            f"A note of {len(body)} characters; 1 to 20000 without NUL or lone surrogates are"
            " accepted."
        )
    content = {"number": number, "body": body}
    command = await begin(session, "add_note", content, key=key, author=author)
    if command.replay:
        return command.replay
    trade = await require_trade(session, number)
    last = await session.scalar(
        select(func.max(Note.note_number)).where(
            Note.user_id == user_of(session), Note.trade_number == number
        )
    )
    await session.execute(
        insert(Note).values(
            user_id=user_of(session),
            trade_number=number,
            note_number=(last or 0) + 1,
            body=body,
            author=author,
            written_at=command.made_at,
        )
    )
    state = state_hash(note=row_hash(await note_row(session, number, (last or 0) + 1)))
    return await finish(session, command, Recorded(number, trade.status), state=state)


# What the commands, and corrections, are made of.


async def write_trade(
    session: AsyncSession, command: Command, account: Account, entry: TradeEntry, number: int
) -> dict[str, Any]:
    """Insert `entry` as open trade `number`, with its parts; gives what `end_trade` is to set.

    External ids are left to `end_trade`: until then they may belong to a trade that this
    one corrects. What was known of the market at entry is added to its conditions here, after
    the caller's key was looked up: newer market data makes no repetition another command.
    """
    entry = await with_market_facts(session, entry, account.zone)
    legs, derived = worked_out(entry, account)
    strategy = await known_strategy(session, entry.strategy)
    row = trade_row(command, account, entry, number, strategy, derived)
    await session.execute(insert(Trade).values(row))
    await _insert_legs(session, number, legs)
    await _insert_fills(session, number, legs, {})
    await _insert_conditions(session, number, entry)
    return derived


async def end_trade(session: AsyncSession, number: int, values: dict[str, Any]) -> None:
    """Set `values` on an open trade; with status closed they lock it."""
    try:
        await session.execute(
            update(Trade)
            .where(Trade.user_id == user_of(session), Trade.number == number)
            .values(values)
            .execution_options(synchronize_session=False)
        )
    except IntegrityError as error:
        for name in ("external_id", "broker_order_id"):
            if name in str(error.orig):
                raise Conflict(
                    f"The {name} of this trade belongs to another trade of the account."
                ) from None
        raise


async def require_trade(session: AsyncSession, number: int) -> Trade:
    """The trade of this number.

    Raises:
        NotFound: the user has no such trade.
    """
    trade = await session.scalar(
        select(Trade)
        .where(Trade.user_id == user_of(session), Trade.number == number)
        .execution_options(populate_existing=True)
    )
    if trade is None:
        raise NotFound(f"No trade {number}.")
    return trade


async def open_trade_of(session: AsyncSession, number: int) -> tuple[Trade, list[Leg]]:
    """An open trade and its legs.

    Raises:
        Conflict: the trade is locked.
    """
    trade = await require_trade(session, number)
    if trade.status != "open":
        raise Conflict(
            f"Trade {number} is {trade.status} and locked; what is wrong in it is restated by a"
            " correction, or the trade is voided."
        )
    return trade, await legs_of(session, number)


async def fixed_hash(
    session: AsyncSession, recorded: Recorded, *, opening: bool = False
) -> str | None:
    """The hash of what a command fixed of its trade: all of it once it is locked; where it is
    open, and this is the command that opened it, what was known at entry."""
    if recorded.status == "open" and not opening:
        return None
    trade = await whole_trade(session, recorded.number)
    return trade.entry_hash if recorded.status == "open" else trade.hash


async def _finish(
    session: AsyncSession, command: Command, recorded: Recorded, *, opening: bool = False
) -> Recorded:
    state = state_hash(trade=await fixed_hash(session, recorded, opening=opening))
    return await finish(session, command, recorded, state=state)


async def known_strategy(session: AsyncSession, name: str | None) -> str | None:
    """The strategy as it was first written; a new one is remembered as it is."""
    if name is None:
        return None
    mine = (Strategy.user_id == user_of(session), Strategy.name_key == name_key(name))
    known = await session.scalar(select(Strategy.name).where(*mine))
    if known is None:
        await session.execute(
            insert(Strategy).values(user_id=user_of(session), name_key=name_key(name), name=name)
        )
    return known or name


async def _insert_legs(session: AsyncSession, number: int, legs: Sequence[Leg]) -> None:
    if legs:
        await session.execute(insert(LegRow), leg_rows(user_of(session), number, legs))


async def _insert_fills(
    session: AsyncSession, number: int, legs: Sequence[Leg], there: dict[int, int]
) -> None:
    """Insert the fills of `legs` but for the first ones, as many by leg as are `there`."""
    rows = fill_rows(user_of(session), number, legs, there)
    if not rows:
        return
    try:
        await session.execute(insert(Fill), rows)
    except IntegrityError as error:
        if "execution_id" in str(error.orig):
            raise Conflict(f"An execution id occurs twice in trade {number}.") from None
        raise


async def _insert_conditions(session: AsyncSession, number: int, entry: TradeEntry) -> None:
    if rows := condition_rows(user_of(session), number, entry):
        await session.execute(insert(Condition), rows)


async def legs_of(session: AsyncSession, number: int) -> list[Leg]:
    """The legs of a trade with their fills, those that were delivered too."""
    mine = (LegRow.user_id == user_of(session), LegRow.trade_number == number)
    rows = (await session.scalars(select(LegRow).where(*mine).order_by(LegRow.leg_number))).all()
    fills = (
        await session.scalars(
            select(Fill)
            .where(Fill.user_id == user_of(session), Fill.trade_number == number)
            .order_by(Fill.leg_number, Fill.fill_number)
        )
    ).all()
    return [
        Leg(
            number=row.leg_number,
            instrument=row.instrument,
            multiplier=row.multiplier,
            fills=tuple(
                FillEntry.model_validate(
                    {name: getattr(fill, name) for name in FillEntry.model_fields}
                )
                for fill in fills
                if fill.leg_number == row.leg_number
            ),
            option_type=row.option_type,  # type: ignore[arg-type]
            strike=row.strike,
            expiry=row.expiry,
            symbol=row.symbol,
            delivered=bool(row.delivered),
        )
        for row in rows
    ]


def _leg(legs: Sequence[Leg], number: int, leg_number: int) -> Leg:
    for leg in legs:
        if leg.number == leg_number:
            return leg
    known = ", ".join(str(leg.number) for leg in legs)
    raise NotFound(f"Trade {number} has no leg {leg_number}. Its legs: {known}.")


async def _continue(
    session: AsyncSession,
    trade: Trade,
    legs: Sequence[Leg],
    fills: dict[int, list[FillEntry]],
    exit_reason: str | None,
    named: Shape | None = None,
) -> str:
    """Add `fills` by leg number and set what follows from them; gives the new status.

    The trade keeps its structure and direction unless others are `named`, None being those
    that follow from its legs.
    """
    named = named or Shape(trade.structure, trade.direction)
    if exit_reason is not None and exit_reason not in EXIT_REASONS:
        raise Invalid(f"No exit reason of this name. Known: {', '.join(EXIT_REASONS)}.")
    account = await session.get_one(Account, (trade.user_id, trade.account_id))
    grown = [leg.with_fills(fills.get(leg.number, ())) for leg in legs]
    derived = facts(
        grown,
        zone=account.zone,
        tolerance=account.tolerance,
        stop_loss=trade.stop_loss,
        direction=named.direction,
        structure=named.structure,
        exit_reason=exit_reason,
    )
    await _insert_fills(session, trade.number, grown, {leg.number: len(leg.fills) for leg in legs})
    if derived["status"] == "closed":
        derived["unrealised_pnl"] = None
    await end_trade(session, trade.number, derived)
    return str(derived["status"])


def _excess(leg: Leg, fill: FillEntry) -> Decimal:
    """By how much `fill` closes more than `leg` holds."""
    try:
        _ = leg.with_fills([fill]).position
    except pnl.FlipsError as error:
        return error.excess
    return Decimal(0)


def _split(fill: FillEntry, quantity: Decimal) -> tuple[FillEntry, FillEntry]:
    first, rest = pnl.split(as_fill(fill), quantity)
    return (
        fill.model_copy(update={"quantity": first.quantity, "fee": first.fee}),
        fill.model_copy(update={"quantity": rest.quantity, "fee": rest.fee}),
    )


async def _open_rest(
    session: AsyncSession, command: Command, trade: Trade, leg: Leg, fill: FillEntry
) -> int:
    """Open the trade that a fill through zero leaves, in the same instrument."""
    account = await session.get_one(Account, (trade.user_id, trade.account_id))
    number = command.next_trade()
    entry = TradeEntry.model_validate(
        {
            "account": account.name,
            "ticker": trade.ticker,
            "strategy": trade.strategy,
            "source": trade.source,
            "legs": [
                {
                    "instrument": leg.instrument,
                    "option_type": leg.option_type,
                    "strike": leg.strike,
                    "expiry": leg.expiry,
                    "multiplier": leg.multiplier,
                    "symbol": leg.symbol,
                    "fills": [fill],
                }
            ],
        }
    )
    await write_trade(session, command, account, entry, number)
    return number


def _dealt_away(legs: Sequence[Leg], number: int, how: ByPrices) -> dict[int, list[FillEntry]]:
    """The fills that flatten every leg at the prices said."""
    fills = {}
    for leg_number, said in how.prices.items():
        held = _leg(legs, number, leg_number).position.open_quantity
        if not held:
            raise Invalid(f"Leg {leg_number} of trade {number} is flat already.")
        fills[leg_number] = [
            FillEntry(
                side="sell" if held > 0 else "buy",
                quantity=abs(held),
                price=said.price,
                fee=said.fee,
                filled_at=how.at,
            )
        ]
    return fills


def _ended_options(
    legs: Sequence[Leg], number: int, how: ByExpiry | BySettlement
) -> dict[int, list[FillEntry]]:
    """The fills that end every open option of the trade, worthless or at intrinsic value."""
    ended = {}
    for leg in legs:
        held = leg.position.open_quantity
        if not held:
            continue
        if leg.strike is None or leg.option_type is None:
            raise Invalid(f"Leg {leg.number} of trade {number} is no option and cannot expire.")
        price = Decimal(0)
        if isinstance(how, BySettlement):
            moved = how.underlying_price - leg.strike
            price = max(moved if leg.option_type == "call" else -moved, price)
        ended[leg.number] = [
            FillEntry(
                side="sell" if held > 0 else "buy",
                quantity=abs(held),
                price=price,
                filled_at=how.at,
                kind="settled" if price else "expired",
            )
        ]
    return ended


def _delivered(
    legs: list[Leg], number: int, how: ByDelivery
) -> tuple[list[Leg], dict[int, list[FillEntry]]]:
    """The fills of an assignment or exercise, and the legs with the shares' one among them."""
    option = _leg(legs, number, how.leg)
    held = option.position.open_quantity
    if option.strike is None or not held:
        raise Invalid(f"Leg {how.leg} of trade {number} is not an open option.")
    contracts = how.quantity or abs(held)
    if contracts > abs(held):
        raise Invalid(
            f"{plain(contracts)} contracts are more than the {plain(abs(held))} that are open."
        )
    # A long call and a short put receive shares, a long put and a short call deliver them.
    buys = (held > 0) == (option.option_type == "call")
    shares = next((leg for leg in legs if leg.instrument == "equity"), None)
    if shares is None:
        if len(legs) == LEGS_MAX:
            raise Invalid(
                f"Trade {number} has {LEGS_MAX} legs already, none of them shares; expire the"
                " option and record its shares as a trade of their own."
            )
        shares = Leg(len(legs) + 1, "equity", Decimal(1), fills=(), delivered=True)
        legs = [*legs, shares]
    end = FillEntry(
        side="sell" if held > 0 else "buy",
        quantity=contracts,
        price=Decimal(0),
        filled_at=how.at,
        fee=how.fee,
        kind="exercised" if held > 0 else "assigned",
    )
    stock = FillEntry(
        side="buy" if buys else "sell",
        quantity=contracts * option.multiplier,
        price=option.strike,
        filled_at=how.at,
    )
    return legs, {option.number: [end], shares.number: [stock]}


def _unrealised(legs: Sequence[Leg], number: int, snapshot: SnapshotEntry) -> Decimal:
    """Net P&L if the trade were closed at the mark, by the fills up to its moment."""
    so_far = [
        replace(leg, fills=known)
        for leg in legs
        if (known := tuple(fill for fill in leg.fills if fill.filled_at <= snapshot.taken_at))
    ]
    if not any(not leg.delivered for leg in so_far):
        raise Invalid(f"The snapshot at {snapshot.taken_at.isoformat()} is before trade {number}.")
    positions = positions_of(so_far)
    trade = trade_result(so_far, positions)
    found = pnl.unrealised(trade, list(positions.values()), snapshot.mark_price)
    check_size("unrealised_pnl", found, MONEY_DIGITS)
    return found
