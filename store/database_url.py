"""What a database address says: where it is, and how the driver is to be told.

Accepts addresses as providers print them. No message or repr shows a password.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from sqlalchemy import URL

from store.errors import Invalid

Prepared: TypeAlias = Literal["auto", "on", "off"]

CONNECT_SECONDS = 15  # A serverless database may need several seconds to wake.
COMMAND_SECONDS = 60
TRANSACTION_POOLER_PORT = 6543  # Supabase's.

SQLITE_SCHEMES = {"sqlite", "sqlite+aiosqlite"}
POSTGRESQL_SCHEMES = {
    "postgres",
    "postgresql",
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "postgresql+psycopg2",
}
PARAMETERS_USED = {
    "application_name",
    "connect_timeout",
    "host",
    "options",
    "port",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
}
# asyncpg has no channel binding; `supa` is a marker in the addresses that Supabase's Vercel
# integration prints; the others are Prisma's own and only `pgbouncer` tells us something.
PARAMETERS_DROPPED = {
    "channel_binding",
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "sslaccept",
    "supa",
}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_KINDS = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")

ENCODE = (
    "percent-encode special characters in the user name and password "
    "(@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)"
)


@dataclass(frozen=True, repr=False)
class Database:
    """Where the trades are, ready for `create_async_engine(url, connect_args=connect_args)`.

    `url` alone is not enough: time limits, TLS and safety behind poolers are in
    `connect_args`. `pooled` means a transaction pooler, where nothing set on a session
    outlives its transaction. `path` is the SQLite file, None in memory. `name` is safe to
    show to anyone.
    """

    url: URL
    connect_args: dict[str, Any]
    dialect: Literal["sqlite", "postgresql"]
    pooled: bool
    path: Path | None
    name: str

    def __repr__(self) -> str:
        return f"Database({self.name!r}, pooled={self.pooled})"

    @property
    def in_memory(self) -> bool:
        """Whether it is nothing but a connection of SQLite, and gone with it."""
        return self.dialect == "sqlite" and self.path is None


def home_expanded(variable: str, path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise Invalid(f"{variable} has a '~' that names no home folder; write it out.") from None


def parse_database_url(text: str, *, prepared: Prepared = "auto") -> Database:
    """The database that an address names, as pasted from a provider.

    Quotes, whitespace and a leading `psql` are ignored. A password may be percent-encoded,
    or raw where it can be read in one way only. `prepared` says whether named prepared
    statements are kept: "auto" keeps them except through a transaction pooler.

    Raises:
        Invalid: the address is not one we can open; the message never shows its secrets.
    """
    scheme, separator, rest = unwrapped(text).partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise Invalid(
            "DATABASE_URL is not an address; sqlite:///path/to/trades.db and "
            "postgresql://user:password@host:port/database are accepted."
        )
    if scheme in SQLITE_SCHEMES:
        return parse_sqlite(rest)
    if scheme in POSTGRESQL_SCHEMES:
        return parse_postgresql(rest, prepared)
    raise Invalid(
        f"DATABASE_URL has the scheme '{scheme}'; accepted are "
        f"{listed(SQLITE_SCHEMES | POSTGRESQL_SCHEMES)}."
    )


PLACEHOLDER = "[YOUR-PASSWORD]"  # As Supabase prints it; where it is left, it is refused.


def without_password(text: str) -> str:
    """An address that was accepted, with a placeholder for its password."""
    scheme, _, rest = unwrapped(text).partition("://")
    if scheme.lower() in SQLITE_SCHEMES:
        return f"{scheme}://{rest}"
    login = read_address(rest).login
    user, colon, _password = login.partition(":")
    return f"{scheme}://{user}{colon}{PLACEHOLDER if colon else ''}{rest[len(login) :]}"


def unwrapped(text: str) -> str:
    text = re.sub(r"^psql\s+", "", unquoted(text))
    return unquoted(text)


def unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].strip()
    return text


def parse_sqlite(rest: str) -> Database:
    if "?" in rest:
        raise Invalid("DATABASE_URL has a '?'; sqlite takes no parameters (in a path, it is %3F).")
    if rest and not rest.startswith("/"):
        raise Invalid(
            "DATABASE_URL has two slashes after 'sqlite:'; three are accepted before a relative "
            "path (sqlite:///trades.db) and four before an absolute one (sqlite:////data/trades.db)."
        )
    location = decoded(rest[1:])
    if location in ("", ":memory:"):
        memory = URL.create("sqlite+aiosqlite", database=":memory:")
        return Database(memory, {}, "sqlite", False, None, "sqlite:///:memory:")
    return sqlite_file(home_expanded("DATABASE_URL", Path(location)))


def sqlite_file(path: Path) -> Database:
    url = URL.create("sqlite+aiosqlite", database=str(path))
    return Database(url, {}, "sqlite", False, path, f"sqlite:///{path}")


@dataclass(frozen=True, repr=False)
class Reading:
    """One way to cut an address into its parts."""

    login: str
    host: str
    port: str
    database: str
    query: dict[str, str]


def parse_postgresql(rest: str, prepared: Prepared) -> Database:
    reading = read_address(rest)
    query = reading.query
    require_known(query)
    user, password = credentials(reading.login)
    host = query.get("host") or decoded(reading.host)
    require_host(host)
    port = whole_number("port", query.get("port") or reading.port, 65535)
    # Said here, where asyncpg would ask PGDATABASE first.
    name = decoded(reading.database) or user
    pooled = is_pooler(host, port, query)
    url = URL.create(
        "postgresql+asyncpg",
        username=user,
        password=password,
        host=None if is_socket(host) else host or None,
        port=port,
        database=name,
        query={"host": host} if is_socket(host) else {},  # The form that survives a rendering.
    )
    return Database(
        url=url,
        connect_args=connect_arguments(query, pooled, prepared),
        dialect="postgresql",
        pooled=pooled,
        path=None,
        name=displayed(host, port, name),
    )


ADDRESS = re.compile(
    r"(?P<host>\[[\w:.%-]+\]|[\w.%-]*)"
    r"(?::(?P<port>[0-9]*))?"
    r"(?:/(?P<database>[^/?#]*))?"
    r"(?:\?(?P<query>[^#]*))?"
)


def read_address(rest: str) -> Reading:
    """The only sensible way to cut `rest`, which may hold a password with raw @ / ? # in it.

    Every '@' is tried as the end of the login. Two readings that both make sense are
    refused: a wrong one would send the password to the wrong server.
    """
    found = list(readings(rest))
    if len(found) > 1:
        found = [one for one in found if one.query.keys() <= PARAMETERS_USED | PARAMETERS_DROPPED]
    if len(found) == 1:
        return found[0]
    problem = "can be read in several ways" if found else "cannot be read"
    raise Invalid(
        f"DATABASE_URL {problem}; write postgresql://user:password@host:port/database "
        f"with one host and {ENCODE}."
    )


def readings(rest: str) -> Iterator[Reading]:
    cuts = [("", rest)]
    cuts += [(rest[: at.start()], rest[at.end() :]) for at in re.finditer("@", rest)]
    for login, address in cuts:
        parts = ADDRESS.fullmatch(address)
        if parts and not re.search(r"[/?#\s]", login.partition(":")[0]):
            yield Reading(
                login=login,
                host=parts["host"].strip("[]"),
                port=parts["port"] or "",
                database=parts["database"] or "",
                query=dict(parse_qsl(parts["query"] or "", keep_blank_values=True)),
            )


def require_known(query: Mapping[str, str]) -> None:
    for name in sorted(query.keys() - PARAMETERS_USED - PARAMETERS_DROPPED):
        # What does not look like a name may be a piece of something secret.
        shown = f"the parameter '{name}'" if re.fullmatch(r"\w{1,40}", name) else "a parameter"
        raise Invalid(
            f"DATABASE_URL has {shown} that is not known; accepted are "
            f"{listed(PARAMETERS_USED | PARAMETERS_DROPPED)}."
        )


def credentials(login: str) -> tuple[str | None, str | None]:
    user, _, password = login.partition(":")
    if re.fullmatch(r"\[[A-Z_-]*PASSWORD\]", password):  # Supabase prints [YOUR-PASSWORD].
        raise Invalid(
            "DATABASE_URL still has the provider's placeholder in brackets where the password "
            "belongs; replace it, brackets included."
        )
    if re.search(r"[@/?#\s]", password) and re.search(r"%[0-9A-Fa-f]{2}", password):
        # Raw characters say it is not encoded, the escape says it is.
        raise Invalid(f"DATABASE_URL has a password that can be read in two ways; {ENCODE}.")
    return decoded(user) or None, decoded(password) or None


def decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass  # Its text quotes what it could not decode, so it must not be the context.
    raise Invalid(f"DATABASE_URL has a percent-escape that is not UTF-8; {ENCODE}.")


def require_host(host: str) -> None:
    if not is_socket(host) and not re.fullmatch(r"[\w.-]*|[0-9A-Fa-f:.]+(%[\w.-]+)?", host):
        raise Invalid(
            "DATABASE_URL has a host that cannot be one; a name, an IP address or the absolute "
            "folder of a unix socket is accepted."
        )


def is_socket(host: str) -> bool:
    return host.startswith("/")


def is_pooler(host: str, port: int | None, query: Mapping[str, str]) -> bool:
    return (
        any(label.endswith("-pooler") for label in host.lower().split("."))
        or port == TRANSACTION_POOLER_PORT
        or query.get("pgbouncer", "").lower() == "true"
    )


def displayed(host: str, port: int | None, name: str | None) -> str:
    shown = f"[{host}]" if ":" in host and not is_socket(host) else host
    return f"postgresql://{shown}{f':{port}' if port else ''}/{name or ''}"


def connect_arguments(query: Mapping[str, str], pooled: bool, prepared: Prepared) -> dict[str, Any]:
    """What asyncpg and SQLAlchemy's dialect of it take beside the URL."""
    arguments: dict[str, Any] = {
        "timeout": whole_number("connect_timeout", query.get("connect_timeout"), 600)
        or CONNECT_SECONDS,
        "command_timeout": COMMAND_SECONDS,
        "server_settings": {
            "application_name": query.get("application_name") or "trade-history-mcp",
            **startup_settings(query.get("options", ""), pooled),
        },
    }
    encryption = tls(query)
    if encryption is not None:
        arguments["ssl"] = encryption
    kind = one_of("target_session_attrs", query.get("target_session_attrs"), SESSION_KINDS)
    if kind:
        arguments["target_session_attrs"] = kind
    if prepared == "off" or (pooled and prepared == "auto"):
        arguments |= without_prepared_statements()
    return arguments


