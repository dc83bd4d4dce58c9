"""The books of a user: paper or live, each in one currency."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER, begin, note_down
from store.database import user_of
from store.errors import Conflict, NotFound
from store.models import Account
from store.records import Cash, Mode, Name, Said
from store.vocabulary import name_key

MARKET_ZONE = "America/New_York"


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("an IANA time zone is needed, like America/New_York")
    return zone


Zone = Annotated[str, AfterValidator(_known_zone), Field(json_schema_extra={"format": "time-zone"})]


class AccountEntry(Said):
    """An account as it is declared. `tolerance` is the net P&L, in its currency, up to
    which a trade counts as break-even."""

    name: Name
    mode: Mode
    broker: Name | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,10}$")] = "USD"
    zone: Zone = MARKET_ZONE
    tolerance: Annotated[Cash, Field(ge=0)] = Decimal("0.000000")


async def put_account(
    session: AsyncSession, entry: AccountEntry, *, author: str = OWNER
) -> Account:
    """The account `entry` declares: made, or the one that already says the same.

    Raises:
        Conflict: the name is taken by an account that says otherwise.
        Refused: the tier keeps no more accounts.
    """
    command = await begin(session, "put_account", {"entry": entry}, key=None, author=author)
    if (found := await find_account(session, entry.name)) is not None:
        _require_same(found, entry)
        return found
    await session.execute(
        insert(Account).values(
            user_id=user_of(session),
            account_id=command.next_account(),
            name_key=name_key(entry.name),
            created_at=command.made_at,
            **entry.model_dump(),
        )
    )
    # Answers name the accounts and their zone, so they change.
    await note_down(session, command, {"account": command.last_account})
    return await require_account(session, entry.name)


def _require_same(found: Account, entry: AccountEntry) -> None:
    said = {name: getattr(found, name) for name in ("mode", "currency", "zone", "tolerance")}
    differing = [name for name, value in said.items() if value != getattr(entry, name)]
    if differing:
        name = differing[0]
        raise Conflict(
            f"Account '{found.name}' exists with {name} {said[name]}, not"
            f" {getattr(entry, name)}. Name another account."
        )


async def find_account(session: AsyncSession, name: str) -> Account | None:
    return await session.scalar(
        select(Account).where(
            Account.user_id == user_of(session), Account.name_key == name_key(name)
        )
    )


async def require_account(session: AsyncSession, name: str) -> Account:
    """The account of this name, whatever its case.

    Raises:
        NotFound: there is none; the message lists the known ones.
    """
    found = await find_account(session, name)
    if found is None:
        known = ", ".join(account.name for account in await list_accounts(session))
        raise NotFound(f"No account '{name}'. Known accounts: {known or 'none yet'}.")
    return found


async def list_accounts(session: AsyncSession) -> Sequence[Account]:
    """All accounts of the user, in the order they were made."""
    accounts = await session.scalars(
        select(Account).where(Account.user_id == user_of(session)).order_by(Account.account_id)
    )
    return accounts.all()
