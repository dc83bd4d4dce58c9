"""Asking Tradier: every shape of an answer, every way in which there is none."""

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal

import pytest
from pydantic import SecretStr

from store.brokers.tradier import client
from store.brokers.tradier.client import Tradier, TradierSettings
from store.errors import Invalid, NotFound, Refused, StoreError, Unavailable
from tests.brokers.tradier_fake import TOKEN, Book, FakeTradier, Reply, serving
from tests.canary import all_that_shows


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTradier]:
    with serving() as fake:
        fake.accounts["VA1"] = Book()
        monkeypatch.setenv("TRADE_HISTORY_TRADIER_URL", fake.url)
        yield fake


@asynccontextmanager
async def connected(token: str = TOKEN) -> AsyncIterator[Tradier]:
    async with Tradier.connect(SecretStr(token), "sandbox", pause_seconds=0.01) as tradier:
        yield tradier


def events(count: int, day: str = "2026-01-05") -> str:
    return json.dumps(
        [{"amount": n, "date": f"{day}T00:00:00Z", "type": "dividend"} for n in range(count)]
    )


@pytest.mark.parametrize("nothing", ["null", None, ""])
async def test_nothing_is_an_empty_list(fake: FakeTradier, nothing: str | None) -> None:
    fake.nothing = nothing

    async with connected() as tradier:
        assert await tradier.orders("VA1") == []
        assert await tradier.history("VA1", None) == []
        assert await tradier.gain_loss("VA1", None) == []
        assert await tradier.positions("VA1") == []


async def test_one_is_a_list_of_one(fake: FakeTradier) -> None:
    fake.accounts["VA1"].positions = '[{"symbol": "AAPL", "quantity": 1.0}]'

    async with connected() as tradier:
        assert [one["symbol"] for one in await tradier.positions("VA1")] == ["AAPL"]
        assert [one["account_number"] for one in await tradier.accounts()] == ["VA1"]
        fake.accounts["VA2"] = Book()
        assert [one["account_number"] for one in await tradier.accounts()] == ["VA1", "VA2"]


async def test_numbers_are_exact(fake: FakeTradier) -> None:
    fake.in_turn = [
        Reply(200, '{"positions": {"position": {"quantity": 0.1, "cost_basis": 9847.35000000001}}}')
    ]

    async with connected() as tradier:
        (position,) = await tradier.positions("VA1")

    assert position == {"quantity": Decimal("0.1"), "cost_basis": Decimal("9847.35000000001")}


async def test_all_pages_are_read_from_the_day_that_is_said(fake: FakeTradier) -> None:
    """1,200 events: two pages of 500 and one of 200."""
    fake.accounts["VA1"].history = events(1200)

    async with connected() as tradier:
        assert len(await tradier.history("VA1", None)) == 1200
        assert len(fake.asked) == 3
        assert len(await tradier.history("VA1", date(2026, 1, 5))) == 1200
        assert await tradier.history("VA1", date(2026, 1, 6)) == []
    assert "page=3" in fake.asked[2]
    assert "start=2026-01-06" in fake.asked[-1]


async def test_quotes_of_unknown_symbols_are_left_out(fake: FakeTradier) -> None:
    fake.quotes = '[{"symbol": "AAPL", "bid": 1.1, "ask": 1.2}, {"symbol": "SPY", "last": 5}]'

    async with connected() as tradier:
        both = await tradier.quotes(["AAPL", "SPY"])
        one = await tradier.quotes(["AAPL", "GONE"])
        none = await tradier.quotes(["GONE", "AWAY"])

    assert [quote["symbol"] for quote in both] == ["AAPL", "SPY"]
    assert [quote["symbol"] for quote in one] == ["AAPL"]
    assert none == []


@pytest.mark.parametrize(
    "trouble",
    [Reply(500), Reply(503, "<html>"), Reply(429), Reply(None)],
    ids=["500", "503", "429", "cut off"],
)
async def test_what_passes_is_asked_again(fake: FakeTradier, trouble: Reply) -> None:
    fake.in_turn = [trouble, trouble]

    async with connected() as tradier:
        assert await tradier.positions("VA1") == []
    assert len(fake.asked) == 3


