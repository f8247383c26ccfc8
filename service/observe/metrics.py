"""What the service counts and measures, for Prometheus (`/metrics`)."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from quartet.schemas.search_answers import Took

Reading = float | dict[str, float] | None
_Family = type[GaugeMetricFamily] | type[CounterMetricFamily]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Readings:
    """What is read at the moment that somebody asks, in a registry of its own, so that two do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

    def gauge(self, name: str, text: str, read: Callable[[], Reading], label: str = "") -> None:
        """Also report what `read` returns at the moment that somebody asks; None: no value.

        A dict has a value for each value of `label`.
        """
        self._registry.register(_CallbackMetric(GaugeMetricFamily, name, text, read, label))

    def counter(self, name: str, text: str, read: Callable[[], Reading]) -> None:
        """As `gauge`, for a number that only grows."""
        self._registry.register(_CallbackMetric(CounterMetricFamily, name, text, read, ""))

    def info(self, name: str, text: str, values: dict[str, str]) -> Callable[[dict[str, str]], None]:
        """Report words, as the labels of `NAME_info`, which is 1. Returns what reports others in their place."""
        known = Info(name, text, registry=self._registry)
        known.info(values)
        return known.info

    def collect(self) -> Iterable[Metric]:
        """Everything, as it is now."""
        return self._registry.collect()


class Metrics(Readings):
    """What one library counts."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter(
            "quartet_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.latency = Histogram(
            "quartet_request_seconds",
            "Time to the first byte of the answer.",
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
        self._reloads = Counter("quartet_reloads", "New generations loaded.", registry=self._registry)
        # Label sets are looked up once, not at every request.
        self._stage = {name: self._stages.labels(name) for name in ("queue", "encode", "search", "hydrate")}

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


def exposition(service: Readings, libraries: Mapping[str, Readings]) -> bytes:
    """All of it, in the text format of Prometheus; what a library reads has its name as the label `library`."""
    merged: dict[str, Metric] = {}
    for name, readings in libraries.items():
        for family in readings.collect():
            whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            whole.samples += [sample._replace(labels={**sample.labels, "library": name}) for sample in family.samples]
    registry = CollectorRegistry()
    registry.register(_Collected([*service.collect(), *merged.values()]))
    return generate_latest(registry)


def resident_bytes(pid: int) -> float:
    """Bytes of memory that a process has; 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0.0
    return float(int(pages) * resource.getpagesize())


class _Collected(Collector):
    """Metrics that have been read."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _CallbackMetric(Collector):
    """A metric whose value is read at the moment that somebody asks."""

    def __init__(self, family: _Family, name: str, text: str, read: Callable[[], Reading], label: str) -> None:
        self._family, self._name, self._text, self._read, self._label = family, name, text, read, label

    def collect(self) -> Iterator[Metric]:
        value = self._read()
        metric = self._family(self._name, self._text, labels=(self._label,) if self._label else ())
        if isinstance(value, dict):
            for kind, number in value.items():
                metric.add_metric((kind,), number)
        elif value is not None:
            metric.add_metric((), value)
        yield metric
