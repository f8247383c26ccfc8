"""What the metrics say of an engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from quartet import __version__
from service.observe.metrics import resident_bytes

if TYPE_CHECKING:
    from service.search.engine import Engine


def report(engine: Engine) -> Callable[[], None]:
    """Have its metrics say what an engine knows itself. Returns what is to be called when its model has changed."""
    metrics, live, decodings = engine.metrics, engine.live, engine.decodings
    gauge, counter = metrics.gauge, metrics.counter
    gauge("quartet_queue_depth", "Queries waiting for a worker.", lambda: engine.waiting)
    counter("quartet_query_cache_hits", "Encoded sentences found in the cache.", lambda: engine.cached[0])
    counter("quartet_query_cache_misses", "Encoded sentences not found in the cache.", lambda: engine.cached[1])
    gauge("quartet_generation_age_seconds", "Seconds since the generation was loaded.", lambda: live.model.age)
    counter("quartet_reload_failures", "Failed attempts to open a new generation.", lambda: live.failures)
    gauge("quartet_encoders_alive", "Running model processes.", lambda: engine.encoders)
    gauge("quartet_decodings_running", "Uploads being decoded.", lambda: decodings.running)
    counter("quartet_decodings", "Uploads decoded.", lambda: decodings.done)
    counter("quartet_decoding_seconds", "Time spent decoding uploads.", lambda: decodings.seconds)
    gauge("quartet_resident_bytes", "Memory of each process.", lambda: _memory(engine), label="process")
    metrics.info("quartet_build", "The version of the service.", {"version": __version__})
    gauge("quartet_index_items", "Searchable items.", lambda: _items(engine), label="gallery")
    gauge("quartet_generation", "Number of the live generation.", lambda: int(engine.generation().name))
    tell = metrics.info("quartet_model", "The model that answers.", _model(engine))
    return lambda: tell(_model(engine))


def _model(engine: Engine) -> dict[str, str]:
    return {"name": engine.spec.name, "fingerprint": engine.spec.fingerprint}


def _memory(engine: Engine) -> dict[str, float]:
    found = {"service": resident_bytes(os.getpid())}
    return found | {f"encoder-{n}": resident_bytes(pid) for n, pid in enumerate(engine.encoder_pids, 1)}


def _items(engine: Engine) -> dict[str, float]:
    generation = engine.generation()
    return {"clips": len(generation.clips), "captions": len(generation.captions)}
