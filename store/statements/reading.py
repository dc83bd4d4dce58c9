"""A file read row by row: what each row comes to, in the order in which it happened."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby

from store.records import Side
from store.statements.execution import CashRow, Execution, Instrument
from store.statements.refusing import Refused, Rejection
from store.statements.source import Row

# A word is that under which a row is skipped on purpose and counted.
Outcome = Execution | CashRow | str
Position = tuple[str | None, Instrument]  # Of an account.
ZERO = Decimal(0)


@dataclass
class Reading:
    """What the rows of one file came to so far; no row is without an outcome."""

    file: str
    executions: list[Execution] = field(default_factory=list)
    cash: list[CashRow] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def rows(self, rows: Iterable[Row], read: Callable[[Row], Iterable[Outcome]]) -> None:
        """What `read` makes of each row, all of it or none."""
        for row in rows:
            try:
                found = list(read(row))
            except Refused as refused:
                self.reject(row, refused)
            else:
                self._take(found)

    def reject(self, row: Row, refused: Refused) -> None:
        self.rejected.append(refused.rejection(self.file, row.number))

    def _take(self, found: Iterable[Outcome]) -> None:
        for one in found:
            if isinstance(one, Execution):
                self.executions.append(one)
            elif isinstance(one, CashRow):
                self.cash.append(one)
            else:
                self.ignored[one] += 1

    def oldest_first(self, *, newest_first: bool = True) -> tuple[Execution, ...]:
        """The executions by moment. Within one moment by the file's rows, from its end where
        the days run backwards, or where all are of one day and the broker writes
        `newest_first`; but of a day without times what closes waits for what opens."""
        found = sorted(self.executions, key=lambda one: one.row)
        if found and found[0].at != found[-1].at:
            newest_first = found[0].at > found[-1].at
        if newest_first:
            found.reverse()
        return tuple(_closing_what_is_open(sorted(found, key=lambda one: one.at)))


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
