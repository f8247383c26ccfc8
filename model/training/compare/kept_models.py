"""Compared models as checkpoint folders, which index videos and serve a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.baselines.checkpoint import save_baseline
from model.baselines.single_vector import VectorModel
from model.mcsan.checkpoint import Checkpoint, save_checkpoint
from model.mcsan.checkpoint_identity import CONFIG_FILE
from model.training.compare.contestants import BASELINES, kind_of
from model.training.data.dataset import Vocabularies
from model.training.data.feature_set import FeatureSet
from model.training.loop.baseline_matcher import BaselineMatcher
from model.training.loop.feature_training import Tell, backbone_of
from model.training.loop.matcher import Matcher
from model.training.loop.mcsan_matcher import MCSANMatcher
from model.two_tower.prepared_models import MODELS_FOLDER
from model.vision.frame_networks import FrameNetwork
from quartet.errors import InputError

NOT_VECTORS = {
    "hgr": "the words of a query choose its frames",
    "hanet": "the words of a query choose its frames",
}
"""Models that cannot be kept, and why: an index stores vectors of videos that are made before any query."""


@dataclass(frozen=True)
class TextTools:
    """What read the captions, by the names that checkpoints record."""

    parser: str
    sentence_encoder: str


@dataclass(frozen=True)
class Keeping:
    """Where compared models are kept: FOLDER/MODEL-seed0.

    backbone_weights  of the network that made the features; without, a kept model cannot see videos
    models            where two-tower models are
    """

    folder: Path
    backbone_weights: Path | None = None
    models: Path = MODELS_FOLDER

    def require_vectors(self, models: Sequence[str], glove: bool = False) -> None:
        """Raises InputError that names the models that cannot be kept; with `glove`, all published ones."""
        if glove and (published := [name for name in models if kind_of(name) in BASELINES]):
            raise InputError(
                f"--keep: a checkpoint of {', '.join(published)} has no place for word vectors of its own. Leave out "
                "--glove, or compare it without --keep."
            )
        refused = [f"{name} ({NOT_VECTORS[kind_of(name)]})" for name in models if kind_of(name) in NOT_VECTORS]
        if refused:
            raise InputError(
                f"--keep: no vector of a video exists for {', '.join(refused)}, so an index cannot hold them. "
                "Compare them without --keep."
            )

    def has(self, model: str, seed: int) -> bool:
        return (self._place(model, seed) / CONFIG_FILE).is_file()

    def backbone(self, features: Sequence[Path], tell: Tell) -> FrameNetwork | None:
        """The network that made the features. Raises InputError where the weights cannot be its own."""
        with FeatureSet(features) as file:
            found = backbone_of(file, self.backbone_weights, self.models)
        if found is None:
            tell("Kept models cannot see videos: name the weights of the features' backbone with --backbone-weights.")
        return found

    def keep(
        self,
        model: str,
        seed: int,
        matcher: Matcher,
        vocabularies: Vocabularies,
        backbone: FrameNetwork | None,
        frames: int,
        text_tools: TextTools,
    ) -> Path:
        """Write the checkpoint of a trained model that has seen at most so many frames of a clip."""
        folder = self._place(model, seed)
        note = f"{model}, seed {seed} of a comparison."
        names = text_tools.parser, text_tools.sentence_encoder
        if isinstance(matcher, MCSANMatcher):
            network = matcher.model
            network.config = replace(network.config, frames=frames)
            save_checkpoint(folder, Checkpoint(folder.name, note, network, backbone, vocabularies, *names))
        elif isinstance(matcher, BaselineMatcher) and isinstance(matcher.model, VectorModel):
            note = f"{note} {matcher.model.note}".strip()
            save_baseline(folder, Checkpoint(folder.name, note, matcher.model, backbone, vocabularies, *names), frames)
        else:
            raise InputError(f"{model} cannot be kept: it has no vectors.")
        return folder

    def _place(self, model: str, seed: int) -> Path:
        return self.folder / f"{model}-seed{seed}"
