"""One training run: from data in memory to the model of the epoch that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightning as L
from torch import nn

from model.language.word_vectors import InitialWords
from model.mcsan.config import Preset, TrainConfig
from model.mcsan.linear_parts import CONCEPT_LEVELS, ROLES, reads_roles
from model.mcsan.network import MCSAN
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText, Vocabularies, build_vocabularies, role_verbs
from model.training.fitting.concept_fit import fit_concepts
from model.training.fitting.pair_fit import fit_pairs
from model.training.fitting.role_fit import fit_roles
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.matcher import Matcher
from model.training.loop.mcsan_matcher import mcsan_matcher
from model.training.loop.run_record import History, kept_epoch
from model.training.loop.trainer import train_module
from model.training.loop.unfrozen_matcher import UnfrozenMatcher
from model.training.loop.validation import validate
from model.two_tower.sentence_encoder import TwoTowerSentences


def fit(
    preset: Preset,
    train: VideoText,
    validation: VideoText,
    run_folder: Path,
    seed: int,
    progress: bool = True,
    resume: bool = False,
    words: InitialWords | None = None,
    sentences: TwoTowerSentences | None = None,
    readings: nn.Linear | None = None,
) -> tuple[MCSAN, Vocabularies, History]:
    """Train one model; that of the epoch which `TrainConfig.keep` names comes back, in eval mode on the CPU.

    The same seed gives the same model on one machine, whether or not the run was stopped and gone on with (`resume`).
    `run_folder` receives the logs and the state to go on from: see `train_module`. `words` are what a model with a word
    embedding of its own starts from. The text tower of `sentences` is trained, too, in place.
    `readings` say what is where in a frame, for a model with `pair_kinds` (`VideoPairs.read`).
    """
    L.seed_everything(seed, verbose=False)
    vocabularies = vocabularies_of(train, preset.train)
    if reads_roles(preset.model):
        vocabularies[ROLES] = role_verbs(train.texts, preset.train.relation_vocabulary)
    matcher = mcsan_matcher(preset, train, vocabularies, words)
    if matcher.model.video.pairs is not None:
        if readings is None:
            raise ValueError("pairs of kinds need readings of the features")
        matcher.model.video.pairs.read.load_state_dict(readings.state_dict())
    if sentences is not None:
        matcher = UnfrozenMatcher(matcher, sentences, preset.text_rate)
    history = fit_matcher(matcher, preset.train, train, validation, vocabularies, run_folder, seed, progress, resume)
    if matcher.model.video.pairs is not None:
        fit_pairs(matcher.model, train, seed)
        kept = kept_epoch(history, preset.train.keep)
        history[kept] = validate(matcher.model, validation, fit_weights=True)[0]
    if preset.model.fitted_concepts:
        fit_concepts(matcher.model, train, vocabularies)
    if reads_roles(preset.model):
        fit_roles(matcher.model, train, vocabularies)
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
    resume: bool = False,
) -> History:
    """Train any matcher as `fit` does; it ends as it was in the epoch that is kept, in eval mode on the CPU.

    Returns the validation metrics of every epoch. The caller seeds what the matcher starts from.
    """
    L.seed_everything(seed, verbose=False)
    config = replace(config, epochs=config.epochs_for(len(train.features), len(train.texts)))
    module = MatcherModule(matcher, config, validation)
    pairs = Pairs(train, vocabularies, matcher.collate_text)
    train_module(module, pairs, config, run_folder, seed, progress, resume)
    matcher.eval()
    if matcher.finish(train):
        kept = kept_epoch(module.history, config.keep)
        module.history[kept] = matcher.measure(validation, fit=True)[0]
    return module.history
