"""Models of one vector per video and one per text, ranked by the cosine; the margin and dropout they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import Tensor
from torch.nn import functional as fn

from model.baselines.baseline import Baseline, Encoded, Labels
from model.levels import LevelSpec
from model.mcsan.losses import hinge_loss

MARGIN = 0.2
"""Of every baseline's ranking loss."""

DROPOUT = 0.2


class VectorModel(Baseline):
    """Cosine of `encoded["vector"]` (B, d); ranking loss over the hardest negatives of a batch, or over all of them.

    `levels` name the encodings that an index stores, with their weights in the score: all of them are compared by the
    cosine. `note` says where that is another score than training's. `made_with` are the arguments that the model was
    made with, by name: they make it again.
    """

    levels: ClassVar[Mapping[str, tuple[str, float]]] = {"global": ("vector", 1.0)}
    note: ClassVar[str] = ""

    def __init__(self, hardest: bool, made_with: Mapping[str, Any]) -> None:
        super().__init__()
        self.hardest = hardest
        self.made_with = dict(made_with)

    def level_specs(self) -> tuple[LevelSpec, ...]:
        """How inner products of unit vectors become scores, for everything after the encoders."""
        widths = self.widths()
        return tuple(LevelSpec(level, widths[name], weight=weight) for level, (name, weight) in self.levels.items())

    @property
    def feature_dim(self) -> int:
        """D_v, the width of the frame features: of one file, or of several side by side."""
        return sum(self.made_with.get("experts") or [self.made_with["feature_dim"]])

    @abstractmethod
    def widths(self) -> dict[str, int]:
        """The widths of the encodings, by name."""

    def trained(self) -> Self:
        """The model as a checkpoint keeps it: without what training alone needs."""
        return self

    @classmethod
    def named(cls, encoded: Encoded) -> dict[str, Tensor]:
        """The encodings that an index stores, (B, d_l) by level, of any length."""
        return {level: encoded[name] for level, (name, _) in cls.levels.items()}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return cosine(video["vector"], text["vector"])

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        return {"rank": hinge_loss(self.scores(video, text), batch.negatives, MARGIN, self.hardest)}


def cosine(video: Tensor, text: Tensor) -> Tensor:
    """(B_v, d) and (B_t, d) -> (B_v, B_t)."""
    return fn.normalize(video, dim=1) @ fn.normalize(text, dim=1).T
