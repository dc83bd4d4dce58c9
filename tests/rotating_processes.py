"""Rotations of keys that are killed half-way, each in a process of its own.

    python -m tests.rotating_processes

DATABASE_URL and TRADE_HISTORY_DATA_DIR say where. Prints how many were killed, and how many
of them left secrets of two keys behind.
"""

import asyncio
import os
import random
import select
import signal
import sys
import time
from functools import partial

from sqlalchemy import select as rows_of

from store.cli import cli
from store.database import Store
from store.keyring import Keyring, load_keyring
from store.models import BrokerConnection, UserSetting
from store.preferences import setting_place
from store.rotating import used_key_ids
from store.sealing import unseal
from store.settings import Settings
from tests.key_processes import forked, killed

KILLS = 20
USERS = (1, 2, 3)
SECRETS = 120  # Of each user: two batches.


def main() -> None:
    began = time.monotonic()
    assert not killed(forked(rotate))
    longest = time.monotonic() - began
    halfway = done = 0
    while done < KILLS or not halfway:
        reading, writing = os.pipe()
        child = forked(partial(tell_and_rotate, writing))
        os.close(writing)
        select.select([reading], [], [])  # It has begun.
        time.sleep(random.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        done += killed(child)
        os.close(reading)
        halfway += asyncio.run(keys_in_use()) > 1
    sys.stdout.write(f"{done} {halfway}\n")


def tell_and_rotate(pipe: int) -> None:
    os.write(pipe, b".")
    rotate()


def rotate() -> None:
    cli.main(["keys", "rotate"], standalone_mode=False)


async def keys_in_use() -> int:
    """How many keys seal something; that every secret opens is made sure of."""
    store = Store(Settings(_env_file=None))
    try:
        await require_all_open(store, load_keyring(store.settings))
        return len(await used_key_ids(store))
    finally:
        await store.close()


async def require_all_open(store: Store, keyring: Keyring) -> None:
    for user_id in USERS:
        async with store.read(user_id) as session:
            mine = rows_of(UserSetting).where(UserSetting.user_id == user_id)
            secrets = (await session.scalars(mine)).all()
            tokens = await session.scalars(
                rows_of(BrokerConnection).where(BrokerConnection.user_id == user_id)
            )
            assert len(tokens.all()) == 1
        opened = {
            one.name: unseal(keyring, one.value, place=setting_place(user_id, one.name))
            for one in secrets
        }
        assert len(opened) == SECRETS
        assert all(one.get_secret_value() == f"{user_id}: {name}" for name, one in opened.items())


if __name__ == "__main__":
    main()
