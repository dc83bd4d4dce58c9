"""MetaTrader 5's reports, as rows of cells: the page's tables, or the same separated by commas."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from html import unescape
from typing import NamedTuple
from zoneinfo import ZoneInfo

from store.records import Mode
from store.statements.amounts import amount, clock, moment
from store.statements.reading import Reading
from store.statements.refusing import Refused
from store.statements.source import LONGEST_HEAD, Source

SECTIONS = {"Positions", "Orders", "Deals", "Open Positions", "Working Orders", "Results"}
SIGNS = {"buy": 1, "sell": -1}
ACCOUNT = re.compile(
    r"(?P<number>[0-9]{1,20})\s*\((?P<currency>[A-Z]{3,5}),(?P<rest>[^()]{0,200})\)"
)
CURRENCY = re.compile(r"[A-Z]{3,5}")
MODES: dict[str, Mode] = {"real": "live", "demo": "paper", "contest": "paper"}
TIMES = ("%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M")
TESTER = "Strategy Tester Report"
TOKEN = re.compile(
    r"<(?P<end>/?)(?P<tag>tr|td|th|table)(?P<attributes>\s[^<>]{0,1000})?>"
    r"|<[^<>]{0,1000}>|(?P<text>[^<]+)|<",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"""class\s?=\s?["']?hidden\b""", re.IGNORECASE)


class Line(NamedTuple):
    number: int
    cells: Sequence[str]


class Account(NamedTuple):
    """What a report says of its account, each None where it does not."""

    number: str | None
    currency: str | None
    mode: Mode | None


def starts(fields: Sequence[str], columns: Sequence[str]) -> bool:
    return tuple(field.strip() for field in fields[: len(columns)]) == tuple(columns)


def lines_of(source: Source) -> list[Line]:
    if source.head.startswith("<"):
        return list(table_rows(source.text))
    stripped = ((number, [one.strip() for one in cells]) for number, cells in source.records)
    return [Line(number, cells) for number, cells in stripped if any(cells)]


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


def account_of_report(lines: Sequence[Line]) -> Account:
    """The account of the title; a test of a strategy has a currency, and is on paper."""
    currency = None
    tested = False
    for line in lines[:LONGEST_HEAD]:
        for cell in line.cells:
            if said := ACCOUNT.search(cell):
                words = [word.strip() for word in said["rest"].split(",")]
                mode = next((MODES[word] for word in words if word in MODES), None)
                return Account(said["number"], said["currency"], mode)
            tested = tested or cell == TESTER
        if line.cells[0] == "Currency:" and CURRENCY.fullmatch(line.cells[-1]):
            currency = line.cells[-1]
    return Account(None, currency, "paper" if tested else None)


def section(
    lines: Sequence[Line], title: str, columns: Sequence[str], found: Reading
) -> Iterator[Line]:
    """The rows under `columns`; what other sections have and nobody reads is counted."""
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
            with found.row(line.number):
                raise Refused("Time", first, "a row begins with its time")
        elif line.cells[0][:1].isdigit() and current == "Open Positions":
            found.ignored["open positions"] += 1
        elif line.cells[0][:1].isdigit() and current == "Deals" and "balance" in line.cells[:5]:
            found.ignored["deposits and withdrawals"] += 1


def number(text: str, column: str) -> Decimal:
    found = spaced(text, column)
    if found is None:
        raise Refused(column, text, "a number is needed")
    return found


def spaced(text: str, column: str) -> Decimal | None:
    """A number with spaces between thousands and after its sign, or None."""
    return amount(text.replace(" ", "").replace("\u00a0", ""), column)


def server_time(text: str, zone: ZoneInfo) -> datetime:
    return moment(clock(text, "Time", *TIMES), zone, "Time", text)
