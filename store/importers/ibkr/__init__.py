"""What the exports of Interactive Brokers have in common: codes, categories, currencies.

Codes (IBKR's own list, "Notes/Legal Notes" of every statement): A assignment, Ex exercise,
AEx and MEx exercise for a dividend, GEA exercise or assignment from offsetting positions,
Ep expired, O opening, C closing, Ca cancelled. Accounts that begin with DU or DF are paper.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Mode, Side
from store.records import Instrument as InstrumentKind
from store.statements import reading
from store.statements.amounts import MARKET
from store.statements.ends import require_settlement
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.refusing import Refused
from store.statements.source import Row, Source, places_of

BROKER = "Interactive Brokers"
CLOCK = "Its times are taken as New York's, as IBKR writes them unless an account says otherwise."
CATEGORIES: dict[str, InstrumentKind] = {
    "STK": "equity", "STOCKS": "equity", "FUND": "equity", "MUTUAL FUNDS": "equity",
    "OPT": "option", "EQUITY AND INDEX OPTIONS": "option",
    "FOP": "option", "OPTIONS ON FUTURES": "option",
    "FUT": "future", "FUTURES": "future",
    "CRYPTO": "crypto", "CRYPTOCURRENCIES": "crypto",
}  # fmt: skip
FUTURES_OPTIONS = ("FOP", "OPTIONS ON FUTURES")
FOREX = ("CASH", "FOREX")
ENDINGS: dict[str, FillKind] = {
    "Ep": "expired", "A": "assigned", "Ex": "exercised", "AEx": "exercised", "MEx": "exercised",
}  # fmt: skip
EITHER = "GEA"


@dataclass(frozen=True, slots=True)
class Deal:
    """An execution and the currency it was dealt in."""

    execution: Execution
    currency: str


@dataclass
class Reading(reading.Reading):
    """What has been found in a file so far, deals and money by their currency."""

    deals: list[Deal] = field(default_factory=list)
    money: list[tuple[str, CashRow]] = field(default_factory=list)


def zone_of(options: Options, reading: Reading) -> ZoneInfo:
    """Where the file's clocks hang; said where it is assumed."""
    zone = zone_named(options.zone)
    if zone is None:
        reading.assumed.append(CLOCK)
    return zone or MARKET


def statement(reading: Reading, format: str, options: Options, *, newest_first: bool) -> Statement:
    """The statement of what was found, in one currency."""
    currency = in_one_currency(reading, options.currency and options.currency.upper())
    reading.executions = [deal.execution for deal in reading.deals]
    reading.cash = [row for _, row in reading.money]
    return reading.statement(
        format,
        BROKER,
        newest_first=newest_first,
        zone=options.zone or MARKET.key,
        currency=currency,
        mode=mode_of(one.account for one in reading.executions),
    )


def in_one_currency(reading: Reading, asked: str | None) -> str | None:
    """Keep what was dealt in one currency, for an account has one: the one asked for, else the
    most frequent. The others are left out where one was asked for, else refused; what says
    no currency goes with it."""
    counts = Counter(deal.currency for deal in reading.deals if deal.currency) or Counter(
        currency for currency, _ in reading.money if currency
    )
    if not counts:
        return asked
    kept = asked if asked in counts else min(counts, key=lambda one: (-counts[one], one))
    for deal in reading.deals:
        if deal.currency in (kept, ""):
            continue
        if asked == kept:
            reading.ignored["deals in other currencies"] += 1
        else:
            reason = (
                f"most rows are in {kept}, and an account has one currency; with"
                " --currency and --account the file is imported once for each"
            )
            reading.reject(deal.execution.row, Refused("currency", deal.currency, reason))
    reading.deals = [deal for deal in reading.deals if deal.currency in (kept, "")]
    others = sum(currency not in (kept, "") for currency, _ in reading.money)
    if others:
        reading.ignored["cash rows in other currencies"] += others
    reading.money = [(currency, row) for currency, row in reading.money if currency in (kept, "")]
    return kept


def mode_of(accounts: Iterable[str | None]) -> Mode | None:
    """Paper or live by the accounts' numbers; None where they do not say or do not agree."""
    modes = {mode_of_account(account or "") for account in accounts}
    return modes.pop() if len(modes) == 1 else None


def mode_of_account(account: str) -> Mode | None:
    if account.startswith(("DU", "DF")):
        return "paper"
    return "live" if account.startswith(("U", "F", "I")) else None


