"""HiT: the first and the last layers of two transformers are compared, with momentum contrast across the sides.

Liu, Fan, Qian, Chen, Ding, Wang, "HiT: Hierarchical Transformer with Momentum Contrast for Video-Text Retrieval", ICCV
2021. Either side is a transformer over frames, or words, x_t + T_t. The mean of what its first layer makes of them is
the feature level, the mean of what its last makes the semantic level; each has a projection, at length 1. A pair scores
the mean of the two cosines. At each level a video is to find its text among keys of texts, and a text its video,

    -log exp(q . k+ / tau) / (exp(q . k+ / tau) + sum over the queue of exp(q . k / tau))

where keys come from slow copies of the encoders (`parts/momentum.py`): four queues in all.

Where this differs: all features files are read as one (the paper has three experts, and BERT for the text); words are
given vectors; the queue holds the keys of the present batch, too; keys of the same video or wording are not negatives;
four layers, momentum 0.995, tau 0.07 and queues of 1,024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded, Labels
from model.baselines.parts.momentum import KeyQueue, SlowCopy, momentum_contrast
from model.baselines.parts.sequence import transformer
from model.baselines.single_vector import VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.text_tower import TextTensors

DIM, LAYERS, HEADS = 512, 4, 8
PLACES = 64
"""Frames, or words, past this one share its T_t."""
LEVELS = ("feature", "semantic")


class TwoLayers(nn.Module):
    """(B, N, d_in) and mask (B, N) -> the feature level and the semantic level, (B, d) each, of length 1."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_dim, dim)
        self.time = nn.Embedding(PLACES, dim)
        self.layers = transformer(dim, LAYERS, HEADS).layers
        self.heads = nn.ModuleDict({level: nn.Linear(dim, dim) for level in LEVELS})

    def forward(self, x: Tensor, mask: Tensor) -> Encoded:
        places = torch.arange(x.shape[1], device=x.device).clamp(max=PLACES - 1)
        # A row without elements attends to its first place: nothing may be divided by zero.
        shown = mask.clone()
        shown[:, 0] = True
        states = self.project(x) + self.time(places)
        found = {}
        for number, layer in enumerate(self.layers, 1):
            states = layer(states, src_key_padding_mask=~shown)
            if number == 1:
                found["feature"] = masked_mean(states, mask)
        found["semantic"] = masked_mean(states, mask)
        return {level: fn.normalize(head(found[level]), dim=1) for level, head in self.heads.items()}


class HiT(VectorModel):
    """`learns` gives it slow copies and queues, which it needs for training alone."""

    levels: ClassVar[Mapping[str, tuple[str, float]]] = {level: (level, 0.5) for level in LEVELS}

    def __init__(self, feature_dim: int, word_dim: int, dim: int = DIM, learns: bool = True) -> None:
        super().__init__(hardest=False, made_with={"feature_dim": feature_dim, "word_dim": word_dim, "dim": dim})
        self.video, self.text = TwoLayers(feature_dim, dim), TwoLayers(word_dim, dim)
        if learns:
            self.slow_video, self.slow_text = SlowCopy(self.video), SlowCopy(self.text)
            self.queue = KeyQueue(LEVELS, dim)
        else:
            self.made_with["learns"] = False

    def trained(self) -> Self:
        kept = type(self)(**self.made_with | {"learns": False})
        needed = kept.state_dict().keys()
        kept.load_state_dict({name: value for name, value in self.state_dict().items() if name in needed})
        return kept

    def widths(self) -> dict[str, int]:
        return dict.fromkeys(LEVELS, self.made_with["dim"])

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return self._encode(self.video, self.slow_video if self.training else None, features, mask)

    def encode_text(self, text: TextTensors) -> Encoded:
        return self._encode(self.text, self.slow_text if self.training else None, text.words, text.word_mask)

    def _encode(self, encoder: nn.Module, slow: SlowCopy | None, x: Tensor, mask: Tensor) -> Encoded:
        found: Encoded = encoder(x, mask)
        if slow is None:
            return found
        slow.follow(encoder)
        with torch.no_grad():
            keys = slow.encoder(x, mask)
        return found | {f"{level} key": keys[level] for level in LEVELS}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return torch.stack([video[level] @ text[level].T for level in LEVELS]).mean(0)

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        self.queue.add(_keys(video), _keys(text), batch)
        negatives = self.queue.negatives(batch)
        terms = {}
        for level in LEVELS:
            to_text = momentum_contrast(video[level], text[f"{level} key"], self.queue.keys("text", level), negatives)
            to_video = momentum_contrast(text[level], video[f"{level} key"], self.queue.keys("video", level), negatives)
            terms[level] = to_text + to_video
        return terms


def _keys(side: Encoded) -> Encoded:
    return {level: side[f"{level} key"] for level in LEVELS}
