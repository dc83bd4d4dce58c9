"""Files of market data into the store: bars of prices, and fundamentals. An operator's commands.

Bars: the columns `open`, `high`, `low`, `close`, a `date` or `time`, and if known `volume` and
`ticker`; other columns are left out and named. Prices have to be adjusted for splits.

- A daily or weekly bar begins on its day. A moment in its place stands for the later of the
  day it is written as and the day it was in the market's zone, for vendors stamp days at
  midnight here and at midnight there: a bar that is taken for an earlier day would be known
  before its time. It is known when the market has closed that day, 16:00 unless said otherwise;
  a week after seven days.
- A shorter bar begins at a moment, which carries an offset unless the zone is said, and is
  known when it has ended.

Fundamentals: the columns `ticker` and `known_on`, and then either `name` and `value`, or a
column for each fact (`sector`, `market_cap` ...). A fact holds from `known_on`, the day on which
it was published, until a later one.

The same file again changes nothing; a row that says otherwise than before takes its place.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, get_args
from typing import Literal as OneOf
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import MARKET_ZONE
from store.audit import begin, note_down
from store.errors import Invalid
from store.models import Bar, Fundamental
from store.records import Cash, Exact, Name, Ticker
from store.statements.amounts import amount, day, moment, needed
from store.statements.refusing import Refused, Rejection
from store.statements.source import Row, Source, Table
from store.users import OPERATOR
from store.vocabulary import name_key

Period = OneOf["1m", "5m", "15m", "30m", "1h", "1d", "1w"]
PERIODS: tuple[Period, ...] = get_args(Period)
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}
PRICES = ("open", "high", "low", "close")
WHEN = ("date", "time", "datetime", "timestamp")
BAR_COLUMNS = {*PRICES, *WHEN, "volume", "ticker", "symbol"}
DAYS = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y")
CLOSE = timedelta(hours=16)
ASKED_AT_ONCE = 500  # Rows in one statement.
MOST_ROWS = 1_000_000

PRICE: TypeAdapter[Decimal] = TypeAdapter(Exact)
MONEY: TypeAdapter[Decimal] = TypeAdapter(Cash)
TICKER: TypeAdapter[str] = TypeAdapter(Ticker)
NAME: TypeAdapter[str] = TypeAdapter(Name)

Value = TypeVar("Value")
MarketRow = dict[str, Any]


@dataclass(frozen=True)
class MarketFile:
    """Rows as their table keeps them, and those that are refused. `unused` are the columns
    that were left out."""

    path: Path
    rows: tuple[MarketRow, ...]
    rejected: tuple[Rejection, ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """How many rows were new, said otherwise than before, and were there as they are."""

    new: int = 0
    changed: int = 0
    same: int = 0


def read_bars(
    path: Path | str,
    period: Period,
    *,
    ticker: str | None = None,
    zone: str | None = None,
    close: timedelta = CLOSE,
) -> MarketFile:
    """The bars of a CSV file.

    `ticker` is for files that name none; `zone` the market's (New York unless said), by which
    days are cut and in which moments without offset were shown; `close` when it closes, counted
    from midnight.

    Raises:
        Invalid: the file is no table of bars, or no such zone is known.
    """
    source = Source(Path(path))
    table = _table(source, PRICES)
    if not any(table.has(name) for name in WHEN):
        raise Invalid(f"{source.path.name} has no column date or time.")
    if ticker is None and not (table.has("ticker") or table.has("symbol")):
        raise Invalid(f"{source.path.name} names no ticker; say --ticker.")
    reader = _Bars(period, ticker, zone, close)
    unused = tuple(name for name in table.header if name.casefold() not in BAR_COLUMNS)
    return _read(source.path, table, lambda row: [reader.bar(row)], ("ticker", "opens_at"), unused)


def read_fundamentals(path: Path | str) -> MarketFile:
    """The facts of a CSV file, one a row or one a column.

    Raises:
        Invalid: the file has no columns ticker and known_on.
    """
    source = Source(Path(path))
    table = _table(source, ("ticker", "known_on"))
    long = table.has("name", "value")
    names = [name for name in table.header if name.casefold() not in ("ticker", "known_on", "")]
    read = _one_fact if long else lambda row: _facts(row, names)
    return _read(source.path, table, read, ("ticker", "name", "known_on"))


async def keep_bars(session: AsyncSession, file: MarketFile) -> Kept:
    """Keep the bars of `file`; `session` is an operator's."""
    return await _keep(session, "import_bars", Bar, file, ("ticker", "period", "opens_at"))


