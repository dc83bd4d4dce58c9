"""The documented CSV: one row per trade, its columns named like the fields of a trade.

Needed: ticker, opened_at, quantity, entry_price. Optional: external_id, closed_at, account,
mode, direction, strategy, structure, instrument, option_type, strike, expiry, multiplier,
exit_price, fees, stop_loss, take_profit, scanner_score, ai_score, delta, gamma, theta,
vega, iv, exit_reason, status, notes, and a `condition.NAME` for any other fact known at
entry (a number where it reads as one, else a word). Any other column is refused by name.

- `direction` is long (the default) or short of the instrument; a long put is a bearish
  trade. `quantity` is positive.
- `instrument` is an option where an option's columns are filled, else equity. An option
  needs option_type, strike and expiry. `multiplier` is 100 for an option, 1 for equity and
  crypto; a future says its own.
- Moments carry an offset, or `zone` says it.
- `fees` are both sides', positive when they cost. The entry fill carries them: one number
  does not say how much of it the exit was.
- A trade is closed if it has closed_at and exit_price, open if it has neither. An option
  with exit_reason expired closes as expired at 0, as settled in cash at any other price.
- The file states no P&L: it follows from prices and fees, fees deducted.
- A text that a spreadsheet would take for a formula stands behind an apostrophe, which is
  not part of it; exports write it so.
- Without external_id a trade is known by its entry (account, instrument, moment, side,
  quantity, price), so that importing again finds it.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from store.accounts import AccountEntry
from store.errors import Invalid
from store.importers.format import account_of, of_columns
from store.importers.formulas import unguarded
from store.importers.imported import (
    Draft,
    ImportFile,
    ImportTrade,
    Options,
    identified,
    plain,
)
from store.importers.table import Row, Table
from store.importers.values import (
    NUMBER,
    built,
    day,
    earned,
    moment,
    needed_number,
    number,
    word,
    zone_named,
)
from store.pnl import PRECISION
from store.records import ExitReason, FillEntry, FillKind, Instrument, LegEntry, Text, TradeEntry
from store.statements.refusing import Refused, printable
from store.vocabulary import name_key

SOURCE = "generic_csv"
NEEDED = ("ticker", "opened_at", "quantity", "entry_price")
OPTION = ("option_type", "strike", "expiry")
FACTS = (
    "stop_loss", "take_profit", "scanner_score", "ai_score", "delta", "gamma", "theta", "vega",
    "iv",
)  # fmt: skip
COLUMNS = frozenset({
    *NEEDED, *OPTION, *FACTS, "external_id", "closed_at", "account", "mode", "direction",
    "strategy", "structure", "instrument", "multiplier", "exit_price", "fees", "exit_reason",
    "status", "notes",
})  # fmt: skip
CONDITION = "condition."
MULTIPLIERS = {"option": Decimal(100), "equity": Decimal(1), "crypto": Decimal(1)}
ENTRY_COLUMNS = {"price": "entry_price", "filled_at": "opened_at", "fee": "fees"}
EXIT_COLUMNS = {"price": "exit_price", "filled_at": "closed_at"}

NOTE: TypeAdapter[str] = TypeAdapter(Text)


def parse(table: Table, options: Options) -> ImportFile:
    """Every row as a trade or a rejection.

    Raises:
        Invalid: a column is missing or unknown, or nothing says whether the trades are
            paper or live.
    """
    table = checked(table)
    if options.ticker is not None:
        raise Invalid(f"{table.path.name} has a ticker in each row; leave --ticker out.")
    if options.mode is None and "mode" not in table.header:
        raise Invalid(
            f"{table.path.name} does not say whether its trades are paper or live:"
            " add --mode paper or --mode live."
        )
    zone = zone_named(options.zone)
    books = Books(options)
    drafts: list[Draft] = []
    named: dict[tuple[str, str], int] = {}
    rejected = list(table.rejected)
    for row in table.rows:
        try:
            draft = drafted(row, books, zone)
            once(row, draft.trade.entry, named)
        except Refused as error:
            rejected.append(error.rejection(table.path.name, row.number))
        else:
            drafts.append(draft)
    return ImportFile(
        path=table.path,
        format=SOURCE,
        account=books.usual,
        accounts=books.used(drafts),
        currency=options.currency,
        trades=identified_unless_named(drafts),
        rejected=tuple(sorted(rejected, key=lambda one: one.row)),
        ignored={"blank rows": table.blank} if table.blank else {},
    )


def checked(table: Table) -> Table:
    """The table with its columns' names in lower case, all of them known."""
    names = {column: column_name(column) for column in table.header}
    header = tuple(names.values())
    file = table.path.name
    unknown = [printable(column) for column, name in names.items() if not known(name)]
    if unknown:
        raise Invalid(
            f"{file} has unknown columns: {', '.join(unknown)}. Known: "
            f"{', '.join(sorted(COLUMNS))}, and condition.NAME for any other fact."
        )
    missing = [column for column in NEEDED if column not in header]
    if missing:
        raise Invalid(f"{file} lacks the columns {', '.join(missing)}.")
    if len(set(header)) < len(header):
        raise Invalid(f"{file} has a column twice: {', '.join(sorted(header))}.")
    rows = (
        replace(row, fields={names[column]: value for column, value in row.fields.items()})
        for row in table.rows
    )
    return replace(table, header=header, rows=tuple(rows))


