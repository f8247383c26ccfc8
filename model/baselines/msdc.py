"""MSDC: blocks of convolutions of several reaches, stacked, over frames and over words.

Zhao, Zheng, Zha, "Stacked Convolutional Deep Encoding Network for Video-Text Retrieval", ICME 2020. A block looks at
its neighbourhood with kernels of several sizes, each at several dilations; blocks are stacked so that the reach grows:

    z_{k,r} = ReLU(conv_{k,r}(x))          k the size of the kernel, r its dilation, as many places as x has
    x'      = LayerNorm(x + P [z_{k,r}]_{k,r} + p)

After a linear layer and the blocks, a video is [mean_t x_t ; max_t x_t], a text the same of its words, each with a
batch-normalised linear layer into the common space, as in Dual Encoding. The score is the cosine; the loss is the
hardest negative, both ways, m = 0.2.

Where this differs: we could look up the paper's idea, not its sizes. Kernels of 3 and 5 places, dilations of 1, 2 and
3, two blocks, the widths, the residual with its norm and the pooling are ours. Words are given vectors of a frozen
transformer, where the paper fine-tunes one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded
from model.baselines.dual_encoding import common_space
from model.baselines.single_vector import VectorModel
from model.mcsan.layers import masked_max, masked_mean
from model.mcsan.text_tower import TextTensors

DIM, HIDDEN, FILTERS, BLOCKS = 1024, 512, 128, 2
REACHES = tuple((kernel, dilation) for kernel in (3, 5) for dilation in (1, 2, 3))


class DilatedBlock(nn.Module):
    """(B, N, d) with zeros at padding and mask (B, N) -> the same shape, zeros at padding."""

    def __init__(self, dim: int, filters: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(dim, filters, kernel, padding="same", dilation=dilation) for kernel, dilation in REACHES
        )
        self.join = nn.Linear(len(REACHES) * filters, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        rows = x.transpose(1, 2)
        seen = torch.cat([fn.relu(convolution(rows)) for convolution in self.convolutions], 1).transpose(1, 2)
        return self.norm(x + self.join(seen)) * mask.unsqueeze(2)


class StackedBlocks(nn.Module):
    """(B, N, d_in) and mask (B, N) -> mean and maximum after all blocks, side by side: (B, 2 d)."""

    def __init__(self, in_dim: int, dim: int, filters: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_dim, dim)
        self.blocks = nn.ModuleList(DilatedBlock(dim, filters) for _ in range(BLOCKS))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.project(x) * mask.unsqueeze(2)
        for block in self.blocks:
            x = block(x, mask)
        return torch.cat([masked_mean(x, mask), masked_max(x, mask)], 1)


class MSDC(VectorModel):
    def __init__(
        self, feature_dim: int, word_dim: int, dim: int = DIM, hidden: int = HIDDEN, filters: int = FILTERS
    ) -> None:
        widths = {"dim": dim, "hidden": hidden, "filters": filters}
        super().__init__(hardest=True, made_with={"feature_dim": feature_dim, "word_dim": word_dim, **widths})
        self.video = StackedBlocks(feature_dim, hidden, filters)
        self.text = StackedBlocks(word_dim, hidden, filters)
        self.video_space, self.text_space = common_space(2 * hidden, dim), common_space(2 * hidden, dim)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": self.video_space(self.video(features, mask))}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": self.text_space(self.text(text.words, text.word_mask))}
