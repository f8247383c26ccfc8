"""What the service counts and measures, for Prometheus (`/metrics`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from quartet.errors import QuartetError

if TYPE_CHECKING:
    from quartet.schemas.search import Took
    from service.search.engine import Engine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One registry per engine, so that two in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "quartet_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.latency = Histogram(
            "quartet_request_seconds",
            "Time until the answer begins.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "quartet_stage_seconds",
            "Time of a search by stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "quartet_batch_size",
            "Queries answered together.",
            ("kind",),
            buckets=_SIZES,
            registry=self._registry,
        )
        self._restarts = Counter(
            "quartet_worker_restarts", "Workers that crashed and were replaced.", registry=self._registry
        )
        self._reloads = Counter("quartet_reloads", "Newer generations taken up.", registry=self._registry)
        # Label sets are looked up once, not at every request.
        self._stage = {name: self._stages.labels(name) for name in ("queue", "encode", "search", "hydrate")}

    def watch(self, engine: Engine) -> None:
        """Also report what the engine knows itself at the moment that somebody asks."""
        self._registry.register(_EngineCollector(engine))

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return generate_latest(self._registry)

    def batch_done(self, kind: str, size: int) -> None:
        self._batches.labels(kind).observe(size)

    def worker_restarted(self) -> None:
        self._restarts.inc()

    def reloaded(self) -> None:
        self._reloads.inc()

    def answered(self, took: Took) -> None:
        """The stages of one answer."""
        for name, child in self._stage.items():
            child.observe(getattr(took, name) / 1000)


class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        engine = self._engine
        hits, misses = engine.cached
        yield GaugeMetricFamily("quartet_queue_depth", "Queries that wait for a worker.", engine.waiting)
        yield CounterMetricFamily("quartet_query_cache_hits", "Encoded sentences that were found.", hits)
        yield CounterMetricFamily("quartet_query_cache_misses", "Encoded sentences that had to be made.", misses)
        yield GaugeMetricFamily("quartet_generation_age_seconds", "Since it was taken up.", engine.live.age)
        yield CounterMetricFamily(
            "quartet_reload_failures", "Tries to open a newer generation that failed.", engine.live.failures
        )
        size = GaugeMetricFamily("quartet_index_items", "Searchable items.", labels=("gallery",))
        number = GaugeMetricFamily("quartet_generation", "Number of the generation that answers.")
        try:
            generation = engine.generation()
        except QuartetError:
            # Of another model's library nothing can be searched.
            size.add_metric(("clips",), 0)
            size.add_metric(("captions",), 0)
        else:
            size.add_metric(("clips",), len(generation.clips))
            size.add_metric(("captions",), len(generation.captions))
            number.add_metric((), int(generation.name))
        yield from (size, number)
