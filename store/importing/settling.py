"""The trades that an account's executions make, against those that are recorded.

Most are new, or there already. An open trade that has gone on since is extended. What looked
otherwise when less was known (a file of earlier fills came later) is restated, as everything
recorded is: the older trade stays readable, and what was known at its entry passes on.

A trade that somebody recorded beside the broker's file is the same trade if its order is, or
if its fills are those of the file on the same days; so nothing is counted twice.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store.database import user_of
from store.derived import ENDINGS
from store.importing.reach import COUNTING, alike
from store.importing.ready import AUTHOR
from store.market_facts import FACTS
from store.models import Account, Condition, Correction, Fill, Leg, Trade
from store.pnl import PRECISION
from store.records import FillEntry, LegEntry, Side, TradeEntry
from store.statements.rounds import Dealt

ASKED_AT_ONCE = 500
# What was known at entry and no broker's file says.
KNOWN = (
    "strategy", "stop_loss", "take_profit", "scanner_score", "ai_score", "delta", "gamma",
    "theta", "vega", "iv", "stop_order_id", "target_order_id", "exit_reason",
)  # fmt: skip

FOLLOWS = (*ENDINGS, "manual")  # Exit reasons that follow from fills.

Terms: TypeAlias = tuple[Any, ...]


class Recorded(NamedTuple):
    """What is read of a trade; `ended_by` and `made_by` are the authors of its corrections."""

    number: int
    ticker: str
    status: str
    source: str
    external_id: str | None
    broker_order_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    ended_by: str | None
    made_by: str | None


class RecordedLeg(NamedTuple):
    trade_number: int
    leg_number: int
    instrument: str
    option_type: str | None
    strike: Decimal | None
    expiry: date | None
    symbol: str | None
    multiplier: Decimal
    delivered: int


class RecordedFill(NamedTuple):
    trade_number: int
    leg_number: int
    execution_id: str | None
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    filled_at: datetime
    kind: str


@dataclass(slots=True)
class There:
    """A recorded trade: its legs' terms, multipliers and fills by their numbers."""

    row: Recorded
    terms: dict[int, Terms] = field(default_factory=dict)
    delivered: set[int] = field(default_factory=set)
    units: dict[int, Decimal] = field(default_factory=dict)
    fills: dict[int, list[RecordedFill]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.row.number

    @property
    def by_hand(self) -> bool:
        """Whether somebody restated or voided it, or it is what they restated: that stands,
        whatever the broker's file says again."""
        return any(author not in (None, AUTHOR) for author in (self.row.ended_by, self.row.made_by))

    @property
    def frozen(self) -> bool:
        """Whether somebody restated or voided it once it was flat: its executions are settled,
        and what came after them is not its business."""
        return (
            not self.counts
            and self.row.ended_by not in (None, AUTHOR)
            and self.row.closed_at is not None
        )

    @property
    def restates_by_hand(self) -> bool:
        return self.row.made_by not in (None, AUTHOR)

    @property
    def counts(self) -> bool:
        return self.row.status in ("open", "closed")

    @property
    def open(self) -> bool:
        return self.row.status == "open"

    @property
    def fees(self) -> Decimal:
        return sum((fill.fee for some in self.fills.values() for fill in some), Decimal(0))

    def net_of(self, ids: Container[str]) -> Decimal:
        """What its fills of these executions moved, received above 0, fees deducted."""
        some = {
            leg: [fill for fill in fills if fill.execution_id in ids]
            for leg, fills in self.fills.items()
        }
        return replace(self, fills=some).cash(fees=True)

    def cash(self, *, fees: bool) -> Decimal:
        """What its fills moved, received above 0; with `fees` these deducted."""
        moved = Decimal(0)
        with localcontext(prec=PRECISION):
            for leg, some in self.fills.items():
                for fill in some:
                    worth = fill.price * fill.quantity * self.units[leg]
                    moved += worth if fill.side == "sell" else -worth
        return moved - self.fees if fees else moved


@dataclass(frozen=True)
class Growth:
    """What an open trade has to be given to be what the executions make."""

    number: int
    fills: dict[int, tuple[FillEntry, ...]]
    legs: tuple[LegEntry, ...]


@dataclass(frozen=True)
class Restatement:
    """A trade that takes the place of `restated` (None: of none that is closed) and of those
    that are `voided`."""

    entry: TradeEntry
    restated: int | None
    voided: tuple[int, ...]
    known_from: int


@dataclass
class Plan:
    """What makes the ledger what the executions say, oldest trade first."""

    new: list[TradeEntry] = field(default_factory=list)
    grown: list[Growth] = field(default_factory=list)
    restated: list[Restatement] = field(default_factory=list)
    there: list[tuple[TradeEntry, There]] = field(default_factory=list)
    ahead: list[tuple[TradeEntry, There]] = field(default_factory=list)
    by_hand: list[TradeEntry] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.new or self.grown or self.restated)

    def __iadd__(self, other: "Plan") -> "Plan":
        self.new += other.new
        self.grown += other.grown
        self.restated += other.restated
        self.there += other.there
        self.ahead += other.ahead
        self.by_hand += other.by_hand
        return self


