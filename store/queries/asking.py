"""How a question runs: one statement gives its numbers and what they leave out.

The statement has two parts. `books` sums the user's trades by mode and currency: those that
match the filters, and how many there are at all. One of these books is chosen (live before
paper; one currency), and the question's own select runs on its trades. The two come back
joined, so that an answer is one round trip inside its transaction.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from re import fullmatch
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Label,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Moment
from store.database import user_of
from store.errors import NotFound
from store.evidence.thresholds import CLOSED_MIN
from store.models import Account, Strategy, Trade, User
from store.queries.answer import Evidence, Provenance, Scope, money
from store.queries.filters import Filters
from store.queries.summing import summed, sums_of
from store.stats import Sums
from store.vocabulary import name_key

KNOWN_SHOWN = 10
# Names are the user's or a file's words; in an error only what reads as a name is repeated,
# not as a sentence: four words, 40 characters.
PLAIN_NAME = r"(?=.{1,40}$)[\w.:+&/()%-]+( [\w.:+&/()%-]+){0,3}"


def moment_now() -> datetime:
    """Now, to the second, as answers say it."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Book:
    """The trades of one mode and currency: those that match, and how many there are."""

    mode: str
    currency: str
    zone: str | None
    book_n: int
    sums: Sums
    open_n: int
    unrealised_pnl: Decimal | None
    first: date | None
    last: date | None
    last_closed: datetime | None


@dataclass(frozen=True)
class Asked:
    """The chosen book (None in an empty store), the others, and the question's rows.

    `version` counts what the user has recorded; it is read with the answer.
    """

    filters: Filters
    version: int
    book: Book | None
    others: tuple[Book, ...]
    rows: Sequence[Row[Any]]

    @property
    def sums(self) -> Sums:
        return self.book.sums if self.book else Sums()

    @property
    def mode(self) -> str:
        """The mode of the book in words."""
        mode = self.book.mode if self.book else ""
        return "live and paper" if mode == "all" else mode

    @property
    def evidence(self) -> Evidence:
        """What may be said at all; a question that makes claims has its own tiers."""
        if self.book is None or not self.book.sums.n:
            return "none"
        return "insufficient" if self.book.book_n < CLOSED_MIN else "descriptive"

    @property
    def caveat(self) -> str:
        if self.evidence != "insufficient" or self.book is None:
            return ""
        return (
            f" Evidence: insufficient ({self.book.book_n} of {CLOSED_MIN} closed trades in the"
            f" {self.mode} book)."
        )

    def scope(self) -> Scope:
        book = self.book
        return Scope(
            filters=self.filters.said(),
            mode=self.filters.mode or (book.mode if book else None),  # type: ignore[arg-type]
            currency=book.currency if book else None,
            zone=book.zone if book else None,
            first=book.first if book else None,
            last=book.last if book else None,
            trades=self.sums.n,
            left_out=list(self._left_out()),
        )

    def _left_out(self) -> Iterable[str]:
        if self.book is None:
            return
        if self.book.open_n and self.filters.status not in ("open", "all"):
            marked = money(self.book.unrealised_pnl)
            worth = f", unrealised P&L {marked}" if marked is not None else ", none marked"
            yield f"{self.book.open_n} open{worth}"
        for other in self.others:
            if not other.sums.n:
                continue
            same = other.currency == self.book.currency
            kind = f"{other.mode}" if same else f"{other.mode} in {other.currency}"
            yield f"{other.sums.n} {kind}"

    def provenance(self) -> Provenance:
        return Provenance(
            as_of=moment_now(),
            last_closed=self.book.last_closed if self.book else None,
        )


async def ask(
    session: AsyncSession,
    filters: Filters,
    own: Callable[[Sequence[ColumnElement[bool]]], Select[Any]],
    *,
    any_status: bool = False,
) -> Asked:
    """Run `own`, a select over the trades that satisfy the predicates it is given.

    The predicates say user, status (unless `any_status`), book and filters. `own` labels a
    column `position` by which its rows are ordered.

    Raises:
        NotFound: nothing matches, and a name among the filters is not known at all.
    """
    rows = (await session.execute(statement(user_of(session), filters, own, any_status))).all()
    books: dict[tuple[str, str], Book] = {}
    for row in rows:
        books.setdefault((row.book_mode, row.book_currency), _book(row))
    chosen = next(((row.book_mode, row.book_currency) for row in rows if row.chosen), None)
    if not any(book.sums.n or book.open_n for book in books.values()):
        await refuse_unknown(session, filters)
    return Asked(
        filters=filters,
        version=int(rows[0].version) if rows else 0,
        book=books.pop(chosen) if chosen else None,
        others=tuple(books.values()),
        rows=[row for row in rows if row.position is not None],
    )


