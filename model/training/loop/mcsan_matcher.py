"""MCSAN as the trainer sees it: its two towers with the objective (34) to (41)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded
from model.language.word_vectors import InitialWords
from model.levels import LEVEL_NAMES
from model.mcsan.config import LossConfig, Preset
from model.mcsan.layers import unit
from model.mcsan.losses import concept_loss, kl_loss, ranking_loss
from model.mcsan.network import MCSAN
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import PairBatch
from model.training.data.dataset import VideoText, Vocabularies
from model.training.fitting.centre_fit import fit_centres
from model.training.fitting.input_dropout import fitting_input_dropout
from model.training.loop.matcher import Matcher, Measured, single
from model.training.loop.validation import validate

CHANGED_LEVEL = {"noun": "entity", "verb": "action", "roles": "relation", "attribute": "global"}
"""Which level a change of a caption pushes (`model/language/caption_changes.py`)."""


class MCSANMatcher(Matcher):
    """Trains `model`. Encodings are the towers' vectors, not normalised; a row of zeros is an absent level.

    With `fit_weights`, the weights of the levels are fitted to the validation data.
    """

    def __init__(self, model: MCSAN, config: LossConfig, fit_weights: bool = False) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.fit_weights = fit_weights
        self.log_temperature = nn.Parameter(
            torch.full((1 + len(LEVEL_NAMES),), math.log(config.temperature)),
            requires_grad=config.ranking == "infonce",
        )
        if not config.concept_weight:
            # No term of the objective reaches the concept heads.
            model.concepts.requires_grad_(False)
            model.concept_scale.requires_grad_(False)

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return self.model.video(features, mask)

    def encode_text(self, text: TextTensors) -> Encoded:
        return self.model.text(text)

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return self.model.fuse(self.model.level_scores(unit(video), unit(text)), _present(text))

    def own_terms(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        """Captions with one thing changed against those that they were made of, each at its own level alone."""
        if not self.config.hard_negatives or batch.changed is None:
            return {}
        other = self.encode_text(batch.changed.text)
        temperature = self.log_temperature.exp().clamp(0.005, 1.0)[1:]
        rows, kinds = batch.changed.rows, np.array(batch.changed.kinds)
        with torch.autocast(self.device.type, enabled=False):
            video, text, other = (unit(single(side)) for side in (_rows(video, rows), _rows(text, rows), other))
            right, wrong = (self.model.level_scores(video, side) for side in (text, other))
            present, left = _present(text), _present(other)
            losses = []
            for kind, level in CHANGED_LEVEL.items():
                if kind == "roles" and self.model.video.pairs is not None:
                    continue  # the pairs learn them afterwards; the rest of the level would learn captions by heart
                asked = present[level] & left[level] & torch.from_numpy(kinds == kind).to(rows.device)
                if asked.any():
                    lead = (right[level].diagonal() - wrong[level].diagonal())[asked]
                    losses.append(fn.softplus(-lead / temperature[LEVEL_NAMES.index(level)]).mean())
        return {"changed": self.config.hard_negatives * torch.stack(losses).mean()} if losses else {}

    def objective(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        config, model = self.config, self.model
        raw_video, raw_text = video, text
        video, text = unit(raw_video), unit(raw_text)
        scores, present = model.level_scores(video, text), _present(text)
        temperature = self.log_temperature.exp().clamp(0.005, 1.0)
        terms = {}
        if config.fused_ranking:
            fused = model.fuse(scores, present)
            terms["rank"] = config.fused_ranking * ranking_loss(fused, batch.negatives, config, temperature[0])
        if config.level_ranking:
            own = []
            for name, t in zip(LEVEL_NAMES, temperature[1:], strict=True):
                rows = present[name].nonzero().squeeze(1)
                if len(rows) > 1:
                    own.append(ranking_loss(scores[name][rows][:, rows], batch.negatives[rows][:, rows], config, t))
            terms["level_rank"] = config.level_ranking * torch.stack(own).mean()
        # A text without a level says nothing about it.
        telling = [(name, present[name]) for name in model.concept_levels if present[name].any()]
        if config.concept_weight:
            losses = [
                concept_loss(model.concept_logits(name, video[name]), batch.video_labels[name], config)
                for name in model.concept_levels
            ]
            losses += [
                concept_loss(model.concept_logits(name, text[name][rows]), batch.text_labels[name][rows], config)
                for name, rows in telling
            ]
            terms["concepts"] = config.concept_weight * torch.stack(losses).sum()
        if config.kl_weight and telling:
            divergences = [kl_loss(raw_video[n][rows], raw_text[n][rows], config.kl_symmetric) for n, rows in telling]
            terms["kl"] = config.kl_weight * torch.stack(divergences).sum()
        return terms

    def finish(self, train: VideoText) -> bool:
        if self.model.config.centred:
            fit_centres(self.model, train)
        return self.model.config.centred

    def measure(self, data: VideoText, fit: bool = False) -> Measured:
        """As any matcher, but by one product of vectors per level."""
        return validate(self.model, data, fit and self.fit_weights)


def mcsan_matcher(
    preset: Preset, train: VideoText, vocabularies: Vocabularies, words: InitialWords | None = None
) -> MCSANMatcher:
    """A new model for the features of `train`, by which it standardises and may choose its input dropout.

    `words` are what a model with a word embedding of its own starts from.
    """
    concepts = {level: max(1, len(known)) for level, known in vocabularies.items()}
    config = preset.model
    if preset.train.fit_dropout:
        config = replace(config, input_dropout=fitting_input_dropout(train))
    model = MCSAN(config, concepts, words.vocabulary if words else ())
    if words and model.text.embedding:
        words.copy_to(model.text.embedding)
    frames = train.features[train.frame_mask]
    model.video.set_statistics(frames.mean(0), frames.std(0, correction=0))
    return MCSANMatcher(model, preset.loss, preset.train.fit_weights)


def _rows(side: Encoded, rows: Tensor) -> Encoded:
    return {name: vectors[rows] for name, vectors in side.items()}


def _present(text: Encoded) -> dict[str, Tensor]:
    """Which levels each text has, (B,) bool per level."""
    return {name: text[name].any(1) for name in LEVEL_NAMES}
