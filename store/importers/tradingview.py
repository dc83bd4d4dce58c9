"""TradingView's list of trades (Strategy Tester, List of Trades, Export data): a backtest.

Two rows per trade, entry and exit, under one trade number, in any order. Two generations of
columns, the currency at the end of some names:
- Trade #, Type, Signal, Date/Time, Price USD, Contracts (or Quantity, Position size (qty)),
  Profit USD (or Net P&L USD), ...
- Trade number, Type, Date and time, Signal, Price USD, Size (qty), Size (value),
  Net PnL USD, Return %, Commission USD, ...

Type is `Entry long`, `Exit long`, `Entry short`, `Exit short`. Totals stand on the exit row,
in newer files on both. An open trade has an exit row dated "Open" or without price, or none;
those are counted as ignored, for they will be exported anew when closed. The P&L is net of
commission:
- with a commission column, P&L + commission over the points is the currency per point, which
  must be the same for all trades;
- without it, trades whose P&L is one and the same multiple of the points have no commission;
  else `--multiplier` says it (1 for shares and coins) and what P&L lacks is the commission.

The file names no symbol, so `--ticker` does; times are those of the chart, so `--zone` does.
It is a backtest: the account is a paper one called TradingView unless named.

Sources: exports quoted in public parsers of both generations.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers.closed import Closed, contract_size, drafted, filed, require_net
from store.importers.format import Format, account_of
from store.importers.imported import Draft, ImportFile, Options, plain
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import Instrument as InstrumentKind
from store.statements.amounts import above_zero, amount, clock, moment, needed
from store.statements.balancing import CENT
from store.statements.execution import Instrument
from store.statements.reading import Reading
from store.statements.refusing import Refused
from store.statements.source import Row, Source, Table

NAME = "tradingview"
NUMBERS = ("Trade #", "Trade number")
TIMES = ("Date/Time", "Date and time")
SIZES = ("Contracts", "Quantity", "Position size (qty)", "Size (qty)")
PNL = re.compile(r"(?:Profit|Net P&L|Net PnL)(?: (?P<currency>[A-Z]{3,5}))?")
FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d")
TYPES = {
    "entry long": (1, True), "exit long": (1, False),
    "entry short": (-1, True), "exit short": (-1, False),
}  # fmt: skip
OPEN = {"", "Open"}
COINS = {"USDT", "USDC", "FDUSD", "BTC", "ETH"}


@dataclass(frozen=True)
class Columns:
    """What the file calls them; `currency` is in the name of the P&L, or nowhere."""

    price: str
    pnl: str
    commission: str | None
    currency: str | None


def fits(source: Source) -> bool:
    return not source.head.startswith(("<", "{", "[")) and table_of(source) is not None


def table_of(source: Source) -> Table | None:
    for number, time in zip(NUMBERS, TIMES, strict=True):
        table = source.table(number, "Type", time, "Signal")
        if table is not None and columns_of(table) is not None:
            return table
    return None


def columns_of(table: Table) -> Columns | None:
    found = next((one for one in map(PNL.fullmatch, table.header) if one), None)
    if found is None or not any(table.has(one) for one in SIZES):
        return None
    tail = f" {found['currency']}" if found["currency"] else ""
    if not table.has(f"Price{tail}"):
        return None
    commission = f"Commission{tail}" if table.has(f"Commission{tail}") else None
    return Columns(f"Price{tail}", found[0], commission, found["currency"])


def parse(source: Source, options: Options) -> ImportFile:
    """Raises:
    Invalid: no ticker, or no zone, is said; or P&L and prices do not agree on one multiplier.
    """
    table = table_of(source)
    columns = columns_of(table) if table else None
    if table is None or columns is None:
        raise Invalid(f"{source.path.name} is no list of trades of TradingView.")
    zone = zone_named(options.zone)
    if options.ticker is None or zone is None:
        lacking, option = ("symbol", "--ticker") if options.ticker is None else ("zone", "--zone")
        raise Invalid(f"{source.path.name} names no {lacking}; say it with {option}.")
    account = account_of(
        name=options.account or "TradingView",
        mode=options.mode or "paper",
        broker="TradingView",
        currency=columns.currency or options.currency,
        zone=options.zone,
    )
    found = Reading(source)
    closed = []
    for rows in by_number(table, found).values():
        with found.row(rows[0].number):
            one = read(rows, columns, zone, options.ticker)
            if one is None:
                found.ignored["open trades"] += 1
            else:
                closed.append(one)
    closed, assumed = priced(closed, columns, options.multiplier, source)
    drafts: list[Draft] = []
    for one in closed:
        with found.row(one.row):
            if one.fees < 0:
                raise Refused(columns.pnl, plain(one.net), "it is more than prices come to")
            require_net(columns.pnl, plain(one.net), one)
            drafts.append(drafted(one, account, NAME))
    return filed(found, drafts, account, NAME, *assumed)


def by_number(table: Table, found: Reading) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        with found.row(row.number):
            number = row.text(*NUMBERS)
            if not number.isascii() or not number.isdigit():
                raise Refused("Trade #", number, "the number of a trade is needed")
            rows[number].append(row)
    return rows


def read(rows: Sequence[Row], columns: Columns, zone: ZoneInfo, ticker: str) -> Closed | None:
    """The trade of an entry and an exit; None where it is open. Its multiplier is not known
    yet, and its fees are what the commission column says."""
    kinds = {kind_of(row): row for row in rows}
    entry = next((row for (_, entering), row in kinds.items() if entering), None)
    leaving = next((row for (_, entering), row in kinds.items() if not entering), None)
    if len(rows) > 2 or entry is None or len({sign for sign, _ in kinds}) != 1:
        raise Refused("Type", rows[0].text("Type"), "one entry and one exit are needed")
    if leaving is None or {leaving.text(columns.price), leaving.text(*TIMES)} & OPEN:
        return None
    quantity = above_zero(entry.text(*SIZES), "Contracts")
    if needed(leaving.text(*SIZES), "Contracts") != quantity:
        raise Refused("Contracts", leaving.text(*SIZES), "the size of the entry is needed")
    return Closed(
        row=leaving.number,
        instrument=Instrument("equity", ticker.upper()),
        sign=kind_of(entry)[0],
        quantity=quantity,
        entry_price=needed(entry.text(columns.price), columns.price),
        exit_price=needed(leaving.text(columns.price), columns.price),
        opened_at=at_of(entry, zone),
        closed_at=at_of(leaving, zone),
        fees=amount(leaving.text(columns.commission or ""), "Commission") or Decimal(0),
        net=needed(leaving.text(columns.pnl), columns.pnl),
    )


def kind_of(row: Row) -> tuple[int, bool]:
    text = row.text("Type")
    if text.lower() not in TYPES:
        raise Refused("Type", text, f"one of {', '.join(TYPES)} is needed")
    return TYPES[text.lower()]


def at_of(row: Row, zone: ZoneInfo) -> datetime:
    text = row.text(*TIMES)
    return moment(clock(text, TIMES[0], *FORMATS), zone, TIMES[0], text)


def priced(
    closed: Sequence[Closed], columns: Columns, said: Decimal | None, source: Source
) -> tuple[list[Closed], tuple[str, ...]]:
    """The trades with the currency per point of price, and what was assumed to find it."""
    multiplier = said or multiplier_of(closed, columns.commission is not None)
    if multiplier is None:
        raise Invalid(
            f"{source.path.name} has no commission column and its P&L is no one multiple of the"
            " prices: say --multiplier (1 for shares and coins, currency per point for a"
            " future); what the P&L lacks is then the commission."
        )
    kind: InstrumentKind = (
        "future" if multiplier != 1 else "crypto" if columns.currency in COINS else "equity"
    )
    ready = []
    for one in closed:
        instrument = replace(one.instrument, kind=kind, multiplier=multiplier)
        fees = one.fees if columns.commission else points_of(one) * multiplier - one.net
        # P&L is shown with two digits or so: less than a cent is rounding, not a commission.
        fees = fees if columns.commission or abs(fees) >= CENT else Decimal(0)
        ready.append(replace(one, instrument=instrument, fees=fees))
    where = "said" if said else "found from prices and P&L"
    return ready, (f"{plain(multiplier)} per point of price, {where}",)


def points_of(one: Closed) -> Decimal:
    with localcontext(prec=PRECISION):
        return one.sign * (one.exit_price - one.entry_price) * one.quantity


def multiplier_of(closed: Sequence[Closed], stated: bool) -> Decimal | None:
    """The currency per point, from the trade that moved most; None where, without a stated
    commission, the others do not agree with it."""
    widest = max(closed, key=lambda one: abs(points_of(one)), default=None)
    if widest is None or points_of(widest) == 0:
        return Decimal(1)
    with localcontext(prec=PRECISION):
        gross = widest.net + widest.fees
        size = contract_size(1, points_of(widest), Decimal(1), gross)
        if size is None:
            return None
        agree = all(abs(points_of(one) * size - one.fees - one.net) < CENT for one in closed)
    return size if agree or stated else None


FORMAT = Format(
    NAME, "TradingView's columns Trade # (Trade number), Type, Signal, Date/Time, P&L", fits, parse
)
