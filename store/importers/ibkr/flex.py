"""Interactive Brokers' Flex reports, XML and CSV: every execution, with IBKR's own ids.

Client Portal, Performance & Reports, Flex Queries: an Activity query with the section Trades
at the level Executions (and, if wanted, Cash Transactions, Corporate Actions, Transfers, Open
Positions), or a Trade Confirmation query. Columns are chosen by the user; named as in XML,
those that are read:

- tradeID (else transactionID, ibExecID): the execution's id. levelOfDetail: EXECUTION; sums
  of orders and symbols and closed lots are counted and left out. ibOrderID: the order.
- dateTime `20260714;093000` (or with dashes, colons, a comma or a space, `EST` or `EDT`
  after it), else tradeDate. New York's clock.
- buySell BUY or SELL, quantity negative when sold, tradePrice, multiplier.
- ibCommission and taxes negative when they cost; netCash is checked against the rest, but for
  futures, whose netCash has no notional.
- assetCategory STK, FUND, OPT, FOP, FUT, CRYPTO; CASH (foreign exchange) is counted and left
  out; bonds, warrants and CFDs are refused. strike, expiry, putCall, underlyingSymbol.
- notes: A, Ex, Ep (see `ibkr`). An option so ended is booked at 0, or at what it was settled
  for in cash; its shares are a STK row with the same note, at the strike.
- transactionType TradeCancel (buySell `BUY (Ca.)`, origTradeID): undoes an execution.

Corporate actions and transfers that move a position are refused: they have no price. Open
positions are only compared with what the executions come to.

Facts: csingley/ibflex (enums and Types), henk789/ib-flex FLEX_SETUP.md, and reports shown in
public tests.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers import ibkr
from store.importers.format import Format
from store.importers.ibkr import Deal, Reading
from store.importers.ibkr.flex_rows import flex_rows, is_flex
from store.importers.imported import Options
from store.records import Side
from store.statements import amounts
from store.statements.balancing import cash_moved, require_balance, worth
from store.statements.cash import cash_kind
from store.statements.contracts import OPTION_TYPES, Contract, contract
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.statements.instruments import (
    future,
    kept_multiplier,
    option,
    option_on_future,
    ticker,
)
from store.statements.refusing import Refused, printable
from store.statements.source import Row, Source

NAME = "ibkr_flex"
ACCOUNT = ("accountId", "ClientAccountID")
CATEGORY = ("assetCategory", "AssetClass")
CURRENCY = ("currency", "CurrencyPrimary")
SIDE = ("buySell", "Buy/Sell")
PUT_CALL = ("putCall", "Put/Call")
PRICE = ("tradePrice", "price")
COMMISSION = ("ibCommission", "commission")
NOTES = ("notes", "Notes/Codes", "code")
EFFECT = ("openCloseIndicator", "Open/CloseIndicator")
WHEN = ("dateTime", "Date/Time")
MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-?[0-9]{2}-?[0-9]{2})"
    r"(?:[;, T]+(?P<time>[0-9]{2}:?[0-9]{2}:?[0-9]{2})(?P<eastern> ?E[SD]T)?)?"
)
DIFFERENCES_SHOWN = 5


def parse(source: Source, options: Options) -> Statement:
    """Executions and cash of a report.

    Raises:
        Invalid: it is no report, or has orders without their executions.
    """
    reading = Reading(source)
    zone = ibkr.zone_of(options, reading)
    cancels: list[Deal] = []
    positions: dict[tuple[str, Instrument], Decimal] = {}
    orders = 0
    for section, row in flex_rows(source):
        try:
            if section == "trade":
                deals = cancels if is_cancel(row) else reading.deals
                orders += add_deal(row, zone, deals, reading)
            elif section == "order":
                orders += 1
            elif section == "cash":
                reading.money.extend(cash_of(row))
            elif section == "position":
                positions.update(position_of(row))
            else:
                refuse_moved(row, section)
        except Refused as error:
            if section != "position":  # A position that cannot be read is not compared.
                reading.reject(row.number, error)
    if orders and not (reading.deals or reading.rejected):
        raise Invalid(
            f"{source.path.name} has orders without their executions; choose Executions in the"
            " query's section Trades."
        )
    ibkr.cancel(reading, cancels)
    drop_repeated(reading)
    compare(reading, positions)
    return ibkr.statement(reading, NAME, options, newest_first=False)


def add_deal(row: Row, zone: ZoneInfo, deals: list[Deal], reading: Reading) -> int:
    """Add what the row says was dealt; 1 if it is the sum of an order instead."""
    level = row.text("levelOfDetail").upper()
    if level not in ("", "EXECUTION"):
        reading.ignored["sums and closed lots"] += 1
        return int(level == "ORDER")
    if ibkr.category(row.text(*CATEGORY), "assetCategory") is None:
        reading.ignored["foreign exchange"] += 1
        return 0
    deals.append(Deal(execution_of(row, zone), currency_of(row)))
    return 0


def is_cancel(row: Row) -> bool:
    return row.text("transactionType").endswith("Cancel") or "(Ca.)" in row.text(*SIDE)


def execution_of(row: Row, zone: ZoneInfo) -> Execution:
    instrument = instrument_of(row)
    cancels = is_cancel(row)
    side, quantity = dealt(row, cancels=cancels)
    price = amounts.needed(row.text(*PRICE), "tradePrice")
    codes = ibkr.codes_of(row.text(*NOTES))
    ended = ibkr.ending(codes, side)
    if ended is None and not price and row.text("transactionType") == "BookTrade":
        raise Refused("notes", row.text(*NOTES), "the query's Trades section needs Notes/Codes")
    kind, delivery = ibkr.end_of(ended, instrument, price, "tradePrice")
    at, dated = moment_of(row, zone, ending=ended is not None)
    fee = fee_of(row)
    return Execution(
        row=row.number,
        instrument=instrument,
        side=side,
        quantity=quantity,
        price=price,
        at=at,
        fee=fee,
        kind=kind,
        effect=ibkr.effect_of(ibkr.codes_of(row.text(*EFFECT)) | codes),
        id=row.text("origTradeID") or None if cancels else id_of(row),
        order=None if ended else row.text("ibOrderID", "orderID") or None,
        account=row.text(*ACCOUNT) or None,
        cash=None if cancels else checked_cash(row, instrument, side, quantity, price, fee),
        dated=dated,
        delivery=delivery,
    )


def id_of(row: Row) -> str | None:
    names = ("tradeID", "transactionID", "ibExecID", "execID")
    return next((found for name in names if (found := row.text(name))), None)


def dealt(row: Row, *, cancels: bool) -> tuple[Side, Decimal]:
    """Bought or sold, and how much. A cancellation has the side of what it undoes and the
    opposite sign."""
    said = row.text(*SIDE)
    signed = amounts.not_zero(row.text("quantity"), "quantity")
    words: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}
    by_sign: Side = "buy" if (signed > 0) != cancels else "sell"
    side = words.get(said.removesuffix("(Ca.)").strip().upper(), by_sign if not said else None)
    if side is None:
        raise Refused("buySell", said, "BUY or SELL is needed")
    if side == "buy" and by_sign == "sell":
        raise Refused("quantity", row.text("quantity"), f"it contradicts {said}")
    return side, abs(signed)


def instrument_of(row: Row) -> Instrument:
    kind = ibkr.category(row.text(*CATEGORY), "assetCategory")
    if kind is None:
        raise Refused("assetCategory", row.text(*CATEGORY), "foreign exchange is no position")
    symbol = row.text("symbol")
    below = row.text("underlyingSymbol")
    said = amounts.amount(row.text("multiplier"), "multiplier")
    if kind == "equity" and kept_multiplier(kind, said, "multiplier") is not None:
        raise Refused("multiplier", row.text("multiplier"), "shares have a multiplier of 1")
    if kind == "equity":
        return Instrument(kind, ticker(symbol, "symbol"))
    if kind == "crypto":
        return Instrument(kind, ticker(symbol.split(".")[0], "symbol"), symbol=symbol)
    if said is None and (kind == "future" or row.text(*CATEGORY).upper() in ibkr.FUTURES_OPTIONS):
        raise Refused("multiplier", "", "the query's Trades section needs Multiplier")
    if kind == "future" and said is not None:
        return future(symbol, "symbol", said, below=below)
    terms = terms_of(row, symbol)
    if row.text(*CATEGORY).upper() in ibkr.FUTURES_OPTIONS:
        return option_on_future(terms, "symbol", below=below or terms.root, unit=said)
    return option(terms, "symbol", below=below, unit=said)


def terms_of(row: Row, symbol: str) -> Contract:
    """An option's terms from its own columns, else from its symbol."""
    found = contract(symbol)
    strike = amounts.amount(row.text("strike"), "strike")
    kind = OPTION_TYPES.get(row.text(*PUT_CALL).upper())
    expiry = row.text("expiry")
    if strike and kind and expiry:
        root = found.root if found else row.text("underlyingSymbol")
        return Contract(root, day_of(expiry, "expiry"), kind, strike)
    if found is None:
        raise Refused("symbol", symbol, "strike, expiry and putCall are needed in the query")
    return found


