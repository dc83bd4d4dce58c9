"""Settings: the environment chooses the database; a pasted address works; secrets stay secret."""

import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_data_path
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from store.database_url import Database, parse_database_url
from store.errors import Invalid
from store.settings import load_settings

CANARY = "canary-7Q"
NEON = "ep-cool-sun-123-pooler.eu-central-1.aws.neon.tech"
NEON_DIRECT = "ep-cool-sun-123.eu-central-1.aws.neon.tech"
SUPABASE = "aws-0-eu-central-1.pooler.supabase.com"
VARIABLES = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "TRADE_HISTORY_DATA_DIR",
    "TRADE_HISTORY_KEYS",
    "TRADE_HISTORY_KEYS_FILE",
    "TRADE_HISTORY_USER_ID",
    "TRADE_HISTORY_POOL_SIZE",
    "TRADE_HISTORY_ANSWERS_REMEMBERED",
    "TRADE_HISTORY_STATEMENT_TIMEOUT_SECONDS",
    "TRADE_HISTORY_PG_PREPARED",
    "STORE_QUOTA",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and home, and none of our variables."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parts(address: str) -> tuple[str | None, str | None, str | None, int | None, str | None]:
    url = parse_database_url(address).url
    return url.username, url.password, url.host, url.port, url.database


def refusal(address: str) -> str:
    with pytest.raises(Invalid) as refused:
        parse_database_url(address)
    return str(refused.value)


# --- SQLite


@pytest.mark.parametrize("value", [None, "", "  ", "${user_config.database_url}"])
def test_no_address_means_sqlite_in_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("DATABASE_URL", value)

    database = load_settings().database()

    expected = user_data_path("trade-history", appauthor=False) / "trades.db"
    assert (database.dialect, database.path) == ("sqlite", expected)


@pytest.mark.skipif("sys.platform != 'linux'", reason="XDG folders are Linux's")
def test_the_xdg_data_folder_is_honoured(folder: Path) -> None:
    path = load_settings().database().path

    assert path == folder / "xdg" / "trade-history" / "trades.db"


def test_an_empty_address_in_the_environment_beats_one_in_the_env_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://host/db\n")
    monkeypatch.setenv("DATABASE_URL", "")

    assert load_settings().database().dialect == "sqlite"


def test_the_data_folder_can_be_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADE_HISTORY_DATA_DIR", "~/ledger")

    assert load_settings().database().path == folder / "home" / "ledger" / "trades.db"


def test_choosing_a_database_creates_no_folder(folder: Path) -> None:
    load_settings().database()

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:///trades.db", "trades.db"),
        ("sqlite:////data/trades.db", "/data/trades.db"),
        ("sqlite+aiosqlite:////data/trades.db", "/data/trades.db"),
        ("SQLite:////data/my%20trades.db", "/data/my trades.db"),
        (" 'sqlite:////data/trades.db' ", "/data/trades.db"),
    ],
)
def test_a_sqlite_address_names_its_file(address: str, path: str) -> None:
    database = parse_database_url(address)

    assert (database.path, database.url.drivername, database.url.database) == (
        Path(path),
        "sqlite+aiosqlite",
        str(Path(path)),
    )


def test_a_tilde_in_a_sqlite_address_is_the_home_folder(folder: Path) -> None:
    assert parse_database_url("sqlite:///~/t.db").path == folder / "home" / "t.db"


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_sqlite_address_without_a_file_is_in_memory(address: str) -> None:
    database = parse_database_url(address)

    assert (database.path, database.url.database) == (None, ":memory:")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sqlite://trades.db", "two slashes after 'sqlite:'; three are accepted"),
        ("sqlite:///trades.db?mode=ro", "takes no parameters"),
        ("sqlite:///~nobody-here-9/t.db", "names no home folder"),
    ],
)
def test_a_mistaken_sqlite_address_is_refused(address: str, message: str) -> None:
    assert message in refusal(address)


# --- PostgreSQL: the address


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "POSTGRES",
        "postgresql+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg2",
    ],
)
def test_every_postgresql_scheme_is_opened_with_asyncpg(scheme: str) -> None:
    database = parse_database_url(f"{scheme}://ann:pw@db.example:5433/trades")

    assert database.url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://ann:pw@db.example:5433/trades"
    )


