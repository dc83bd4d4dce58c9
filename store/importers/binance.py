"""Binance's spot trade history (Orders, Spot Order, Trade History, Export), in two generations.

- Date(UTC), Pair, Side, Price, Executed, Amount, Fee: amounts carry their coin, as
  `0.5BTC`, `21000USDT`, `0.0005BTC`.
- Date(UTC), Market, Type, Price, Amount, Total, Fee, Fee Coin: `Amount` is of the coin,
  `Total` of the quote; the pair is taken apart by the quotes that Binance has.

Newest first; moments are UTC. Amount must be Executed x Price up to the digits it is shown
with. The rows have no ids: equal rows of one file are several trades.

Fees:
- in the quote (a sale): money.
- in the coin itself (a purchase): the coins that arrive are fewer. They are recorded, and
  what the missing ones cost at the row's price is the fee, so the cash is the file's.
- in a third coin (BNB): the file does not say what it was worth. The fee is left out, and
  `assumed` says how much of which coin.

Nobody is short on the spot market: a sale closes, and one of coins that no file bought
(deposited, or bought before) makes no trade.

An account has one currency. Where a file has several quotes, the one of `--currency` is read
and the rows of others are refused; without it the file is.

Sources: exports quoted in public parsers of both layouts.
"""

import re
from collections import Counter, defaultdict
from decimal import Decimal, localcontext
from typing import NamedTuple
from zoneinfo import ZoneInfo

from store.errors import Invalid
from store.importers.format import Format
from store.importers.imported import Options, plain
from store.pnl import PRECISION
from store.records import Side
from store.statements.amounts import clock, moment, needed
from store.statements.balancing import require_balance
from store.statements.execution import Execution, Instrument, Statement
from store.statements.reading import Reading
from store.statements.refusing import Refused, printable
from store.statements.source import Row, Source

NAME = "binance"
NEW = ("Date(UTC)", "Pair", "Side", "Price", "Executed", "Amount", "Fee")
OLD = ("Date(UTC)", "Market", "Type", "Price", "Amount", "Total", "Fee", "Fee Coin")
ZONE = "UTC"
SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}
WITH_COIN = re.compile(r"([0-9.,]{1,40})\s?([A-Z0-9]{0,12}[A-Z][A-Z0-9]{0,12})")
COIN = re.compile(r"[A-Z0-9]{1,25}")
QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "BIDR", "IDRT", "EUR", "GBP", "AUD", "TRY",
    "BRL", "RUB", "UAH", "JPY", "ZAR", "PLN", "DAI", "USD", "BTC", "ETH", "BNB",
)  # fmt: skip


class Coins(NamedTuple):
    """An amount and the coin it is of."""

    amount: Decimal
    coin: str


class Deal(NamedTuple):
    row: Row
    pair: str
    side: Side
    price: Decimal
    base: Coins
    quote: Coins
    fee: Coins


def fits(source: Source) -> bool:
    return source.has_header(*NEW) or source.has_header(*OLD)


def parse(source: Source, options: Options) -> Statement:
    """Raises:
    Invalid: the trades are in several quotes and no currency is named.
    """
    found = Reading(source)
    new = source.table(*NEW)
    table, read = (new, newer) if new else (source.table(*OLD), older)
    deals: list[Deal] = []
    for row in table.rows if table else ():
        with found.row(row.number):
            deals.append(checked(read(row)))
    currency = quote_of(deals, source, options.currency)
    unpriced: dict[str, Decimal] = defaultdict(Decimal)
    for deal in deals:
        with found.row(deal.row.number):
            if deal.quote.coin != currency:
                reason = f"its P&L is not in {currency}; import it with another --currency"
                raise Refused("Pair", deal.pair, reason)
            found.executions.append(execution(deal))
            if deal.fee.coin not in (deal.base.coin, deal.quote.coin):
                unpriced[deal.fee.coin] += deal.fee.amount
    found.assumed += [
        f"fees of {plain(amount)} {coin} have no price in the file and are in no trade's P&L"
        for coin, amount in unpriced.items() if amount
    ]  # fmt: skip
    return found.statement(NAME, "Binance", currency=currency, zone=ZONE)


