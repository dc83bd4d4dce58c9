"""Price, quantity, fees and cash of a deal, held against each other to the cent."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from store.columns import MONEY_DIGITS, PRICE_DIGITS, rounded
from store.pnl import PRECISION
from store.records import Side
from store.statements.execution import Instrument
from store.statements.refusing import Refused

CENT, HALF_CENT = Decimal("0.01"), Decimal("0.005")


class Deal(NamedTuple):
    """Price per share or point and fee (positive when it cost), which give the cash."""

    price: Decimal
    fee: Decimal


def worth(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """What `quantity` of it is worth at `price`, in currency, exactly."""
    with localcontext(prec=PRECISION):
        return price * quantity * instrument.unit


def cash_moved(side: Side | None, value: Decimal, fee: Decimal = Decimal(0)) -> Decimal:
    """The cash of a deal of that value, negative when paid."""
    with localcontext(prec=PRECISION):
        return (value if side == "sell" else -value) - fee


def require_balance(
    column: str, text: str, stated: Decimal, expected: Decimal, *, within: Decimal = CENT
) -> None:
    """Refuse a row whose amount is not what the rest of it comes to.

    Raises:
        Refused: they differ by `within` or more; the reason names what is expected and the
            difference.
    """
    with localcontext(prec=PRECISION):
        if abs(stated - expected) >= within:
            raise Refused(column, text, _misses(stated, expected))


def by_stated_fee(
    side: Side,
    units: Decimal,
    shown: Decimal,
    fee: Decimal,
    cash: Decimal,
    column: str,
    *,
    decimals: int = 2,
) -> Deal:
    """The deal of `units` (quantity x multiplier) that moved `cash`, by the fee as stated.

    Brokers round the price they show, to `decimals` or more: where price and fee miss the
    cash by no more than that can do, the price is what the cash says it was.

    Raises:
        Refused: they miss it by more.
    """
    with localcontext(prec=PRECISION):
        value = -cash - fee if side == "buy" else cash + fee
        missed = abs(value - units * shown)
        if missed <= HALF_CENT:
            return Deal(shown, fee)
        if value > 0 and missed <= units * _half_place(shown, decimals) + HALF_CENT:
            return Deal(rounded(value / units, PRICE_DIGITS), fee)
        raise Refused(column, f"{cash:f}", _misses(cash, cash_moved(side, units * shown, fee)))


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
        fee = cash_moved(side, units * shown) - cash
        if stated + HALF_CENT < fee <= most:
            return Deal(shown, rounded(fee, MONEY_DIGITS))
    return by_stated_fee(side, units, shown, stated, cash, column)


def most_fees(value: Decimal) -> Decimal:
    """What a deal of that value may cost at the most; more is something else than a fee, such
    as a contract of another size."""
    with localcontext(prec=PRECISION):
        return abs(value) / 10 + 25


def divided(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """`amount` in cents by `weights`, the remainder with the last."""
    with localcontext(prec=PRECISION):
        whole = sum(weights, Decimal(0))
        parts = [rounded(amount * weight / whole, 2) for weight in weights[:-1]]
        return [*parts, amount - sum(parts, Decimal(0))]


def _half_place(shown: Decimal, decimals: int) -> Decimal:
    """Half of the last decimal of a price, which has `decimals` even where zeros were left out."""
    exponent = shown.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return Decimal(5).scaleb(-max(places, decimals) - 1)


def _misses(stated: Decimal, expected: Decimal) -> str:
    return (
        f"quantity, price and fees come to {_shown(expected)}, which is"
        f" {_shown(abs(stated - expected))} off"
    )


def _shown(amount: Decimal) -> str:
    """With cents, and with what digits beyond them it has."""
    exponent = rounded(amount, PRICE_DIGITS).normalize().as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return f"{amount:.{max(places, 2)}f}"
