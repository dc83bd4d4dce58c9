"""Market data: kept from files, and what of it was known at entry as conditions of a trade.

Expected words are worked out by hand from the definitions in store/market_facts.py.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from store.accounts import AccountEntry, put_account
from store.corrections import correct_trade
from store.database import Store
from store.errors import Invalid
from store.market_data import (
    Kept,
    MarketFile,
    keep_bars,
    keep_fundamentals,
    read_bars,
    read_fundamentals,
)
from store.market_facts import (
    Close,
    Fundamental,
    facts_at,
    known_closes,
    trend,
    volatility_regime,
)
from store.models import AuditEntry, Bar, Condition, Trade
from store.models import Fundamental as FundamentalRow
from store.preferences import put_setting
from store.recording import open_trade
from store.records import TradeEntry
from store.verifying import verify_user
from tests.server.running import trade_history

NEW_YORK = ZoneInfo("America/New_York")
ENTRY = datetime(2026, 3, 2, 10, 15, tzinfo=NEW_YORK)  # A Monday.
DAY = ENTRY.date()


def prices(*runs: tuple[int, str]) -> list[Decimal]:
    """`(150, "100")` is 150 closes at 100."""
    return [Decimal(price) for count, price in runs for _ in range(count)]


def swings(*runs: tuple[int, str]) -> list[Decimal]:
    """Closes from 100 on that rise and fall in turn: `(100, "1.01")` is 100 returns by 1 %."""
    found, up = [Decimal(100)], True
    for count, factor in runs:
        for _ in range(count):
            last, by = found[-1], Decimal(factor)
            found.append(last * by if up else last / by)
            up = not up
    return found


def until(moment: datetime, closes: Sequence[Decimal]) -> list[Close]:
    """Daily closes of which the last was known at `moment`."""
    days = range(len(closes) - 1, -1, -1)
    return [Close(moment - timedelta(days=ago), one) for ago, one in zip(days, closes, strict=True)]


def known(**said: Any) -> dict[str, str]:
    asked: dict[str, Any] = {"ticker": (), "index": (), "fundamentals": (), **said}
    return facts_at(ENTRY, DAY, **asked)


# The definitions.


@pytest.mark.parametrize(
    ("closes", "word"),
    [
        # Means 110.02 of 50 and 102.505 of 200, the last close above both in that order.
        (prices((150, "100"), (49, "110"), (1, "111")), "up"),
        # Means 89.98 and 97.495, the last close below both.
        (prices((150, "100"), (49, "90"), (1, "89")), "down"),
        # The last close is the mean of 50, not above it.
        (prices((150, "100"), (50, "110")), "mixed"),
        (prices((150, "100"), (50, "90")), "mixed"),
        # Above the mean of 50 (90.5), and that below the mean of 200 (97.625).
        (prices((150, "100"), (49, "90"), (1, "115")), "mixed"),
        (prices((149, "100"), (49, "110"), (1, "111")), None),
        ([], None),
    ],
)
def test_a_trend_is_the_order_of_the_close_and_its_means(
    closes: list[Decimal], word: str | None
) -> None:
    assert trend(closes) == word


@pytest.mark.parametrize(
    ("closes", "word"),
    [
        # All 252 sums are alike: none is below the last.
        (swings((272, "1.01")), "low"),
        # The last sum has one return by 2 % and is above the 251 others.
        (swings((271, "1.01"), (1, "1.02")), "high"),
        # Below 21 squares of ln 1.02 (21 x 3.92e-4 = 8.23e-3) are the 80 sums of 1 % alone and
        # the 7 with up to 7 of 3 % (14 x 9.90e-5 + 7 x 8.74e-4 = 7.50e-3): 87 of 252, a third.
        (swings((100, "1.01"), (151, "1.03"), (21, "1.02")), "normal"),
        # By the same count n returns of 1 % make n - 13 sums below: 62 and 63, a quarter of 252,
        (swings((75, "1.01"), (176, "1.03"), (21, "1.02")), "low"),
        (swings((76, "1.01"), (175, "1.03"), (21, "1.02")), "normal"),
        # and 188 and 189, three quarters.
        (swings((201, "1.01"), (50, "1.03"), (21, "1.02")), "normal"),
        (swings((202, "1.01"), (49, "1.03"), (21, "1.02")), "high"),
        (swings((271, "1.01")), None),
        ([*swings((271, "1.01")), Decimal(0)], None),
    ],
)
def test_volatility_is_ranked_among_those_of_a_year(
    closes: list[Decimal], word: str | None
) -> None:
    assert volatility_regime(closes) == word


@pytest.mark.parametrize(
    ("dollars", "word"),
    [
        ("200000000000", "mega"), ("199999999999.999999", "large"),
        ("10000000000", "large"), ("9999999999.999999", "mid"),
        ("2000000000", "mid"), ("1999999999.999999", "small"),
        ("250000000", "small"), ("249999999.999999", "micro"), ("0", "micro"),
    ],
)  # fmt: skip
def test_a_cap_is_the_bucket_of_its_dollars(dollars: str, word: str) -> None:
    said = Fundamental("market_cap", DAY - timedelta(days=1), Decimal(dollars))

    assert known(fundamentals=[said]) == {"cap": word}


def test_facts_of_one_day_and_one_market() -> None:
    rising = until(ENTRY, prices((150, "100"), (49, "110"), (1, "111")))
    falling = until(ENTRY, swings((270, "1.01"), (2, "0.97")))
    sold = [*falling[:-1], Close(ENTRY, Decimal(60))]

    assert known(ticker=rising, index=sold) == {
        "trend": "up", "market_regime": "bear", "volatility_regime": "high",
    }  # fmt: skip


# What was not known.


def test_a_bar_counts_from_the_moment_at_which_it_is_known() -> None:
    closes = until(ENTRY, prices((149, "100"), (50, "110"), (1, "111")))
    late = [*closes[:-1], closes[-1]._replace(known_at=ENTRY + timedelta(microseconds=1))]

    assert known(ticker=closes) == {"trend": "up"}
    assert known(ticker=late) == {}


def test_a_fundamental_counts_from_the_day_after_it_was_published() -> None:
    older = Fundamental("sector", DAY - timedelta(days=1), "Technology")
    today = Fundamental("sector", DAY, "Utilities")

    assert known(fundamentals=[today, older]) == {"sector": "Technology"}
    assert known(fundamentals=[today]) == {}


def test_a_market_cap_holds_for_a_year() -> None:
    def of(days: int) -> list[Fundamental]:
        return [Fundamental("market_cap", DAY - timedelta(days=days), Decimal(10**12))]

    assert known(fundamentals=of(366)) == {"cap": "mega"}
    assert known(fundamentals=of(367)) == {}


def test_bars_with_a_gap_of_more_than_a_week_are_no_year() -> None:
    week = timedelta(days=7)
    closes = until(ENTRY - week, prices((150, "100"), (49, "110"), (1, "111")))
    tick = timedelta(microseconds=1)
    torn = [*(one._replace(known_at=one.known_at - week) for one in closes[:9]), *closes[9:]]

    assert len(known_closes(closes, ENTRY)) == 200
    assert known_closes(closes, ENTRY + tick) == []
    assert len(known_closes(torn, ENTRY)) == 191


walks = st.lists(st.integers(9_000, 11_000), min_size=273, max_size=290)


@given(
    walk=walks,
    after=st.lists(st.integers(1, 99_999), max_size=30),
    ago=st.timedeltas(timedelta(0), timedelta(days=6)),
    later=st.timedeltas(timedelta(microseconds=1), timedelta(days=300)),
)
def test_nothing_that_comes_after_entry_changes_a_fact(
    walk: list[int], after: list[int], ago: timedelta, later: timedelta
) -> None:
    """Bars, however many and whatever they say, and fundamentals of that day or later."""
    then = until(ENTRY - ago, [Decimal(cents).scaleb(-2) for cents in walk])
    from_then_on = [
        Close(ENTRY + later + timedelta(days=n), Decimal(cents).scaleb(-2))
        for n, cents in enumerate(after)
    ]
    said = [Fundamental("sector", DAY - timedelta(days=40), "Energy")]
    news = [
        Fundamental("sector", DAY + timedelta(days=n), f"News {cents}")
        for n, cents in enumerate(after)
    ]

    before = known(ticker=then, index=then, fundamentals=said)

    with_hindsight = [*then, *from_then_on]
    assert before == known(ticker=with_hindsight, index=with_hindsight, fundamentals=[*said, *news])
    assert set(before) == {"trend", "market_regime", "volatility_regime", "sector"}


# Files.


def written(folder: Path, text: str) -> Path:
    path = folder / "file.csv"
    path.write_text(text.replace(" ", "").strip() + "\n", encoding="utf-8")
    return path


def test_a_daily_bar_is_known_at_the_close_of_its_day(tmp_path: Path) -> None:
    """Summer and winter: 16:00 in New York is 20:00 or 21:00 UTC."""
    path = written(
        tmp_path,
        """
        Date,Open,High,Low,Close,AdjClose,Volume
        2026-01-05,10,12,9.5,"1,011.25",7,1000
        2026-07-06,1,1,1,1,1,
        """.replace('"1,011.25"', "11.25"),
    )

    found = read_bars(path, "1d", ticker="aapl")

    assert found.rejected == ()
    assert found.unused == ("AdjClose",)
    assert found.rows[0] == {
        "ticker": "AAPL", "period": "1d",
        "opens_at": datetime(2026, 1, 5, 5, tzinfo=UTC),
        "known_at": datetime(2026, 1, 5, 21, tzinfo=UTC),
        "open": Decimal(10), "high": Decimal(12), "low": Decimal("9.5"),
        "close": Decimal("11.25"), "volume": Decimal(1000),
    }  # fmt: skip
    assert found.rows[1]["known_at"] == datetime(2026, 7, 6, 20, tzinfo=UTC)
    assert found.rows[1]["volume"] is None


@pytest.mark.parametrize(
    ("written_as", "day"),
    [
        ("2026-01-05T00:00:00-05:00", 5),  # Midnight in New York.
        ("2026-01-05T05:00:00Z", 5),  # The same.
        ("2026-01-05T00:00:00Z", 5),  # Not the 4th, on which nobody knew it.
        ("2026-01-05T16:00:00-05:00", 5),
        ("01/05/2026", 5),
        ("20260105", 5),
        ("2026-01-06T01:00:00Z", 6),  # Rather too late than too early.
    ],
)
def test_a_daily_bar_is_never_taken_for_an_earlier_day(
    tmp_path: Path, written_as: str, day: int
) -> None:
    path = written(tmp_path, f"time,open,high,low,close\n{written_as},1,1,1,1")

    (row,) = read_bars(path, "1d", ticker="X").rows

    assert row["known_at"] == datetime(2026, 1, day, 21, tzinfo=UTC)


def test_a_market_elsewhere_closes_by_its_own_clock(tmp_path: Path) -> None:
    path = written(tmp_path, "date,open,high,low,close\n2026-07-06,1,1,1,1")
    half_past_five = timedelta(hours=17, minutes=30)

    (row,) = read_bars(path, "1d", ticker="SAP", zone="Europe/Berlin", close=half_past_five).rows
    (week,) = read_bars(path, "1w", ticker="SAP", zone="Europe/Berlin").rows
    (coin,) = read_bars(path, "1d", ticker="BTC", zone="UTC", close=timedelta(days=1)).rows

    assert row["known_at"] == datetime(2026, 7, 6, 15, 30, tzinfo=UTC)
    assert week["known_at"] == datetime(2026, 7, 12, 22, tzinfo=UTC)
    assert coin["known_at"] == datetime(2026, 7, 7, tzinfo=UTC)


def test_a_short_bar_needs_an_offset_or_a_zone(tmp_path: Path) -> None:
    path = written(
        tmp_path, "time,open,high,low,close\n2026-01-05T09:30,1,1,1,1\n2026-01-05T15:00Z,1,1,1,1"
    )
    found = read_bars(path, "5m", ticker="X")
    told = read_bars(path, "1h", ticker="X", zone="America/New_York")
    (two,) = read_bars(
        written(tmp_path, "date,time,open,high,low,close\n2026-01-05,09:30,1,1,1,1"),
        "1m", ticker="X", zone="America/New_York",
    ).rows  # fmt: skip

    assert [(one.row, one.reason) for one in found.rejected] == [
        (2, "the moment has no offset from UTC; name its --zone")
    ]
    assert found.rows[0]["known_at"] == datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
    assert two["opens_at"] == told.rows[0]["opens_at"] == datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
    assert told.rows[0]["known_at"] == datetime(2026, 1, 5, 15, 30, tzinfo=UTC)


REFUSED_BARS = {
    "2026-01-05,1,1,1,": ("close", "a number is needed"),
    "2026-01-05,1,1,1,1e99": ("close", "a number up to 92233720369 is needed"),
    "2026-01-05,1,1,1,NaN": ("close", "a number such as 1,234.56 is needed"),
    "2026-01-05,2,1,1,1": ("high", "the prices of a bar lie from low to high"),
    "2026-01-05,1,2,2,2": ("high", "the prices of a bar lie from low to high"),
    "2026-02-30,1,1,1,1": ("date", "a date such as 2026-01-31 is needed"),
    "9999-12-31,1,1,1,1": ("date", "a date such as 2026-01-31 is needed"),
    "=cmd|x,1,1,1,1": ("date", "a date such as 2026-01-31 is needed"),
    ",1,1,1,1": ("date", "a date such as 2026-01-31 is needed"),
}


@pytest.mark.parametrize("row", REFUSED_BARS)
def test_a_bar_that_cannot_be_is_refused_and_the_others_are_read(tmp_path: Path, row: str) -> None:
    path = written(tmp_path, f"date,open,high,low,close\n{row}\n2026-01-06,1,1,1,1")

    found = read_bars(path, "1d", ticker="X")

    (rejection,) = found.rejected
    assert (rejection.row, rejection.column, rejection.reason) == (2, *REFUSED_BARS[row])
    assert len(found.rows) == 1


def test_a_bar_is_said_once_in_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "date,open,high,low,close,symbol\n2026-01-05,1,1,1,1,a\n2026-01-05,1,1,1,1,b\n"
        "2026-01-05,2,2,2,2,A",
    )

    (rejection,) = read_bars(path, "1d").rejected

    assert str(rejection) == (
        "file.csv, row 4, row 'A': row 2 says the same; one of them is accepted"
    )


def test_files_without_what_is_needed_are_refused(tmp_path: Path) -> None:
    for text, words in {
        "date,open,close\n2026-01-05,1,1": "has no columns open, high, low, close",
        "open,high,low,close\n1,1,1,1": "has no column date or time",
        "date,open,high,low,close\n2026-01-05,1,1,1,1": "names no ticker; say --ticker",
    }.items():
        with pytest.raises(Invalid, match=words):
            read_bars(written(tmp_path, text), "1d")
    with pytest.raises(Invalid, match="has no columns ticker, known_on"):
        read_fundamentals(written(tmp_path, "ticker,sector\nA,Energy"))
    with pytest.raises(Invalid, match="No time zone 'Mars'"):
        read_bars(written(tmp_path, "date,open,high,low,close"), "1d", ticker="X", zone="Mars")


def test_fundamentals_are_one_a_row_or_one_a_column(tmp_path: Path) -> None:
    wide = read_fundamentals(
        written(
            tmp_path,
            "ticker,known_on,Sector,market_cap\naapl,2026-01-02,Tech,2.5e12\nX,2026-01-02,,n/a",
        )
    )
    long = read_fundamentals(
        written(tmp_path, "ticker,known_on,name,value\nAAPL,2026-01-02,sector,Tech\n"
                          "AAPL,2026-01-02,market_cap,2.5e12\nX,2026-01-02,sector,")
    )  # fmt: skip

    assert wide.rejected == ()
    assert wide.rows == long.rows
    assert [(row["name"], row["word"], row["number"]) for row in wide.rows] == [
        ("sector", "Tech", None), ("market_cap", None, Decimal("2500000000000.000000")),
    ]  # fmt: skip
    assert [str(one) for one in long.rejected] == [
        "file.csv, row 4, value '': a word or a number is needed"
    ]


# Kept.


def bars(closes: Sequence[Decimal], ticker: str = "AAPL", last: date = date(2026, 2, 27)) -> Any:
    """A file of daily bars of which the last is of Friday before the entry."""
    rows = []
    for ago, close in enumerate(reversed(closes)):
        opens_at = datetime.combine(last - timedelta(days=ago), datetime.min.time(), NEW_YORK)
        rows.append(
            {
                "ticker": ticker, "period": "1d",
                "opens_at": opens_at.astimezone(UTC),
                "known_at": (opens_at + timedelta(hours=16)).astimezone(UTC),
                "open": close, "high": close, "low": close, "close": close, "volume": None,
            }
        )  # fmt: skip
    return MarketFile(Path("bars.csv"), tuple(rows), ())


def facts(*said: tuple[str, str | Decimal], on: date = date(2026, 2, 27)) -> MarketFile:
    rows = tuple(
        {
            "ticker": "AAPL", "name": name, "known_on": on,
            "word": value if isinstance(value, str) else None,
            "number": None if isinstance(value, str) else value,
        }
        for name, value in said
    )  # fmt: skip
    return MarketFile(Path("facts.csv"), rows, ())


async def kept(store: Store, file: MarketFile) -> Kept:
    async with store.operate(write=True) as session:
        if file.rows and "period" in file.rows[0]:
            return await keep_bars(session, file)
        return await keep_fundamentals(session, file)


RISING = prices((150, "100"), (49, "110"), (1, "111"))


@pytest.fixture
async def book(store: Store) -> Store:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="paper"))
    return store


async def test_the_same_file_again_changes_nothing(book: Store) -> None:
    first = await kept(book, bars(RISING))
    again = await kept(book, bars(RISING))
    grown = await kept(book, bars([*RISING[:-1], Decimal(112)]))

    async with book.read() as session:
        entries = (await session.scalars(select(AuditEntry.command))).all()
        total = await session.scalar(select(func.sum(Bar.close)))
    assert (first, again, grown) == (Kept(200, 0, 0), Kept(0, 0, 200), Kept(0, 1, 199))
    assert entries.count("import_bars") == 2
    assert total == 150 * 100 + 49 * 110 + 112
    assert (await verify_user(book, 1)).wrong is None


async def test_fundamentals_change_in_their_place(book: Store) -> None:
    first = await kept(book, facts(("sector", "Tech"), ("market_cap", Decimal(5))))
    changed = await kept(book, facts(("sector", "Technology"), ("market_cap", Decimal(5))))
    later = await kept(book, facts(("sector", "Technology"), on=date(2026, 3, 1)))

    async with book.read() as session:
        words = (await session.scalars(select(FundamentalRow.word))).all()
    assert (first, changed, later) == (Kept(2, 0, 0), Kept(0, 1, 1), Kept(1, 0, 0))
    assert sorted(map(str, words)) == ["None", "Technology", "Technology"]


# At entry.


def entry(at: datetime = ENTRY, *, closed: bool = True, **said: Any) -> TradeEntry:
    fills = [{"side": "buy", "quantity": 1, "price": 10, "filled_at": at}]
    if closed:
        sold = at + timedelta(days=1)
        fills.append({"side": "sell", "quantity": 1, "price": 12, "filled_at": sold})
    leg = {"instrument": "equity", "fills": fills}
    return TradeEntry.model_validate({"account": "main", "ticker": "AAPL", "legs": [leg], **said})


async def recorded(store: Store, trade: TradeEntry, key: str | None = None) -> dict[str, Any]:
    """The conditions with which a trade is kept."""
    async with store.write() as session:
        number = (await open_trade(session, trade, key=key)).number
    return await conditions(store, number)


async def conditions(store: Store, number: int) -> dict[str, Any]:
    async with store.read() as session:
        rows = await session.scalars(select(Condition).where(Condition.trade_number == number))
        return {row.name: row.number if row.word is None else row.word for row in rows}


async def test_a_trade_keeps_what_was_known_when_it_was_entered(book: Store) -> None:
    await kept(book, bars(RISING))
    await kept(book, bars(swings((271, "1.01"), (1, "2")), "SPY"))
    await kept(book, facts(("sector", "Technology"), ("market_cap", Decimal(3 * 10**12))))

    found = await recorded(book, entry())

    # SPY swings by 1 %, and on the last day it loses half: from 101 to 50.5. That is below the
    # mean of 50 (99.51), and that below the mean of 200 (100.2525).
    assert found == {
        "trend": "up", "market_regime": "bear", "volatility_regime": "high",
        "sector": "Technology", "cap": "mega",
    }  # fmt: skip
    assert (await verify_user(book, 1)).wrong is None


async def test_a_trade_entered_before_the_close_does_not_know_the_days_bar(book: Store) -> None:
    """The bar of Friday is needed for 200: it is known at 16:00, not a second before."""
    await kept(book, bars(RISING))
    close = datetime(2026, 2, 27, 16, tzinfo=NEW_YORK)

    assert await recorded(book, entry(close - timedelta(seconds=1))) == {}
    assert await recorded(book, entry(close)) == {"trend": "up"}


async def test_what_the_caller_says_stands(book: Store) -> None:
    await kept(book, bars(RISING))
    await kept(book, facts(("sector", "Technology")))

    found = await recorded(book, entry(conditions={"Trend": "sideways", "vix": Decimal(18)}))

    assert found == {"trend": "sideways", "vix": 18, "sector": "Technology"}


async def test_nothing_is_added_where_nothing_is_known_or_wanted(book: Store) -> None:
    assert await recorded(book, entry()) == {}
    await kept(book, bars(RISING))
    assert await recorded(book, entry(ticker="MSFT")) == {}
    async with book.write() as session:
        await put_setting(session, "market_facts", "off")
    assert await recorded(book, entry()) == {}


async def test_a_repeated_command_is_the_same_one_though_more_is_known_now(book: Store) -> None:
    first = await recorded(book, entry(), key="one")
    await kept(book, bars(RISING))

    again = await recorded(book, entry(), key="one")

    assert first == again == {}


async def test_later_data_changes_no_trade(book: Store) -> None:
    await kept(book, bars(RISING))
    before = await recorded(book, entry())
    await kept(book, bars(prices((200, "50"))))

    assert before == await conditions(book, 1) == {"trend": "up"}
    assert (await verify_user(book, 1)).wrong is None


async def test_a_correction_is_given_what_was_known_at_its_entry(book: Store) -> None:
    await recorded(book, entry())
    await kept(book, bars(RISING))
    async with book.write() as session:
        corrected = await correct_trade(session, 1, entry(), reason="bars came later")

    assert await conditions(book, corrected.number) == {"trend": "up"}
    assert await conditions(book, 1) == {}


# From the command line.


async def test_files_are_kept_from_the_command_line(
    book: Store, database_url: str, tmp_path: Path
) -> None:
    path = written(
        tmp_path, "date,open,high,low,close,note\n2026-01-05,1,1,1,1,x\n2026-01-06,2,1,1,1,x"
    )
    more = tmp_path / "facts.csv"
    more.write_text("ticker,known_on,sector\nAAPL,2026-01-02,Real Estate\n")

    async def says(*words: str) -> tuple[int | None, str, str]:
        return await trade_history(database_url, tmp_path, "market", *words)

    refused = await says("bars", str(path), "--ticker", "AAPL")
    taken = await says("bars", str(path), "--ticker", "AAPL", "--take-good")
    as_json = await says("bars", str(path), "--ticker", "AAPL", "--take-good", "--json")
    about = await says("fundamentals", str(more))
    wrong = await says("bars", str(path), "--ticker", "AAPL", "--close", "24:30")

    assert refused[0] == 2
    assert refused[2] == (
        "trade-history: 1 of 2 rows of file.csv are refused, so none was kept (--take-good keeps"
        " the others):\nfile.csv, row 3, high '1': the prices of a bar lie from low to high\n"
    )
    assert taken[1] == (
        "file.csv: 1 bars are new, 0 were changed, 0 were there; 1 rows refused.\n"
        "  left out  the columns note\n"
        "  refused   file.csv, row 3, high '1': the prices of a bar lie from low to high\n"
    )
    assert [json.loads(as_json[1])[name] for name in ("new", "same", "unused")] == [0, 1, ["note"]]
    assert about[1] == "facts.csv: 1 facts are new, 0 were changed, 0 were there; 0 rows refused.\n"
    assert wrong[0] == 2
    assert "a time such as 16:00 is accepted" in wrong[2]


async def test_trades_of_before_are_given_what_was_known_then(
    book: Store, database_url: str, tmp_path: Path
) -> None:
    """Open ones and those that have it stay; what else was said of a trade passes on."""
    vix = {"vix": Decimal(18)}
    await recorded(book, entry(conditions=vix, strategy="swing", stop_loss="9"))
    await recorded(book, entry(closed=False))
    await kept(book, bars(RISING))
    await recorded(book, entry())

    async def says(*words: str) -> str:
        code, output, errors = await trade_history(
            database_url, tmp_path, "market", "attach", *words
        )
        assert code == 0, errors
        return output

    before = await says("--preview")
    done = await says()
    again = await says()

    assert (before, done, again) == (
        "1 trades would be restated.\n", "1 trades are restated.\n",
        "0 trades are restated.\n",
    )  # fmt: skip
    async with book.read() as session:
        rows = (await session.scalars(select(Trade).order_by(Trade.number))).all()
    assert [row.status for row in rows] == ["superseded", "open", "closed", "closed"]
    old, new = rows[0], rows[3]
    assert (new.strategy, new.stop_loss) == ("swing", Decimal(9))
    assert new.net_pnl == old.net_pnl == 2
    assert await conditions(book, 4) == {"vix": 18, "trend": "up"}
    assert (await verify_user(book, 1)).wrong is None
