"""Tradier's orders and history as executions, each deal once and with what it cost.

The numbers are worked out by hand beside them.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from store.brokers.tradier.deals import Deals
from store.brokers.tradier.history import of_history
from store.brokers.tradier.orders import of_orders
from store.brokers.tradier.settling import Part, settled
from store.statements.execution import Bracket, Execution

NOON = datetime(2026, 1, 5, 17, tzinfo=UTC)  # In New York.
CALL = "AAPL260116C00250000"


def order(id: int, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    """A filled order for shares, as Tradier writes it."""
    return {
        "id": id, "type": "limit", "symbol": "AAPL", "side": side, "quantity": Decimal(quantity),
        "status": "filled", "duration": "day", "price": Decimal(price),
        "avg_fill_price": Decimal(price), "exec_quantity": Decimal(quantity),
        "last_fill_price": Decimal(price), "last_fill_quantity": Decimal(quantity),
        "remaining_quantity": Decimal(0), "create_date": "2026-01-05T15:30:00.125Z",
        "transaction_date": "2026-01-05T15:30:01.250Z", "class": "equity", **more,
    }  # fmt: skip


def option(id: int, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    return order(id, side, quantity, price, **{"class": "option", "option_symbol": CALL, **more})


def trade(quantity: str, price: str, amount: str, symbol: str = "AAPL", **more: Any) -> Any:
    """A trade of the history; the day is 2026-01-05 unless said."""
    return {
        "amount": Decimal(amount), "date": "2026-01-05T00:00:00Z", "type": "trade",
        "trade": {
            "commission": Decimal(0), "description": "APPLE INC", "price": Decimal(price),
            "quantity": Decimal(quantity), "symbol": symbol, "trade_type": "Equity",
        },
        **more,
    }  # fmt: skip


def short(one: Execution) -> str:
    what = one.instrument
    named = f"{what.ticker} {what.expiry} {what.option_type} {what.strike:f}" if what.strike else ""
    quantity, price, fee = (f"{n.normalize():f}" for n in (one.quantity, one.price, one.fee))
    return f"{one.side} {quantity} {named or what.ticker} @ {price} fee {fee}"


# Orders.


def test_an_order_says_when_and_under_which_number() -> None:
    (one,) = of_orders([order(228175, "buy", "100", "10.25")]).executions

    assert short(one) == "buy 100 AAPL @ 10.25 fee 0"
    assert one.at == datetime(2026, 1, 5, 15, 30, 1, 250_000, tzinfo=UTC)
    assert (one.id, one.order, one.effect, one.partial) == ("order-228175", "228175", "open", True)


@pytest.mark.parametrize(
    ("said", "side", "effect"),
    [
        ("buy", "buy", "open"), ("sell", "sell", "close"), ("sell_short", "sell", "open"),
        ("buy_to_cover", "buy", "close"), ("buy_to_open", "buy", "open"),
        ("sell_to_close", "sell", "close"), ("sell_to_open", "sell", "open"),
        ("buy_to_close", "buy", "close"),
    ],
)  # fmt: skip
def test_every_side_opens_or_closes(said: str, side: str, effect: str) -> None:
    (one,) = of_orders([order(1, said, "1", "1")]).executions

    assert (one.side, one.effect) == (side, effect)


def test_the_legs_of_a_spread_are_one_order() -> None:
    """The order itself says the net price; dealt are its legs."""
    spread = order(
        10, "buy", "2", "-2.40", num_legs=2, strategy="spread",
        leg=[
            option(11, "sell_to_open", "2", "3.10"),
            option(12, "buy_to_open", "2", "0.70", option_symbol="AAPL260116C00260000"),
        ],
        **{"class": "multileg", "type": "market"},
    )  # fmt: skip

    found = of_orders([spread]).executions

    assert [short(one) for one in found] == [
        "sell 2 AAPL 2026-01-16 call 250 @ 3.1 fee 0",
        "buy 2 AAPL 2026-01-16 call 260 @ 0.7 fee 0",
    ]
    assert [(one.id, one.order) for one in found] == [("order-11", "10"), ("order-12", "10")]


@pytest.mark.parametrize("entry_is_a_leg", [True, False])
def test_a_bracket_is_known_by_its_entry(entry_is_a_leg: bool) -> None:
    entry = order(21, "buy", "10", "100")
    exits = [
        order(22, "sell", "10", "120", status="open", exec_quantity=Decimal(0)),
        order(23, "sell", "10", "90", type="stop", exec_quantity=Decimal(0)),
    ]
    bracket = (
        {"id": 20, "class": "otoco", "num_legs": 3, "leg": [entry, *exits]}
        if entry_is_a_leg
        else {**entry, "class": "otoco", "leg": exits}
    )

    found = of_orders([bracket])

    assert [(one.id, one.order) for one in found.executions] == [("order-21", "21")]
    assert found.brackets == {"21": Bracket(stop="23", target="22")}
    assert found.ignored == {"orders that were not filled": 2}


def test_one_leg_is_no_list_and_nothing_is_the_text_null() -> None:
    oto = {"id": 30, "class": "oto", "leg": order(31, "buy", "1", "5")}

    found = of_orders([oto, order(32, "buy", "1", "5", leg="null")])

    assert [one.id for one in found.executions] == ["order-31", "order-32"]
    assert found.brackets == {"31": Bracket(None, None)}


def test_an_order_filled_over_several_days_is_left_to_the_history() -> None:
    """Of 10 that were filled since the 2nd, 4 were last: nobody knows when the 6 were."""
    made = {"create_date": "2026-01-02T15:00:00.000Z", "duration": "gtc"}
    slowly = order(1, "buy", "10", "5", last_fill_quantity=Decimal(4), **made)
    at_once = order(2, "buy", "10", "5", **made)

    found = of_orders([slowly, at_once])

    assert [one.id for one in found.executions] == ["order-2"]
    assert found.ignored == {"orders filled over several days, left to the history": 1}


def test_an_order_that_is_not_understood_is_refused_by_name() -> None:
    found = of_orders(
        [
            order(1, "borrow", "1", "1"), order(2, "buy", "1", "1", symbol="<b>x</b>"),
            order(3, "buy", "1", "1", transaction_date="yesterday"), order(4, "buy", "1", "1"),
            order(5, "buy", "1", "1", exec_quantity="1e999"),
        ]
    )  # fmt: skip

    assert [(one.row, one.column) for one in found.rejected] == [
        (1, "side"), (2, "symbol"), (3, "transaction_date"), (5, "exec_quantity"),
    ]  # fmt: skip
    assert [one.id for one in found.executions] == ["order-4"]


# History.


def test_the_fee_is_what_the_amount_is_short_of() -> None:
    """16 x 100 x 1.08 = 1728.00 paid, 1735.25 moved; 9 x 100 x 2.16 = 1944.00 got, 1939.87."""
    bought = trade("16", "1.08", "-1735.25", CALL)
    sold = trade("-9", "2.16", "1939.87", CALL, date="2026-01-06T00:00:00Z")

    found = of_history([sold, bought])

    assert [short(one) for one in found.executions] == [
        "buy 16 AAPL 2026-01-16 call 250 @ 1.08 fee 7.25",
        "sell 9 AAPL 2026-01-16 call 250 @ 2.16 fee 4.13",
    ]
    first = found.executions[0]
    assert (first.at, first.dated, first.cash) == (NOON, True, Decimal("-1735.25"))
    assert (first.id, first.order, first.account) == (None, None, None)


def test_an_amount_that_does_not_add_up_is_refused() -> None:
    """10 x 5.00 = 50: of 40 nothing can be said, a mini contract of 10 shares is none of 100."""
    found = of_history([trade("10", "5", "-40"), trade("1", "5", "-50.35", CALL)])

    assert found.executions == []
    assert [one.reason for one in found.rejected] == [
        "quantity, price and fees come to -50.00, which is 10.00 off",
        "quantity, price and fees come to -500.00, which is 449.65 off",
    ]


def ending(kind: str, quantity: str, **more: Any) -> dict[str, Any]:
    return {
        "amount": 0, "date": "2026-01-16T00:00:00Z", "type": "option",
        "option": {"option_type": kind, "description": "Expired", "quantity": Decimal(quantity),
                   **more},
    }  # fmt: skip


def test_what_ends_an_option_follows_the_days_deals() -> None:
    found = of_history(
        [
            ending("OPTEXP", "-1", symbol=CALL),
            ending("expiration", "2", description="CALL AAPL     01/16/26   260"),
            trade("1", "5", "-5", date="2026-01-16T00:00:00Z"),
        ]
    )

    assert [f"{one.kind} {short(one)}" for one in found.executions] == [
        "trade buy 1 AAPL @ 5 fee 0",
        "expired buy 2 AAPL 2026-01-16 call 260 @ 0 fee 0",
        "expired sell 1 AAPL 2026-01-16 call 250 @ 0 fee 0",
    ]
    assert found.executions[2].at == datetime(2026, 1, 16, 21, tzinfo=UTC)


def test_the_shares_of_an_assignment_are_its_delivery() -> None:
    """2 contracts short at 250: 200 shares called away at 250 that day; others are no delivery."""
    day = {"date": "2026-01-16T00:00:00Z"}

    found = of_history(
        [
            ending("OPTASN", "2", symbol=CALL), trade("-200", "250", "50000", **day),
            trade("-1", "251", "251", **day), trade("-1", "250", "250"),
        ]
    )  # fmt: skip

    assert [one.quantity for one in found.executions if one.delivery] == [200]


def test_money_without_a_deal_is_counted_and_shares_without_one_are_refused() -> None:
    events = [
        {"type": "dividend", "amount": Decimal("0.12"), "date": "2026-01-05T00:00:00Z",
         "adjustment": {"description": "X", "quantity": Decimal("0.00")}},
        {"type": "journal", "amount": Decimal(-3000), "journal": {"quantity": Decimal(0)}},
        {"type": "interest", "amount": 0},
        {"type": "transfer", "amount": 0, "transfer": {"quantity": Decimal(10)}},
        {"type": "split", "amount": 0},
        ending("OPTEXP", "-1"),
    ]  # fmt: skip

    found = of_history(events)

    assert [(one.kind, one.amount) for one in found.cash] == [
        ("dividend", Decimal("0.12")), ("other", Decimal(-3000)),
    ]  # fmt: skip
    assert found.ignored == {"interest without an amount": 1}
    assert [(one.row, one.column) for one in found.rejected] == [
        (4, "type"), (5, "type"), (6, "symbol"),
    ]  # fmt: skip


# Together.


def part(one: Execution, quantity: str | None = None) -> Part:
    """What an earlier run stored of an order."""
    dealt = one.quantity if quantity is None else Decimal(quantity)
    return Part(str(one.id), one.instrument, one.side, dealt, one.price, one.at)


def test_todays_orders_are_dealt_and_cost_nobody_knows_what_yet() -> None:
    ordered = of_orders([order(1, "buy", "10", "5")]).executions

    found = settled(ordered, [], Deals())

    assert found.executions == ordered
    assert (found.fees, found.unposted) == ({}, {"order-1"})


def test_an_order_that_is_posted_is_one_deal_with_its_cost() -> None:
    """3 + 2 contracts in one order, in the history 4 and 1: 5 x 100 x 2 = 1000, 1.75 on top."""
    ordered = of_orders(
        [option(1, "buy_to_open", "3", "2"), option(2, "buy_to_open", "2", "2")]
    ).executions
    posted = of_history([trade("4", "2", "-801.40", CALL), trade("1", "2", "-200.35", CALL)])

    found = settled(ordered, [], posted)

    # 1.75 x 3/5 = 1.05 and 1.75 x 2/5 = 0.70.
    assert [short(one) for one in found.executions] == [
        "buy 3 AAPL 2026-01-16 call 250 @ 2 fee 1.05",
        "buy 2 AAPL 2026-01-16 call 250 @ 2 fee 0.7",
    ]
    assert (found.unposted, found.rejected) == (set(), [])


def test_an_average_price_is_the_same_deal_as_its_fills() -> None:
    """10 at 2.11 and 8 at 2.13 are 38.14, 18 at an average of 2.11888889."""
    ordered = of_orders([order(1, "buy", "18", "2.11888889")]).executions
    posted = of_history([trade("10", "2.11", "-21.10"), trade("8", "2.13", "-17.04")])

    found = settled(ordered, [], posted)

    assert [short(one) for one in found.executions] == ["buy 18 AAPL @ 2.11888889 fee 0"]


def test_a_stored_order_is_not_recorded_again_and_its_cost_is_told() -> None:
    (stored,) = of_orders([option(1, "buy_to_open", "3", "2")]).executions
    posted = of_history([trade("3", "2", "-601.05", CALL)])

    found = settled([], [part(stored)], posted)

    assert found.executions == []
    assert found.fees == {"order-1": Decimal("1.05")}


def test_what_the_history_has_beyond_the_orders_is_a_deal_of_its_own() -> None:
    """3 at 2 were seen; the history has 5 for 10.90 with 0.50 of fees: 2 at 2.45 are left, with
    0.50 x 2/5 = 0.20."""
    (stored,) = of_orders([order(1, "buy", "3", "2")]).executions
    posted = of_history([trade("4", "2.1", "-8.80"), trade("1", "2.5", "-2.60")])

    found = settled([], [part(stored)], posted)

    assert [short(one) for one in found.executions] == ["buy 2 AAPL @ 2.45 fee 0.2"]
    assert found.fees == {"order-1": Decimal("0.3")}
    assert found.executions[0].dated


@pytest.mark.parametrize("posted", [trade("2", "2", "-4"), trade("3", "2.02", "-6.06")])
def test_less_or_other_than_the_orders_is_told(posted: dict[str, Any]) -> None:
    (stored,) = of_orders([order(1, "buy", "3", "2")]).executions

    found = settled([], [part(stored)], of_history([posted]))

    assert (found.executions, found.fees, found.unposted) == ([], {}, {"order-1"})
    assert found.rejected[0].reason.startswith("the orders of that day are 3 for 6, the history")


def test_the_other_side_another_day_and_another_option_are_other_deals() -> None:
    ordered = of_orders([order(1, "buy", "3", "2")]).executions
    posted = of_history(
        [
            trade("-3", "2", "6"), trade("3", "0.02", "-6", CALL),
            trade("3", "2", "-6", date="2026-01-02T00:00:00Z"),
        ]
    )  # fmt: skip

    found = settled(ordered, [], posted)

    assert len(found.executions) == 4
    assert found.unposted == {"order-1"}


def test_an_order_that_grew_is_settled_by_what_was_added() -> None:
    """5 at 2 were stored on the 5th; it is 10 at an average of 3 on the 6th: 5 at 4 that day."""
    (stored,) = of_orders([order(1, "buy", "5", "2", duration="gtc")]).executions
    grown = order(
        1, "buy", "10", "3", create_date="2026-01-06T15:00:00Z",
        transaction_date="2026-01-06T16:00:00Z",
    )  # fmt: skip
    ordered = of_orders([grown]).executions
    posted = of_history(
        [trade("5", "4", "-20.50", date="2026-01-06T00:00:00Z"), trade("5", "2", "-10.25")]
    )

    found = settled(ordered, [part(stored)], posted)

    assert [short(one) for one in found.executions] == ["buy 10 AAPL @ 3 fee 0.75"]
    assert found.executions[0].at.date() == date(2026, 1, 6)
    assert found.rejected == []


def test_shares_of_fees_come_to_the_whole() -> None:
    """0.01 by 3 equal parts: 0.003333 twice, the last has what is left."""
    ordered = of_orders([order(n, "buy", "1", "2") for n in (1, 2, 3)]).executions

    found = settled(ordered, [], of_history([trade("3", "2", "-6.01")]))

    assert sorted(found.fees.values()) == [Decimal("0.003333")] * 2 + [Decimal("0.003334")]
