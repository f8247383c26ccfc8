"""Work on a device: in half precision and in batches that fit, whatever the device is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from model.encoder import Frames
from model.levels import Vectors

BATCH = {"cpu": 64, "cuda": 512}
"""Images in the first batch that is tried, by kind of device."""


def in_half_precision(
    function: Callable[[Tensor], Tensor], device: torch.device, half: bool | None = None
) -> Callable[[Tensor], Tensor]:
    """`function` computed in float16 on a GPU (or as `half` says), with float32 results.

    float16 is a hundred times closer to float32 than bfloat16 is, but overflows past 65504: a result that is not
    finite is computed again in float32. Weights stay as they are, and softmax and normalisation are in float32.
    """
    if not (device.type == "cuda" if half is None else half):
        return function

    def call(rows: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=torch.float16):
            result = function(rows).float()
        return result if bool(result.isfinite().all()) else function(rows)

    return call


def in_one_batch_or_apart(
    encode: Callable[[Sequence[Frames]], Vectors], clips: Sequence[Frames], device: str
) -> Vectors:
    """`encode` of clips in one call on a GPU, and of one clip after the other on a CPU.

    The last digits of a matrix product depend on how many rows it has. A CPU gains little by larger batches, and apart
    a clip has the same vectors, bit for bit, whatever else is encoded and wherever: libraries can be compared.
    """
    if not device.startswith("cpu"):
        return encode(clips)
    alone = [encode([frames]) for frames in clips]
    return {level: np.concatenate([each[level] for each in alone]) for level in alone[0]}


def upload(images: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`; to a GPU through pinned memory, beside what the GPU is computing."""
    if device.type != "cuda":
        return images.to(device)
    return images.pin_memory().to(device, non_blocking=True)


class FittingBatches:
    """Calls a function on parts of a batch, and on smaller ones once the device has no memory for a part.

    The size that fitted is remembered. A device without memory for one row is an error of PyTorch.
    """

    def __init__(self, device: torch.device, size: int | None = None) -> None:
        self.device = device
        self.size = size or BATCH.get(device.type, BATCH["cpu"])

    def __call__(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """`function` of rows (N, ...) -> (N, d), computed in parts. N >= 1."""
        done: list[Tensor] = []
        start = 0
        while start < len(rows):
            part = rows[start : start + self.size]
            try:
                done.append(function(part))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.size = len(part) // 2
                torch.cuda.empty_cache()
                continue
            start += len(part)
        return torch.cat(done)