def column_name(column: str) -> str:
    if column.lower().startswith(CONDITION):
        return CONDITION + name_key(column[len(CONDITION) :])
    return column.lower()


def known(name: str) -> bool:
    return name in COLUMNS or (name.startswith(CONDITION) and len(name) > len(CONDITION))


class Books:
    """The accounts of a file: those its rows name, and the usual one for those that do not."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.found: dict[str, AccountEntry] = {}
        self.usual = self.account(None, options.mode) if options.mode else None

    def of(self, row: Row) -> AccountEntry:
        mode = word(row, "mode", ("paper", "live")) or self.options.mode
        if mode is None:
            raise Refused("mode", "", "paper or live is needed; --mode says it for blank fields")
        try:
            account = self.account(said(row, "account"), mode)
        except Invalid:
            raise Refused(
                "account", row.text("account"), "a name of up to 100 letters is needed"
            ) from None
        if account.mode != mode:
            reason = f"the same account is {account.mode} elsewhere; an account has one mode"
            raise Refused("mode", mode, reason)
        return account

    def account(self, name: str | None, mode: str) -> AccountEntry:
        """The account named, else the one of the options, else a `Paper` or `Live` one."""
        name = name or self.options.account or mode.title()
        key = name_key(name)
        if key not in self.found:
            self.found[key] = account_of(
                name=name, mode=mode, currency=self.options.currency, zone=self.options.zone
            )
        return self.found[key]

    def used(self, drafts: list[Draft]) -> tuple[AccountEntry, ...]:
        keys = {name_key(draft.trade.entry.account): None for draft in drafts}
        return tuple(self.found[key] for key in keys)


def once(row: Row, entry: TradeEntry, named: dict[tuple[str, str], int]) -> None:
    """Refuse an external_id that an earlier row of the account has."""
    if entry.external_id is None:
        return
    earlier = named.setdefault((name_key(entry.account), entry.external_id), row.number)
    if earlier != row.number:
        raise Refused("external_id", entry.external_id, f"row {earlier} has the same")


def identified_unless_named(drafts: list[Draft]) -> tuple[ImportTrade, ...]:
    named = [draft.trade for draft in drafts if draft.trade.entry.external_id is not None]
    unnamed = [draft for draft in drafts if draft.trade.entry.external_id is None]
    taken = {trade.entry.external_id or "" for trade in named}
    return tuple(sorted([*named, *identified(unnamed, taken)], key=lambda trade: trade.row))


@dataclass(frozen=True)
class Deal:
    """A row's prices and moments as the file writes them, before anything is rounded."""

    sign: int
    quantity: Decimal
    multiplier: Decimal
    fees: Decimal
    entry_price: Decimal
    opened_at: datetime
    exit_price: Decimal | None
    closed_at: datetime | None

    def net(self) -> Decimal | None:
        if self.exit_price is None:
            return None
        with localcontext(prec=PRECISION):
            moved = self.sign * (self.exit_price - self.entry_price)
            return moved * self.quantity * self.multiplier - self.fees


