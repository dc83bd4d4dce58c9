"""Trades of two accounts matched one to one, and the slippage between them."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from store.accounts import AccountEntry, put_account
from store.comparing import Comparison, compare
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Invalid, NotFound
from store.importing import import_file
from store.recording import open_trade
from store.records import FillEntry, LegEntry, TradeEntry
from store.schema import add_user
from tests.importers.reading import read_trades
from tests.server.running import trade_history

SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "option_omega"
BACKTEST, LIVE = SAMPLES / "ema-tradelog.csv", SAMPLES / "ema-strategy-trade-log.csv"
FIRST, SECOND = AccountEntry(name="backtest", mode="paper"), AccountEntry(name="main", mode="live")
AT = "2026-01-05T15:00"
EXPIRY = date(2026, 1, 16)


@pytest.fixture(autouse=True)
async def accounts(store: Store) -> None:
    await have(store, FIRST, SECOND)


async def have(store: Store, *entries: AccountEntry, user: int | None = None) -> None:
    async with store.write(user) as session:
        for entry in entries:
            await put_account(session, entry)


async def put(
    store: Store, account: str, *legs: str, at: str = AT, ticker: str = "SPX",
    user: int | None = None, strategy: str | None = None,
) -> int:  # fmt: skip
    """Record a trade entered at `at` (UTC) and ended an hour later."""
    entry = entered(account, *legs, at=at, ticker=ticker, strategy=strategy)
    async with store.write(user) as session:
        return (await open_trade(session, entry)).number


def entered(
    account: str, *legs: str, at: str = AT, ticker: str = "SPX", strategy: str | None = None
) -> TradeEntry:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return TradeEntry(
        account=account,
        ticker=ticker,
        strategy=strategy,
        legs=tuple(leg(text, moment) for text in legs),
    )


def leg(text: str, at: datetime) -> LegEntry:
    """`sell 2 put 450 @ 2.15 > 0.40 fee 1.30`: what, then the prices of entry and exit; shares
    without an option, open without an exit."""
    words = text.split()
    side: Literal["buy", "sell"] = "buy" if words[0] == "buy" else "sell"
    rest = words[words.index("@") :]
    fills = [
        FillEntry(
            side=side, quantity=Decimal(words[1]), price=Decimal(rest[1]), filled_at=at,
            fee=Decimal(rest[rest.index("fee") + 1] if "fee" in rest else 0),
        )
    ]  # fmt: skip
    if ">" in rest:
        away: Literal["buy", "sell"] = "sell" if side == "buy" else "buy"
        fills.append(
            FillEntry(
                side=away, quantity=Decimal(words[1]), price=Decimal(rest[3]),
                filled_at=at + timedelta(hours=1),
            )
        )  # fmt: skip
    if words[2] == "@":
        return LegEntry(instrument="equity", fills=tuple(fills))
    return LegEntry(
        instrument="option",
        option_type="call" if words[2] == "call" else "put",
        strike=Decimal(words[3]),
        expiry=EXPIRY,
        fills=tuple(fills),
    )


async def compared(store: Store, *names: str, **days: Any) -> Comparison:
    async with store.read() as session:
        return await compare(session, *(names or ("backtest", "main")), **days)


def numbers(found: Comparison) -> list[tuple[int, int]]:
    return [(pair.account.number, pair.other.number) for pair in found.pairs]


def said(*amounts: Decimal | None) -> str:
    return " ".join("-" if one is None else f"{one.normalize() + 0:f}" for one in amounts)


def alone(found: Comparison) -> list[list[int]]:
    return [[one.number for one in book.unmatched] for book in (found.account, found.other)]


async def test_a_spread_is_one_pair_whatever_the_order_of_its_legs(store: Store) -> None:
    """Received 1.15 and 1.08, paid 0.30 and 0.36: 0.07 and 0.06 on 2 x 100, then 2.60 of fees."""
    await put(store, "backtest", "sell 2 put 450 @ 2.15 > 0.40", "buy 2 put 440 @ 1.00 > 0.10")
    await put(
        store, "main", "buy 2 put 440 @ 1.02 > 0.09", "sell 2 put 450 @ 2.10 > 0.45 fee 2.60",
        at="2026-01-05T15:04",
    )  # fmt: skip

    found = await compared(store)

    [pair] = found.pairs
    assert (pair.day, pair.account.number, pair.other.number) == (date(2026, 1, 5), 1, 2)
    assert (pair.entry_slippage, pair.exit_slippage) == (Decimal("0.07"), Decimal("0.06"))
    assert said(pair.entry_amount, pair.exit_amount, pair.amount) == "14 12 26"
    assert (pair.fees_difference, pair.net_difference) == (Decimal("2.6"), Decimal("-28.6"))
    assert (pair.per_unit, pair.ambiguous) == (False, False)
    total = found.slippage
    assert total.n == 1
    assert said(total.entry, total.exit, total.total, total.mean) == "14 12 26 26"
    assert said(found.account.fees, found.other.fees) == "0 2.6"
    assert said(found.account.net_pnl, found.other.net_pnl) == "170 141.4"


@pytest.mark.parametrize(
    ("here", "there", "entry", "exit_"),
    [
        ("buy 100 @ 10 > 12", "buy 100 @ 10.02 > 11.95", "0.02", "0.05"),
        ("buy 100 @ 10 > 12", "buy 100 @ 9.99 > 12.03", "-0.01", "-0.03"),
        ("sell 100 @ 10 > 8", "sell 100 @ 9.90 > 8.04", "0.10", "0.04"),
        ("sell 100 put 450 @ 10 > 8", "sell 100 put 450 @ 10.10 > 8", "-0.10", "0"),
    ],
)
async def test_slippage_is_above_0_where_the_second_account_did_worse(
    store: Store, here: str, there: str, entry: str, exit_: str
) -> None:
    await put(store, "backtest", here)
    await put(store, "main", there)

    [pair] = (await compared(store)).pairs

    assert (pair.entry_slippage, pair.exit_slippage) == (Decimal(entry), Decimal(exit_))
    assert pair.amount == (Decimal(entry) + Decimal(exit_)) * 100 * (100 if "put" in here else 1)
    assert pair.net_difference == -pair.amount


async def test_other_quantities_are_compared_at_the_second_ones_and_per_unit(store: Store) -> None:
    """(0.10 + 0.05) x 40 = 6; net 199 of 100 and 73 of 40: 1.825 - 1.99; fees 0.025 - 0.01."""
    await put(store, "backtest", "buy 100 @ 10 > 12 fee 1")
    await put(store, "main", "buy 40 @ 10.10 > 11.95 fee 1")

    [pair] = (await compared(store)).pairs

    assert pair.per_unit
    assert said(pair.amount, pair.entry_amount, pair.exit_amount) == "6 4 2"
    assert (pair.fees_difference, pair.net_difference) == (Decimal("0.015"), Decimal("-0.165"))


async def test_amounts_are_exact_where_average_prices_are_not(store: Store) -> None:
    """3 shares for 4.00 are 1.33333333 each; for 3.00 they are 1.00 cheaper, not 0.99999999."""
    at = datetime(2026, 1, 5, 15, tzinfo=UTC)
    scaled = [
        FillEntry(side="buy", quantity=Decimal(2), price=Decimal(1), filled_at=at),
        FillEntry(side="buy", quantity=Decimal(1), price=Decimal(2), filled_at=at),
        FillEntry(side="sell", quantity=Decimal(3), price=Decimal(2), filled_at=at),
    ]
    async with store.write() as session:
        legs = (LegEntry(instrument="equity", fills=tuple(scaled)),)
        await open_trade(session, TradeEntry(account="backtest", ticker="SPX", legs=legs))
    await put(store, "main", "buy 3 @ 1 > 2")

    [pair] = (await compared(store)).pairs

    assert pair.entry_slippage == Decimal("-0.33333333")
    assert said(pair.entry_amount, pair.exit_amount, pair.amount) == "-1 0 -1"


@pytest.mark.parametrize(
    ("legs", "at", "ticker"),
    [
        (["sell 1 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], AT, "SPY"),
        (["sell 1 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], "2026-01-06T15:00", "SPX"),
        (["sell 1 put 455 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], AT, "SPX"),
        (["sell 1 call 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], AT, "SPX"),
        (["buy 1 put 450 @ 2 > 1", "sell 1 put 440 @ 1 > 1"], AT, "SPX"),
        (["sell 2 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], AT, "SPX"),
        (["sell 1 put 450 @ 2 > 1"], AT, "SPX"),
        (["sell 1 put 450 @ 2 > 1", "sell 1 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1"], AT, "SPX"),
        (["sell 1 put 450 @ 2 > 1", "buy 1 @ 440 > 1"], AT, "SPX"),
    ],
)
async def test_trades_that_are_not_alike_have_no_match(
    store: Store, legs: list[str], at: str, ticker: str
) -> None:
    await put(store, "backtest", "sell 1 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1")
    await put(store, "main", *legs, at=at, ticker=ticker)

    found = await compared(store)

    assert (numbers(found), alone(found)) == ([], [[1], [2]])
    assert found.slippage.n == 0
    assert said(found.slippage.total, found.slippage.mean) == "0 -"


async def test_the_same_ratio_of_other_quantities_is_the_same_trade(store: Store) -> None:
    await put(store, "backtest", "sell 2 put 450 @ 2 > 1", "buy 1 put 440 @ 1 > 1", strategy="a")
    await put(store, "main", "sell 6 put 450 @ 2 > 1", "buy 3 put 440 @ 1 > 1", strategy="b")

    assert numbers(await compared(store)) == [(1, 2)]


async def test_alike_trades_of_a_day_are_matched_in_order_of_entry(store: Store) -> None:
    """Not in order of recording; at one moment by number."""
    for hour in ("15:00", "16:00", "15:00", "14:45"):
        await put(store, "backtest", "buy 1 @ 10 > 11", at=f"2026-01-05T{hour}")
    for hour in ("20:00", "15:01", "16:30", "15:01"):
        await put(store, "main", "buy 1 @ 10 > 11", at=f"2026-01-05T{hour}")

    found = await compared(store)

    assert numbers(found) == [(4, 6), (1, 8), (3, 7), (2, 5)]
    assert not any(pair.ambiguous for pair in found.pairs)


async def test_a_trade_of_one_is_matched_once_and_counted_in_no_total(store: Store) -> None:
    """Which of the two is missing in the other account nobody knows."""
    await put(store, "backtest", "buy 1 @ 10 > 11")
    await put(store, "backtest", "buy 1 @ 20 > 25", at="2026-01-05T17:00")
    await put(store, "backtest", "buy 1 @ 30 > 31", ticker="NDX")
    await put(store, "main", "buy 1 @ 20 > 25", at="2026-01-05T17:01")
    await put(store, "main", "buy 1 @ 32 > 31", ticker="NDX")

    found = await compared(store)
    swapped = await compared(store, "main", "backtest")

    assert (numbers(found), alone(found)) == ([(1, 4), (3, 5)], [[2], []])
    assert [pair.ambiguous for pair in found.pairs] == [True, False]
    assert (found.slippage.n, said(found.slippage.total)) == (1, "2")
    assert found.differing == {("win", "loss"): 1}  # 31 - 30 and 31 - 32.
    assert said(found.account.net_pnl, found.other.net_pnl) == "1 -1"
    assert (numbers(swapped), alone(swapped)) == ([(5, 3), (4, 1)], [[], [2]])
    assert said(swapped.slippage.total) == "-2"
    assert swapped.differing == {("loss", "win"): 1}


async def test_what_is_open_corrected_or_void_is_not_compared(store: Store) -> None:
    for account in ("backtest", "main"):
        await put(store, account, "buy 1 @ 10 > 11")
    await put(store, "backtest", "buy 1 @ 10", ticker="NDX")
    await put(store, "main", "buy 1 @ 10 > 12", ticker="RUT")
    async with store.write() as session:
        await correct_trade(session, 2, entered("main", "buy 1 @ 10 > 10.5"), reason="typing error")
        await void_trade(session, 4, reason="recorded twice")

    found = await compared(store)

    assert (numbers(found), alone(found)) == ([(1, 5)], [[], []])
    assert found.slippage.total == Decimal("0.5")
    assert (found.account.open, found.other.open) == (1, 0)


async def test_delivered_shares_are_no_part_of_an_entry(store: Store) -> None:
    """A put sold for 2 and bought back for 5, or assigned at 100 with the shares sold at 95,
    loses 300 in both."""
    await put(store, "backtest", "sell 1 put 100 @ 2 > 5")
    sold = leg("sell 1 put 100 @ 2 > 0", at := datetime(2026, 1, 5, 15, tzinfo=UTC))
    ended = sold.fills[1].model_copy(update={"kind": "assigned"})
    shares = leg("buy 100 @ 100 > 95", at + timedelta(hours=1))
    legs = (
        sold.model_copy(update={"fills": (sold.fills[0], ended)}),
        shares.model_copy(update={"delivered": True}),
    )
    async with store.write() as session:
        await open_trade(session, TradeEntry(account="main", ticker="SPX", legs=legs))

    [pair] = (await compared(store)).pairs

    assert said(pair.entry_amount, pair.exit_amount, pair.net_difference) == "0 0 0"


async def test_days_are_those_of_the_first_accounts_zone(store: Store) -> None:
    """23:30 UTC is the 5th in New York and the 6th in Berlin, 04:00 the 5th and the 6th too."""
    await have(store, AccountEntry(name="Xetra", mode="live", zone="Europe/Berlin"))
    await put(store, "backtest", "buy 1 @ 10 > 11", at="2026-01-05T20:00")
    await put(store, "Xetra", "buy 1 @ 10 > 11", at="2026-01-05T23:30")

    assert numbers(await compared(store, "backtest", "XETRA")) == [(1, 2)]
    assert numbers(await compared(store, "xetra", "backtest")) == []
    one_day = {"since": date(2026, 1, 5), "until": date(2026, 1, 6)}
    assert alone(await compared(store, "backtest", "Xetra", **one_day)) == [[], []]
    assert alone(await compared(store, "Xetra", "backtest", **one_day)) == [[], [1]]


async def test_a_period_is_of_days_of_entry_from_the_first_to_before_the_last(
    store: Store,
) -> None:
    """New York's midnight is 05:00 UTC."""
    for account in ("backtest", "main"):
        for at in ("2026-01-05T04:59", "2026-01-05T05:00", "2026-01-06T04:59", "2026-01-06T05:00"):
            await put(store, account, "buy 1 @ 10 > 11", at=at)
        await put(store, account, "buy 1 @ 10", at="2026-01-06T05:00")

    assert numbers(await compared(store, since=date(2026, 1, 5), until=date(2026, 1, 6))) == [
        (2, 7), (3, 8),
    ]  # fmt: skip
    later = await compared(store, since=date(2026, 1, 6))
    assert (numbers(later), later.account.open) == ([(4, 9)], 1)
    assert (await compared(store, until=date(2026, 1, 6))).other.open == 0


