"""Price, fee and cash of a deal, held against each other to the cent."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded
from store.pnl import PRECISION
from store.records import Side
from store.statements.refusing import Refused

HALF_CENT = Decimal("0.005")


class Deal(NamedTuple):
    """Price per share or point and fee (positive when it cost), which give the cash."""

    price: Decimal
    fee: Decimal


def by_stated_fee(
    side: Side, units: Decimal, shown: Decimal, fee: Decimal, cash: Decimal, column: str
) -> Deal:
    """The deal of `units` (quantity x multiplier) that moved `cash`, by the fee as stated.

    Brokers round the price they show, to 2 decimals or more: where price and fee miss the
    cash by no more than that can do, the price is what the cash says it was.

    Raises:
        Refused: they miss it by more.
    """
    with localcontext(prec=PRECISION):
        worth = -cash - fee if side == "buy" else cash + fee
        missed = worth - units * shown
        if abs(missed) <= HALF_CENT:
            return Deal(shown, fee)
        if worth > 0 and abs(missed) <= units * _half_place(shown) + HALF_CENT:
            return Deal(rounded(worth / units, PRICE_DIGITS), fee)
        said = -(units * shown + fee) if side == "buy" else units * shown - fee
        raise Refused(column, str(cash), _misses(said, cash))


def by_cash(
    side: Side,
    units: Decimal,
    shown: Decimal,
    stated: Decimal,
    most: Decimal,
    cash: Decimal,
    column: str,
) -> Deal:
    """The deal of `units` that moved `cash`, where some fees are in the cash only: what it
    cost beyond its price is the fee, from the `stated` one to `most`; else the price was
    rounded, as in `by_stated_fee`.

    Raises:
        Refused: neither explains the cash.
    """
    with localcontext(prec=PRECISION):
        fee = -cash - units * shown if side == "buy" else units * shown - cash
        if stated + HALF_CENT < fee <= most:
            return Deal(shown, rounded(fee, MONEY_DIGITS))
    return by_stated_fee(side, units, shown, stated, cash, column)


def divided(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """`amount` in cents by `weights`, the remainder with the last."""
    with localcontext(prec=PRECISION):
        whole = sum(weights, Decimal(0))
        parts = [rounded(amount * weight / whole, 2) for weight in weights[:-1]]
        return [*parts, amount - sum(parts, Decimal(0))]


def _half_place(shown: Decimal) -> Decimal:
    """Half of the last decimal of a price, which has two even where zeros were left out."""
    exponent = shown.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return Decimal(5).scaleb(-max(decimals, 2) - 1)


def _misses(said: Decimal, cash: Decimal) -> str:
    return (
        f"quantity, price and fees come to {rounded(said, 2)}, which is"
        f" {rounded(abs(said - cash), 2)} off"
    )
