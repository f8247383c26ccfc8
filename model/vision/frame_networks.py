"""The networks that see frames: a torchvision backbone, or the picture tower of a two-tower model.

Both have a `config` that a features file and a checkpoint keep, a `feature_dim`, and `features(clips)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.json_config import from_json
from model.language.sentence_encoder import OTHER_MODEL, SentenceEncoder, SentenceModel
from model.precision import Precision
from model.two_tower.layouts import find_layout, is_sentence_transformer
from model.two_tower.prepared_models import MODELS_FOLDER, digest, find_prepared, hash_files
from model.two_tower.safe_loading import refuse_code
from model.two_tower.sentence_encoder import PREFIX, TwoTowerSentences
from model.two_tower.towers import TwoTower, TwoTowerConfig
from model.vision.backbones import Backbone, BackboneConfig
from quartet.errors import InputError, ModelError

FrameNetwork = Backbone | TwoTower
FrameNetworkConfig = BackboneConfig | TwoTowerConfig


def network_config(data: Mapping[str, Any]) -> FrameNetworkConfig:
    """A configuration from its JSON form. Raises InputError."""
    return from_json(TwoTowerConfig, data) if "two_tower" in data else from_json(BackboneConfig, data)


def load_two_tower(name: str, models: Path = MODELS_FOLDER, device: str = "cpu") -> TwoTower:
    """A two-tower model by the name that it was prepared under, or by its folder.

    Raises InputError with the command to run if it is not on this machine, ModelError if it cannot be loaded.
    """
    prepared = find_prepared(models, name)
    if prepared is not None:
        return TwoTower(prepared, device, name)
    if find_layout(Path(name)) is None:
        raise InputError(
            f"The two-tower model {name!r} is not on this machine. Run: quartet prepare {name} (or give its folder)"
        )
    return TwoTower(Path(name), device)


def recorded_two_tower(config: TwoTowerConfig, models: Path = MODELS_FOLDER) -> TwoTower:
    """The very model that made features or a checkpoint. Raises InputError, or ModelError if it is another one."""
    tower = load_two_tower(config.two_tower, models)
    if tower.config.sha256 != config.sha256:
        raise ModelError(
            f"The two-tower model {config.two_tower} has different files than before "
            f"({tower.config.sha256[:12]}, not {config.sha256[:12]}). Prepare the revision that was used "
            "before."
        )
    return tower


def load_sentences(
    called: str, models: Path = MODELS_FOLDER, device: str = "cpu", precision: Precision = "float32"
) -> SentenceEncoder:
    """A model of sentence-transformers by its folder, or by the name that it was prepared under.

    Raises InputError if it is not on this machine, ModelError if it cannot be used.
    """
    folder = find_prepared(models, called) or Path(called)
    if not is_sentence_transformer(folder):
        fetched = f", or run: quartet prepare {called} --sentences" if called.count("/") == 1 else ""
        raise InputError(
            f"There is no sentence model {called!r}: give the folder of a sentence-transformers model{fetched}."
        )
    refuse_code(folder)
    named = called if find_prepared(models, called) else str(folder.resolve())
    return SentenceEncoder(device, precision, SentenceModel(folder, named, digest(hash_files(folder))))


def recorded_sentences(
    name: str,
    network: FrameNetwork | None,
    device: str,
    needed_by: Path,
    precision: Precision = "float32",
    models: Path = MODELS_FOLDER,
) -> SentenceEncoder | TwoTowerSentences:
    """The sentence encoder by the name that the checkpoint `needed_by` records. Raises ModelError for another one."""
    sentences: SentenceEncoder | TwoTowerSentences
    if name.startswith(PREFIX) and isinstance(network, TwoTower):
        sentences = TwoTowerSentences(network)
    elif name.startswith(OTHER_MODEL):
        try:
            sentences = load_sentences(name.removeprefix(OTHER_MODEL).rsplit("@", 1)[0], models, device, precision)
        except InputError as error:
            raise ModelError(f"The checkpoint {needed_by} needs its sentence encoder. {error}") from error
    else:
        sentences = SentenceEncoder(device, precision)
    if sentences.name != name:
        raise ModelError(
            f"The checkpoint {needed_by} was trained with the sentence encoder {name}, but {sentences.name} is "
            "installed here."
        )
    return sentences
