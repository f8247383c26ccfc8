"""Zero-shot search: a CLIP or SigLIP model behind the encoder protocol, without any training.

    global     the mean of the frames           against the sentence
    entity     the best frames for each phrase  against the noun phrases
    action     the best short windows           against the verb phrases
    relation   the mean of the frames           against subject-verb-object phrases

Phrases are in `clip_phrases.py`, best frames in `clip_bank.py`. Several phrases of one level average. What the levels
mean for such a model, and what it cannot know: docs/zero-shot.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from model.device import in_one_batch_or_apart
from model.encoder import EncoderSpec, Frames, TextBatch
from model.holographic_head import HolographicHead
from model.language.parsed_caption import Attributes, CaptionParser, ParsedCaption, with_relations
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors
from model.two_tower.phrase_bank import ACTIONS, THINGS, BestFrames, stands_out
from model.two_tower.phrases import Prompts, participle, phrases, with_article
from model.two_tower.towers import TwoTower

FRAMES = 12
"""Frames of a clip, as in CLIP4Clip (Luo et al. 2021)."""

WINDOW = 3
"""Neighbouring frames whose mean stands for a moment of a clip."""

BEST_FRAMES, BEST_WINDOWS = 2, 2
"""How many frames or windows a phrase picks: one alone may be a chance hit."""

SHARPNESS = 10.0
"""s of the head h = s * e_0. Cosines of a two-tower model with pictures differ by about 0.2, and sigmoid(2) is 0.88."""

WEIGHTS = {"global": 2.0, "entity": 0.5, "action": 0.5, "relation": 1.0}
"""The whole sentence counts as much as its parts together."""

NOTE = "Zero-shot: it knows what its model learned from pictures and their captions, and sees no motion."

_CODE = 1
"""Part of the fingerprint: raised when the same model would give other vectors than before."""


class ClipEncoder:
    """See the module, and `model/encoder.py` for the protocol. `name` is shown to people and kept in libraries.

    `cuda_graphs`: read texts by CUDA graphs (`model/cuda_graphs.py`), for a device that is a GPU.

    Raises ModelError if the folder holds no such model.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        device: str = "cpu",
        parser: CaptionParser | None = None,
        prompts: Prompts | None = None,
        cuda_graphs: bool = False,
    ) -> None:
        from model.language.spacy_parser import SpacyParser

        self.device = device
        self.tower = TwoTower(folder, device)
        if cuda_graphs:
            self.tower.use_graphs()
        self.parser = parser or SpacyParser()
        self.prompts = prompts or Prompts()
        dim = self.tower.feature_dim
        self.head = HolographicHead(dim, SHARPNESS)
        self.spec = EncoderSpec(name, self._fingerprint(), level_specs(dim, self.tower.centre), FRAMES, NOTE)

    def _fingerprint(self) -> str:
        parts = (_CODE, self.tower.config.sha256, self.parser.name, self.prompts, THINGS, ACTIONS, FRAMES, WINDOW)
        return hashlib.sha256(repr((*parts, BEST_FRAMES, BEST_WINDOWS, SHARPNESS)).encode()).hexdigest()[:16]

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return in_one_batch_or_apart(self._encode_clips, clips, self.device)

    @torch.inference_mode()
    def _encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        rows: dict[str, list[Tensor]] = {name: [] for name in LEVEL_NAMES}
        for frames in self.tower.features(clips):
            mean = frames.mean(0)
            rows["global"].append(mean)
            rows["entity"].append(self._best_things(frames, BEST_FRAMES))
            rows["action"].append(self._best_actions(windows(frames), BEST_WINDOWS))
            rows["relation"].append(mean)
        return {name: fn.normalize(torch.stack(own), dim=-1).numpy() for name, own in rows.items()}

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        parsed = self.parser.parse(list(texts))
        prompts = [self._prompts(caption) for caption in parsed]
        rows = self._texts([text for own in prompts for level in LEVEL_NAMES for text in own[level]])
        vectors: Vectors = {
            name: np.stack([_mean([rows[text] for text in own[name]], self.tower.feature_dim) for own in prompts])
            for name in LEVEL_NAMES
        }
        return TextBatch(vectors, [caption.attributes() for caption in parsed])

    def _prompts(self, caption: ParsedCaption) -> dict[str, list[str]]:
        """The texts whose vectors are averaged at each level."""
        found = phrases(caption)
        return {
            "global": [caption.text],
            **{level: [self.prompts.of(level, phrase) for phrase in own] for level, own in found.items()},
        }

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return [caption.attributes() for caption in self.parser.parse(list(texts))]

    @torch.inference_mode()
    def text_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": self.head.fold_text(torch.from_numpy(vectors["global"])).numpy()}

    @torch.inference_mode()
    def clip_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": self.head.fold_video(torch.from_numpy(vectors["global"])).numpy()}

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        """Nouns and verbs that stand out from those of the bank; relations all of whose nouns and verbs do.

        The model has no vocabulary of its own, and who does it to whom it cannot tell.
        """
        words = {
            "entity": sorted({word for asked in candidates for word in asked.entity}),
            "action": sorted({word for asked in candidates for word in asked.action}),
        }
        said = {"entity": with_article, "action": participle}
        found: list[dict[str, list[str]]] = [{} for _ in candidates]
        for level, own in words.items():
            if not own:
                continue
            rows = self._texts([self.prompts.of(level, said[level](word)) for word in own])
            asked = torch.from_numpy(np.stack(list(rows.values())))
            bank = (self._best_things if level == "entity" else self._best_actions).bank
            for i, candidate in enumerate(candidates):
                shown = stands_out(asked, bank, torch.from_numpy(vectors[level][i]))
                found[i][level] = [word for word in candidate.of(level) if shown[own.index(word)]]
        return [
            with_relations(candidate, shown.get("entity", []), shown.get("action", []))
            for candidate, shown in zip(candidates, found, strict=True)
        ]

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return [Attributes() for _ in candidates]

    @cached_property
    def _best_things(self) -> BestFrames:
        return BestFrames.of(self.tower.texts([self.prompts.of("entity", with_article(word)) for word in THINGS]))

    @cached_property
    def _best_actions(self) -> BestFrames:
        return BestFrames.of(self.tower.texts([self.prompts.of("action", phrase) for phrase in ACTIONS]))

    def _texts(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        """The unit vector of each distinct text, in the order in which they first come."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self.tower.texts(distinct).numpy(), strict=True)) if distinct else {}


def level_specs(dim: int, centre: float) -> tuple[LevelSpec, ...]:
    """The four levels of a two-tower model: sigmoid(s (x - centre)), and its tangent where the activation is linear.

    So all levels give 0.5 where their cosine is `centre`, and grow alike around it.
    """
    slope = SHARPNESS / 4
    return tuple(
        # The scale of the global level is in the folded query.
        LevelSpec(name, dim, "sigmoid", 1.0, -SHARPNESS * centre, WEIGHTS[name])
        if name == "global"
        else LevelSpec(name, dim, "identity", slope, 0.5 - slope * centre, WEIGHTS[name])
        for name in LEVEL_NAMES
    )


def windows(frames: Tensor) -> Tensor:
    """Means of WINDOW neighbouring frames (T, d), of length 1: (T - WINDOW + 1, d), or one row for a shorter clip."""
    return fn.normalize(frames.unfold(0, min(WINDOW, len(frames)), 1).mean(-1), dim=-1)


def _mean(rows: Sequence[FloatArray], dim: int) -> FloatArray:
    """The mean of unit vectors at length 1; zeros for none: the level is absent."""
    if not rows:
        return np.zeros(dim, np.float32)
    mean = np.mean(rows, axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
