"""Any sequence of commands by two users leaves what the simple model says, and nothing else.

By default the runs are the same every time. TEST_STATEFUL_EXAMPLES=500 makes it that many on
each database, of 50 commands each, and different ones every time.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event

from store.accounts import AccountEntry, put_account
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import StoreError
from store.recording import add_fill, add_note, add_snapshots, close_trade, open_trade
from store.schema import add_user
from tests import commands
from tests.commands import ACCOUNTS, START
from tests.conftest import settings_for
from tests.model import COUNTED, Command, Ledger
from tests.stored import (
    check_answers,
    check_audit,
    parts_of,
    parts_stored,
    trades_of,
    trades_stored,
)

EXAMPLES = int(os.environ.get("TEST_STATEFUL_EXAMPLES", "0"))
STEPS = 50
LOOKED_INTO = 25  # Every so many steps all of both ledgers is compared, not trades alone.
COMMANDS: dict[str, Callable[..., Awaitable[Any]]] = {
    command.__name__: command
    for command in (
        open_trade, add_fill, close_trade, add_snapshots, add_note, correct_trade, void_trade,
    )
}  # fmt: skip
ENDINGS = ("ByFills", "ByPrices", "ByExpiry", "BySettlement", "ByDelivery")
# What has to occur, lest the rules come to test less than they seem to.
EVERYTHING = {
    *((name, "done") for name in (*COMMANDS, *ENDINGS, "put_account") if name != "close_trade"),
    *((name, "replayed") for name in ("open_trade", "add_fill", "add_note")),
    *(("add_fill", word) for word in ("flipped", "NotFound", "Conflict", "Invalid")),
    *((name, "Conflict") for name in ("open_trade", "correct_trade")),
}
Rule = TypeVar("Rule", bound=Callable[..., None])
LOCKED = ("closed", "superseded", "void")
USERS = (0, 1)
IDS = count(100)

users = st.sampled_from(USERS)


@st.composite
def a_trade(draw: st.DrawFn, *statuses: str) -> tuple[int, int]:
    """A user and the number of a trade of theirs."""
    machine: Ledgers = draw(st.runner())
    return draw(st.sampled_from(machine.trades(*statuses)))


@st.composite
def an_option(draw: st.DrawFn) -> tuple[int, int]:
    """A user and the number of an open trade of theirs that holds options."""
    machine: Ledgers = draw(st.runner())
    return draw(st.sampled_from(machine.options()))


@st.composite
def past(draw: st.DrawFn) -> tuple[int, Command]:
    """A user and a command of theirs that was recorded under a key."""
    machine: Ledgers = draw(st.runner())
    return draw(st.sampled_from(machine.keyed()))


def given(*statuses: str) -> Callable[[Rule], Rule]:
    """The rule needs a trade of one of these statuses."""
    return precondition(lambda machine: bool(machine.trades(*statuses)))


class Ledgers(RuleBasedStateMachine):
    """Two users who record, each beside the model of what they have recorded."""

    store: ClassVar[Store]
    runner: ClassVar[asyncio.Runner]
    seen: ClassVar[Counter[tuple[str, str]]]

    def __init__(self) -> None:
        super().__init__()
        self.ids = (next(IDS), next(IDS))
        self.models = (Ledger(), Ledger())
        self.steps = 0
        for user in USERS:
            self.runner.run(add_user(self.store, self.ids[user], f"user {user}"))

    # What happens.

    @initialize(data=st.data())
    def both_users_have_accounts_and_a_trade(self, data: st.DataObject) -> None:
        for user in USERS:
            for account in ACCOUNTS[:2]:
                self.declares(user, account)
            self.says(user, data.draw(commands.openings(self.now)), data)

    @precondition(lambda machine: machine.steps % 10 == 0)
    @rule(user=users, entry=st.sampled_from(ACCOUNTS))
    def an_account_is_declared(self, user: int, entry: AccountEntry) -> None:
        self.declares(user, entry)

    @rule(user=users, data=st.data())
    def a_trade_is_opened(self, user: int, data: st.DataObject) -> None:
        self.says(user, data.draw(commands.openings(self.now)), data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_position_is_scaled_into(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.scale_ins, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def part_of_a_position_is_closed(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.partial_exits, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_fill_flattens_a_leg(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.full_exits, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_fill_goes_through_zero(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.flips, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_fill_is_recorded_late(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.late_fills, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_trade_is_marked(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.marks, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_trade_is_closed_by_fills(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.endings, data)

    @given("open")
    @rule(trade=a_trade("open"), data=st.data())
    def a_trade_is_closed_at_prices(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.price_endings, data)

    @precondition(lambda machine: machine.options())
    @rule(trade=an_option(), data=st.data())
    def options_expire(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.expiries, data)

    @precondition(lambda machine: machine.options())
    @rule(trade=an_option(), data=st.data())
    def options_are_settled_in_cash(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.settlements, data)

    @precondition(lambda machine: machine.options())
    @rule(trade=an_option(), data=st.data())
    def shares_are_delivered(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.deliveries, data)

    @given("closed")
    @rule(trade=a_trade("closed"), data=st.data())
    def a_trade_is_corrected(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.corrections, data)

    @precondition(lambda machine: machine.corrections())
    @rule(data=st.data())
    def a_correction_is_corrected(self, data: st.DataObject) -> None:
        trade = data.draw(st.sampled_from(self.corrections()))
        self.says_of(trade, commands.corrections, data)

    @given(*COUNTED)
    @rule(trade=a_trade(*COUNTED), data=st.data())
    def a_trade_is_voided(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.voids, data)

    @given(*COUNTED, *LOCKED)
    @rule(trade=a_trade(*COUNTED, *LOCKED), data=st.data())
    def a_note_is_added(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.notes, data)

    @precondition(lambda machine: machine.keyed())
    @rule(said=past())
    def a_command_is_repeated(self, said: tuple[int, Command]) -> None:
        self.does(*said)

    @precondition(lambda machine: machine.keyed())
    @rule(said=past())
    def a_key_is_used_for_something_else(self, said: tuple[int, Command]) -> None:
        user, command = said
        self.does(user, commands.otherwise(command))

    @given(*LOCKED)
    @rule(trade=a_trade(*LOCKED), data=st.data())
    def a_locked_trade_is_spoken_of(self, trade: tuple[int, int], data: st.DataObject) -> None:
        self.says_of(trade, commands.anything, data)

    @precondition(lambda machine: machine.not_theirs())
    @rule(data=st.data())
    def a_trade_of_the_other_user_is_spoken_of(self, data: st.DataObject) -> None:
        user, number = data.draw(st.sampled_from(self.not_theirs()))
        like = self.models[1 - user].trades[number]
        self.says(user, data.draw(commands.anything(number, like, self.now)), data)

    # What has to hold.

    @invariant()
    def every_trade_is_as_the_model_says(self) -> None:
        self.steps += 1
        for user_id, model in zip(self.ids, self.models, strict=True):
            assert self.runner.run(trades_stored(self.store, user_id)) == trades_of(model)

    @precondition(lambda machine: machine.steps % LOOKED_INTO == 0)
    @invariant()
    def all_else_is_as_the_model_says(self) -> None:
        for user_id, model in zip(self.ids, self.models, strict=True):
            assert self.runner.run(parts_stored(self.store, user_id)) == parts_of(model)
            self.runner.run(check_audit(self.store, user_id, model))
            self.runner.run(check_answers(self.store, user_id, model))

    # How it is done.

    @property
    def now(self) -> datetime:
        """Time goes on, but not at every step."""
        return START + timedelta(hours=self.steps // 3)

    def trades(self, *statuses: str) -> list[tuple[int, int]]:
        return [(user, number) for user in USERS for number in self.models[user].numbers(*statuses)]

    def options(self) -> list[tuple[int, int]]:
        return [
            (user, number)
            for user, number in self.trades("open")
            if any(
                leg.strike and leg.held for leg in self.models[user].trades[number].legs.values()
            )
        ]

    def corrections(self) -> list[tuple[int, int]]:
        """Closed trades that restate another."""
        return [
            (user, number)
            for user, number in self.trades("closed")
            if number in {trade.replacement for trade in self.models[user].trades.values()}
        ]

    def keyed(self) -> list[tuple[int, Command]]:
        return [(user, said) for user in USERS for said, _ in self.models[user].answers.values()]

    def not_theirs(self) -> list[tuple[int, int]]:
        return [
            (user, number)
            for user in USERS
            for number in self.models[1 - user].trades
            if number not in self.models[user].trades
        ]

    def says_of(self, trade: tuple[int, int], what: Any, data: st.DataObject) -> None:
        user, number = trade
        drawn = data.draw(what(number, self.models[user].trades[number], self.now))
        self.says(user, drawn, data)

    def says(self, user: int, command: Command, data: st.DataObject) -> None:
        """Do a new command, every other time under a key (which both users may use)."""
        key = f"key {len(self.models[user].answers) + 1}" if data.draw(st.booleans()) else None
        self.does(user, Command(command.name, command.arguments, key))

    def does(self, user: int, command: Command) -> None:
        """Do a command: the store answers as the model does, or refuses as the model does."""
        expected = answer_of(lambda: self.models[user].do(command))
        answer = answer_of(lambda: self.runner.run(self.recorded(user, command)))
        assert answer == expected, command
        self.seen[said_of(command), word_for(expected)] += 1

    async def recorded(self, user: int, command: Command) -> Any:
        async with self.store.write(self.ids[user]) as session:
            return await COMMANDS[command.name](session, **command.arguments, key=command.key)

    def declares(self, user: int, entry: AccountEntry) -> None:
        async def declared() -> None:
            async with self.store.write(self.ids[user]) as session:
                await put_account(session, entry)

        expected = answer_of(lambda: self.models[user].put_account(entry))
        assert answer_of(lambda: self.runner.run(declared())) == expected
        self.seen["put_account", word_for(expected)] += 1


def answer_of(act: Callable[[], Any]) -> Any:
    """What is answered, or which kind of refusal; what put_account gives is not compared."""
    try:
        answer = act()
    except StoreError as refused:
        return type(refused)
    return answer


def said_of(command: Command) -> str:
    how = command.arguments.get("how")
    return type(how).__name__ if how else command.name


def word_for(answer: Any) -> str:
    """What came of a command, in a word."""
    if isinstance(answer, type):
        return answer.__name__
    if answer is None or not answer.replayed:
        return "flipped" if answer and answer.next_number else "done"
    return "replayed"


def unsynced(connection: Any, _record: Any) -> None:
    """This ledger outlives no power failure, as the PostgreSQL of the tests does not."""
    connection.execute("PRAGMA synchronous = OFF")


@pytest.mark.timeout(max(900, 10 * EXAMPLES))  # What fails is made small first.
def test_two_users_ledgers_are_as_the_model_says(database_url: str) -> None:
    class Here(Ledgers):
        store = Store(settings_for(database_url))
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        seen: ClassVar[Counter[tuple[str, str]]] = Counter()

    here = settings(
        max_examples=EXAMPLES or 75,
        stateful_step_count=STEPS,
        derandomize=not EXAMPLES,
        print_blob=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    if Here.store.database.dialect == "sqlite":
        event.listen(Here.store.connections.engine.sync_engine, "connect", unsynced)
    with Here.runner:
        try:
            run_state_machine_as_test(Here, settings=here)
        finally:
            Here.runner.run(Here.store.close())
    assert EXAMPLES or Here.seen.keys() >= EVERYTHING
