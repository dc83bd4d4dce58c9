"""A user's settings: plain ones, and secret ones that are sealed and never shown again."""

from pydantic import SecretStr
from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, begin, note_down
from store.database import user_of
from store.errors import Invalid, NotFound
from store.keyring import Keyring
from store.models import UserSetting
from store.sealing import seal, unseal
from store.vocabulary import label, storable

LONGEST = 8_000


async def put_setting(session: AsyncSession, name: str, value: str, *, author: str = OWNER) -> None:
    """Keep a plain setting; one of the same name is replaced.

    Raises:
        Invalid: name or value is not accepted.
    """
    if not 1 <= len(value) <= LONGEST or not storable(value):
        raise Invalid(
            f"The setting has {len(value)} characters; 1 to {LONGEST} without NUL or lone"
            " surrogates are accepted."
        )
    await _put(session, label("name of a setting", name), value, sealed=False, author=author)


async def put_secret_setting(
    session: AsyncSession, keyring: Keyring, name: str, value: SecretStr, *, author: str = OWNER
) -> None:
    """Keep a setting sealed; only `secret_setting` gives it back."""
    name = label("name of a setting", name)
    sealed = seal(keyring, value.get_secret_value(), place=setting_place(user_of(session), name))
    await _put(session, name, sealed, sealed=True, author=author)


async def settings_of(session: AsyncSession) -> dict[str, str | None]:
    """All settings by name; None stands for a secret one."""
    rows = await session.scalars(
        select(UserSetting)
        .where(UserSetting.user_id == user_of(session))
        .order_by(UserSetting.name)
    )
    return {row.name: None if row.sealed else row.value for row in rows}


async def remove_setting(session: AsyncSession, name: str, *, author: str = OWNER) -> None:
    """Forget a setting, plain or secret.

    Raises:
        NotFound: there is no setting of this name.
    """
    if name not in await settings_of(session):
        raise NotFound(f"No setting '{name}'.")
    said = {"name": name}
    command = await begin(session, "remove_setting", said, key=None, author=author)
    await session.execute(delete(UserSetting).where(*_one(session, name)))
    await note_down(session, command, said, answers_change=False)


async def secret_setting(session: AsyncSession, keyring: Keyring, name: str) -> SecretStr:
    """A secret setting, opened.

    Raises:
        NotFound: there is no secret setting of this name.
        Invalid: it does not open with these keys, or was tampered with.
    """
    kept = await session.scalar(select(UserSetting).where(*_one(session, name)))
    if kept is None or not kept.sealed:
        raise NotFound(f"No secret setting '{name}'.")
    return unseal(keyring, kept.value, place=setting_place(user_of(session), name))


def setting_place(user_id: int, name: str) -> str:
    """Where the sealed value belongs: in another row it does not open."""
    return f"user_settings/{user_id}/{name}/value"


async def _put(session: AsyncSession, name: str, value: str, *, sealed: bool, author: str) -> None:
    # The value is on no record, not even as a hash: a short secret could be guessed from it.
    said = {"name": name, "sealed": sealed}
    command = await begin(session, "put_setting", said, key=None, author=author)
    await session.execute(delete(UserSetting).where(*_one(session, name)))
    await session.execute(
        insert(UserSetting).values(
            user_id=user_of(session),
            name=name,
            value=value,
            sealed=int(sealed),
            updated_at=command.made_at,
        )
    )
    await note_down(session, command, said, answers_change=False)


def _one(session: AsyncSession, name: str) -> tuple[ColumnElement[bool], ...]:
    return (UserSetting.user_id == user_of(session), UserSetting.name == name)
