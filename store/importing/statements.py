"""A broker's executions into the ledger: kept once each, and made into trades."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry
from store.batches import record_trades
from store.corrections import correct_trade, void_trade
from store.errors import Conflict
from store.executions import executions_of, keep, new_ones
from store.importing.reach import alike, reach
from store.importing.ready import AUTHOR, Progress, RowsRefused, as_kept, ready
from store.importing.settling import (
    Plan,
    Restatement,
    There,
    opened_at,
    planned,
    trades_there,
    with_free_orders,
    with_what_was_known,
    without_frozen,
)
from store.models import Account
from store.pnl import PRECISION
from store.recording import extend_trade, open_trade
from store.records import TradeEntry
from store.statements.execution import Bracket, Statement
from store.statements.identity import cash, entry_cash, fill_cash, identified, rounding
from store.statements.refusing import Rejection
from store.statements.rounds import Dealt, in_order
from store.statements.trades import Assembled, assembled

WHY = "read together, the broker's files make other trades of these executions"
PERIOD = 20_000  # Executions that are made into trades at once.
NOTHING = Assembled((), ())
PASSES = 3  # A trade is extended, then perhaps restated; then nothing is left to do.


@dataclass(frozen=True)
class Unopened:
    """What closed a position that no file has opened: reported, not traded."""

    ticker: str
    executions: int
    cash: Decimal


@dataclass
class StatementResult:
    """What an import of executions did, and where the file's money is.

    `accounts` are those of its executions, as they are kept. `executions` are the file's, of
    which `new` were not kept before; `standing` has the status of the trades that they are in,
    by number. Cash is received above 0, fees deducted, in the accounts' currency: of `cash`
    (of all executions of the file) `in_trades` is in trades, `by_hand` in trades that somebody
    restated or voided since, the rest in `unopened`. `stated` is what the file itself says of
    the executions for which it says something, `worked_out` what their prices and fees come
    to; `rounding` is what rounding to the digits kept added. `other_cash` moved without a
    deal, by kind.
    """

    accounts: tuple[AccountEntry, ...] = ()
    executions: int = 0
    new: int = 0
    recorded: int = 0
    extended: int = 0
    restated: int = 0
    standing: dict[int, str] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()
    unopened: tuple[Unopened, ...] = ()
    cash: Decimal = Decimal(0)
    in_trades: Decimal = Decimal(0)
    by_hand: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    stated: Decimal = Decimal(0)
    worked_out: Decimal = Decimal(0)
    rounding: Decimal = Decimal(0)
    other_cash: dict[str, Decimal] = field(default_factory=dict)

    @property
    def there(self) -> int:
        """The trades that the file's executions are in."""
        return len(self.standing)

    @property
    def left_open(self) -> int:
        """Those of them that are open still."""
        return list(self.standing.values()).count("open")


async def import_statement(
    session: AsyncSession,
    statement: Statement,
    *,
    take_good: bool = False,
    progress: Progress | None = None,
) -> StatementResult:
    """Keep the executions of `statement`, and make the trades of its accounts what all that
    are kept come to, in the caller's transaction.

    Raises:
        Invalid: rows are refused and `take_good` is not set.
        Conflict: an account exists with another mode or currency.
    """
    books, refused = identified(statement)
    rejected = [*statement.rejected, *refused]
    rows = len(statement.executions) + len(statement.rejected)
    result = StatementResult(rounding=rounding(statement), other_cash=_other_cash(statement))
    for number in sorted(books, key=str):
        account = await ready(
            session,
            statement.accounts[number],
            statement.path.name,
            mode=statement.mode,
            currency=statement.currency,
        )
        result.accounts += (as_kept(account),)
        for dealt in periods(books.pop(number)):
            kept = await new_ones(session, account.account_id, statement.format, dealt)
            rejected += [_contradiction(statement, one) for one in kept.contradicting]
            if rejected and not take_good:
                raise RowsRefused(statement.path.name, rows, sorted(rejected, key=_row))
            await keep(session, account.account_id, statement.format, kept.new, author=AUTHOR)
            result.new += len(kept.new)
            contradicting = {one.id for one in kept.contradicting}
            good = [one for one in dealt if one.id not in contradicting]
            await _settle(session, account, statement, good, result)
            if progress is not None:
                progress(result.executions, rows)
    if rejected and not take_good:
        raise RowsRefused(statement.path.name, rows, sorted(rejected, key=_row))
    result.rejected = tuple(sorted(rejected, key=_row))
    return result


def _row(rejection: Rejection) -> int:
    return rejection.row


def _contradiction(statement: Statement, one: Dealt) -> Rejection:
    return Rejection(
        statement.path.name,
        one.execution.row,
        "id",
        one.id,
        "an execution of this id was imported before with another instrument, side, quantity,"
        " price or moment; correct its trade if the file is right now",
    )


def _other_cash(statement: Statement) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=PRECISION):
        for row in statement.cash:
            found[row.kind] += row.amount
    return dict(sorted(found.items()))


def periods(dealt: Sequence[Dealt]) -> Iterator[list[Dealt]]:
    """The executions of a file in periods, the oldest first: memory is that of one period. What
    happened at one moment is in one."""
    ordered = in_order(dealt)
    start = 0
    while start < len(ordered):
        end = min(start + PERIOD, len(ordered))
        while end < len(ordered) and ordered[end].execution.at == ordered[end - 1].execution.at:
            end += 1
        yield ordered[start:end]
        start = end


