"""Work on a device: in half precision and in batches that fit, whatever the device is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BATCH = {"cpu": 16, "cuda": 512}
"""Images in the first batch that is tried, by kind of device. Past 16 a CPU gains nothing."""


def half_precision(device: torch.device) -> torch.autocast:
    """A context in which a GPU computes in bfloat16, or float16 where it has none; a CPU computes as it is asked.

    Weights stay as they are, and what half precision cannot do (softmax, normalisation) is done in float32.
    """
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if not on_gpu or torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast(device.type, dtype=dtype, enabled=on_gpu)


def upload(images: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`; to a GPU through pinned memory, beside what the GPU is computing."""
    if device.type != "cuda":
        return images.to(device)
    return images.pin_memory().to(device, non_blocking=True)


class FittingBatches:
    """Calls a function on parts of a batch, and on smaller ones once the device has no memory for a part.

    The size that fitted is remembered. A device without memory for one row is an error of PyTorch.
    """

    def __init__(self, device: torch.device) -> None:
        self.size = BATCH.get(device.type, 16)

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
