"""A deterministic ledger of closed trades: many users, interleaved in time.

Tickers and strategies are skewed as real books are (a third of the trades in one name),
scores cluster around 65 and are missing at times, one trade in four is in shares. A
high score wins a little more often. The same size gives the same rows, whatever the machine.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from store.models import ONE
from store.vocabulary import name_key

SEED = 20_260_105
ZONE = "America/New_York"
FIRST_DAY = datetime(2023, 1, 2, tzinfo=UTC)
DAYS = 900
CENT_OF_PRICE, CENT_OF_MONEY = ONE // 100, 10_000
CONTRACT = 100  # Shares in an option contract; every trade here is counted in hundreds.

TICKERS = (
    "AAPL", "SPY", "NVDA", "TSLA", "QQQ", "MSFT", "AMD", "META", "AMZN", "GOOGL", "IWM", "NFLX",
    "JPM", "XOM", "BA", "COIN", "PLTR", "DIS", "INTC", "KO", "PFE", "GM", "F", "SOFI",
)  # fmt: skip
STRATEGIES = (
    "leap_call", "wheel_put", "breakout", "swing", "earnings", "zero_dte", "mean_reversion",
)  # fmt: skip

Row = dict[str, Any]  # By column; what is left out is null.


def users(count: int, trades: int) -> Iterator[Row]:
    for user in range(1, count + 1):
        yield {
            "user_id": user,
            "name": f"user {user}",
            "created_at": FIRST_DAY,
            "last_account": 1,
            "last_trade": -(-trades // count),
            "last_audit": 0,
            "ledger_version": 1,
            "tier": "pro",
        }


def accounts(count: int) -> Iterator[Row]:
    for user in range(1, count + 1):
        yield {
            "user_id": user,
            "account_id": 1,
            "name": "main",
            "name_key": "main",
            "mode": "live",
            "currency": "USD",
            "zone": ZONE,
            "tolerance": 0,
            "created_at": FIRST_DAY,
        }


def strategies(count: int) -> Iterator[Row]:
    for user in range(1, count + 1):
        for name in STRATEGIES:
            yield {"user_id": user, "name_key": name_key(name), "name": name}


def trades(count: int, users: int) -> Iterator[Row]:
    """`count` closed trades in order of entry, the users taking turns."""
    random = Random(SEED)
    zone = ZoneInfo(ZONE)
    for place in range(count):
        day = FIRST_DAY + timedelta(days=place * DAYS // count)
        opened = day.replace(hour=14, minute=30) + timedelta(minutes=random.randrange(390))
        facts = {**_entry(random, opened, zone), **_instrument(random, opened)}
        facts |= _exit(random, opened, zone, facts)
        yield {**facts, "user_id": place % users + 1, "number": place // users + 1}


def _entry(random: Random, opened: datetime, zone: ZoneInfo) -> Row:
    local = opened.astimezone(zone)
    entry = random.randrange(100, 3_000)
    return {
        "account_id": 1,
        "mode": "live",
        "currency": "USD",
        "status": "closed",
        "ticker": _skewed(random, TICKERS),
        "strategy": _skewed(random, STRATEGIES) if random.random() < 0.95 else None,
        "structure": "single",
        "opened_at": opened,
        "opened_on": local.date(),
        "entry_weekday": local.isoweekday(),
        "entry_hour": local.hour,
        "quantity": random.randint(1, 10) * ONE,
        "price_sign": 1,
        "entry_price": entry * CENT_OF_PRICE,
        "stop_loss": entry // 2 * CENT_OF_PRICE,
        "take_profit": entry * 2 * CENT_OF_PRICE,
        "scanner_score": _score(random),
        "ai_score": _score(random),
        "source": "benchmark",
        "recorded_at": opened,
    }


def _skewed(random: Random, names: tuple[str, ...]) -> str:
    """The first a third of the time, the last seldom."""
    return names[int(len(names) * random.random() ** 3)]


def _score(random: Random) -> int | None:
    if random.random() < 0.1:
        return None
    return round(min(100.0, max(0.0, random.gauss(65, 15)))) * ONE


def _instrument(random: Random, opened: datetime) -> Row:
    if random.random() < 0.25:
        return {"direction": "bullish"}
    days = random.choice((0, 5, 14, 30, 45, 120, 400))
    kind = random.choice(("call", "call", "put"))
    sign = 1 if kind == "call" else -1
    expiry: date = (opened + timedelta(days=days)).date()
    return {
        "direction": "bullish" if kind == "call" else "bearish",
        "option_type": kind,
        "strike": random.randrange(20, 600) * ONE,
        "expiry": expiry,
        "dte": days,
        "delta": sign * random.randrange(5, 95) * ONE // 100,
        "gamma": random.randrange(1, 90) * ONE // 1_000,
        "theta": -random.randrange(1, 300) * ONE // 1_000,
        "vega": random.randrange(1, 400) * ONE // 1_000,
        "iv": random.randrange(12, 110) * ONE // 100,
    }


def _exit(random: Random, opened: datetime, zone: ZoneInfo, facts: Row) -> Row:
    closed = opened + timedelta(minutes=random.randint(5, 60 * 24 * 20))
    score = (facts["scanner_score"] or 60 * ONE) // ONE
    entry = facts["entry_price"] // CENT_OF_PRICE
    cents = _move(random, entry, wins=random.random() < 0.45 + (score - 60) / 400)
    hundreds = facts["quantity"] // ONE
    gross = cents * hundreds * CONTRACT * CENT_OF_MONEY
    fees = 65 * 2 * hundreds * CENT_OF_MONEY if cents else 0
    net = gross - fees
    risk = (entry - entry // 2) * hundreds * CONTRACT * CENT_OF_MONEY
    return {
        "closed_at": closed,
        "closed_on": closed.astimezone(zone).date(),
        "holding_seconds": int((closed - opened).total_seconds()),
        "exit_price": (entry + cents) * CENT_OF_PRICE,
        "initial_risk": risk,
        "gross_pnl": gross,
        "fees": fees,
        "net_pnl": net,
        "r_multiple": net * ONE // risk,
        "return_on_risk": net * ONE // risk,
        "outcome": "win" if net > 0 else "loss" if net < 0 else "breakeven",
        "exit_reason": "target" if net > 0 else "stop" if net < 0 else "manual",
    }


def _move(random: Random, entry: int, *, wins: bool) -> int:
    """The change of price in cents; now and then none."""
    if random.random() < 0.03:
        return 0
    if wins:
        return random.randint(3, max(4, entry))
    return -random.randint(1, max(2, entry * 6 // 10))
