"""The training loop: a Lightning trainer that can be killed, with its logs, for any module of this project."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from model.mcsan.config import TrainConfig
from model.precision import usable_precision
from model.training.data.batches import Pairs
from model.training.data.epoch_sampler import EpochBatches
from model.training.loop.checkpoint_callback import SAVE_EVERY, KeepState
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.progress_callback import ShowProgress


def precision(config: TrainConfig) -> Literal["bf16-mixed", "32-true"]:
    """What Lightning calls the precision of `config`: never bfloat16 where it would be emulated."""
    if torch.cuda.device_count():
        mixed = config.precision != "float32" and torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        mixed = config.precision == "bf16" and usable_precision("bf16") == "bf16"
    return "bf16-mixed" if mixed else "32-true"


def train_module(
    module: MatcherModule,
    pairs: Pairs,
    config: TrainConfig,
    folder: Path,
    seed: int,
    progress: bool = True,
    resume: bool = False,
    save_every: float = SAVE_EVERY,
) -> None:
    """Train `module`; it ends on the CPU with the weights of the epoch that `config.keep` names.

    `folder` receives metrics.csv, TensorBoard's events and the state to go on from (resume.py). With `resume` a state
    in it is gone on from, and the result is that of a run that nobody stopped; without, it is thrown away.
    Uses every GPU there is, with bfloat16 where it has it. Of several processes the first one ends with the weights.
    """
    # Lightning's start-up lines repeat what the caller has said.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    keep = KeepState(folder, seed, save_every, config.keep)
    if keep.last is not None and not resume:
        keep.last.unlink()
    gpus = torch.cuda.device_count()
    trainer = L.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=gpus or 1,
        # Ablations leave some heads without a gradient.
        strategy="ddp_find_unused_parameters_true" if gpus > 1 else "auto",
        precision=precision(config),
        use_distributed_sampler=False,
        max_epochs=config.epochs,
        default_root_dir=folder,
        logger=TensorBoardLogger(folder, name="", version=""),
        callbacks=[keep, ShowProgress(keep, quiet=not progress)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    batches = EpochBatches(len(pairs), config.batch_size, seed, trainer)
    loader = DataLoader(pairs, batch_sampler=batches, collate_fn=pairs.collate)
    with warnings.catch_warnings():
        # Lightning's advice on workers, folders and intervals is for other set-ups than data in memory.
        warnings.filterwarnings("ignore", module=r"lightning\b")
        trainer.fit(module, loader, ckpt_path=keep.last, weights_only=True)
    module.cpu()
    if trainer.is_global_zero:
        module.load_state_dict(torch.load(keep.best_weights, map_location="cpu", weights_only=True))
