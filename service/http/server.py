"""Listening: on which address it is safe to, for how long a silent connection is kept, and how it ends."""

from __future__ import annotations

import errno
import logging
import resource
import socket
from typing import TYPE_CHECKING

import uvicorn

from quartet.errors import InputError
from service.http.access import LOOPBACK
from service.http.connections import bounded_protocol
from service.http.keys import Keys

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.settings import Settings

LOG = logging.getLogger(__name__)

_KEEP_ALIVE = 75
"""Seconds that a connection may rest between requests: more than proxies, which would else run into a closed one."""

_OPEN_FILES = 65_536


def settings_to_listen(settings: Settings) -> Settings:
    """Settings that are safe to listen with, the names that it answers to filled in.

    Raises InputError for an address other than loopback without a key, unless the settings allow it.
    """
    Keys(settings)  # raises InputError for keys that cannot be used
    if settings.host in LOOPBACK:
        # A page of another site whose name suddenly means 127.0.0.1 asks with its own name in the Host header.
        hosts = settings.allowed_hosts or (() if settings.has_keys else LOOPBACK)
        return settings.model_copy(update={"allowed_hosts": hosts})
    if not settings.has_keys and not settings.allow_no_key:
        raise InputError(
            f"Listening on {settings.host} needs an API key. Set QUARTET_API_KEY or QUARTET_API_KEY_FILE, or "
            "set QUARTET_ALLOW_NO_KEY=1 to allow access without one."
        )
    return settings


def require_free(settings: Settings) -> None:
    """Raises InputError if the address of `settings` is missing, taken or not allowed, before a model is loaded."""
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"This machine has no address {host!r}. Choose another with --host.") from error
    for family, kind, _, _, address in found:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                # One that this machine does not have is for uvicorn: a name may have others.
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    why = "is already in use" if error.errno == errno.EADDRINUSE else "needs administrator rights"
                    raise InputError(f"Port {port} of {host} {why}. Choose another with --port.") from error


def make_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server for `app`. SIGINT and SIGTERM let requests finish, for `shutdown_grace` seconds at most."""
    if settings.host not in LOOPBACK and not settings.has_keys:
        LOG.warning(
            "Listening on %s without an API key: anyone who reaches this address can use the service.", settings.host
        )
    allow_open_files()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )
    return uvicorn.Server(config)


def allow_open_files() -> None:
    """Let this process open as many files as the system allows: each connection is one, and 1,024 is a usual start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
