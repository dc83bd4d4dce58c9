"""What a set of legs is called, which way it leans, and what it can lose at most."""

from datetime import date
from decimal import Decimal
from typing import Literal

import pytest

from store import structures
from store.structures import Held


def legs(text: str) -> list[Held]:
    """`+1 call 100 @ 5`, `-2 put 90 @ 1 feb`, `+100 shares @ 50`; joined by commas."""
    return [leg(part.split()) for part in text.split(",")]


def leg(words: list[str]) -> Held:
    quantity, kind = Decimal(words[0]), words[1]
    price = Decimal(words[words.index("@") + 1])
    if kind in ("shares", "future", "coins"):
        instrument = {"shares": "equity", "future": "future", "coins": "crypto"}[kind]
        return Held(instrument, quantity, Decimal(1), quantity * price)
    kinds: dict[str, Literal["call", "put"]] = {"call": "call", "put": "put"}
    return Held(
        instrument="option",
        quantity=quantity,
        multiplier=Decimal(100),
        cost=quantity * price * 100,
        option_type=kinds[kind],
        strike=Decimal(words[2]),
        expiry=date(2026, 2 if words[-1] == "feb" else 1, 16),
    )


@pytest.mark.parametrize(
    ("text", "name", "direction", "loss_max"),
    [
        ("+1 call 100 @ 5", "single", "bullish", "500"),
        ("+1 put 100 @ 5", "single", "bearish", "500"),
        ("-1 put 100 @ 5", "single", "bullish", None),
        ("-1 call 100 @ 5", "single", "bearish", None),
        ("+100 shares @ 50", "single", "bullish", None),
        ("-100 shares @ 50", "single", "bearish", None),
        # Debit: what was paid. Credit: the width less what was received.
        ("+1 call 100 @ 5, -1 call 110 @ 2", "vertical", "bullish", "300"),
        ("-1 put 100 @ 5, +1 put 90 @ 2", "vertical", "bullish", "700"),
        ("-2 call 100 @ 5, +2 call 110 @ 2", "vertical", "bearish", "1400"),
        ("+1 put 100 @ 5, -1 put 90 @ 2", "vertical", "bearish", "300"),
        ("+1 call 100 @ 5, +1 put 100 @ 4", "straddle", "neutral", "900"),
        ("-1 call 100 @ 5, -1 put 100 @ 4", "straddle", "neutral", None),
        ("-1 call 110 @ 2, -1 put 90 @ 2", "strangle", "neutral", None),
        ("+1 call 110 @ 2, +1 put 90 @ 2", "strangle", "neutral", "400"),
        ("-1 call 100 @ 2, +1 call 100 @ 4 feb", "calendar", "neutral", None),
        ("-1 call 105 @ 2, +1 call 100 @ 4 feb", "diagonal", "bullish", None),
        ("+1 call 90 @ 12, -2 call 100 @ 5, +1 call 110 @ 2", "butterfly", "neutral", "400"),
        ("-1 put 90 @ 1, +2 put 100 @ 4, -1 put 110 @ 9", "butterfly", "neutral", "800"),
        # Wings of 10, credit 1 - .5 + 1 - .5 = 1: 1000 - 100.
        (
            "+1 put 80 @ .5, -1 put 90 @ 1, -1 call 110 @ 1, +1 call 120 @ .5",
            "iron_condor", "neutral", "900",
        ),
        (
            "+1 put 90 @ 1, -1 put 100 @ 4, -1 call 100 @ 4, +1 call 110 @ 1",
            "iron_butterfly", "neutral", "400",
        ),
        (
            "+1 call 80 @ 21, -1 call 90 @ 12, -1 call 110 @ 3, +1 call 120 @ 1",
            "condor", "neutral", "700",
        ),
        ("+100 shares @ 50, -1 call 55 @ 1", "covered_call", "bullish", None),
        ("+100 shares @ 50, +1 put 45 @ 1", "protective_put", "bullish", None),
        ("+100 shares @ 50, +1 put 45 @ 1, -1 call 55 @ 1", "collar", "bullish", None),
        # What has no usual name.
        ("+1 call 100 @ 5, -2 call 110 @ 2", None, "bullish", None),
        ("+1 call 90 @ 12, -1 call 100 @ 5, +1 call 110 @ 2", None, "bullish", "900"),
        ("+100 shares @ 50, -3 call 55 @ 1", None, "bearish", None),
        ("-100 shares @ 50, +1 call 55 @ 1", None, "bearish", None),
        ("+1 coins @ 50, -1 call 55 @ 1", None, "bearish", None),
        (
            "+1 put 80 @ .5, -1 put 90 @ 1, -2 call 110 @ 1, +2 call 120 @ .5",
            None, "bearish", "1850",
        ),
    ],
)  # fmt: skip
def test_a_structure(text: str, name: str | None, direction: str, loss_max: str | None) -> None:
    said = legs(text)

    assert structures.name(said) == name
    assert structures.direction(said) == direction
    assert structures.loss_max(said) == (None if loss_max is None else Decimal(loss_max))


def test_the_order_of_the_legs_does_not_matter() -> None:
    said = legs("-1 call 110 @ 1, +1 put 80 @ .5, +1 call 120 @ .5, -1 put 90 @ 1")

    assert structures.name(said) == "iron_condor"
    assert structures.loss_max(said) == 900


def test_what_cannot_lose_has_no_largest_loss() -> None:
    assert structures.loss_max(legs("+1 call 100 @ 2, -1 call 110 @ 3")) is None
