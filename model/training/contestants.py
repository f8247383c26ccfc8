"""The models that `quartet compare` knows, by name: MCSAN, its ablations, the presets and the published baselines.

All of them read the same frames, words and pairs and are trained by the same loop. Baselines are trained as the paper
trains MCSAN; a preset brings its own training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from model.baselines.dual_encoding import DualEncoding
from model.baselines.hanet import HANet
from model.baselines.hgr import HGR
from model.baselines.hsl import CONCEPT_LEVELS as HSL_LEVELS
from model.baselines.hsl import HSL
from model.baselines.vse import VSE
from model.baselines.w2vvpp import W2VVPlusPlus
from model.baselines.words import BagOfWords
from model.config import Preset, TrainConfig
from model.errors import InputError
from model.presets import PAPER, PRESETS
from model.training.dataset import VideoText, Vocabularies
from model.training.matcher import Matcher
from model.training.objective import mcsan_matcher


@dataclass(frozen=True)
class Inputs:
    """What a model may look at before it is built: the training split, and its concepts in the sizes it asked for."""

    train: VideoText
    vocabularies: Vocabularies

    @property
    def feature_dim(self) -> int:
        return self.train.features.shape[2]

    @property
    def word_dim(self) -> int:
        return self.train.texts[0].encoded.words.shape[1]

    @property
    def bag(self) -> BagOfWords:
        return BagOfWords(self.train.texts)

    def concepts(self, level: str) -> int:
        """How many concepts the labels of a level tell apart."""
        return max(1, len(self.vocabularies[level]))


@dataclass(frozen=True)
class Contestant:
    """One model of a comparison: how it is built and how it is trained. `settings` are its switches, if it has any."""

    build: Callable[[Inputs], Matcher]
    train: TrainConfig = PAPER.train
    settings: Mapping[str, Any] = field(default_factory=dict)


def _mcsan(preset: Preset) -> Contestant:
    def build(inputs: Inputs) -> Matcher:
        model = replace(preset.model, feature_dim=inputs.feature_dim, word_dim=inputs.word_dim)
        return mcsan_matcher(replace(preset, model=model), inputs.train, inputs.vocabularies)

    return Contestant(build, preset.train, {"model": asdict(preset.model), "loss": asdict(preset.loss)})


ABLATIONS = {
    "mcsan": PAPER,
    "mcsan-no-relation": replace(PAPER, model=replace(PAPER.model, relation_level=False)),
    "mcsan-no-statistics": replace(PAPER, loss=replace(PAPER.loss, concept_weight=0.0, kl_weight=0.0)),
    "mcsan-no-focal": replace(PAPER, loss=replace(PAPER.loss, focal="off")),
}
"""MCSAN and its ablations: without the relation level, without shared concepts and KL, with plain cross entropy."""

BASELINES = {
    "vse": Contestant(lambda i: VSE(i.feature_dim, i.word_dim, hardest=False)),
    "vse++": Contestant(lambda i: VSE(i.feature_dim, i.word_dim, hardest=True)),
    "w2vv++": Contestant(lambda i: W2VVPlusPlus(i.feature_dim, i.word_dim, i.bag)),
    "dual-encoding": Contestant(lambda i: DualEncoding(i.feature_dim, i.word_dim, i.bag)),
    "hsl": Contestant(lambda i: HSL(i.feature_dim, i.word_dim, i.bag, sum(i.concepts(n) for n in HSL_LEVELS))),
    "hgr": Contestant(lambda i: HGR(i.feature_dim, i.word_dim)),
    "hanet": Contestant(lambda i: HANet(i.feature_dim, i.word_dim, {n: i.concepts(n) for n in HSL_LEVELS})),
}

CONTESTANTS = {name: _mcsan(preset) for name, preset in (ABLATIONS | PRESETS).items()} | BASELINES
"""In the order in which they are listed."""


def contestant(name: str) -> Contestant:
    """Raises InputError that lists the models if there is none of this name."""
    if name not in CONTESTANTS:
        raise InputError(f"Unknown model {name!r}. Models: {', '.join(CONTESTANTS)}.")
    return CONTESTANTS[name]
