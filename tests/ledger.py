"""A ledger as text: each line is one trade, recorded through the store's own commands.

    2026-01-05  AAPL  +120.00  fees 1.30  strategy leap_call  scanner 72  ai 55
    2026-01-06T15:30Z  SPY  -80  option put  entered 2026-01-05T15:30Z  condition vix=18.5
    2026-01-07  AAPL  open
    2026-01-07  MSFT  +15.50  open  short  account swing  stop 95

First the exit (a bare day is 12:00 UTC; the entry of an open trade), then the ticker, then
the net P&L: gross is net plus fees. An open trade with a P&L has one snapshot that marks it
so. The entry is an hour before the exit unless `entered` says it.

100 shares are bought at 100, or one option of strike 100 at 5 that has 30 days to expiry
(its risk is 500); a loss that such a price could not bear starts from a higher one.
"""

import shlex
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from store.accounts import AccountEntry, find_account, put_account
from store.database import Store
from store.recording import add_snapshots, open_trade
from store.records import SnapshotEntry, TradeEntry
from store.schema import add_user

# Words followed by a value that become fields of the trade as they are.
FIELDS = {
    "strategy": "strategy", "scanner": "scanner_score", "ai": "ai_score", "stop": "stop_loss",
    "target": "take_profit", "exit": "exit_reason", "source": "source",
    "external": "external_id", "structure": "structure", "direction": "direction",
    "delta": "delta", "gamma": "gamma", "theta": "theta", "vega": "vega", "iv": "iv",
    "broker_order": "broker_order_id",
}  # fmt: skip
VALUES = {*FIELDS, "fees", "entered", "option", "strike", "expiry", "account"}
FLAGS = {"open", "short"}


async def record(
    store: Store,
    text: str,
    *,
    account: str = "main",
    mode: Literal["paper", "live"] = "paper",
    user_id: int | None = None,
    currency: str = "USD",
    **defaults: str,
) -> list[int]:
    """Record the trades of `text` and give their numbers, in the order of the lines.

    A missing user or account is made; an account that exists is used as it is. `defaults`
    are words for every line that does not say its own: `strategy="leap_call"`.
    """
    if user_id is not None:
        await add_user(store, user_id, f"user {user_id}")
    numbers = []
    async with store.write(user_id) as session:
        for line in filter(None, map(str.strip, text.splitlines())):
            said = {"account": account, **defaults, **read(line)}
            if await find_account(session, said["account"]) is None:
                entry = AccountEntry(name=said["account"], mode=mode, currency=currency)
                await put_account(session, entry)
            recorded = await open_trade(session, trade(said))
            numbers.append(recorded.number)
            if "open" in said and "net" in said:
                await add_snapshots(session, recorded.number, [mark(said)])
    return numbers


def read(line: str) -> dict[str, Any]:
    """The words of a line by name; `net` is the P&L, `at` the moment, `conditions` a dict."""
    at, ticker, *words = shlex.split(line, comments=True)
    said: dict[str, Any] = {"at": at, "ticker": ticker, "conditions": {}}
    if words and words[0][0] in "+-0123456789":
        said["net"] = words.pop(0)
    while words:
        word = words.pop(0)
        if word in FLAGS:
            said[word] = True
        elif word == "condition":
            name, value = words.pop(0).split("=", 1)
            said["conditions"][name] = number_or_word(value)
        elif word in VALUES:
            said[word] = words.pop(0)
        else:
            raise ValueError(f"'{word}' in '{line}'. Known: {', '.join(sorted(VALUES | FLAGS))}")
    return said


def number_or_word(value: str) -> Decimal | str:
    return Decimal(value) if value.lstrip("+-")[:1].isdigit() else value


def moment(text: str) -> datetime:
    """A bare day is its noon in UTC; a moment without an offset is in UTC."""
    at = datetime.fromisoformat(text)
    if len(text) == 10:
        at = at.replace(hour=12)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def trade(said: dict[str, Any]) -> TradeEntry:
    named = {field: said[word] for word, field in FIELDS.items() if word in said}
    return TradeEntry.model_validate(
        {
            "account": said["account"],
            "ticker": said["ticker"],
            "conditions": said["conditions"],
            "legs": [leg(said)],
            **named,
        }
    )


def leg(said: dict[str, Any]) -> dict[str, Any]:
    """One leg whose fills earn the net P&L exactly; an open one has the first fill only."""
    is_open, at = "open" in said, moment(said["at"])
    entered = moment(said["entered"]) if "entered" in said else at - timedelta(hours=not is_open)
    entry_side, exit_side = ("sell", "buy") if "short" in said else ("buy", "sell")
    fees = said.get("fees", "0")
    entry = {
        "side": entry_side,
        "quantity": 1 if "option" in said else 100,
        "price": entry_price(said),
        "filled_at": entered,
        "fee": fees if is_open else "0",
    }
    exit_ = entry | {
        "side": exit_side,
        "price": exit_price(said),
        "filled_at": at,
        "fee": fees,
    }
    fills = [entry] if is_open else [entry, exit_]
    if "option" not in said:
        return {"instrument": "equity", "fills": fills}
    return {
        "instrument": "option",
        "option_type": said["option"],
        "strike": said.get("strike", "100"),
        "expiry": said.get("expiry", (entered + timedelta(days=30)).date()),
        "fills": fills,
    }


def moved(said: dict[str, Any]) -> Decimal:
    """How far the price goes: 100 shares, or one contract of 100, earn the gross P&L."""
    gross = Decimal(said.get("net", "0")) + Decimal(said.get("fees", "0"))
    return gross / 100 * (-1 if "short" in said else 1)


def entry_price(said: dict[str, Any]) -> Decimal:
    usual = Decimal(5 if "option" in said else 100)
    return max(usual, -moved(said))


def exit_price(said: dict[str, Any]) -> Decimal:
    return entry_price(said) + moved(said)


def mark(said: dict[str, Any]) -> SnapshotEntry:
    return SnapshotEntry(taken_at=moment(said["at"]), mark_price=exit_price(said))
