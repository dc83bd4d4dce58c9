"""The history as executions: what it cost, and what expired, was assigned or exercised.

It is posted in the night after a day and has days without hours, no orders and no ids. An event
is read as in a file of the history (`store/importers/tradier`), so that it is the same
execution whichever way it comes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from store.brokers.tradier.answers import Answer
from store.brokers.tradier.deals import Deals, day_of
from store.importers.tradier import CASH, end_of, trade
from store.statements.amounts import MARKET, amount
from store.statements.execution import CashRow, Execution
from store.statements.jsonrows import Record, numbered
from store.statements.refusing import Refused

SHARES = Decimal(100)  # Of a contract.
MOVES_SHARES = ("transfer", "adjustment", "journal")


def of_history(events: Sequence[Answer]) -> Deals:
    """An execution for each trade and each ending of an option; other money apart."""
    deals = Deals()
    for event in numbered(events):
        kind = event.text("type").casefold()
        try:
            if kind == "trade":
                deals.executions.append(trade(event, MARKET))
            elif kind == "option":
                deals.executions.append(end_of(event, MARKET))
            else:
                _moved(event, kind, deals)
        except Refused as error:
            deals.rejected.append(error.rejection("history", event.number))
    # Newest first, and of one day in the order of the day: what ends comes after what deals.
    deals.executions.reverse()
    deals.executions.sort(key=lambda one: one.at)
    deals.executions = _delivered(deals.executions)
    return deals


def _moved(event: Record, kind: str, deals: Deals) -> None:
    """Money that moved without a deal; shares that did are nothing to guess about."""
    if kind not in CASH:
        raise Refused("type", kind, f"one of trade, option, {', '.join(CASH)} is needed")
    said = next(filter(None, (event.text(part, "quantity") for part in (kind, *MOVES_SHARES))), "")
    if kind in MOVES_SHARES and amount(said, "quantity"):
        raise Refused("type", kind, "shares or contracts moved without a deal; record that by hand")
    if cash := amount(event.text("amount"), "amount"):
        deals.cash.append(CashRow(event.number, CASH[kind], cash))
    else:
        deals.ignored[f"{kind} without an amount"] += 1


def _delivered(executions: list[Execution]) -> list[Execution]:
    """Shares dealt at the strike of what was assigned or exercised that day are its delivery."""
    wanted: dict[tuple[date, str, Decimal | None], Decimal] = defaultdict(Decimal)
    for one in executions:
        if one.kind in ("assigned", "exercised"):
            shares = one.quantity * SHARES
            wanted[day_of(one.at), one.instrument.ticker, one.instrument.strike] += shares
    found = []
    for one in executions:
        place = (day_of(one.at), one.instrument.ticker, one.price)
        if one.instrument.kind == "equity" and 0 < one.quantity <= wanted.get(place, 0):
            wanted[place] -= one.quantity
            found.append(replace(one, delivery=True))
        else:
            found.append(one)
    return found