def category(text: str, column: str) -> InstrumentKind | None:
    """What was dealt; None for foreign exchange. Some accounts name the firm that holds it:
    `Stocks - Held with ...`.

    Raises:
        Refused: it is something that is not kept here.
    """
    name = text.split(" - ")[0].strip().upper()
    if name in FOREX:
        return None
    if name not in CATEGORIES:
        reason = "stocks, funds, options, futures and coins are read; record others by hand"
        raise Refused(column, text, reason)
    return CATEGORIES[name]


def currency(text: str, column: str) -> str:
    """A currency's code, '' where none is said."""
    code = text.strip().upper()
    if code and not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise Refused(column, text, "a currency such as USD is needed")
    return code


def codes_of(text: str) -> set[str]:
    return {code.strip() for code in text.split(";")}


def ending(codes: set[str], side: Side) -> FillKind | None:
    """How an option ended, or what delivered these shares, if the codes say that it did."""
    if EITHER in codes:
        return "assigned" if side == "buy" else "exercised"
    return next((ENDINGS[code] for code in sorted(codes) if code in ENDINGS), None)


def end_of(
    ended: FillKind | None, instrument: Instrument, price: Decimal, column: str
) -> tuple[FillKind, bool]:
    """The kind of a fill that ended so, and whether it is shares that an option delivered.

    Raises:
        Refused: an index option ended in the money at 0.
    """
    if ended is None or instrument.kind != "option":
        return "trade", ended in ("assigned", "exercised")
    if price:
        return "settled", False
    require_settlement(ended, instrument, column)
    return ended, False


def effect_of(codes: set[str]) -> Effect | None:
    """What it did to the position; a flip (`C;O`) does both and is neither."""
    opens, closes = "O" in codes, "C" in codes
    if opens == closes:
        return None
    return "open" if opens else "close"


def cancel(reading: Reading, cancels: Sequence[Deal]) -> None:
    """Take out what IBKR cancelled. A cancellation repeats the deal it undoes (its `id`, where
    the file has ids, else its moment); a correction comes back as a deal of the same id.

    What the pair cost is not lost: the correction bears it, for IBKR books there only the
    difference; without one it is a fee of its own.
    """
    if not cancels:
        return
    known: dict[tuple[object, ...], deque[int]] = defaultdict(deque)
    heirs: dict[str, deque[int]] = defaultdict(deque)
    for place, deal in enumerate(reading.deals):
        known[identity(deal.execution)].append(place)
        if deal.execution.id is not None:
            known[identity(replace(deal.execution, id=None))].append(place)
            heirs[deal.execution.id].append(place)
    gone: set[int] = set()
    for cancelled in cancels:
        one = cancelled.execution
        places = still(known[identity(one)], gone)
        if not places:
            reason = "it cancels a deal that is not in this file; export a period that has both"
            reading.reject(one.row, Refused("trade", one.id or "", reason))
            continue
        undone = reading.deals[places[0]].execution
        gone.add(places.popleft())
        cost = undone.fee + one.fee
        later = still(heirs[undone.id], gone) if undone.id else None
        if later:
            reading.deals[later[0]] = bearing(reading.deals[later[0]], cost)
        elif cost:
            reading.money.append((cancelled.currency, CashRow(one.row, "fee", -cost)))
        reading.ignored["cancelled deals"] += 1
    reading.deals = [deal for place, deal in enumerate(reading.deals) if place not in gone]


def still(places: deque[int], gone: Container[int]) -> deque[int]:
    """`places` without those at its beginning that are gone."""
    while places and places[0] in gone:
        places.popleft()
    return places


def identity(one: Execution) -> tuple[object, ...]:
    return one.account, one.id or one.at, one.instrument, one.side, one.quantity, one.price


def bearing(deal: Deal, cost: Decimal) -> Deal:
    one = deal.execution
    cash = None if one.cash is None else one.cash - cost
    return replace(deal, execution=replace(one, fee=one.fee + cost, cash=cash))


def sections(source: Source) -> Iterator[tuple[str, Row, bool]]:
    """The data rows of a statement: its section, the row under that section's last header,
    and whether it has more fields than the header."""
    headers: dict[str, tuple[dict[str, int], int]] = {}
    for number, fields in source.records:
        if len(fields) < 3:
            continue
        section, part = fields[0].strip(), fields[1].strip()
        if part == "Header":
            headers[section] = places_of(fields), len(fields)
        elif part == "Data" and section in headers:
            places, width = headers[section]
            yield section, Row(number, fields, places), any(fields[width:])


def header_of(source: Source, section: str, *marks: str) -> bool:
    """Whether a section of that name has a header with all of `marks`."""
    wanted = {mark.casefold() for mark in marks}
    return any(
        len(fields) > 2
        and fields[0].strip() == section
        and fields[1].strip() == "Header"
        and wanted <= {field.strip().casefold() for field in fields}
        for _, fields in source.records
    )
