"""Listening: on which address it is safe to, for how long a silent connection is kept, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quartet.errors import InputError
from service.http.access import LOOPBACK

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.settings import Settings

LOG = logging.getLogger(__name__)

_KEEP_ALIVE = 75
"""Seconds that a connection may rest between requests: more than proxies, which would else run into a closed one."""


def settings_to_listen(settings: Settings) -> Settings:
    """Settings that are safe to listen with, the names that it answers to filled in.

    Raises InputError for an address other than loopback without a key, unless the settings allow it.
    """
    key = settings.key()
    if settings.host in LOOPBACK:
        # A page of another site whose name suddenly means 127.0.0.1 asks with its own name in the Host header.
        hosts = settings.allowed_hosts or (() if key else LOOPBACK)
        return settings.model_copy(update={"allowed_hosts": hosts})
    if key is None and not settings.allow_no_key:
        raise InputError(
            f"Listening on {settings.host} would let others in, and no API key is set. Set QUARTET_API_KEY or "
            "QUARTET_API_KEY_FILE, or allow it with QUARTET_ALLOW_NO_KEY=1."
        )
    return settings


def require_free(settings: Settings) -> None:
    """Raises InputError if the address of `settings` is none, taken or not allowed: before a model is loaded for it."""
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"There is no address {host!r} to listen on. Give another with --host.") from error
    for family, kind, _, _, address in found:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                # One that this machine does not have is for uvicorn: a name may have others.
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    raise InputError(
                        f"Port {port} of {host} cannot be listened on: {error.strerror}. Give another with --port."
                    ) from error


def make_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server for `app`. SIGINT and SIGTERM let requests finish, for `shutdown_grace` seconds at most."""

    if settings.host not in LOOPBACK and settings.key() is None:
        LOG.warning("Listening on %s without an API key: whoever reaches it may use it.", settings.host)

    class Protocol(_ImpatientProtocol):
        patience = settings.receive_timeout

    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )
    return uvicorn.Server(config)


class _ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection on which the head of a request does not arrive within `patience` seconds.

    uvicorn waits for it for ever, so a few hundred clients that send a byte now and then would hold all sockets.
    The body is watched by `service.http.middleware.BodyLimit`.
    """

    patience: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._head is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head: Any = self.loop.call_later(self.patience, self._give_up)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.close()
