"""TCE: a query becomes a tree of its words, joined in the order of their scores; all nodes count.

Yang, Dong, Cao, Wang, Wang, Chua, "Tree-Augmented Cross-Modal Encoding for Complex-Query Video Retrieval", SIGIR 2020.
Leaves are made of the states s_t of a recurrent network over the words. Two neighbours l and r have a parent,

    leaf    [h ; c] = V s_t + v
    parent  [i, f, f', o, g] = W [h_l ; h_r] + b
            c = sig(f + 1) c_l + sig(f' + 1) c_r + sig(i) tanh(g),   h = sig(o) tanh(c)

and of all pairs of neighbours the one whose parent has the highest score <q, h> is replaced by its parent, until one
node is left (Choi, Yoo, Lee, "Learning to Compose Task-Specific Tree Structures", AAAI 2018). In training, Gumbel noise
on the scores draws the pair, and the gradient is that of the softmax. Text and video are attended means,

    sum_j a_j x_j,   a = softmax_j(w . tanh(U x_j + u))

of the 2 M - 1 nodes, and of frames after a GRU and one block of self-attention. Each has a linear layer into the common
space. The score is the cosine; the loss is the hardest negative, both ways, m = 0.2.

Where this differs: the paper scores a node with the help of a memory, whose equations could not be looked up; here it
has the score of Choi et al. Widths are ours, the recurrent network is a GRU, and words are given vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded
from model.baselines.parts.sequence import AttendedMean, RecurrentStates, transformer
from model.baselines.single_vector import DROPOUT, VectorModel
from model.mcsan.text_tower import TextTensors

DIM, HIDDEN, HEADS = 1024, 512, 8


class LatentTree(nn.Module):
    """Words (B, M, d_in) and mask (B, M) -> the nodes of their trees (B, 2 M - 1, d), leaves first, and their mask."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.words = RecurrentStates(in_dim, dim, bidirectional=False)
        self.leaf = nn.Linear(dim, 2 * dim)
        self.join = nn.Linear(2 * dim, 5 * dim)
        self.worth = nn.Linear(dim, 1, bias=False)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        h, c = self.leaf(self.words(words, mask)[0]).chunk(2, 2)
        nodes, real = [h], [mask]
        left = mask.sum(1)  # (B,): how many nodes are not joined yet
        for _ in range(words.shape[1] - 1):
            joined, cells = self.parents(h, c)  # (B, L - 1, d)
            possible = torch.arange(1, h.shape[1], device=h.device) < left.unsqueeze(1)
            own = self.choose(self.worth(joined).squeeze(2), possible).unsqueeze(2)
            grows = left > 1
            nodes.append((own * joined).sum(1, keepdim=True))
            real.append(grows.unsqueeze(1))
            # Before the chosen pair nodes stay where they are, behind it they move up by one.
            after = own.cumsum(1) - own
            before = 1 - after - own
            still = ~grows.view(-1, 1, 1)
            h = torch.where(still, h[:, :-1], before * h[:, :-1] + own * joined + after * h[:, 1:])
            c = torch.where(still, c[:, :-1], before * c[:, :-1] + own * cells + after * c[:, 1:])
            left = left - grows.long()
        return torch.cat(nodes, 1), torch.cat(real, 1)

    def parents(self, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """States and cells (B, L - 1, d) of the parents of every two neighbours among nodes (B, L, d)."""
        i, left, right, o, g = self.join(torch.cat([h[:, :-1], h[:, 1:]], 2)).chunk(5, 2)
        cells = (left + 1).sigmoid() * c[:, :-1] + (right + 1).sigmoid() * c[:, 1:] + i.sigmoid() * g.tanh()
        return o.sigmoid() * cells.tanh(), cells

    def choose(self, scores: Tensor, possible: Tensor) -> Tensor:
        """One of the possible places of each row (B, L) as 1 among zeros; the first of a row without any."""
        scores = scores.float().masked_fill(~possible, torch.finfo(torch.float32).min)
        if self.training:
            return fn.gumbel_softmax(scores, hard=True)
        return fn.one_hot(scores.argmax(1), scores.shape[1]).to(scores.dtype)


class AttentiveVideo(nn.Module):
    """Frames (B, N, d_in) and mask (B, N) -> (B, d): a GRU, a block of self-attention and an attended mean."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.frames = RecurrentStates(in_dim, dim, bidirectional=False)
        self.block = transformer(dim, 1, HEADS)
        self.pool = AttendedMean(dim)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        states, _ = self.frames(features, mask)
        return self.pool(self.block(states, src_key_padding_mask=~mask), mask)


class TCE(VectorModel):
    def __init__(self, feature_dim: int, word_dim: int, dim: int = DIM, hidden: int = HIDDEN) -> None:
        given = {"feature_dim": feature_dim, "word_dim": word_dim, "dim": dim, "hidden": hidden}
        super().__init__(hardest=True, made_with=given)
        self.video = AttentiveVideo(feature_dim, hidden)
        self.tree, self.pool = LatentTree(word_dim, hidden), AttendedMean(hidden)
        self.video_space, self.text_space = (nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(hidden, dim)) for _ in "vt")

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": self.video_space(self.video(features, mask))}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": self.text_space(self.pool(*self.tree(text.words, text.word_mask)))}
