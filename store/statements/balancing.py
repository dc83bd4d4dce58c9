"""Whether a row's price, quantity and fees come to the money that it says moved."""

from decimal import Decimal, localcontext

from store.derived import STANDARD_MULTIPLIER
from store.pnl import PRECISION
from store.records import Side
from store.statements.refusing import Refused

CENT = Decimal("0.01")


def stated_multiplier(kind: str, said: Decimal | None, column: str) -> Decimal | None:
    """What an `Instrument` keeps of the multiplier that a file says: None for the standard one.

    Raises:
        Refused: it is not above 0.
    """
    if said is not None and said <= 0:
        raise Refused(column, f"{said:f}", "a multiplier above 0 is needed")
    return None if said == STANDARD_MULTIPLIER.get(kind) else said


def proceeds(side: Side, quantity: Decimal, price: Decimal, per_point: Decimal) -> Decimal:
    """What a deal brings before fees; negative when it is paid."""
    with localcontext(prec=PRECISION):
        moved = quantity * price * per_point
        return moved if side == "sell" else -moved


def require_balance(
    column: str, stated: Decimal, expected: Decimal, *, within: Decimal = CENT
) -> None:
    """Refuse a row whose amount is not what the rest of it comes to.

    Raises:
        Refused: they differ by more than `within`; the reason names both and the difference.
    """
    with localcontext(prec=PRECISION):
        difference = stated - expected
        if abs(difference) > within:
            raise Refused(
                column,
                f"{stated:f}",
                f"price, quantity and fees come to {expected:.2f}, which differs by"
                f" {difference:.2f}",
            )
