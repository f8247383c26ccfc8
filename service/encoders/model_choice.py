"""Which model a command uses: the one that is named, else the one that built the library."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from model.encoder import Encoder, QuerySettings
from model.precision import Precision, has_bf16
from model.two_tower.prepared_models import DEFAULT_MODEL, prepared_names
from quartet.errors import InputError, ModelError
from service.encoders.deferred_encoder import DeferredEncoder
from service.settings import Settings

if TYPE_CHECKING:
    from indexer.store.manifest import ModelInfo


def open_encoder(settings: Settings) -> Encoder:
    """Load the model of `settings`, or that of its library where none is named.

    Raises InputError where there is neither, ModelError for a model that is not there or cannot be loaded.
    """
    from model.registry import load_encoder

    model, precision = chosen_model(settings), chosen_precision(settings)
    return load_encoder(model, settings.device, settings.models, settings.cuda_graphs, precision=precision)


def query_encoder(settings: Settings, built: ModelInfo | None = None) -> Encoder:
    """As `open_encoder`, with the prompts and weights that the library has set for its queries.

    built  the model of the generation that answers, where it is not for `settings` to choose
    """
    from model.registry import load_encoder

    model, queries = queried_model(settings, built)
    precision = chosen_precision(settings)
    return load_encoder(model, settings.device, settings.models, settings.cuda_graphs, queries, precision)


def queried_model(settings: Settings, built: ModelInfo | None) -> tuple[str, QuerySettings]:
    """What to load a model by, and what the library and the settings of this machine say of its queries."""
    from indexer.store.search_settings import read_search_settings

    model = chosen_model(settings) if built is None else model_of_library(settings, built)
    fingerprint = None if built is None else built.fingerprint
    own = read_search_settings(settings.library, fingerprint).queries if settings.library else QuerySettings()
    return model, replace(own, parsers={**own.parsers, **settings.parsers})


def indexing_encoder(settings: Settings) -> Encoder:
    """As `open_encoder`, but a library's own model is loaded when the first clip is there to be encoded.

    A model by another name or folder is loaded at once: whether it is the library's own, only its fingerprint tells.
    Raises what `open_encoder` raises, either here or when the model is first used.
    """
    from indexer.store.layout import exists
    from indexer.store.manifest import built_with
    from model.registry import checkpoint_fingerprint, name_of_builder

    library = settings.library
    if library is None or not exists(library):
        return open_encoder(settings)
    name, spec = chosen_model(settings), built_with(library)
    # A checkpoint says which it is: it may have been trained again under its name. Other models are known by name.
    known = checkpoint_fingerprint(name)
    if known == spec.fingerprint or (known is None and name == name_of_builder(spec.name, settings.models)):
        return DeferredEncoder(spec, partial(open_encoder, settings))
    return open_encoder(settings)


def encoder_at_hand(settings: Settings) -> Encoder | None:
    """As `open_encoder`; None where the model is not there, for a command that is better with it and does without."""
    try:
        return open_encoder(settings)
    except (InputError, ModelError):
        return None


def chosen_model(settings: Settings) -> str:
    """The name or folder of the model to use. Raises InputError that lists the choices where nothing decides."""
    if settings.model:
        return settings.model

    from indexer.store.layout import exists
    from indexer.store.manifest import built_by

    if settings.library is None or not exists(settings.library):
        raise InputError(choices(settings))
    return model_of_library(settings, built_by(settings.library))


def model_of_library(settings: Settings, built: ModelInfo) -> str:
    """The name or folder of the model that made a generation of the library. Raises InputError where it is not known.

    A checkpoint, or a two-tower model that was given as a folder, has no name: the library notes where it is.
    """
    from indexer.store.search_settings import model_folder
    from model.registry import name_of_builder

    name = name_of_builder(built.name, settings.models)
    if name is None:
        folder = None if settings.library is None else model_folder(settings.library, built.fingerprint)
        if folder is not None and Path(folder).is_dir():
            return folder
        was = "cannot be found by its name" if folder is None else f"is no longer at {folder}"
        raise InputError(
            f"The model {built.name!r} built the library {settings.library}, but it {was}. Give its folder "
            "with --model (or QUARTET_MODEL)."
        )
    return name


def chosen_precision(settings: Settings) -> Precision:
    """What a CPU computes the model in: as it is set, else as the library was made, and a new one in bf16 if it can."""
    from indexer.store.layout import exists
    from indexer.store.search_settings import library_precision

    if settings.precision != "auto":
        return settings.precision
    if settings.library is not None and exists(settings.library):
        return library_precision(settings.library)
    return "bf16" if has_bf16() else "float32"


def remember_precision(settings: Settings) -> None:
    """Note in the library what its model is computed in."""
    from indexer.store.layout import exists
    from indexer.store.search_settings import note_precision

    if settings.library is not None and exists(settings.library):
        note_precision(settings.library, chosen_precision(settings))


def remember_folder(settings: Settings, fingerprint: str) -> None:
    """Note in the library where the folder of a model is, if it was given as a folder."""
    from indexer.store.layout import exists
    from indexer.store.search_settings import note_model_folder
    from model.registry import name_elsewhere

    if settings.library is None or settings.model is None or not exists(settings.library):
        return
    place = name_elsewhere(settings.model, settings.models)
    if Path(place).is_absolute():
        note_model_folder(settings.library, fingerprint, place)


def choices(settings: Settings) -> str:
    """What to give as a model, as sentences."""
    prepared = prepared_names(settings.models)
    fetch = "" if DEFAULT_MODEL in prepared else f"; fetch it first: quartet prepare {DEFAULT_MODEL}"
    lines = [
        "Choose a model with --model (or QUARTET_MODEL):",
        f"  {DEFAULT_MODEL:<16} for any videos, without training{fetch}",
        *(f"  {name:<16} prepared on this machine" for name in prepared if name != DEFAULT_MODEL),
        "  FOLDER           a model that you trained on your own captioned videos",
        "  MODEL            another model of `quartet models`, once it is prepared",
        "  demo             the bundled model, which knows only the generated cartoon world of `quartet demo`",
    ]
    return "\n".join(lines)
