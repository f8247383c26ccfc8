"""CLIP4Clip: frames of a two-tower model become one vector, by their mean or after an LSTM or a transformer over them.

Luo, Ji, Zhong, Chen, Lei, Duan, Li, "CLIP4Clip: An Empirical Study of CLIP for End to End Video Clip Retrieval",
Neurocomputing 2022, after its release (https://github.com/ArrowLuo/CLIP4Clip). With frames f_t and the sentence s in
the space of the model:

    mean         z_t = f_t
    lstm         z_t = f_t + LSTM(f)_t
    transformer  z_t = f_t + Transformer(f + P)_t,   P_t learned, 4 layers
    score        cos(s, mean_t z_t / |z_t|)

and the loss is the symmetric cross entropy over the batch of the score times a learned scale.

Where this differs: the towers are frozen, where the paper trains them, so "mean" is zero-shot search and learns its
scale alone; the layers of the transformer start at random instead of as those of CLIP's text tower; pairs of one video
and equal captions are not negatives.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.baselines.baseline import Encoded, Labels
from model.baselines.parts.sequence import transformer
from model.baselines.single_vector import VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.losses import info_nce
from model.mcsan.text_tower import TextTensors
from quartet.errors import InputError

LAYERS, HEAD_WIDTH, PLACES = 4, 64, 77
TEMPERATURE = 0.01
"""Where CLIP's own ends: its scale is 100."""

Frames = Literal["mean", "lstm", "transformer"]


class CLIP4Clip(VectorModel):
    """Raises InputError where frames and sentences are not in one space."""

    def __init__(self, feature_dim: int, sentence_dim: int, frames: Frames, **made_with: Any) -> None:
        given = {"feature_dim": feature_dim, "sentence_dim": sentence_dim, "frames": frames}
        super().__init__(hardest=False, made_with=given | made_with)
        if feature_dim != sentence_dim:
            raise InputError(
                "CLIP4Clip and TeachCLIP need frames and captions in the space of one two-tower model; these have "
                f"{feature_dim} and {sentence_dim} dimensions. Make features with: quartet features VIDEOS --model NAME"
            )
        self.frames = frames
        self.log_temperature = nn.Parameter(torch.tensor(math.log(TEMPERATURE)))
        if frames == "lstm":
            self.over_time: nn.Module = nn.LSTM(feature_dim, feature_dim, batch_first=True)
        elif frames == "transformer":
            self.place = nn.Embedding(PLACES, feature_dim)
            self.over_time = transformer(feature_dim, LAYERS, max(1, feature_dim // HEAD_WIDTH))

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["feature_dim"]}

    def frame_states(self, features: Tensor, mask: Tensor) -> Tensor:
        """(B, N, d): z_t, of any length."""
        if self.frames == "mean":
            return features
        if self.frames == "lstm":
            lengths = mask.sum(1).cpu()
            packed = pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.over_time(packed)[0], True, total_length=features.shape[1])
            return features + states
        places = torch.arange(features.shape[1], device=features.device).clamp(max=PLACES - 1)
        return features + self.over_time(features + self.place(places), src_key_padding_mask=~mask)

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": masked_mean(fn.normalize(self.frame_states(features, mask), dim=2), mask)}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": text.sentence}

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        temperature = self.log_temperature.exp().clamp(0.005, 1.0)
        return {"rank": info_nce(self.scores(video, text), batch.negatives, temperature)}