async def test_the_next_minute_is_waited_for(fake: FakeTradier) -> None:
    """Tradier says in milliseconds when it begins. The question comes after that, not before."""
    begins = time.time() + 0.3
    limits = {"X-Ratelimit-Available": "0", "X-Ratelimit-Expiry": str(int(begins * 1000) + 1)}
    fake.in_turn = [Reply(200, '{"positions": "null"}', limits)]

    async with connected() as tradier:
        await tradier.positions("VA1")
        await tradier.positions("VA1")
    assert time.time() >= begins


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(401, "Invalid Access Token"), Refused, r"Tradier refuses the token \(401\)"),
        (Reply(403), Refused, "refuses the token"),
        (Reply(404), NotFound, "knows no such account"),
        (Reply(400, "<b>bad</b>"), Invalid, r"does not take the question \(400\)"),
        (Reply(302, "", {"Location": "http://127.0.0.1:1/"}), Invalid, r"\(302\)"),
        (Reply(200, "<html>"), Invalid, "no JSON"),
        (Reply(200, '{"positions": NaN}'), Invalid, "no JSON"),
        (Reply(200, "[" * 100_000), Invalid, "no JSON"),
        (Reply(200, "9" * 5_000), Invalid, "no JSON"),
        (Reply(200, "[]"), Invalid, "something else than positions"),
        (Reply(200, '"x"'), Invalid, "something else than positions"),
        (Reply(200, '{"positions": {"position": [1]}}'), Invalid, "something else"),
    ],
)
async def test_what_does_not_pass_is_said_at_once(
    fake: FakeTradier, reply: Reply, kind: type[StoreError], words: str
) -> None:
    fake.in_turn = [reply]

    async with connected() as tradier:
        with pytest.raises(kind, match=words):
            await tradier.positions("VA1")
    assert len(fake.asked) == 1


async def test_an_answer_without_end_is_cut(
    fake: FakeTradier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LARGEST_ANSWER", 1000)
    fake.in_turn = [Reply(200, '{"positions": "' + "x" * 1000 + '"}')]

    async with connected() as tradier:
        with pytest.raises(Invalid, match="at once; say --since"):
            await tradier.positions("VA1")


@pytest.mark.parametrize("trouble", [Reply(401), Reply(500), Reply(None), Reply(200, "x")])
async def test_the_token_is_in_no_error_and_no_log(
    fake: FakeTradier, trouble: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.in_turn = [trouble] * 4

    async with connected() as tradier:
        with pytest.raises(StoreError) as refused:
            await tradier.positions("VA1")
        assert TOKEN not in all_that_shows(refused.value)
        assert TOKEN not in f"{tradier!r} {vars(tradier)}"
    assert TOKEN not in caplog.text
    assert caplog.records


async def test_nobody_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADE_HISTORY_TRADIER_URL", "http://127.0.0.1:9/v1")

    async with connected() as tradier:
        with pytest.raises(Unavailable, match=r"Tradier cannot be reached \(ConnectError\)"):
            await tradier.accounts()


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1", "http://evil.example/v1", "http://127.0.0.1.evil.example/v1",
        "http://api.tradier.com/v1", "https://127.0.0.1/v1", "http://me:pw@127.0.0.1/v1",
        "https://sandbox.tradier.com/v1",  # Of the other environment.
        "file:///etc/passwd", "127.0.0.1",
    ],
)  # fmt: skip
def test_only_tradier_and_this_machine_are_asked(url: str) -> None:
    settings = TradierSettings(_env_file=None, TRADE_HISTORY_TRADIER_URL=url)

    with pytest.raises(Invalid, match="TRADE_HISTORY_TRADIER_URL is not usable"):
        settings.base_url("live")


def test_the_environment_says_which_tradier_is_asked() -> None:
    settings = TradierSettings(_env_file=None)

    assert settings.base_url("live") == "https://api.tradier.com/v1"
    assert settings.base_url("sandbox") == "https://sandbox.tradier.com/v1"
