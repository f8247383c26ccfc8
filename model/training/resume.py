"""Runs that survive a kill: what a run was begun with, and its state after the last finished epoch.

    RUN/run.json       the arguments, and the metrics once it is finished
    RUN/last.ckpt      everything to go on from: weights, optimiser, counters, metrics of every epoch so far
    RUN/best-7.pt      the weights with the best validation SumR
    RUN/metrics.csv    one row per epoch

All of a step's randomness comes from the seed and the step's number (order.py), so there is no random state to keep.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from model.errors import InputError
from model.evaluation.metrics import Recall, Retrieval
from model.training.atomic import replacing, write_json
from model.training.order import seed_step

History = list[dict[str, Retrieval]]
"""Validation metrics of every epoch: of the fused score ("fused") and of each level alone."""

SAVE_EVERY = 300.0
"""Seconds between two states within an epoch; shorter epochs are saved at their ends alone."""

_LAST, _RUN, _METRICS = "last.ckpt", "run.json", "metrics.csv"


class Run:
    """The folder of one training run, and the arguments that it was begun with.

    Raises InputError if its run.json cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._arguments: dict[str, Any] = {}
        self.history: History | None = None
        """The metrics of a finished run, else None."""
        if (folder / _RUN).exists():
            try:
                data = json.loads((folder / _RUN).read_text(encoding="utf-8"))
                self._arguments = dict(data["arguments"])
                self.history = None if data["history"] is None else history_from_json(data["history"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{folder / _RUN} is damaged ({error}). Start over with --fresh, or name another --out."
                ) from error

    @classmethod
    def fresh(cls, folder: Path) -> Run:
        """A run with nothing of an earlier one in its folder."""
        shutil.rmtree(folder, ignore_errors=True)
        return cls(folder)

    def agree(self, arguments: Mapping[str, Any]) -> None:
        """Note the arguments of a new run, or check that they are those that the run was begun with.

        Raises InputError that names every argument that differs.
        """
        given = json.loads(json.dumps(arguments))
        differing = [name for name in given if name in self._arguments and self._arguments[name] != given[name]]
        if differing:
            told = "; ".join(_difference(name, self._arguments[name], given[name]) for name in differing)
            raise InputError(
                f"{self.folder.parent} was begun with other arguments: {told}. "
                "Give the same again, name another --out, or start over with --fresh."
            )
        self._arguments |= given
        write_json(self.folder / _RUN, {"arguments": self._arguments, "history": self._history_json()})

    def finish(self, history: History) -> None:
        """Keep the metrics; the states that a finished run no longer needs are deleted."""
        self.history = history
        write_json(self.folder / _RUN, {"arguments": self._arguments, "history": self._history_json()})
        for path in (*self.folder.glob("best-*.pt"), self.folder / _LAST):
            path.unlink(missing_ok=True)

    def _history_json(self) -> list[dict[str, Any]] | None:
        return None if self.history is None else history_to_json(self.history)


def _difference(name: str, was: Any, now: Any) -> str:
    digests = isinstance(was, str) and was.startswith("sha256:")
    return f"the {name} had other content" if digests else f"{name} was {was}, not {now}"


def history_to_json(history: History) -> list[dict[str, Any]]:
    return [{name: asdict(result) for name, result in epoch.items()} for epoch in history]


def history_from_json(data: list[dict[str, Any]]) -> History:
    return [
        {
            name: Retrieval(Recall(**result["text_to_video"]), Recall(**result["video_to_text"]))
            for name, result in epoch.items()
        }
        for epoch in data
    ]


class KeepState(L.Callback):
    """Saves the state of a run after every epoch, and every SAVE_EVERY seconds within one, so that a kill costs little.

    The module has `history`, one entry per validation; the best epoch by its fused SumR is kept in `best-EPOCH.pt`.
    Seeds every training step.
    """

    def __init__(self, folder: Path, seed: int, save_every: float = SAVE_EVERY) -> None:
        self.folder, self.seed, self.save_every = folder, seed, save_every
        self.best = -1
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._saved_at = time.monotonic()

    @property
    def last(self) -> Path | None:
        """The state to go on from, if there is one."""
        path = self.folder / _LAST
        return path if path.is_file() else None

    @property
    def best_weights(self) -> Path:
        return self.folder / f"best-{self.best}.pt"

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        seed_step(self.seed, trainer.global_step, trainer.global_rank)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith("loss/"):
                self._sums[name] = self._sums.get(name, torch.zeros_like(value, dtype=torch.float64)) + value
        self._steps += 1
        due = time.monotonic() - self._saved_at > self.save_every and batch_idx + 1 < trainer.num_training_batches
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        history: History = pl_module.history
        sums = [epoch["fused"].sum_r for epoch in history]
        self.rows.append(self._row(trainer, history[-1]))
        self._sums, self._steps = {}, 0
        improved = len(sums) == 1 or sums[-1] > sums[self.best]
        if improved:
            self.best = len(sums) - 1
            if trainer.is_global_zero:
                with replacing(self.best_weights) as temporary:
                    torch.save(pl_module.state_dict(), temporary)
        self._save(trainer)
        if trainer.is_global_zero:
            # Only now does no state on disk want the older ones.
            for path in self.folder.glob("best-*.pt"):
                if path != self.best_weights:
                    path.unlink()
            with replacing(self.folder / _METRICS) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, self.rows[0])
                writer.writeheader()
                writer.writerows(self.rows)

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

    def _save(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            with replacing(self.folder / _LAST) as temporary:
                trainer.save_checkpoint(temporary)
        else:
            trainer.save_checkpoint(self.folder / _LAST)  # takes part in collecting the state, writes nothing
        self._saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "rows": self.rows, "sums": self._sums, "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.rows = state_dict["best"], state_dict["rows"]
        self._sums, self._steps = state_dict["sums"], state_dict["steps"]

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = history_to_json(pl_module.history)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        pl_module.history = history_from_json(checkpoint["history"])