@pytest.mark.parametrize(
    "pasted",
    [
        "  postgresql://ann:pw@db/trades\n",
        '"postgresql://ann:pw@db/trades"',
        "psql 'postgresql://ann:pw@db/trades'",
        'psql "postgresql://ann:pw@db/trades"',
        "psql postgresql://ann:pw@db/trades",
        "'psql postgresql://ann:pw@db/trades'",
    ],
)
def test_quotes_and_a_leading_psql_are_ignored(pasted: str) -> None:
    assert parts(pasted) == ("ann", "pw", "db", None, "trades")


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p%40ss%3Aw%2Frd%231%3F", "p@ss:w/rd#1?"),
        ("p@ss:w/rd#1?", "p@ss:w/rd#1?"),
        ("x@y/z", "x@y/z"),
        ("12/34", "12/34"),
        ("a?b=c", "a?b=c"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("50%25", "50%"),
        ("%C3%A9", "é"),
        ("", None),
    ],
)
def test_a_password_is_read_encoded_or_raw(written: str, password: str | None) -> None:
    assert parts(f"postgresql://ann:{written}@db.example:5432/trades?sslmode=require") == (
        "ann",
        password,
        "db.example",
        5432,
        "trades",
    )


def test_an_at_sign_in_the_user_name_is_kept() -> None:
    assert parts("postgresql://ann@server:pw@db/trades")[0] == "ann@server"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{CANARY}@evil/x@db",  # Is the host 'evil' or 'db'?
        f"postgresql://ann:{CANARY}/w@db/trades?application_name=a@b",
        f"postgresql://ann:{CANARY}@x%20y@db/trades",  # Is %20 a space or three characters?
        f"postgresql://ann:{CANARY}%FF@db/trades",
    ],
)
def test_a_password_that_can_be_read_in_two_ways_asks_for_percent_encoding(address: str) -> None:
    assert "percent-encode" in refusal(address)


def test_the_providers_placeholder_is_not_sent_as_a_password() -> None:
    address = f"postgresql://postgres.ref:[YOUR-PASSWORD]@{SUPABASE}:6543/postgres"

    assert "placeholder" in refusal(address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://ann:pw@[::1]:5433/trades", ("ann", "pw", "::1", 5433, "trades")),
        ("postgresql://ann@db_1/trades", ("ann", None, "db_1", None, "trades")),
        ("postgresql://ann:pw@db", ("ann", "pw", "db", None, "ann")),
        ("postgresql://ann:pw@db/", ("ann", "pw", "db", None, "ann")),
        ("postgresql://db/my%20trades", (None, None, "db", None, "my trades")),
        ("postgresql:///trades", (None, None, None, None, "trades")),
    ],
)
def test_the_parts_of_an_address_and_its_usual_defaults(
    address: str, expected: tuple[object, ...]
) -> None:
    assert parts(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:pw@/trades?host=/var/run/postgresql&port=5433",
        "postgresql://ann:pw@:5433/trades?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql://ann:pw@localhost:5433/trades?host=/var/run/postgresql",
        "postgresql://ann:pw@%2Fvar%2Frun%2Fpostgresql:5433/trades",
    ],
)
def test_a_unix_socket_is_given_as_host_in_either_form(address: str) -> None:
    database = parse_database_url(address)

    _, arguments = database.url.get_dialect()().create_connect_args(database.url)
    assert arguments == {
        "host": "/var/run/postgresql",
        "port": 5433,
        "user": "ann",
        "password": "pw",
        "database": "trades",
    }


