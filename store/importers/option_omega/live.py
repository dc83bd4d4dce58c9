"""Option Omega's log of trades that were dealt automatically, newest first.

As the backtest's log (`option_omega`), but:
- `Initial Premium` is per share, `Avg. Closing Cost` currency per contract (a cost above the
  width of the spread shows that it is not per share).
- Moments are ISO 8601 in New York, with five to seven digits of a second.
- There are no fees, and `P/L` is not to be believed: it takes the closing cost as if it were per
  share, (Initial Premium - Avg. Closing Cost) x 100 x contracts, less the fees. So of it only
  the fees are taken, where they come to what a broker charges; the P/L that is recorded is
  worked out from the legs, the closing cost and these fees.
- The closing ratio of the legs is missing, and `Closing Price` is the index some minutes after
  options settled: so what cost nothing at expiry expired at 0, and otherwise one leg carries
  the whole closing cost, which a note on the trade says.

Nothing says whether the trades are paper or live: --mode does, live unless said.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from store.importers.format import account_of, of_columns
from store.importers.imported import ImportFile, Options, identified
from store.importers.option_omega import (
    ACCOUNT,
    CURRENCY,
    MULTIPLIER,
    TICKER,
    ZONE,
    Close,
    Log,
    drafted,
    ignored,
    leg_of,
    require_own_terms,
)
from store.importers.table import Row, Table
from store.importers.values import local, needed_number
from store.pnl import PRECISION
from store.statements.refusing import Refused

SOURCE = "option_omega_live"
MARKS = ("Strategy", "Date Opened", "Legs", "Initial Premium", "No. of Contracts", "P/L")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")
FEE_MAX = Decimal(10)  # Of one contract of one leg, dealt once.


def parse(table: Table, options: Options) -> ImportFile:
    """Every row as a trade or a rejection."""
    file = table.path.name
    require_own_terms(file, options)
    zone = ZoneInfo(ZONE)
    mode = options.mode or "live"
    account = account_of(
        name=options.account or f"{ACCOUNT} {mode}", mode=mode, currency=CURRENCY, zone=ZONE
    )
    rejected = list(table.rejected)
    drafts = []
    wrong: list[Decimal] = []
    for row in table.rows:
        try:
            log = logged(row, zone)
            drafts.append(drafted(log, account.name, options.ticker or TICKER))
            if log.close is not None:
                wrong.append(needed_number(row, "P/L") - log.close.net)
        except Refused as error:
            rejected.append(error.rejection(file, row.number))
    return ImportFile(
        path=table.path,
        format=SOURCE,
        account=account,
        accounts=(account,),
        currency=CURRENCY,
        trades=identified(drafts),
        rejected=tuple(sorted(rejected, key=lambda one: one.row)),
        ignored=ignored(table),
        assumed=assumed(options, wrong),
    )


def assumed(options: Options, wrong: Sequence[Decimal]) -> tuple[str, ...]:
    found = [] if options.ticker else [f"the file names no underlying; {TICKER} is assumed"]
    if any(wrong):
        found.append(
            f"its P/L is off by {sum(wrong):,.2f} in {sum(map(bool, wrong))} rows, for it takes the"
            " closing cost, which is per contract, as per share; it was worked out anew"
        )
    return tuple(found)


def logged(row: Row, zone: ZoneInfo) -> Log:
    contracts = needed_number(row, "No. of Contracts")
    if contracts <= 0:
        raise Refused("No. of Contracts", row.text("No. of Contracts"), "it must be above 0")
    opened_at = moment(row, "Date Opened", zone)
    opened_on = opened_at.astimezone(zone).date()
    legs = tuple(leg_of(text, opened_on, row) for text in row.text("Legs").split("|"))
    premium = needed_number(row, "Initial Premium") * MULTIPLIER
    closed = row.text("Date Closed") != ""
    cost = needed_number(row, "Avg. Closing Cost") if closed else Decimal(0)
    fees = fees_of(row, premium, cost, contracts, len(legs)) if closed else Decimal(0)
    close = None
    if closed:
        closed_at = moment(row, "Date Closed", zone)
        with localcontext(prec=PRECISION):
            net = (premium - cost) * contracts - fees
        close = Close(
            closed_at=closed_at,
            closed_on=closed_at.astimezone(zone).date(),
            cost=cost,
            fees=Decimal(0),
            reason=row.text("Reason For Close"),
            net=net,
        )
    return Log(row, opened_at, legs, contracts, premium, fees, close, SOURCE, False)


def fees_of(row: Row, premium: Decimal, cost: Decimal, contracts: Decimal, legs: int) -> Decimal:
    """What the file's P/L deducts, both ways together."""
    stated = needed_number(row, "P/L")
    with localcontext(prec=PRECISION):
        taken = (premium - cost * MULTIPLIER) * contracts - stated
        right = (premium - cost) * contracts - stated
    for fees in (right, taken):
        if 0 <= fees <= FEE_MAX * contracts * legs * 2:
            return fees
    raise Refused(
        "P/L",
        row.text("P/L"),
        f"premium and closing cost leave fees of {right:f}, or {taken:f} with the cost per share;"
        f" 0 to {FEE_MAX} a contract and leg are believed",
    )


def moment(row: Row, column: str, zone: ZoneInfo) -> datetime:
    text = row.text(column)
    if not MOMENT.fullmatch(text):
        raise Refused(column, text, "a moment such as 2026-01-31T15:30:00.12345 is needed")
    try:
        shown = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(column, text, "there is no such moment") from None
    return local(shown, zone, column, text)


FORMAT = of_columns(SOURCE, MARKS, parse)