async def keep_fundamentals(session: AsyncSession, file: MarketFile) -> Kept:
    """Keep the facts of `file`; `session` is an operator's."""
    key = ("ticker", "name", "known_on")
    return await _keep(session, "import_fundamentals", Fundamental, file, key)


# Reading.


def _table(source: Source, marks: Sequence[str]) -> Table:
    table = None if source.json is not None else source.table(*marks)
    if table is None:
        raise Invalid(f"{source.path.name} has no columns {', '.join(marks)}.")
    if len(table.rows) > MOST_ROWS:
        raise Invalid(f"{source.path.name} has more than {MOST_ROWS:,} rows; split it.")
    return table


def _read(
    path: Path,
    table: Table,
    read: Callable[[Row], list[MarketRow]],
    key: Sequence[str],
    unused: tuple[str, ...] = (),
) -> MarketFile:
    rows: list[MarketRow] = []
    rejected: list[Rejection] = []
    first: dict[tuple[Any, ...], int] = {}
    for row in table.rows:
        try:
            found = read(row)
            for one in found:
                _once(row, tuple(one[name] for name in key), first)
        except Refused as error:
            rejected.append(error.rejection(path.name, row.number))
        else:
            rows += found
    return MarketFile(path, tuple(rows), tuple(rejected), unused)


def _once(row: Row, key: tuple[Any, ...], first: dict[tuple[Any, ...], int]) -> None:
    earlier = first.setdefault(key, row.number)
    if earlier != row.number:
        raise Refused("row", str(key[0]), f"row {earlier} says the same; one of them is accepted")


@dataclass(frozen=True)
class _Bars:
    period: Period
    ticker: str | None
    zone: str | None
    close: timedelta
    market: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "market", ZoneInfo(self.zone or MARKET_ZONE))
        except (KeyError, ValueError, OSError):
            raise Invalid(
                f"No time zone '{self.zone}'; a name such as America/New_York is accepted."
            ) from None

    def bar(self, row: Row) -> MarketRow:
        prices = {name: _exact(PRICE, needed(row.text(name), name), name) for name in PRICES}
        if not prices["low"] <= min(prices.values()) <= max(prices.values()) <= prices["high"]:
            raise Refused("high", row.text("high"), "the prices of a bar lie from low to high")
        volume = amount(row.text("volume"), "volume")
        if volume is not None and volume < 0:
            raise Refused("volume", row.text("volume"), "a volume of 0 or more is needed")
        opens_at, known_at = self._times(row)
        return {
            "ticker": _name(TICKER, row.text("ticker", "symbol") or self.ticker or "", "ticker"),
            "period": self.period,
            "opens_at": opens_at,
            "known_at": known_at,
            **prices,
            "volume": None if volume is None else _exact(PRICE, volume, "volume"),
        }

    def _times(self, row: Row) -> tuple[datetime, datetime]:
        column = next(name for name in WHEN if name in row.places)
        text = row.text(column)
        if self.period in MINUTES:
            if column == "date":  # Some have the hour in a column of its own.
                text = f"{text} {row.text('time')}".strip()
            shown = _moment(text, column)
            if shown.tzinfo is None and self.zone is None:
                raise Refused(column, text, "the moment has no offset from UTC; name its --zone")
            opens_at = moment(shown, self.market, column, text)
            return opens_at, opens_at + timedelta(minutes=MINUTES[self.period])
        on = self._day(text, column)
        start = datetime.combine(on, time(), self.market)
        # By the clock on the wall: a day may have 23 hours.
        ends = start + (timedelta(days=7) if self.period == "1w" else self.close)
        return start.astimezone(ZoneInfo("UTC")), ends.astimezone(ZoneInfo("UTC"))

    def _day(self, text: str, column: str) -> date:
        try:
            return day(text, column, *DAYS)
        except Refused as error:
            try:
                shown = _moment(text, column)
            except Refused:
                raise error from None
        written = shown.date()
        return max(written, shown.astimezone(self.market).date()) if shown.tzinfo else written