def drafted(row: Row, books: Books, zone: ZoneInfo | None) -> Draft:
    account = books.of(row)
    instrument = instrument_of(row)
    deal = deal_of(row, instrument, zone)
    reason = word(row, "exit_reason", get_args(ExitReason))
    leg = leg_of(row, instrument, deal, reason)
    entry = built(
        TradeEntry,
        {},
        row,
        account=account.name,
        ticker=unguarded(row.text("ticker")),
        legs=(leg,),
        strategy=said(row, "strategy"),
        structure=said(row, "structure"),
        exit_reason=reason,
        source=SOURCE,
        external_id=said(row, "external_id"),
        conditions=conditions(row),
        **{fact: number(row, fact) for fact in FACTS},
    )
    net, exact = earned(entry, row, account.zone), deal.net()
    with localcontext(prec=PRECISION):
        rounding = Decimal(0) if net is None or exact is None else net - exact
    trade = ImportTrade(row.number, entry, note_of(row), None, net, rounding)
    return Draft(trade, identity(entry), content(row))


def instrument_of(row: Row) -> Instrument:
    said = word(row, "instrument", get_args(Instrument))
    filled = next((column for column in OPTION if row.text(column)), None)
    if said not in (None, "option") and filled:
        raise Refused(filled, row.text(filled), f"this is an option's; instrument is {said}")
    found: Any = said or ("option" if filled else "equity")
    if found == "option":
        for column in OPTION:
            if not row.text(column):
                raise Refused(column, "", "an option needs option_type, strike and expiry")
    return found  # type: ignore[no-any-return]


def deal_of(row: Row, instrument: Instrument, zone: ZoneInfo | None) -> Deal:
    opened_at, closed_at = moment(row, "opened_at", zone), moment(row, "closed_at", zone)
    if opened_at is None:
        raise Refused("opened_at", "", "the moment of entry is needed")
    exit_price = number(row, "exit_price")
    require_one_status(row, exit_price, closed_at)
    if closed_at is not None and closed_at < opened_at:
        raise Refused("closed_at", row.text("closed_at"), "it is before opened_at")
    multiplier = number(row, "multiplier")
    if multiplier is None:
        multiplier = MULTIPLIERS.get(instrument)
    if multiplier is None:
        raise Refused("multiplier", row.text("multiplier"), "a future needs its multiplier")
    return Deal(
        sign=-1 if word(row, "direction", ("long", "short")) == "short" else 1,
        quantity=positive(row, "quantity"),
        multiplier=multiplier,
        fees=number(row, "fees") or Decimal(0),
        entry_price=price(row, "entry_price", instrument, needed_number(row, "entry_price")),
        opened_at=opened_at,
        exit_price=None if exit_price is None else price(row, "exit_price", instrument, exit_price),
        closed_at=closed_at,
    )


def require_one_status(row: Row, exit_price: Decimal | None, closed_at: datetime | None) -> None:
    """closed_at and exit_price come together, and `status` agrees with them."""
    status = word(row, "status", ("open", "closed"))
    if (exit_price is None) != (closed_at is None):
        absent = "exit_price" if exit_price is None else "closed_at"
        raise Refused(absent, "", "a closed trade needs exit_price and closed_at, an open neither")
    closed = exit_price is not None
    if status == "open" and closed:
        raise Refused("status", status, "exit_price and closed_at say that it is closed")
    if status == "closed" and not closed:
        raise Refused("status", status, "a closed trade needs exit_price and closed_at")
    if not closed and row.text("exit_reason"):
        raise Refused("exit_reason", row.text("exit_reason"), "the trade is open")


