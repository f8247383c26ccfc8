"""One training run: from data in memory to the best model by validation SumR."""

from __future__ import annotations

from pathlib import Path

import lightning as L

from model.config import Preset
from model.mcsan import CONCEPT_LEVELS, MCSAN
from model.training.dataset import VideoText, Vocabularies, build_vocabularies
from model.training.loop import train_module
from model.training.module import MCSANModule, Pairs
from model.training.run_folder import History


def fit(
    preset: Preset,
    train: VideoText,
    validation: VideoText,
    run_folder: Path,
    seed: int,
    progress: bool = True,
    resume: bool = False,
) -> tuple[MCSAN, Vocabularies, History]:
    """Train one model; the one with the best validation SumR comes back, in eval mode on the CPU.

    The same seed gives the same model on one machine, whether or not the run was stopped and gone on with (`resume`).
    `run_folder` receives the logs and the state to go on from: see `train_module`.
    """
    L.seed_everything(seed, verbose=False)
    config = preset.train
    sizes = (config.entity_vocabulary, config.action_vocabulary, config.relation_vocabulary)
    vocabularies = build_vocabularies(train.texts, dict(zip(CONCEPT_LEVELS, sizes, strict=True)))
    model = MCSAN(preset.model, {level: max(1, len(words)) for level, words in vocabularies.items()})
    frames = train.features[train.frame_mask]
    model.video.set_statistics(frames.mean(0), frames.std(0))
    module = MCSANModule(model, preset, validation)
    train_module(module, Pairs(train, vocabularies), config, run_folder, seed, progress, resume)
    return module.model.eval(), vocabularies, module.history