def _moment(text: str, column: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year < 2200 or len(text) < len("2026-01-05T09:30"):
        raise Refused(column, text, "a moment such as 2026-01-05T09:30:00-05:00 is needed")
    return found


def _one_fact(row: Row) -> list[MarketRow]:
    return _facts(row, [row.text("name")], value="value")


def _facts(row: Row, names: Sequence[str], value: str | None = None) -> list[MarketRow]:
    """A fact for each of `names` that the row says something of."""
    ticker = _name(TICKER, row.text("ticker"), "ticker")
    known_on = day(row.text("known_on"), "known_on", *DAYS)
    found = []
    for name in names:
        column = value or name
        word, number = _word_or_number(row.text(column), column)
        if word is None and number is None:
            continue
        key = name_key(_name(NAME, name, "name")).replace(" ", "_")
        found.append(
            {"ticker": ticker, "name": key, "known_on": known_on, "word": word, "number": number}
        )
    if value and not found:
        raise Refused(value, "", "a word or a number is needed")
    return found


def _word_or_number(text: str, column: str) -> tuple[str | None, Decimal | None]:
    """Neither where nothing is said: blank, `--`, `n/a`."""
    try:
        number = amount(text, column)
    except Refused:
        return _name(NAME, text, column), None
    return None, None if number is None else _exact(MONEY, number, column)


def _exact(kind: TypeAdapter[Decimal], value: Decimal, column: str) -> Decimal:
    return _checked(kind, value, column, f"{value:.20g}")


def _name(kind: TypeAdapter[str], text: str, column: str) -> str:
    return _checked(kind, text, column, text)


def _checked(kind: TypeAdapter[Value], value: Any, column: str, shown: str) -> Value:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
    reason = reason.removeprefix("Value error, ")
    raise Refused(column, shown, reason[:1].lower() + reason[1:])


# Keeping.


async def _keep(
    session: AsyncSession,
    name: str,
    model: type[Bar] | type[Fundamental],
    file: MarketFile,
    key: Sequence[str],
) -> Kept:
    content = {"rows": file.rows}
    command = await begin(session, name, content, key=None, author=OPERATOR)
    kept = Kept()
    ordered = sorted(file.rows, key=lambda row: tuple(str(row[part]) for part in key))
    for start in range(0, len(ordered), ASKED_AT_ONCE):
        kept = await _keep_some(session, model, ordered[start : start + ASKED_AT_ONCE], key, kept)
    if kept.new or kept.changed:
        await note_down(session, command, vars(kept), answers_change=False)
    return kept


async def _keep_some(
    session: AsyncSession,
    model: type[Bar] | type[Fundamental],
    rows: Sequence[MarketRow],
    key: Sequence[str],
    kept: Kept,
) -> Kept:
    there = await _there(session, model, rows, key)
    new = [row for row in rows if _of(row, key) not in there]
    changed = [row for row in rows if there.get(_of(row, key), row) != row]
    if new:
        await session.execute(insert(model), new)
    for row in changed:
        mine = and_(*(getattr(model, part) == row[part] for part in key))
        await session.execute(update(model).where(mine).values(row))
    same = len(rows) - len(new) - len(changed)
    return Kept(kept.new + len(new), kept.changed + len(changed), kept.same + same)


async def _there(
    session: AsyncSession,
    model: type[Bar] | type[Fundamental],
    rows: Sequence[MarketRow],
    key: Sequence[str],
) -> dict[tuple[Any, ...], MarketRow]:
    """Those of `rows`, which are sorted by their key, that are there, as they are there."""
    found: dict[tuple[Any, ...], MarketRow] = {}
    last = key[-1]
    for first in _groups(rows, key[:-1]):
        within = [row[last] for row in rows if _of(row, key[:-1]) == first]
        statement = select(*model.__table__.columns).where(
            *(getattr(model, part) == one for part, one in zip(key[:-1], first, strict=True)),
            getattr(model, last).between(min(within), max(within)),
        )
        for row in (await session.execute(statement)).mappings():
            found[_of(row, key)] = dict(row)
    return found


def _groups(rows: Iterable[MarketRow], key: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return dict.fromkeys(_of(row, key) for row in rows)


def _of(row: Any, key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[part] for part in key)
