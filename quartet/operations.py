"""What takes the clients several requests: waiting for a job, an upload in pieces.

An operation is a generator. It yields requests and pauses; a client carries them out, one that blocks or one for
asyncio, and sends back what came of them. So each is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import httpx2

from quartet import requests
from quartet.errors import QuartetError
from quartet.requests import Request
from quartet.schemas.jobs import Job

R = TypeVar("R")


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Outcome: TypeAlias = httpx2.Response | QuartetError | None
"""An answer, why there is none, or nothing after a pause."""

Steps: TypeAlias = Generator[Request[Any] | Pause, Any, R]
"""What is to be done, one after another, and what it returns; it is sent an `Outcome` for each."""


class Send(Protocol):
    """The steps from a request to its answer (`Client._send`). Raises what `quartet.errors` has for a problem."""

    def __call__(self, request: Request[R], /) -> Steps[R]: ...


def wait(send: Send, job_id: str, told: Callable[[Job], None] = lambda job: None, every: float = 0.5) -> Steps[Job]:
    """Wait until a job has ended; `told` hears of it every `every` seconds meanwhile."""
    while (job := (yield from send(requests.job(job_id)))).finished is None:
        told(job)
        yield Pause(every)
    return job
