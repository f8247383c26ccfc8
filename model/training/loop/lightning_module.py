"""The Lightning module: the objective of any matcher, validation by SumR, the optimiser."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from model.evaluation.metrics import Retrieval
from model.mcsan.config import TrainConfig
from model.training.data.batches import PairBatch
from model.training.data.dataset import VideoText
from model.training.loop.level_health import LevelHealth, level_health
from model.training.loop.matcher import Matcher


class MatcherModule(L.LightningModule):
    """Trains one matcher; `history` keeps the metrics of every validation, `health` those of the last by level."""

    def __init__(self, matcher: Matcher, config: TrainConfig, validation: VideoText) -> None:
        super().__init__()
        self.matcher = matcher
        self.config = config
        self.validation = validation
        self.history: list[dict[str, Retrieval]] = []
        self.health: dict[str, LevelHealth] = {}

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        losses = self.matcher.losses(batch)
        self.log_dict({f"loss/{name}": loss for name, loss in losses.items()})
        return torch.stack(list(losses.values())).sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # as the finished model will compute
            results, spread = self.matcher.measure(self.validation, fit=True)
        self.history.append(results)
        self.health = level_health(results, spread, self.validation.owner)
        self.log("sum_r", results["fused"].sum_r)
        for name, level in self.health.items():
            self.log_dict({f"r1/{name}": level.r1, f"spread/{name}": level.spread, f"sum_r/{name}": level.sum_r})

    def val_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(torch.zeros(1)))  # one step: validation ranks the whole split at once

    def make_optimizer(self) -> Optimizer:
        """The optimiser at the highest learning rate, without a schedule."""
        config = self.config
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        groups = self.matcher.parameter_groups(config)
        return kind(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        config, optimizer = self.config, self.make_optimizer()
        if config.schedule == "constant":
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=0.05,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: object, **__: object) -> None:
        """Lightning refuses to clip for a fused optimiser in mixed precision: that could unscale gradients itself.

        bfloat16 needs no scaling of the loss, so the gradients here are what they say.
        """
        if self.config.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.matcher.parameters(), self.config.clip_norm)

    def transfer_batch_to_device(self, batch: PairBatch, device: torch.device, dataloader_idx: int) -> PairBatch:
        if not isinstance(batch, PairBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return batch.to(device)
