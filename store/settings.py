"""Which database, whose trades, and how hard may the database be worked?

Everything is an environment variable, also read from `.env` in the working directory
(the environment wins). No message, repr or traceback shows a password.
"""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from store.byte_sizes import bytes_of
from store.database_url import (
    COMMAND_SECONDS,
    Database,
    Prepared,
    home_expanded,
    parse_database_url,
    sqlite_file,
)
from store.errors import Invalid

REPLICA_SECONDS = 5  # To connect to a replica.


def lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def sized(value: object) -> object:
    return bytes_of(value) if isinstance(value, str) else value


class Environment(BaseSettings):
    """Settings of one part of the program; `load` reads them and refuses in plain words.

    `accepted` says by variable what may stand in it.
    """

    accepted: ClassVar[dict[str, str]] = {}

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # Windows editors put a mark at the start of the file.
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @model_validator(mode="before")
    @classmethod
    def without_blanks(cls, values: dict[str, Any]) -> dict[str, Any]:
        """An empty variable is unset; so is a placeholder that an MCPB host left in place."""
        return {name: value for name, value in values.items() if not is_blank(value)}


class Settings(Environment):
    """Which database, whose trades, and how hard the database may be worked."""

    accepted: ClassVar[dict[str, str]] = {
        "DATABASE_URL": "text",
        "DATABASE_URL_FILE": "the path of a file that holds the database address",
        "DATABASE_READ_URL": "text",
        "DATABASE_READ_URL_FILE": "the path of a file that holds the address of a replica",
        "TRADE_HISTORY_DATA_DIR": "the path of a folder",
        "TRADE_HISTORY_KEYS": "a list of 32-byte keys in base64 or hex",
        "TRADE_HISTORY_KEYS_FILE": "the path of a file that holds such keys",
        "TRADE_HISTORY_USER_ID": "a whole number from 1",
        "TRADE_HISTORY_POOL_SIZE": "a whole number from 1 to 50",
        "TRADE_HISTORY_ANSWERS_REMEMBERED": "a whole number from 0 to 100000",
        "TRADE_HISTORY_STATEMENT_TIMEOUT_SECONDS": "a whole number from 1 to 600",
        "TRADE_HISTORY_PG_PREPARED": "auto, on or off",
        "STORE_QUOTA": "a size such as 500MB, 8GB or 1GiB",
    }

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    database_url_file: Path | None = Field(default=None, validation_alias="DATABASE_URL_FILE")
    database_read_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_READ_URL")
    database_read_url_file: Path | None = Field(
        default=None, validation_alias="DATABASE_READ_URL_FILE"
    )
    data_dir: Path | None = Field(default=None, validation_alias="TRADE_HISTORY_DATA_DIR")
    keys: SecretStr | None = Field(default=None, validation_alias="TRADE_HISTORY_KEYS")
    keys_file: Path | None = Field(default=None, validation_alias="TRADE_HISTORY_KEYS_FILE")
    user_id: int = Field(default=1, ge=1, le=2**53, validation_alias="TRADE_HISTORY_USER_ID")
    pool_size: int = Field(default=5, ge=1, le=50, validation_alias="TRADE_HISTORY_POOL_SIZE")
    # Each of up to some 20 KB; 0 works every answer out anew.
    answers_remembered: int = Field(
        default=500, ge=0, le=100_000, validation_alias="TRADE_HISTORY_ANSWERS_REMEMBERED"
    )
    statement_timeout_seconds: int = Field(
        default=5, ge=1, le=600, validation_alias="TRADE_HISTORY_STATEMENT_TIMEOUT_SECONDS"
    )
    pg_prepared: Annotated[Prepared, BeforeValidator(lowered)] = Field(
        default="auto", validation_alias="TRADE_HISTORY_PG_PREPARED"
    )
    quota: Annotated[int | None, BeforeValidator(sized)] = Field(
        default=None, validation_alias="STORE_QUOTA"
    )

    def database(self) -> Database:
        """The database these settings choose; nothing is opened or created.

        Raises:
            Invalid: DATABASE_URL or DATABASE_URL_FILE cannot be used.
        """
        _, address = given_secret(
            "DATABASE_URL",
            self.database_url,
            self.database_url_file,
            accepted="a database address is accepted",
        )
        if address is None:
            return sqlite_file(self.data_folder() / "trades.db")
        return self._limited(
            parse_database_url(address.get_secret_value(), prepared=self.pg_prepared)
        )

    def replica(self) -> Database | None:
        """A copy of the database that follows it, for questions; None where there is none.

        Raises:
            Invalid: DATABASE_READ_URL or DATABASE_READ_URL_FILE cannot be used.
        """
        name, address = given_secret(
            "DATABASE_READ_URL",
            self.database_read_url,
            self.database_read_url_file,
            accepted="the address of a replica is accepted",
        )
        if address is None:
            return None
        try:
            replica = parse_database_url(address.get_secret_value(), prepared=self.pg_prepared)
        except Invalid as error:
            raise Invalid(str(error).replace("DATABASE_URL", name)) from None
        if "sqlite" in (replica.dialect, self.database().dialect):
            raise Invalid(
                f"{name} is for a replica of PostgreSQL, and SQLite has none; leave it unset."
            )
        # The primary can answer meanwhile.
        replica.connect_args["timeout"] = min(REPLICA_SECONDS, replica.connect_args["timeout"])
        return self._limited(replica)

    def _limited(self, database: Database) -> Database:
        if database.dialect == "postgresql":
            # The server's limit comes first: its message says more than a cut connection.
            limit = max(COMMAND_SECONDS, self.statement_timeout_seconds + 5)
            database.connect_args["command_timeout"] = limit
        return database

    def data_folder(self) -> Path:
        """The folder of what is kept on this machine; it need not exist.

        Raises:
            Invalid: TRADE_HISTORY_DATA_DIR cannot be used.
        """
        if self.data_dir is None:
            return user_data_path("trade-history", appauthor=False)
        return home_expanded("TRADE_HISTORY_DATA_DIR", self.data_dir)


