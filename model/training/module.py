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

_DEAD_SPREAD = 1e-3  # a level whose scores vary less than this decides nothing


@dataclass
class PairBatch:
    """B pairs: features (B, N, D_v), frame_mask (B, N), texts, negatives (B, B), labels per level (B, K)."""

    features: Tensor
    frame_mask: Tensor
    text: TextTensors
    negatives: Tensor
    text_labels: dict[str, Tensor]
    video_labels: dict[str, Tensor]


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
        same = (videos[:, None] == videos) | (self.wording[index][:, None] == self.wording[index])
        return PairBatch(
            self.data.features[videos],
            self.data.frame_mask[videos],
            collate([self.data.texts[i] for i in rows]),
            torch.from_numpy(~same),
            {level: labels[index].float() for level, labels in self.text_labels.items()},
            {level: labels[videos].float() for level, labels in self.video_labels.items()},
        )


class MCSANModule(L.LightningModule):
    """Trains one MCSAN; `history` keeps the validation metrics of every epoch."""

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

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        losses = self.losses(batch)
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()})
        return torch.stack(list(losses.values())).sum()

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The weighted terms of the objective (41), by name."""
        config, model = self.preset.loss, self.model
        raw_video, raw_text = model(batch.features, batch.frame_mask, batch.text)
        video, text = unit(raw_video), unit(raw_text)
        scores, present = model.level_scores(video, text), batch.text.present()
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
        results, spread = validate(self.model, self.validation)
        self.history.append(results)
        self.log("sum_r", results["fused"].sum_r, prog_bar=True)
        for name in LEVEL_NAMES:
            self.log(f"r1/{name}", results[name].text_to_video.r1)
            self.log(f"spread/{name}", spread[name])
            if spread[name] < _DEAD_SPREAD:
                self.print(f"Warning: level {name!r} is dead: its scores differ by {spread[name]:.1e} only.")

    def val_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(torch.zeros(1)))  # one step: validation ranks the whole split at once

    def configure_optimizers(self) -> OptimizerLRScheduler:
        config = self.preset.train
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
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
            batch.negatives.to(device),
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
    """Metrics on `data`, fused and per level, and the spread (standard deviation) of each level's scores."""
    was_training = model.training
    model.eval()
    videos = encode_videos(model, data.features, data.frame_mask)
    queries = fold_text_queries(model, encode_text_features(model, data.texts))
    model.train(was_training)
    specs = model.level_specs()
    spread = {s.name: float(s.activate(queries[s.name] @ videos[s.name].T).std()) for s in specs}
    return evaluate(specs, queries, videos, data.owner), spread