def day_of(text: str, column: str) -> date:
    return amounts.day(text, column, "%Y%m%d", "%Y-%m-%d")


def moment_of(row: Row, zone: ZoneInfo, *, ending: bool) -> tuple[datetime, bool]:
    """When it happened, and whether the report says the day only."""
    text = row.text(*WHEN) or row.text("tradeDate")
    found = MOMENT.fullmatch(text)
    if found is None:
        reason = "a moment such as 20260131;153000 is needed: set the query's date format so"
        raise Refused("dateTime", text, reason)
    on = amounts.day(found["day"].replace("-", ""), "dateTime", "%Y%m%d")
    if found["time"] is None:
        return amounts.of_day(on, zone, ending=ending), True
    shown = amounts.clock(
        f"{on:%Y%m%d};{found['time'].replace(':', '')}", "dateTime", "%Y%m%d;%H%M%S"
    )
    return amounts.moment(
        shown, amounts.MARKET if found["eastern"] else zone, "dateTime", text
    ), False


def currency_of(row: Row) -> str:
    currency = ibkr.currency(row.text(*CURRENCY), "currency")
    paid_in = row.text("ibCommissionCurrency", "commissionCurrency").upper() or currency
    if currency and paid_in != currency and fee_of(row):
        reason = f"the commission is in another currency than the deal, {currency}"
        raise Refused("ibCommissionCurrency", paid_in, reason)
    return currency