def terms_of(leg: LegEntry) -> Terms:
    return (leg.instrument, leg.option_type, leg.strike, leg.expiry, leg.symbol)


def planned(
    wanted: Sequence[TradeEntry], there: Sequence[There], source: str, zone: ZoneInfo
) -> Plan:
    """How to come from the trades that are `there` to those that are `wanted`; days are those
    of the market's `zone`."""
    plan, index = Plan(), _Index(there, source, zone)
    # An execution through zero stands in two trades: which is which says how they began.
    begun = [index.begun_as(entry) for entry in wanted]
    for entry, same in zip(wanted, begun, strict=True):
        found = [*same, *index.sharing(entry)] or index.recorded_otherwise(entry)
        if not found:
            plan.new.append(entry)
            continue
        index.take(found)
        if any(trade.by_hand for trade in found):
            plan.by_hand.append(entry)
            continue
        if len(found) == 1 and index.ahead(entry, found[0]):
            plan.ahead.append((entry, found[0]))
            continue
        growth = _growth(entry, found[0], zone) if len(found) == 1 else None
        if growth is None:
            plan.restated.append(_restatement(entry, found))
        elif growth.fills or growth.legs:
            plan.grown.append(growth)
        else:
            plan.there.append((entry, found[0]))
    return plan


def without_frozen(dealt: Iterable[Dealt], there: Iterable[There]) -> list[Dealt]:
    """Executions without what of them is settled in trades that are frozen."""
    settled: dict[tuple[str, Terms], list[Any]] = defaultdict(list)
    for trade in there:
        for leg, fills in trade.fills.items() if trade.frozen else ():
            for fill in fills:
                settled[str(fill.execution_id), trade.terms[leg]].append(fill)
    left = []
    for one in dealt:
        done, what = one.execution, one.execution.instrument
        terms = (what.kind, what.option_type, what.strike, what.expiry, what.symbol)
        parts = settled.get((one.id, terms), ())
        quantity = done.quantity - sum((part.quantity for part in parts), Decimal(0))
        if quantity > 0:
            fee = done.fee - sum((part.fee for part in parts), Decimal(0))
            rest = replace(done, quantity=quantity, fee=fee) if parts else done
            left.append(one._replace(execution=rest))
    return left


class _Index:
    """Recorded trades by what a wanted one may have in common with them."""

    def __init__(self, there: Sequence[There], source: str, zone: ZoneInfo) -> None:
        self._zone = zone
        self._taken: set[int] = set()
        self._by_execution: dict[tuple[str, Terms], list[There]] = defaultdict(list)
        self._by_order: dict[str, list[There]] = defaultdict(list)
        self._by_fill: dict[tuple[Any, ...], list[There]] = defaultdict(list)
        for trade in sorted(there, key=lambda one: one.number):
            if trade.frozen:
                continue
            for leg, fills in trade.fills.items():
                for fill in fills:
                    # Whoever recorded the trade: an import may have extended it.
                    if fill.execution_id and not trade.restates_by_hand:
                        self._by_execution[fill.execution_id, trade.terms[leg]].append(trade)
            if not trade.counts:
                continue
            if trade.row.broker_order_id:
                self._by_order[trade.row.broker_order_id].append(trade)
            if trade.row.source != source:
                for noted in _loose(trade, zone):
                    self._by_fill[noted].append(trade)

    def begun_as(self, entry: TradeEntry) -> list[There]:
        """The trade that began with the execution with which `entry` begins, if there is one, and
        what somebody made of it."""
        first = entry.legs[0]
        alike = self._by_execution.get((str(entry.external_id), terms_of(first)), ())
        found = [one for one in alike if one.row.external_id == entry.external_id]
        self.take(found)
        return found

    def sharing(self, entry: TradeEntry) -> list[There]:
        """Trades that have an execution of `entry`, oldest first."""
        found = {
            trade.number: trade
            for leg in entry.legs
            for fill in leg.fills
            for trade in self._by_execution.get((str(fill.execution_id), terms_of(leg)), ())
            if trade.number not in self._taken
        }
        return [found[number] for number in sorted(found)]

    def recorded_otherwise(self, entry: TradeEntry) -> list[There]:
        """The trade that somebody else recorded of what `entry` is, if there is one."""
        fills = Counter(_loose_entry(entry, self._zone))
        orders = self._by_order.get(entry.broker_order_id or "", [])
        alike = (one for fill in fills for one in self._by_fill.get(fill, ()))
        for trade in (*orders, *alike):
            if trade.number in self._taken:
                continue
            has = Counter(_loose(trade, self._zone))
            if trade in orders or has == fills or fills <= has or (trade.open and has <= fills):
                return [trade]
        return []

    def ahead(self, entry: TradeEntry, trade: There) -> bool:
        """Whether somebody has recorded all that `entry` has, and what the file lacks yet."""
        fills, has = Counter(_loose_entry(entry, self._zone)), Counter(_loose(trade, self._zone))
        return fills < has and not any(
            fill.execution_id for some in trade.fills.values() for fill in some
        )

    def take(self, found: Iterable[There]) -> None:
        self._taken.update(trade.number for trade in found)


