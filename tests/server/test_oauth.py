"""Tokens of an OAuth issuer: believed if it signed them, for this server, for a known user."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from mcp_server.issuer_keys import FETCH_EVERY_SECONDS
from store.database import Store
from store.schema import prepare
from tests.conftest import settings_for
from tests.ledger import record
from tests.server.asking import answer_in
from tests.server.examples import LEDGER
from tests.server.issuing import AUDIENCE, CLAIM, DAY, Issuer, encoded, part
from tests.server.running import Listening, listening, refused_to_start
from tests.server.signing_in import bearer, post, refusal, signed_in, token, until_status

HTTP = "streamable-http"
UNKNOWN = "The token is unknown, expired or revoked."
KEYS_AWAY = "The keys of the OAuth issuer cannot be fetched."


@pytest.fixture(scope="module")
async def signed(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Listening, Issuer]]:
    """A server that believes an issuer; users 1 and 2 exist, 1 has trades."""
    folder = tmp_path_factory.mktemp("oauth")
    shutil.copy(sqlite_template, folder / "trades.db")
    url = f"sqlite:///{folder}/trades.db"
    store = Store(settings_for(url))
    await prepare(store)
    await record(store, LEDGER)
    await record(store, "2026-01-05 SPY +1", user_id=2)
    await store.close()
    issuer = Issuer()
    with issuer.serving():
        async with listening(HTTP, url, folder, **issuer.variables()) as server:
            yield server, issuer
            assert "Traceback" not in server.log.read_text()


@pytest.fixture
def door(signed: tuple[Listening, Issuer]) -> Listening:
    return signed[0]


@pytest.fixture
def issuer(signed: tuple[Listening, Issuer]) -> Issuer:
    return signed[1]


@pytest.mark.parametrize(("user", "trades"), [(1, 3), ("1", 3), (2, 1), ("2", 1)])
async def test_the_users_number_in_the_token_decides_who_asks(
    door: Listening, issuer: Issuer, user: Any, trades: int
) -> None:
    async with signed_in(door, issuer.token(**{CLAIM: user})) as client:
        answer = answer_in(await client.call_tool("get_overview", {}))

    assert answer["scope"]["trades"] == trades


@pytest.mark.parametrize(
    "changed",
    [
        {"scope": "openid trades:read"},
        {"scope": ["openid", "trades:read"]},
        {"scope": None, "scp": "trades:read"},
        {"scope": None, "scp": ["trades:read"]},
        {"aud": ["https://elsewhere.example", AUDIENCE]},
        {"nbf": None, "iat": None, "sub": None, "client_id": None},
    ],
)
async def test_issuers_may_write_it_in_these_ways(
    door: Listening, issuer: Issuer, changed: dict[str, Any]
) -> None:
    assert (await post(door, issuer.token(**changed))).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"scope": None},
        {"scope": ""},
        {"scope": "openid"},
        {"scope": "TRADES:READ"},
        {"scope": "trades:read,trades:write"},
        {"scope": []},
        {"scope": 7},
        {"scope": {"trades:read": True}},
        {"scope": [["trades:read"]]},
        {"scope": True},
    ],
)
async def test_a_token_without_the_scope_is_refused_as_such(
    door: Listening, issuer: Issuer, changed: dict[str, Any]
) -> None:
    response = await post(door, issuer.token(**changed))

    assert response.status_code == 403
    assert refusal(response) == "The token lacks the scope trades:read."
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]


async def test_an_issuers_admin_is_no_operator_of_the_store(
    door: Listening, issuer: Issuer
) -> None:
    """The word may mean anything there; only a token of the store looks across users."""
    headers = bearer(issuer.token(scope="trades:read admin"))
    address = f"http://127.0.0.1:{door.port}/api"
    async with httpx2.AsyncClient(headers=headers) as client:
        own = await client.get(f"{address}/questions/get_overview")
        everybodys = await client.get(f"{address}/operator/report")

    assert (own.status_code, everybodys.status_code) == (200, 403)


NOW = int(time.time())


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://evil.example/"},
        {"iss": None},
        {"aud": "https://elsewhere.example"},
        {"aud": []},
        {"aud": None},
        {"aud": AUDIENCE + "/"},
        {"exp": NOW - 3_600},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW + DAY},
        {"iat": NOW + DAY},
        {CLAIM: None},
        {CLAIM: "me"},
        {CLAIM: ""},
        {CLAIM: 0},
        {CLAIM: -1},
        {CLAIM: 1.5},
        {CLAIM: True},
        {CLAIM: [1]},
        {CLAIM: "\u0661"},
        {CLAIM: "1 OR 1=1"},
        {CLAIM: "9" * 30},
        {CLAIM: 777},
    ],
)
async def test_a_token_that_does_not_say_what_is_needed_is_refused(
    door: Listening, issuer: Issuer, changed: dict[str, Any]
) -> None:
    response = await post(door, issuer.token(**changed))

    assert (response.status_code, refusal(response)) == (401, UNKNOWN)
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "unsigned": Issuer.unsigned,
    "an HMAC with the public key": Issuer.signed_with_the_public_key,
    "signed by another under the id of a known key": Issuer.signed_by_another,
    "signed by a key of another kind": Issuer.signed_by_a_curve,
    "claims altered": Issuer.altered,
    "signature cut off": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "signature cut short": lambda issuer: issuer.token()[:-10],
    "an unknown key": lambda issuer: issuer.signed_by_another("unknown"),
    "no key named": lambda issuer: jwt.encode(issuer.claims(), issuer.key, "RS256"),
    "a critical extension": lambda issuer: issuer.token(headers={"crit": ["b64"], "b64": False}),
    "nested deeply": lambda _issuer: f"{encoded(b'[' * 9_000)}.e30.x",
    "claims nested deeply": lambda issuer: (
        f"{part({'alg': 'RS256', 'kid': issuer.kid})}.{encoded(b'[' * 9_000)}.x"
    ),
    "a key id that is no text": lambda issuer: (
        f"{part({'alg': 'RS256', 'kid': {'a': 1}})}.{part(issuer.claims())}.x"
    ),
    "an algorithm that is no text": lambda issuer: (
        f"{part({'alg': ['RS256'], 'kid': issuer.kid})}.{part(issuer.claims())}.x"
    ),
    "a header that is no object": lambda issuer: f"{part([])}.{part(issuer.claims())}.x",
    "dots": lambda _issuer: "...",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_is_refused(door: Listening, issuer: Issuer, forgery: str) -> None:
    response = await post(door, FORGERIES[forgery](issuer))

    assert (response.status_code, refusal(response)) == (401, UNKNOWN)


async def test_tokens_of_the_store_work_beside_the_issuers(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer, ours = Issuer(), await token(store)
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **issuer.variables()) as server:
            assert (await post(server, ours)).status_code == 200
            assert (await post(server, issuer.token())).status_code == 200


async def test_another_claim_may_name_the_user(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    by_address: dict[str, Any] = {CLAIM: None, "https://example.com/user": 1}
    more = {"TRADE_HISTORY_OAUTH_USER_CLAIM": "https://example.com/user"}
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **issuer.variables(**more)) as server:
            named = issuer.token(**by_address)
            assert (await post(server, named)).status_code == 200
            assert (await post(server, issuer.token())).status_code == 401


# Where clients learn who gives tokens (RFC 9728).


@pytest.mark.parametrize(("transport", "path"), [(HTTP, "/mcp"), ("sse", "/sse")])
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_refusal_names_the_open_metadata_that_names_the_issuer(
    transport: str, path: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    variables = issuer.variables(TRADE_HISTORY_PUBLIC_URL="https://trades.example.com")
    named = {"Host": "trades.example.com"}
    async with (
        listening(transport, database_url, tmp_path, **variables) as server,
        httpx2.AsyncClient(headers=named) as client,
    ):
        refused = await client.get(server.url)
        where = f"/.well-known/oauth-protected-resource{path}"
        metadata = await client.get(f"http://127.0.0.1:{server.port}{where}")
        elsewhere = await client.get(f"http://127.0.0.1:{server.port}/.well-known/other")
        rebound = await client.get(
            f"http://127.0.0.1:{server.port}{where}", headers={"Host": "evil.example"}
        )

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == (
        f'Bearer resource_metadata="https://trades.example.com{where}"'
    )
    assert metadata.status_code == 200
    said = metadata.json()
    assert said["resource"] == f"https://trades.example.com{path}"
    assert said["authorization_servers"] == [issuer.name]
    assert said["bearer_methods_supported"] == ["header"]
    assert said["scopes_supported"] == ["trades:read", "trades:write"]
    assert (elsewhere.status_code, rebound.status_code) == (404, 421)


@pytest.mark.parametrize("name", ["https://issuer.example", "https://issuer.example/realms/a/"])
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_issuer_is_named_as_it_names_itself(
    name: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    variables = Issuer().variables(TRADE_HISTORY_OAUTH_ISSUER=name)
    async with (
        listening(HTTP, database_url, tmp_path, **variables) as server,
        httpx2.AsyncClient() as client,
    ):
        root = f"http://127.0.0.1:{server.port}"
        metadata = await client.get(f"{root}/.well-known/oauth-protected-resource/mcp")

    assert metadata.json()["authorization_servers"] == [name]


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_audience_is_the_public_address_unless_said(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    variables = issuer.variables(
        TRADE_HISTORY_PUBLIC_URL="https://trades.example.com", TRADE_HISTORY_OAUTH_AUDIENCE=""
    )
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **variables) as server:
            ours = issuer.token(aud="https://trades.example.com/mcp")
            assert (await post(server, ours)).status_code == 200
            other = issuer.token(aud="https://trades.example.com")
            assert (await post(server, other)).status_code == 401


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("TRADE_HISTORY_OAUTH_ISSUER",
         "TRADE_HISTORY_OAUTH_ISSUER is missing beside the other OAuth settings;"),
        ("TRADE_HISTORY_OAUTH_JWKS_URL",
         "TRADE_HISTORY_OAUTH_JWKS_URL is missing; the address of the issuer's keys"),
        ("TRADE_HISTORY_OAUTH_AUDIENCE",
         "TRADE_HISTORY_OAUTH_AUDIENCE is missing; the audience that the issuer writes"),
    ],
)  # fmt: skip
async def test_half_of_the_settings_is_refused(missing: str, said: str, tmp_path: Path) -> None:
    code, words = await refused_to_start(
        f"sqlite:///{tmp_path}/trades.db", tmp_path, "--transport", HTTP,
        **Issuer().variables(**{missing: ""}),
    )  # fmt: skip

    assert (code, words.count("\n")) == (2, 1)
    assert words.startswith(f"trade-history-mcp: {said}")


async def test_keys_that_anybody_on_the_way_could_replace_are_refused(tmp_path: Path) -> None:
    code, words = await refused_to_start(
        f"sqlite:///{tmp_path}/trades.db", tmp_path, "--transport", HTTP,
        **Issuer().variables(TRADE_HISTORY_OAUTH_JWKS_URL="http://issuer.example/keys"),
    )  # fmt: skip

    assert code == 2
    assert "TRADE_HISTORY_OAUTH_JWKS_URL is not encrypted" in words


# While the issuer is away, and when it changes its keys.


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_key_that_the_issuer_begins_to_use_is_fetched(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **issuer.variables()) as server:
            old = issuer.token()
            assert (await post(server, old)).status_code == 200
            issuer.rotate()
            await until_status(server, issuer.token(), 200)
            await until_status(server, old, 401)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_while_the_issuer_is_away_nobody_is_called_a_liar(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer, ours = Issuer(), await token(store)
    async with listening(HTTP, database_url, tmp_path, **issuer.variables()) as server:
        away = await post(server, issuer.token())
        again = await post(server, issuer.token())
        assert (await post(server, "th_nonsense")).status_code == 401
        assert (await post(server, ours)).status_code == 200
        with issuer.serving():
            await until_status(server, issuer.token(), 200)
        known = await post(server, issuer.token(sub="another"))
        await until_status(server, issuer.signed_by_another("unknown"), 503)
        log = server.log.read_text()

    for response in (away, again):
        assert (response.status_code, refusal(response)) == (503, KEYS_AWAY)
        assert response.headers["retry-after"] == "5"
    assert known.status_code == 200, "a key once fetched is remembered for minutes"
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("status", "published"),
    [
        (500, {"keys": []}),
        (302, b""),
        (200, {"keys": []}),
        (200, b"<html>maintenance</html>"),
        (200, b"[" * 100_000),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_an_issuer_that_talks_nonsense_is_away(
    status: int, published: Any, store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    issuer.status, issuer.published = status, published
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **issuer.variables()) as server:
            response = await post(server, issuer.token())
            issuer.status = 200
            issuer.publish()
            await until_status(server, issuer.token(), 200)
            log = server.log.read_text()

    assert (response.status_code, refusal(response)) == (503, KEYS_AWAY)
    assert "Traceback" not in log


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_flood_of_forged_tokens_is_no_flood_for_the_issuer(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    forged = [f"{issuer.signed_by_another(f'key-{i}')}" for i in range(5)]
    with issuer.serving():
        async with listening(HTTP, database_url, tmp_path, **issuer.variables()) as server:
            began = time.monotonic()
            for _ in range(5):
                responses = await asyncio.gather(*(post(server, text) for text in forged * 4))
                assert {response.status_code for response in responses} == {401}
                assert (await post(server, issuer.token())).status_code == 200
            most = 1 + (time.monotonic() - began) // FETCH_EVERY_SECONDS

    assert issuer.fetches <= most
