"""What the metrics say of the engines of a service, and of its processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quartet import __version__
from service.observe.metrics import Readings, resident_bytes

if TYPE_CHECKING:
    from service.search.decodings import Decodings
    from service.search.engine import Engine


def report(engine: Engine) -> Callable[[], None]:
    """Have its metrics say what an engine knows itself. Returns what is to be called when its model has changed."""
    metrics, live = engine.metrics, engine.live
    gauge, counter = metrics.gauge, metrics.counter
    gauge("quartet_queue_depth", "Queries waiting for a worker.", lambda: engine.waiting)
    counter("quartet_query_cache_hits", "Encoded sentences found in the cache.", lambda: engine.cached[0])
    counter("quartet_query_cache_misses", "Encoded sentences not found in the cache.", lambda: engine.cached[1])
    gauge("quartet_generation_age_seconds", "Seconds since the generation was loaded.", lambda: live.model.age)
    counter("quartet_reload_failures", "Failed attempts to open a new generation.", lambda: live.failures)
    gauge("quartet_index_items", "Searchable items.", lambda: _items(engine), label="gallery")
    gauge("quartet_generation", "Number of the live generation.", lambda: int(engine.generation().name))
    tell = metrics.info("quartet_model", "The model that answers.", _model(engine))
    return lambda: tell(_model(engine))


def report_service(readings: Readings, engines: Callable[[], Sequence[Engine]], decodings: Decodings) -> None:
    """Have `readings` say what all libraries of a service have in common: its processes and its decodings.

    engines  gives those that are open
    """
    gauge, counter = readings.gauge, readings.counter
    gauge("quartet_encoders_alive", "Running model processes.", lambda: _encoders(engines()))
    gauge("quartet_decodings_running", "Uploads being decoded.", lambda: decodings.running)
    counter("quartet_decodings", "Uploads decoded.", lambda: decodings.done)
    counter("quartet_decoding_seconds", "Time spent decoding uploads.", lambda: decodings.seconds)
    gauge("quartet_resident_bytes", "Memory of each process.", lambda: _memory(engines()), label="process")
    readings.info("quartet_build", "The version of the service.", {"version": __version__})


def _encoders(engines: Sequence[Engine]) -> int:
    """Libraries with the same model share its processes: each is counted once."""
    return sum({id(encoder): engine.encoders for engine in engines for encoder in [engine.encoder]}.values())


def _model(engine: Engine) -> dict[str, str]:
    return {"name": engine.spec.name, "fingerprint": engine.spec.fingerprint}


def _memory(engines: Sequence[Engine]) -> dict[str, float]:
    pids = dict.fromkeys(pid for engine in engines for pid in engine.encoder_pids)
    found = {"service": resident_bytes(os.getpid())}
    return found | {f"encoder-{n}": resident_bytes(pid) for n, pid in enumerate(pids, 1)}


def _items(engine: Engine) -> dict[str, float]:
    generation = engine.generation()
    return {"clips": len(generation.clips), "captions": len(generation.captions)}