def _loose(trade: There, zone: ZoneInfo) -> list[tuple[Any, ...]]:
    """The fills of a trade as anybody would have noted them: on which day, not when."""
    return [
        (
            trade.terms[leg],
            fill.side,
            fill.quantity,
            fill.price,
            _day(fill.filled_at, zone),
        )
        for leg, fills in trade.fills.items()
        for fill in fills
    ]


def _loose_entry(entry: TradeEntry, zone: ZoneInfo) -> list[tuple[Any, ...]]:
    return [
        (terms_of(leg), fill.side, fill.quantity, fill.price, _day(fill.filled_at, zone))
        for leg in entry.legs
        for fill in leg.fills
    ]


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _growth(entry: TradeEntry, trade: There, zone: ZoneInfo) -> Growth | None:
    """What `trade` lacks to be `entry`: nothing, or more; None where it has other than that, or
    began before: what was known at its entry was then known later."""
    numbers = {(terms, leg in trade.delivered): leg for leg, terms in trade.terms.items()}
    wanted = {(terms_of(leg), leg.delivered): leg for leg in entry.legs}
    if set(numbers) - set(wanted) or len(wanted) < len(entry.legs):
        return None
    fills: dict[int, tuple[FillEntry, ...]] = {}
    legs: list[LegEntry] = []
    for key, leg in wanted.items():
        number = numbers.get(key)
        if number is None:
            legs.append(leg)
            continue
        more = _more(leg.fills, trade.fills[number], zone)
        if more is None:
            return None
        if more:
            fills[number] = more
    if not trade.open and (fills or legs or trade.fees != _fees(entry)):
        return None
    if (fills or legs) and opened_at(entry) < trade.row.opened_at:
        return None
    return Growth(trade.number, fills, tuple(legs))


def opened_at(entry: TradeEntry) -> datetime:
    return min(fill.filled_at for leg in entry.legs for fill in leg.fills)


def _fees(entry: TradeEntry) -> Decimal:
    return sum((fill.fee for leg in entry.legs for fill in leg.fills), Decimal(0))


def _more(
    wanted: Sequence[FillEntry], there: Sequence[Any], zone: ZoneInfo
) -> tuple[FillEntry, ...] | None:
    """The fills that are not there yet; None if one is there that is not wanted."""
    by_id = {fill.execution_id: fill for fill in wanted}
    found: set[str | None] = set()
    noted: list[Any] = []
    for row in there:
        fill = by_id.get(row.execution_id)
        if row.execution_id is None:
            noted.append(row)
        elif fill is None or not _alike(fill, row):
            return None
        else:
            found.add(fill.execution_id)
    left = [fill for fill in wanted if fill.execution_id not in found]
    for row in noted:  # As somebody noted it, without the broker's id.
        day = _day(row.filled_at, zone)
        same = next(
            (fill for fill in left if _alike(fill, row) and _day(fill.filled_at, zone) == day), None
        )
        if same is None:
            return None
        left.remove(same)
    return tuple(left)


def _alike(fill: FillEntry, row: Any) -> bool:
    said = ("side", "quantity", "price", "kind")
    return all(getattr(fill, name) == getattr(row, name) for name in said)


def _restatement(entry: TradeEntry, found: Sequence[There]) -> Restatement:
    closed = next((trade.number for trade in found if not trade.open), None)
    voided = tuple(trade.number for trade in found if trade.number != closed)
    return Restatement(entry, closed, voided, closed or found[0].number)