def test_a_socket_address_survives_being_written_out() -> None:
    url = parse_database_url("postgresql://ann:pw@/trades?host=/run/pg&port=5433").url

    assert make_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://ann@db/trades", "scheme 'mysql'; accepted are postgres, postgresql"),
        ("trades.db", "is not an address; sqlite:///path"),
        ("postgresql://db:70000/trades", "'port' that is not a whole number from 1 to 65535"),
        ("postgresql://one,two/trades", "with one host"),
        ("postgresql://db/trades#top", "cannot be read"),
        ("postgresql:///trades?host=a%20b", "host that cannot be one"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(address: str, message: str) -> None:
    assert message in refusal(address)


# --- PostgreSQL: parameters


def arguments(query: str, host: str = "db.example") -> dict[str, Any]:
    return parse_database_url(f"postgresql://ann:pw@{host}/trades?{query}").connect_args


def test_a_connection_names_itself_and_has_time_limits() -> None:
    assert arguments("") == {
        "timeout": 15,
        "command_timeout": 60,
        "server_settings": {"application_name": "trade-history-mcp"},
    }


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_a_mode_that_verifies_nothing_is_passed_by_name(mode: str) -> None:
    assert arguments(f"sslmode={mode}")["ssl"] == mode


def bundle() -> str:
    """A PEM file of certificates that this machine surely has: its own trusted ones."""
    known = ssl.get_default_verify_paths()
    candidates = [known.cafile, known.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"]
    found = [name for name in candidates if name and Path(name).is_file()]
    return found[0] if found else pytest.skip("no certificates on this machine")


@pytest.mark.parametrize(
    ("query", "host_checked"),
    [
        ("sslmode=verify-full", True),
        ("sslmode=verify-full&sslrootcert=system", True),
        # Any public certificate would do otherwise.
        ("sslmode=verify-ca", True),
        ("sslmode=verify-ca&sslrootcert={bundle}", False),
        ("sslmode=require&sslrootcert={bundle}", False),
        ("sslmode=verify-full&sslrootcert={bundle}", True),
        ("sslrootcert={bundle}", True),
    ],
)
def test_a_verifying_mode_checks_certificates(query: str, host_checked: bool) -> None:
    query = query.replace("{bundle}", bundle()) if "{bundle}" in query else query

    context = arguments(query)["ssl"]

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, host_checked)


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=require",
        "connection_limit=1&pool_timeout=0&sslaccept=strict&pgbouncer=false",
        "options=endpoint%3Dep-cool-sun-123",
        "options=project%3Dep-cool-sun-123",
        "supa=base-pooler.x",
        "sslmode=&connect_timeout=&application_name=",
    ],
)
def test_what_asyncpg_cannot_use_is_dropped(query: str) -> None:
    assert arguments(query) == arguments("")


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-c%20jit%3Doff", {"jit": "off"}),
        ("-cjit=off+--work-mem=8MB", {"jit": "off", "work_mem": "8MB"}),
        ("endpoint%3Dep-1%20-c%20search_path%3Da,b", {"search_path": "a,b"}),
    ],
)
def test_options_become_server_settings(options: str, settings: dict[str, str]) -> None:
    given = arguments(f"options={options}", host=NEON_DIRECT)["server_settings"]

    assert given == {"application_name": "trade-history-mcp"} | settings


def test_options_are_refused_through_a_pooler_which_would_refuse_them() -> None:
    message = refusal(f"postgresql://ann:pw@{NEON}/trades?options=-c%20jit%3Doff")

    assert "poolers refuse startup settings" in message


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("connect_timeout=3", "timeout", 3),
        ("application_name=desk", "server_settings", {"application_name": "desk"}),
        ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
    ],
)
def test_a_parameter_reaches_asyncpg_under_its_name(query: str, name: str, value: object) -> None:
    assert arguments(query)[name] == value


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("schema=public", "the parameter 'schema' that is not known; accepted are application_n"),
        ("sslmode=on", "unknown 'sslmode'; accepted are disable, allow, prefer, require, verify-"),
        ("target_session_attrs=best", "unknown 'target_session_attrs'; accepted are any"),
        ("connect_timeout=soon", "'connect_timeout' that is not a whole number from 1 to 600"),
        ("sslmode=verify-full&sslrootcert=/no/such.pem", "'sslrootcert' that cannot be read"),
        ("sslmode=prefer&sslrootcert=/no/such.pem", "sslmode=prefer, which checks no certificate"),
        ("options=jit%3Doff", "'options' that cannot be read"),
        ("options=-c%20search_path%3Da%5C%20b", "'options' that cannot be read"),
    ],
)
def test_a_mistaken_parameter_is_refused_with_what_is_accepted(query: str, message: str) -> None:
    assert message in refusal(f"postgresql://ann:pw@db/trades?{query}")


# --- PostgreSQL: poolers


@pytest.mark.parametrize(
    ("address", "pooled"),
    [
        (f"postgresql://ann:pw@{NEON}/neondb?sslmode=require&channel_binding=require", True),
        (f"postgresql://ann:pw@{NEON_DIRECT}/neondb?sslmode=require", False),
        (f"postgresql://ann:pw@{SUPABASE}:6543/postgres", True),
        (f"postgresql://ann:pw@{SUPABASE}:5432/postgres", False),  # Supabase's session mode.
        ("postgresql://ann:pw@db/trades?pgbouncer=true", True),
        ("postgresql://ann:pw@db/trades?pgbouncer=false", False),
        ("sqlite:///trades.db", False),
    ],
)
def test_a_transaction_pooler_is_recognised(address: str, pooled: bool) -> None:
    assert parse_database_url(address).pooled is pooled


