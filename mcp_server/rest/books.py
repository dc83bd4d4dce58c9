"""What a user keeps beside the trades: accounts, settings, connections to brokers."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.problems import API
from mcp_server.rest.bodies import (
    AccountFound,
    Accounts,
    ConnectionFound,
    Connections,
    NewConnection,
    NewSetting,
    SettingName,
    Settings,
)
from mcp_server.rest.desk import TheDesk
from mcp_server.rest.exact import ExactRoute
from mcp_server.rest.refusals import OF_READING, OF_WRITING
from store import accounts, connections, preferences
from store.connections import Broker, BrokerEnvironment
from store.keyring import load_keyring

router = APIRouter(prefix=API, route_class=ExactRoute)


@router.get("/accounts", tags=["accounts"], response_model=Accounts, responses=OF_READING)
async def list_accounts(desk: TheDesk, request: Request) -> Response:
    """The accounts, in the order they were made."""

    async def work(session: AsyncSession) -> Accounts:
        found = await accounts.list_accounts(session)
        return Accounts(accounts=[AccountFound.model_validate(one) for one in found])

    return await desk.answer(request, "list_accounts", {}, work)


@router.post("/accounts", tags=["accounts"], status_code=201, responses=OF_WRITING)
async def put_account(desk: TheDesk, account: accounts.AccountEntry) -> AccountFound:
    """Declare an account. The name is the key: said again it is the same account, with another
    mode, currency, zone or tolerance it is refused (409)."""

    async def work(session: AsyncSession) -> AccountFound:
        made = await accounts.put_account(session, account, author=desk.author())
        return AccountFound.model_validate(made)

    return await desk.write("put_account", {"entry": account}, work, keyed=True)


@router.get("/settings", tags=["settings"], responses=OF_READING)
async def list_settings(desk: TheDesk) -> Settings:
    """All settings; of a secret one only the name."""

    async def work(session: AsyncSession) -> Settings:
        return Settings(settings=await preferences.settings_of(session))

    return await desk.read("list_settings", {}, work)


@router.put("/settings/{name}", tags=["settings"], status_code=204, responses=OF_WRITING)
async def put_setting(desk: TheDesk, name: SettingName, setting: NewSetting) -> Response:
    """Keep a setting; one of the same name is replaced."""
    author, value = desk.author(), setting.value

    async def work(session: AsyncSession) -> None:
        if setting.secret:
            keyring = load_keyring(desk.door.store.settings)
            await preferences.put_secret_setting(session, keyring, name, value, author=author)
        else:
            await preferences.put_setting(session, name, value.get_secret_value(), author=author)

    # What is kept is on no record: a short secret could be guessed from its hash.
    await desk.write("put_setting", {"name": name, "secret": setting.secret}, work, keyed=False)
    return Response(status_code=204)


@router.get("/connections", tags=["connections"], responses=OF_READING)
async def list_connections(desk: TheDesk) -> Connections:
    """The connections to brokers; their tokens are given back to nobody."""

    async def work(session: AsyncSession) -> Connections:
        found = await connections.list_connections(session)
        return Connections(connections=[ConnectionFound.model_validate(one) for one in found])

    return await desk.read("list_connections", {}, work)


@router.put(
    "/connections/{broker}/{environment}",
    tags=["connections"],
    status_code=204,
    responses=OF_WRITING,
)
async def put_connection(
    desk: TheDesk, broker: Broker, environment: BrokerEnvironment, connection: NewConnection
) -> Response:
    """Keep a broker's token, sealed; one that was kept before is replaced."""

    async def work(session: AsyncSession) -> None:
        keyring = load_keyring(desk.door.store.settings)
        await connections.put_connection(
            session, keyring, broker, environment, connection.token, author=desk.author()
        )

    said = {"broker": broker, "environment": environment}
    await desk.write("put_connection", said, work, keyed=False)
    return Response(status_code=204)


@router.delete(
    "/connections/{broker}/{environment}",
    tags=["connections"],
    status_code=204,
    responses=OF_WRITING,
)
async def remove_connection(
    desk: TheDesk, broker: Broker, environment: BrokerEnvironment
) -> Response:
    """Forget a broker's token."""

    async def work(session: AsyncSession) -> None:
        await connections.remove_connection(session, broker, environment, author=desk.author())

    said = {"broker": broker, "environment": environment}
    await desk.write("remove_connection", said, work, keyed=False)
    return Response(status_code=204)