def positive(row: Row, column: str) -> Decimal:
    found = needed_number(row, column)
    if found <= 0:
        raise Refused(column, row.text(column), "a number above 0 is needed; direction says short")
    return found


def price(row: Row, column: str, instrument: Instrument, value: Decimal) -> Decimal:
    if value < 0 and instrument != "future":
        raise Refused(column, row.text(column), f"the price of {instrument} is never below 0")
    return value


def leg_of(row: Row, instrument: Instrument, deal: Deal, reason: str | None) -> LegEntry:
    entering: Literal["buy", "sell"] = "buy" if deal.sign > 0 else "sell"
    fills = [
        built(
            FillEntry,
            ENTRY_COLUMNS,
            row,
            side=entering,
            quantity=deal.quantity,
            price=deal.entry_price,
            filled_at=deal.opened_at,
            fee=deal.fees,
        )
    ]
    if deal.exit_price is not None:
        closing = built(
            FillEntry,
            EXIT_COLUMNS,
            row,
            side="sell" if entering == "buy" else "buy",
            quantity=deal.quantity,
            price=deal.exit_price,
            filled_at=deal.closed_at,
            kind=kind_of(instrument, deal.exit_price, reason),
        )
        fills.append(closing)
    return built(
        LegEntry,
        {},
        row,
        instrument=instrument,
        fills=tuple(fills),
        option_type=word(row, "option_type", ("call", "put")),
        strike=number(row, "strike"),
        expiry=day(row, "expiry"),
        multiplier=deal.multiplier,
    )


def kind_of(instrument: Instrument, exit_price: Decimal, reason: str | None) -> FillKind:
    """How an option ended. Assigned and exercised ones are dealt at the price the row gives:
    the shares they deliver are a row of their own."""
    if instrument != "option" or reason not in ("expired", "settled"):
        return "trade"
    return "expired" if exit_price == 0 else "settled"


def said(row: Row, column: str) -> str | None:
    """The text of a column as it is meant, None where the field is blank."""
    return unguarded(row.text(column)) or None


def conditions(row: Row) -> dict[str, Decimal | str]:
    """The facts of `condition.NAME`, those that read as a number as numbers."""
    found: dict[str, Decimal | str] = {}
    for column in row.fields:
        text = row.text(column)
        if column.startswith(CONDITION) and text:
            name = column[len(CONDITION) :]
            found[name] = Decimal(text) if NUMBER.fullmatch(text) else unguarded(text)
    return found


def note_of(row: Row) -> str | None:
    text = said(row, "notes")
    if text is None:
        return None
    try:
        return NOTE.validate_python(text)
    except ValidationError:
        raise Refused("notes", text, "up to 20,000 letters are needed") from None


def identity(entry: TradeEntry) -> tuple[str, ...]:
    """What makes an entry the one it is, however its numbers and moments are written."""
    (leg,) = entry.legs
    first = leg.fills[0]
    expiry: date | None = leg.expiry
    return (
        name_key(entry.account),
        entry.ticker,
        leg.instrument,
        leg.option_type or "",
        plain(leg.strike),
        expiry.isoformat() if expiry else "",
        plain(leg.multiplier),
        first.filled_at.isoformat(),
        first.side,
        plain(first.quantity),
        plain(first.price),
    )


def content(row: Row) -> tuple[str, ...]:
    return (row.text("closed_at"), row.text("exit_price"), *sorted(row.fields.values()))


FORMAT = of_columns(SOURCE, NEEDED, parse)
