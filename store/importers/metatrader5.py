"""MetaTrader 5's trade history report (Toolbox, History, Report, HTML; or its table as CSV).

The report is one HTML table, UTF-16 or UTF-8, or the same rows separated by commas: titles
(Account: "12345678 (USD, Broker-Server, real, Hedge)"), then sections, each with a row of
columns: Positions, Orders, Deals, Open Positions, Results. HTML rows of positions have a
hidden cell that no column stands over.

Positions are read, one trade each: Time, Position, Symbol, Type (buy, sell), Volume, Price,
S / L, T / P, Time, Price, Commission, Swap, Profit. Deals repeat them and do not say which
position they belong to. Balance deals are counted as cash; open positions and orders are
counted as ignored, for they will be in a later report once closed.

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

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from html import unescape
from typing import NamedTuple
from zoneinfo import ZoneInfo

from store.accounts import AccountEntry
from store.errors import Invalid
from store.importers.closed import CENT, Closed, contract_size, drafted, filed
from store.importers.format import Format, account_of
from store.importers.imported import Draft, ImportFile, Options
from store.importers.values import zone_named
from store.pnl import PRECISION
from store.records import ExitReason, Mode
from store.statements.amounts import amount, clock, moment, needed
from store.statements.execution import Instrument
from store.statements.gathering import Gathered
from store.statements.refusing import Refused
from store.statements.source import Source

NAME = "metatrader5"
POSITIONS = (
    "Time", "Position", "Symbol", "Type", "Volume", "Price", "S / L", "T / P", "Time", "Price",
    "Commission", "Swap", "Profit",
)  # fmt: skip
DEALS = ("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price")
SECTIONS = {"Positions", "Orders", "Deals", "Open Positions", "Working Orders", "Results"}
ACCOUNT = re.compile(
    r"(?P<number>[0-9]{1,20})\s*\((?P<currency>[A-Z]{3,5}),(?P<rest>[^()]{0,200})\)"
)
SIGNS = {"buy": 1, "sell": -1}
# A position that was closed at its stop or its target, by whether it was at the one or other.
REACHED: dict[tuple[bool, bool], ExitReason] = {(True, False): "stop", (False, True): "target"}
MODES: dict[str, Mode] = {"real": "live", "demo": "paper", "contest": "paper"}
TIMES = ("%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M")
TOKEN = re.compile(
    r"<(?P<end>/?)(?P<tag>tr|td|th|table)(?P<attributes>\s[^<>]{0,1000})?>"
    r"|<[^<>]{0,1000}>|(?P<text>[^<]+)|<",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"""class\s?=\s?["']?hidden\b""", re.IGNORECASE)


class Line(NamedTuple):
    number: int
    cells: Sequence[str]


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
        return "Trade History Report" in source.text[:4096]
    return any(
        starts(fields, POSITIONS) or starts(fields, DEALS) for _, fields in source.records[:60]
    )


def starts(fields: Sequence[str], columns: Sequence[str]) -> bool:
    return tuple(field.strip() for field in fields[: len(columns)]) == tuple(columns)


def lines_of(source: Source) -> list[Line]:
    if source.head.startswith("<"):
        return list(table_rows(source.text))
    return [Line(number, [one.strip() for one in cells]) for number, cells in source.records]


def table_rows(page: str) -> Iterator[Line]:
    """The rows of a page's tables without their hidden cells; nothing of the page is resolved."""
    cells: list[list[str]] = []
    shown = False
    number = 1
    for found in TOKEN.finditer(page):
        tag = (found["tag"] or "").lower()
        if tag in ("tr", "table"):  # A row ends where the next begins, whether it is closed or not.
            if any(line := [text_of(cell) for cell in cells]):
                yield Line(number, line)
            cells, shown = [], False
        elif tag:
            shown = not found["end"] and not HIDDEN.search(found["attributes"] or "")
            if shown:
                cells.append([])
        elif shown:
            cells[-1].append(found["text"] or "")
        number += found[0].count("\n")


def text_of(cell: Sequence[str]) -> str:
    return " ".join(unescape("".join(cell)).split())


