"""The tenants of a store and what their tiers include; an operator's commands.

They cross users, so they run inside `store.operate()`, which no request from outside does.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import begin, note_down
from store.database import user_of
from store.errors import NotFound
from store.models import Tier, User

TierName: TypeAlias = Literal["free", "basic", "pro"]
TIERS: tuple[TierName, ...] = get_args(TierName)
OPERATOR = "operator"


async def require_user(session: AsyncSession) -> User:
    """The session's user.

    Raises:
        NotFound: there is no such user.
    """
    found = await session.scalar(select(User).where(User.user_id == user_of(session)))
    if found is None:
        raise NotFound(f"No user {user_of(session)} in this store.")
    return found


async def list_users(session: AsyncSession) -> Sequence[User]:
    """Every user, by number."""
    return (await session.scalars(select(User).order_by(User.user_id))).all()


async def next_user(session: AsyncSession) -> int:
    """A number that no user has."""
    return 1 + (await session.scalar(select(func.max(User.user_id))) or 0)


async def put_tier(session: AsyncSession, tier: TierName) -> None:
    """Give the session's user the tier; what is recorded beyond its limits stays.

    Raises:
        NotFound: there is no such user.
    """
    command = await begin(session, "put_tier", {"tier": tier}, key=None, author=OPERATOR)
    await session.execute(update(User).where(User.user_id == user_of(session)).values(tier=tier))
    await note_down(session, command, {"tier": tier}, answers_change=False)


async def list_tiers(session: AsyncSession) -> Sequence[Tier]:
    """The tiers, the smallest first."""
    found = (await session.scalars(select(Tier))).all()
    return sorted(found, key=lambda tier: TIERS.index(tier.name))


async def set_limits(
    session: AsyncSession,
    name: TierName,
    *,
    calls_per_minute: int | None,
    accounts: int | None,
    trades: int | None,
) -> None:
    """What a tier includes from now on; None is without limit.

    Raises:
        NotFound: there is no such tier.
    """
    limits = {"calls_per_minute": calls_per_minute, "accounts": accounts, "trades": trades}
    changed = await session.execute(
        update(Tier).where(Tier.name == name).values(limits).returning(Tier.name)
    )
    if changed.one_or_none() is None:
        raise NotFound(f"No tier '{name}'. Known: {', '.join(TIERS)}.")
