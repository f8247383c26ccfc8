"""The libraries of a service: each with its engine and its jobs; models, uploads and decodings they share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from model.encoder import Encoder
from quartet.errors import NotFoundError
from service.encoders.serving_encoders import ServingEncoders
from service.encoders.shared_encoder import SharedEncoder
from service.http.moment_proxies import MomentProxies
from service.jobs.job_queue import Jobs
from service.observe.engine_metrics import report_service
from service.observe.metrics import Readings, exposition
from service.search.decodings import Decodings
from service.search.engine import API, Engine
from service.settings import Settings


@dataclass
class ServedLibrary:
    """One of them. `engine` and `jobs` are None until it is open.

    address  what its paths begin with: /v1 for the default one, /v1/libraries/NAME for another
    """

    name: str
    settings: Settings
    address: str
    engine: Engine | None = None
    jobs: Jobs | None = None
    proxies: MomentProxies = field(default_factory=MomentProxies)


class ServedLibraries:
    """See the module: those of `settings`, not open yet."""

    def __init__(self, settings: Settings) -> None:
        self._by_name = {
            name: ServedLibrary(name, own, f"{API}/libraries/{name}" if number else API)
            for number, (name, own) in enumerate(settings.by_library().items())
        }
        self._decodings = Decodings(settings.max_decodings, settings.retry_after)
        self._readings = Readings()
        self._turn = asyncio.Lock()
        report_service(self._readings, self.engines, self._decodings)

    def __iter__(self) -> Iterator[ServedLibrary]:
        return iter(self._by_name.values())

    @property
    def default(self) -> ServedLibrary:
        """The one whose paths begin with /v1."""
        return next(iter(self))

    def find(self, name: str) -> ServedLibrary:
        """Raises NotFoundError."""
        if name not in self._by_name:
            known = ", ".join(self._by_name)
            raise NotFoundError(f"There is no library {name!r} in this service. The libraries are: {known}.")
        return self._by_name[name]

    def engines(self) -> list[Engine]:
        """Those that are open."""
        return [library.engine for library in self if library.engine is not None]

    def open(self, encoder: Encoder | None = None) -> list[Engine]:
        """Engines for all of them, with their models or with `encoder`. Raises what Engine.open raises."""
        encoders, given = ServingEncoders(), None if encoder is None else SharedEncoder(encoder)
        opened: list[Engine] = []
        try:
            for own in self:
                engine = Engine.open(own.settings, given, encoders.load, own.address, self._decodings)
                opened.append(engine)
                engine.prepare()
        except BaseException:
            close_all(opened)
            raise
        return opened

    def serve(self, engines: Sequence[Engine]) -> None:
        """Answer with these engines from now on, and take jobs: one at a time of all libraries."""
        for library, engine in zip(self, engines, strict=True):
            library.jobs = _jobs(library.settings, engine, self._turn)
            library.engine = engine

    def metrics(self) -> bytes:
        """Those of the service and of each library, in the text format of Prometheus."""
        libraries = {one.name: one.engine.metrics for one in self if one.engine is not None}
        return exposition(self._readings, libraries)

    async def close_jobs(self) -> None:
        """Stop what runs. Idempotent."""
        await asyncio.gather(*(library.jobs.close() for library in self if library.jobs is not None))


def close_all(engines: Sequence[Engine]) -> None:
    for engine in engines:
        engine.close()


def served(request: HTTPConnection) -> ServedLibrary:
    """The library that a request is about."""
    libraries: ServedLibraries = request.app.state.libraries
    return libraries.find(request.state.library)


def _jobs(settings: Settings, engine: Engine, turn: asyncio.Lock) -> Jobs:
    jobs = Jobs(settings, engine.refresh, lambda: engine.named_model, turn)
    engine.metrics.gauge("quartet_jobs", "Indexing jobs.", jobs.by_state, label="state")
    return jobs
