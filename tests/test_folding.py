"""The operator's report: all users' closed trades, exact whatever has been folded."""

import asyncio
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update

from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import StoreError
from store.folding import Report, fold_all, rebuild_fold, report, wrong_fold
from store.folding.adding import DIMENSIONS, Key, Tally, current, tallied
from store.folding.fold import FIRST, _fold_batch, lock_fold
from store.folding.report import By
from store.models import Fold, Trade, Unfolded, User
from store.recording import add_fill
from store.records import FillEntry
from store.schema import connected, downgrade, upgrade
from store.vocabulary import name_key
from tests.ledger import moment, read, record, trade

TWO_USERS = """
    2026-01-05 AAPL +120 fees 1.30 strategy Leap   scanner 79.5 ai 50
    2026-01-06 AAPL  -80 fees 0.70 strategy Leap   scanner 80
    2026-02-02 SPY   +10           strategy swing  scanner 100
    2026-02-03 SPY    +0
    2026-02-04 SPY open
"""


async def asked(store: Store, by: By | None = None, **more: Any) -> Report:
    return await store.survey(lambda session: report(session, by=by, **more))


async def wrong(store: Store) -> str | None:
    return await store.survey(wrong_fold)


async def folded(store: Store) -> int:
    """How many sums the fold holds."""
    async with store.operate() as session:
        return await session.scalar(select(func.count()).select_from(Fold)) or 0


async def unfolded(store: Store) -> list[tuple[int, int, int]]:
    async with store.operate() as session:
        rows = select(Unfolded.user_id, Unfolded.number, Unfolded.effect)
        found = await session.execute(rows.order_by(*rows.selected_columns))
        return [(row.user_id, row.number, row.effect) for row in found]


async def two_users(store: Store) -> None:
    """Live trades of two users in dollars, paper ones, and some in euros."""
    await record(store, TWO_USERS, mode="live", user_id=1)
    await record(store, "2026-01-07 MSFT +5 strategy LEAP scanner 79", mode="live", user_id=2)
    await record(store, "2026-01-07 MSFT -7", account="try", mode="paper", user_id=2)
    await record(store, "2026-01-07 SAP +1", account="eu", mode="live", currency="EUR", user_id=2)


# --- What is told


async def test_everybodys_trades_are_told_by_mode_and_currency(store: Store) -> None:
    """By hand: live dollars 120 - 80 + 10 + 0 + 5 = 55 net, 57 before fees of 2. Of 4 decided
    trades 3 won: Wilson's interval of 3 in 4 is 30.1 % to 95.4 % (Brown et al. 2001, eq. 4)."""
    await two_users(store)

    live_euros, live_dollars, paper = (await asked(store)).books

    assert (live_euros.mode, live_euros.currency) == ("live", "EUR")
    assert (paper.mode, paper.currency, paper.overall.net_pnl) == ("paper", "USD", "-7.00")
    whole = live_dollars.overall
    assert (whole.n, whole.wins, whole.losses, whole.breakevens) == (5, 3, 1, 1)
    assert (whole.gross_pnl, whole.fees, whole.net_pnl) == ("57.00", "2.00", "55.00")
    rates = whole.model_dump(mode="json")
    assert [rates[f"win_rate{end}"] for end in ("", "_low", "_high", "_all")] == [
        0.75, 0.3006, 0.9544, 0.6
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        # However two users write a strategy, it is one; the open trade counts nowhere.
        ("strategy", [("leap", 3, "45.00"), (None, 1, "0.00"), ("swing", 1, "10.00")]),
        # 79.5 is below 80.
        ("scanner_score",
         [("70-79", 2, "125.00"), ("80-89", 1, "-80.00"), (">=90", 1, "10.00"), (None, 1, "0.00")]),
        ("ai_score", [("50-59", 1, "120.00"), (None, 4, "-65.00")]),
        ("ticker", [("AAPL", 2, "40.00"), ("SPY", 2, "10.00"), ("MSFT", 1, "5.00")]),
        ("month", [("2026-01", 3, "45.00"), ("2026-02", 2, "10.00")]),
    ],
)  # fmt: skip
async def test_each_book_is_told_in_groups(
    store: Store, by: By, groups: list[tuple[str | None, int, str]]
) -> None:
    await two_users(store)

    [book] = (await asked(store, by, mode="live", currency="USD")).books

    assert [(one.value, one.n, one.net_pnl) for one in book.groups] == groups
    assert book.overall.net_pnl == "55.00"


