"""Batches of (video, caption) pairs, with labels and without false negatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.training.data.dataset import VideoText, Vocabularies, concept_labels
from model.training.distributed import gather_rows

Collate = Callable[[Sequence[TextFeatures]], TextTensors]
"""Pads captions to the tensors that a model reads."""


@dataclass
class ChangedBatch:
    """Captions with one thing changed: of which pairs `rows` (n,) of a batch, and what kind of change."""

    rows: Tensor
    kinds: list[str]
    text: TextTensors

    def to(self, device: torch.device) -> ChangedBatch:
        return ChangedBatch(self.rows.to(device), self.kinds, self.text.to(device))


@dataclass
class PairBatch:
    """B pairs: features (B, N, D_v), frame_mask (B, N), texts, labels per level (B, K).

    `owner` and `wording` (B,) number the video and the caption's words: pairs that share one are not negatives.
    `changed` are captions with one thing changed, where training asks for them.
    """

    features: Tensor
    frame_mask: Tensor
    text: TextTensors
    owner: Tensor
    wording: Tensor
    text_labels: dict[str, Tensor]
    video_labels: dict[str, Tensor]
    changed: ChangedBatch | None = None

    @property
    def negatives(self) -> Tensor:
        """(B, B) bool: pairs of another video and another wording."""
        return (self.owner.unsqueeze(1) != self.owner) & (self.wording.unsqueeze(1) != self.wording)

    def gathered(self) -> PairBatch:
        """What the objective asks of the pairs of all processes; features and texts stay this process's own."""
        owner, wording, text_labels, video_labels = gather_rows(
            (self.owner, self.wording, self.text_labels, self.video_labels)
        )
        return PairBatch(self.features, self.frame_mask, self.text, owner, wording, text_labels, video_labels)

    def to(self, device: torch.device) -> PairBatch:
        return PairBatch(
            self.features.to(device),
            self.frame_mask.to(device),
            self.text.to(device),
            self.owner.to(device),
            self.wording.to(device),
            {level: labels.to(device) for level, labels in self.text_labels.items()},
            {level: labels.to(device) for level, labels in self.video_labels.items()},
            self.changed and self.changed.to(device),
        )


class Pairs(Dataset):
    """Every caption with its video; batches leave out false negatives."""

    def __init__(self, data: VideoText, vocabularies: Vocabularies, collate_text: Collate = collate) -> None:
        self.data = data
        self.collate_text = collate_text
        self.text_labels, self.video_labels = concept_labels(data, vocabularies)
        wording: dict[str, int] = {}
        self.wording = np.array([wording.setdefault(t.parse.text.lower(), len(wording)) for t in data.texts])

    def __len__(self) -> int:
        return len(self.data.texts)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, rows: Sequence[int]) -> PairBatch:
        index = np.asarray(rows)
        videos = self.data.owner[index]
        return PairBatch(
            self.data.features[videos],
            self.data.frame_mask[videos],
            self.collate_text([self.data.texts[i] for i in rows]),
            torch.from_numpy(videos),
            torch.from_numpy(self.wording[index]),
            {level: labels[index].float() for level, labels in self.text_labels.items()},
            {level: labels[videos].float() for level, labels in self.video_labels.items()},
            self._changed(rows),
        )

    def _changed(self, rows: Sequence[int]) -> ChangedBatch | None:
        """One change of each caption that has any, drawn at random."""
        known = self.data.changed
        places = [place for place, row in enumerate(rows) if known is not None and row in known.made]
        if known is None or not places:
            return None
        of = [known.made[rows[place]] for place in places]
        drawn = [own[int(torch.randint(len(own), ()))] for own in of]
        texts = self.collate_text([known.texts[number] for _, number in drawn])
        return ChangedBatch(torch.tensor(places), [kind for kind, _ in drawn], texts)
