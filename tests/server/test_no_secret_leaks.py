"""Secrets are planted everywhere, then everything that the program says is searched for them."""

import base64
import re
import signal
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from pydantic import SecretStr

from mcp_server.asgi import gate_of
from mcp_server.callers import Callers
from mcp_server.door import Door
from mcp_server.issuer_keys import IssuerKeys
from mcp_server.oauth import Issuer as Believed
from mcp_server.settings import NetworkSettings
from store.connections import list_connections
from store.database import Store
from store.keyring import load_keyring
from store.preferences import put_secret_setting, settings_of
from store.settings import Settings
from store.tokens import NewToken, list_tokens
from tests.ledger import record
from tests.postgres_server import connect
from tests.server.examples import LEDGER
from tests.server.issuing import Issuer
from tests.server.running import (
    Listening,
    free_port,
    listening,
    refused_to_start,
    trade_history,
)
from tests.server.signing_in import bearer, post, revoke, signed_in, token
from tests.test_tokens import everything

HTTP = "streamable-http"
KEY = bytes(range(100, 132))
SECRETS = {
    "database password": "canary-database-7f3a",
    "wrong database password": "canary-wrong-91bc",
    "redis password": "canary-redis-55d0",
    "broker token": "canary-broker-c2e8",
    "secret setting": "canary-setting-a14e",
    "key": base64.b64encode(KEY).decode(),
}
ROLE = "leak_test"
# The program, with everything that its libraries log.
LOUD = (
    "-c",
    "import logging; logging.basicConfig(level=logging.DEBUG);"
    " from mcp_server.cli import main; main(prog_name='trade-history-mcp')",
)


@dataclass
class Heard:
    """What the program said, by where it said it; and what must be nowhere in that."""

    said: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))

    def leaks(self) -> list[tuple[str, str]]:
        """Where which secret shows, as it is or as an address would write it."""
        return [
            (where, name)
            for where, words in self.said.items()
            for name, secret in self.secrets.items()
            if secret in words or quote(secret, safe="") in words
        ]


def known_as(url: str) -> str:
    """The address with a login of its own, whose password is a canary; SQLite has none."""
    password = SECRETS["database password"]
    return re.sub(r"//[^@]*@", f"//{ROLE}:{password}@", url) if "@" in url else url


@pytest.fixture
async def address(direct_url: str) -> AsyncIterator[str]:
    # A pooler would not know the login.
    if direct_url.startswith("sqlite"):
        yield direct_url
        return
    owner = await connect(direct_url)
    password = SECRETS["database password"]
    await owner.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{password}'")
    yield known_as(direct_url)
    await owner.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    )
    await owner.execute(f"DROP ROLE {ROLE}")
    await owner.close()


async def break_the_schema(database_url: str) -> None:
    """So that a question crashes in the middle."""
    change = "ALTER TABLE trades RENAME COLUMN net_pnl TO gone"
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        for (view,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('view')"
        ).fetchall():
            connection.execute(f"DROP VIEW {view}")
        connection.execute("PRAGMA legacy_alter_table = ON")
        connection.execute(change)
        connection.commit()
        connection.close()
        return
    postgres = await connect(database_url)
    await postgres.execute(change)
    await postgres.close()


async def hear(response: httpx2.Response) -> str:
    return f"{response.status_code} {response.headers} {response.text}"


async def use(server: Listening, issuer: Issuer, ours: str, revoked: str, heard: Heard) -> None:
    """Calls that are answered, refused and forbidden, by tokens of every kind."""
    theirs = issuer.token()
    heard.secrets |= {
        "token": ours.split("_", 3)[3],
        "revoked token": revoked.split("_", 3)[3],
        "signature of a signed token": theirs.rpartition(".")[2],
        "signature of a forged token": issuer.signed_by_another("other").rpartition(".")[2],
    }
    for name, text in {
        "ours": ours, "revoked": revoked, "signed": theirs, "forged": issuer.altered(),
        "cut": ours[:-1], "of another user": ours.replace("th_1_", "th_2_"),
    }.items():  # fmt: skip
        heard.said[f"answer, {name}"] = await hear(await post(server, text))
    evil = await post(server, ours, Host="evil.example")
    heard.said["answer, evil host"] = await hear(evil)
    async with signed_in(server, ours, "legacy") as client:
        for tool, arguments in (("get_overview", {}), ("get_trade_history", {"ticker": 7})):
            heard.said[f"answer, {tool}"] = str(await client.call_tool(tool, arguments))
    async with httpx2.AsyncClient(headers=bearer(ours)) as http:
        heard.said["answer, nonsense"] = await hear(await http.post(server.url, content=b"{"))
    assert heard.said["answer, ours"].startswith("200")
    assert heard.said["answer, signed"].startswith("200")


async def command(heard: Heard, url: str, folder: Path, *words: str, typed: str = "") -> str:
    code, output, errors = await trade_history(
        url, folder, *words, typed=typed, TRADE_HISTORY_KEYS=SECRETS["key"]
    )
    heard.said[f"command {' '.join(words)}, stderr"] = errors
    assert code == 0, errors
    return output


async def operate(heard: Heard, url: str, folder: Path) -> None:
    """Every command that comes near a secret."""
    made = await command(heard, url, folder, "tokens", "create", "by command")
    heard.secrets["token made by command"] = made.strip().split("_", 3)[3]
    typed = SECRETS["broker token"] + "\n"
    for words in (
        ("connections", "set", "tradier"), ("connections", "list", "--json"), ("tokens", "list"),
        ("keys", "list"), ("audit",), ("audit", "--calls"), ("verify",), ("status", "--json"),
        ("users", "list"),
    ):  # fmt: skip
        heard.said[f"command {words}"] = await command(
            heard, url, folder, *words, typed=typed if words[1:2] == ("set",) else ""
        )


