"""A stand-in for Tradier over real HTTP, with its manners.

Nothing is null or "null", one thing is no list; the history is paged, begins at `start` and
has days written as midnights; the day's orders are all there is of orders; quotes of unknown
symbols are listed apart; a wrong token is answered by 401 and plain text.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "canary-tradier-4kP8"
JSON = "application/json"


@dataclass
class Reply:
    """An answer out of turn. Without a status the connection is cut."""

    status: int | None
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Book:
    """What Tradier has of one account. Texts are JSON, so that numbers stay as written."""

    orders: str = "[]"
    history: str = "[]"
    gain_loss: str = "[]"
    positions: str = "[]"


@dataclass
class FakeTradier:
    accounts: dict[str, Book] = field(default_factory=dict)
    quotes: str = "[]"
    clock: str = '{"state": "open"}'
    nothing: Any = "null"  # What is said where nothing is: None, or this text.
    largest_page: int = 10_000
    in_turn: list[Reply] = field(default_factory=list)  # Before anything else is answered.
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, target: str, token: str) -> Reply:
        self.asked.append(target)
        if self.in_turn:
            return self.in_turn.pop(0)
        if token != f"Bearer {TOKEN}":
            return Reply(401, "Invalid Access Token", {"Content-Type": "text/plain"})
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        words = parts.path.strip("/").split("/")[1:]
        if words == ["user", "profile"]:
            return self._profile()
        if words == ["markets", "clock"]:
            return self._json(f'{{"clock": {self.clock}}}')
        if words == ["markets", "quotes"]:
            return self._quotes(query["symbols"].split(","))
        book = self.accounts.get(words[1]) if words[:1] == ["accounts"] else None
        if book is None:
            return Reply(401, "Unauthorized Account", {"Content-Type": "text/plain"})
        return self._of_account(book, words[2], query)

    def _profile(self) -> Reply:
        account = [
            {"account_number": number, "classification": "individual", "status": "active",
             "date_created": "2024-01-02T15:00:00.000Z", "day_trader": False,
             "option_level": 4, "type": "margin",
             "last_update_date": "2024-01-02T15:00:00.000Z"}
            for number in self.accounts
        ]  # fmt: skip
        told: Any = account[0] if len(account) == 1 else account
        return self._json(json.dumps({"profile": {"account": told, "id": "id-x", "name": "A B"}}))

    def _quotes(self, symbols: list[str]) -> Reply:
        known = [one for one in _list(self.quotes) if json.loads(one)["symbol"] in symbols]
        there = {json.loads(one)["symbol"] for one in known}
        unknown = [symbol for symbol in symbols if symbol not in there]
        parts = []
        if known:
            parts.append(f'"quote": {_one_or_many(known)}')
        if unknown:
            symbol = unknown[0] if len(unknown) == 1 else unknown
            parts.append(f'"unmatched_symbols": {json.dumps({"symbol": symbol})}')
        return self._json(f'{{"quotes": {{{", ".join(parts)}}}}}')

    def _of_account(self, book: Book, what: str, query: dict[str, str]) -> Reply:
        outer, inner, text = {
            "orders": ("orders", "order", book.orders),
            "positions": ("positions", "position", book.positions),
            "history": ("history", "event", book.history),
            "gainloss": ("gainloss", "closed_position", book.gain_loss),
        }[what]
        rows = _list(text)
        if what in ("history", "gainloss"):
            day = "date" if what == "history" else "close_date"
            start = query.get("start", "")
            rows = [one for one in rows if json.loads(one)[day][:10] >= start]
            limit = min(int(query.get("limit", "25")), self.largest_page)
            first = (int(query.get("page", "1")) - 1) * limit
            rows = rows[first : first + limit]
        if not rows:
            return self._json(json.dumps({outer: self.nothing}))
        return self._json(f'{{"{outer}": {{"{inner}": {_one_or_many(rows)}}}}}')

    def _json(self, body: str) -> Reply:
        return Reply(200, body, {"Content-Type": JSON, "X-Ratelimit-Available": "118"})


def _list(text: str) -> list[str]:
    """The members of a JSON list, each as JSON: numbers as they were written."""
    return [json.dumps(one, default=str) for one in json.loads(text)] if text else []


def _one_or_many(rows: list[str]) -> str:
    return rows[0] if len(rows) == 1 else f"[{', '.join(rows)}]"


@contextmanager
def serving() -> Iterator[FakeTradier]:
    """A stand-in that listens on this machine."""
    fake = FakeTradier()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = fake.answer(self.path, self.headers.get("Authorization", ""))
            if reply.status is None:
                self.close_connection = True
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what is asked is in `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
