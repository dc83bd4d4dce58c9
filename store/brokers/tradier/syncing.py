"""An account of Tradier's into the ledger, and what differs between the two.

Reading comes first and writes nothing. Then the executions are recorded in one transaction,
and trades whose costs have become known are restated in another; both are repeatable, so a run
that is killed is made good by the next.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, find_account
from store.brokers.tradier.answers import text
from store.brokers.tradier.client import Tradier
from store.brokers.tradier.comparing import Difference, of_gains, of_positions
from store.brokers.tradier.deals import Deals
from store.brokers.tradier.history import of_history
from store.brokers.tradier.ledger import (
    AUTHOR,
    SOURCE,
    Position,
    begins_on,
    open_positions,
    order_parts,
    post_fees,
    realised,
)
from store.brokers.tradier.marks import marks, prices
from store.brokers.tradier.orders import of_orders
from store.brokers.tradier.settling import Settled, settled
from store.connections import BrokerEnvironment
from store.database import Store
from store.errors import Conflict, NotFound
from store.importing import StatementResult, import_file
from store.recording import add_snapshots
from store.records import Mode
from store.statements.execution import Instrument, Statement
from store.statements.refusing import Rejection

FIRST_DAY = date(1990, 1, 1)
MODES: dict[BrokerEnvironment, Mode] = {"sandbox": "paper", "live": "live"}


@dataclass(frozen=True)
class Synced:
    """What a run did with one account, and what it found.

    `restated` are trades restated because the broker posted what they cost; `unposted` is how
    many orders' costs are not known yet. `positions` and `gains` are what differs. `symbols`
    are Tradier's names of what it holds.
    """

    number: str
    account: str
    since: date | None
    result: StatementResult
    restated: tuple[int, ...]
    unposted: int
    rejected: tuple[Rejection, ...]
    ignored: dict[str, int]
    positions: tuple[Difference, ...]
    gains: tuple[Difference, ...]
    symbols: dict[Instrument, str]


async def accounts_of(tradier: Tradier, wanted: str | None) -> list[str]:
    """The numbers of the connection's accounts, or the one that is `wanted`.

    Raises:
        NotFound: it is none of them.
    """
    numbers = [text(one, "account_number") for one in await tradier.accounts()]
    known = [number for number in numbers if number.isascii() and number.isalnum()]
    if wanted is None:
        return known
    if wanted not in known:
        raise NotFound(f"No account '{wanted}' at Tradier. Its accounts: {', '.join(known)}.")
    return [wanted]


def account_name(number: str) -> str:
    """The ledger's account for Tradier's account `number`."""
    return f"Tradier {number}"


async def sync_account(
    store: Store,
    tradier: Tradier,
    environment: BrokerEnvironment,
    number: str,
    *,
    since: date | None = None,
    user_id: int | None = None,
) -> Synced:
    """Record what is new in account `number` and compare.

    `since` is the day from which the history is read; unsaid, a week before the last
    execution, or all of it the first time.
    """
    name = account_name(number)
    async with store.read(user_id) as session:
        there = await find_account(session, name)
        begins = since or await begins_on(session, there)
        stored = await order_parts(session, there, begins)
    orders = await tradier.orders(number)
    events = await tradier.history(number, begins)
    closed = await tradier.gain_loss(number, begins)
    held = await tradier.positions(number)

    ordered, posted = of_orders(orders), of_history(events)
    dealt = settled(ordered.executions, stored, posted)
    statement = _statement(name, MODES[environment], ordered, posted, dealt)
    result = await store.record(
        lambda session: import_file(session, statement, take_good=True), user_id, keyed=True
    )
    restated = await store.record(
        lambda session: _posted_fees(session, name, dealt.fees), user_id, keyed=True
    )
    async with store.read(user_id) as session:
        account = await find_account(session, name)
        mine = await open_positions(session, account) if account else []
        earned = await realised(session, account, begins or FIRST_DAY) if account else {}
    unposted = {part.instrument for part in dealt.parts if part.id in dealt.unposted}
    gains, wrong_gains = of_gains(earned, closed, unposted)
    positions, symbols, wrong_positions = of_positions(_summed(mine), held)
    return Synced(
        number=number,
        account=name,
        since=begins,
        result=result,
        restated=tuple(restated),
        unposted=len(dealt.unposted),
        rejected=(*result.rejected, *wrong_positions, *wrong_gains),
        ignored=dict(statement.ignored),
        positions=tuple(positions),
        gains=tuple(gains),
        symbols=symbols,
    )


async def mark_account(
    store: Store, tradier: Tradier, synced: Synced, *, user_id: int | None = None
) -> int:
    """Mark the open trades of a synced account; gives how many were."""
    async with store.read(user_id) as session:
        there = await find_account(session, synced.account)
        positions = await open_positions(session, there) if there else []
    wanted = {synced.symbols.get(one.instrument, "") for one in positions}
    symbols = sorted((wanted | {one.ticker for one in positions}) - {""})
    if not positions or not symbols:
        return 0
    known = prices(await tradier.quotes(symbols))
    marked = 0
    for trade, mark in marks(positions, synced.symbols, known, datetime.now(UTC)).items():
        with suppress(Conflict):  # Somebody closed it in between.
            async with store.write(user_id) as session:
                await add_snapshots(session, trade, [mark], author=AUTHOR)
            marked += 1
    return marked


def _statement(name: str, mode: Mode, ordered: Deals, posted: Deals, dealt: Settled) -> Statement:
    """What was dealt, as a broker's file of one account."""
    return Statement(
        path=Path("Tradier"),
        format=SOURCE,
        broker="Tradier",
        executions=tuple(dealt.executions),
        cash=tuple(posted.cash),
        rejected=(*ordered.rejected, *posted.rejected, *dealt.rejected),
        currency="USD",
        mode=mode,
        accounts={None: AccountEntry(name=name, mode=mode, broker="Tradier")},
        brackets=ordered.brackets,
        ignored={
            word: ordered.ignored.get(word, 0) + posted.ignored.get(word, 0)
            for word in (*ordered.ignored, *posted.ignored)
        },
    )


async def _posted_fees(session: AsyncSession, name: str, fees: Mapping[str, Decimal]) -> list[int]:
    account = await find_account(session, name)
    return await post_fees(session, account, fees) if account and fees else []


def _summed(positions: Iterable[Position]) -> dict[Instrument, Decimal]:
    found: dict[Instrument, Decimal] = defaultdict(Decimal)
    for one in positions:
        found[one.instrument] += one.quantity
    return found
