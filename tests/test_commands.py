"""Trades said flatly: what they become, how they are closed and corrected, what is refused.

Expected numbers are worked out by hand beside the test.
"""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from store import commands
from store.accounts import AccountEntry, put_account
from store.commands.flat import number_text
from store.commands.written import Written
from store.database import Store
from store.errors import Conflict, Invalid, NotFound, StoreError
from store.models import Fill
from store.queries.get_trade import OneTrade, get_trade
from tests.stored import READABLE

COMMANDS = {command.__name__: command for command in commands.load()}
AT, LATER = "2026-01-05T10:15:00-05:00", "2026-01-08T15:30:00-05:00"
SHARES: dict[str, Any] = {
    "account": "main", "ticker": "AAPL", "opened_at": AT, "quantity": "100",
    "entry_price": "10.00", "entry_fee": "1",
}  # fmt: skip
SOLD = {"closed_at": LATER, "exit_price": "12.00", "exit_fee": "1.25"}
PUT = "sell 1 put 450 2026-01-16 @ 2.15 fee 0.65"
BELOW = "buy 1 put 440 2026-01-16 @ 1.00"
SPREAD: dict[str, Any] = {"account": "main", "ticker": "SPY", "opened_at": AT}


@pytest.fixture
async def ledger(store: Store) -> Store:
    """With one account, whose market is New York's."""
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="live"))
    return store


async def say(store: Store, name: str, **said: Any) -> Written:
    return await store.record(
        lambda session: COMMANDS[name](session, **said), keyed=bool(said.get("key"))
    )


async def rehearse(store: Store, name: str, **said: Any) -> Written:
    return await store.rehearse(lambda session: COMMANDS[name](session, **said))


async def trade(store: Store, number: int) -> OneTrade:
    async with store.read() as session:
        return await get_trade(session, number=number)


