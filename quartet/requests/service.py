"""The service itself: health, libraries, keys, vectors."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from quartet.requests.request import Request, read_as, read_nothing
from quartet.schemas.embeddings import Embeddings
from quartet.schemas.library import Health, Libraries, Ready
from quartet.schemas.session import Session


def health() -> Request[Health]:
    """The process answers."""
    return Request(read_as(Health), "GET", "/healthz")


def ready() -> Request[Ready]:
    """What the service serves, and on which device."""
    return Request(read_as(Ready), "GET", "/readyz")


def metrics() -> Request[str]:
    """Counts and times, in the text format of Prometheus."""
    return Request(_text, "GET", "/metrics")


def libraries() -> Request[Libraries]:
    """The libraries of the service, the default one first."""
    return Request(read_as(Libraries), "GET", "/v1/libraries")


def session() -> Request[Session]:
    """Whether the service needs a key, and whether this client has sent it."""
    return Request(read_as(Session), "GET", "/v1/session")


def log_in(key: str) -> Request[None]:
    """Get a cookie in place of the key, which this client sends from then on. Raises UnauthorizedError."""
    return Request(read_nothing, "POST", "/v1/session", json={"key": key})


def log_out() -> Request[None]:
    """End what `log_in` began."""
    return Request(read_nothing, "DELETE", "/v1/session")


def embed(inputs: str | Sequence[str], level: str | None = None) -> Request[Embeddings]:
    """Vectors of texts and pictures (`data:image/...;base64,...`), of all levels or of one."""
    body = {"input": inputs if isinstance(inputs, str) else list(inputs), "level": level}
    return Request(read_as(Embeddings), "POST", "/v1/embeddings", json=body)


def _text(response: httpx2.Response) -> str:
    return response.text
