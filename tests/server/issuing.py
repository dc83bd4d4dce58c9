"""An authorization server as far as a resource server sees one: keys at an address, tokens."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.server.running import free_port

AUDIENCE = "https://trades.example.com/mcp"
CLAIM = "trade_history_user"
DAY = 86_400


class Issuer:
    """Signs tokens by RSA, and publishes whatever `published` holds while it is `serving`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.name = f"http://127.0.0.1:{self.port}/"
        self.jwks_url = f"{self.name}keys"
        self.fetches = 0
        self.status = 200
        self.key = rsa.generate_private_key(65537, 2048)
        self.kid = "first"
        self.published: Any = None
        self.publish()

    def publish(self) -> None:
        jwk = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.published = {"keys": [{**jwk, "kid": self.kid, "use": "sig"}]}

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is no longer published."""
        self.key, self.kid = rsa.generate_private_key(65537, 2048), "second"
        self.publish()

    @contextmanager
    def serving(self) -> Iterator["Issuer"]:
        issuer = self

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                said = issuer.published
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

        with Quiet(("127.0.0.1", self.port), Keys) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def variables(self, **more: str) -> dict[str, str]:
        return {
            "TRADE_HISTORY_OAUTH_ISSUER": self.name,
            "TRADE_HISTORY_OAUTH_JWKS_URL": self.jwks_url,
            "TRADE_HISTORY_OAUTH_AUDIENCE": AUDIENCE,
            **more,
        }

    def claims(self, **changed: Any) -> dict[str, Any]:
        """A valid token's; None takes one away."""
        now = int(time.time())
        said = {
            "iss": self.name, "aud": AUDIENCE, "sub": "somebody", "client_id": "a-client",
            "iat": now, "nbf": now, "exp": now + DAY, "scope": "trades:read", CLAIM: 1,
        }  # fmt: skip
        return {name: value for name, value in (said | changed).items() if value is not None}

    def token(self, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        return jwt.encode(
            self.claims(**changed),
            self.key,
            algorithm="RS256",
            headers={"kid": self.kid, **(headers or {})},
        )

    # Forgeries.

    def unsigned(self) -> str:
        return f"{part({'alg': 'none', 'kid': self.kid})}.{part(self.claims())}."

    def signed_with_the_public_key(self) -> str:
        """As an HMAC, by a verifier that takes the algorithm from the token."""
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        said = f"{part({'alg': 'HS256', 'kid': self.kid})}.{part(self.claims())}"
        return f"{said}.{encoded(hmac.digest(public, said.encode(), sha256))}"

    def signed_by_another(self, kid: str | None = None, **headers: Any) -> str:
        stranger = rsa.generate_private_key(65537, 2048)
        named = {"kid": self.kid if kid is None else kid, **headers}
        return jwt.encode(self.claims(), stranger, algorithm="RS256", headers=named)

    def signed_by_a_curve(self) -> str:
        """With the id of a key that is of another kind, and the forger's own in the header."""
        stranger = ec.generate_private_key(ec.SECP256R1())
        own = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
        named = {"kid": self.kid, "jwk": own, "jku": "http://evil.example/keys"}
        return jwt.encode(self.claims(), stranger, algorithm="ES256", headers=named)

    def altered(self) -> str:
        header, _, signature = self.token().split(".")
        return f"{header}.{part(self.claims(**{CLAIM: 2}))}.{signature}"


def part(said: Any) -> str:
    return encoded(json.dumps(said).encode())


def encoded(said: bytes) -> str:
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()
