"""MMT: one transformer over the frames of all experts.

Gabeur, Sun, Alahari, Schmid, "Multi-modal Transformer for Video Retrieval", ECCV 2020. Expert n gives one summary, the
maximum over its frames, and its frames; all of them are projected to one width and told whose and when they are:

    x = P_n F + E_n + T,   T = T_agg for a summary, T_k for frame k

psi_n is what four layers of a transformer make of the summary of n, at length 1. A text is one vector; scores and
weights are those of `gated_embedding.py`, the loss is the sum of hinges with a margin of 0.05.

Where this differs: the sentence vector is given and frozen, where the paper trains BERT; frames are counted, not timed
in seconds; gated embeddings have no batch normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded
from model.baselines.experts.gated_embedding import ExpertModel, ExpertText
from model.baselines.parts.sequence import transformer
from model.mcsan.layers import masked_max
from model.mcsan.text_tower import TextTensors

DIM, LAYERS, HEADS = 512, 4, 4
FRAMES = 64
"""Frames past this one share its T_k."""


class MultiModalTransformer(ExpertModel):
    margin: ClassVar[float] = 0.05

    def __init__(self, experts: Sequence[int], sentence_dim: int, dim: int = DIM) -> None:
        super().__init__(experts, dim, sentence_dim=sentence_dim)
        self.project = nn.ModuleList(nn.Linear(width, dim) for width in experts)
        self.expert = nn.Embedding(len(experts), dim)
        self.time = nn.Embedding(1 + FRAMES, dim)  # row 0 is T_agg
        self.layers = transformer(dim, LAYERS, HEADS)
        self.text = ExpertText(sentence_dim, len(experts), dim)

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        frames = features.shape[1]
        places = torch.arange(1 + frames, device=features.device).clamp(max=FRAMES)
        tokens = []
        for number, (project, own) in enumerate(zip(self.project, features.split(self.experts, 2), strict=True)):
            rows = torch.cat([masked_max(own, mask).unsqueeze(1), own], 1)
            tokens.append(project(rows) + self.expert.weight[number] + self.time(places))
        real = fn.pad(mask, (1, 0), value=True).repeat(1, len(tokens))
        states = self.layers(torch.cat(tokens, 1), src_key_padding_mask=~real)
        summaries = states[:, :: 1 + frames]
        return {"vector": fn.normalize(summaries, dim=2).flatten(1)}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": self.text(text.sentence).flatten(1)}