async def test_what_groups_a_limit_leaves_out_is_counted(store: Store) -> None:
    await two_users(store)

    [book] = (await asked(store, "ticker", mode="live", currency="USD", limit=2)).books

    assert [one.value for one in book.groups] == ["AAPL", "SPY"]
    assert book.groups_left_out == 1


async def test_an_empty_store_has_no_books(store: Store) -> None:
    assert (await asked(store, "month")).books == []
    assert await fold_all(store) == 0
    assert await wrong(store) is None


# --- Folding


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
async def test_folding_changes_no_answer(store: Store, batch: int) -> None:
    """A trade restated and one voided, before and after their first form was folded."""
    await two_users(store)
    restated = trade({"account": "main", **read("2026-01-05 AAPL +1 strategy leap")})
    async with store.write(1) as session:
        await void_trade(session, 2, reason="never happened")
    assert await fold_all(store, batch) == 8  # Seven that closed; one of them counts no longer.
    async with store.write(1) as session:
        await correct_trade(session, 1, restated, reason="price")
        await void_trade(session, 3, reason="never happened")
        await void_trade(session, 5, reason="an open one counted nowhere")
    assert await unfolded(store) == [(1, 1, -1), (1, 3, -1), (1, 6, 1)]
    before = [await asked(store, by) for by in ("strategy", "ticker", "month")]

    assert await fold_all(store, batch) == 3

    assert await unfolded(store) == []
    assert [await asked(store, by) for by in ("strategy", "ticker", "month")] == before
    [dollars] = (await asked(store, mode="live", currency="USD")).books
    assert (dollars.overall.n, dollars.overall.net_pnl) == (3, "6.00")  # 1 + 0 + 5.


