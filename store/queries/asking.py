"""How a question runs: one statement gives its numbers and what they leave out.

`books` counts the user's trades by mode and currency: those that match the filters, and how
many there are at all. One of these books is chosen (live before paper; one currency). Its
trades are added up by the question's groups, and the question's own select runs on them.
All of it comes joined, so that an answer is one round trip inside its transaction.
"""

import asyncio
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from re import fullmatch
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Label,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.columns import Words
from store.database import user_of
from store.errors import NotFound
from store.evidence.thresholds import CLOSED_MIN, JUDGED_MAX
from store.models import Account, Strategy, Trade, User
from store.queries.answer import Evidence, Provenance, Scope, moment_now, money
from store.queries.filters import Filters, Shape
from store.queries.running import USER, fetch
from store.queries.summing import Grouped, as_json, grouped, kept_money
from store.stats import Sums
from store.vocabulary import name_key

KNOWN_SHOWN = 10
# As SQL expressions, for a list of values is spelt out anew whenever it is asked.
BOTH = (literal("live"), literal("paper"))
# Names are the user's or a file's words; in an error only what reads as a name is repeated,
# not as a sentence: four words, 40 characters.
PLAIN_NAME = r"(?=.{1,40}$)[\w.:+&/()%-]+( [\w.:+&/()%-]+){0,3}"


@dataclass(frozen=True)
class Book:
    """The trades of one mode and currency: `n` closed ones match of `book_n` that there are."""

    mode: str
    currency: str
    zone: str | None
    book_n: int
    n: int
    open_n: int


@dataclass(frozen=True)
class Asked:
    """The chosen book (None in an empty store), the others, its trades added up by the
    question's groups, and the question's own rows.

    `version` counts what the user has recorded; it is read with the answer.
    """

    filters: Filters
    version: int
    book: Book | None
    others: tuple[Book, ...]
    unrealised_pnl: Decimal | None  # Of the open trades that match.
    groups: Grouped
    rows: Sequence[Any]

    @property
    def n(self) -> int:
        """How many closed trades match."""
        return self.book.n if self.book else 0

    @property
    def sums(self) -> Sums:
        return self.groups.total

    @property
    def mode(self) -> str:
        """The mode of the book in words."""
        mode = self.book.mode if self.book else ""
        return "live and paper" if mode == "all" else mode

    @property
    def evidence(self) -> Evidence:
        """What may be said at all; a question that makes claims has its own tiers."""
        if self.book is None or not self.book.n:
            return "none"
        return "insufficient" if self.book.book_n < CLOSED_MIN else "descriptive"

    @property
    def too_large(self) -> str | None:
        """Why the book is not judged; None if it can be."""
        if self.book is None or self.book.book_n <= JUDGED_MAX:
            return None
        return f"a book of {self.book.book_n} trades is too large; up to {JUDGED_MAX} are judged"

    @property
    def caveat(self) -> str:
        if self.too_large:
            return f" No claims: {self.too_large}."
        if self.evidence != "insufficient" or self.book is None:
            return ""
        return (
            f" Evidence: insufficient ({self.book.book_n} of {CLOSED_MIN} closed trades in the"
            f" {self.mode} book)."
        )

    def scope(self) -> Scope:
        book = self.book
        first, last = self.groups.days
        return Scope(
            filters=self.filters.said(),
            mode=self.filters.mode or (book.mode if book else None),  # type: ignore[arg-type]
            currency=book.currency if book else None,
            zone=book.zone if book else None,
            first=first,
            last=last,
            trades=self.n,
            left_out=list(self._left_out()),
        )

    def _left_out(self) -> Iterable[str]:
        if self.book is None:
            return
        if self.book.open_n and self.filters.status not in ("open", "all"):
            marked = money(self.unrealised_pnl)
            worth = f", unrealised P&L {marked}" if marked is not None else ", none marked"
            yield f"{self.book.open_n} open{worth}"
        for other in self.others:
            if not other.n:
                continue
            same = other.currency == self.book.currency
            kind = f"{other.mode}" if same else f"{other.mode} in {other.currency}"
            yield f"{other.n} {kind}"

    def provenance(self) -> Provenance:
        return Provenance(as_of=moment_now(), last_closed=self.groups.last_closed)


@dataclass(frozen=True)
class Question:
    """What a question asks of the trades of the chosen book.

    `by`: the columns by which they are added up. `own`: a select over the trades that satisfy
    the predicates it is given (user, status unless `any_status`, book and filters), with a
    column `position` by which its rows are ordered. Both take `shape` first, which stands for
    all that they depend on; what else they compare with are parameters by name.
    """

    by: Callable[..., Sequence[Label[Any]]] | None = None
    own: Callable[..., Select[Any]] | None = None
    shape: tuple[Hashable, ...] = ()
    any_status: bool = False


async def ask(
    session: AsyncSession,
    filters: Filters,
    question: Question,
    values: Mapping[str, Any] | None = None,
    *,
    kept: bool = True,
) -> Asked:
    """Ask `question` of the trades that match `filters`; `values` are its own parameters.

    Its statement is `kept` for all who ask alike, unless its shape is of one occasion.

    Raises:
        NotFound: nothing matches, and a name among the filters is not known at all.
    """
    shape = filters.shape
    rows = await fetch(
        session,
        lambda: statement(shape, question),
        {"user_id": user_of(session), **filters.values(), **(values or {})},
        shape=(shape, question) if kept else None,
    )
    first = rows[0]
    session.info["version"] = first.version or 0  # For `answered`.
    groups = Grouped.of(first)
    books = [
        # The database counts what matches where there are books to choose between.
        Book(mode, currency, zone, book_n, groups.n if n is None else n, open_n)
        for mode, currency, zone, book_n, n, open_n in json.loads(first.books or "[]")
    ]
    chosen = (first.chosen_mode, first.chosen_currency)
    if not any(book.n or book.open_n for book in books):
        await refuse_unknown(session, filters)
    return Asked(
        filters=filters,
        version=first.version or 0,
        book=next((book for book in books if (book.mode, book.currency) == chosen), None),
        others=tuple(book for book in books if (book.mode, book.currency) != chosen),
        unrealised_pnl=None if first.unrealised is None else kept_money(first.unrealised),
        groups=groups,
        rows=[row for row in rows if row.position is not None],
    )