def newer(row: Row) -> Deal:
    base, quote = with_coin(row, "Executed"), with_coin(row, "Amount")
    pair = row.text("Pair")
    if pair.replace("/", "").replace("_", "") != base.coin + quote.coin:
        raise Refused("Pair", pair, f"the amounts are of {base.coin} and {quote.coin}")
    return Deal(row, pair, side_of(row, "Side"), price_of(row), base, quote, with_coin(row, "Fee"))


def older(row: Row) -> Deal:
    pair = row.text("Market")
    quote = next((one for one in QUOTES if pair.endswith(one) and pair != one), None)
    if quote is None:
        raise Refused("Market", pair, f"a pair that ends in {', '.join(QUOTES)} is known")
    coin = row.text("Fee Coin")
    if not COIN.fullmatch(coin):
        raise Refused("Fee Coin", coin, "a coin such as BNB is needed")
    return Deal(
        row,
        pair,
        side_of(row, "Type"),
        price_of(row),
        Coins(needed(row.text("Amount"), "Amount"), pair.removesuffix(quote)),
        Coins(needed(row.text("Total"), "Total"), quote),
        Coins(needed(row.text("Fee"), "Fee"), coin),
    )


def with_coin(row: Row, column: str) -> Coins:
    text = row.text(column)
    found = WITH_COIN.fullmatch(text)
    if found is None:
        raise Refused(column, text, "an amount with its coin, such as 0.5BTC, is needed")
    return Coins(needed(found[1], column), found[2])


def side_of(row: Row, column: str) -> Side:
    if row.text(column) not in SIDES:
        raise Refused(column, row.text(column), "BUY or SELL is needed")
    return SIDES[row.text(column)]


def price_of(row: Row) -> Decimal:
    return needed(row.text("Price"), "Price")


def checked(deal: Deal) -> Deal:
    """The deal, if its amount is what price and quantity come to, up to the digits shown."""
    if deal.base.amount <= 0 or deal.price < 0 or deal.fee.amount < 0:
        raise Refused("Executed", plain(deal.base.amount), "amounts above 0 are needed")
    with localcontext(prec=PRECISION):
        expected = deal.price * deal.base.amount
        shown = Decimal(1).scaleb(int(deal.quote.amount.as_tuple().exponent))
    text = plain(deal.quote.amount)
    require_balance("Amount", text, deal.quote.amount, expected, within=shown)
    return deal


def quote_of(deals: list[Deal], source: Source, said: str | None) -> str | None:
    quotes = Counter(deal.quote.coin for deal in deals)
    if said is not None or not quotes:
        return said
    if len(quotes) > 1:
        listed = ", ".join(f"{printable(coin)} ({count})" for coin, count in quotes.most_common(10))
        raise Invalid(
            f"{source.path.name} has trades in several currencies: {listed}. Say one with"
            " --currency; import the others into accounts of their own."
        )
    return next(iter(quotes))


def execution(deal: Deal) -> Execution:
    row, base, fee = deal.row, deal.base, deal.fee
    text = row.text("Date(UTC)")
    shown = clock(text, "Date(UTC)", "%Y-%m-%d %H:%M:%S", "%y-%m-%d %H:%M:%S")
    quantity, money = base.amount, Decimal(0)
    with localcontext(prec=PRECISION):
        if fee.coin == deal.quote.coin:
            money = fee.amount
        elif fee.coin == base.coin:
            quantity += fee.amount if deal.side == "sell" else -fee.amount
            money = fee.amount * deal.price
        if quantity <= 0:
            raise Refused("Fee", row.text("Fee"), "it is more than the trade itself")
        cash = deal.quote.amount if deal.side == "sell" else -deal.quote.amount
        if fee.coin == deal.quote.coin:
            cash -= fee.amount
    return Execution(
        row=row.number,
        instrument=Instrument("crypto", base.coin, symbol=base.coin + deal.quote.coin),
        side=deal.side,
        quantity=quantity,
        price=deal.price,
        at=moment(shown, ZoneInfo(ZONE), "Date(UTC)", text),
        fee=money,
        effect="open" if deal.side == "buy" else "close",
        cash=cash,
    )


FORMAT = Format(
    NAME,
    "Binance's columns Date(UTC), Pair, Side, Executed or Date(UTC), Market, Fee Coin",
    fits,
    parse,
)
