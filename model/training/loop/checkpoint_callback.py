"""Runs that survive a kill: their state after the last finished epoch.

    RUN/last.ckpt      everything to go on from: weights, optimiser, counters, metrics of every epoch so far
    RUN/best-7.pt      the weights with the best validation SumR
    RUN/metrics.csv    one row per epoch

All of a step's randomness comes from the seed and the step's number (order.py), so there is no random state to keep.
What a run was begun with is in RUN/run.json (run_folder.py).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from model.evaluation.metrics import Retrieval
from model.training.data.atomic_files import replacing
from model.training.data.epoch_sampler import seed_step
from model.training.loop.run_record import (
    LAST,
    METRICS,
    History,
    best_weights,
    history_from_json,
    history_to_json,
    kept_epoch,
)

SAVE_EVERY = 300.0
"""Seconds between two states within an epoch; shorter epochs are saved at their ends alone."""


class KeepState(L.Callback):
    """Saves the state of a run after every epoch, and every SAVE_EVERY seconds within one, so that a kill costs little.

    The module has `history`, one entry per validation; the epoch that `keep` names, "best" by its fused SumR or "last",
    is kept in `best-EPOCH.pt`. Seeds every training step.
    """

    def __init__(self, folder: Path, seed: int, save_every: float = SAVE_EVERY, keep: str = "best") -> None:
        self.folder, self.seed, self.save_every, self.keep = folder, seed, save_every, keep
        self.best = -1
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._saved_at = time.monotonic()

    @property
    def last(self) -> Path | None:
        """The state to go on from, if there is one."""
        path = self.folder / LAST
        return path if path.is_file() else None

    @property
    def best_weights(self) -> Path:
        return self.folder / f"best-{self.best}.pt"

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        seed_step(self.seed, trainer.global_step, trainer.global_rank)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith("loss/"):
                self._sums[name] = self._sums.get(name, torch.zeros_like(value, dtype=torch.float64)) + value
        self._steps += 1
        due = time.monotonic() - self._saved_at > self.save_every and batch_idx + 1 < trainer.num_training_batches
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        history: History = pl_module.history
        self.rows.append(self._row(trainer, history[-1]))
        self._sums, self._steps = {}, 0
        kept = kept_epoch(history, self.keep)
        if kept != self.best:
            self.best = kept
            if trainer.is_global_zero:
                with replacing(self.best_weights) as temporary:
                    torch.save(pl_module.state_dict(), temporary)
        if trainer.is_global_zero:
            self._write_rows()
        self._save(trainer)
        if trainer.is_global_zero:
            # Only now does no state on disk want the older ones.
            for path in best_weights(self.folder):
                if path != self.best_weights:
                    path.unlink()

    def _row(self, trainer: L.Trainer, results: Mapping[str, Retrieval]) -> dict[str, float]:
        losses = {name: float(total / self._steps) for name, total in self._sums.items()}
        levels = {
            name: value for name, value in trainer.callback_metrics.items() if name.startswith(("r1/", "spread/"))
        }
        return {
            "epoch": len(self.rows) + 1,
            "step": trainer.global_step,
            **losses,
            "sum_r": results["fused"].sum_r,
            **{f"sum_r/{name}": result.sum_r for name, result in results.items() if name != "fused"},
            **{name: float(value) for name, value in levels.items()},
        }

    def _write_rows(self) -> None:
        with replacing(self.folder / METRICS) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)

    def _save(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            with replacing(self.folder / LAST) as temporary:
                trainer.save_checkpoint(temporary)
        else:
            trainer.save_checkpoint(self.folder / LAST)  # takes part in collecting the state, writes nothing
        self._saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "rows": self.rows, "sums": self._sums, "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.rows = state_dict["best"], state_dict["rows"]
        self._sums, self._steps = state_dict["sums"], state_dict["steps"]

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = history_to_json(pl_module.history)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        pl_module.history = history_from_json(checkpoint["history"])