async def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the ledger holds, but for the log of questions."""
    async with store.read() as session:
        return {
            table.name: [
                tuple(row)
                for row in await session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in READABLE
            if table.name != "calls"
        }


async def refusal(store: Store, name: str, **said: Any) -> str:
    """The words of a refusal, which writes nothing."""
    before = await rows(store)
    with pytest.raises(StoreError) as refused:
        await say(store, name, **said)
    assert await rows(store) == before
    return str(refused.value)


async def test_a_finished_trade_is_one_command(ledger: Store) -> None:
    """(12.00 - 10.00) x 100 - 1 - 1.25 = 197.75."""
    done = await say(ledger, "record_trade", **SHARES, **SOLD, exit_reason="target")

    assert (done.number, done.status, done.net_pnl, done.outcome) == (1, "closed", "197.75", "win")
    assert done.summary == "Trade recorded: trade 1 is closed (live), net 197.75 USD, win."
    assert (await trade(ledger, 1)).trade.exit_reason == "target"


async def test_everything_known_at_entry_is_kept(ledger: Store) -> None:
    facts = {
        "strategy": "leap_call", "stop_loss": "1.25", "take_profit": "4", "scanner_score": "82.5",
        "ai_score": "71", "delta": "0.45", "gamma": "0.02", "theta": "-0.03", "vega": "0.1",
        "iv": "0.31", "broker_order_id": "B-1", "stop_order_id": "S-1", "target_order_id": "T-1",
    }  # fmt: skip
    await say(
        ledger, "record_trade", account="MAIN", ticker="aapl", opened_at=AT, quantity="2",
        entry_price="2.50", option_type="call", strike="250", expiry="2026-03-20",
        conditions=["Market Regime=trending", "vix = 18.5"], **facts,
    )  # fmt: skip

    found = await trade(ledger, 1)

    said = found.trade.model_dump()
    assert {name: said[name] for name in facts} == facts
    assert (said["ticker"], said["account"], said["dte"]) == ("AAPL", "main", 74)
    assert found.conditions == {"market regime": "trending", "vix": "18.5"}
    [leg] = found.legs
    assert (leg.instrument, leg.option_type, leg.strike, leg.multiplier) == (
        "option", "call", "250", "100",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "net"),
    [
        # Sold at 1.50, bought back at 0.50: 1.00 x 2 x 100 - 2.60.
        (
            {"side": "short", "option_type": "put", "strike": "90", "expiry": "2026-02-20",
             "quantity": "2", "entry_price": "1.5", "entry_fee": "2.60", "exit_price": "0.5"},
            "197.40",
        ),
        # 10 points x 50 x 1.
        (
            {"instrument": "future", "multiplier": "50", "quantity": "1", "entry_price": "4500",
             "exit_price": "4510"},
            "500.00",
        ),
        # 0.001 x 1234.56789012 = 1.23456789012, kept to six digits.
        (
            {"instrument": "crypto", "quantity": "0.001", "entry_price": "1",
             "exit_price": "1235.56789012"},
            "1.234568",
        ),
    ],
)  # fmt: skip
async def test_every_instrument_is_said_plainly(
    ledger: Store, said: dict[str, Any], net: str
) -> None:
    base = {"account": "main", "ticker": "X", "opened_at": AT, "closed_at": LATER}

    assert (await say(ledger, "record_trade", **base, **said)).net_pnl == net


async def test_a_spread_is_said_leg_by_leg(ledger: Store) -> None:
    """(2.15 - 0.40) x 100 - (1.00 - 0.10) x 100 - 2 x 0.65 = 83.70; the risk is the width of
    10.00 less the credit of 1.15, times 100."""
    legs = [f"{PUT} exit 0.40 fee 0.65", f"{BELOW.upper()}  EXIT 0.10"]

    done = await say(ledger, "record_trade", **SPREAD, closed_at=LATER, legs=legs)

    found = (await trade(ledger, 1)).trade
    assert (done.status, done.net_pnl) == ("closed", "83.70")
    assert (found.structure, found.direction, found.initial_risk) == (
        "vertical", "bullish", "885.00",
    )  # fmt: skip


async def test_legs_of_every_kind_are_understood(ledger: Store) -> None:
    """500 - 200 + 50 x 2 + 0.5 x 1000 = 900."""
    legs = [
        "buy 100 shares @50 exit 55",
        "sell 1 call 55 2026-02-20 @ 1 exit 3",
        "buy 1 future x2 @ 100 exit 150",
        "buy 0.5 crypto @ 60000 exit 61000",
    ]

    done = await say(ledger, "record_trade", **SPREAD, closed_at=LATER, legs=legs)

    assert done.net_pnl == "900.00"


@pytest.mark.parametrize(
    ("said", "text"),
    [(1.1, "1.1"), (0.1, "0.1"), (2.675, "2.675"), (1e-07, "1e-07"), (100, "100"),
     (123456789.012345, "123456789.012345"), ("2.50", "2.50"), (-0.03, "-0.03")],
)  # fmt: skip
def test_a_number_of_json_is_read_by_its_shortest_text(said: Any, text: str) -> None:
    assert number_text(said) == text
    assert Decimal(text) == Decimal(str(said))


@pytest.mark.parametrize("said", [True, float("nan"), float("inf"), 0.1234567890123456])
def test_a_number_that_may_have_been_another_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="accepted"):
        number_text(said)


@pytest.mark.parametrize(
    ("zone", "opened_at"),
    [("account", "2026-01-05T10:15:00"), ("Europe/London", "2026-01-05T15:15"),
     ("account", "2026-01-05T15:15Z"), (None, "2026-01-05T16:15+01:00")],
)  # fmt: skip
async def test_a_moment_has_an_offset_or_a_zone_is_named(
    ledger: Store, zone: str | None, opened_at: str
) -> None:
    await say(ledger, "record_trade", **{**SHARES, "opened_at": opened_at}, zone=zone)

    assert (await trade(ledger, 1)).trade.opened_at.isoformat() == "2026-01-05T15:15:00+00:00"


MISSING_PRICE = {name: value for name, value in SHARES.items() if name != "entry_price"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({**SHARES, "opened_at": "2026-01-05T10:15:00"},
         "opened_at is '2026-01-05T10:15:00'; it has no offset from UTC: add it (-05:00), or say"
         " whose clock it is by zone."),
        ({**SHARES, "opened_at": "2026-03-08T02:30:00", "zone": "account"},
         "opened_at is '2026-03-08T02:30:00'; clocks in America/New_York skipped this moment; add"
         " its offset."),
        ({**SHARES, "opened_at": "2025-11-02T01:30:00", "zone": "account"},
         "opened_at is '2025-11-02T01:30:00'; clocks in America/New_York showed this twice; add"
         " its offset."),
        ({**SHARES, "opened_at": "yesterday"},
         "opened_at is 'yesterday'; a moment such as 2026-01-31T15:30:00-05:00 is needed."),
        ({**SHARES, "zone": "Mars"},
         "No time zone 'Mars'; a name such as America/New_York is accepted."),
        (MISSING_PRICE, "entry_price: a price is needed."),
        ({**SHARES, "quantity": "1,000"},
         "quantity is '1,000'; a number such as 1234.56 is needed (no thousands separator, no"
         " currency)."),
        ({**SHARES, "quantity": "-5"}, "quantity is '-5'; input should be greater than 0."),
        ({**SHARES, "entry_price": "-1"},
         "Leg 1 (equity) has a fill at -1.00000000; a price of 0 or more is accepted."),
        ({**SHARES, "side": "up"}, "side is 'up'; one of long, short is needed."),
        ({**SHARES, "option_type": "call"},
         "strike: an option needs option_type, strike and expiry."),
        ({**SHARES, "exit_price": "12"}, "closed_at: an exit price needs it."),
        ({**SHARES, "closed_at": LATER},
         "exit_price: closed_at needs one, of each leg where there are several."),
        ({**SHARES, "exit_reason": "stop"},
         "exit_reason is 'stop'; only a trade with an exit has one."),
        ({**SHARES, **SOLD, "closed_at": "2026-01-05T10:14:59-05:00"},
         "closed_at is '2026-01-05T10:14:59-05:00'; it is before opened_at."),
        ({**SHARES, "scanner_score": "101"},
         "scanner_score is '101'; input should be less than or equal to 100."),
        ({**SHARES, "conditions": ["regime"]},
         "conditions is 'regime'; name=value is accepted, such as regime=trending."),
        ({**SHARES, "conditions": ["vix=1", "VIX =2"]},
         "conditions is 'VIX =2'; the same name is there twice."),
        ({**SHARES, "account": "mian"}, "No account 'mian'. Known accounts: main."),
        ({**SHARES, "legs": [PUT]}, "quantity is '100'; beside legs each leg says its own."),
        ({**SPREAD, "legs": [PUT] * 9}, "legs is '9 legs'; 1 to 8 are accepted."),
        ({**SPREAD, "legs": [PUT, "sell one"]},
         "leg 2 is 'sell one'; accepted is 'sell 1 put 450 2026-01-16 @ 2.15 fee 0.65 exit 0.40"
         " fee 0.65': buy or sell, quantity, then call or put with strike and expiry, or shares,"
         " crypto or future; x50 for a multiplier; @ and the price; fee, exit and the exit's fee"
         " where known."),
        ({**SPREAD, "legs": [PUT, "buy 1 put 440 16.1.2026 @ 1"]},
         "leg 2 is 'buy 1 put 440 16.1.2026 @ 1'; expiry is '16.1.2026'; a day such as 2026-01-31"
         " is needed."),
        ({**SPREAD, "legs": [f"{PUT} exit 0.40"]},
         f"leg 1 is '{PUT} exit 0.40'; closed_at: an exit price needs it."),
        ({**SPREAD, "legs": ["buy 1 future @ 4500"]},
         "Leg 1 (future) needs its multiplier (currency per point); it is never guessed."),
    ],
)  # fmt: skip
async def test_what_is_refused_is_named_with_what_is_accepted(
    ledger: Store, said: dict[str, Any], words: str
) -> None:
    assert await refusal(ledger, "record_trade", **said) == words


async def test_a_refusal_of_hostile_text_is_short_and_printable(ledger: Store) -> None:
    for said in (
        {**SPREAD, "legs": ["\x1b[2J" * 10_000]},
        {**SHARES, "conditions": ["\u202e" * 10_000 + "=1"]},
        {**SHARES, "quantity": "\u202e9" * 10_000},
    ):
        words = await refusal(ledger, "record_trade", **said)
        assert len(words) < 600
        assert words.isprintable()


async def test_the_same_entry_again_is_refused_unless_a_key_says_it_is_another(
    ledger: Store,
) -> None:
    await say(ledger, "record_trade", **SHARES)

    assert await refusal(ledger, "record_trade", **{**SHARES, "account": "Main"}) == (
        "Trade 1 has the same account, ticker, moment of entry, size and price: nothing was"
        " written. If this is another one, give it a key of its own."
    )
    assert (await say(ledger, "record_trade", **SHARES, key="2")).number == 2
    assert (await say(ledger, "record_trade", **{**SHARES, "side": "short"})).number == 3
    await say(ledger, "void_trade", number=1, reason="a test")
    await say(ledger, "void_trade", number=2, reason="a test")
    assert (await say(ledger, "record_trade", **SHARES)).number == 4


async def test_the_same_fill_again_is_refused_unless_a_key_says_it_is_another(
    ledger: Store,
) -> None:
    await say(ledger, "record_trade", **SHARES)
    fill = {"number": 1, "side": "sell", "quantity": "10", "price": "11", "filled_at": LATER}
    await say(ledger, "add_fill", **fill)

    assert await refusal(ledger, "add_fill", **fill) == (
        "Leg 1 of trade 1 has this fill already (same side, quantity, price and moment): nothing"
        " was written. If this is another one, give it a key of its own."
    )
    await say(ledger, "add_fill", **fill, execution_id="E-2")
    await say(ledger, "add_fill", **fill, key="another")
    assert [one.quantity for one in (await trade(ledger, 1)).fills] == ["100", "10", "10", "10"]
    assert await refusal(ledger, "add_fill", **fill, execution_id="E-2") == (
        "An execution id occurs twice in trade 1."
    )


async def test_the_same_note_again_is_refused_unless_a_key_says_it_is_another(
    ledger: Store,
) -> None:
    await say(ledger, "record_trade", **SHARES)
    await say(ledger, "add_note", number=1, body="too early\nagain")

    assert (await refusal(ledger, "add_note", number=1, body="too early\nagain")).startswith(
        "Trade 1 has this note already: nothing was written."
    )
    await say(ledger, "add_note", number=1, body="too early\nagain", key="once more")
    async with ledger.read() as session:
        found = await get_trade(session, number=1, notes=True)
    assert [note.untrusted_note for note in found.notes or []] == ["too early\nagain"] * 2


async def test_a_trade_is_scaled_closed_in_part_and_closed(ledger: Store) -> None:
    """100 at 10.00 and 100 at 11.00; 50 out of the first at 12.00 (+100), the other 50 of the
    first at 13.00 (+150) and 100 of the second (+200); fees 1 + 0.5 + 2."""
    await say(ledger, "record_trade", **SHARES)
    more = {"number": 1, "filled_at": "2026-01-06T15:00Z"}
    scaled = await say(ledger, "add_fill", **more, side="buy", quantity="100", price="11")
    partly = await say(
        ledger, "add_fill", number=1, side="sell", quantity="50", price="12", fee="0.5",
        filled_at="2026-01-07T15:00Z",
    )  # fmt: skip
    closed = await say(
        ledger, "close_trade", number=1, price="13", fee="2", closed_at=LATER, exit_reason="target"
    )

    assert [one.status for one in (scaled, partly, closed)] == ["open", "open", "closed"]
    assert (closed.net_pnl, closed.outcome) == ("446.50", "win")


async def test_the_rest_of_a_fill_through_zero_is_named(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES)

    done = await say(
        ledger, "add_fill", number=1, side="sell", quantity="150", price="10", filled_at=LATER
    )

    assert (done.status, done.net_pnl, done.next_number) == ("closed", "-1.00", 2)
    assert done.summary.endswith("; the rest of the fill opened trade 2.")


async def test_a_spread_is_closed_at_a_price_for_each_leg(ledger: Store) -> None:
    await say(ledger, "record_trade", **SPREAD, legs=[PUT, BELOW])

    assert await refusal(ledger, "close_trade", number=1, price="0.30", closed_at=LATER) == (
        "Trade 1 has 2 legs; give each open leg its own by prices, such as '1 @ 0.40'."
    )
    sold = {"side": "sell", "quantity": "1", "price": "1", "filled_at": LATER}
    assert await refusal(ledger, "add_fill", number=1, **sold) == (
        "Trade 1 has 2 legs; say by leg which of them the fill is of."
    )
    assert await refusal(ledger, "close_trade", number=1, prices=["1 @ 0.4"], closed_at=LATER) == (
        "Trade 1 would stay open: the fills do not flatten every leg."
    )
    done = await say(
        ledger, "close_trade", number=1, prices=["1 @ 0.40 fee 0.65", "2 @0.10"], closed_at=LATER
    )
    assert done.net_pnl == "83.70"


@pytest.mark.parametrize(
    ("said", "net"),
    [
        # The premium of 2.15 kept, less 0.65.
        ({"how": "expired"}, "214.35"),
        # (2.15 - (450 - 445)) x 100 - 0.65.
        ({"how": "settled", "underlying_price": "445"}, "-285.65"),
    ],
)
async def test_an_option_ends_by_expiry_or_settlement(
    ledger: Store, said: dict[str, Any], net: str
) -> None:
    await say(ledger, "record_trade", **SPREAD, legs=[PUT])

    done = await say(ledger, "close_trade", number=1, closed_at="2026-01-16T21:00Z", **said)

    assert (done.status, done.net_pnl) == ("closed", net)


async def test_delivered_shares_stay_in_the_trade_until_they_are_sold(ledger: Store) -> None:
    """The premium of 215 less 0.65, then 100 shares from 450 to 455."""
    await say(ledger, "record_trade", **SPREAD, legs=[PUT])
    on = {"number": 1, "closed_at": "2026-01-16T21:00Z"}

    held = await say(ledger, "close_trade", **on, how="delivered", leg=1)
    done = await say(
        ledger, "close_trade", number=1, prices=["2 @ 455"], closed_at="2026-01-20T15:00Z"
    )

    assert (held.status, done.status, done.net_pnl) == ("open", "closed", "714.35")


async def test_contracts_delivered_one_by_one_are_not_delivered_twice(ledger: Store) -> None:
    await say(ledger, "record_trade", **SPREAD, legs=[PUT.replace("1 put", "3 put")])
    one = {
        "number": 1, "closed_at": "2026-01-14T21:00Z", "how": "delivered", "leg": 1,
        "quantity": "1",
    }  # fmt: skip
    await say(ledger, "close_trade", **one)

    assert (await refusal(ledger, "close_trade", **one)).startswith(
        "Leg 1 of trade 1 has this fill already"
    )
    await say(ledger, "close_trade", **one, key="the second of them")
    await say(ledger, "close_trade", **{**one, "closed_at": "2026-01-15T21:00Z"})
    assert await refusal(ledger, "close_trade", **one) == (
        "Leg 1 of trade 1 is not an open option."
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"price": "12", "closed_at": "2026-01-05T15:00Z"},
         "closed_at is '2026-01-05T15:00Z'; a moment after the entry is needed."),
        ({"closed_at": LATER}, "price: the price at which it was closed is needed."),
        ({"closed_at": LATER, "how": "expired", "price": "0"},
         "price is '0'; how expired takes nothing but closed_at."),
        ({"closed_at": LATER, "how": "expired"},
         "Leg 1 of trade 1 is no option and cannot expire."),
        ({"closed_at": LATER, "how": "settled"}, "underlying_price: cash settlement needs it."),
        ({"closed_at": LATER, "how": "delivered"},
         "leg: the number of the option's leg is needed."),
        ({"closed_at": LATER, "prices": ["first at 3"]},
         "prices is 'first at 3'; a leg's number, @ and its price, such as '1 @ 0.40 fee 0.65', is"
         " accepted."),
        ({"closed_at": LATER, "prices": ["1 @ 3", "1 @ 4"]},
         "prices is '1 @ 4'; leg 1 has a price already."),
        ({"closed_at": LATER, "prices": ["2 @ 3"]}, "Trade 1 has no leg 2. Its legs: 1."),
        ({"closed_at": LATER, "price": "1", "exit_reason": "luck"},
         "No exit reason of this name. Known: target, stop, trailing_stop, time, signal, manual,"
         " expired, assigned, exercised, settled, other."),
    ],
)  # fmt: skip
async def test_a_close_that_does_not_fit_is_refused(
    ledger: Store, said: dict[str, Any], words: str
) -> None:
    await say(ledger, "record_trade", **SHARES)

    assert await refusal(ledger, "close_trade", number=1, **said) == words


async def test_a_closed_trade_takes_no_fill(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES, **SOLD)
    fill = {"number": 1, "side": "sell", "quantity": "1", "price": "1", "filled_at": LATER}

    assert await refusal(ledger, "add_fill", **fill) == (
        "Trade 1 is closed and locked; what is wrong in it is restated by a correction,"
        " or the trade is voided."
    )
    assert await refusal(ledger, "close_trade", number=1, price="1", closed_at=LATER) == (
        "Trade 1 is closed and locked; what is wrong in it is restated by a correction,"
        " or the trade is voided."
    )


@pytest.mark.parametrize("name", ["add_fill", "close_trade", "correct_trade", "add_note",
                                  "void_trade"])  # fmt: skip
async def test_an_unknown_trade_is_not_found(ledger: Store, name: str) -> None:
    said: dict[str, dict[str, Any]] = {
        "add_fill": {"side": "buy", "quantity": "1", "price": "1", "filled_at": AT},
        "close_trade": {"price": "1", "closed_at": AT},
        "correct_trade": {"reason": "typing error", "entry_price": "1"},
        "add_note": {"body": "x"},
        "void_trade": {"reason": "x"},
    }

    with pytest.raises(NotFound, match=r"^No trade 7\.$"):
        await say(ledger, name, number=7, **said[name])


# Corrections: only what was wrong is said.


async def test_a_wrong_price_is_corrected_alone(ledger: Store) -> None:
    """(12.50 - 10.00) x 100 - 2.25 = 247.75; all else is as it was."""
    await say(
        ledger, "record_trade", **SHARES, **SOLD, exit_reason="target", strategy="swing",
        stop_loss="9.50", external_id="X-1", broker_order_id="B-1", conditions=["vix=18.5"],
    )  # fmt: skip

    done = await say(ledger, "correct_trade", number=1, reason="typing error", exit_price="12.50")

    assert (done.number, done.corrects, done.net_pnl) == (2, 1, "247.75")
    # The risk is 0.50 x 100: 197.75 / 50 and 247.75 / 50.
    assert {one.field: (one.was, one.now) for one in done.changes or []} == {
        "exit_price": ("12", "12.5"),
        "gross_pnl": ("200.00", "250.00"),
        "net_pnl": ("197.75", "247.75"),
        "r_multiple": ("3.955", "4.955"),
        "fill 2": (
            "leg_number 1 side sell quantity 100 price 12 fee 1.25 filled_at 2026-01-08T20:30:00Z"
            " kind trade",
            "leg_number 1 side sell quantity 100 price 12.5 fee 1.25 filled_at 2026-01-08T20:30:00Z"
            " kind trade",
        ),
    }
    assert (await trade(ledger, 1)).trade.status == "superseded"


async def test_a_corrected_correction_restores_the_original(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES, **SOLD, strategy="swing")
    wrong = {"quantity": "10", "opened_at": "2026-01-06T15:00Z", "strategy": "other"}
    right = {"quantity": "100", "opened_at": AT, "strategy": "swing"}

    await say(ledger, "correct_trade", number=1, reason="so they said", **wrong)
    await say(ledger, "correct_trade", number=2, reason="it was right", **right)

    first, last = await trade(ledger, 1), await trade(ledger, 3)
    own = {"number", "status"}
    assert first.trade.model_dump(exclude=own) == last.trade.model_dump(exclude=own)
    assert (first.legs, first.fills) == (last.legs, last.fills)


async def test_facts_of_a_spread_are_corrected_and_what_follows_from_legs_follows(
    ledger: Store,
) -> None:
    """Two each: (2.15 - 0.40 - 1.00 + 0.10) x 200 = 170, less 0.65; the strikes were swapped."""
    legs = [f"{PUT} exit 0.40", f"{BELOW} exit 0.10"]
    await say(ledger, "record_trade", **SPREAD, closed_at=LATER, legs=legs)

    facts = await say(
        ledger, "correct_trade", number=1, reason="the score was misread", scanner_score="70"
    )
    assert [one.field for one in facts.changes or []] == ["scanner_score"]
    assert await refusal(ledger, "correct_trade", number=2, reason="x", entry_price="1") == (
        "Trade 2 has 2 legs and 4 fills; give them all anew by fills, or by legs, each with its"
        " entry and its exit."
    )
    again = [
        "sell 2 put 440 2026-01-16 @ 2.15 fee 0.65 exit 0.40",
        "buy 2 put 450 2026-01-16 @ 1.00 exit 0.10",
    ]
    done = await say(ledger, "correct_trade", number=2, reason="wrong strikes", legs=again)
    assert (done.net_pnl, (await trade(ledger, 3)).trade.direction) == ("169.35", "bearish")


async def test_every_fill_of_a_scaled_trade_is_restated(ledger: Store) -> None:
    """10 at 5.00 and 10 at 6.00, out at 7.00: 20 + 10 - 1 = 29; the second was at 6.50: 24."""
    first = "1 buy 10 @ 5 fee 1 at 2026-01-05T15:15:00Z"
    await say(
        ledger, "record_trade", account="main", ticker="AAPL", opened_at="2026-01-05T15:15:00Z",
        quantity="10", entry_price="5", entry_fee="1",
    )  # fmt: skip
    more = {"number": 1, "side": "buy", "quantity": "10", "price": "6"}
    await say(ledger, "add_fill", **more, filled_at="2026-01-06T15:00Z", execution_id="E-1")
    await say(ledger, "close_trade", number=1, price="7", closed_at=LATER)
    fills = [first, "1 buy 10 @ 6.50 at 2026-01-06T10:00:00", f"1 SELL 20 @7 at {LATER}"]

    done = await say(
        ledger, "correct_trade", number=1, reason="misread", fills=fills, zone="account"
    )

    assert done.net_pnl == "24.00"
    async with ledger.read() as session:
        found = await session.execute(
            select(Fill.execution_id).where(Fill.trade_number == 2).order_by(Fill.fill_number)
        )
    assert [row.execution_id for row in found] == [None, "E-1", None]


async def test_an_expired_option_stays_expired_when_another_field_was_wrong(
    ledger: Store,
) -> None:
    await say(ledger, "record_trade", **SPREAD, legs=[PUT])
    await say(ledger, "close_trade", number=1, how="expired", closed_at="2026-01-16T21:00Z")

    await say(ledger, "correct_trade", number=1, reason="misread", strike="445")

    found = await trade(ledger, 2)
    assert (found.trade.exit_reason, found.fills[-1].kind) == ("expired", "expired")
    assert found.legs[0].strike == "445"


async def test_a_field_is_emptied_and_a_condition_replaced(ledger: Store) -> None:
    conditions = ["vix=18.5", "regime=bull"]
    await say(ledger, "record_trade", **SHARES, **SOLD, stop_loss="9", conditions=conditions)

    await say(
        ledger, "correct_trade", number=1, reason="no stop was set", conditions=["Regime=bear"],
        clear=["stop_loss", "condition.VIX"],
    )  # fmt: skip

    found = await trade(ledger, 2)
    assert (found.trade.stop_loss, found.conditions) == (None, {"regime": "bear"})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "Nothing of this differs from trade 1; say what was wrong in it."),
        ({"entry_price": "10"}, "Nothing of this differs from trade 1; say what was wrong in it."),
        ({"clear": ["net_pnl"]},
         "clear is 'net_pnl'; accepted are stop_loss, take_profit, scanner_score, ai_score, delta,"
         " gamma, theta, vega, iv, strategy, structure, stop_order_id, target_order_id,"
         " exit_reason, condition.vix."),
        ({"fills": ["1 buy 100 @ 10 at 2026-01-05"]},
         "fills is '1 buy 100 @ 10 at 2026-01-05'; filled_at is '2026-01-05'; a moment such as"
         " 2026-01-31T15:30:00-05:00 is needed."),
        ({"fills": ["2 buy 100 @ 10 at 2026-01-05T15:00Z"]},
         "fills: each of the 1 legs needs its own."),
        ({"fills": ["x"], "legs": [PUT]}, "legs: fills say it already."),
        ({"fills": ["x"], "entry_price": "2"}, "entry_price is '2'; fills say it already."),
    ],
)  # fmt: skip
async def test_a_correction_that_does_not_fit_is_refused(
    ledger: Store, said: dict[str, Any], words: str
) -> None:
    await say(ledger, "record_trade", **SHARES, **SOLD, conditions=["vix=18.5"])

    assert await refusal(ledger, "correct_trade", number=1, reason="x", **said) == words


async def test_only_a_closed_trade_is_corrected(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES)
    wrong = {"number": 1, "reason": "misread", "entry_price": "11"}
    assert await refusal(ledger, "correct_trade", **wrong) == (
        "Trade 1 is open; only a closed trade is corrected. One recorded wrongly is voided"
        " (void_trade) and recorded anew."
    )
    await say(ledger, "close_trade", number=1, price="12", closed_at=LATER)
    await say(ledger, "correct_trade", **wrong)

    with pytest.raises(Conflict, match=r"^Trade 1 is superseded; only a closed trade"):
        await say(ledger, "correct_trade", **wrong)


async def test_a_trade_with_delivered_shares_is_not_restated(ledger: Store) -> None:
    await say(ledger, "record_trade", **SPREAD, legs=[PUT])
    await say(
        ledger, "close_trade", number=1, closed_at="2026-01-16T21:00Z", how="delivered", leg=1
    )
    await say(ledger, "close_trade", number=1, prices=["2 @ 455"], closed_at="2026-01-20T15:00Z")

    with pytest.raises(Invalid, match=r"^Shares were delivered in trade 1, which a restatement"):
        await say(ledger, "correct_trade", number=1, reason="misread", scanner_score="70")


# Keys and rehearsals.

STORY: list[tuple[str, dict[str, Any]]] = [
    ("record_trade", SHARES),
    ("add_fill", {"number": 1, "side": "sell", "quantity": "40", "price": "11",
                  "filled_at": "2026-01-06T15:00Z"}),
    ("add_note", {"number": 1, "body": "too early"}),
    ("close_trade", {"number": 1, "price": "12", "closed_at": LATER}),
    ("correct_trade", {"number": 1, "reason": "misread", "stop_loss": "9"}),
    ("record_trade", {**SPREAD, "legs": [PUT, BELOW]}),
    ("void_trade", {"number": 3, "reason": "never happened"}),
]  # fmt: skip


async def test_every_command_is_done_once_under_its_key(ledger: Store) -> None:
    first = [await say(ledger, name, **said, key=f"k{i}") for i, (name, said) in enumerate(STORY)]
    before = await rows(ledger)

    again = [await say(ledger, name, **said, key=f"k{i}") for i, (name, said) in enumerate(STORY)]

    assert await rows(ledger) == before
    assert {one.replayed for one in first} == {False}
    assert {one.replayed for one in again} == {True}
    assert [one.number for one in again] == [one.number for one in first]
    assert again[0].summary.startswith(
        "This was done before under the same key, nothing was written now: trade 1 is superseded"
    )


async def test_a_key_says_one_thing_only(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES, key="k")

    with pytest.raises(Conflict, match="under the same key with other content"):
        await say(ledger, "record_trade", **{**SHARES, "quantity": "99"}, key="k")


async def test_a_rehearsal_shows_all_and_writes_nothing(ledger: Store) -> None:
    for place, (name, said) in enumerate(STORY):
        before = await rows(ledger)

        shown = await rehearse(ledger, name, **said, key=f"k{place}")

        assert await rows(ledger) == before
        done = await say(ledger, name, **said, key=f"k{place}")
        assert shown.summary.startswith("Dry run, nothing was written. ")
        assert (shown.dry_run, done.dry_run, done.replayed) == (True, False, False)
        assert (shown.number, shown.status, shown.net_pnl) == (
            done.number, done.status, done.net_pnl,
        )  # fmt: skip
        recorded = await trade(ledger, done.number)
        assert (shown.trade, shown.fills) == (recorded.trade, recorded.fills)
        assert shown.changes == done.changes


async def test_a_rehearsal_is_refused_as_the_command_would_be(ledger: Store) -> None:
    await say(ledger, "record_trade", **SHARES)

    with pytest.raises(Conflict, match=r"^Trade 1 has the same account"):
        await rehearse(ledger, "record_trade", **SHARES)
    with pytest.raises(Invalid, match=r"^quantity"):
        await rehearse(ledger, "record_trade", **{**SHARES, "quantity": "0"})
