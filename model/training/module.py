"""The Lightning module: batches of (video, caption) pairs, the objective, validation by SumR."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from model.config import Preset
from model.evaluation.metrics import Retrieval, evaluate
from model.layers import unit
from model.levels import LEVEL_NAMES, Vectors
from model.losses import concept_loss, kl_loss, ranking_loss
from model.mcsan import CONCEPT_LEVELS, MCSAN
from model.text_features import TextFeatures, collate
from model.text_tower import TextTensors
from model.training.dataset import VideoText, Vocabularies, concept_labels
from model.training.distributed import gather_rows
from model.training.health import LevelHealth, level_health, spreads


@dataclass
class PairBatch:
    """B pairs: features (B, N, D_v), frame_mask (B, N), texts, labels per level (B, K).

    `owner` and `wording` (B,) number the video and the caption's words: pairs that share one are no negatives.
    """

    features: Tensor
    frame_mask: Tensor
    text: TextTensors
    owner: Tensor
    wording: Tensor
    text_labels: dict[str, Tensor]
    video_labels: dict[str, Tensor]

    @property
    def negatives(self) -> Tensor:
        """(B, B) bool: pairs of another video and another wording."""
        return (self.owner.unsqueeze(1) != self.owner) & (self.wording.unsqueeze(1) != self.wording)

    def gathered(self) -> PairBatch:
        """What the objective asks of the pairs of all processes; features and texts stay this process's own."""
        owner, wording, text_labels, video_labels = gather_rows(
            (self.owner, self.wording, self.text_labels, self.video_labels)
        )
        return PairBatch(self.features, self.frame_mask, self.text, owner, wording, text_labels, video_labels)


class Pairs(Dataset):
    """Every caption with its video; batches leave out false negatives."""

    def __init__(self, data: VideoText, vocabularies: Vocabularies) -> None:
        self.data = data
        self.text_labels, self.video_labels = concept_labels(data, vocabularies)
        wording: dict[str, int] = {}
        self.wording = np.array([wording.setdefault(t.parse.text.lower(), len(wording)) for t in data.texts])

    def __len__(self) -> int:
        return len(self.data.texts)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, rows: Sequence[int]) -> PairBatch:
        index = np.asarray(rows)
        videos = self.data.owner[index]
        return PairBatch(
            self.data.features[videos],
            self.data.frame_mask[videos],
            collate([self.data.texts[i] for i in rows]),
            torch.from_numpy(videos),
            torch.from_numpy(self.wording[index]),
            {level: labels[index].float() for level, labels in self.text_labels.items()},
            {level: labels[videos].float() for level, labels in self.video_labels.items()},
        )


