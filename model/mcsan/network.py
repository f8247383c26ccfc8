"""MCSAN: two towers, the holographic head, shared concept heads and the fused score.

Nian et al., "Multi-Level Cross-Modal Semantic Alignment Network for Video-Text Retrieval", Mathematics 2022, 10, 3346.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.holographic_head import HolographicHead
from model.levels import LEVEL_NAMES, LevelSpec
from model.mcsan.config import PAIR_VALUES, ModelConfig
from model.mcsan.linear_parts import CONCEPT_LEVELS, ROLES, SHOWN_LEVELS, concept_levels, level_specs, reads_roles
from model.mcsan.text_tower import TextTensors, TextTower
from model.mcsan.video_tower import VideoTower


class MCSAN(nn.Module):
    """The trained part of the system. Frame features and word vectors come in, scores go out.

    `vocabulary_sizes` gives K_e, K_a and K_r, the number of concepts per level, and the number of verbs whose roles are
    read, where they are; `words` the vocabulary of a model with an embedding of its own (`config.words == "glove"`).
    """

    def __init__(self, config: ModelConfig, vocabulary_sizes: Mapping[str, int], words: Sequence[str] = ()) -> None:
        super().__init__()
        self.config = config
        self.video = VideoTower(config)
        self.text = TextTower(config, words)
        for tower in (self.video, self.text):
            if tower.pairs is not None:
                tower.pairs.requires_grad_(False)  # fitted once training is over (`pair_fit.py`)
        self.head = HolographicHead(config.sentence_dim, config.head_scale, config.head_bias)
        # One FC per level, shared by both modalities (24-26). It reads the normalised vectors, the very ones that an
        # index stores, so that a hit can be explained from the index; `concept_scale` gives it its range back.
        self.concepts = nn.ModuleDict(
            {n: nn.Linear(config.embed_dim, vocabulary_sizes[n]) for n in self.concept_levels}
        )
        self.concept_scale = nn.Parameter(torch.full((3,), 10.0))
        # Read only to say what a clip shows, and fitted once training is over (`concept_fit.py`, `role_fit.py`).
        width = config.sentence_dim + 3 * config.embed_dim
        self.shown = nn.ModuleDict(
            {n: nn.Linear(width, vocabulary_sizes[n]) for n in SHOWN_LEVELS if config.fitted_concepts}
        )
        self.shown.requires_grad_(False)
        sizes = {"nouns": ("entity", config.pair_kinds), "verbs": (ROLES, PAIR_VALUES)} if reads_roles(config) else {}
        self.roles = nn.ModuleDict(
            {name: nn.Linear(width, vocabulary_sizes[own], bias=False) for name, (own, width) in sizes.items()}
        )
        self.roles.requires_grad_(False)
        self.log_weights = nn.Parameter(torch.zeros(len(LEVEL_NAMES)), requires_grad=config.learned_weights)

    @property
    def concept_levels(self) -> tuple[str, ...]:
        """See `linear_parts.concept_levels`."""
        return concept_levels(self.config)

    def level_scores(self, video: Mapping[str, Tensor], text: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Activated scores of every video with every text, unit vectors -> (B_v, B_t) per level: (23), (30-32)."""
        scores = {name: video[name] @ text[name].T for name in CONCEPT_LEVELS}
        scores["global"] = torch.sigmoid(self.head(video["global"], text["global"]) + self.head.bias)
        return scores

    def fuse(self, scores: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Weighted mean over the levels that each text has (33): (B_v, B_t)."""
        weights = {n: w * present[n] for n, w in zip(LEVEL_NAMES, self.level_weights(), strict=True)}  # (B_t,) each
        total = torch.stack(list(weights.values())).sum(0)
        return torch.stack([scores[n] * weights[n] / total for n in LEVEL_NAMES]).sum(0)

    def level_weights(self) -> Tensor:
        """Weights with mean 1, in the order of LEVEL_NAMES; equal unless learned, 0 for a level switched off."""
        off = [name == "relation" and not self.config.relation_level for name in LEVEL_NAMES]
        weights = self.log_weights.masked_fill(torch.tensor(off, device=self.log_weights.device), -torch.inf)
        return weights.softmax(0) * len(LEVEL_NAMES)

    def concept_logits(self, level: str, vectors: Tensor) -> Tensor:
        """(B, d) unit vectors of either modality -> (B, K) logits of that level's vocabulary."""
        scale = self.concept_scale[CONCEPT_LEVELS.index(level)]
        return self.concepts[level](vectors * scale)

    def forward(
        self, features: Tensor, frame_mask: Tensor, text: TextTensors
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Video vectors and text vectors of a batch, not normalised; scores want them through `unit`."""
        return self.video(features, frame_mask), self.text(text)

    def level_specs(self) -> tuple[LevelSpec, ...]:
        """How inner products of this model become scores, for everything after the encoders."""
        return level_specs(self.config, self.log_weights.detach().cpu().numpy(), self.head.bias.item())