def statement(
    user_id: int,
    filters: Filters,
    own: Callable[[Sequence[ColumnElement[bool]]], Select[Any]],
    any_status: bool = False,
) -> Select[Any]:
    """The one statement of a question; `ask` says what it gives."""
    books = _books(user_id, filters).cte("books")
    chosen = (
        select(books.c.book_mode, books.c.book_currency)
        .order_by(
            (books.c.n + books.c.open_n == 0),
            *_not_of_account(user_id, filters, books),
            books.c.book_mode != "live",
            books.c.n.desc(),
            books.c.book_currency,
        )
        .limit(1)
        .cte("chosen")
    )
    currency = select(chosen.c.book_currency).scalar_subquery()
    mode = select(chosen.c.book_mode).scalar_subquery()
    listed_closed = filters.status in (None, "closed")
    of_book = [
        Trade.user_id == user_id,
        *([] if filters.mode == "all" else [Trade.mode == mode]),
        *([] if any_status else filters.in_status()),
        Trade.currency == currency,
        *filters.matching(user_id, closed=listed_closed),
    ]
    answer = own(of_book).subquery("answer")
    is_chosen = and_(books.c.book_mode == mode, books.c.book_currency == currency)
    zone = (
        select(case((func.min(Account.zone) == func.max(Account.zone), func.min(Account.zone))))
        .where(Account.user_id == user_id, Account.currency == books.c.book_currency)
        .where(*([] if filters.mode == "all" else [Account.mode == books.c.book_mode]))
        .scalar_subquery()
    )
    version = select(User.ledger_version).where(User.user_id == user_id).scalar_subquery()
    return (
        select(
            *books.c,
            zone.label("zone"),
            version.label("version"),
            is_chosen.label("chosen"),
            *_unshadowed(answer),
        )
        .select_from(books.outerjoin(answer, is_chosen))
        .order_by(books.c.book_mode, books.c.book_currency, answer.c.position)
    )


def _not_of_account(user_id: int, filters: Filters, books: CTE) -> list[ColumnElement[bool]]:
    """Of books in which nothing matches, the one of the account that was asked for comes first."""
    if filters.account is None:
        return []
    own = select(literal(1)).where(
        Account.user_id == user_id,
        Account.name_key == name_key(filters.account),
        Account.currency == books.c.book_currency,
        *([] if filters.mode == "all" else [Account.mode == books.c.book_mode]),
    )
    return [~own.exists()]


def _unshadowed(answer: Any) -> list[Label[Any]]:
    """The question's columns, apart from the book's where both have a name."""
    return [column.label(f"own_{name}" if name != "position" else name)
            for name, column in answer.c.items()]  # fmt: skip


def _books(user_id: int, filters: Filters) -> Select[Any]:
    """Per mode and currency: sums over closed trades that match, open ones, and all closed."""
    closed = and_(Trade.status == "closed", *filters.matching(user_id, closed=True))
    open_ = and_(Trade.status == "open", *filters.matching(user_id, closed=False))
    mode = literal("all") if filters.mode == "all" else Trade.mode.expression
    return summed(
        [mode.label("book_mode"), Trade.currency.label("book_currency")],
        [Trade.user_id == user_id],
        where=closed,
        beside={
            "book_n": (func.count().filter(Trade.status == "closed"), func.sum),
            "open_n": (func.count().filter(open_), func.sum),
            "unrealised_pnl": (func.sum(Trade.unrealised_pnl).filter(open_), func.sum),
            "first": (func.min(Trade.closed_on).filter(closed), func.min),
            "last": (func.max(Trade.closed_on).filter(closed), func.max),
            "last_closed": (func.max(Trade.closed_at, type_=Moment()).filter(closed), func.max),
        },
    )


def _book(row: Row[Any]) -> Book:
    return Book(
        mode=row.book_mode,
        currency=row.book_currency,
        zone=row.zone,
        book_n=int(row.book_n),
        sums=sums_of(row),
        open_n=int(row.open_n),
        unrealised_pnl=row.unrealised_pnl,
        first=row.first,
        last=row.last,
        last_closed=row.last_closed,
    )


async def refuse_unknown(session: AsyncSession, filters: Filters) -> None:
    """Say which name among the filters nobody knows, with the known ones, nearest first."""
    user_id = user_of(session)
    if filters.ticker is not None:
        tickers = select(Trade.ticker).where(Trade.user_id == user_id).distinct()
        await _refuse(session, "ticker", filters.ticker.strip().upper(), tickers)
    if filters.strategy is not None:
        strategies = select(Strategy.name).where(Strategy.user_id == user_id)
        await _refuse(session, "strategy", filters.strategy, strategies)
    if filters.account is not None:
        accounts = select(Account.name).where(Account.user_id == user_id)
        await _refuse(session, "account", filters.account, accounts)


async def _refuse(session: AsyncSession, what: str, value: str, known: Select[str]) -> None:
    names = {name_key(name): name for name in await session.scalars(known)}
    if name_key(value) in names or not names:
        return
    # Thousands of long names take a second, in which others are to be answered.
    near = await asyncio.to_thread(
        get_close_matches, name_key(value), names, n=KNOWN_SHOWN, cutoff=0.0
    )
    shown = [names[key] for key in near if fullmatch(PLAIN_NAME, names[key])]
    more = len(names) - len(shown)
    said = value if fullmatch(PLAIN_NAME, value) else "with that name"
    raise NotFound(
        f"No {what} {said}. Known, nearest first: {', '.join(shown) or '(none that is plain)'}"
        + (f" and {more} more." if more else ".")
    )