@pytest.mark.parametrize(("n", "enough"), [(19, False), (20, True)])
async def test_the_mean_has_an_interval_from_20_pairs_on(
    store: Store, n: int, enough: bool
) -> None:
    """1 to 20 are without skew, so Hall's interval is Student's: 10.5 -+ t(19, 95 %) sd / sqrt(n)
    = 1.729133 x sqrt(35 / 20) = 2.2874 (t from NIST's table, the variance is n (n + 1) / 12)."""
    for day in range(1, n + 1):
        at = f"2026-01-{day:02}T15:00"
        await put(store, "backtest", "buy 1 @ 100 > 50", at=at)
        await put(store, "main", f"buy 1 @ 100 > {50 - day}", at=at)

    total = (await compared(store)).slippage

    assert total.n == n
    assert total.total == n * (n + 1) // 2
    if enough:
        assert total.mean_low is not None
        assert total.mean_high is not None
        assert total.mean == Decimal("10.5")
        assert float(total.mean_low) == pytest.approx(10.5 - 2.2874, abs=0.001)
        assert float(total.mean_high) == pytest.approx(10.5 + 2.2874, abs=0.001)
    else:
        assert said(total.mean, total.mean_low, total.mean_high) == "10 - -"


async def test_slippage_that_is_always_the_same_has_no_interval(store: Store) -> None:
    for day in range(1, 21):
        at = f"2026-01-{day:02}T15:00"
        await put(store, "backtest", "buy 1 @ 100 > 50", at=at)
        await put(store, "main", "buy 1 @ 100.1 > 50", at=at)

    total = (await compared(store)).slippage

    assert (total.mean, total.mean_low, total.mean_high) == (Decimal("0.1"), None, None)


