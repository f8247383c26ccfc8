"""The text side of MCSAN: words, their graph and the sentence vector -> four vectors. Equations (1) to (6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.cuda_graphs import GraphedFunction, RecordedGraph
from model.language.parsed_caption import ROLES
from model.language.word_vectors import WordEmbedding
from model.levels import LEVEL_NAMES
from model.mcsan.config import ModelConfig
from model.mcsan.layers import Centre, ContextWords, Dropout, RelationEncoder, at_real, masked_mean, unit
from model.mcsan.ordered_pairs import TextPairs


@dataclass
class TextTensors:
    """B captions, padded to M words, K nodes and S words per node.

    sentence (B, d_s)            words (B, M, d_w)       word_mask (B, M)
    spans (B, K, S) word positions                       span_mask (B, K, S)
    role (B, K) index into ROLES, verbs are role 0       node_mask (B, K)
    adjacency (B, K, K): j sends to i; nodes send to themselves
    tokens    the words themselves, for a tower with an embedding of its own
    """

    sentence: Tensor
    words: Tensor
    word_mask: Tensor
    spans: Tensor
    span_mask: Tensor
    role: Tensor
    node_mask: Tensor
    adjacency: Tensor
    tokens: tuple[tuple[str, ...], ...] = field(kw_only=True)

    def tensors(self) -> dict[str, Tensor]:
        """All but the words themselves, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def to(self, device: torch.device | str) -> Self:
        moved: dict[str, Any] = {name: value.to(device) for name, value in self.tensors().items()}
        return replace(self, **moved)

    @property
    def noun_mask(self) -> Tensor:
        return self.node_mask & (self.role != 0)

    @property
    def verb_mask(self) -> Tensor:
        return self.node_mask & (self.role == 0)

    @property
    def edges(self) -> Tensor:
        """From each verb to its nouns, (B, K, K)."""
        return self.adjacency & self.verb_mask.unsqueeze(2) & self.noun_mask.unsqueeze(1)

    def present(self) -> dict[str, Tensor]:
        """Which levels each caption has, (B,) bool per level."""
        some = self.word_mask.any(1)
        return {
            "global": torch.ones_like(some),
            "entity": self.noun_mask.any(1),
            "action": self.verb_mask.any(1),
            "relation": some,
        }


def span_max(words: Tensor, text: TextTensors) -> Tensor:
    """Maximum of word states (B, M, d) over the span of each node: (B, K, d), zeros for padding nodes."""
    b, k, s = text.spans.shape
    picked = words.gather(1, text.spans.view(b, k * s, 1).expand(-1, -1, words.shape[2])).view(b, k, s, -1)
    spans = picked.masked_fill(~text.span_mask.unsqueeze(-1), -torch.inf).amax(2)
    return torch.where(text.node_mask.unsqueeze(-1), spans, torch.zeros_like(spans))


