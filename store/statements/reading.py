"""A file read row by row: what each row comes to, in the order in which it happened."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from store.statements.execution import CashRow, Execution
from store.statements.refusing import Refused, Rejection
from store.statements.source import Row

# A word is that under which a row is skipped on purpose and counted.
Outcome = Execution | CashRow | str


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
        `newest_first`."""
        found = sorted(self.executions, key=lambda one: one.row)
        if found and found[0].at != found[-1].at:
            newest_first = found[0].at > found[-1].at
        if newest_first:
            found.reverse()
        return tuple(sorted(found, key=lambda one: one.at))