@pytest.mark.parametrize(
    ("host", "prepared", "kept"),
    [
        (NEON, "auto", False),
        (NEON, "on", True),
        (NEON, "off", False),
        (NEON_DIRECT, "auto", True),
        (NEON_DIRECT, " ON ", True),
        (NEON_DIRECT, "off", False),
    ],
)
def test_prepared_statements_are_kept_except_through_a_pooler(
    monkeypatch: pytest.MonkeyPatch, host: str, prepared: str, kept: bool
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ann:pw@{host}/trades")
    monkeypatch.setenv("TRADE_HISTORY_PG_PREPARED", prepared)

    given = load_settings().database().connect_args

    caches = (given.get("statement_cache_size"), given.get("prepared_statement_cache_size"))
    assert caches == ((None, None) if kept else (0, 0))


def test_through_a_pooler_statements_have_no_name() -> None:
    """A name would stay behind on a connection that others use next."""
    assert arguments("pgbouncer=true")["prepared_statement_name_func"]() == ""


@pytest.mark.parametrize("query", ["", "?pgbouncer=true", "?sslmode=prefer&connect_timeout=9"])
async def test_a_connection_opens_with_what_an_address_gives(
    direct_postgres_url: str, query: str
) -> None:
    database = parse_database_url(direct_postgres_url + query)
    engine = create_async_engine(database.url, connect_args=database.connect_args)
    try:
        async with engine.connect() as connection:
            name = await connection.scalar(text("select current_setting('application_name')"))
    finally:
        await engine.dispose()

    assert name == "trade-history-mcp"


async def test_through_a_pooler_no_statement_stays_on_the_connection(
    direct_postgres_url: str,
) -> None:
    database = parse_database_url(f"{direct_postgres_url}?pgbouncer=true")
    engine = create_async_engine(database.url, connect_args=database.connect_args)
    statement = text("select count(*) from pg_prepared_statements where statement like '% 4242'")
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 4242"))
            left = await connection.scalar(statement)
    finally:
        await engine.dispose()

    assert left == 0


# --- The other settings


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()

    assert (
        settings.user_id,
        settings.pool_size,
        settings.statement_timeout_seconds,
        settings.pg_prepared,
    ) == (1, 5, 5, "auto")


def test_the_env_file_is_read_and_strangers_in_it_ignored(folder: Path) -> None:
    (folder / ".env").write_bytes(
        b"\xef\xbb\xbfTRADE_HISTORY_USER_ID=7\r\nSTRANGER=1\r\nDATABASE_URL=sqlite:///mine.db\r\n"
    )

    settings = load_settings()

    assert (settings.user_id, settings.database().path) == (7, Path("mine.db"))


def test_the_environment_beats_the_env_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("TRADE_HISTORY_USER_ID=7\n")
    monkeypatch.setenv("TRADE_HISTORY_USER_ID", "8")

    assert load_settings().user_id == 8


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("value", ["", " ", "${user_config.anything}"])
def test_a_blank_variable_is_an_unset_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    unset = load_settings()
    monkeypatch.setenv(variable, value)

    assert load_settings() == unset


def test_the_address_can_be_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").write_text(f"postgresql://ann:{CANARY}@db/trades\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(folder / "secret"))

    assert load_settings().database().url.password == CANARY


def test_a_longer_statement_limit_is_not_cut_by_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/trades")
    monkeypatch.setenv("TRADE_HISTORY_STATEMENT_TIMEOUT_SECONDS", "600")

    assert load_settings().database().connect_args["command_timeout"] > 600


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TRADE_HISTORY_POOL_SIZE", "0", "is too small; a whole number from 1 to 50 is accepted."),
        ("TRADE_HISTORY_POOL_SIZE", "51", "is too large; a whole number from 1 to 50 is accepted."),
        ("TRADE_HISTORY_POOL_SIZE", "x", "is not a whole number; a whole number from 1 to 50 is"),
        ("TRADE_HISTORY_STATEMENT_TIMEOUT_SECONDS", "601", "is too large; a whole number from 1"),
        ("TRADE_HISTORY_PG_PREPARED", "maybe", "is not one of its values; auto, on or off is"),
        ("STORE_QUOTA", "500", "is not usable; a size such as 500MB, 8GB or 1GiB is accepted."),
        ("STORE_QUOTA", "0 GB", "is not usable; a size such as 500MB"),
        ("STORE_QUOTA", "-1GB", "is not usable; a size such as 500MB"),
        ("STORE_QUOTA", "5 ZB", "is not usable; a size such as 500MB"),
        ("TRADE_HISTORY_USER_ID", "ann", "is not a whole number; a whole number from 1"),
        ("DATABASE_URL_FILE", "/no/such", "names /no/such, which cannot be read: No such file"),
        ("DATABASE_URL_FILE", "/dev/null", "names /dev/null, which is empty"),
        ("TRADE_HISTORY_DATA_DIR", "~nobody-here-9/x", "has a '~' that names no home folder"),
    ],
)
def test_a_mistaken_variable_is_named_with_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(Invalid) as refused:
        load_settings().database()

    assert f"{variable} {message}" in str(refused.value)


