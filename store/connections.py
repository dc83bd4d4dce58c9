"""How a user's brokers are reached. The token is sealed: it opens for its own row only."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from pydantic import SecretStr
from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, begin, note_down
from store.database import user_of
from store.errors import NotFound
from store.keyring import Keyring
from store.models import BrokerConnection
from store.sealing import seal, unseal

Broker: TypeAlias = Literal["tradier"]
BrokerEnvironment: TypeAlias = Literal["sandbox", "live"]
BROKERS: tuple[Broker, ...] = get_args(Broker)
ENVIRONMENTS: tuple[BrokerEnvironment, ...] = get_args(BrokerEnvironment)
BASE_URLS: dict[tuple[str, str], str] = {
    ("tradier", "sandbox"): "https://sandbox.tradier.com/v1",
    ("tradier", "live"): "https://api.tradier.com/v1",
}


async def put_connection(
    session: AsyncSession,
    keyring: Keyring,
    broker: Broker,
    environment: BrokerEnvironment,
    token: SecretStr,
    *,
    author: str = OWNER,
) -> None:
    """Keep `token`, sealed; one that was kept before is replaced."""
    said = {"broker": broker, "environment": environment}
    command = await begin(session, "put_connection", said, key=None, author=author)
    place = connection_place(user_of(session), broker, environment)
    sealed = seal(keyring, token.get_secret_value(), place=place)
    await session.execute(delete(BrokerConnection).where(*_one(session, broker, environment)))
    await session.execute(
        insert(BrokerConnection).values(
            user_id=user_of(session), sealed_token=sealed, updated_at=command.made_at, **said
        )
    )
    await note_down(session, command, said, answers_change=False)


async def remove_connection(
    session: AsyncSession, broker: Broker, environment: BrokerEnvironment, *, author: str = OWNER
) -> None:
    """Forget the token.

    Raises:
        NotFound: there is none.
    """
    said = {"broker": broker, "environment": environment}
    command = await begin(session, "remove_connection", said, key=None, author=author)
    await _require(session, broker, environment)
    await session.execute(delete(BrokerConnection).where(*_one(session, broker, environment)))
    await note_down(session, command, said, answers_change=False)


async def list_connections(session: AsyncSession) -> Sequence[BrokerConnection]:
    """The user's connections, their tokens still sealed."""
    found = await session.scalars(
        select(BrokerConnection)
        .where(BrokerConnection.user_id == user_of(session))
        .order_by(BrokerConnection.broker, BrokerConnection.environment)
    )
    return found.all()


async def connection_token(
    session: AsyncSession, keyring: Keyring, broker: Broker, environment: BrokerEnvironment
) -> SecretStr:
    """The token, opened.

    Raises:
        NotFound: there is no such connection.
        Invalid: it does not open with these keys, or was tampered with.
    """
    kept = await _require(session, broker, environment)
    place = connection_place(user_of(session), broker, environment)
    return unseal(keyring, kept.sealed_token, place=place)


def connection_place(user_id: int, broker: str, environment: str) -> str:
    """Where the sealed token belongs: in another row it does not open."""
    return f"broker_connections/{user_id}/{broker}/{environment}/token"


async def _require(session: AsyncSession, broker: str, environment: str) -> BrokerConnection:
    found = await session.scalar(
        select(BrokerConnection).where(*_one(session, broker, environment))
    )
    if found is None:
        raise NotFound(f"No connection to {broker} ({environment}).")
    return found


def _one(session: AsyncSession, broker: str, environment: str) -> tuple[ColumnElement[bool], ...]:
    return (
        BrokerConnection.user_id == user_of(session),
        BrokerConnection.broker == broker,
        BrokerConnection.environment == environment,
    )
