"""What a baseline makes of made-up clips and captions, for tests that compare it with loops in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.baselines.baseline import Baseline
from model.baselines.parts.bag_of_words import BagOfWords
from model.mcsan.layers import pad_features
from model.mcsan.text_features import TextFeatures
from tests.model.baselines.made_captions import caption
from tests.model.mcsan.reference import Array, Weights, attention, below, gelu, layer_norm, linear

TEXTS = [caption(5, 2, 1), caption(1, 1, 0, 1), caption(7, 2, 2, 2)]
BAG = BagOfWords([*TEXTS], min_count=1)
EXPERTS = (10, 6, 8)


def clips(width: int = 24) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(n, width, dtype=torch.float64) for n in (1, 4, 9)]


def encoded(model: Baseline, width: int = 24) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Encodings of `clips(width)` and TEXTS, and all scores (videos, texts), in double precision."""
    model = model.double().eval()
    text = model.collate_text(TEXTS)
    floats: dict[str, Any] = {n: x.double() for n, x in text.tensors().items() if x.is_floating_point()}
    with torch.inference_mode():
        video, text_side = model.encode_video(*pad_features(clips(width))), model.encode_text(replace(text, **floats))
        scores = model.scores(video, text_side)
    return _arrays(video), _arrays(text_side), scores.numpy()


def _arrays(side: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: value.numpy() for name, value in side.items()}


def words_of(text: TextFeatures) -> list[Array]:
    return [row.astype(np.float64) for row in text.encoded.words]


def block(w: Weights, xs: list[Array], heads: int) -> list[Array]:
    """One layer of a transformer: attention and perceptron, each with its residual and then the norm."""
    attended = attention(below(w, "self_attn."), xs, heads)
    hidden = [layer_norm(w, "norm1", x + a) for x, a in zip(xs, attended, strict=True)]
    return [layer_norm(w, "norm2", h + linear(w, "linear2", gelu(linear(w, "linear1", h)))) for h in hidden]


@dataclass
class Asked:
    """What an objective asks of a batch: numbers of the videos and of the wordings."""

    owner: Tensor
    wording: Tensor

    @property
    def negatives(self) -> Tensor:
        return self.owner.unsqueeze(1) != self.owner
