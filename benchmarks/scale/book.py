"""An invented book of trades, recorded through the store: every user of a large ledger has
some of it.

Tickers and strategies are skewed as real books are (a third of the trades in one name),
scores cluster around 65 and are missing at times. Three trades in five are in one option,
one in seven is a vertical spread, the rest is in shares; some are entered in two fills. A
high score wins a little more often. Moments are whole minutes, so that copies can be set
apart by seconds. The same size gives the same trades, whatever the machine.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Literal

from store.accounts import AccountEntry, put_account
from store.batches import record_trades
from store.database import Store
from store.recording import add_snapshots, close_trade, open_trade
from store.records import ByFills, FillEntry, LegEntry, SnapshotEntry, TradeEntry
from store.schema import prepare

SEED = 20_260_105
FIRST_DAY = datetime(2023, 1, 2, tzinfo=UTC)
DAYS = 900
ACCOUNT = AccountEntry(name="main", mode="live")
FEE = Decimal("0.65")  # Of a contract, or of a hundred shares, on each side.

TICKERS = (
    "AAPL", "SPY", "NVDA", "TSLA", "QQQ", "MSFT", "AMD", "META", "AMZN", "GOOGL", "IWM", "NFLX",
    "JPM", "XOM", "BA", "COIN", "PLTR", "DIS", "INTC", "KO", "PFE", "GM", "F", "SOFI",
)  # fmt: skip
STRATEGIES = (
    "leap_call", "wheel_put", "breakout", "swing", "earnings", "zero_dte", "mean_reversion",
)  # fmt: skip
REGIMES = ("trending_up", "trending_down", "range_bound", "volatile")
STRUCTURES = ("option", "vertical", "shares")


@dataclass(frozen=True)
class Planned:
    """A trade as it is entered, its marks, and the fills that end it, by leg."""

    entry: TradeEntry
    marks: tuple[SnapshotEntry, ...]
    exits: dict[int, FillEntry]

    def whole(self) -> TradeEntry:
        legs = tuple(
            leg.model_copy(update={"fills": (*leg.fills, self.exits[number])})
            for number, leg in enumerate(self.entry.legs, start=1)
        )
        return self.entry.model_copy(update={"legs": legs})


@dataclass(frozen=True)
class Contract:
    """What a leg is in, bought or sold, and its prices on the way in and out."""

    leg: dict[str, object]
    side: Literal["buy", "sell"]
    entry: Decimal
    exit: Decimal


async def record_book(store: Store, days: int, each: int, snapshots: int) -> None:
    """Record `each` trades on every one of `days`, oldest first, in an empty ledger; each
    with so many `snapshots`."""
    await prepare(store)
    random = Random(SEED)
    plans = [
        plan(random, FIRST_DAY + timedelta(days=place * DAYS // days), snapshots)
        for place in range(days)
        for _ in range(each)
    ]
    async with store.write() as session:
        await put_account(session, ACCOUNT)
        if not snapshots:
            await record_trades(session, [one.whole() for one in plans])
            return
        for one in plans:
            number = (await open_trade(session, one.entry)).number
            await add_snapshots(session, number, one.marks)
            exits: dict[int, tuple[FillEntry, ...]] = {n: (fill,) for n, fill in one.exits.items()}
            await close_trade(
                session, number, ByFills(fills=exits), exit_reason=one.entry.exit_reason
            )


def plan(random: Random, day: datetime, snapshots: int) -> Planned:
    opened = day.replace(hour=14, minute=30) + timedelta(minutes=random.randrange(300))
    [kind] = random.choices(STRUCTURES, (60, 15, 25))
    days = 0 if kind == "shares" else random.choice((0, 5, 14, 30, 45, 120, 400))
    held = random.randrange(min(days, 20) + 1) if days or kind != "shares" else random.randrange(20)
    closed = opened + timedelta(days=held, minutes=random.randint(5, 60))
    score, wins = _odds(random)
    entry = Decimal(random.randrange(100, 3_000)) / 100
    exit_ = entry + _move(random, entry, wins=wins)
    contracts = _contracts(random, kind, opened + timedelta(days=days), entry, exit_)
    hundreds = Decimal(random.randint(1, 10))
    fee = FEE if exit_ != entry else Decimal(0)  # So that some break even.
    return Planned(
        TradeEntry.model_validate(
            {
                "account": ACCOUNT.name,
                "ticker": _skewed(random, TICKERS),
                "strategy": _skewed(random, STRATEGIES) if random.random() < 0.95 else None,
                "legs": _legs(random, contracts, hundreds, opened, fee),
                "stop_loss": (entry / 2).quantize(Decimal("0.01")),
                "take_profit": entry * 2,
                "scanner_score": score,
                "ai_score": _score(random),
                "conditions": _conditions(random),
                "exit_reason": "manual" if exit_ == entry else "target" if wins else "stop",
                "source": "benchmark",
                "external_id": f"T{random.getrandbits(60)}",
                **_greeks(random, kind, contracts),
            }
        ),
        _marks(random, snapshots, opened, closed, entry, exit_),
        {
            number: _fill(
                "sell" if one.side == "buy" else "buy",
                _units(one, hundreds),
                one.exit,
                closed,
                fee * hundreds,
            )
            for number, one in enumerate(contracts, start=1)
        },
    )


def _odds(random: Random) -> tuple[Decimal | None, bool]:
    """A score, and whether the trade wins."""
    score = _score(random)
    known = 60 if score is None else int(score)
    return score, random.random() < 0.45 + (known - 60) / 400


def _score(random: Random) -> Decimal | None:
    if random.random() < 0.1:
        return None
    return Decimal(round(min(100.0, max(0.0, random.gauss(65, 15)))))


def _skewed(random: Random, names: tuple[str, ...]) -> str:
    """The first a third of the time, the last seldom."""
    return names[int(len(names) * random.random() ** 3)]


def _move(random: Random, entry: Decimal, *, wins: bool) -> Decimal:
    """The change of the price; now and then none."""
    if random.random() < 0.03:
        return Decimal(0)
    cents = int(entry * 100)
    if wins:
        return Decimal(random.randint(3, max(4, cents))) / 100
    return -Decimal(random.randint(1, max(2, cents * 6 // 10))) / 100


def _contracts(
    random: Random, kind: str, expiry: datetime, entry: Decimal, exit_: Decimal
) -> list[Contract]:
    """Bought, so that a rising price earns; of a vertical the further leg is sold."""
    if kind == "shares":
        return [Contract({"instrument": "equity"}, "buy", entry, exit_)]
    strike = random.randrange(20, 600)
    option_type = random.choice(("call", "call", "put"))
    leg = {"instrument": "option", "option_type": option_type, "expiry": expiry.date()}
    if kind == "option":
        return [Contract({**leg, "strike": strike}, "buy", entry, exit_)]
    further = strike + (40 if option_type == "call" else -15)
    short = Decimal(random.randrange(20, 200)) / 100
    return [
        Contract({**leg, "strike": strike}, "buy", entry + short, exit_ + short),
        Contract({**leg, "strike": further}, "sell", short, short),
    ]


def _legs(
    random: Random, contracts: list[Contract], hundreds: Decimal, opened: datetime, fee: Decimal
) -> tuple[LegEntry, ...]:
    """With their entries; a trade of one leg is at times entered in two fills."""
    halves = len(contracts) == 1 and hundreds > 1 and random.random() < 0.18
    parts = [hundreds - 1, Decimal(1)] if halves else [hundreds]
    return tuple(
        LegEntry.model_validate(
            {
                **one.leg,
                "fills": tuple(
                    _fill(one.side, _units(one, part), one.entry, opened, fee * part)
                    for part in parts
                ),
            }
        )
        for one in contracts
    )


def _fill(
    side: Literal["buy", "sell"], quantity: Decimal, price: Decimal, at: datetime, fee: Decimal
) -> FillEntry:
    return FillEntry(side=side, quantity=quantity, price=price, fee=fee, filled_at=at)


def _units(contract: Contract, hundreds: Decimal) -> Decimal:
    return hundreds if contract.leg["instrument"] == "option" else hundreds * 100


def _greeks(random: Random, kind: str, contracts: list[Contract]) -> dict[str, Decimal]:
    if kind == "shares":
        return {}
    sign = 1 if contracts[0].leg["option_type"] == "call" else -1
    return {
        "delta": Decimal(sign * random.randrange(5, 95)) / 100,
        "gamma": Decimal(random.randrange(1, 90)) / 1_000,
        "theta": -Decimal(random.randrange(1, 300)) / 1_000,
        "vega": Decimal(random.randrange(1, 400)) / 1_000,
        "iv": Decimal(random.randrange(12, 110)) / 100,
    }


def _conditions(random: Random) -> dict[str, str | Decimal]:
    known: dict[str, str | Decimal] = {"market_regime": _skewed(random, REGIMES)}
    if random.random() < 0.3:
        known["vix"] = Decimal(random.randrange(110, 400)) / 10
    return known


def _marks(
    random: Random, count: int, opened: datetime, closed: datetime, entry: Decimal, exit_: Decimal
) -> tuple[SnapshotEntry, ...]:
    """On the way from entry to exit, with some noise; whole minutes."""
    minutes = int((closed - opened).total_seconds()) // 60
    places = sorted({max(1, minutes * place // (count + 1)) for place in range(1, count + 1)})
    return tuple(
        SnapshotEntry(
            taken_at=opened + timedelta(minutes=place),
            mark_price=(
                entry + (exit_ - entry) * place / minutes + Decimal(random.randrange(-20, 21)) / 100
            ).quantize(Decimal("0.01")),
            underlying_price=Decimal(random.randrange(2_000, 60_000)) / 100,
        )
        for place in places
    )
