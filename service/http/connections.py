"""What one connection, and one client, may cost before a request reaches the application.

uvicorn waits for the head of a request for ever, and keeps as many bytes of it as come: a few clients would hold all
connections, or the memory. Here a head has a largest size (RFC 6585, section 5: 431) and a longest time, and
connections have a largest number, in all and for each client. `service.http.middleware.BodyLimit` watches bodies.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import HEAD_TOO_LARGE, MALFORMED, TOO_MANY_CONNECTIONS, Kind, problem_type
from service.settings import Settings

MAX_HEAD = 64 * 1024
"""Bytes of the request line and the header fields together."""

_LINGER = 1.0
"""Seconds in which a client that was refused can read why. What it sends meanwhile is thrown away."""
_THROWN_AWAY = 2**20
"""Bytes that are thrown away. After that nothing more is read: reading on would cost the others their turn."""

_TOO_LARGE = f"Request line and headers together may have at most {MAX_HEAD:,} bytes."
_TOO_MANY = "This address has too many connections open. Close some, or use one for several requests."
_FULL = "The service has too many connections open. Try again in a moment."


def bounded_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol with the limits of `settings`, for one server."""

    counted: Counter[str] = Counter()

    class Protocol(_BoundedProtocol):
        patience = settings.receive_timeout
        most = settings.max_connections
        most_per_client = settings.max_connections_per_client
        clients = counted

    return Protocol


class _BoundedProtocol(HttpToolsProtocol):
    patience: float
    most: int
    most_per_client: int
    clients: Counter[str]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waited_for: asyncio.TimerHandle | None = None
        # Bytes since the parser last completed something: of a head, of trailers, of the name of a chunk.
        self._pending = 0
        self._parsed = False
        self._in_body = False
        self._address = self.client[0] if self.client else ""
        self.clients[self._address] += 1
        self._refused = False
        if 0 < self.most < self.clients.total():
            self._refuse(TOO_MANY_CONNECTIONS, _FULL)
        elif 0 < self.most_per_client < self.clients[self._address]:
            self._refuse(TOO_MANY_CONNECTIONS, _TOO_MANY)
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        self.clients[self._address] -= 1
        if not self.clients[self._address]:
            del self.clients[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._refused:
            self._pending += len(data)
            if self._pending > _THROWN_AWAY:
                self.transport.pause_reading()
            return
        if self._waited_for is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        self._parsed = False
        super().data_received(data)
        self._pending = 0 if self._parsed else self._pending + len(data)
        if self._pending > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE, _TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._forget_head()
        self._parsed = self._in_body = True
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            self._refuse(HEAD_TOO_LARGE, _TOO_LARGE)
            return
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come here too. Nobody asks for them.
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._parsed = True
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._parsed, self._in_body = True, False
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MALFORMED, "The request is not valid HTTP.")

    def _expect_head(self) -> None:
        self._waited_for = self.loop.call_later(self.patience, self._give_up)

    def _forget_head(self) -> None:
        if self._waited_for is not None:
            self._waited_for.cancel()
            self._waited_for = None

    def _give_up(self) -> None:
        self._waited_for = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Answer without the application, and close the connection.

        Closed at once, with bytes of the client unread, TCP would tell the client of that and not of the answer.
        """
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._forget_head()
        request_id = uuid.uuid4().hex
        problem: dict[str, Any] = {"type": problem_type(kind), "title": kind.title, "status": kind.status}
        body = json.dumps(problem | {"detail": detail, "instance": "/", "request_id": request_id}).encode()
        retry = "Retry-After: 1\r\n" if kind is TOO_MANY_CONNECTIONS else ""
        head = (
            f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\nContent-Type: application/problem+json\r\n"
            f"{retry}Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)