async def trades_there(
    session: AsyncSession, account: Account, since: Mapping[str, datetime]
) -> dict[str, list[There]]:
    """The trades of an account that count, and those that somebody restated or voided, by
    ticker: of each those that began `since` its moment."""
    by_number = {
        row.number: There(row)
        for few in alike(since)
        for row in map(Recorded._make, await _trades(session, account, few))
        if row.opened_at >= few[row.ticker]
    }
    numbers = sorted(by_number)
    for leg in map(RecordedLeg._make, await _parts(session, Leg, RecordedLeg._fields, numbers)):
        trade, number = by_number[leg.trade_number], leg.leg_number
        trade.terms[number] = leg.instrument, leg.option_type, leg.strike, leg.expiry, leg.symbol
        trade.units[number] = leg.multiplier
        if leg.delivered:
            trade.delivered.add(number)
        trade.fills[number] = []
    for fill in map(RecordedFill._make, await _parts(session, Fill, RecordedFill._fields, numbers)):
        by_number[fill.trade_number].fills[fill.leg_number].append(fill)
    found: dict[str, list[There]] = defaultdict(list)
    for trade in by_number.values():
        found[trade.row.ticker].append(trade)
    return found


async def _trades(
    session: AsyncSession, account: Account, since: Mapping[str, datetime]
) -> Iterable[Any]:
    """Those of `since` the first of these moments, with who ended and who made them."""
    ended, made = aliased(Correction), aliased(Correction)
    return await session.execute(
        select(
            *(getattr(Trade, name) for name in Recorded._fields[:-2]),
            ended.author.label("ended_by"),
            made.author.label("made_by"),
        )
        .outerjoin(ended, (ended.user_id == Trade.user_id) & (ended.number == Trade.number))
        .outerjoin(made, (made.user_id == Trade.user_id) & (made.replacement == Trade.number))
        .where(
            Trade.user_id == user_of(session),
            Trade.account_id == account.account_id,
            Trade.ticker.in_(since),
            Trade.opened_at >= min(since.values()),
            or_(Trade.status.in_(["open", "closed"]), ended.author != AUTHOR),
        )
        # As the index of tickers is: in any other order SQLite reads all that the user has.
        .order_by(Trade.ticker, Trade.closed_at, Trade.number)
    )


async def _parts(
    session: AsyncSession, model: Any, names: Iterable[str], numbers: Sequence[int]
) -> list[Any]:
    """Columns of the legs or fills of trades, in their order."""
    found: list[Any] = []
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        rows = await session.execute(
            select(*(getattr(model, name) for name in names))
            .where(
                model.user_id == user_of(session),
                model.trade_number.in_(numbers[start : start + ASKED_AT_ONCE]),
            )
            .order_by(*model.__table__.primary_key.columns)
        )
        found += rows.all()
    return found


async def with_what_was_known(session: AsyncSession, entry: TradeEntry, number: int) -> TradeEntry:
    """`entry` with what was known at the entry of trade `number`, which it restates."""
    mine = Trade.user_id == user_of(session), Trade.number == number
    row = (await session.execute(select(*Trade.__table__.columns).where(*mine))).mappings().one()
    conditions = await session.execute(
        select(*Condition.__table__.columns).where(
            Condition.user_id == user_of(session), Condition.trade_number == number
        )
    )
    named: dict[str, Decimal | str] = {
        one["name"]: one["word"] if one["number"] is None else one["number"]
        for one in conditions.mappings()
        # What the market gave an imported trade is worked out anew: it may have begun earlier.
        if row["source"] != entry.source or one["name"] not in FACTS
    }
    known = {name: row[name] for name in KNOWN if row[name] is not None}
    if known.get("exit_reason") in FOLLOWS:
        del known["exit_reason"]
    return entry.model_copy(update={**known, "conditions": named or entry.conditions})


async def with_free_orders(
    session: AsyncSession, account: Account, entries: Sequence[TradeEntry], but: int | None = None
) -> list[TradeEntry]:
    """`entries` as they can be recorded: an order that opened a position, closed it and opened
    another names the trade that has it already (trade `but` apart), else the first one."""
    orders = sorted({entry.broker_order_id for entry in entries if entry.broker_order_id})
    taken: set[str | None] = set()
    for start in range(0, len(orders), ASKED_AT_ONCE):
        taken.update(
            await session.scalars(
                select(Trade.broker_order_id)
                .where(
                    Trade.user_id == user_of(session),
                    Trade.account_id == account.account_id,
                    COUNTING,
                    Trade.broker_order_id.in_(orders[start : start + ASKED_AT_ONCE]),
                    Trade.number != (but or 0),
                )
                .order_by(Trade.broker_order_id)
            )
        )
    found = []
    for entry in entries:
        if entry.broker_order_id in taken:
            found.append(entry.model_copy(update={"broker_order_id": None}))
        else:
            found.append(entry)
            taken.add(entry.broker_order_id or "")
    return found
