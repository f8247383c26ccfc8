"""The models that `quartet compare` knows, by name: MCSAN, its ablations, the presets and the published baselines.

All of them read the same frames, words and pairs and are trained by the same loop. Baselines are trained as the paper
trains MCSAN; a preset brings its own training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from model.baselines import dual_encoding, hgr, hit, hsl, vse, w2vv, w2vvpp
from model.baselines.bag_of_words import BagOfWords
from model.baselines.dual_encoding import DualEncoding
from model.baselines.experts import collaborative_experts, mithun, mmt
from model.baselines.experts.collaborative_experts import CollaborativeExperts
from model.baselines.experts.mithun import Mithun
from model.baselines.experts.mmt import MultiModalTransformer
from model.baselines.hanet import HANet
from model.baselines.hgr import HGR
from model.baselines.hit import HiT
from model.baselines.hsl import HSL
from model.baselines.vse import VSE
from model.baselines.w2vv import W2VV
from model.baselines.w2vvpp import W2VVPlusPlus
from model.mcsan.config import ModelConfig, Preset, TrainConfig
from model.mcsan.presets import PAPER, PLUS, PRESETS
from model.training.compare.paper_to_plus import steps
from model.training.data.dataset import VideoText, Vocabularies
from model.training.loop.baseline_matcher import BaselineMatcher
from model.training.loop.matcher import Matcher
from model.training.loop.mcsan_matcher import mcsan_matcher
from quartet.errors import InputError


@dataclass(frozen=True)
class Inputs:
    """What a model may look at before it is built: the training split, and its concepts in the sizes it asked for.

    `width` multiplies the published widths of MCSAN, its ablations and the baselines; presets keep their own.
    `files` are the widths of the features files that stand side by side in every frame; none: a single one.
    """

    train: VideoText
    vocabularies: Vocabularies
    width: float = 1.0
    files: tuple[int, ...] = ()

    @property
    def experts(self) -> tuple[int, ...]:
        return self.files or (self.feature_dim,)

    @property
    def feature_dim(self) -> int:
        return self.train.features.shape[2]

    @property
    def word_dim(self) -> int:
        return self.train.texts[0].encoded.words.shape[1]

    @property
    def sentence_dim(self) -> int:
        return len(self.train.texts[0].encoded.sentence)

    def widths(self, model: ModelConfig) -> ModelConfig:
        """A configuration with the widths of the features and of the vectors of captions."""
        return replace(model, feature_dim=self.feature_dim, word_dim=self.word_dim, sentence_dim=self.sentence_dim)

    @property
    def bag(self) -> BagOfWords:
        return BagOfWords(self.train.texts)

    def wide(self, published: int) -> int:
        """A published width times `width`, as a multiple of 8: of the attention heads and of two directions."""
        return max(8, 8 * round(published * self.width / 8))

    def concepts(self, level: str) -> int:
        """How many concepts the labels of a level tell apart."""
        return max(1, len(self.vocabularies[level]))


@dataclass(frozen=True)
class Contestant:
    """One model of a comparison: how it is built and how it is trained. `settings` are its switches, if it has any."""

    build: Callable[[Inputs], Matcher]
    train: TrainConfig = PAPER.train
    settings: Mapping[str, Any] = field(default_factory=dict)


def _mcsan(preset: Preset, scaled: bool) -> Contestant:
    def build(inputs: Inputs) -> Matcher:
        model = inputs.widths(preset.model)
        if scaled:
            wide = inputs.wide
            model = replace(model, embed_dim=wide(model.embed_dim), attention_dim=wide(model.attention_dim))
        return mcsan_matcher(replace(preset, model=model), inputs.train, inputs.vocabularies)

    return Contestant(build, preset.train, {"model": asdict(preset.model), "loss": asdict(preset.loss)})


def _global_k(inputs: Inputs) -> Matcher:
    """Four global heads, trained as `plus` is, with as many parameters: what many copies of one level are worth."""
    levels = inputs.widths(PLUS.model)
    wanted = mcsan_matcher(replace(PLUS, model=levels), inputs.train, inputs.vocabularies).size

    def control(width: int) -> Matcher:
        model = replace(levels, alike=True, global_width=width)
        return mcsan_matcher(replace(PLUS, model=model), inputs.train, inputs.vocabularies)

    narrow, per_unit = control(8).size, control(9).size - control(8).size
    return control(max(8, 8 + round((wanted - narrow) / per_unit)))


def _vse(inputs: Inputs, hardest: bool) -> Matcher:
    return BaselineMatcher(VSE(inputs.feature_dim, inputs.word_dim, hardest, inputs.wide(vse.DIM)))


def _mithun(inputs: Inputs) -> Matcher:
    return BaselineMatcher(Mithun(inputs.experts, inputs.word_dim, inputs.wide(mithun.DIM)))


def _w2vv(inputs: Inputs) -> Matcher:
    widths = inputs.wide(w2vv.STATES), inputs.wide(w2vv.HIDDEN)
    return BaselineMatcher(W2VV(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths))


def _ce(inputs: Inputs) -> Matcher:
    width = inputs.wide(collaborative_experts.DIM)
    return BaselineMatcher(CollaborativeExperts(inputs.experts, inputs.word_dim, width))


def _mmt(inputs: Inputs) -> Matcher:
    return BaselineMatcher(MultiModalTransformer(inputs.experts, inputs.sentence_dim, inputs.wide(mmt.DIM)))


def _w2vvpp(inputs: Inputs) -> Matcher:
    widths = inputs.wide(w2vvpp.HIDDEN), inputs.wide(w2vvpp.DIM)
    return BaselineMatcher(W2VVPlusPlus(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths))


def _dual_encoding(inputs: Inputs) -> Matcher:
    widths = inputs.wide(dual_encoding.DIM), inputs.wide(dual_encoding.HIDDEN), inputs.wide(dual_encoding.FILTERS)
    return BaselineMatcher(DualEncoding(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths))


def _hsl(inputs: Inputs) -> Matcher:
    widths = inputs.wide(dual_encoding.DIM), inputs.wide(dual_encoding.HIDDEN), inputs.wide(dual_encoding.FILTERS)
    concepts = sum(inputs.concepts(level) for level in hsl.CONCEPT_LEVELS)
    return BaselineMatcher(HSL(inputs.feature_dim, inputs.word_dim, inputs.bag, concepts, *widths))


def _hgr(inputs: Inputs) -> Matcher:
    return BaselineMatcher(HGR(inputs.feature_dim, inputs.word_dim, inputs.wide(hgr.DIM)))


def _hanet(inputs: Inputs) -> Matcher:
    concepts = {level: inputs.concepts(level) for level in hgr.NODE_LEVELS}
    return BaselineMatcher(HANet(inputs.feature_dim, inputs.word_dim, concepts, inputs.wide(hgr.DIM)))


def _hit(inputs: Inputs) -> Matcher:
    return BaselineMatcher(HiT(inputs.feature_dim, inputs.word_dim, inputs.wide(hit.DIM)))


ABLATIONS = {
    "mcsan": PAPER,
    "mcsan-no-relation": replace(PAPER, model=replace(PAPER.model, relation_level=False)),
    "mcsan-no-statistics": replace(PAPER, loss=replace(PAPER.loss, concept_weight=0.0, kl_weight=0.0)),
    "mcsan-no-focal": replace(PAPER, loss=replace(PAPER.loss, focal="off")),
}
"""MCSAN and its ablations: without the relation level, without shared concepts and KL, with plain cross entropy."""

BASELINES = {
    "vse": Contestant(partial(_vse, hardest=False)),
    "vse++": Contestant(partial(_vse, hardest=True)),
    "mithun": Contestant(_mithun),
    "w2vv": Contestant(_w2vv),
    "w2vv++": Contestant(_w2vvpp),
    "dual-encoding": Contestant(_dual_encoding),
    "hsl": Contestant(_hsl),
    "hgr": Contestant(_hgr),
    "hanet": Contestant(_hanet),
    "ce": Contestant(_ce),
    "mmt": Contestant(_mmt),
    "hit": Contestant(_hit),
}

CONTROL = Contestant(
    _global_k, PLUS.train, {"model": asdict(replace(PLUS.model, alike=True)), "loss": asdict(PLUS.loss)}
)

CHANGED = replace(PLUS, loss=replace(PLUS.loss, hard_negatives=0.5))
"""`plus` with captions that have one thing changed as negatives, each for its own level."""

CONTESTANTS = (
    {name: _mcsan(preset, scaled=True) for name, preset in ABLATIONS.items()}
    | {
        name: _mcsan(preset, scaled=False)
        for name, preset in (PRESETS | steps()).items()
        if preset.texts != "two-tower"  # needs the features of its own model, which the others do not
    }
    | {"plus-changed": _mcsan(CHANGED, scaled=False), "global-k": CONTROL}
    | BASELINES
)
"""In the order in which they are listed."""


def contestant(name: str) -> Contestant:
    """Raises InputError that lists the models if there is not one of this name."""
    if name not in CONTESTANTS:
        raise InputError(f"Unknown model {name!r}. Models: {', '.join(CONTESTANTS)}.")
    return CONTESTANTS[name]