def fee_of(row: Row) -> Decimal:
    paid = (amounts.amount(row.text(*COMMISSION), "ibCommission"),
            amounts.amount(row.text("taxes"), "taxes"))  # fmt: skip
    return -sum((one for one in paid if one is not None), Decimal(0)) + 0


def checked_cash(
    row: Row, instrument: Instrument, side: Side, quantity: Decimal, price: Decimal, fee: Decimal
) -> Decimal | None:
    cash = amounts.amount(row.text("netCash"), "netCash")
    if cash is None or instrument.kind == "future":
        return None
    expected = cash_moved(side, worth(instrument, quantity, price), fee)
    require_balance("netCash", row.text("netCash"), cash, expected)
    return cash


def cash_of(row: Row) -> Iterator[tuple[str, CashRow]]:
    """What a cash transaction moved; sums of several are left out."""
    amount = amounts.needed(row.text("amount"), "amount")
    if row.text("levelOfDetail").upper() not in ("SUMMARY", "BASE_SUMMARY"):
        kind = cash_kind(row.text("type"), amount)
        yield ibkr.currency(row.text(*CURRENCY), "currency"), CashRow(row.number, kind, amount)


def refuse_moved(row: Row, section: str) -> None:
    """Refuse what moves a position without a deal."""
    quantity = row.text("quantity")
    if row.text("levelOfDetail").upper() != "SUMMARY" and amounts.amount(quantity, "quantity"):
        what = "a corporate action" if section == "corporate" else "a transfer"
        reason = f"{what} changes a position without a deal; record what it did by hand"
        raise Refused("quantity", quantity, reason)


def position_of(row: Row) -> Iterator[tuple[tuple[str, Instrument], Decimal]]:
    if row.text("levelOfDetail").upper() == "LOT":
        return
    if ibkr.category(row.text(*CATEGORY), "assetCategory") is None:
        return
    held = amounts.needed(row.text("position", "quantity"), "position")
    yield (row.text(*ACCOUNT), instrument_of(row)), held


def drop_repeated(reading: Reading) -> None:
    """One execution once: a report of several overlapping periods repeats it."""
    first: dict[tuple[str | None, str], Deal] = {}
    kept: list[Deal] = []
    for deal in reading.deals:
        one = deal.execution
        earlier = first.setdefault((one.account, one.id), deal) if one.id else deal
        if earlier is deal:
            kept.append(deal)
        elif ibkr.identity(earlier.execution) == ibkr.identity(one):
            reading.ignored["repeated executions"] += 1
        else:
            reason = f"row {earlier.execution.row} has the same id and another content"
            reading.reject(one.row, Refused("tradeID", one.id or "", reason))
    reading.deals = kept


def compare(reading: Reading, stated: dict[tuple[str, Instrument], Decimal]) -> None:
    """Say where the report's open positions are not what its executions come to."""
    if not stated:
        return
    held: dict[tuple[str, Instrument], Decimal] = {}
    for deal in reading.deals:
        one = deal.execution
        key = (one.account or "", one.instrument)
        signed = one.quantity if one.side == "buy" else -one.quantity
        held[key] = held.get(key, Decimal(0)) + signed
    differing = [
        f"{printable(key[1].symbol or key[1].ticker)} {stated.get(key, Decimal(0)):f} stated,"
        f" {held.get(key, Decimal(0)):f} executed"
        for key in {**stated, **held}
        if stated.get(key, Decimal(0)) != held.get(key, Decimal(0))
    ]
    if differing:
        more = len(differing) - DIFFERENCES_SHOWN
        shown = "; ".join(differing[:DIFFERENCES_SHOWN]) + (f"; {more} more" if more > 0 else "")
        reading.assumed.append(
            "Its open positions are not what its executions come to, so some began before it or"
            f" ended after it: {shown}."
        )


FORMAT = Format(
    NAME,
    "a FlexQueryResponse, or the columns Quantity, TradePrice and ClientAccountID or IBCommission",
    is_flex,
    parse,
)
