"""VoP: a two-tower model that stays as it is, with learned vectors in every layer of both towers.

Huang, Gong, Pan, Jiang, Lv, Li, Wang, "VoP: Text-Video Co-operative Prompt Tuning for Cross-Modal Retrieval", CVPR
2023, after its release in ModelScope. Layer l of a tower reads the states x and learned prompts P_l,

    [x_1', _, x_2' ... x_L'] = layer_l([x_1, P_l, x_2 ... x_L])

eight for pictures and four for texts. A video is the mean of its frames at length 1; the score is the cosine, the loss
the symmetric cross entropy over the batch of the score times a learned scale.

Where this differs: the release also has four prompts before the last place of a text, which is padding for nearly every
text; the words of a text keep their places, and prompts have none; pairs of one video and equal captions are not
negatives. This is VoP alone, without its prompts of positions, contexts and functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded, Labels
from model.baselines.frozen_towers.clip4clip import TEMPERATURE
from model.baselines.single_vector import VectorModel
from model.mcsan.layers import masked_mean, padded
from model.mcsan.losses import info_nce
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.two_tower.deep_prompts import DeepPrompts, layers_of
from model.two_tower.pixels import PIXELS, PixelTower

PICTURE_PROMPTS, TEXT_PROMPTS = 8, 4


@dataclass
class TokenizedTexts(TextTensors):
    """Padded captions with the text tower's input, (B, L) by name."""

    inputs: dict[str, Tensor]

    def to(self, device: torch.device | str) -> Self:
        return replace(super().to(device), inputs={name: value.to(device) for name, value in self.inputs.items()})


class VoP(VectorModel):
    """Reads frames as pixels. The towers are not among its weights: a checkpoint names them, `attach` gives them.

    pictures, texts  how many layers each tower has, and how wide they are
    """

    def __init__(self, feature_dim: int, dim: int, pictures: Sequence[int], texts: Sequence[int]) -> None:
        given = {"feature_dim": feature_dim, "dim": dim, "pictures": list(pictures), "texts": list(texts)}
        super().__init__(hardest=False, made_with=given)
        self.picture_prompts = DeepPrompts(pictures[0], PICTURE_PROMPTS, pictures[1])
        self.text_prompts = DeepPrompts(texts[0], TEXT_PROMPTS, texts[1])
        self.log_temperature = nn.Parameter(torch.tensor(math.log(TEMPERATURE)))

    @classmethod
    def of(cls, tower: PixelTower) -> Self:
        """For the two-tower model that the frames were prepared for. Raises InputError where it can have no prompts."""
        pictures, texts, _ = layers_of(tower)
        config: Any = tower.net.config
        shapes = (len(pictures), config.vision_config.hidden_size), (len(texts), config.text_config.hidden_size)
        return cls(math.prod(tower.config.pixels), tower.feature_dim, *shapes).attach(tower)

    def attach(self, tower: PixelTower) -> Self:
        """The model with its towers, which stay as they are; returns itself."""
        tower.net.requires_grad_(False)
        self._towers = (tower,)  # in a tuple, so that its weights are not those of this module
        return self

    @property
    def tower(self) -> PixelTower:
        """On the device of the prompts."""
        (tower,) = self._towers
        device = self.log_temperature.device
        return tower if tower.device == device else tower.to(str(device))

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        tower = self.tower
        layers, _, _ = layers_of(tower)
        with self.picture_prompts.inside(layers, causal=False):
            rows = tower.network.see({PIXELS: features[mask].unflatten(1, tower.config.pixels)})
        return {"vector": masked_mean(padded(fn.normalize(rows, dim=1), mask), mask)}

    def collate_text(self, texts: Sequence[TextFeatures]) -> TokenizedTexts:
        own = collate(texts)
        inputs = self.tower.tokens([text.parse.text for text in texts])
        return TokenizedTexts(**{f.name: getattr(own, f.name) for f in fields(own)}, inputs=inputs)

    def encode_text(self, text: TextTensors) -> Encoded:
        assert isinstance(text, TokenizedTexts)
        tower = self.tower
        _, layers, causal = layers_of(tower)
        with self.text_prompts.inside(layers, causal):
            vectors, _ = tower.read(text.inputs)
        return {"vector": vectors}

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        temperature = self.log_temperature.exp().clamp(0.005, 1.0)
        return {"rank": info_nce(self.scores(video, text), batch.negatives, temperature)}
