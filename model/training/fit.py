"""One training run: from data in memory to the best model by validation SumR."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from model.config import Preset, TrainConfig
from model.evaluation.metrics import Retrieval
from model.mcsan import CONCEPT_LEVELS, MCSAN
from model.training.batches import Pairs
from model.training.dataset import VideoText, Vocabularies, build_vocabularies
from model.training.input_dropout import fitting_input_dropout
from model.training.matcher import Matcher
from model.training.module import MatcherModule
from model.training.objective import mcsan_matcher
from model.words import InitialWords


def fit(
    preset: Preset,
    train: VideoText,
    validation: VideoText,
    run_folder: Path,
    seed: int,
    progress: bool = True,
    words: InitialWords | None = None,
) -> tuple[MCSAN, Vocabularies, list[dict[str, Retrieval]]]:
    """Train one model; the one with the best validation SumR comes back, in eval mode on the CPU.

    `run_folder` receives the metrics of every step as CSV and the best state. The same seed gives the same model on
    one machine. `words` are what a model with a word embedding of its own starts from.
    """
    L.seed_everything(seed, verbose=False)
    if preset.train.fit_dropout:
        rate = fitting_input_dropout(train)
        preset = replace(preset, model=replace(preset.model, input_dropout=rate))
    vocabularies = vocabularies_of(train, preset.train)
    matcher = mcsan_matcher(preset, train, vocabularies, words)
    history = fit_matcher(matcher, preset.train, train, validation, vocabularies, run_folder, seed, progress)
    return matcher.model, vocabularies, history


def vocabularies_of(train: VideoText, config: TrainConfig) -> Vocabularies:
    """The concepts of the training captions, in the sizes that `config` names."""
    sizes = (config.entity_vocabulary, config.action_vocabulary, config.relation_vocabulary)
    return build_vocabularies(train.texts, dict(zip(CONCEPT_LEVELS, sizes, strict=True)))


def fit_matcher(
    matcher: Matcher,
    config: TrainConfig,
    train: VideoText,
    validation: VideoText,
    vocabularies: Vocabularies,
    run_folder: Path,
    seed: int,
    progress: bool = True,
) -> list[dict[str, Retrieval]]:
    """Train any matcher as `fit` does; it ends as it was in its best epoch, in eval mode on the CPU.

    Returns the validation metrics of every epoch. The caller seeds what the matcher starts from.
    """
    L.seed_everything(seed, verbose=False)
    # Lightning's start-up lines repeat what the caller has said.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    module = MatcherModule(matcher, config, validation)
    pairs = Pairs(train, vocabularies, matcher.collate_text)
    loader = DataLoader(
        pairs,
        config.batch_size,
        shuffle=True,
        drop_last=len(pairs) > config.batch_size,
        collate_fn=pairs.collate,
    )
    best = ModelCheckpoint(run_folder, filename="best", monitor="sum_r", mode="max", enable_version_counter=False)
    trainer = L.Trainer(
        max_epochs=config.epochs,
        default_root_dir=run_folder,
        logger=CSVLogger(run_folder, name="", version="log"),
        callbacks=[best, *([RichProgressBar()] if progress else [])],
        enable_progress_bar=progress,
        enable_model_summary=False,
        gradient_clip_val=config.clip_norm or None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    with warnings.catch_warnings():
        # Lightning's advice on workers, folders and intervals is for other set-ups than data in memory.
        warnings.filterwarnings("ignore", module=r"lightning\b")
        trainer.fit(module, loader)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    matcher.cpu().eval()
    return module.history
