"""The order in which an epoch sees its pairs: a function of the seed and the step, so that a run can go on anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

import lightning as L
import numpy as np
import torch
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[int]]):
    """Batches of `count` pairs in an order drawn again from (seed, epoch).

    Where an iteration begins follows from `trainer.global_step` alone: a resumed trainer goes on with the very batch
    that it would have seen next. Several processes share every batch (each takes its part of `batch_size` pairs), so
    that the batches, and with gathered negatives the objective, do not depend on how many there are.
    A last batch that is not full is left out, unless it is the only one.
    """

    def __init__(self, count: int, batch_size: int, seed: int, trainer: L.Trainer) -> None:
        self.count, self.batch_size, self.seed, self.trainer = count, min(batch_size, count), seed, trainer

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever the iteration begins."""
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch, first = divmod(self.trainer.global_step, len(self))
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        rank, world = self.trainer.global_rank, self.trainer.world_size
        share = self.batch_size // world * world  # equal parts
        for batch in range(first, len(self)):
            rows = order[batch * self.batch_size :][:share]
            yield rows[rank::world].tolist()


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make all randomness of one training step, such as dropout, a function of the seed, the step and the process."""
    value = int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