def test_an_address_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    monkeypatch.setenv("DATABASE_URL_FILE", "/run/secrets/url")

    with pytest.raises(Invalid, match="are both set; set only one"):
        load_settings().database()


def test_an_env_file_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / ".env").write_bytes(b"DATABASE_URL=postgresql://ann:\xff@db/trades\n")

    with pytest.raises(Invalid, match=r"\.env is not UTF-8 text"):
        load_settings()


# --- Secrets


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (
            f"postgresql://ann:{CANARY}@db:5433/trades?sslmode=require",
            "postgresql://db:5433/trades",
        ),
        (f"postgresql://ann:{CANARY}@[::1]/trades", "postgresql://[::1]/trades"),
        (f"postgresql://ann:{CANARY}@/trades?host=/run/pg", "postgresql:///run/pg/trades"),
        ("sqlite:////data/trades.db", "sqlite:////data/trades.db"),
        ("sqlite://", "sqlite:///:memory:"),
    ],
)
def test_a_database_is_shown_without_user_password_or_parameters(address: str, name: str) -> None:
    assert parse_database_url(address).name == name


def shown(database: Database) -> str:
    return f"{database} {database!r} {database.url} {database.url!r} {database.connect_args}"


@pytest.mark.parametrize("password", [CANARY, f"@/?#{CANARY}", f"%40{CANARY}"])
def test_a_password_is_in_no_text_of_settings_or_database(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ann:{password}@db/trades?pgbouncer=true")

    settings = load_settings()

    assert CANARY not in f"{settings} {settings!r} {shown(settings.database())}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", CANARY),
        ("DATABASE_URL", f"mysql://ann:{CANARY}@db/trades"),
        ("DATABASE_URL", f"{CANARY}@host://db"),
        ("DATABASE_URL", f"sqlite://ann:{CANARY}@db/trades"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}/trades"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?unknown={CANARY}"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?{CANARY}@="),
        ("DATABASE_URL", f"postgresql://ann:12?{CANARY}/x"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db:port/trades"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}%FF@db/trades"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@a/b@db"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?sslmode={CANARY}"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?connect_timeout={CANARY}"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?options={CANARY}"),
        ("DATABASE_URL", f"postgresql://ann:{CANARY}@db/trades?sslrootcert={CANARY}"),
        ("TRADE_HISTORY_USER_ID", f"7:{CANARY}"),
        ("TRADE_HISTORY_POOL_SIZE", CANARY),
        ("TRADE_HISTORY_PG_PREPARED", CANARY),
    ],
)
def test_a_refused_value_is_in_no_message_or_traceback(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(Invalid) as refused:
        load_settings().database()

    trace = "".join(traceback.format_exception(refused.value))
    assert CANARY not in f"{refused.value!r} {refused.value} {trace} {refused.value.__context__!r}"


@pytest.mark.parametrize("name", [".env", "secret"])
def test_an_undecodable_file_is_in_no_message_or_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (folder / name).write_bytes(f"DATABASE_URL=postgresql://ann:{CANARY}".encode() + b"\xff@db/t\n")
    if name == "secret":
        monkeypatch.setenv("DATABASE_URL_FILE", name)

    with pytest.raises(Invalid) as refused:
        load_settings().database()

    trace = "".join(traceback.format_exception(refused.value))
    assert CANARY not in f"{refused.value!r} {trace} {refused.value.__context__!r}"
