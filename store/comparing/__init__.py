"""Trades of two accounts matched one to one: what was lost on the way from a backtest, or from
paper, to the market.

How trades are matched: both are closed, of one ticker, entered on the same day of the first
account's zone, with the same legs: instrument, option type, strike, expiry, multiplier, side at
entry, and quantities in the same ratio (delivered shares are no part of an entry). Strategies
and symbols are not compared, for every source writes them in its own way. Of several such
trades of a day the first is matched with the first, by moment of entry and then by number; each
at most once. Where the accounts have different numbers of them, the pairs are `ambiguous`:
which one is missing is not known, and from there on each may be the neighbour of the right one.
So they are listed and count in no total.

Slippage is above 0 where the second account did worse. Prices are per unit, as trades have
them; amounts are in the accounts' currency for the quantity of the second account.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import require_account
from store.comparing.closed import closed, of_account
from store.comparing.pairs import ClosedTrade, Pair, Slippage, in_order, match, slippage_of
from store.errors import Invalid
from store.models import Account, Trade

__all__ = ["Book", "ClosedTrade", "Comparison", "Pair", "Slippage", "compare"]


@dataclass(frozen=True)
class Book:
    """One of the accounts: `fees` and `net_pnl` of its trades in certain pairs, those that have
    no match, and how many are open, which are not compared."""

    name: str
    mode: str
    fees: Decimal
    net_pnl: Decimal
    unmatched: tuple[ClosedTrade, ...]
    open: int


@dataclass(frozen=True)
class Comparison:
    """Two accounts of one currency; `zone` is that of the days. Totals are of the pairs that are
    certain."""

    account: Book
    other: Book
    currency: str
    zone: str
    pairs: tuple[Pair, ...]

    @property
    def certain(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if not pair.ambiguous)

    @property
    def slippage(self) -> Slippage:
        return slippage_of(self.certain)

    @property
    def differing(self) -> Counter[tuple[str, str]]:
        """How many pairs ended in this outcome in the one account, in that in the other."""
        outcomes = ((pair.account.outcome, pair.other.outcome) for pair in self.certain)
        return Counter(both for both in outcomes if both[0] != both[1])


async def compare(
    session: AsyncSession,
    account: str,
    other: str,
    *,
    since: date | None = None,
    until: date | None = None,
) -> Comparison:
    """The closed trades of `account` against those of `other`, by day of entry and number.

    `since` (inclusive) and `until` (exclusive) are days of entry in the zone of `account`, so
    that they part no pair.

    Raises:
        NotFound: there is no such account.
        Invalid: it is one account, their currencies differ, or the days cannot be.
    """
    first, second = [await require_account(session, name) for name in (account, other)]
    if first.account_id == second.account_id:
        raise Invalid(f"Account '{first.name}' is named twice; two accounts are compared.")
    if first.currency != second.currency:
        raise Invalid(
            f"Account '{first.name}' is in {first.currency}, '{second.name}' in"
            f" {second.currency}; two accounts of one currency are compared."
        )
    zone = ZoneInfo(first.zone)
    entered = _entered(since, until, zone)
    here, there = [await closed(session, one, entered) for one in (first, second)]
    pairs = match(here, there, zone)
    return Comparison(
        account=_book(
            first,
            here,
            {pair.account: pair for pair in pairs},
            await _open(session, first, entered),
        ),
        other=_book(
            second,
            there,
            {pair.other: pair for pair in pairs},
            await _open(session, second, entered),
        ),
        currency=first.currency,
        zone=first.zone,
        pairs=tuple(pairs),
    )


def _entered(since: date | None, until: date | None, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    for name, day in (("since", since), ("until", until)):
        if day is not None and not 1900 <= day.year < 2200:
            raise Invalid(f"{name} is {day}; a day from 1900 to 2199 is accepted.")
    if since is not None and until is not None and since > until:
        raise Invalid(f"since {since} is after until {until}.")
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(Trade.opened_at >= datetime.combine(since, time(), zone))
    if until is not None:
        found.append(Trade.opened_at < datetime.combine(until, time(), zone))
    return found


async def _open(
    session: AsyncSession, account: Account, entered: Sequence[ColumnElement[bool]]
) -> int:
    statement = select(func.count()).where(*of_account(session, account, "open"), *entered)
    return await session.scalar(statement) or 0


def _book(
    account: Account, trades: Sequence[ClosedTrade], paired: Mapping[ClosedTrade, Pair], open_: int
) -> Book:
    certain = [trade for trade, pair in paired.items() if not pair.ambiguous]
    return Book(
        name=account.name,
        mode=account.mode,
        fees=sum((trade.fees for trade in certain), Decimal(0)),
        net_pnl=sum((trade.net_pnl for trade in certain), Decimal(0)),
        unmatched=tuple(sorted((one for one in trades if one not in paired), key=in_order)),
        open=open_,
    )