class GraphAttention(nn.Module):
    """One relational graph layer over the verb-argument edges: attention, residual, LayerNorm (HANet, section 3.2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.embed_dim
        self.query = nn.Linear(d, config.attention_dim)
        self.key = nn.Linear(d, config.attention_dim)
        self.value = nn.Linear(d, d, bias=False)
        self.dropout = Dropout(config.node_dropout)
        self.norm = nn.LayerNorm(d)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        scores = self.query(nodes) @ self.key(nodes).transpose(1, 2) / self.key.out_features**0.5  # (B, K, K)
        # Padding nodes have no edge at all: a finite floor keeps their softmax defined, their rows are masked later.
        attention = scores.masked_fill(~adjacency, torch.finfo(scores.dtype).min).softmax(-1)
        return self.norm(nodes + self.dropout(attention @ self.value(nodes)))


class TextTower(nn.Module):
    """`TextTensors` -> {level: (B, d_l)}, not normalised; an absent level is a row of zeros.

    `vocabulary` are the words of the embedding that `config.words == "glove"` asks for.
    """

    def __init__(self, config: ModelConfig, vocabulary: Sequence[str] = ()) -> None:
        super().__init__()
        self.embedding = WordEmbedding(vocabulary, config.word_dim) if config.words == "glove" else None
        self.config = config
        d = config.embed_dim
        self.sentence = nn.Linear(config.sentence_dim, config.sentence_dim) if config.text_global_fc else nn.Identity()
        if isinstance(self.sentence, nn.Linear):
            nn.init.eye_(self.sentence.weight)
            nn.init.zeros_(self.sentence.bias)
        self.pairs = TextPairs(config) if config.has_pairs else None
        self.centre = Centre(config.widths) if config.centred else None
        if config.alike:
            self.heads = nn.ModuleDict({name: nn.Linear(config.sentence_dim, d) for name in LEVEL_NAMES[1:]})
            return
        recurrent = config.node_words == "gru"
        self.word = ContextWords(config.word_dim, d) if recurrent else nn.Linear(config.word_dim, d)
        self.role = nn.Embedding(len(ROLES), d)
        nn.init.ones_(self.role.weight)
        self.graph = GraphAttention(config)
        self.project = nn.ModuleDict(
            {name: nn.Linear(d, d) if config.projection else nn.Identity() for name in ("entity", "action")}
        )
        if config.relation_level:
            self.relation = RelationEncoder(config.word_dim, config.whole_dim, config.heads, config.dropout)

    def forward(self, text: TextTensors) -> dict[str, Tensor]:
        vectors = self._levels(text)
        if self.centre is not None and not self.training:
            vectors = self.centre(vectors)
        if self.config.alike:
            return vectors
        present = text.present()
        return {name: v * present[name].unsqueeze(1) for name, v in vectors.items()}

    def _levels(self, text: TextTensors) -> dict[str, Tensor]:
        """Of captions that have every level; what it says of an absent one means nothing."""
        if self.config.alike:
            return {"global": self.sentence(text.sentence)} | {n: h(text.sentence) for n, h in self.heads.items()}
        if self.embedding is not None:
            text = replace(text, words=self.embedding(text.tokens, text.word_mask))
        nodes = self.graph(self._nodes(text), text.adjacency)
        return {
            "global": self.sentence(text.sentence),
            "entity": self.project["entity"](masked_mean(nodes, text.noun_mask)),
            "action": self.project["action"](masked_mean(nodes, text.verb_mask)),
            "relation": self._relation(text),
        }

    def _relation(self, text: TextTensors) -> Tensor:
        """(B, d); zeros where the level is switched off."""
        if not self.config.relation_level:
            return text.words.new_zeros(text.words.shape[0], self.config.embed_dim)
        whole = self.relation(text.words, text.word_mask)
        if self.pairs is None:
            return whole
        pairs = self.pairs(span_max(text.words, text), text.role, text.edges)
        return torch.cat([fn.normalize(whole, dim=-1), pairs], dim=-1)

    def _nodes(self, text: TextTensors) -> Tensor:
        """Max over the words of each node's span, times the embedding of its role: (B, K, d)."""
        if isinstance(self.word, ContextWords):
            words = self.word(text.words, text.word_mask)
        else:
            words = at_real(self.word, text.words, text.word_mask)
        return span_max(words, text) * self.role(text.role)


class TensorTower(nn.Module):
    """A tower without words of its own, from `TextTensors.tensors` in their order to (B, d_l) of length 1 or 0 for each
    level: what `model.cpu_backend` can read."""

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        # OpenVINO follows the names of modules, and takes the tower's `graph` for that of TorchScript.
        self.parts = nn.ModuleList(tower.children())
        self._tower = (tower,)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        vectors = unit(self._tower[0](TextTensors(*tensors, tokens=())))
        return tuple(vectors[name] for name in LEVEL_NAMES)


GRAPH_INPUTS = {
    "sentence": "Bc", "words": "BMd", "word_mask": "BM", "spans": "BKS", "span_mask": "BKS", "role": "BK",
    "node_mask": "BK", "adjacency": "BKK",
}  # fmt: skip
"""Dimensions of `TextTensors.tensors`, as `GraphedFunction` takes them."""


def with_cuda_graphs(tower: TextTower, recorder: Callable[..., RecordedGraph] | None = None) -> GraphedFunction:
    """A tower without words of its own, by CUDA graphs: `TextTensors.tensors` to (B, d_l) for each level."""

    def levels(text: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        vectors = tower(TextTensors(**text, tokens=()))
        return tuple(vectors[name] for name in LEVEL_NAMES)

    largest = {"B": 64, "M": 64, "K": 32, "S": 16}
    return GraphedFunction(levels, GRAPH_INPUTS, ("Bg",) + 3 * ("Bl",), largest, recorder=recorder)
