"""HSL: Dual Encoding in a hybrid space, where a latent vector is matched together with readable concepts.

Dong, Li, Xu, Yang, Yang, Wang, Wang, "Dual Encoding for Video Retrieval by Text", IEEE TPAMI 2022 ("hybrid space
learning"). The latent space is that of Dual Encoding; a second layer with batch normalisation and a sigmoid gives K
concept probabilities per side, compared by the generalised Jaccard similarity. Both spaces have a ranking loss, and
both sides' probabilities a binary cross entropy against the words of the video's captions. A pair scores 0.6 latent +
0.4 concepts.

Where this differs: the K concepts are the nouns and verbs of the vocabularies that MCSAN uses, and a video has one or
not, where the paper takes 512 words weighted by frequency. The paper rescales each similarity by its extremes over the
whole test set, which no single query could do; here they are mixed as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded, Labels
from model.baselines.dual_encoding import DIM, FILTERS, HIDDEN, DualEncoding
from model.baselines.parts.bag_of_words import BagOfWords
from model.baselines.parts.concept_matching import concept_bce, jaccard
from model.baselines.single_vector import MARGIN, cosine
from model.mcsan.losses import hinge_loss
from model.mcsan.text_tower import TextTensors

LATENT = 0.6
"""Weight of the latent similarity; the concepts have the rest."""

CONCEPT_LEVELS = ("entity", "action")


class HSL(DualEncoding):
    """`concepts` is K, the number of nouns and verbs together.

    A Jaccard similarity is not an inner product: an index compares the concepts by the cosine instead.
    """

    levels: ClassVar[Mapping[str, tuple[str, float]]] = {
        "global": ("vector", LATENT),
        "concept": ("concepts", 1 - LATENT),
    }
    note: ClassVar[str] = "Concepts are compared by the cosine here, in training by the Jaccard similarity."

    def __init__(
        self,
        feature_dim: int,
        word_dim: int,
        bag: BagOfWords,
        concepts: int,
        dim: int = DIM,
        hidden: int = HIDDEN,
        filters: int = FILTERS,
    ) -> None:
        super().__init__(feature_dim, word_dim, bag, dim, hidden, filters)
        self.made_with["concepts"] = concepts
        self.video_concepts = _concept_space(self.video.dim, concepts)
        self.text_concepts = _concept_space(self.text.dim, concepts)

    def widths(self) -> dict[str, int]:
        return {**super().widths(), "concepts": self.made_with["concepts"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        levels = self.video_levels(features, mask)
        return {"vector": self.video_space(levels), "concepts": self.video_concepts(levels)}

    def encode_text(self, text: TextTensors) -> Encoded:
        levels = self.text_levels(text)
        return {"vector": self.text_space(levels), "concepts": self.text_concepts(levels)}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        latent = cosine(video["vector"], text["vector"])
        return LATENT * latent + (1 - LATENT) * jaccard(video["concepts"], text["concepts"])

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        labels = torch.cat([batch.video_labels[level] for level in CONCEPT_LEVELS], 1)
        latent = cosine(video["vector"], text["vector"])
        similar = jaccard(video["concepts"], text["concepts"])
        return {
            "latent": hinge_loss(latent, batch.negatives, MARGIN, hardest=True),
            "concept": hinge_loss(similar, batch.negatives, MARGIN, hardest=True),
            "labels": concept_bce(video["concepts"], labels) + concept_bce(text["concepts"], labels),
        }


def _concept_space(in_dim: int, concepts: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_dim, concepts), nn.BatchNorm1d(concepts), nn.Sigmoid())
