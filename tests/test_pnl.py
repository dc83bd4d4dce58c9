"""What a trade earned, from its fills alone. Expected numbers are worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import pnl
from store.columns import MONEY_DIGITS, rounded

START = datetime(2026, 1, 5, 15, tzinfo=UTC)
ONE = Decimal(1)


def fills(text: str) -> list[pnl.Fill]:
    """`buy 100 @ 10 fee 1`, one a line, a minute apart."""
    found = []
    for minute, line in enumerate(filter(None, map(str.strip, text.splitlines()))):
        side, quantity, _at, price, *fee = line.split()
        found.append(
            pnl.Fill(
                side=cast(Literal["buy", "sell"], side),
                quantity=Decimal(quantity),
                price=Decimal(price),
                filled_at=START + timedelta(minutes=minute),
                fee=Decimal(fee[1]) if fee else Decimal(0),
            )
        )
    return found


def result(text: str, multiplier: Decimal = ONE) -> pnl.Result:
    said = fills(text)
    leg = pnl.position(said, multiplier)
    return pnl.result([leg], [leg], sum((fill.fee for fill in said), Decimal(0)))


@pytest.mark.parametrize(
    ("name", "text", "multiplier", "gross", "fees", "net", "entry", "exit_"),
    [
        ("long", "buy 100 @ 10 fee 1 \n sell 100 @ 12 fee 1.25", "1",
         "200", "2.25", "197.75", "10", "12"),
        ("short", "sell 50 @ 20 fee .5 \n buy 50 @ 18 fee .6", "1",
         "100", "1.1", "98.9", "20", "18"),
        ("option", "buy 2 @ 1.5 fee 1 \n sell 2 @ 2.25 fee 1.2", "100",
         "150", "2.2", "147.8", "1.5", "2.25"),
        ("expired short option", "sell 1 @ .1 fee .52 \n buy 1 @ 0", "100",
         "10", "0.52", "9.48", "0.1", "0"),
        ("future", "buy 3 @ 4500 fee 3 \n sell 3 @ 4504 fee 4.2", "5",
         "60", "7.2", "52.8", "4500", "4504"),
        ("partial exits", "buy 100 @ 10 fee 1.1 \n sell 40 @ 11 fee .44 \n sell 60 @ 12 fee .66",
         "1", "160", "2.2", "157.8", "10", "11.6"),
        ("scale-in", "buy 10 @ 10 \n buy 30 @ 14 \n sell 40 @ 15", "1",
         "80", "0", "80", "13", "15"),
        ("a rebate earns", "buy 1 @ 10 fee -0.25 \n sell 1 @ 10 fee 0.05", "1",
         "0", "-0.20", "0.20", "10", "10"),
    ],
)  # fmt: skip
def test_net_is_gross_minus_fees(
    name: str,
    text: str,
    multiplier: str,
    gross: str,
    fees: str,
    net: str,
    entry: str,
    exit_: str,
) -> None:
    found = result(text, Decimal(multiplier))

    expected = [Decimal(value) for value in (gross, fees, net, entry, exit_)]
    assert [found.gross, found.fees, found.net, found.entry_price, found.exit_price] == expected


def test_lots_are_closed_first_in_first_out() -> None:
    """40 leave the first 100 bought at 10, then 60 at 10 and 20 at 20."""
    leg = pnl.position(fills("buy 100 @ 10 \n buy 100 @ 20 \n sell 40 @ 15 \n sell 80 @ 16"), ONE)

    lots = [[int(lot.quantity), int(lot.entry_price), int(lot.gross)] for lot in leg.lots]
    assert lots == [[40, 10, 200], [60, 10, 360], [20, 20, -80]]
    assert leg.open_quantity == 80
    assert leg.open_cost == 1600


def test_a_partial_exit_carries_its_share_of_the_entry_fee() -> None:
    """Entry fee 1.10: 0.44 to the 40, 0.66 to the 60."""
    leg = pnl.position(
        fills("buy 100 @ 10 fee 1.10 \n sell 40 @ 11 fee .44 \n sell 60 @ 12 fee .66"), ONE
    )

    assert [lot.net for lot in leg.lots] == [Decimal("39.12"), Decimal("118.68")]


def test_a_fill_through_zero_says_how_much_is_left() -> None:
    with pytest.raises(pnl.FlipsError) as refused:
        pnl.position(fills("buy 10 @ 1 \n sell 25 @ 2"), ONE)

    assert refused.value.excess == 15


def test_average_prices_are_rounded_half_even_and_gross_does_not_come_from_them() -> None:
    """(1 + 2 + 2) / 3 has no end; the P&L is exact all the same."""
    found = result("buy 1 @ 1 \n buy 1 @ 2 \n buy 1 @ 2 \n sell 3 @ 3")

    assert found.entry_price == Decimal("1.66666667")
    assert found.gross == 4


@pytest.mark.parametrize(
    ("value", "kept"),
    [("0.0000005", "0"), ("0.0000015", "0.000002"), ("-0.0000025", "-0.000002")],
)
def test_half_a_unit_is_rounded_to_the_even_one(value: str, kept: str) -> None:
    assert rounded(Decimal(value), MONEY_DIGITS) == Decimal(kept)


def test_several_legs_have_a_net_price_per_unit() -> None:
    """3 bull call spreads: 5 - 2 = 3 paid, 6 - 2.5 = 3.5 received; 3 x 0.5 x 100 = 150."""
    hundred = Decimal(100)
    legs = [
        pnl.position(fills("buy 3 @ 5 \n sell 3 @ 6"), hundred),
        pnl.position(fills("sell 3 @ 2 \n buy 3 @ 2.5"), hundred),
    ]

    found = pnl.result(legs, legs, Decimal(0))

    shown = [found.quantity, found.entry_price, found.exit_price, found.gross]
    assert shown == [Decimal(value) for value in ("3", "3", "3.5", "150")]


@pytest.mark.parametrize(
    ("net", "tolerance", "expected"),
    [
        ("0.01", "0", "win"), ("0", "0", "breakeven"), ("-0.01", "0", "loss"),
        ("10", "10", "breakeven"), ("-10", "10", "breakeven"), ("10.01", "10", "win"),
        ("-10.01", "10", "loss"),
    ],
)  # fmt: skip
def test_an_outcome_lies_beyond_the_tolerance(net: str, tolerance: str, expected: str) -> None:
    assert pnl.outcome(Decimal(net), Decimal(tolerance)) == expected


def test_r_is_net_over_the_risk_to_the_stop() -> None:
    """55 x (94.71 - 93.37) = 73.70; 16.29 / 73.70 = 0.22103121."""
    found = result("buy 55 @ 94.71 fee 1.86 \n sell 55 @ 95.04")
    risk = pnl.risk_from_stop(found, Decimal("93.37"))

    assert risk == Decimal("73.70")
    assert pnl.r_multiple(found.net, risk) == Decimal("0.22103121")


def test_without_a_risk_there_is_no_r() -> None:
    found = result("buy 1 @ 10 \n sell 1 @ 11")

    assert pnl.risk_from_stop(found, Decimal(10)) is None
    assert pnl.r_multiple(found.net, None) is None


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ("buy 10 @ 5 fee 1", "6", "9"),
        ("sell 10 @ 5 fee 1", "6", "-11"),
        ("buy 10 @ 5 \n sell 4 @ 7", "6", "14"),
        # First in, first out: 100 is earned already, and the rest was bought at the mark.
        ("buy 10 @ 10 \n buy 10 @ 20 \n sell 10 @ 20", "20", "100"),
    ],
)
def test_unrealised_is_what_closing_at_the_mark_would_leave(
    text: str, mark: str, expected: str
) -> None:
    said = fills(text)
    leg = pnl.position(said, ONE)

    assert pnl.unrealised(result(text), [leg], Decimal(mark)) == Decimal(expected)


def test_unrealised_of_a_spread_is_marked_at_its_net_price() -> None:
    """2 of 3 spreads are still open: 1 x 50 earned, 2 x (4 - 3) x 100 on paper."""
    hundred = Decimal(100)
    legs = [
        pnl.position(fills("buy 3 @ 5 \n sell 1 @ 6"), hundred),
        pnl.position(fills("sell 3 @ 2 \n buy 1 @ 2.5"), hundred),
    ]
    trade = pnl.result(legs, legs, Decimal(0))

    assert pnl.unrealised(trade, legs, Decimal(4)) == 250


def test_unrealised_after_an_assignment_is_marked_at_the_shares_price() -> None:
    """A put sold at 2 is assigned at 100; shares at 95: 200 - 500."""
    put = pnl.position(fills("sell 1 @ 2 \n buy 1 @ 0"), Decimal(100))
    shares = pnl.position(fills("buy 100 @ 100"), ONE)
    trade = pnl.result([put], [put, shares], Decimal(0))

    assert pnl.unrealised(trade, [put, shares], Decimal(95)) == -300


amounts = st.decimals(min_value="0.00000001", max_value=10**6, places=8)
prices = st.decimals(min_value=0, max_value=10**6, places=8)
fees = st.decimals(min_value=-1000, max_value=1000, places=6)


@given(quantity=amounts, part=amounts, fee=fees)
def test_a_split_fill_sums_to_the_whole(quantity: Decimal, part: Decimal, fee: Decimal) -> None:
    whole = pnl.Fill("buy", quantity, ONE, START, fee)

    first, rest = pnl.split(whole, part)

    assert first.quantity + rest.quantity == quantity
    assert first.fee + rest.fee == fee
    assert first.quantity == min(part, quantity)


@st.composite
def round_trips(draw: st.DrawFn) -> list[pnl.Fill]:
    """Fills from flat to flat that never go through zero."""
    side, other = draw(st.sampled_from([("buy", "sell"), ("sell", "buy")]))
    said, held = [], Decimal(0)
    for _ in range(draw(st.integers(1, 8))):
        closing = held > 0 and draw(st.booleans())
        quantity = min(draw(amounts), held) if closing else draw(amounts)
        held += -quantity if closing else quantity
        said.append((other if closing else side, quantity))
        if held == 0:
            break
    if held:
        said.append((other, held))
    return [
        pnl.Fill(
            cast(Literal["buy", "sell"], way),
            quantity,
            draw(prices),
            START + timedelta(minutes=minute),
            draw(fees),
        )
        for minute, (way, quantity) in enumerate(said)
    ]


def cash(said: list[pnl.Fill], multiplier: Decimal) -> Decimal:
    """The second method: what was received less what was paid."""
    return sum((-fill.signed * fill.price * multiplier - fill.fee for fill in said), Decimal(0))


@given(round_trips(), st.sampled_from([ONE, Decimal(100), Decimal("0.1")]))
def test_the_net_of_a_round_trip_is_the_sum_of_its_cash_flows(
    said: list[pnl.Fill], multiplier: Decimal
) -> None:
    leg = pnl.position(said, multiplier)

    found = pnl.result([leg], [leg], sum((fill.fee for fill in said), Decimal(0)))

    assert found.net == rounded(cash(said, multiplier), MONEY_DIGITS)
    assert sum((lot.fees for lot in leg.lots), Decimal(0)) == found.fees


@given(
    premium=prices, strike=prices, sold=prices, contracts=st.integers(1, 50), fee=fees,
)  # fmt: skip
def test_an_assignment_conserves_cash(
    premium: Decimal, strike: Decimal, sold: Decimal, contracts: int, fee: Decimal
) -> None:
    """The put closes at 0 and the shares are bought at the strike: nothing is lost between."""
    hundred, shares_held = Decimal(100), Decimal(100 * contracts)
    put = fills(f"sell {contracts} @ {premium} fee {fee} \n buy {contracts} @ 0")
    shares = fills(f"buy {shares_held} @ {strike} \n sell {shares_held} @ {sold} fee {fee}")
    legs = [pnl.position(put, hundred), pnl.position(shares, ONE)]

    found = pnl.result(legs[:1], legs, 2 * fee)

    assert found.net == rounded(cash(put, hundred) + cash(shares, ONE), MONEY_DIGITS)
