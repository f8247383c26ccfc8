"""HGR: three levels, of which actions and entities are sets of nodes that look for their own frames.

Chen, Zhao, Jin, Wu, "Fine-grained Video-Text Retrieval with Hierarchical Graph Reasoning", CVPR 2020. A text is a graph
of one event node, its verbs and its nouns; one attention layer passes messages along event-verb and verb-noun edges. A
video has one linear embedding per level; its event vector is the attention-pooled first one, the other two stay
sequences of frames. The event level is a cosine. At the other two a node attends over frames by

    phi_j = softmax_j( 4 [s_j]+ / sqrt(sum_j [s_j]+^2) ),   s_j = cos(node, frame j)

and scores sum_j phi_j s_j; the nodes of a level are averaged, the three levels too. Loss: the hardest negative of the
mean.

Where this differs: the release scores a node against the attended mean of the frames (`attn_fusion` "embed", its other
option is the sum above), and its words are learned embeddings. A level without nodes scores 0, as in the release.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Baseline, Encoded, Labels
from model.baselines.parts.sequence import RecurrentStates, attended_mean
from model.baselines.single_vector import DROPOUT, MARGIN, cosine
from model.language.parsed_caption import ROLES
from model.mcsan.config import ModelConfig
from model.mcsan.losses import hinge_loss
from model.mcsan.text_tower import GraphAttention, TextTensors, span_max

DIM, SHARPNESS = 1024, 4.0
NODE_LEVELS = ("action", "entity")


class HGR(Baseline):
    """Encodings of both sides hold `event` (B, d).

    Those of videos also hold the frames of each node level (B, N, d) and their mask; those of texts the nodes (B, K, d)
    and, per node level, which of them belong to it (B, K).
    """

    def __init__(self, feature_dim: int, word_dim: int, dim: int = DIM) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.video = nn.ModuleDict({name: nn.Linear(feature_dim, dim) for name in ("event", *NODE_LEVELS)})
        self.frame_attention = nn.Linear(dim, 1)
        self.words = RecurrentStates(word_dim, dim, bidirectional=True)
        self.word_attention = nn.Linear(dim, 1)
        self.role = nn.Embedding(len(ROLES), dim)
        self.graph = GraphAttention(ModelConfig(embed_dim=dim, attention_dim=dim // 2))

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        frames = {name: self.dropout(embed(features)) for name, embed in self.video.items()}
        event = frames.pop("event")
        event = attended_mean(event, mask, self.frame_attention(event))
        return {"event": event, "mask": mask, **frames}

    def encode_text(self, text: TextTensors) -> Encoded:
        return self.levels(text, self.word_states(text))

    def word_states(self, text: TextTensors) -> Tensor:
        """(B, M, d): the mean of both directions of the GRU."""
        states, _ = self.words(self.dropout(text.words), text.word_mask)
        return torch.stack(states.chunk(2, dim=2)).mean(0)

    def levels(self, text: TextTensors, words: Tensor) -> Encoded:
        """The three levels of texts whose words have the states (B, M, d)."""
        event = attended_mean(words, text.word_mask, self.word_attention(words))
        nodes = span_max(words, text) * self.role(text.role)
        graph = self.graph(torch.cat([event.unsqueeze(1), nodes], 1), _with_event(text))
        return {"event": graph[:, 0], "nodes": graph[:, 1:], "action": text.verb_mask, "entity": text.noun_mask}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        own = [node_scores(video[name], video["mask"], text["nodes"], text[name]) for name in NODE_LEVELS]
        return torch.stack([cosine(video["event"], text["event"]), *own]).mean(0)

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        return {"rank": hinge_loss(self.scores(video, text), batch.negatives, MARGIN, hardest=True)}


def node_scores(frames: Tensor, frame_mask: Tensor, nodes: Tensor, node_mask: Tensor) -> Tensor:
    """Mean over a text's nodes of their attended similarity to a video's frames: (B_v, B_t), 0 without nodes.

    frames (B_v, N, d), frame_mask (B_v, N); nodes (B_t, K, d), node_mask (B_t, K) bool.
    """
    owner = node_mask.nonzero()[:, 0]  # (P,): the text of each of the P real nodes
    queries = fn.normalize(nodes[node_mask], dim=1)
    similar = fn.normalize(frames, dim=2) @ queries.T  # (B_v, N, P)
    hidden = ~frame_mask.unsqueeze(2)
    positive = similar.clamp(min=0).masked_fill(hidden, 0)
    phi = (SHARPNESS * fn.normalize(positive, dim=1)).masked_fill(hidden, -torch.inf).softmax(1)
    attended = (phi * similar).sum(1)  # (B_v, P)
    total = attended.new_zeros(len(frames), len(nodes)).index_add(1, owner, attended)
    return total / node_mask.sum(1).clamp(min=1)


def _with_event(text: TextTensors) -> Tensor:
    """Edges (B, 1 + K, 1 + K) of the graph with the event node in front, joined to every verb and to itself."""
    verbs = fn.pad(text.verb_mask, (1, 0), value=True)
    edges = fn.pad(text.adjacency, (1, 0, 1, 0))
    edges[:, 0] = verbs
    edges[:, :, 0] = verbs
    return edges