class MCSANModule(L.LightningModule):
    """Trains one MCSAN; `history` keeps the validation metrics of every epoch, `health` those of the last by level."""

    def __init__(self, model: MCSAN, preset: Preset, validation: VideoText) -> None:
        super().__init__()
        self.model = model
        self.preset = preset
        self.validation = validation
        self.log_temperature = nn.Parameter(
            torch.full((1 + len(LEVEL_NAMES),), math.log(preset.loss.temperature)),
            requires_grad=preset.loss.ranking == "infonce",
        )
        self.history: list[dict[str, Retrieval]] = []
        self.health: dict[str, LevelHealth] = {}

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        losses = self.losses(batch)
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()})
        return torch.stack(list(losses.values())).sum()

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The weighted terms of the objective (41), by name, over the pairs of all processes."""
        encoded = self.model(batch.features, batch.frame_mask, batch.text)
        raw_video, raw_text = ({n: v.float() for n, v in side.items()} for side in encoded)
        raw_video, raw_text, present = gather_rows((raw_video, raw_text, batch.text.present()))
        # The towers may run in half precision; what they are compared by does not.
        with torch.autocast(self.device.type, enabled=False):
            return self._objective(raw_video, raw_text, present, batch.gathered())

    def _objective(
        self, raw_video: dict[str, Tensor], raw_text: dict[str, Tensor], present: dict[str, Tensor], batch: PairBatch
    ) -> dict[str, Tensor]:
        config, model = self.preset.loss, self.model
        video, text = unit(raw_video), unit(raw_text)
        scores = model.level_scores(video, text)
        temperature = self.log_temperature.exp().clamp(0.005, 1.0)
        terms = {"rank": ranking_loss(model.fuse(scores, present), batch.negatives, config, temperature[0])}
        if config.level_ranking:
            own = []
            for name, t in zip(LEVEL_NAMES, temperature[1:], strict=True):
                rows = present[name].nonzero().squeeze(1)
                if len(rows) > 1:
                    own.append(ranking_loss(scores[name][rows][:, rows], batch.negatives[rows][:, rows], config, t))
            terms["level_rank"] = config.level_ranking * torch.stack(own).mean()
        if config.concept_weight:
            terms["concepts"] = (
                config.concept_weight
                * torch.stack(
                    [
                        concept_loss(model.concept_logits(level, vectors[level]), labels[level], config)
                        for level in CONCEPT_LEVELS
                        for vectors, labels in ((video, batch.video_labels), (text, batch.text_labels))
                    ]
                ).sum()
            )
        if config.kl_weight:
            divergences = [kl_loss(raw_video[n], raw_text[n], config.kl_symmetric) for n in CONCEPT_LEVELS]
            terms["kl"] = config.kl_weight * torch.stack(divergences).sum()
        return terms

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # as the finished model will compute
            results, spread = validate(self.model, self.validation)
        self.history.append(results)
        self.health = level_health(results, spread, self.validation.owner)
        self.log("sum_r", results["fused"].sum_r)
        for name, level in self.health.items():
            self.log_dict({f"r1/{name}": level.r1, f"spread/{name}": level.spread, f"sum_r/{name}": level.sum_r})

    def val_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(torch.zeros(1)))  # one step: validation ranks the whole split at once

    def configure_optimizers(self) -> OptimizerLRScheduler:
        config = self.preset.train
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
        if config.schedule == "constant":
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=steps, pct_start=0.05, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: PairBatch, device: torch.device, dataloader_idx: int) -> PairBatch:
        if not isinstance(batch, PairBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return PairBatch(
            batch.features.to(device),
            batch.frame_mask.to(device),
            batch.text.to(device),
            batch.owner.to(device),
            batch.wording.to(device),
            {level: labels.to(device) for level, labels in batch.text_labels.items()},
            {level: labels.to(device) for level, labels in batch.video_labels.items()},
        )


@torch.inference_mode()
def encode_videos(model: MCSAN, features: Tensor, mask: Tensor, batch_size: int = 256) -> Vectors:
    """Gallery vectors of padded features (V, N, D_v): {level: (V, d_l)} float32."""
    device = model.log_weights.device
    parts = [
        unit(model.video(f.to(device), m.to(device)))
        for f, m in zip(features.split(batch_size), mask.split(batch_size), strict=True)
    ]
    return {n: torch.cat([p[n] for p in parts]).float().cpu().numpy() for n in LEVEL_NAMES}


@torch.inference_mode()
def encode_text_features(model: MCSAN, texts: Sequence[TextFeatures], batch_size: int = 256) -> Vectors:
    """Gallery vectors of texts: {level: (B, d_l)} float32; absent levels are rows of zeros."""
    device = model.log_weights.device
    chunks = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
    parts = [unit(model.text(collate(chunk).to(device))) for chunk in chunks]
    return {n: torch.cat([p[n] for p in parts]).float().cpu().numpy() for n in LEVEL_NAMES}


@torch.inference_mode()
def fold_text_queries(model: MCSAN, vectors: Vectors) -> Vectors:
    """Gallery vectors of texts -> query vectors for clips: the head folded into the global level."""
    folded = model.head.fold_text(torch.from_numpy(vectors["global"]).to(model.log_weights.device))
    return {**vectors, "global": folded.float().cpu().numpy()}


def validate(model: MCSAN, data: VideoText) -> tuple[dict[str, Retrieval], dict[str, float]]:
    """Metrics on `data`, fused and per level, and the spread of each level's scores (health.py)."""
    was_training = model.training
    model.eval()
    videos = encode_videos(model, data.features, data.frame_mask)
    queries = fold_text_queries(model, encode_text_features(model, data.texts))
    model.train(was_training)
    specs = model.level_specs()
    return evaluate(specs, queries, videos, data.owner), spreads(specs, queries, videos)