async def _settle(
    session: AsyncSession,
    account: Account,
    statement: Statement,
    dealt: Sequence[Dealt],
    result: StatementResult,
) -> None:
    """Make the trades of one account what its executions come to, and see that they are.

    Raises:
        Conflict: they are not.
    """
    source = statement.format
    back_to = dict(sorted((await reach(session, account, source, dealt)).items()))
    made = dict.fromkeys(back_to, NOTHING)
    there = await trades_there(session, account, back_to)
    frozen = [trade for ticker in back_to for trade in there.get(ticker, ()) if trade.frozen]
    for few in alike(back_to):
        kept = await executions_of(session, account.account_id, source, few)
        for ticker, ones in kept.items():
            left = without_frozen(ones, there.get(ticker, ()))
            found = assembled(left, account=account.name, source=source)
            trades = tuple(_with_bracket(one, statement.brackets) for one in found.trades)
            made[ticker] = replace(found, trades=trades)
    zone = ZoneInfo(account.zone)
    for _ in range(PASSES):
        plan = Plan()
        for ticker, some in made.items():
            plan += planned(some.trades, there.get(ticker, ()), source, zone)
        if plan.done:
            break
        await _carry_out(session, account, plan)
        there = await trades_there(session, account, back_to)
        result.recorded += len(plan.new)
        result.extended += len(plan.grown)
        result.restated += len(plan.restated)
    else:
        raise Conflict(f"The trades of {account.name} do not come to rest; nothing was recorded.")
    for entry, trade in plan.there:
        _require_same_cash(entry, trade)
    _count(result, dealt, made, plan, frozen)


def _with_bracket(entry: TradeEntry, brackets: Mapping[str, Bracket]) -> TradeEntry:
    """`entry` with the orders that wait to end it, where the broker says which."""
    waiting = brackets.get(entry.broker_order_id or "")
    if waiting is None:
        return entry
    ids = {"stop_order_id": waiting.stop, "target_order_id": waiting.target}
    return entry.model_copy(update=ids)


async def _carry_out(session: AsyncSession, account: Account, plan: Plan) -> None:
    for growth in plan.grown:
        await extend_trade(session, growth.number, growth.fills, growth.legs, author=AUTHOR)
    for restatement in plan.restated:
        await _restate(session, account, restatement)
    new = await with_free_orders(session, account, sorted(plan.new, key=opened_at))
    await record_trades(session, new, author=AUTHOR)


async def _restate(session: AsyncSession, account: Account, restatement: Restatement) -> None:
    entry = await with_what_was_known(session, restatement.entry, restatement.known_from)
    for number in restatement.voided:
        await void_trade(session, number, reason=WHY, author=AUTHOR)
    (entry,) = await with_free_orders(session, account, [entry], restatement.restated)
    if restatement.restated is None:
        await open_trade(session, entry, author=AUTHOR)
    else:
        await correct_trade(session, restatement.restated, entry, reason=WHY, author=AUTHOR)


def _require_same_cash(entry: TradeEntry, trade: There) -> None:
    """The second method: what the database holds of a trade against what its executions are."""
    wanted = entry_cash(entry)
    # Of an open trade that somebody recorded beside the file only the fees may differ yet.
    if trade.cash(fees=not trade.open) != (wanted.net if not trade.open else wanted.gross):
        raise Conflict(
            f"Trade {trade.number} moved {trade.cash(fees=not trade.open)} in the store, by the"
            f" broker's file it is {wanted.net if not trade.open else wanted.gross}; nothing was"
            " recorded."
        )


def _count(
    result: StatementResult,
    dealt: Sequence[Dealt],
    made: Mapping[str, Assembled],
    plan: Plan,
    frozen: Sequence[There],
) -> None:
    ids = {one.id for one in dealt}
    result.executions += len(ids)
    settled = [*plan.there, *plan.ahead]
    for entry, trade in settled:
        if any(fill.execution_id in ids for leg in entry.legs for fill in leg.fills):
            result.standing[trade.number] = "open" if trade.open else "closed"
    with localcontext(prec=PRECISION):
        for entry, _ in settled:
            moved = entry_cash(entry, ids)
            result.in_trades += moved.net
            result.fees += moved.gross - moved.net
        for entry in plan.by_hand:
            result.by_hand += entry_cash(entry, ids).net
        for trade in frozen:
            result.by_hand += trade.net_of(ids)
        for ticker, some in made.items():
            if unopened := unopened_in(ticker, some, ids):
                result.unopened += (unopened,)
        result.cash = (
            result.in_trades
            + result.by_hand
            + sum((one.cash for one in result.unopened), Decimal(0))
        )
        for one in dealt:
            if one.execution.cash is not None:
                result.stated += one.execution.cash
                result.worked_out += cash(one.execution)


def unopened_in(ticker: str, made: Assembled, ids: Container[str]) -> Unopened | None:
    """What of the executions of these ids closed positions that no file has opened."""
    parts = [part for part in made.unopened if part.dealt.id in ids]
    moved = (fill_cash(part.fill, part.dealt.execution.instrument.unit).net for part in parts)
    with localcontext(prec=PRECISION):
        return Unopened(ticker, len(parts), sum(moved, Decimal(0))) if parts else None
