"""Option Omega's backtest log: multi-leg option trades, newest first.

What its columns mean, each checked in every row before anything is recorded:
- `Legs` are the real legs: contracts, expiry without a year, strike, type, side, price.
  Leg quantities are the trade's own, not per contract.
- `Premium` and `Avg. Closing Cost` are currency per contract, a credit or a cost being
  positive. Premium x contracts is what the legs' opening prices come to.
- `P/L` is net: (Premium - Avg. Closing Cost) x contracts - opening fees - closing fees, to
  the cent. A file whose P/L is gross, or anything else, is refused.
- Times are New York's, amounts US dollars. The file names neither account nor underlying:
  the account is a paper one called `Option Omega`, the ticker SPX unless said.

How the legs close:
- `Expired` with every leg expiring that day: each leg at intrinsic value of `Closing
  Price`, as expired at 0 or settled in cash above it. The sum must be the closing cost.
- Otherwise the file has the closing cost of all legs together only. Two legs of equal size,
  one sold and one bought: their prices follow from `Closing Short/Long Ratio` where exactly
  one pair on a 0.025 grid (the middle of 0.05 ticks) has the cost as difference and the
  ratio to its 3 decimals.
- Where they do not follow, one leg carries the whole cost and the others close at 0: a sold
  leg carries a cost, a bought one a receipt. The trade's cash and P&L are exact, the split
  is not known; a note on the trade says so.

Fees are divided over the legs, opening ones on the entries, closing ones on the exits, the
remainder on the last. Conditions are what is known at entry: gap, movement (of the
underlying since the open) and the opening short/long ratio. Maximum profit and loss,
margin and funds are not: they are derived or known later.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Literal
from zoneinfo import ZoneInfo

from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded
from store.errors import Invalid
from store.importers.format import account_of, of_columns
from store.importers.imported import (
    Draft,
    ImportFile,
    ImportTrade,
    Options,
    identified,
    plain,
)
from store.importers.table import Row, Table
from store.importers.values import built, day, earned, local, needed_number, number
from store.pnl import PRECISION
from store.records import ExitReason, FillEntry, FillKind, LegEntry, TradeEntry
from store.statements.refusing import Refused

SOURCE = "option_omega"
ACCOUNT, CURRENCY, ZONE, TICKER = "Option Omega", "USD", "America/New_York", "SPX"
MARKS = ("Date Opened", "Legs", "Premium", "P/L", "No. of Contracts", "Avg. Closing Cost")
NEEDED = (
    *MARKS, "Time Opened", "Closing Price", "Date Closed", "Time Closed",
    "Reason For Close", "Strategy", "Opening Commissions + Fees", "Closing Commissions + Fees",
)  # fmt: skip
CONDITIONS = {
    "Gap": "gap",
    "Movement": "movement",
    "Opening Short/Long Ratio": "short_long_ratio",
}
RATIO = "Closing Short/Long Ratio"
UNUSED = ("Opening Price", "Funds at Close", "Margin Req.", "Max Profit", "Max Loss")
UNSPLIT = (
    "Option Omega states one closing cost for all legs: one leg carries it here and the others"
    " close at 0. The trade's cash and P&L are exact, the legs' closing prices are not known."
)

MULTIPLIER = Decimal(100)
GRID = Decimal("0.025")
RATIO_ERROR = Decimal("0.0005")
CENT = Decimal("0.01")

LEG = re.compile(
    r"(?P<quantity>[0-9]{1,6}) (?P<month>[A-Z][a-z]{2}) (?P<day>[0-9]{1,2})"
    r" (?P<strike>[0-9]{1,9}(\.[0-9]{1,4})?) (?P<type>[CP])"
    r" (?P<side>BTO|STO) (?P<price>[0-9]{1,9}(\.[0-9]{1,8})?)"
)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ?([AP]M))?")
REASONS: dict[str, ExitReason] = {
    "expired": "expired",
    "profit target": "target",
    "stop loss": "stop",
    "trailing stop": "trailing_stop",
    "trailing stop loss": "trailing_stop",
    "below delta": "signal",
    "above delta": "signal",
    "time": "time",
    "exit time": "time",
    "early exit": "time",
}


@dataclass(frozen=True)
class OptionLeg:
    """A leg as written; `sign` is +1 bought, -1 sold."""

    sign: int
    quantity: Decimal
    option_type: Literal["call", "put"]
    strike: Decimal
    expiry: date
    price: Decimal

    def cash(self, price: Decimal) -> Decimal:
        """What entering it at `price` brings, or leaving it at `price` costs."""
        return -self.sign * price * self.quantity * MULTIPLIER

    def intrinsic(self, underlying: Decimal) -> Decimal:
        above = underlying - self.strike
        return max(above if self.option_type == "call" else -above, Decimal(0))


@dataclass(frozen=True)
class Close:
    closed_at: datetime
    closed_on: date
    cost: Decimal
    fees: Decimal
    reason: str
    net: Decimal


@dataclass(frozen=True)
class Log:
    """A row, read but not yet believed."""

    row: Row
    opened_at: datetime
    legs: tuple[OptionLeg, ...]
    contracts: Decimal
    premium: Decimal
    fees: Decimal
    close: Close | None
    source: str = SOURCE
    # Whether `Closing Price` is the one at which options of that day settled.
    settlement_known: bool = True

    def gross(self, close: Close) -> Decimal:
        return (self.premium - close.cost) * self.contracts

    def net(self, close: Close) -> Decimal:
        return self.gross(close) - self.fees - close.fees


def parse(table: Table, options: Options) -> ImportFile:
    """Every row as a trade or a rejection.

    Raises:
        Invalid: a column is missing, or P/L, premium and fees do not go together as this
            format has them: they are gross, or half of the rows contradict them.
    """
    file = table.path.name
    require_own_terms(file, options)
    require_columns(table)
    zone = ZoneInfo(ZONE)
    account = account_of(
        name=options.account or ACCOUNT, mode=options.mode or "paper", currency=CURRENCY, zone=ZONE
    )
    ticker = options.ticker or TICKER
    rejected = list(table.rejected)
    logs: list[Log] = []
    for row in table.rows:
        try:
            logs.append(logged(row, zone))
        except Refused as error:
            rejected.append(error.rejection(file, row.number))
    require_net(file, logs)
    drafts: list[Draft] = []
    for log in logs:
        try:
            drafts.append(drafted(log, account.name, ticker))
        except Refused as error:
            rejected.append(error.rejection(file, log.row.number))
    assumed = [] if options.ticker else [f"the file names no underlying; {TICKER} is assumed"]
    return ImportFile(
        path=table.path,
        format=SOURCE,
        account=account,
        accounts=(account,),
        currency=CURRENCY,
        trades=identified(drafts),
        rejected=tuple(sorted(rejected, key=lambda one: one.row)),
        ignored=ignored(table),
        assumed=tuple(assumed),
    )


def require_own_terms(file: str, options: Options) -> None:
    if options.zone not in (None, ZONE):
        raise Invalid(f"{file} has New York times; leave --zone out.")
    if options.currency not in (None, CURRENCY):
        raise Invalid(f"{file} is in US dollars; leave --currency out.")


def require_columns(table: Table) -> None:
    missing = [column for column in NEEDED if column not in table.header]
    if missing:
        raise Invalid(
            f"{table.path.name} looks like an Option Omega log but lacks the columns"
            f" {', '.join(missing)}: without premium and fees its P/L cannot be checked, and"
            " what is not checked is not recorded. Export the backtest's trade log."
        )


def ignored(table: Table) -> dict[str, int]:
    used = {*NEEDED, *CONDITIONS, RATIO}
    counts = {
        column: sum(1 for row in table.rows if row.text(column))
        for column in table.header
        if column not in used
    }
    return counts | ({"blank rows": table.blank} if table.blank else {})


def require_net(file: str, logs: Sequence[Log]) -> None:
    """Refuse a file whose P/L is not what this format says P/L is."""
    closed = [(log, log.close) for log in logs if log.close is not None]
    for log, close in closed:
        gross, net = log.gross(close), log.net(close)
        if agree(close.net, gross) and not agree(close.net, net):
            raise Invalid(
                f"{file}, row {log.row.number}: the P/L {close.net} is gross; Option Omega's is"
                f" net of fees, here {net}. The file's P/L means something else, so nothing of"
                " it is recorded."
            )
    wrong = [log for log, close in closed if not agree(close.net, log.net(close))]
    if 2 * len(wrong) > len(closed):
        first = wrong[0]
        assert first.close is not None  # noqa: S101
        raise Invalid(
            f"{file}: in {len(wrong)} of {len(closed)} rows P/L is not (Premium - Avg. Closing"
            f" Cost) x contracts - fees; in row {first.row.number} it is {first.close.net}, not"
            f" {first.net(first.close)}. The file's P/L means something else, so nothing of it"
            " is recorded."
        )


def agree(stated: Decimal, computed: Decimal) -> bool:
    """Equal, but for a rounding to whole cents."""
    return abs(stated - computed) < CENT


def logged(row: Row, zone: ZoneInfo) -> Log:
    opened_on = needed_day(row, "Date Opened")
    contracts = needed_number(row, "No. of Contracts")
    if contracts <= 0:
        raise Refused("No. of Contracts", row.text("No. of Contracts"), "it must be above 0")
    close = close_of(row, zone)
    legs = tuple(leg_of(text, opened_on, row) for text in row.text("Legs").split("|"))
    return Log(
        row=row,
        opened_at=clocked(row, opened_on, "Time Opened", zone),
        legs=legs,
        contracts=contracts,
        premium=needed_number(row, "Premium"),
        fees=needed_number(row, "Opening Commissions + Fees"),
        close=close,
    )


def close_of(row: Row, zone: ZoneInfo) -> Close | None:
    """None where the trade was still open when the log was written."""
    closed_on = day(row, "Date Closed")
    if closed_on is None:
        if row.text("Time Closed") or row.text("Reason For Close"):
            raise Refused("Date Closed", "", "a closed trade needs the day it closed")
        return None
    return Close(
        closed_at=clocked(row, closed_on, "Time Closed", zone),
        closed_on=closed_on,
        cost=needed_number(row, "Avg. Closing Cost"),
        fees=needed_number(row, "Closing Commissions + Fees"),
        reason=row.text("Reason For Close"),
        net=needed_number(row, "P/L"),
    )


def needed_day(row: Row, column: str) -> date:
    found = day(row, column)
    if found is None:
        raise Refused(column, "", "a day is needed")
    return found


def clocked(row: Row, on: date, column: str, zone: ZoneInfo) -> datetime:
    text = row.text(column)
    parts = CLOCK.fullmatch(text)
    if parts is None:
        raise Refused(column, text, "a time such as 15:30:00 is needed")
    hour, minute, second = int(parts[1]), int(parts[2]), int(parts[3] or 0)
    if parts[4]:
        if not 1 <= hour <= 12:
            raise Refused(column, text, "there is no such time")
        hour = hour % 12 + (12 if parts[4] == "PM" else 0)
    try:
        clock = datetime(on.year, on.month, on.day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        raise Refused(column, text, "there is no such time") from None
    return local(clock, zone, column, f"{on} {text}")


def leg_of(text: str, opened_on: date, row: Row) -> OptionLeg:
    parts = LEG.fullmatch(" ".join(text.split()))
    if parts is None or parts["month"] not in MONTHS:
        form = "legs such as '3 Oct 8 6725 P STO 4.45' with | between them are needed"
        raise Refused("Legs", row.text("Legs"), form)
    quantity, strike = Decimal(parts["quantity"]), Decimal(parts["strike"])
    if not quantity or not strike:
        raise Refused("Legs", row.text("Legs"), "contracts and strike must be above 0")
    expiry = next_day(MONTHS.index(parts["month"]) + 1, int(parts["day"]), opened_on)
    if expiry is None:
        raise Refused("Legs", row.text("Legs"), "there is no such expiry")
    return OptionLeg(
        sign=1 if parts["side"] == "BTO" else -1,
        quantity=quantity,
        option_type="call" if parts["type"] == "C" else "put",
        strike=strike,
        expiry=expiry,
        price=Decimal(parts["price"]),
    )


def next_day(month: int, day_: int, start: date) -> date | None:
    """The first such day on or after `start`: the log writes expiries without a year."""
    for year in range(start.year, min(start.year + 9, 10_000)):  # 29 February may be 8 years off.
        try:
            found = date(year, month, day_)
        except ValueError:
            continue
        if found >= start:
            return found
    return None


def drafted(log: Log, account: str, ticker: str) -> Draft:
    row, close = log.row, log.close
    require_premium(log)
    prices: list[Decimal] | None = None
    known = True
    if close is not None:
        if not agree(close.net, log.net(close)):
            reason = f"premium, closing cost and fees come to {log.net(close)}"
            raise Refused("P/L", str(close.net), reason)
        prices, known = closing_prices(log, close)
    settles = close is not None and at_expiry(log, close)
    entry = built(
        TradeEntry,
        {"ticker": "--ticker", "strategy": "Strategy", "legs": "Legs"},
        row,
        account=account,
        ticker=ticker,
        legs=legs(log, prices, settles),
        strategy=row.text("Strategy") or None,
        exit_reason=reason_of(close, prices, settles),
        source=log.source,
        conditions=conditions(row),
    )
    net = earned(entry, row, ZONE)
    stated = None if close is None else close.net
    rounding = Decimal(0) if net is None or stated is None else net - stated
    note = None if known else UNSPLIT
    trade = ImportTrade(row.number, entry, note, stated, net, rounding)
    return Draft(trade, identity(log, ticker), content(row))


def require_premium(log: Log) -> None:
    with localcontext(prec=PRECISION):
        cash = sum((leg.cash(leg.price) for leg in log.legs), Decimal(0))
        if cash != log.premium * log.contracts:
            reason = f"the legs' opening prices come to {plain(cash / log.contracts)}"
            raise Refused("Premium", str(log.premium), f"{reason} per contract")


def at_expiry(log: Log, close: Close) -> bool:
    expiries = {leg.expiry for leg in log.legs}
    return close.reason.casefold() == "expired" and expiries == {close.closed_on}


def closing_prices(log: Log, close: Close) -> tuple[list[Decimal], bool]:
    """The legs' closing prices, and whether they are known one by one. Their cash is always
    exactly the closing cost."""
    if close.closed_at < log.opened_at:
        raise Refused("Date Closed", str(close.closed_on), "it closed before it opened")
    if any(leg.expiry < close.closed_on for leg in log.legs):
        reason = "a leg expired before the trade closed; the file does not say at what value"
        raise Refused("Date Closed", str(close.closed_on), reason)
    with localcontext(prec=PRECISION):
        cost = close.cost * log.contracts
        if at_expiry(log, close) and log.settlement_known:
            return settlement_prices(log, cost), True
        prices = ratio_prices(log, cost)
        if prices is not None:
            return prices, True
        return carried_by_one(log, cost), len(log.legs) == 1 or (
            cost == 0 and at_expiry(log, close)
        )


def settlement_prices(log: Log, cost: Decimal) -> list[Decimal]:
    underlying = needed_number(log.row, "Closing Price")
    prices = [leg.intrinsic(underlying) for leg in log.legs]
    paid = sum((leg.cash(price) for leg, price in zip(log.legs, prices, strict=True)), Decimal(0))
    if paid != cost:
        reason = f"at {underlying} the expired legs are worth {plain(paid / log.contracts)}"
        raise Refused("Avg. Closing Cost", log.row.text("Avg. Closing Cost"), reason)
    return prices


def ratio_prices(log: Log, cost: Decimal) -> list[Decimal] | None:
    """The only pair of prices on the grid with the stated difference and ratio, if one is.

    short - long = difference and short / long = ratio, so long = difference / (ratio - 1);
    the ratio's rounding leaves a range of it.
    """
    ratio = number(log.row, RATIO)
    sides = {leg.sign: leg for leg in log.legs}
    if ratio is None or len(log.legs) != 2 or len(sides) != 2 or ratio <= 0:
        return None
    if log.legs[0].quantity != log.legs[1].quantity:
        return None
    difference = cost / (log.legs[0].quantity * MULTIPLIER)
    below, above = ratio - RATIO_ERROR - 1, ratio + RATIO_ERROR - 1
    if below <= 0 <= above or difference % GRID or difference == 0:
        return None
    ends = sorted((difference / below, difference / above))
    first = (ends[0] / GRID).to_integral_value(ROUND_CEILING)
    last = (ends[1] / GRID).to_integral_value(ROUND_FLOOR)
    long = first * GRID
    if first != last or long <= 0 or long + difference < 0:
        return None
    return [long if leg.sign > 0 else long + difference for leg in log.legs]


def carried_by_one(log: Log, cost: Decimal) -> list[Decimal]:
    """All of the cost on the first leg that can carry it exactly, 0 on the others."""
    prices = [Decimal(0)] * len(log.legs)
    if cost == 0:
        return prices
    for position, leg in enumerate(log.legs):
        price = -leg.sign * cost / (leg.quantity * MULTIPLIER)
        kept = rounded(price, PRICE_DIGITS)
        if kept > 0 and leg.cash(kept) == cost:
            prices[position] = kept
            return prices
    value = log.row.text("Avg. Closing Cost")
    raise Refused("Avg. Closing Cost", value, "no leg can carry this cost exactly")


def legs(log: Log, prices: list[Decimal] | None, settles: bool) -> tuple[LegEntry, ...]:
    count = len(log.legs)
    opening = shares(log.fees, count)
    closing = shares(log.close.fees if log.close else Decimal(0), count)
    made = []
    for position, leg in enumerate(log.legs):
        fills = [fill(log, leg, leg.sign, leg.price, log.opened_at, opening[position], "trade")]
        if log.close is not None and prices is not None:
            price = prices[position]
            kind: FillKind = ("settled" if price else "expired") if settles else "trade"
            at = log.close.closed_at
            fills.append(fill(log, leg, -leg.sign, price, at, closing[position], kind))
        entry = built(
            LegEntry,
            {},
            log.row,
            instrument="option",
            fills=tuple(fills),
            option_type=leg.option_type,
            strike=leg.strike,
            expiry=leg.expiry,
            multiplier=MULTIPLIER,
        )
        made.append(entry)
    return tuple(made)


def fill(
    log: Log,
    leg: OptionLeg,
    sign: int,
    price: Decimal,
    at: datetime,
    fee: Decimal,
    kind: FillKind,
) -> FillEntry:
    return built(
        FillEntry,
        {"fee": "Opening Commissions + Fees"},
        log.row,
        side="buy" if sign > 0 else "sell",
        quantity=leg.quantity,
        price=price,
        filled_at=at,
        fee=fee,
        kind=kind,
    )


def shares(amount: Decimal, count: int) -> list[Decimal]:
    """`amount` in `count` parts that sum to it, the remainder with the last."""
    with localcontext(prec=PRECISION):
        each = rounded(amount / count, MONEY_DIGITS)
        return [each] * (count - 1) + [amount - each * (count - 1)]


def reason_of(
    close: Close | None, prices: Sequence[Decimal] | None, settles: bool
) -> ExitReason | None:
    if close is None:
        return None
    if settles:
        return "settled" if any(prices or ()) else "expired"
    found = REASONS.get(close.reason.casefold(), "other")
    return "other" if found == "expired" else found


def conditions(row: Row) -> dict[str, Decimal]:
    found = {name: number(row, column) for column, name in CONDITIONS.items()}
    return {name: value for name, value in found.items() if value is not None}


def identity(log: Log, ticker: str) -> tuple[str, ...]:
    """What makes an entry the one it is: when, which strategy, which legs, how many."""
    strategy = " ".join(log.row.text("Strategy").split()).casefold()
    return (
        ticker.upper(),
        log.opened_at.isoformat(),
        strategy,
        plain(log.contracts),
        *(
            f"{leg.sign} {plain(leg.quantity)} {leg.option_type} {plain(leg.strike)}"
            f" {leg.expiry} {plain(leg.price)}"
            for leg in log.legs
        ),
    )


def content(row: Row) -> tuple[str, ...]:
    return tuple(row.text(column) for column in ("Date Closed", "Time Closed", "P/L"))


FORMAT = of_columns(SOURCE, MARKS, parse)
