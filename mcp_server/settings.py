"""Who may come in over the network, how they prove it, and whether anyone may write."""

from ipaddress import ip_address
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr

from store.errors import Invalid
from store.settings import Environment, lowered

USUAL_PORTS = {"http": 80, "https": 443}
URL = "an address like https://trades.example.com"


def _address(text: str) -> str:
    """As clients say it in Host and Origin: small letters, no port that goes without saying."""
    parts = urlsplit(_as_it_stands(text))
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    port = f":{parts.port}" if parts.port not in (None, USUAL_PORTS[parts.scheme]) else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}{query}"


def _public(text: str) -> str:
    if urlsplit(text).query:
        raise ValueError("an address without a query is needed")
    return _address(text)


def _as_it_stands(text: str) -> str:
    """An address with and without a slash at its end may be two."""
    parts = urlsplit(str(AnyHttpUrl(text)))  # Pydantic refuses what urlsplit lets through.
    if parts.username or parts.password or parts.fragment:
        raise ValueError("an address without a login is needed")
    return text


PublicAddress = Annotated[str, AfterValidator(_public)]


class NetworkSettings(Environment):
    """How the server is reached and whom it believes."""

    accepted: ClassVar[dict[str, str]] = {
        "TRADE_HISTORY_AUTH": "on or off",
        "TRADE_HISTORY_PUBLIC_URL": URL,
        "TRADE_HISTORY_OAUTH_ISSUER": URL,
        "TRADE_HISTORY_OAUTH_AUDIENCE": "text",
        "TRADE_HISTORY_OAUTH_JWKS_URL": URL,
        "TRADE_HISTORY_OAUTH_USER_CLAIM": "the name of a claim",
        "TRADE_HISTORY_RATE_LIMIT_URL": "memory:// or redis://host:port",
        "TRADE_HISTORY_WRITING": "on or off",
    }

    auth: Annotated[Literal["on", "off"] | None, BeforeValidator(lowered)] = Field(
        default=None, validation_alias="TRADE_HISTORY_AUTH"
    )
    public_url: PublicAddress | None = Field(
        default=None, validation_alias="TRADE_HISTORY_PUBLIC_URL"
    )
    oauth_issuer: Annotated[str, AfterValidator(_as_it_stands)] | None = Field(
        default=None, validation_alias="TRADE_HISTORY_OAUTH_ISSUER"
    )
    oauth_audience: str | None = Field(
        default=None, validation_alias="TRADE_HISTORY_OAUTH_AUDIENCE"
    )
    oauth_jwks_url: Annotated[str, AfterValidator(_as_it_stands)] | None = Field(
        default=None, validation_alias="TRADE_HISTORY_OAUTH_JWKS_URL"
    )
    oauth_user_claim: str = Field(
        default="trade_history_user", validation_alias="TRADE_HISTORY_OAUTH_USER_CLAIM"
    )
    # May hold Redis's password.
    rate_limit_url: SecretStr = Field(
        default=SecretStr("memory://"), validation_alias="TRADE_HISTORY_RATE_LIMIT_URL"
    )
    # On stdio, too: agents are given the tools that write only where the operator wants it.
    writing: Annotated[Literal["on", "off"], BeforeValidator(lowered)] = Field(
        default="off", validation_alias="TRADE_HISTORY_WRITING"
    )

    def require_whole(self) -> Self:
        """These settings, if what belongs together is all there.

        Raises:
            Invalid: OAuth is said by halves.
        """
        if self.oauth_issuer is None and (self.oauth_audience or self.oauth_jwks_url):
            raise Invalid(
                "TRADE_HISTORY_OAUTH_ISSUER is missing beside the other OAuth settings;"
                f" {URL} is accepted."
            )
        if self.oauth_issuer is not None and self.oauth_jwks_url is None:
            raise Invalid(
                "TRADE_HISTORY_OAUTH_JWKS_URL is missing; the address of the issuer's keys"
                " is accepted (its metadata calls it jwks_uri)."
            )
        if self.oauth_issuer is not None and not (self.oauth_audience or self.public_url):
            raise Invalid(
                "TRADE_HISTORY_OAUTH_AUDIENCE is missing; the audience that the issuer writes"
                " into tokens for this server is accepted."
            )
        if self.oauth_jwks_url is not None and not is_private(self.oauth_jwks_url):
            raise Invalid(
                "TRADE_HISTORY_OAUTH_JWKS_URL is not encrypted, so that anybody on the way could"
                " put in keys of their own; an https address is accepted."
            )
        return self


def is_private(url: str) -> bool:
    """Whether nobody can listen in on what is fetched from there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(str(parts.hostname))


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
