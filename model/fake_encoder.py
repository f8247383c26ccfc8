"""A deterministic, instant encoder without weights, for tests of everything after the encoders.

Texts are bags of hashed words; clips are hashed by their coarse colours. Both live in the same spaces,
so searches run, but only equal inputs are near each other by design.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import FRAMES, LEVEL_NAMES, FloatArray, FrameSpec, LevelSpec, Vectors


class FakeEncoder:
    """See the module. `seed` changes the fingerprint and every vector, as another model would.

    A level past the four of MCSAN is the words and the colours again, in a space of its own. `frames`: it has vectors
    of single frames too.
    """

    device = "cpu"

    def __init__(
        self,
        seed: int = 0,
        dim: int = 16,
        frames_per_clip: int = 4,
        levels: Sequence[str] = LEVEL_NAMES,
        frames: bool = False,
    ) -> None:
        self.seed = seed
        self.dim = dim
        specs = tuple(
            LevelSpec(name, dim, "sigmoid", 4.0, -1.0) if name == "global" else LevelSpec(name, dim) for name in levels
        )
        more = "".join(f"-{name}" for name in levels if name not in LEVEL_NAMES)
        self._levels = tuple(levels)
        kept = FrameSpec(frames_per_clip, dim, 2, {"entity": 1, "action": 3}) if frames else None
        name, fingerprint = f"fake-{seed}", f"fake-{seed}-{dim}{more}"
        self.spec = EncoderSpec(name, fingerprint, specs, frames_per_clip, "A test double.", kept)

    def _hashed(self, key: str) -> FloatArray:
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return np.random.default_rng(list(digest)).standard_normal(self.dim).astype(np.float32)

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        rows = [self._colours(frames) for frames in clips]
        vectors = {name: self._unit([self._hashed(f"{name}:{row}") for row in rows]) for name in self._levels}
        return vectors if self.spec.frames is None else {**vectors, FRAMES: self._frames(clips, self.spec.frames)}

    @staticmethod
    def _colours(frames: Frames) -> str:
        cells = frames[:, :: max(1, frames.shape[1] // 4), :: max(1, frames.shape[2] // 4)]
        coarse = cells.reshape(len(frames), -1, 3).mean(axis=(0, 1)) / 16
        return "/".join(str(int(c)) for c in coarse)

    def _frames(self, clips: Sequence[Frames], kept: FrameSpec) -> np.ndarray:
        found = np.zeros((len(clips), kept.count, self.dim), np.float16)
        for row, frames in zip(found, clips, strict=True):
            shown = [self._hashed(f"frame:{self._colours(frame[None])}") for frame in frames[: kept.count]]
            row[: len(shown)] = self._unit(shown)
        return found.reshape(len(clips), -1)

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        vectors: Vectors = {name: np.zeros((len(texts), self.dim), np.float32) for name in self._levels}
        for i, text in enumerate(texts):
            parts = self._parts(text)
            for name in self._levels:
                if used := parts.get(name, parts["global"]):
                    vectors[name][i] = np.sum([self._hashed(w) for w in used], axis=0)
        found = TextBatch({name: self._unit(v) for name, v in vectors.items()}, self.attributes(texts))
        return found if self.spec.frames is None else replace(found, phrases=[self._phrases(text) for text in texts])

    def _phrases(self, text: str) -> dict[str, FloatArray]:
        """Each word of a level is a phrase."""
        parts = self._parts(text)
        return {name: self._unit([self._hashed(word) for word in own]) for name, own in parts.items() if own}

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        parts = [self._parts(text) for text in texts]
        return [Attributes(p["entity"], p["action"], [" ".join(p["relation"])]) for p in parts]

    @staticmethod
    def _parts(text: str) -> dict[str, list[str]]:
        words = text.lower().split()
        return {
            "global": words,
            "entity": [w for w in words if not w.endswith("ing")],
            "action": [w for w in words if w.endswith("ing")],
            "relation": words if len(words) > 1 else [],
        }

    def text_queries(self, vectors: Vectors) -> Vectors:
        # A cyclic shift stands for the fold: queries differ from gallery vectors at the global level alone.
        return {**vectors, "global": np.roll(vectors["global"], 1, axis=1)}

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": np.roll(vectors["global"], -1, axis=1)}

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        return [Attributes(c.entity[:1], c.action[:1], c.relation[:1]) for c in candidates]

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        # Words with an x are beyond it.
        return [
            Attributes(*([word for word in candidate.of(level) if "x" in word] for level in LEVEL_NAMES[1:]))
            for candidate in candidates
        ]

    @staticmethod
    def _unit(rows: Sequence[FloatArray] | FloatArray) -> FloatArray:
        a = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
        norm = np.linalg.norm(a, axis=1, keepdims=True)
        return (a / np.where(norm > 0, norm, 1)).astype(np.float32)
