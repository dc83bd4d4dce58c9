"""Robinhood's account activity, newest first: Account > Reports and statements > Reports.

Columns: `Activity Date, Process Date, Settle Date, Instrument, Description, Trans Code,
Quantity, Price, Amount`, every field quoted; at the end a disclaimer in a tenth column.

- Days only, New York's, and a day's rows are in no order of time: what closes comes after
  what opens. Rows that are alike are different deals.
- `Trans Code` says what happened. Options: BTO, STO, BTC, STC; OEXP, OASGN and OEXCS where
  one expired, was assigned or exercised, with a `Quantity` such as 30S and no amount. Shares:
  Buy, Sell, and SS and BC for short sales.
- `Description` names an option, `NVDA 10/31/2025 Put $165.00`, under `Option Expiration for`
  where it expired. Of shares it holds, on lines of their own, the CUSIP and, where they were
  delivered, `1 TSLA Option Assigned`.
- `Price` is per share, `Amount` what moved, fees included, ($1.23) when paid. Fees stand
  nowhere else: what the amount exceeds the price by is the fee, as far as fees go; a price
  of shares is shown rounded, and where the amount shows more of it, it is taken from there.
- An index option that was settled has its cash in an OCC row of the same day and instrument,
  which does not say of which option: one such option of a day is settled with it, more are
  refused.
- Codes with shares and no deal (splits, mergers, transfers in and out) are refused.

Layout: exports published by users and the readers of several open projects.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from store.importers.format import Format
from store.importers.imported import Options
from store.importers.values import zone_named
from store.records import FillKind, Side
from store.statements.amounts import MARKET, above_zero, amount, day, ended, needed, of_day
from store.statements.balancing import CENT, by_cash
from store.statements.cash import cash_kind
from store.statements.contracts import described
from store.statements.ends import end
from store.statements.execution import CashRow, Effect, Execution, Instrument, Statement
from store.statements.instruments import left_out, option, shares, underlying
from store.statements.reading import Outcome, Reading
from store.statements.refusing import NO_DEAL, Refused
from store.statements.source import Row, Source

MARKS = ("Activity Date", "Instrument", "Description", "Trans Code", "Quantity", "Amount")
DAYS = ("%m/%d/%Y", "%Y-%m-%d")
OF_AN_END = re.compile(r"^Option (?:Expiration|Assignment|Exercise)[A-Za-z/]* for ")
DELIVERED = re.compile(r"Option (?:Assigned|Exercised)")


class Code(NamedTuple):
    side: Side
    effect: Effect | None


DEALS = {
    "BTO": Code("buy", "open"),
    "STO": Code("sell", "open"),
    "BTC": Code("buy", "close"),
    "STC": Code("sell", "close"),
    "BUY": Code("buy", None),
    "SELL": Code("sell", "close"),
    "SS": Code("sell", "open"),
    "BC": Code("buy", "close"),
}
ENDS: dict[str, FillKind] = {"OEXP": "expired", "OASGN": "assigned", "OEXCS": "exercised"}
SETTLEMENT = "OCC"
CASH = {
    "CDIV": "dividend", "MDIV": "dividend", "SCAP": "dividend", "LCAP": "dividend",
    "INT": "interest", "MINT": "interest", "SLIP": "interest", "GDBP": "interest",
    "DTAX": "tax", "DFEE": "fee", "AFEE": "fee", "GOLD": "fee", "FEE": "fee", "RGFE": "fee",
    "ITRF": "transfer", "FUTSWP": "transfer", "XENT": "transfer", "XENT_CC": "transfer",
}  # fmt: skip
FEES = "Fees are what an amount differs from quantity times price."
# The highest fees: of an index option, with what its exchange takes; the SEC's and FINRA's.
PER_CONTRACT, PER_DOLLAR_SOLD, PER_SHARE_SOLD = Decimal(2), Decimal("0.00005"), Decimal("0.0002")


def fits(source: Source) -> bool:
    return source.has_header(*MARKS)


def parse(source: Source, options: Options) -> Statement:
    table = source.table(*MARKS)
    zone = zone_named(options.zone) or MARKET
    reading = Reading(source, assumed=[FEES])
    rows = [row for row in table.rows if not row.alone] if table else []
    settled = _settlements(rows)
    reading.rows(rows, lambda row: _outcomes(row, settled, zone))
    return reading.statement("robinhood", "Robinhood", currency="USD", zone=zone.key)


def _settlements(rows: Sequence[Row]) -> dict[int, Row | None]:
    """For the rows of options that were settled and of their cash, by number: the row that
    holds the cash, None where a day and an underlying have more than one of either."""
    paid, ends = defaultdict(list), defaultdict(list)
    for row in rows:
        key = row.text("Activity Date"), underlying(row.text("Instrument").upper())
        if _code(row) == SETTLEMENT:
            paid[key].append(row)
        elif ENDS.get(_code(row), "expired") != "expired":
            ends[key].append(row)
    return {
        row.number: holding[0] if len(holding) == len(ends[key]) == 1 else None
        for key, holding in paid.items()
        for row in (*holding, *ends[key])
    }


def _outcomes(row: Row, settled: Mapping[int, Row | None], zone: ZoneInfo) -> Iterator[Outcome]:
    code, on = _code(row), day(row.text("Activity Date"), "Activity Date", *DAYS)
    holding = settled.get(row.number, row)
    if holding is None:
        reason = "several options of this underlying ended that day; whose cash it is, is not said"
        raise Refused("Trans Code", row.text("Trans Code"), reason)
    if code in DEALS and (word := left_out(row.text("Instrument"))):
        yield word
    elif code in DEALS:
        yield _deal(row, DEALS[code], on, zone)
    elif code in ENDS:
        kind = ENDS[code] if holding is row else "settled"
        yield _end(row, kind, _cash(holding), on, zone)
    elif code == SETTLEMENT:
        return
    elif _quantity(row):
        raise Refused("Trans Code", row.text("Trans Code"), NO_DEAL)
    else:
        word = CASH.get(code) or cash_kind(row.text("Description"), _cash(row))
        yield CashRow(row.number, word, _cash(row))


def _code(row: Row) -> str:
    return row.text("Trans Code").upper()


def _cash(row: Row) -> Decimal:
    return amount(row.text("Amount"), "Amount") or Decimal(0)


def _quantity(row: Row) -> Decimal:
    return amount(row.text("Quantity").removesuffix("S"), "Quantity") or Decimal(0)


def _above_zero(row: Row) -> Decimal:
    return above_zero(row.text("Quantity").removesuffix("S"), "Quantity")


def _deal(row: Row, code: Code, on: date, zone: ZoneInfo) -> Execution:
    instrument, quantity = _instrument(row), _above_zero(row)
    units = quantity * instrument.unit
    shown, cash = needed(row.text("Price"), "Price"), needed(row.text("Amount"), "Amount")
    most = _highest_fee(instrument, code.side, quantity, shown)
    deal = by_cash(code.side, units, shown, Decimal(0), most, cash, "Amount")
    delivered = instrument.kind == "equity" and bool(DELIVERED.search(row.text("Description")))
    return Execution(
        row.number,
        instrument,
        code.side,
        quantity,
        deal.price,
        of_day(on, zone, ending=delivered),
        deal.fee,
        effect=None if delivered else code.effect,
        cash=cash,
        dated=True,
        delivery=delivered,
    )


def _highest_fee(instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
    if instrument.kind == "option":
        return quantity * PER_CONTRACT
    if side == "buy":
        return Decimal(0)
    return quantity * (price * PER_DOLLAR_SOLD + PER_SHARE_SOLD) + CENT


def _end(row: Row, kind: FillKind, cash: Decimal, on: date, zone: ZoneInfo) -> Execution:
    instrument, quantity = _instrument(row), _above_zero(row)
    ending = end(kind, instrument, quantity, cash)
    return Execution(
        row.number,
        instrument,
        ending.side,
        quantity,
        ending.price,
        ended(on, instrument.expiry, zone),
        kind=ending.kind,
        effect="close",
        cash=cash,
        dated=True,
    )


def _instrument(row: Row) -> Instrument:
    text = " ".join(row.text("Description").split())
    if terms := described(OF_AN_END.sub("", text)):
        return option(terms, "Description")
    if _code(row) not in ("BUY", "SELL", "SS", "BC"):
        raise Refused(
            "Description", text, "an option such as NVDA 10/31/2025 Put $165.00 is needed"
        )
    return shares(row.text("Instrument"), "Instrument")


FORMAT = Format("robinhood", f"the columns {', '.join(MARKS)}", fits, parse)
