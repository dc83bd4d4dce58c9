"""The tables of the ledger. Every key begins with `user_id`; only tiers, market data and the
operator's fold belong to nobody.

Locks, row-level security and the application's role are in the migrations: they are the
database's own, and hold for clients that have never seen this code.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.columns import Count, Day, Moment, Money, Number, Small, Words

ONE = 100_000_000  # 1.0 as prices, quantities and scores are kept
STRICT = {"sqlite_strict": True, "sqlite_with_rowid": False}


def one_of(column: str, *words: str) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_1_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: Count,
        str: Words,
        Decimal: Number,
        datetime: Moment,
        date: Day,
    }


class Tier(Base):
    """What a subscription includes; null is without limit."""

    __tablename__ = "tiers"
    __table_args__ = (
        PrimaryKeyConstraint("name"),
        CheckConstraint("calls_per_minute > 0", name="calls_per_minute"),
        CheckConstraint("accounts > 0", name="accounts"),
        CheckConstraint("trades > 0", name="trades"),
        STRICT,
    )

    name: Mapped[str]
    calls_per_minute: Mapped[int | None]
    accounts: Mapped[int | None]
    trades: Mapped[int | None]


class User(Base):
    """A tenant, its counters and its ledger version, which every recording raises."""

    __tablename__ = "users"
    __table_args__ = (
        PrimaryKeyConstraint("user_id"),
        one_of("tier", "free", "basic", "pro"),
        STRICT,
    )

    user_id: Mapped[int] = mapped_column(autoincrement=False)
    name: Mapped[str]
    created_at: Mapped[datetime]
    last_account: Mapped[int]
    last_trade: Mapped[int]
    last_audit: Mapped[int]
    audit_head: Mapped[str | None]  # Hash of the last audit entry.
    ledger_version: Mapped[int]
    tier: Mapped[str] = mapped_column(server_default="pro")


class Account(Base):
    """One book of a user, paper or live, in one currency."""

    __tablename__ = "accounts"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "account_id"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        UniqueConstraint("user_id", "name_key"),
        # What trades copy is bound to them: an account never changes mode or currency.
        UniqueConstraint("user_id", "account_id", "mode", "currency", name="uq_accounts_book"),
        one_of("mode", "paper", "live"),
        CheckConstraint("length(currency) BETWEEN 3 AND 10", name="currency"),
        CheckConstraint("tolerance >= 0", name="tolerance"),
        STRICT,
    )

    user_id: Mapped[int]
    account_id: Mapped[int]
    name: Mapped[str]
    name_key: Mapped[str]
    mode: Mapped[str]
    broker: Mapped[str | None]
    currency: Mapped[str]
    zone: Mapped[str]
    tolerance: Mapped[Decimal] = mapped_column(Money)
    created_at: Mapped[datetime]


class Strategy(Base):
    """How a strategy was first written; other cases and spacings of it are the same one."""

    __tablename__ = "strategies"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "name_key"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        STRICT,
    )

    user_id: Mapped[int]
    name_key: Mapped[str]
    name: Mapped[str]


class Trade(Base):
    """One position in one underlying, from flat to flat. Locked unless open."""

    __tablename__ = "trades"

    user_id: Mapped[int]
    number: Mapped[int]
    account_id: Mapped[int]
    mode: Mapped[str]
    currency: Mapped[str]
    status: Mapped[str]
    ticker: Mapped[str]
    strategy: Mapped[str | None]
    structure: Mapped[str | None]
    direction: Mapped[str]
    opened_at: Mapped[datetime]
    opened_on: Mapped[date]
    entry_weekday: Mapped[int] = mapped_column(Small)  # ISO: Monday is 1
    entry_hour: Mapped[int] = mapped_column(Small)
    closed_at: Mapped[datetime | None]
    closed_on: Mapped[date | None]
    holding_seconds: Mapped[int | None]
    quantity: Mapped[Decimal]
    price_sign: Mapped[int] = mapped_column(Small)  # +1 if a rising net price earns
    entry_price: Mapped[Decimal]
    exit_price: Mapped[Decimal | None]
    stop_loss: Mapped[Decimal | None]
    take_profit: Mapped[Decimal | None]
    initial_risk: Mapped[Decimal | None] = mapped_column(Money)
    gross_pnl: Mapped[Decimal | None] = mapped_column(Money)
    fees: Mapped[Decimal | None] = mapped_column(Money)
    net_pnl: Mapped[Decimal | None] = mapped_column(Money)
    r_multiple: Mapped[Decimal | None]
    return_on_risk: Mapped[Decimal | None]
    outcome: Mapped[str | None]
    exit_reason: Mapped[str | None]
    unrealised_pnl: Mapped[Decimal | None] = mapped_column(Money)
    scanner_score: Mapped[Decimal | None]
    ai_score: Mapped[Decimal | None]
    delta: Mapped[Decimal | None]
    gamma: Mapped[Decimal | None]
    theta: Mapped[Decimal | None]
    vega: Mapped[Decimal | None]
    iv: Mapped[Decimal | None]
    dte: Mapped[int | None]
    option_type: Mapped[str | None]
    strike: Mapped[Decimal | None]
    expiry: Mapped[date | None]
    broker_order_id: Mapped[str | None]
    stop_order_id: Mapped[str | None]
    target_order_id: Mapped[str | None]
    source: Mapped[str]
    external_id: Mapped[str | None]
    recorded_at: Mapped[datetime]

    __table_args__ = (
        PrimaryKeyConstraint("user_id", "number"),
        ForeignKeyConstraint(
            ["user_id", "account_id", "mode", "currency"],
            ["accounts.user_id", "accounts.account_id", "accounts.mode", "accounts.currency"],
        ),
        one_of("status", "open", "closed", "superseded", "void"),
        one_of("direction", "bullish", "bearish", "neutral"),
        CheckConstraint("price_sign IN (-1, 1)", name="price_sign"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("option_type IN ('call', 'put')", name="option_type"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("strike > 0", name="strike"),
        CheckConstraint("dte >= 0", name="dte"),
        CheckConstraint("initial_risk > 0", name="initial_risk"),
        CheckConstraint("entry_weekday BETWEEN 1 AND 7", name="entry_weekday"),
        CheckConstraint("entry_hour BETWEEN 0 AND 23", name="entry_hour"),
        CheckConstraint(f"scanner_score BETWEEN 0 AND {100 * ONE}", name="scanner_score"),
        CheckConstraint(f"ai_score BETWEEN 0 AND {100 * ONE}", name="ai_score"),
        CheckConstraint("iv >= 0", name="iv"),
        CheckConstraint("closed_at >= opened_at", name="closed_at"),
        CheckConstraint("holding_seconds >= 0", name="holding_seconds"),
        CheckConstraint("net_pnl = gross_pnl - fees", name="net_pnl"),
        CheckConstraint(
            "(status = 'open' AND closed_at IS NULL AND net_pnl IS NULL AND outcome IS NULL)"
            " OR (status = 'void' AND (closed_at IS NULL) = (net_pnl IS NULL))"
            " OR (status IN ('closed', 'superseded') AND closed_at IS NOT NULL"
            " AND closed_on IS NOT NULL AND exit_price IS NOT NULL AND gross_pnl IS NOT NULL"
            " AND fees IS NOT NULL AND net_pnl IS NOT NULL AND outcome IS NOT NULL"
            " AND exit_reason IS NOT NULL AND holding_seconds IS NOT NULL"
            " AND unrealised_pnl IS NULL)",
            name="ended",
        ),
        CheckConstraint(
            "outcome = 'breakeven' OR (outcome = 'win' AND net_pnl > 0)"
            " OR (outcome = 'loss' AND net_pnl < 0)",
            name="outcome",
        ),
        CheckConstraint(
            "gross_pnl = 0 OR exit_price = entry_price"
            " OR (gross_pnl > 0) = ((exit_price > entry_price) = (price_sign > 0))",
            name="gross_pnl",
        ),
        # The aggregate questions read this index and nothing else.
        Index(
            "ix_trades_book",
            "user_id", "mode", "status", "closed_at", "number", "currency", "account_id",
            "ticker", "strategy", "option_type", "structure", "outcome", "net_pnl",
            "gross_pnl", "fees", "r_multiple", "return_on_risk", "holding_seconds",
            "scanner_score", "ai_score", "opened_at", "opened_on", "closed_on",
            "unrealised_pnl",
        ),
        Index("ix_trades_ticker", "user_id", "ticker", "closed_at", "number"),
        # Partial on PostgreSQL, too, as 0001 makes them: an argument for PostgreSQL would load
        # its dialect at every start.
        Index(
            "uq_trades_external_id",
            "user_id", "account_id", "source", "external_id",
            unique=True,
            sqlite_where=text("status IN ('open', 'closed') AND external_id IS NOT NULL"),
        ),
        Index(
            "uq_trades_broker_order_id",
            "user_id", "account_id", "broker_order_id",
            unique=True,
            sqlite_where=text("status IN ('open', 'closed') AND broker_order_id IS NOT NULL"),
        ),
        STRICT,
    )  # fmt: skip


class Leg(Base):
    """One instrument of a trade. `delivered` legs came by assignment or exercise."""

    __tablename__ = "legs"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "leg_number"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        one_of("instrument", "equity", "option", "future", "crypto"),
        CheckConstraint("delivered IN (0, 1)", name="delivered"),
        CheckConstraint("leg_number BETWEEN 1 AND 8", name="leg_number"),
        CheckConstraint("multiplier > 0", name="multiplier"),
        CheckConstraint(
            "(instrument = 'option') = (option_type IS NOT NULL)"
            " AND (option_type IS NULL) = (strike IS NULL)"
            " AND (option_type IS NULL OR expiry IS NOT NULL)"
            " AND (option_type IS NULL OR option_type IN ('call', 'put'))",
            name="option",
        ),
        STRICT,
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    leg_number: Mapped[int] = mapped_column(Small)
    instrument: Mapped[str]
    symbol: Mapped[str | None]
    option_type: Mapped[str | None]
    strike: Mapped[Decimal | None]
    expiry: Mapped[date | None]
    multiplier: Mapped[Decimal]
    delivered: Mapped[int] = mapped_column(Small)


class Fill(Base):
    """One execution on a leg, in the order of recording."""

    __tablename__ = "fills"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "leg_number", "fill_number"),
        ForeignKeyConstraint(
            ["user_id", "trade_number", "leg_number"],
            ["legs.user_id", "legs.trade_number", "legs.leg_number"],
        ),
        UniqueConstraint("user_id", "trade_number", "execution_id", name="uq_fills_execution_id"),
        one_of("side", "buy", "sell"),
        one_of("kind", "trade", "expired", "assigned", "exercised", "settled"),
        CheckConstraint("quantity > 0", name="quantity"),
        STRICT,
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    leg_number: Mapped[int] = mapped_column(Small)
    fill_number: Mapped[int]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    fee: Mapped[Decimal] = mapped_column(Money)
    filled_at: Mapped[datetime]
    kind: Mapped[str]
    execution_id: Mapped[str | None]


class Condition(Base):
    """A free fact known at entry: a word or a number."""

    __tablename__ = "conditions"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "name"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        CheckConstraint("(word IS NULL) <> (number IS NULL)", name="value"),
        STRICT,
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    name: Mapped[str]
    word: Mapped[str | None]
    number: Mapped[Decimal | None]


class Marked:
    """What a snapshot says, in whichever table it is."""

    user_id: Mapped[int]
    trade_number: Mapped[int]
    taken_at: Mapped[datetime]
    mark_price: Mapped[Decimal]
    underlying_price: Mapped[Decimal | None]
    unrealised_pnl: Mapped[Decimal] = mapped_column(Money)


class Snapshot(Marked, Base):
    """The mark of an open trade at a moment. They are packed into a path when it is locked."""

    __tablename__ = "snapshots"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "taken_at"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        STRICT,
    )


class PricePath(Base):
    """The snapshots of a locked trade in one row, which the database itself writes.

    `packed` is a JSON array in the order of time. Each snapshot of it is an array of the time
    since `begins_at` in `time_unit` microseconds; `mark_price` and `underlying_price` (or
    null) in `price_unit` times 1e-8; `unrealised_pnl` in `money_unit` times 1e-6. The view
    `points` has them as rows, together with those of open trades.
    """

    __tablename__ = "paths"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        CheckConstraint("packed <> '[]'", name="packed"),
        # Without a rowid each row of more than 1,002 bytes would take a page of its own.
        {"sqlite_strict": True},
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    begins_at: Mapped[datetime]
    time_unit: Mapped[int]
    price_unit: Mapped[int]
    money_unit: Mapped[int]
    packed: Mapped[str]


class View(DeclarativeBase):
    """What is read like a table and is none."""

    type_annotation_map: ClassVar = Base.type_annotation_map


class Point(Marked, View):
    """A snapshot of any trade: of an open one its row, of a locked one out of its path."""

    __tablename__ = "points"
    __table_args__ = (PrimaryKeyConstraint("user_id", "trade_number", "taken_at"),)


class Correction(Base):
    """Why a trade no longer counts. Its insertion is what supersedes or voids the trade."""

    __tablename__ = "corrections"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "number"),
        ForeignKeyConstraint(
            ["user_id", "number"], ["trades.user_id", "trades.number"], name="fk_corrections_number"
        ),
        ForeignKeyConstraint(
            ["user_id", "replacement"],
            ["trades.user_id", "trades.number"],
            name="fk_corrections_replacement",
        ),
        UniqueConstraint("user_id", "replacement"),
        CheckConstraint("replacement > number", name="replacement"),
        CheckConstraint("length(reason) > 0", name="reason"),
        STRICT,
    )

    user_id: Mapped[int]
    number: Mapped[int]
    replacement: Mapped[int | None]
    reason: Mapped[str]
    author: Mapped[str]
    made_at: Mapped[datetime]


class Note(Base):
    """A journal entry on a trade: free text, appended, never trusted."""

    __tablename__ = "notes"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "note_number"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        CheckConstraint("length(body) > 0", name="body"),
        STRICT,
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    note_number: Mapped[int]
    body: Mapped[str]
    author: Mapped[str]
    written_at: Mapped[datetime]


class Check(Base):
    """A pre-trade check, answered at entry."""

    __tablename__ = "checklist"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "trade_number", "check_number"),
        ForeignKeyConstraint(["user_id", "trade_number"], ["trades.user_id", "trades.number"]),
        CheckConstraint("length(question) > 0", name="question"),
        CheckConstraint("length(answer) > 0", name="answer"),
        STRICT,
    )

    user_id: Mapped[int]
    trade_number: Mapped[int]
    check_number: Mapped[int]
    question: Mapped[str]
    answer: Mapped[str]
    author: Mapped[str]
    answered_at: Mapped[datetime]


class Execution(Base):
    """What a broker's file said was dealt, once; trades are made of them.

    An order that was filled further in a later file is there again with the larger quantity.
    """

    __tablename__ = "executions"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "account_id", "source", "execution_id", "quantity"),
        ForeignKeyConstraint(
            ["user_id", "account_id"], ["accounts.user_id", "accounts.account_id"]
        ),
        one_of("instrument", "equity", "option", "future", "crypto"),
        one_of("side", "buy", "sell"),
        one_of("kind", "trade", "expired", "assigned", "exercised", "settled"),
        one_of("effect", "open", "close"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("side IS NOT NULL OR kind <> 'trade'", name="ending"),
        CheckConstraint("delivery IN (0, 1)", name="delivery"),
        CheckConstraint("dated IN (0, 1)", name="dated"),
        CheckConstraint("place >= 0", name="place"),
        Index("ix_executions_ticker", "user_id", "account_id", "source", "ticker", "filled_at"),
        Index("ix_executions_order", "user_id", "account_id", "source", "order_id"),
        Index("ix_executions_entry", "user_id", "audit_entry", "entry_place"),
        STRICT,
    )

    user_id: Mapped[int]
    account_id: Mapped[int]
    source: Mapped[str]
    execution_id: Mapped[str]
    ticker: Mapped[str]
    instrument: Mapped[str]
    symbol: Mapped[str | None]
    option_type: Mapped[str | None]
    strike: Mapped[Decimal | None]
    expiry: Mapped[date | None]
    multiplier: Mapped[Decimal | None]
    side: Mapped[str | None]  # None: it ends whatever is open.
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    fee: Mapped[Decimal] = mapped_column(Money)
    filled_at: Mapped[datetime]
    dated: Mapped[int] = mapped_column(Small)  # Of the moment only the day is known.
    place: Mapped[int]  # Among those of one moment, in the file's order.
    kind: Mapped[str]
    effect: Mapped[str | None]
    order_id: Mapped[str | None]
    delivery: Mapped[int] = mapped_column(Small)  # Shares of an assignment or exercise.
    audit_entry: Mapped[int]  # The command that recorded it, and where it stood there.
    entry_place: Mapped[int]


class Unfolded(Base):
    """What the operator's fold does not hold yet: a trade that counts from now on (+1), or no
    longer (-1), and what it adds. Written by the database itself when a trade closes, is
    superseded or voided."""

    __tablename__ = "unfolded"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "number", "effect"),
        CheckConstraint("effect IN (-1, 1)", name="effect"),
        STRICT,
    )

    user_id: Mapped[int]
    number: Mapped[int]
    effect: Mapped[int] = mapped_column(Small)
    mode: Mapped[str]
    currency: Mapped[str]
    strategy: Mapped[str | None]  # Its key: however it was written, it is one.
    scanner_score: Mapped[int | None]  # Without its decimals.
    ai_score: Mapped[int | None]
    ticker: Mapped[str]
    month: Mapped[int]  # Of exit: 202601.
    outcome: Mapped[str]
    gross_pnl: Mapped[Decimal] = mapped_column(Money)
    fees: Mapped[Decimal] = mapped_column(Money)
    net_pnl: Mapped[Decimal] = mapped_column(Money)


class Fold(Base):
    """Sums of closed trades over all users, by one dimension at a time. It is the operator's,
    and whole only together with what is unfolded."""

    __tablename__ = "fold"
    __table_args__ = (
        PrimaryKeyConstraint("dimension", "value", "mode", "currency"),
        one_of("dimension", "whole", "strategy", "scanner_score", "ai_score", "ticker", "month"),
        one_of("mode", "paper", "live"),
        CheckConstraint("n = wins + losses + breakevens", name="n"),
        CheckConstraint("net_pnl = gross_pnl - fees", name="net_pnl"),
        STRICT,
    )

    dimension: Mapped[str]
    value: Mapped[str]  # Empty: the trade has none.
    mode: Mapped[str]
    currency: Mapped[str]
    n: Mapped[int]
    wins: Mapped[int]
    losses: Mapped[int]
    breakevens: Mapped[int]
    gross_pnl: Mapped[Decimal] = mapped_column(Money)
    fees: Mapped[Decimal] = mapped_column(Money)
    net_pnl: Mapped[Decimal] = mapped_column(Money)


class Bar(Base):
    """The price of a ticker over a period of the market. It belongs to nobody.

    On PostgreSQL in partitions by year, or a hypertable where TimescaleDB is.
    """

    __tablename__ = "bars"
    __table_args__ = (
        PrimaryKeyConstraint("ticker", "period", "opens_at"),
        one_of("period", "1m", "5m", "15m", "30m", "1h", "1d", "1w"),
        CheckConstraint("low <= open AND low <= close AND low <= high", name="low"),
        CheckConstraint("high >= open AND high >= close", name="high"),
        CheckConstraint("volume >= 0", name="volume"),
        CheckConstraint("known_at > opens_at", name="known_at"),
        STRICT,
    )

    ticker: Mapped[str]
    period: Mapped[str]
    opens_at: Mapped[datetime]
    known_at: Mapped[datetime]  # When it ended: nobody knew it before.
    open: Mapped[Decimal]
    high: Mapped[Decimal]
    low: Mapped[Decimal]
    close: Mapped[Decimal]
    volume: Mapped[Decimal | None]


class Fundamental(Base):
    """A fact about a ticker, from the day on which it was known. It belongs to nobody."""

    __tablename__ = "fundamentals"
    __table_args__ = (
        PrimaryKeyConstraint("ticker", "name", "known_on"),
        CheckConstraint("(word IS NULL) <> (number IS NULL)", name="value"),
        STRICT,
    )

    ticker: Mapped[str]
    name: Mapped[str]
    known_on: Mapped[date]
    word: Mapped[str | None]
    number: Mapped[Decimal | None] = mapped_column(Money)


class Request(Base):
    """The caller's key of a write, what it said and what was answered."""

    __tablename__ = "requests"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "request_key"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        STRICT,
    )

    user_id: Mapped[int]
    request_key: Mapped[str]
    command: Mapped[str]
    content_hash: Mapped[str]
    result: Mapped[str]
    made_at: Mapped[datetime]