async def test_no_secret_shows_anywhere(
    store: Store, database_url: str, address: str, tmp_path: Path
) -> None:
    heard, issuer = Heard(), Issuer()
    await record(store, LEDGER)
    ours, revoked = await token(store), await token(store)
    await revoke(store, 1, 2)
    keys = Settings(_env_file=None, TRADE_HISTORY_KEYS=SecretStr(SECRETS["key"]))
    async with store.write() as session:
        value = SecretStr(SECRETS["secret setting"])
        await put_secret_setting(session, load_keyring(keys), "webhook", value)

    variables = issuer.variables(TRADE_HISTORY_AUTH="on", TRADE_HISTORY_KEYS=SECRETS["key"])
    with issuer.serving():
        async with listening(HTTP, address, tmp_path, program=LOUD, **variables) as server:
            await use(server, issuer, ours, revoked, heard)
            await operate(heard, address, tmp_path)
            kept = await everything(store)
            await break_the_schema(database_url)
            crashed = await post(server, ours, "get_strategy_performance")
            heard.said["answer, crash"] = await hear(crashed)
            server.process.send_signal(signal.SIGTERM)
            await server.process.wait()
            heard.said["log"] = server.log.read_text()
    heard.said["database"] = kept
    heard.said["folder"] = "".join(
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()
    )

    assert "because of a bug in the server" in heard.said["answer, crash"]
    assert "DEBUG" in heard.said["log"]
    assert "tradier" in heard.said["command ('connections', 'list', '--json')"]
    assert "webhook" in kept
    assert heard.leaks() == []


async def test_no_refusal_to_start_shows_a_secret(
    store: Store, database_url: str, address: str, tmp_path: Path
) -> None:
    await token(store)
    heard = Heard()
    password, wrong = SECRETS["database password"], SECRETS["wrong database password"]
    redis = f"redis://:{SECRETS['redis password']}@127.0.0.1:port"
    addresses = {
        "redis": (address, {"TRADE_HISTORY_RATE_LIMIT_URL": redis}),
        "keys": (address, {"TRADE_HISTORY_KEYS": SECRETS["key"][:-4]}),
        "away": (f"postgresql://me:{password}@127.0.0.1:{free_port()}/x?sslmode={wrong}", {}),
        "scheme": (f"mysql://me:{password}@host/x", {}),
        "port": (f"postgresql://me:{password}@host:{wrong}/x", {}),
        "wrong password": (address.replace(password, wrong), {}),
    }
    for name, (url, more) in addresses.items():
        if name in ("keys", "wrong password"):
            continue  # With these it starts, and says what is wrong when it is asked.
        code, said = await refused_to_start(
            url, tmp_path, "--transport", HTTP, TRADE_HISTORY_AUTH="on", **more
        )
        assert code == 2, said
        heard.said[f"server, {name}"] = said
    if url != address:
        async with listening(HTTP, url, tmp_path, TRADE_HISTORY_AUTH="on") as running:
            await post(running, "th_1_1_" + "a" * 43)
        heard.said["server, wrong password"] = running.log.read_text()
        assert "the password or user name is refused" in running.log.read_text()
    heard.secrets["part of a key"] = SECRETS["key"][:-4]
    for name, (url, more) in addresses.items():
        code, output, errors = await trade_history(
            url, tmp_path, "connections", "set", "tradier",
            typed=SECRETS["broker token"], **more,
        )  # fmt: skip
        heard.said[f"command, {name}"] = f"{output}{errors}"
        assert "Traceback" not in errors

    assert "TRADE_HISTORY_KEYS" in heard.said["command, keys"]
    assert heard.leaks() == []


async def test_nothing_that_holds_a_secret_shows_it_when_printed(
    store: Store, address: str
) -> None:
    heard = Heard()
    settings = Settings(
        _env_file=None,
        DATABASE_URL=SecretStr(address),
        TRADE_HISTORY_KEYS=SecretStr(SECRETS["key"]),
    )
    network = NetworkSettings(
        _env_file=None,
        TRADE_HISTORY_RATE_LIMIT_URL=SecretStr(f"memory://:{SECRETS['redis password']}@x"),
        TRADE_HISTORY_OAUTH_ISSUER="https://issuer.example",
        TRADE_HISTORY_OAUTH_JWKS_URL="https://issuer.example/keys",
        TRADE_HISTORY_PUBLIC_URL="https://trades.example.com",
    )
    text = await token(store)
    heard.secrets["token"] = text.split("_", 3)[3]
    keyring, known = load_keyring(settings), Store(settings)
    door = Door(known, many=True)
    callers = Callers(door)
    caller = await callers.named_by(text)
    issuer = Believed("https://issuer.example", "x", "https://issuer.example/keys", "user")

    objects: list[Any] = [
        settings, network, keyring, keyring.current, known, known.database, known.connections,
        known.connections.engine, known.connections.engine.url, door, callers, caller, issuer,
        IssuerKeys("https://issuer.example/keys"), NewToken(1, text), gate_of(door, HTTP, network),
        settings.database(),
        await store.answer(list_tokens), await store.answer(settings_of),
        await store.answer(list_connections),
    ]  # fmt: skip
    for one in objects:
        heard.said[type(one).__name__] = f"{one!r} {one} {[one]}"
    for one in (settings, network):
        heard.said[f"dump of {type(one).__name__}"] = f"{one.model_dump()} {one.model_dump_json()}"
    heard.said["what the callers remember"] = str(vars(callers)["_known"])
    await known.close()

    assert caller is not None
    assert heard.leaks() == []
