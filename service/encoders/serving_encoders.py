"""The encoders of a service: libraries with the same model share one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from indexer.media.forked_process import start_server
from model.encoder import Encoder
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.encoder_worker import LIBRARIES, WITH_PYTORCH
from service.encoders.model_choice import chosen_precision, queried_model, query_encoder
from service.encoders.shared_encoder import SharedEncoder
from service.settings import Settings

if TYPE_CHECKING:
    from indexer.store.manifest import ModelInfo


_EXAMPLE = "two dogs chase a red ball"


class ServingEncoders:
    """Loads encoders for many requests at a time: on a CPU in processes of their own, one for each worker.

    Whoever asks for a model that is loaded already gets the same encoder: the same model with the same prompts,
    weights and precision. Each user closes it, and with the last one its processes end.
    """

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[str, EncoderProcesses | SharedEncoder] = WeakValueDictionary()
        self._loading = threading.Lock()

    def load(self, settings: Settings, built: ModelInfo | None = None) -> EncoderProcesses | SharedEncoder:
        """The encoder of `settings`, or of the model that has `built` a generation. Raises what loading it raises."""
        model, queries = queried_model(settings, built)
        wanted = repr((model, queries, chosen_precision(settings), settings.device))
        with self._loading:
            known = self._loaded.get(wanted)
            if known is None or (isinstance(known, EncoderProcesses) and not known.share()):
                self._loaded[wanted] = known = _loaded(settings, built)
                known.identity = wanted
            return known


def start_processes_of(models: Iterable[tuple[str, Path]]) -> None:
    """Let the server of encoder processes start before anybody needs it. Each model with where models are prepared."""
    start_server(libraries_of(models))


def libraries_of(models: Iterable[tuple[str, Path]]) -> list[str]:
    """What the server of the processes of these models imports."""
    from model.registry import needs_pytorch

    return WITH_PYTORCH if any(needs_pytorch(*one) for one in models) else LIBRARIES


def _loaded(settings: Settings, built: ModelInfo | None) -> EncoderProcesses | SharedEncoder:
    from threadpoolctl import threadpool_limits

    from model.registry import resolve_device

    if resolve_device(settings.device) != "cpu":
        return SharedEncoder(query_encoder(settings, built))
    # The cores are the encoders'. What is multiplied here takes microseconds, but in two parts it would take until
    # the core of the other part is free; and threads that wait for work spin for a while.
    threadpool_limits(limits=1, user_api="blas")
    model, queries = queried_model(settings, built)
    precision = chosen_precision(settings)
    load = partial(_warm_encoder, model, device="cpu", models=settings.models, queries=queries, precision=precision)
    return EncoderProcesses(load, settings.workers, settings.encode_timeout, libraries_of([(model, settings.models)]))


def _warm_encoder(model: str, **options: Any) -> Encoder:
    """As `load_encoder`, with the networks of texts in place: converting them takes longer than a question may."""
    from model.registry import load_encoder

    encoder = load_encoder(model, **options)
    encoder.encode_texts([_EXAMPLE])
    return encoder
