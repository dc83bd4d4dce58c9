"""Seal again what older keys sealed: user by user, in batches, each its own transaction.

Killed at any moment, it has lost nothing: old keys stay until nothing is sealed with them,
and the next run goes on with what is left.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import begin, note_down
from store.connections import connection_place
from store.database import Store, user_of
from store.errors import Invalid
from store.keyring import Keyring
from store.models import Base, BrokerConnection, UserSetting
from store.preferences import setting_place
from store.sealing import key_id_of, reseal
from store.users import OPERATOR, list_users

BATCH = 100


async def reseal_everything(
    store: Store, keyring: Keyring, progress: Callable[[int], None] | None = None
) -> int:
    """How many secrets were sealed again; afterwards the current key seals all that opened."""
    async with store.operate() as session:
        users = [user.user_id for user in await list_users(session)]
    done = 0
    for user_id in users:
        while True:
            async with store.write(user_id) as session:
                batch = await _reseal_batch(session, keyring)
            done += batch
            if progress is not None:
                progress(done)
            if not batch:
                break
    return done


async def used_key_ids(store: Store) -> set[str]:
    """The keys that something is still sealed with, of all users."""
    async with store.operate() as session:
        tokens = await session.scalars(select(BrokerConnection.sealed_token))
        values = await session.scalars(select(UserSetting.value).where(UserSetting.sealed == 1))
        return {key_id_of(sealed) for sealed in (*tokens, *values)}


async def _reseal_batch(session: AsyncSession, keyring: Keyring) -> int:
    """Seal again up to `BATCH` secrets of the session's user; gives how many."""
    # Takes the user's row, as whoever replaces a secret does: neither waits for the other.
    command = await begin(
        session, "rotate_keys", {"key": keyring.current.id}, key=None, author=OPERATOR
    )
    older = set(keyring.ids) - {keyring.current.id}  # What other keys sealed, nobody opens here.
    left = [
        (row, column, place)
        for row, column, place in await _sealed(session)
        if key_id_of(getattr(row, column)) in older
    ][:BATCH]
    if not left:
        return 0
    for row, column, place in left:
        await _replace(session, row, column, _resealed(keyring, getattr(row, column), place))
    said = {"key": keyring.current.id, "secrets": len(left)}
    await note_down(session, command, said, answers_change=False)
    return len(left)


def _resealed(keyring: Keyring, sealed: str, place: str) -> str:
    try:
        return reseal(keyring, sealed, place=place)
    except Invalid as error:
        raise Invalid(f"{place} cannot be sealed again: {error}") from None


async def _sealed(session: AsyncSession) -> Sequence[tuple[Base, str, str]]:
    """Every sealed value of the user: its row, its column and where it belongs."""
    mine = user_of(session)
    connections = await session.scalars(
        select(BrokerConnection).where(BrokerConnection.user_id == mine)
    )
    secrets = await session.scalars(
        select(UserSetting).where(UserSetting.user_id == mine, UserSetting.sealed == 1)
    )
    return [
        *(
            (row, "sealed_token", connection_place(mine, row.broker, row.environment))
            for row in connections
        ),
        *((row, "value", setting_place(mine, row.name)) for row in secrets),
    ]


async def _replace(session: AsyncSession, row: Any, column: str, sealed: str) -> None:
    model = type(row)
    key = [
        getattr(model, part.key) == getattr(row, part.key) for part in model.__table__.primary_key
    ]
    await session.execute(
        update(model)
        .where(*key)
        .values({column: sealed})
        .execution_options(synchronize_session=False)
    )