async def test_what_comes_to_nothing_leaves_no_row(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1 strategy secret")
    await fold_all(store)
    assert await folded(store) == len(DIMENSIONS)
    async with store.write() as session:
        await void_trade(session, 1, reason="twice")

    await fold_all(store)

    assert await folded(store) == 0


async def test_a_fold_that_dies_has_moved_nothing(store: Store) -> None:
    await two_users(store)
    before, rows = await asked(store, "ticker"), await unfolded(store)

    async def dying() -> None:
        async with store.operate(write=True) as session:
            await lock_fold(session)
            assert await _fold_batch(session, FIRST, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await dying()

    assert (await folded(store), await unfolded(store)) == (0, rows)
    assert await asked(store, "ticker") == before


async def test_folding_rebuilding_and_asking_at_once_lose_and_double_nothing(
    store: Store,
) -> None:
    """Two fold, one rebuilds and one asks while three users record: in every answer the counts
    are as many as have been recorded at that moment, which only rise."""
    for user in (1, 2, 3):
        await record(store, "2026-01-05 AAPL +1", user_id=user)
    done = asyncio.Event()

    async def recording(user: int) -> None:
        for _ in range(6):
            await record(store, "2026-01-05 AAPL +1", user_id=user)

    async def until_done(work: Any) -> list[Any]:
        found = []
        while not done.is_set():
            found.append(await work())
        return found

    async def counted() -> int:
        [book] = (await asked(store, "ticker")).books
        assert book.overall.net_pnl == f"{book.overall.n}.00"
        assert [one.n for one in book.groups] == [book.overall.n]
        return book.overall.n

    beside = [
        asyncio.create_task(until_done(work))
        for work in (
            lambda: fold_all(store, 2), lambda: fold_all(store, 2),
            lambda: rebuild_fold(store), counted,
        )
    ]  # fmt: skip
    try:
        await asyncio.gather(*map(recording, (1, 2, 3)))
    finally:
        done.set()
    *_, rebuilt, counts = await asyncio.gather(*beside)

    assert counts == sorted(counts)
    assert set(rebuilt) == {0}
    assert await counted() == 21
    assert await wrong(store) is None


# --- Against a scan


async def by_hand(store: Store) -> dict[Key, Tally]:
    """The sums of every closed trade, worked out one by one in Python."""
    found: dict[Key, Tally] = defaultdict(Tally)
    async with store.operate() as session:
        for one in (await session.scalars(select(Trade).where(Trade.status == "closed"))).all():
            values = {
                "whole": "",
                "strategy": name_key(one.strategy or ""),
                "scanner_score": whole(one.scanner_score),
                "ai_score": whole(one.ai_score),
                "ticker": one.ticker,
                "month": f"{one.closed_on:%Y%m}",
            }
            outcomes = [int(one.outcome == name) for name in ("win", "loss", "breakeven")]
            tally = Tally._make([1, *outcomes, one.gross_pnl, one.fees, one.net_pnl])
            for dimension in DIMENSIONS:
                key = Key._make([dimension, values[dimension], one.mode, one.currency])
                found[key] = found[key].plus(tally)
    return dict(found)


def whole(score: Decimal | None) -> str:
    return "" if score is None else str(int(score))


async def change(store: Store, chance: random.Random) -> None:
    """One random command of a random user, in an account of a random mode and currency."""
    user = chance.choice([1, 2, 3])
    mode, currency = chance.choice(["live", "paper"]), chance.choice(["USD", "EUR"])
    account = f"{mode} {currency}"
    line = (
        f"2026-0{chance.randint(1, 9)}-05 {chance.choice(['AAPL', 'SPY'])}"
        f" {chance.choice(['+0', '-0.01', '+33.3', '-120.55', '+7'])}"
        f" fees {chance.choice(['0', '1.25', '0.000001'])}"
        f" {chance.choice(['strategy Leap', 'strategy LEAP', 'strategy swing', ''])}"
        f" {chance.choice(['scanner 79.99', 'scanner 80', 'ai 12.5', ''])}"
    )
    kind = chance.choice(["record", "record", "open", "close", "correct", "void"])
    if kind in ("record", "open"):
        said = line + (" open" if kind == "open" else "")
        made = {"account": account, "mode": mode, "currency": currency, "user_id": user}
        await record(store, said, **made)  # type: ignore[arg-type]
        return
    try:
        async with store.write(user) as session:
            number = chance.randint(1, await session.scalar(select(User.last_trade)) or 1)
            if kind == "close":
                fill = {"side": "sell", "quantity": 100, "price": "101.5",
                        "filled_at": moment("2026-11-05")}  # fmt: skip
                await add_fill(session, number, 1, FillEntry.model_validate(fill))
            elif kind == "correct":
                restated = trade({"account": account, **read(line)})
                await correct_trade(session, number, restated, reason="price")
            else:
                await void_trade(session, number, reason="twice")
    except StoreError:
        pass  # Another state, account or user than this chance supposed.


async def test_random_changes_and_folds_are_what_a_scan_finds(store: Store) -> None:
    chance = random.Random(20_261_122)
    await record(store, "2026-01-05 AAPL +1", user_id=1)
    for _ in range(60):
        await change(store, chance)
        if chance.random() < 0.1:
            await fold_all(store, chance.choice([1, 3, 1000]))

    async with store.operate() as session:
        kept = await tallied(session, current(DIMENSIONS))
    scanned = await by_hand(store)

    assert kept == scanned
    assert {key.mode for key in scanned} == {"live", "paper"}
    assert await wrong(store) is None


# --- Proved, and put right


async def as_owner(store: Store, *statements: Any) -> None:
    """Past walls and locks: as whoever owns the database."""
    async with connected(store.settings) as connection:
        for statement in statements:
            await connection.execute(statement)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (update(Fold).where(Fold.dimension == "whole", Fold.mode == "paper")
            .values(gross_pnl=Decimal(-8), net_pnl=Decimal(-8)),
         "gross_pnl of all trades (paper, USD) is -8.00, its trades come to -7.00"),
        (delete(Fold).where(Fold.dimension == "month"),
         "n of month 202601 (live, EUR) is 0, its trades come to 1"),
        # The words of users are not repeated.
        (update(Fold).where(Fold.value == "leap").values(n=4, wins=3),
         "n of strategy one (live, USD) is 4, its trades come to 3"),
        (update(Fold).where(Fold.value == "leap").values(value="jump"),
         "n of strategy one (live, USD) is 3, its trades come to 0"),
    ],
)  # fmt: skip
async def test_the_first_wrong_sum_is_named_and_all_are_put_right(
    store: Store, damage: Any, said: str
) -> None:
    await two_users(store)
    await fold_all(store)
    await record(store, "2026-01-05 QQQ +1")
    right = await asked(store, "strategy")
    await as_owner(store, damage)
    assert await wrong(store) == said

    assert await rebuild_fold(store) > 0

    assert await wrong(store) is None
    assert await asked(store, "strategy") == right
    assert [row[:2] for row in await unfolded(store)] == [(1, 6)]  # It is left to the fold.