WRONG = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "literal_error": "is not one of its values",
    "string_pattern_mismatch": "is not a usable name",
}


Loaded = TypeVar("Loaded", bound=Environment)


def load_settings() -> Settings:
    """The store's settings, from the environment of this process and `.env`.

    Raises:
        Invalid: a variable has a value that is not accepted.
    """
    return load(Settings)


def load(kind: type[Loaded]) -> Loaded:
    """The settings of one part of the program.

    Raises:
        Invalid: a variable has a value that is not accepted.
    """
    try:
        return kind()
    except ValidationError as error:
        wrong = [(str(one["loc"][0]), one["type"]) for one in error.errors(include_input=False)]
        problem = " ".join(
            f"{variable} {WRONG.get(why, 'is not usable')}; {kind.accepted[variable]} is accepted."
            for variable, why in wrong
        )
    except UnicodeDecodeError:
        problem = "The file .env is not UTF-8 text; save it as UTF-8."
    except OSError as error:
        problem = f"The file .env cannot be read: {error.strerror}."
    # Raised out here, for the errors above hold what they refuse: no traceback may carry them.
    raise Invalid(problem)


def is_blank(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*(\$\{user_config\.\w+\})?\s*", value) is not None
    return False


def given_secret(
    variable: str, value: SecretStr | None, path: Path | None, *, accepted: str
) -> tuple[str, SecretStr | None]:
    """The secret and the name of the variable that gives it, itself or by naming a file."""
    by_file = f"{variable}_FILE"
    if value and path:
        raise Invalid(f"{variable} and {by_file} are both set; set only one of them.")
    if path:
        return by_file, SecretStr(read_secret(by_file, path, accepted))
    return variable, value


def read_secret(variable: str, path: Path, accepted: str) -> str:
    path = home_expanded(variable, path)
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        problem = None if text else f"is empty; {accepted}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    if problem:  # Raised out here: a decoding error holds the file's content.
        raise Invalid(f"{variable} names {path}, which {problem}.")
    return text
