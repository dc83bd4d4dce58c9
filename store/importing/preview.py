"""What a broker's file would make by itself, without a store."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

from store.derived import leg_of
from store.importing.statements import Unopened, unopened_in
from store.statements.execution import Statement
from store.statements.identity import identified
from store.statements.refusing import Rejection
from store.statements.rounds import Dealt
from store.statements.trades import assembled


@dataclass(frozen=True)
class StatementPreview:
    """The trades that a file makes alone, how many are open at its end, and what closes
    positions that it does not open."""

    trades: int
    open: int
    unopened: tuple[Unopened, ...]
    rejected: tuple[Rejection, ...]


def preview(statement: Statement) -> StatementPreview:
    books, rejected = identified(statement)
    trades = still_open = 0
    unopened: list[Unopened] = []
    for dealt in books.values():
        by_ticker: dict[str, list[Dealt]] = defaultdict(list)
        for one in dealt:
            by_ticker[one.execution.instrument.ticker].append(one)
        for ticker, some in sorted(by_ticker.items()):
            made = assembled(some, account="preview", source=statement.format)
            trades += len(made.trades)
            still_open += sum(
                any(leg.position.open_quantity for leg in map(leg_of, count(1), entry.legs))
                for entry in made.trades
            )
            if found := unopened_in(ticker, made, {one.id for one in some}):
                unopened.append(found)
    return StatementPreview(trades, still_open, tuple(unopened), (*statement.rejected, *rejected))