class AuditEntry(Base):
    """One command that wrote, chained to the one before it."""

    __tablename__ = "audit"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "entry_number"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        STRICT,
    )

    user_id: Mapped[int]
    entry_number: Mapped[int]
    made_at: Mapped[datetime]
    author: Mapped[str]
    command: Mapped[str]
    content_hash: Mapped[str]
    result: Mapped[str]
    previous_hash: Mapped[str]
    entry_hash: Mapped[str]
    token: Mapped[str | None]  # Which API token wrote; none from within.
    state_hash: Mapped[str | None]  # Of what the command fixed for ever; store/fixed.py.


class ApiToken(Base):
    """A key to one user's trades. The secret is with its owner; here is its hash."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "token_number"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
        STRICT,
    )

    user_id: Mapped[int]
    token_number: Mapped[int]
    name: Mapped[str]
    secret_hash: Mapped[str]
    scopes: Mapped[str]  # Separated by blanks, as OAuth writes them.
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class UserSetting(Base):
    """A preference. Where it is sensitive, `value` is sealed."""

    __tablename__ = "user_settings"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "name"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        CheckConstraint("sealed IN (0, 1)", name="sealed"),
        STRICT,
    )

    user_id: Mapped[int]
    name: Mapped[str]
    value: Mapped[str]
    sealed: Mapped[int] = mapped_column(Small)
    updated_at: Mapped[datetime]


class BrokerConnection(Base):
    """How to reach a user's broker; the token is sealed."""

    __tablename__ = "broker_connections"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "broker", "environment"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        one_of("environment", "sandbox", "live"),
        STRICT,
    )

    user_id: Mapped[int]
    broker: Mapped[str]
    environment: Mapped[str]
    sealed_token: Mapped[str]
    updated_at: Mapped[datetime]


class Call(Base):
    """A question that was asked: who, what, and a hash of what was answered."""

    __tablename__ = "calls"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "called_at", "call_id"),
        ForeignKeyConstraint(["user_id"], ["users.user_id"]),
        one_of("outcome", "answered", "refused", "failed"),
        STRICT,
    )

    user_id: Mapped[int]
    called_at: Mapped[datetime]
    call_id: Mapped[str]
    tool: Mapped[str]
    token: Mapped[str | None]
    arguments_hash: Mapped[str]
    outcome: Mapped[str]
    result_hash: Mapped[str | None]
    trades_used: Mapped[int | None]
    milliseconds: Mapped[int]