async def test_changes_that_were_lost_are_found_and_put_right(store: Store) -> None:
    await two_users(store)
    right = await asked(store, "month")
    await as_owner(store, delete(Unfolded).where(Unfolded.user_id == 1))
    assert await wrong(store) == "n of all trades (live, USD) is 1, its trades come to 5"

    await rebuild_fold(store)

    assert await asked(store, "month") == right
    assert await wrong(store) is None


async def test_trades_that_were_there_before_are_folded_when_the_schema_is_migrated(
    store: Store,
) -> None:
    await two_users(store)
    async with store.write(1) as session:
        await void_trade(session, 2, reason="twice")
    right = [await asked(store, by) for by in ("strategy", "scanner_score", "month")]
    await store.close()

    await downgrade(store.settings, "0003")
    await upgrade(store.settings)

    again = Store(store.settings)
    assert [await asked(again, by) for by in ("strategy", "scanner_score", "month")] == right
    assert await unfolded(again) == []
    assert await wrong(again) is None
    await again.close()


async def test_a_trade_that_another_client_inserts_closed_counts(store: Store) -> None:
    """As bulk loaders do; a strategy that is on no list is its own key."""
    await record(store, "2026-01-05 AAPL +1 strategy Leap")
    columns = [column.name for column in Trade.__table__.columns if column.name != "number"]
    same = ", ".join(column if column != "strategy" else "'Own'" for column in columns)
    await as_owner(
        store,
        text(
            f"INSERT INTO trades (number, {', '.join(columns)})"
            f" SELECT 2, {same} FROM trades WHERE number = 1"
        ),
    )

    [book] = (await asked(store, "strategy")).books

    assert [(one.value, one.n) for one in book.groups] == [("Own", 1), ("leap", 1)]
    assert await wrong(store) is None


async def test_two_spellings_that_one_user_was_given_count_once(store: Store) -> None:
    """Another client may write two keys of one name; a trade is still one."""
    await record(store, "2026-01-05 AAPL +1 strategy Leap")
    await as_owner(
        store,
        text("INSERT INTO strategies (user_id, name_key, name) VALUES (1, 'other', 'Leap')"),
    )
    await record(store, "2026-01-05 AAPL +1 strategy Leap")

    [book] = (await asked(store, "strategy")).books

    assert [(one.value, one.n) for one in book.groups] == [("leap", 2)]
    assert await wrong(store) is None
