"""The models that `quartet compare` knows, by name: MCSAN, its ablations, the presets and the published baselines.

All of them read the same frames, words and pairs and are trained by the same loop. Baselines are trained as the paper
trains MCSAN; a preset brings its own training. A name may end in changes of settings, as `--set` of `quartet train`
makes them: "mcsan:loss.focal=off:training.epochs=3".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from model.baselines.baseline import Baseline
from model.mcsan.config import Preset, TrainConfig
from model.mcsan.overrides import override
from model.mcsan.presets import PAPER, PLUS, PRESETS
from model.training.compare.inputs import Inputs
from model.training.compare.paper_to_plus import steps
from model.training.compare.published import PUBLISHED
from model.training.loop.baseline_matcher import BaselineMatcher
from model.training.loop.matcher import Matcher
from quartet.errors import InputError


@dataclass(frozen=True)
class Contestant:
    """One model of a comparison: how it is built and how it is trained. `settings` are its switches, if it has any.

    `of` makes it of another preset than `preset`, where it is made of one.
    """

    build: Callable[[Inputs], Matcher]
    train: TrainConfig = PAPER.train
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: Preset = field(default_factory=Preset)
    of: Callable[[Preset], Contestant] | None = None

    def changed(self, changes: Sequence[str]) -> Contestant:
        """With settings changed, each given as NAME=VALUE. A published model has those of its training alone.

        Raises InputError for an unknown name, a wrong value, and one that this model does not have.
        """
        if self.of is not None:
            return self.of(override(self.preset, changes))
        if foreign := [change for change in changes if not change.startswith(TRAINING)]:
            raise InputError(
                f"{foreign[0]!r} is a setting of MCSAN and its presets: published models have {TRAINING}*."
            )
        return replace(self, train=override(Preset(train=self.train), changes).train)


TRAINING = "training."
"""What names of settings of the training begin with."""


def _mcsan(preset: Preset, scaled: bool) -> Contestant:
    def build(inputs: Inputs) -> Matcher:
        model = inputs.widths(preset.model)
        if scaled:
            wide = inputs.wide
            model = replace(model, embed_dim=wide(model.embed_dim), attention_dim=wide(model.attention_dim))
        return inputs.mcsan(replace(preset, model=model))

    settings = {"model": asdict(preset.model), "loss": asdict(preset.loss)}
    return Contestant(build, preset.train, settings, preset, partial(_mcsan, scaled=scaled))


def _global_k(preset: Preset) -> Contestant:
    """Four global heads, trained as `preset` is, with as many parameters: what many copies of one level are worth."""

    def build(inputs: Inputs) -> Matcher:
        levels = inputs.widths(preset.model)
        wanted = inputs.mcsan(replace(preset, model=levels)).size

        def control(width: int) -> Matcher:
            model = replace(levels, alike=True, global_width=width)
            return inputs.mcsan(replace(preset, model=model))

        narrow, per_unit = control(8).size, control(9).size - control(8).size
        return control(max(8, 8 + round((wanted - narrow) / per_unit)))

    settings = {"model": asdict(replace(preset.model, alike=True)), "loss": asdict(preset.loss)}
    return Contestant(build, preset.train, settings, preset, _global_k)


def _published(build: Callable[[Inputs], Baseline]) -> Contestant:
    return Contestant(lambda inputs: BaselineMatcher(build(inputs), inputs.words))


ABLATIONS = {
    "mcsan": PAPER,
    "mcsan-no-relation": replace(PAPER, model=replace(PAPER.model, relation_level=False)),
    "mcsan-no-statistics": replace(PAPER, loss=replace(PAPER.loss, concept_weight=0.0, kl_weight=0.0)),
    "mcsan-no-focal": replace(PAPER, loss=replace(PAPER.loss, focal="off")),
}
"""MCSAN and its ablations: without the relation level, without shared concepts and KL, with plain cross entropy."""

BASELINES = {name: _published(build) for name, build in PUBLISHED.items()}

CHANGED = replace(PLUS, loss=replace(PLUS.loss, hard_negatives=0.5))
"""`plus` with captions that have one thing changed as negatives, each for its own level."""

CONTESTANTS = (
    {name: _mcsan(preset, scaled=True) for name, preset in ABLATIONS.items()}
    | {
        name: _mcsan(preset, scaled=False)
        for name, preset in (PRESETS | steps()).items()
        if preset.texts != "two-tower"  # needs the features of its own model, which the others do not
    }
    | {"plus-changed": _mcsan(CHANGED, scaled=False), "global-k": _global_k(PLUS)}
    | BASELINES
)
"""In the order in which they are listed."""


def contestant(name: str, changes: Sequence[str] = ()) -> Contestant:
    """The model of a name, with the changes that the name ends in, and before them those of `changes` that it can have.

    Raises InputError that lists the models if there is not one of this name, and as `Contestant.changed` does.
    """
    kind, *own = name.split(":")
    if kind not in CONTESTANTS:
        raise InputError(f"Unknown model {kind!r}. Models: {', '.join(CONTESTANTS)}.")
    chosen = CONTESTANTS[kind]
    return chosen.changed([*(change for change in changes if chosen.of or change.startswith(TRAINING)), *own])


def kind_of(name: str) -> str:
    """The name of a model without its changes."""
    return name.split(":", maxsplit=1)[0]
