"""A file read row by row: what each row comes to, in the order in which it happened."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, Protocol, TypeVar

from store.records import Side
from store.statements.amounts import MARKET
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.refusing import Refused, Rejection
from store.statements.source import Source

# A word is that under which a row is skipped on purpose and counted.
Outcome = Execution | CashRow | str
Position = tuple[str | None, Instrument]  # Of an account.
ZERO = Decimal(0)
DAYS = "Rows without times are taken as of days of {}; what closes comes after what opens."


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


AnyRow = TypeVar("AnyRow", bound=Numbered)
Moment = TypeVar("Moment", str, datetime)


@dataclass
class Reading:
    """What the rows of `source` came to so far; no row is without an outcome."""

    source: Source
    executions: list[Execution] = field(default_factory=list)
    cash: list[CashRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    assumed: list[str] = field(default_factory=list)

    def rows(self, rows: Iterable[AnyRow], read: Callable[[AnyRow], Iterable[Outcome]]) -> None:
        """What `read` makes of each row, all of it or none."""
        for row in rows:
            with self.row(row.number):
                self._take(list(read(row)))

    @contextmanager
    def row(self, number: int) -> Iterator[None]:
        """Whatever is refused inside is the rejection of this row."""
        try:
            yield
        except Refused as refused:
            self.reject(number, refused)

    def reject(self, number: int, refused: Refused) -> None:
        self.rejected.append(refused.rejection(self.source.path.name, number))

    def _take(self, found: Iterable[Outcome]) -> None:
        for one in found:
            if isinstance(one, Execution):
                self.executions.append(one)
            elif isinstance(one, CashRow):
                self.cash.append(one)
            else:
                self.ignored[one] += 1

    def statement(
        self,
        format: str,
        broker: str,
        *,
        newest_first: bool = True,
        zone: str = MARKET.key,
        **said: Any,
    ) -> Statement:
        """The statement of all rows, its executions put in order as `oldest_first` does."""
        if any(one.dated for one in self.executions):
            self.assumed.append(DAYS.format(zone))
        return Statement(
            path=self.source.path,
            format=format,
            broker=broker,
            executions=oldest_first(self.executions, newest_first=newest_first),
            cash=tuple(self.cash),
            rejected=tuple(sorted(self.rejected, key=lambda one: one.row)),
            zone=zone,
            ignored=dict(self.ignored),
            assumed=tuple(self.assumed),
            **said,
        )


def oldest_first(
    executions: Iterable[Execution], *, newest_first: bool = True
) -> tuple[Execution, ...]:
    """`executions` by moment. Within one moment shares come after the option that delivered
    them, the others by the file's rows, from its end where it goes back in time: most steps
    from row to row of one instrument say whether it does, for a file may be in the order of
    its symbols, and `newest_first` where they say nothing. Of a day without times what closes
    waits for what opens.
    """
    found = sorted(executions, key=lambda one: one.row)
    by_instrument: defaultdict[Position, list[datetime]] = defaultdict(list)
    for one in found:
        by_instrument[one.account, one.instrument].append(one.at)
    step = -1 if goes_back(by_instrument.values(), newest_first) else 1
    found.sort(key=lambda one: (one.at, one.delivery, step * one.row))
    return tuple(_closing_what_is_open(found))


def goes_back(histories: Iterable[Sequence[Moment]], otherwise: bool) -> bool:
    """Whether what stands in a file at these moments, instrument by instrument, goes back in
    time, most of it; `otherwise` where that cannot be said."""
    steps = Counter(
        one > after for moments in histories for one, after in pairwise(moments) if one != after
    )
    return otherwise if steps[True] == steps[False] else steps[True] > steps[False]


def _closing_what_is_open(executions: Iterable[Execution]) -> Iterator[Execution]:
    """`executions` with those of a day put in an order that can be: brokers that write days
    only write a day's sales before its purchases, or by symbol. A close for which nothing is
    open comes after the opening that it waits for, or last."""
    held: defaultdict[Position, Decimal] = defaultdict(Decimal)
    for _, moment in groupby(executions, key=lambda one: one.at):
        waiting: defaultdict[tuple[Position, Side], deque[Execution]] = defaultdict(deque)
        for one in moment:
            position = one.account, one.instrument
            if one.dated and _too_early(one, held[position]):
                waiting[position, "buy" if one.side == "buy" else "sell"].append(one)
                continue
            yield one
            held[position] += _signed(one)
            late = waiting[position, "sell" if held[position] > 0 else "buy"]
            while late and not _too_early(late[0], held[position]):
                held[position] += _signed(late[0])
                yield late.popleft()
        for late in waiting.values():
            yield from late


def _too_early(one: Execution, held: Decimal) -> bool:
    closes = one.effect == "close" and one.kind == "trade"
    return closes and (held if one.side == "sell" else -held) < one.quantity


def _signed(one: Execution) -> Decimal:
    """What an execution adds to a position; an end of whatever is open is not known here."""
    return one.quantity if one.side == "buy" else -one.quantity if one.side == "sell" else ZERO
