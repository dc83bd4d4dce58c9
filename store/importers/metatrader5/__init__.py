"""MetaTrader 5's trade history report (Toolbox, History, Report, HTML; or its table as CSV).

The report is one HTML table, UTF-16 or UTF-8, or the same rows separated by commas: titles
(Account: "12345678 (USD, Broker-Server, real, Hedge)"), then sections, each with a row of
columns: Positions, Orders, Deals, Open Positions, Results. HTML rows of positions have a
hidden cell that no column stands over.

Positions are read, one trade each: Time, Position, Symbol, Type (buy, sell), Volume, Price,
S / L, T / P, Time, Price, Commission, Swap, Profit. Open positions are counted as ignored, for
they will be in a later report once closed, and so are deposits. A report without positions
(a test of a strategy, a table of deals alone) has its deals read: `metatrader5.deals`.

- Volume is in lots, and the size of a lot is not in the file. It follows from Profit, which
  is in the account's currency before commission and swap: the currency per point of each
  trade is Profit / (points x lots), a round size such as 100000 where the account is in the
  currency of the price. A position that did not move takes the size of another one of its
  symbol, else `--multiplier`, else it is refused.
- Commission and swap cost when negative; both are the trade's fees.
- Numbers have spaces between thousands: `- 1 234.50`.
- Times are the server's clock, which the report does not name: `--zone` does.
- Positions are identified by their number. `real` makes a live account, `demo` a paper one.

Sources: reports quoted in public parsers; MetaTrader 5's help on trading reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.accounts import AccountEntry
from store.errors import Invalid
from store.importers.closed import Closed, contract_size, drafted, filed
from store.importers.format import Format, account_of
from store.importers.imported import Draft, ImportFile, Options
from store.importers.metatrader5.deals import DEALS, deals
from store.importers.metatrader5.report import (
    SIGNS,
    TESTER,
    Line,
    account_of_report,
    lines_of,
    number,
    section,
    server_time,
    spaced,
    starts,
)
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import ExitReason
from store.statements.balancing import CENT
from store.statements.execution import Instrument, Statement
from store.statements.reading import Reading
from store.statements.refusing import Refused
from store.statements.source import LONGEST_HEAD, Source

NAME, BROKER = "metatrader5", "MetaTrader 5"
POSITIONS = (
    "Time", "Position", "Symbol", "Type", "Volume", "Price", "S / L", "T / P", "Time", "Price",
    "Commission", "Swap", "Profit",
)  # fmt: skip
# A position that was closed at its stop or its target, by whether it was at the one or other.
REACHED: dict[tuple[bool, bool], ExitReason] = {(True, False): "stop", (False, True): "target"}


@dataclass(frozen=True)
class Position:
    """A row of Positions, its contract size not known yet."""

    line: Line
    symbol: str
    sign: int
    lots: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_at: datetime
    closed_at: datetime
    costs: Decimal
    profit: Decimal
    reason: ExitReason | None


def fits(source: Source) -> bool:
    if source.json is not None:
        return False
    if source.head.startswith("<"):
        return any(title in source.text[:4096] for title in ("Trade History Report", TESTER))
    return any(
        starts(fields, POSITIONS) or starts(fields, DEALS)
        for _, fields in source.records.first(LONGEST_HEAD)
    )


def parse(source: Source, options: Options) -> ImportFile | Statement:
    """Raises:
    Invalid: the server's zone, or whether the account is paper or live, is said nowhere.
    """
    zone = zone_named(options.zone)
    if zone is None:
        raise Invalid(
            f"{source.path.name} has the clock of the broker's server, which it does not name:"
            " say it with --zone, such as --zone Europe/Athens."
        )
    lines = lines_of(source)
    said = account_of_report(lines)
    mode = said.mode or options.mode
    if mode is None:
        raise Invalid(
            f"{source.path.name} does not say whether its trades are paper or live:"
            " add --mode paper or --mode live."
        )
    assumed = f"times are of the server's clock in {zone.key}"
    if not any(starts(line.cells, POSITIONS) for line in lines):
        found = deals(lines, said, Reading(source, assumed=[assumed]), zone, options.multiplier)
        return found.statement(
            NAME,
            BROKER,
            newest_first=False,
            currency=said.currency or options.currency,
            mode=mode,
        )
    account = account_of(
        name=options.account or " ".join(filter(None, (BROKER, said.number))),
        mode=mode,
        broker=BROKER,
        currency=said.currency or options.currency,
        zone=options.zone,
    )
    return closed_positions(lines, account, Reading(source), zone, options, assumed)


def closed_positions(
    lines: Sequence[Line],
    account: AccountEntry,
    found: Reading,
    zone: ZoneInfo,
    options: Options,
    *assumed: str,
) -> ImportFile:
    positions = []
    for line in section(lines, "Positions", POSITIONS, found):
        with found.row(line.number):
            positions.append(position(line, zone))
    sizes = sizes_of(positions)
    drafts: list[Draft] = []
    for one in positions:
        with found.row(one.line.number):
            drafts.append(drafted(closed(one, sizes, options.multiplier), account, NAME))
    return filed(found, drafts, account, NAME, *assumed)


def position(line: Line, zone: ZoneInfo) -> Position:
    cells = [*line.cells, *[""] * len(POSITIONS)]
    if cells[3] not in SIGNS:
        raise Refused("Type", cells[3], "buy or sell is needed")
    lots = number(cells[4], POSITIONS[4])
    if lots <= 0:
        raise Refused("Volume", cells[4], "a volume above 0 is needed")
    opened_at, closed_at = (server_time(cells[at], zone) for at in (0, 8))
    if closed_at < opened_at:
        raise Refused("Time", cells[8], "it is before the position was opened")
    stop, target, exit_price = (spaced(cells[at], POSITIONS[at]) for at in (6, 7, 9))
    return Position(
        line=line,
        symbol=cells[2],
        sign=SIGNS[cells[3]],
        lots=lots,
        entry_price=number(cells[5], POSITIONS[5]),
        exit_price=number(cells[9], POSITIONS[9]),
        opened_at=opened_at,
        closed_at=closed_at,
        costs=-(number(cells[10], POSITIONS[10]) + number(cells[11], POSITIONS[11])),
        profit=number(cells[12], POSITIONS[12]),
        reason=REACHED.get((exit_price == stop, exit_price == target)),
    )


def size_of(one: Position) -> Decimal | None:
    return contract_size(one.sign, one.exit_price - one.entry_price, one.lots, one.profit)


def sizes_of(positions: Sequence[Position]) -> Mapping[str, Decimal]:
    """The contract size of each symbol by its position that moved most."""
    widest: dict[str, Position] = {}
    for one in positions:
        known = widest.get(one.symbol)
        if known is None or travelled(one) > travelled(known):
            widest[one.symbol] = one
    return {symbol: size for symbol, one in widest.items() if (size := size_of(one))}


def travelled(one: Position) -> Decimal:
    with localcontext(prec=PRECISION):
        return abs(one.exit_price - one.entry_price) * one.lots


def closed(one: Position, sizes: Mapping[str, Decimal], said: Decimal | None) -> Closed:
    """The position with the size of its symbol where that gives its profit, else its own."""
    usual = sizes.get(one.symbol) or said
    size = usual if usual and agrees(one, usual) else size_of(one)
    if size is None:
        reason = "the size of a lot does not follow from the profit; say --multiplier"
        raise Refused("Profit", one.line.cells[12], reason)
    return Closed(
        row=one.line.number,
        instrument=Instrument("future", one.symbol.upper(), multiplier=size, symbol=one.symbol),
        sign=one.sign,
        quantity=one.lots,
        entry_price=one.entry_price,
        exit_price=one.exit_price,
        opened_at=one.opened_at,
        closed_at=one.closed_at,
        fees=one.costs,
        net=one.profit - one.costs,
        id=one.line.cells[1] or None,
        reason=one.reason,
    )


def agrees(one: Position, size: Decimal) -> bool:
    with localcontext(prec=PRECISION):
        gross = one.sign * (one.exit_price - one.entry_price) * one.lots * size
    return abs(gross - one.profit) < CENT


FORMAT = Format(NAME, "MetaTrader 5's report or its tables of Positions or Deals", fits, parse)
