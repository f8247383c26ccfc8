"""Sentence encoders by their names: the one that a checkpoint records. Loads no network of frames by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model.language.sentence_encoder import OTHER_MODEL, TWO_TOWER_MODEL, SentenceEncoder, SentenceModel
from model.precision import Precision
from model.two_tower.layouts import is_sentence_transformer
from model.two_tower.prepared_models import MODELS_FOLDER, digest, find_prepared, hash_files
from model.two_tower.safe_loading import refuse_code
from quartet.errors import InputError, ModelError

if TYPE_CHECKING:
    from model.two_tower.sentence_encoder import TwoTowerSentences
    from model.vision.frame_networks import FrameNetwork


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
            f"There is no sentence model {called!r}. Give the folder of a sentence-transformers model{fetched}."
        )
    refuse_code(folder)
    named = called if find_prepared(models, called) else str(folder.resolve())
    return SentenceEncoder(device, precision, SentenceModel(folder, named, digest(hash_files(folder))))


def recorded_sentences(
    name: str,
    network: Callable[[], FrameNetwork | None],
    device: str,
    needed_by: Path,
    precision: Precision = "float32",
    models: Path = MODELS_FOLDER,
) -> SentenceEncoder | TwoTowerSentences:
    """The sentence encoder by the name that the checkpoint `needed_by` records. Raises ModelError for another one.

    network  gives that of its frames, which is asked for only where texts are read by it
    """
    sentences: SentenceEncoder | TwoTowerSentences
    if name.startswith(TWO_TOWER_MODEL):
        from model.two_tower.sentence_encoder import TwoTowerSentences
        from model.two_tower.towers import TwoTower

        tower = network()
        if not isinstance(tower, TwoTower):
            raise ModelError(f"The checkpoint {needed_by} reads texts by {name}, but frames by another model.")
        sentences = TwoTowerSentences(tower)
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
