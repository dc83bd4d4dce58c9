"""Positions with their entry and their exit, as reports of closed positions have them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from pydantic import ValidationError

from store.accounts import AccountEntry
from store.columns import PRICE_DIGITS, rounded
from store.errors import Invalid
from store.importers.imported import Draft, ImportFile, ImportTrade, identified, net_pnl, plain
from store.pnl import PRECISION
from store.records import ExitReason, FillKind, TradeEntry
from store.statements.balancing import CENT, require_balance, worth
from store.statements.execution import Instrument
from store.statements.reading import Reading
from store.statements.refusing import Refused

# Sizes of a contract that brokers have; what a converted P&L leaves is none of them.
ROUND_SIZES = [Decimal(digit).scaleb(power) for power in range(-2, 7) for digit in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Closed:
    """A row. `sign` is +1 long, -1 short; `fees` positive when they cost; `net` is what the
    file says it earned after them, `instrument.multiplier` is said. `id` is the broker's."""

    row: int
    instrument: Instrument
    sign: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_at: datetime
    closed_at: datetime
    fees: Decimal
    net: Decimal
    id: str | None = None
    kind: FillKind = "trade"
    reason: ExitReason | None = None
    strategy: str | None = None


def contract_size(sign: int, moved: Decimal, quantity: Decimal, gross: Decimal) -> Decimal | None:
    """The currency per point of price with which `quantity` that moved by `moved` earned
    `gross`: a round size if one gives it to the cent, else the quotient, as where the P&L was
    converted from another currency. None where the price did not move, or away from it.
    """
    with localcontext(prec=PRECISION):
        points = sign * moved * quantity
        if points == 0 or points * gross <= 0:
            return None
        for size in ROUND_SIZES:
            if (points * size).quantize(CENT, ROUND_HALF_EVEN) == gross:
                return size
        return rounded(gross / points, PRICE_DIGITS)


def require_net(column: str, text: str, one: Closed) -> None:
    """Refuse a P&L that is not, to the cent, what prices and fees come to."""
    with localcontext(prec=PRECISION):
        points = one.sign * (one.exit_price - one.entry_price)
        expected = worth(one.instrument, one.quantity, points) - one.fees
    require_balance(column, text, one.net, expected)


def drafted(one: Closed, account: AccountEntry, source: str) -> Draft:
    """The trade of a row; its exit bears the fees."""
    entering, leaving = ("buy", "sell") if one.sign > 0 else ("sell", "buy")
    what = one.instrument
    entry = _built(
        account=account.name,
        ticker=what.ticker,
        strategy=one.strategy,
        exit_reason=one.reason,
        source=source,
        external_id=one.id,
        legs=[{
            "instrument": what.kind,
            "option_type": what.option_type,
            "strike": what.strike,
            "expiry": what.expiry,
            "multiplier": what.multiplier,
            "symbol": what.symbol,
            "fills": [
                {"side": entering, "quantity": one.quantity, "price": one.entry_price,
                 "filled_at": one.opened_at},
                {"side": leaving, "quantity": one.quantity, "price": one.exit_price,
                 "filled_at": one.closed_at, "fee": one.fees, "kind": one.kind},
            ],
        }],
    )  # fmt: skip
    try:
        earned = net_pnl(entry, account.zone)
    except Invalid as error:
        raise Refused("row", what.ticker, str(error)) from None
    with localcontext(prec=PRECISION):
        rounding = Decimal(0) if earned is None else earned - one.net
    trade = ImportTrade(one.row, entry, None, one.net, earned, rounding)
    return Draft(trade, _identity(one), (plain(one.net), one.closed_at.isoformat()))


def _built(**values: Any) -> TradeEntry:
    try:
        return TradeEntry.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    place = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), "row")
    raise Refused(place, str(first["input"]), first["msg"].removeprefix("Value error, "))


def _identity(one: Closed) -> tuple[str, ...]:
    """What makes a position the one it is: its instrument and its entry."""
    what = one.instrument
    return (
        what.kind, what.ticker, what.symbol or "", what.option_type or "", plain(what.strike),
        str(what.expiry), str(one.sign), plain(one.quantity), plain(one.entry_price),
        one.opened_at.isoformat(), one.strategy or "",
    )  # fmt: skip


def filed(
    found: Reading, drafts: Iterable[Draft], account: AccountEntry, format: str, *assumed: str
) -> ImportFile:
    """The file's trades: those with an id under it, the others under what they say."""
    named = [one.trade for one in drafts if one.trade.entry.external_id is not None]
    unnamed = [one for one in drafts if one.trade.entry.external_id is None]
    return ImportFile(
        path=found.source.path,
        format=format,
        account=account,
        accounts=(account,),
        currency=account.currency,
        trades=tuple(sorted([*named, *identified(unnamed)], key=lambda one: one.row)),
        rejected=tuple(sorted(found.rejected, key=lambda one: one.row)),
        ignored=dict(found.ignored),
        assumed=assumed,
    )