def statement(filters: Shape, question: Question) -> Select[Any]:
    """The one statement of a question; `ask` says what it gives."""
    books = _books(filters).cte("books")
    chosen = _chosen(filters, books).cte("chosen")
    currency = select(chosen.c.book_currency).scalar_subquery()
    mode = select(chosen.c.book_mode).scalar_subquery()
    of_book = [*_of_mode(filters, mode), Trade.currency == currency]
    closed = [*of_book, Trade.status == "closed", *filters.matching(closed=True)]
    open_ = [*of_book, Trade.status == "open"]
    listed = [
        *of_book,
        *([] if question.any_status else filters.in_status()),
        *filters.matching(closed=filters.status in (None, "closed")),
    ]
    unrealised = func.sum(type_coerce(Trade.unrealised_pnl, BigInteger)).filter(
        *filters.matching(closed=False), true()
    )
    version = select(User.ledger_version).where(User.user_id == USER).scalar_subquery()
    once = [
        as_json(select(books).order_by(*books.c).subquery("listed")).label("books"),
        mode.label("chosen_mode"),
        currency.label("chosen_currency"),
        version.label("version"),
        select(unrealised).where(*open_).scalar_subquery().label("unrealised"),
        *grouped(question.by(*question.shape) if question.by else (), closed),
    ]
    if question.own is None:
        return select(*once, cast(None, BigInteger).label("position"))
    answer = question.own(*question.shape, listed).subquery("answer")
    one = select(literal(1).label("one")).subquery("one")
    # What there is once is in the first row only: it may be large.
    first = func.coalesce(answer.c.position, 1) == 1
    return (
        select(
            *(case((first, column.element), else_=None).label(column.name) for column in once),
            *(column.label(_unshadowed(name)) for name, column in answer.c.items()),
        )
        .select_from(one.outerjoin(answer, true()))
        .order_by(answer.c.position)
    )


def _unshadowed(name: str) -> str:
    """The name of a question's column, apart from the book's where both have it."""
    return name if name == "position" else f"own_{name}"


def _of_mode(filters: Shape, mode: Any) -> list[ColumnElement[bool]]:
    """Trades of the user in a book of `mode`; all modes are named, for they lead the index."""
    return [
        Trade.user_id == USER,
        Trade.mode.in_(BOTH) if filters.mode == "all" else Trade.mode == mode,
    ]


def _books(filters: Shape) -> Select[Any]:
    """The books with trades of any status, as `Book` takes them: an account is of one mode and
    one currency for ever, and its trades with it. Counting by book reads the index in its
    order, where grouping trades by currency would sort them all."""
    mode = literal("all", Text) if filters.mode == "all" else Account.mode.expression
    one_zone = func.min(Account.zone) == func.max(Account.zone)
    kept = (
        select(
            mode.label("book_mode"),
            Account.currency.label("book_currency"),
            case((one_zone, func.min(Account.zone))).label("zone"),
        )
        .where(Account.user_id == USER)
        .group_by(mode, Account.currency)
        .cte("kept")
    )
    of_book = [*_of_mode(filters, kept.c.book_mode), Trade.currency == kept.c.book_currency]

    def count(status: str, matching: Sequence[ColumnElement[bool]] = ()) -> Any:
        trades = select(func.count()).where(*of_book, Trade.status == status, *matching)
        return trades.correlate(kept).scalar_subquery()

    # Open trades are few: all are looked at, which keeps to the index that leads with status.
    matching = func.count().filter(*filters.matching(closed=False), true())
    open_n = select(matching).where(*of_book, Trade.status == "open")
    several = select(func.count()).select_from(kept).scalar_subquery() > 1
    n = count("closed", filters.matching(closed=True))
    # Not EXISTS, for which PostgreSQL looks at all trades of a user with an empty account.
    any_trade = select(literal(1)).where(*of_book).limit(1).correlate(kept).scalar_subquery()
    return select(
        kept,
        count("closed").label("book_n"),
        case((several, n)).label("n"),
        open_n.correlate(kept).scalar_subquery().label("open_n"),
    ).where(any_trade.is_not(None))


def _chosen(filters: Shape, books: CTE) -> Select[Any]:
    c: Any = books.c
    return (
        select(c.book_mode, c.book_currency)
        .order_by(
            (c.n + c.open_n == 0),
            *_not_of_account(filters, books),
            c.book_mode != "live",
            c.n.desc(),
            c.book_currency,
        )
        .limit(1)
    )


def _not_of_account(filters: Shape, books: CTE) -> list[ColumnElement[bool]]:
    """Of books in which nothing matches, the one of the account that was asked for comes first."""
    if "account" not in filters.given:
        return []
    own = select(literal(1)).where(
        Account.user_id == USER,
        Account.name_key == bindparam("account", type_=Words),
        Account.currency == books.c.book_currency,
        *([] if filters.mode == "all" else [Account.mode == books.c.book_mode]),
    )
    return [~own.exists()]


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