def without_prepared_statements() -> dict[str, Any]:
    """Both caches off, and no names: what has one outlives its transaction.

    A named statement is closed late, by then on another connection of the server than the
    one that keeps it; outside a transaction it may already be run on another. With the
    caches off asyncpg parses a nameless one again in the very message that runs it.
    """
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": no_name,
    }


def no_name() -> str:
    return ""


OPTION = re.compile(r"(?:-c\s*|--)([\w.-]+)=([^\s\\]*)(?:\s+|$)")


def startup_settings(options: str, pooled: bool) -> dict[str, str]:
    """The `-c name=value` of libpq's `options`; Neon's endpoint is told by TLS instead (SNI)."""
    text = re.sub(r"(?:^|\s)(?:endpoint|project)=\S*", " ", options).strip()
    settings = OPTION.findall(text)
    if OPTION.sub("", text):
        raise Invalid(
            "DATABASE_URL has 'options' that cannot be read; endpoint=..., project=... and "
            "-c name=value without spaces in the value are accepted."
        )
    if settings and pooled:
        raise Invalid(
            "DATABASE_URL has 'options' with -c through a pooler, and poolers refuse startup "
            "settings; remove them or use the provider's direct host."
        )
    return {name.replace("-", "_"): value for name, value in settings}


def tls(query: Mapping[str, str]) -> ssl.SSLContext | str | None:
    """How asyncpg shall encrypt: None is its own default, TLS if the server offers it.

    A root certificate without `sslmode` asks for verify-full, as libpq does for the system's.
    With `require` it is checked as by verify-ca, again as in libpq.
    """
    certificate = query.get("sslrootcert")
    mode = one_of("sslmode", query.get("sslmode"), SSL_MODES)
    mode = mode or ("verify-full" if certificate else None)
    if mode in ("verify-ca", "verify-full") or (mode == "require" and certificate):
        return verifying(mode, None if certificate == "system" else certificate)
    if certificate:
        raise Invalid(
            f"DATABASE_URL has 'sslrootcert' with sslmode={mode}, which checks no certificate; "
            "require, verify-ca and verify-full are accepted beside it."
        )
    return mode


def verifying(mode: str | None, certificate: str | None) -> ssl.SSLContext:
    try:
        path = home_expanded("DATABASE_URL", Path(certificate)) if certificate else None
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise Invalid(
            "DATABASE_URL has an 'sslrootcert' that cannot be read as certificates; the path of "
            "a PEM file or 'system' is accepted."
        ) from None
    # Without a certificate of their own, any public one would pass for the host: keep the check.
    context.check_hostname = mode == "verify-full" or certificate is None
    return context


def one_of(name: str, value: str | None, accepted: tuple[str, ...]) -> str | None:
    if value and value not in accepted:
        raise Invalid(f"DATABASE_URL has an unknown '{name}'; accepted are {', '.join(accepted)}.")
    return value or None


def whole_number(name: str, text: str | None, largest: int) -> int | None:
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,6}", text) and 1 <= int(text) <= largest:
        return int(text)
    raise Invalid(
        f"DATABASE_URL has a '{name}' that is not a whole number from 1 to {largest}; "
        "such a number is accepted."
    )


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
