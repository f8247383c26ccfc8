"""Work on a device: in half precision and in batches that fit, whatever the device is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from model.encoder import Frames
from model.levels import Vectors
from quartet.errors import ModelError

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
    """`encode` of clips in one call on a GPU, in smaller ones where its memory runs out, and one by one on a CPU.

    The last digits of a matrix product depend on how many rows it has. A CPU gains little by larger batches, and apart
    a clip has the same vectors, bit for bit, whatever else is encoded and wherever: libraries can be compared.
    Raises ModelError if a GPU has no memory for one clip.
    """
    if device.startswith("cpu"):
        return _concatenate([encode([frames]) for frames in clips])
    try:
        return encode(clips)
    except torch.OutOfMemoryError as error:
        if len(clips) == 1:
            raise ModelError(
                f"{device} has too little free memory for one clip of {len(clips[0])} frames of "
                f"{clips[0].shape[2]}x{clips[0].shape[1]} pixels. Stop other programs that use it, or choose "
                "the device cpu."
            ) from error
    # Only now has what failed let go of its memory.
    torch.cuda.empty_cache()
    half = len(clips) // 2
    return _concatenate([in_one_batch_or_apart(encode, part, device) for part in (clips[:half], clips[half:])])


def _concatenate(parts: Sequence[Vectors]) -> Vectors:
    return {level: np.concatenate([part[level] for part in parts]) for level in parts[0]}


def upload(images: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`; to a GPU through pinned memory, without waiting for what that is computing."""
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
                start += len(part)
                continue
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
            # Only now has what failed let go of its memory.
            torch.cuda.empty_cache()
            self.size = len(part) // 2
        return torch.cat(done)
