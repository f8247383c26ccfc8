"""What a two-tower model is to the rest, whichever library reads its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class LoadedNetwork(Protocol):
    """A network of two towers, and how its frames and texts are prepared.

    net           all weights; moving it to a device moves both towers
    class_name    for messages
    text_modules  the names of the children of `net` that read texts
    tokenizer     the tokenizer of transformers; None for one of another library, which does not tell where tokens are
    padding_id    the token that fills texts up to one length
    max_tokens    tokens of the longest text that it reads
    pads_fully    whether every text is filled up to `max_tokens`, as in training
    clip_frames   frames of one video that the network sees at a time; None where it sees single pictures
    centre        the cosine at which a picture and a text are as likely to belong together as not
    version       of the library that reads it
    of_tensors    whether `see` and `read` depend on nothing but the tensors that they are given
    """

    net: nn.Module
    class_name: str
    text_modules: tuple[str, ...]
    tokenizer: Any
    padding_id: int
    max_tokens: int
    pads_fully: bool
    clip_frames: int | None
    centre: float
    version: str
    of_tensors: bool

    def prepare(self, images: Tensor) -> dict[str, Tensor]:
        """Frames (T, 3, H, W) uint8 as input, on their device: tensors whose first dimension is T."""
        ...

    def see(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Vectors (N, d), of any length, of N pictures, or of N clips where `clip_frames` is set: then inputs are
        (N, clip_frames, ...)."""
        ...

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The text tower's input for texts: tensors (N, L) by name."""
        ...

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Vectors (N, d), of any length, and states (N, L, _) of the tokens behind them, on the device of `tokens`."""
        ...

    def project(self, states: Tensor) -> Tensor | None:
        """Token states (N, L, _) in the common space (N, L, d); None where the network has no way there."""
        ...


CLIP_CENTRE = 0.25
"""Between a CLIP model's cosines of unrelated (0.1 to 0.2) and of matching pictures and captions (0.3 and more).

LAION kept pairs above 0.28 or 0.3 (Schuhmann et al. 2021, 2022). It moves scores, hardly their order.
"""

_CLIP_TEMPERATURE = 0.01
"""The temperature that CLIP has learned (its upper limit: a scale of 100)."""


def centre_of(scale: float | None, bias: float | None = None) -> float:
    """The cosine of an even chance, from what a model has learned to make logits of cosines: scale * cosine + bias.

    With a bias (SigLIP) it is where the logit is 0. Without one (CLIP) nothing says where it is, only how far apart
    cosines are: a model with a larger scale than CLIP's spreads them less, so its centre is nearer to 0.
    """
    if scale is not None and scale > 0:
        return -bias / scale if bias is not None else CLIP_CENTRE * min(1.0, 1 / scale / _CLIP_TEMPERATURE)
    return CLIP_CENTRE