@pytest.mark.parametrize(
    ("names", "days", "kind", "words"),
    [
        (("backtest", "mian"), {}, NotFound,
         r"^No account 'mian'. Known accounts: backtest, main, Xetra.$"),
        (("main", "xetra"), {}, Invalid,
         r"^Account 'main' is in USD, 'Xetra' in EUR; two accounts of one currency are compared.$"),
        (("main", "MAIN"), {}, Invalid,
         r"^Account 'main' is named twice; two accounts are compared.$"),
        (("main", "backtest"), {"since": date(2026, 2, 1), "until": date(2026, 1, 1)}, Invalid,
         "^since 2026-02-01 is after until 2026-01-01.$"),
        (("main", "backtest"), {"until": date.max}, Invalid,
         "^until is 9999-12-31; a day from 1900 to 2199 is accepted.$"),
    ],
)  # fmt: skip
async def test_refusals(
    store: Store, names: tuple[str, str], days: dict[str, date], kind: type[Exception], words: str
) -> None:
    await have(store, AccountEntry(name="Xetra", mode="live", currency="EUR"))

    with pytest.raises(kind, match=words):
        await compared(store, *names, **days)


async def test_trades_of_another_user_are_not_seen(store: Store) -> None:
    await add_user(store, 2, "second")
    await have(store, FIRST, SECOND, user=2)
    await put(store, "backtest", "buy 1 @ 10 > 11")
    await put(store, "main", "buy 1 @ 10 > 11", user=2)
    await put(store, "backtest", "buy 1 @ 7 > 8", user=2)

    found = await compared(store)

    assert (numbers(found), alone(found)) == ([], [[1], []])


