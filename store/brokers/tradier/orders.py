"""The day's orders as executions: when, at which average price, under which number.

Tradier lists the orders of the day and those that are working, no others. What they cost is
not among it. An order is one execution, so far as it was filled; when it is filled further it
is the same execution, grown.
"""

from collections.abc import Sequence
from decimal import Decimal

from store.brokers.tradier.answers import Answer, legs, moment, needed, number, text
from store.brokers.tradier.deals import Deals, day_of
from store.records import Side
from store.statements.execution import Bracket, Effect, Execution
from store.statements.instruments import shares_or_option
from store.statements.refusing import Refused

ORDER = "order-"  # Before the number of an order in the id of its execution.

SIDES: dict[str, tuple[Side, Effect]] = {
    "buy": ("buy", "open"), "buy_to_open": ("buy", "open"),
    "sell_short": ("sell", "open"), "sell_to_open": ("sell", "open"),
    "sell": ("sell", "close"), "sell_to_close": ("sell", "close"),
    "buy_to_cover": ("buy", "close"), "buy_to_close": ("buy", "close"),
}  # fmt: skip


def of_orders(orders: Sequence[Answer]) -> Deals:
    """An execution for each order, or each leg of one, that was filled in full or in part."""
    deals = Deals()
    for row, order in enumerate(orders, start=1):
        for piece, whole in _dealt_pieces(order):
            try:
                if (executed := _executed(piece, whole, row)) is None:
                    deals.ignored[_why_not(piece)] += 1
                else:
                    deals.executions.append(executed)
            except Refused as error:
                deals.rejected.append(error.rejection("orders", row))
        _bracket(order, deals.brackets)
    deals.executions.sort(key=lambda one: one.at)
    return deals


def _dealt_pieces(order: Answer) -> list[tuple[Answer, Answer]]:
    """What of an order is dealt, each with the order that holds it together.

    The legs of a spread belong to one order; those of an OCO, OTO or OTOCO are orders of their
    own, and so is what they hang on where it has a side.
    """
    parts = legs(order)
    if not parts:
        return [(order, order)]
    if not _is_conditional(order):
        return [(part, order) for part in parts]
    own = [(order, order)] if text(order, "side") and _stands_alone(order, parts) else []
    return [*own, *(pair for part in parts for pair in _dealt_pieces(part))]


def _stands_alone(order: Answer, parts: Sequence[Answer]) -> bool:
    return all(text(part, "id") != text(order, "id") for part in parts)


def _is_conditional(order: Answer) -> bool:
    return text(order, "class").casefold() in ("oco", "oto", "otoco")


def _executed(piece: Answer, order: Answer, row: int) -> Execution | None:
    quantity = number(piece, "exec_quantity") or Decimal(0)
    if quantity <= 0 or _over_days(piece, quantity):
        return None
    said = text(piece, "side").casefold()
    if said not in SIDES:
        raise Refused("side", said, f"one of {', '.join(SIDES)} is needed")
    side, effect = SIDES[said]
    piece_id = text(piece, "id")
    if not piece_id:
        raise Refused("id", "", "the number of the order is needed")
    return Execution(
        row=row,
        instrument=shares_or_option(
            text(piece, "option_symbol") or text(piece, "symbol"), "symbol"
        ),
        side=side,
        quantity=quantity,
        price=needed(piece, "avg_fill_price"),
        at=moment(piece, "transaction_date"),
        effect=effect,
        id=f"{ORDER}{piece_id}",
        order=text(order, "id") or piece_id,
        partial=True,
    )


def _over_days(piece: Answer, quantity: Decimal) -> bool:
    """Whether an order of an earlier day was filled bit by bit, nobody knows on which days."""
    made, changed = moment(piece, "create_date"), moment(piece, "transaction_date")
    if day_of(made) == day_of(changed):
        return False
    return number(piece, "last_fill_quantity") != quantity


def _why_not(piece: Answer) -> str:
    if (number(piece, "exec_quantity") or 0) > 0:
        return "orders filled over several days, left to the history"
    return "orders that were not filled"


def _bracket(order: Answer, brackets: dict[str, Bracket]) -> None:
    """Which orders stop out or take profit of what `order` opens."""
    parts = legs(order)
    if not parts or text(order, "class").casefold() not in ("oto", "otoco"):
        return
    own = bool(text(order, "side")) and _stands_alone(order, parts)
    entry, exits = (order, parts) if own else (parts[0], parts[1:])
    found: dict[str, str] = {}
    for one in exits:
        kind = "stop" if "stop" in text(one, "type").casefold() else "target"
        found.setdefault(kind, text(one, "id"))
    brackets[text(entry, "id")] = Bracket(found.get("stop"), found.get("target"))