def parse(source: Source, options: Options) -> ImportFile:
    """Raises:
    Invalid: there are no positions, or the server's zone, or whether the account is paper or
        live, is said nowhere.
    """
    zone = zone_named(options.zone)
    if zone is None:
        raise Invalid(
            f"{source.path.name} has the clock of the broker's server, which it does not name:"
            " say it with --zone, such as --zone Europe/Athens."
        )
    lines = lines_of(source)
    if not any(starts(line.cells, POSITIONS) for line in lines):
        raise Invalid(
            f"{source.path.name} has no positions. Deals alone do not say which position they"
            " belong to: save the report of the tab History with its view Positions."
        )
    account = account_in(lines, source, options)
    found = Gathered(source)
    positions = []
    for line in section(lines, "Positions", POSITIONS, found):
        with found.row(line.number):
            positions.append(position(line, zone))
    sizes = sizes_of(positions)
    drafts: list[Draft] = []
    for one in positions:
        with found.row(one.line.number):
            drafts.append(drafted(closed(one, sizes, options.multiplier), account, NAME))
    return filed(found, drafts, account, NAME, f"times are of the server's clock in {zone.key}")


def account_in(lines: Sequence[Line], source: Source, options: Options) -> AccountEntry:
    """The account as the title says it; the name of the user wins."""
    texts = (cell for line in lines[:20] for cell in line.cells)
    said = next((found for found in map(ACCOUNT.search, texts) if found), None)
    words = [word.strip() for word in said["rest"].split(",")] if said else []
    mode = next((MODES[word] for word in words if word in MODES), options.mode)
    if mode is None:
        raise Invalid(
            f"{source.path.name} does not say whether its trades are paper or live:"
            " add --mode paper or --mode live."
        )
    return account_of(
        name=options.account or (f"MetaTrader {said['number']}" if said else "MetaTrader"),
        mode=mode,
        broker="MetaTrader 5",
        currency=said["currency"] if said else options.currency,
        zone=options.zone,
    )


def section(
    lines: Sequence[Line], title: str, columns: Sequence[str], found: Gathered
) -> Iterator[Line]:
    """The rows under `columns`; rows of other sections that are read nowhere are counted."""
    current: str | None = None
    for line in lines:
        first = next((cell for cell in line.cells if cell), "")
        if first in SECTIONS and sum(map(bool, line.cells)) == 1:
            current = first
        elif starts(line.cells, columns):
            current = title
        elif current == title and line.cells[0][:1].isdigit():
            yield line
        elif current == title and any(cell in SIGNS for cell in line.cells):
            found.rejected.append(
                Refused("Time", first, "a position begins with its time").rejection(
                    found.source.path.name, line.number
                )
            )
        elif line.cells[0][:1].isdigit() and current == "Open Positions":
            found.ignored["open positions"] += 1
        elif line.cells[0][:1].isdigit() and current == "Deals" and "balance" in line.cells[:5]:
            found.ignored["deposits and withdrawals"] += 1


def position(line: Line, zone: ZoneInfo) -> Position:
    cells = [*line.cells, *[""] * len(POSITIONS)]
    if cells[3] not in SIGNS:
        raise Refused("Type", cells[3], "buy or sell is needed")
    lots = number(cells, 4)
    if lots <= 0:
        raise Refused("Volume", cells[4], "a volume above 0 is needed")
    opened_at, closed_at = (
        moment(clock(cells[at], "Time", *TIMES), zone, "Time", cells[at]) for at in (0, 8)
    )
    if closed_at < opened_at:
        raise Refused("Time", cells[8], "it is before the position was opened")
    stop, target, exit_price = (spaced(cells[at], POSITIONS[at]) for at in (6, 7, 9))
    return Position(
        line=line,
        symbol=cells[2],
        sign=SIGNS[cells[3]],
        lots=lots,
        entry_price=number(cells, 5),
        exit_price=number(cells, 9),
        opened_at=opened_at,
        closed_at=closed_at,
        costs=-(number(cells, 10) + number(cells, 11)),
        profit=number(cells, 12),
        reason=REACHED.get((exit_price == stop, exit_price == target)),
    )


def number(cells: Sequence[str], place: int) -> Decimal:
    return needed(cells[place].replace(" ", "").replace("\u00a0", ""), POSITIONS[place])


def spaced(text: str, column: str) -> Decimal | None:
    return amount(text.replace(" ", "").replace("\u00a0", ""), column)


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


FORMAT = Format(
    NAME, "MetaTrader 5's Trade History Report with its table of Positions", fits, parse
)
