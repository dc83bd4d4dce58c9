"""What makes an execution the same one in every file that has it."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import replace
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded
from store.derived import STANDARD_MULTIPLIER, check_fill, leg_of, named
from store.errors import Invalid
from store.pnl import PRECISION
from store.records import FillEntry, LegEntry, Name, Ticker, TradeEntry
from store.statements.balancing import cash_moved, worth
from store.statements.execution import Execution, Instrument, Statement
from store.statements.refusing import Rejection, printable
from store.statements.rounds import Dealt

LONGEST_ID = 100
TICKER: TypeAdapter[str] = TypeAdapter(Ticker)
NAME: TypeAdapter[str] = TypeAdapter(Name)


def identified(statement: Statement) -> tuple[dict[str | None, list[Dealt]], list[Rejection]]:
    """The executions of a file by the broker's number of their account, each with its id and
    with the digits that are kept; and those that no ledger can take.

    Where the broker gives no id, an execution is known by what its row says, fees apart, and
    by which of those that say the same it is: equal rows are as many executions, and a file
    that overlaps with another has them again.
    """
    found: dict[str | None, dict[str, Dealt]] = {}
    instruments: dict[Instrument, Instrument] = {}
    rejected: list[Rejection] = []
    places: Counter[object] = Counter()
    same: Counter[tuple[object, ...]] = Counter()
    nameless = any(one.id is None for one in statement.executions)
    for one in statement.executions:
        try:
            checked = _checked(one, instruments)
        except (Invalid, ValidationError) as error:
            rejected.append(_rejection(statement, one, error))
            continue
        place = places[one.account, one.at]
        places[one.account, one.at] += 1
        said = _said(checked) if nameless else ()
        same[said] += 1
        name = _id(checked) or f"row-{_digest(said)}-{same[said]}"
        book = found.setdefault(one.account, {})
        earlier = book.get(name)
        if earlier is not None and not _goes_on(earlier.execution, checked):
            rejected.append(_twice(statement, one, earlier.execution))
        elif earlier is None or checked.quantity > earlier.execution.quantity:
            book[name] = Dealt(name, place, checked)
    return {number: list(book.values()) for number, book in found.items()}, rejected


def rounding(statement: Statement) -> Decimal:
    """What rounding to the digits that are kept added to the cash of all executions."""
    with localcontext(prec=PRECISION):
        return sum(map(_added, statement.executions), Decimal(0))


def cash(one: Execution) -> Decimal:
    """What an execution moved by its own numbers: received above 0, its fee deducted."""
    return cash_moved(one.side, worth(one.instrument, one.quantity, one.price), one.fee)


class Moved(NamedTuple):
    """Cash, received above 0: without fees, and with them deducted."""

    gross: Decimal
    net: Decimal


def fill_cash(fill: FillEntry, unit: Decimal) -> Moved:
    with localcontext(prec=PRECISION):
        gross = cash_moved(fill.side, fill.price * fill.quantity * unit)
        return Moved(gross, gross - fill.fee)


def entry_cash(entry: TradeEntry, of: Container[str | None] | None = None) -> Moved:
    """What a trade moved so far; only its executions `of` these ids, if they are given."""
    gross = net = Decimal(0)
    with localcontext(prec=PRECISION):
        for leg in entry.legs:
            unit = leg.multiplier or STANDARD_MULTIPLIER.get(leg.instrument, Decimal(1))
            for fill in leg.fills:
                if of is None or fill.execution_id in of:
                    moved = fill_cash(fill, unit)
                    gross, net = gross + moved.gross, net + moved.net
    return Moved(gross, net)


def _added(one: Execution) -> Decimal:
    """What rounding added to the cash of one; nothing of most."""
    quantity, price = rounded(one.quantity, PRICE_DIGITS), rounded(one.price, PRICE_DIGITS)
    fee = rounded(one.fee, MONEY_DIGITS)
    if (quantity, price, fee) == (one.quantity, one.price, one.fee):
        return Decimal(0)
    return cash(replace(one, quantity=quantity, price=price, fee=fee)) - cash(one)


def _checked(one: Execution, instruments: dict[Instrument, Instrument]) -> Execution:
    """The execution as it will be kept. `instruments` are those that were checked before, as
    they will be kept.

    Raises:
        Invalid, ValidationError: it cannot be recorded.
    """
    instrument = instruments.get(one.instrument)
    ticker = instrument.ticker if instrument else TICKER.validate_python(one.instrument.ticker)
    fill = FillEntry(
        side=one.side or "sell",
        quantity=one.quantity,
        price=one.price,
        filled_at=one.at,
        fee=one.fee,
        kind=one.kind,
    )
    if instrument is None:
        instrument = instruments[one.instrument] = _kept(one.instrument, ticker, fill)
    else:
        check_fill(named(1, instrument.kind), instrument.kind, fill)
    if one.side is None and one.kind == "trade":
        raise Invalid("it says neither buy nor sell")
    order = None if one.order is None else _short(NAME.validate_python(one.order))
    return Execution(
        row=one.row,
        instrument=instrument,
        side=one.side,
        quantity=fill.quantity,
        price=fill.price,
        at=fill.filled_at,
        fee=fill.fee,
        kind=one.kind,
        effect=one.effect,
        id=one.id,
        order=order,
        account=one.account,
        cash=one.cash,
        dated=one.dated,
        delivery=one.delivery,
        partial=one.partial,
    )


def _kept(instrument: Instrument, ticker: str, fill: FillEntry) -> Instrument:
    """`instrument`, of which `fill` is, as it will be kept: 180 and 180.00 are one strike."""
    leg = LegEntry(
        instrument=instrument.kind,
        fills=(fill,),
        option_type=instrument.option_type,
        strike=instrument.strike,
        expiry=instrument.expiry,
        multiplier=instrument.multiplier,
        symbol=instrument.symbol,
    )
    leg_of(1, leg)
    return replace(
        instrument,
        ticker=ticker,
        strike=leg.strike,
        multiplier=leg.multiplier,
        symbol=leg.symbol,
    )


def _rejection(statement: Statement, one: Execution, error: Invalid | ValidationError) -> Rejection:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        column = str(first["loc"][0]) if first["loc"] else "ticker"
        value, reason = str(first["input"]), first["msg"].removeprefix("Value error, ")
    else:
        column, value, reason = "row", one.instrument.ticker, str(error)
    return Rejection(statement.path.name, one.row, column, printable(value), reason)


def _goes_on(earlier: Execution, later: Execution) -> bool:
    """Whether both are one execution: the same row twice, or an order filled further."""
    return _said(earlier) == _said(later) or (
        later.partial and (earlier.instrument, earlier.side) == (later.instrument, later.side)
    )


def _twice(statement: Statement, one: Execution, earlier: Execution) -> Rejection:
    reason = f"row {earlier.row} has the same id and says something else"
    return Rejection(statement.path.name, one.row, "id", printable(one.id or ""), reason)


def _id(one: Execution) -> str | None:
    return None if one.id is None else _short(NAME.validate_python(one.id))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_ID else f"long-{_digest((name,))}"


def _said(one: Execution) -> tuple[object, ...]:
    instrument = one.instrument
    return (
        one.account, instrument.kind, instrument.ticker, instrument.symbol,
        instrument.option_type, instrument.strike, instrument.expiry, instrument.multiplier,
        one.side, one.quantity, one.price, one.at.isoformat(), one.kind, one.order,
    )  # fmt: skip


def _digest(parts: Iterable[object]) -> str:
    text = "".join(f"{len(str(part))}:{part}" for part in parts)
    return sha256(text.encode()).hexdigest()[:32]
