"""Where a command has videos decoded and encoded: in its own process, or on a Ray cluster."""

from __future__ import annotations

from functools import partial

from indexer.pipeline.contract import Pipeline
from indexer.pipeline.local_pipeline import LocalPipeline
from model.encoder import Encoder
from quartet.errors import InputError
from service.encoders.model_choice import chosen_model, chosen_precision, indexing_encoder, open_encoder
from service.settings import Settings

_DEVICES = ("auto", "cpu", "cuda")
"""With a cluster: which GPU of a machine a worker has, Ray decides."""


def open_pipeline(settings: Settings, workers: int, ray: str | None, ray_gpus: float = 1.0) -> tuple[Encoder, Pipeline]:
    """The encoder of `settings`, and what encodes videos with it; close the pipeline.

    ray      address of a Ray cluster (`indexer.pipeline.ray_pipeline`); None for this process
    ray_gpus of each of its workers, where the device is not `cpu`
    workers  files that are decoded at the same time, with Ray by each of its workers

    Raises InputError for a cluster that cannot be used, and what `open_encoder` raises.
    """
    if ray is None:
        encoder = indexing_encoder(settings)
        return encoder, LocalPipeline(encoder, workers)

    from indexer.pipeline.ray_pipeline import RayPipeline
    from model.registry import load_encoder, name_elsewhere

    if settings.device not in _DEVICES:
        raise InputError(f"With --ray, a device is one of {', '.join(_DEVICES)}, not {settings.device!r}.")
    # Here it is only asked who it is.
    encoder = open_encoder(settings.model_copy(update={"device": "cpu"}))
    models = settings.models.resolve()
    load = partial(
        load_encoder,
        name_elsewhere(chosen_model(settings), models),
        settings.device,
        models,
        precision=chosen_precision(settings),
    )
    gpus = 0.0 if settings.device == "cpu" else ray_gpus
    return encoder, RayPipeline(ray, load, encoder.spec.fingerprint, workers=workers, gpus=gpus)
