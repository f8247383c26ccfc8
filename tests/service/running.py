"""A service on a port of its own, for what only shows over a real connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from model.encoder import Encoder
from service.encoders.model_choice import query_encoder
from service.http.app import create_app
from service.http.server import make_server
from service.search.engine import Engine, Load
from service.settings import Settings

SECONDS = 30  # a bound on what would otherwise hang, never reached


@dataclass(frozen=True)
class Running:
    """Where it listens, and what it is made of."""

    port: int
    engine: Engine
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)


@contextmanager
def running(
    settings: Settings, encoder: Encoder, listener: socket.socket | None = None, load: Load = query_encoder
) -> Iterator[Running]:
    """The service of `quartet serve` in a thread. Connections wait in the listener's queue until it has started.

    load  gives the encoder of a model that the library is changed to
    """
    listener = listener or socket.create_server(("127.0.0.1", 0))
    engine = Engine.open(settings, encoder, load)
    server = make_server(create_app(settings, engine=engine), settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Running(listener.getsockname()[1], engine, server, thread)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        engine.close()
        listener.close()
    assert not thread.is_alive()
