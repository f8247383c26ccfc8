"""Who reads the captions of a comparison: the sentence encoder, another one, or the text tower of the frames' model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.language.sentence_encoder import Sentences
from model.training.compare.contestants import kind_of
from model.training.compare.published import FROZEN_TOWERS, OF_PIXELS
from model.training.data.feature_set import FeatureSet
from model.training.loop.feature_training import backbone_of
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from model.vision.recorded_sentences import load_sentences
from quartet.errors import InputError


def caption_encoder(
    models: Sequence[str], features: Sequence[Path], called: str | None, folder: Path
) -> Sentences | None:
    """None for the bundled sentence encoder. `folder` is where prepared models are; `called` is one of them to use.

    Raises InputError where a model needs the text tower of the features' model and there is none, or another reader.
    """
    if not (needing := [name for name in models if kind_of(name) in FROZEN_TOWERS | OF_PIXELS]):
        return None if called is None else load_sentences(called, folder)
    if called is not None:
        raise InputError(
            f"{kind_of(needing[0])} reads captions by the two-tower model of its features. Leave out --sentence-model."
        )
    with FeatureSet(features) as file:
        network = backbone_of(file, None, folder)
    if not isinstance(network, TwoTower):
        raise InputError(
            f"{kind_of(needing[0])} needs features of a two-tower model. Make them with: "
            "quartet features VIDEOS --model NAME"
        )
    return TwoTowerSentences(network)