async def test_the_command_says_it_in_lines_and_in_json(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """4 x 5 of slippage; 10 - 10 and 9.95 - 10 differ in outcome."""
    await put(store, "backtest", "buy 100 @ 10 > 10")
    await put(store, "main", "buy 100 @ 10.02 > 9.97", at="2026-01-05T15:01")
    await put(store, "backtest", "buy 100 @ 10 > 12", ticker="NDX")

    code, output, errors = await trade_history(
        database_url, tmp_path, "compare", "Backtest", "main"
    )
    as_json = await trade_history(
        database_url, tmp_path, "compare", "backtest", "main", "--json", "--until", "2026-01-06"
    )

    assert (code, errors, as_json[0], as_json[2]) == (0, "", 0, "")
    lines = output.splitlines()
    assert lines[:4] == [
        "1 pairs of backtest (paper) and main (live), in USD, by days of America/New_York.",
        "Slippage 5.00: 2.00 at entry, 3.00 at exit; 5.00 a pair (n=1). Above 0, main did worse.",
        "Fees of the pairs: 0.00 and 0.00; net P&L: 0.00 and -5.00.",
        "Outcome breakeven in backtest, loss in main: 1.",
    ]
    assert [line.split() for line in lines[4:6]] == [
        ["day", "ticker", "trade", "with", "entry", "with_entry", "exit", "with_exit",
         "entry_slippage", "exit_slippage", "slippage_amount", "fees_difference",
         "net_difference"],
        ["2026-01-05", "SPX", "1", "2", "10", "10.02", "10", "9.97", "0.02", "0.03", "5.00",
         "0.00", "-5.00"],
    ]  # fmt: skip
    assert lines[6] == "Without a match in backtest: 1; open and not compared: 0."
    assert lines[8].split()[:2] == ["3", "NDX"]
    assert lines[9:] == ["Without a match in main: 0; open and not compared: 0."]
    told = json.loads(as_json[1])
    assert (told["n"], told["slippage_amount"], told["slippage_mean_low"]) == (1, "5.00", None)
    assert told["outcomes_differing"] == [{"account": "breakeven", "with": "loss", "n": 1}]
    assert [one["number"] for one in told["account"]["unmatched"]] == [3]
    assert told["with"]["net_pnl"] == "-5.00"
    [pair] = told["pairs"]
    assert (pair["account"]["number"], pair["with"]["number"]) == (1, 2)
    assert (pair["slippage"], pair["exit_amount"]) == ("0.05", "3.00")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["backtest", "mian"], 3, "trade-history: No account 'mian'."),
        (["main", "main"], 2, "trade-history: Account 'main' is named twice"),
        (["backtest", "main", "--since", "yesterday"], 2, "'yesterday' does not match"),
        (["backtest"], 2, "Missing argument 'WITH'"),
    ],
)
async def test_the_command_refuses_with_an_exit_code(
    database_url: str, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    found, output, errors = await trade_history(database_url, tmp_path, "compare", *arguments)

    assert (found, output) == (code, "")
    assert words in errors


# What the rows of the two logs of Option Omega come to, worked out from their text alone.
def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def alike(row: dict[str, str]) -> tuple[str, ...]:
    """Day and legs of a row, without contracts and prices; all are spreads of equal legs."""
    legs = (text.split() for text in row["Legs"].split("|"))
    return (row["Date Opened"][:10], *sorted(" ".join(words[1:-1]) for words in legs))


def in_pairs(live: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Rows of the backtest and of `live` where both have as many that are alike."""
    live = sorted(live, key=lambda row: row["Date Opened"])
    backtest = sorted(rows_of(BACKTEST), key=lambda row: (row["Date Opened"], row["Time Opened"]))
    for kind in {alike(row) for row in live}:
        ours = [row for row in backtest if alike(row) == kind]
        theirs = [row for row in live if alike(row) == kind]
        if len(ours) == len(theirs):
            yield from zip(ours, theirs, strict=True)


async def dealt(store: Store, live: Path) -> Comparison:
    async with store.write() as session:
        await import_file(session, read_trades(BACKTEST))
        await import_file(session, read_trades(live), take_good=True)
    return await compared(store, "Option Omega", "Option Omega live")


def fees_live(row: dict[str, str]) -> Decimal:
    """Its P/L is (premium - closing cost) x 100 x contracts - fees; that the cost is per contract
    and not per share, which makes P/L wrong, leaves them what they are."""
    premium, cost = Decimal(row["Initial Premium"]), Decimal(row["Avg. Closing Cost"])
    return (premium - cost) * 100 * Decimal(row["No. of Contracts"]) - Decimal(row["P/L"])


@pytest.mark.skipif(not LIVE.exists(), reason="the sample is not here")
async def test_a_backtest_and_its_live_log_differ_in_fees_only(store: Store) -> None:
    """5 of 384 live rows are refused; three of these had a twin on their day."""
    live = [row for row in rows_of(LIVE) if row["Date Opened"] <= row["Date Closed"]]
    pairs = list(in_pairs(live))
    fees = (
        [
            Decimal(row["Opening Commissions + Fees"]) + Decimal(row["Closing Commissions + Fees"])
            for row, _ in pairs
        ],
        [fees_live(row) for _, row in pairs],
    )

    found = await dealt(store, LIVE)

    assert (len(live), len(pairs)) == (379, 376)
    assert (len(found.pairs), found.slippage.n) == (379, 376)
    assert [len(book) for book in alone(found)] == [5, 0]
    assert said(found.slippage.total, found.slippage.mean, found.slippage.mean_low) == "0 0 -"
    assert (found.account.fees, found.other.fees) == (sum(fees[0]), sum(fees[1]))
    assert found.other.net_pnl - found.account.net_pnl == sum(fees[0]) - sum(fees[1])
    assert sum(pair.net_difference for pair in found.certain) == sum(fees[0]) - sum(fees[1])


@pytest.mark.skipif(not LIVE.exists(), reason="the sample is not here")
async def test_slippage_put_into_the_live_log_is_found_to_the_cent(
    store: Store, tmp_path: Path
) -> None:
    """The n-th row is sold for n mod 4 cents less and, where it was bought back, for n mod 3
    dollars a contract more."""
    live = [row for row in rows_of(LIVE) if row["Date Opened"] <= row["Date Closed"]]
    for n, row in enumerate(live):
        contracts, less = Decimal(row["No. of Contracts"]), Decimal(n % 4) / 100
        more = Decimal(n % 3) if Decimal(row["Avg. Closing Cost"]) else Decimal(0)
        sold, bought = row["Legs"].split(" | ")
        words = sold.split()
        words[-1] = str(Decimal(words[-1]) - less)
        row["Legs"] = f"{' '.join(words)} | {bought}"
        row["Initial Premium"] = str(Decimal(row["Initial Premium"]) - less)
        row["Avg. Closing Cost"] = str(Decimal(row["Avg. Closing Cost"]) + more)
        row["P/L"] = str(Decimal(row["P/L"]) - (less + more) * 100 * contracts)
        row["at entry"], row["at exit"] = str(less * 100 * contracts), str(more * contracts)
    entry = sum(Decimal(row["at entry"]) for _, row in in_pairs(live))
    exit_ = sum(Decimal(row["at exit"]) for _, row in in_pairs(live))
    worse = tmp_path / "worse.csv"
    with worse.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows_of(LIVE)[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(live)

    found = await dealt(store, worse)

    total = found.slippage
    assert (total.n, total.entry, total.exit) == (376, entry, exit_)
    assert entry > exit_ > 0
    assert total.total == entry + exit_
    assert total.mean_low is not None
    assert total.mean_high is not None
    assert 0 < total.mean_low < (entry + exit_) / 376 < total.mean_high
