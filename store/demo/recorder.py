"""Record the plans of the demo, as any application would."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, put_account
from store.corrections import correct_trade
from store.database import Store, user_of
from store.demo.book import LIVE, PRACTICE, plans
from store.demo.plans import Plan
from store.models import Account, Request, Trade
from store.recording import add_fill, add_note, add_snapshots, close_trade, open_trade
from store.vocabulary import name_key

BATCH = 50
TOLERANCE = Decimal(10)
ACCOUNTS = (
    AccountEntry(name=LIVE, mode="live", broker="Demo Securities", tolerance=TOLERANCE),
    AccountEntry(name=PRACTICE, mode="paper", broker="Demo Securities", tolerance=TOLERANCE),
)


@dataclass(frozen=True)
class DemoSummary:
    """What the demo's accounts hold; `recorded` counts the trades that are new.

    A restated trade is closed once, and superseded once.
    """

    recorded: int
    closed_live: int
    closed_paper: int
    open: int
    superseded: int


async def record_demo(
    store: Store, progress: Callable[[int, int], None] | None = None
) -> DemoSummary:
    """Record the demo in the accounts 'Main' (live) and 'Practice' (paper) of the local user.

    In batches, each one transaction. A batch that is there already is left alone, so that
    it can be repeated, also after an interruption. `progress` is told (done, total) trades.

    Raises:
        Conflict: an account of that name says otherwise.
    """
    numbered = list(enumerate(plans(), start=1))
    recorded = 0
    async with store.write() as session:
        for account in ACCOUNTS:
            await put_account(session, account)
    for start in range(0, len(numbered), BATCH):
        batch = numbered[start : start + BATCH]
        async with store.write() as session:
            if not await _known(session, _key(batch[0][0], "open")):
                for number, plan in batch:
                    await _record(session, number, plan)
                recorded += len(batch)
        if progress:
            progress(start + len(batch), len(numbered))
    async with store.read() as session:
        return await _summary(session, recorded)


def _key(number: int, step: str) -> str:
    return f"demo/{number:05}/{step}"


async def _known(session: AsyncSession, key: str) -> bool:
    mine = (Request.user_id == user_of(session), Request.request_key == key)
    return await session.scalar(select(Request.request_key).where(*mine)) is not None


async def _record(session: AsyncSession, index: int, plan: Plan) -> None:
    """Every step of one trade under a key of its own."""

    def key(step: str, count: int = 1) -> str:
        return _key(index, step if count == 1 else f"{step}-{count}")

    number = (await open_trade(session, plan.entry, key=key("open"))).number
    for count, fill in enumerate(plan.partial_exits, start=1):
        await add_fill(session, number, 1, fill, key=key("partial", count))
    if plan.marks:
        await add_snapshots(session, number, plan.marks, key=key("snapshots"))
    for count, end in enumerate(plan.ends, start=1):
        await close_trade(session, number, end.how, exit_reason=end.reason, key=key("close", count))
    for count, note in enumerate(plan.notes, start=1):
        await add_note(session, number, note.body, key=key("note", count), author=note.author)
    if plan.restatement is not None:
        await correct_trade(
            session,
            number,
            plan.restatement.entry,
            reason=plan.restatement.reason,
            key=key("correct"),
        )


async def _summary(session: AsyncSession, recorded: int) -> DemoSummary:
    names = [name_key(account.name) for account in ACCOUNTS]
    rows = await session.execute(
        select(Trade.status, Trade.mode, func.count())
        .join(
            Account,
            (Account.user_id == Trade.user_id) & (Account.account_id == Trade.account_id),
        )
        .where(Trade.user_id == user_of(session), Account.name_key.in_(names))
        .group_by(Trade.status, Trade.mode)
    )
    counts = {(status, mode): count for status, mode, count in rows}

    def of(status: str) -> int:
        return sum(count for (found, _), count in counts.items() if found == status)

    return DemoSummary(
        recorded=recorded,
        closed_live=counts.get(("closed", "live"), 0),
        closed_paper=counts.get(("closed", "paper"), 0),
        open=of("open"),
        superseded=of("superseded"),
    )
