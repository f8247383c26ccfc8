"""A deterministic, instant encoder without weights, for tests of everything after the encoders.

Texts are bags of hashed words; clips are hashed by their coarse colours. Both live in the same spaces,
so searches run, but only equal inputs are near each other by design.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors


class FakeEncoder:
    """See the module. `seed` changes the fingerprint and every vector, as another model would.

    A level past the four of MCSAN is the words and the colours again, in a space of its own.
    """

    device = "cpu"

    def __init__(
        self, seed: int = 0, dim: int = 16, frames_per_clip: int = 4, levels: Sequence[str] = LEVEL_NAMES
    ) -> None:
        self.seed = seed
        self.dim = dim
        specs = tuple(
            LevelSpec(name, dim, "sigmoid", 4.0, -1.0) if name == "global" else LevelSpec(name, dim) for name in levels
        )
        more = "".join(f"-{name}" for name in levels if name not in LEVEL_NAMES)
        self._levels = tuple(levels)
        self.spec = EncoderSpec(f"fake-{seed}", f"fake-{seed}-{dim}{more}", specs, frames_per_clip, "A test double.")

    def _hashed(self, key: str) -> FloatArray:
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return np.random.default_rng(list(digest)).standard_normal(self.dim).astype(np.float32)

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        rows = []
        for frames in clips:
            cells = frames[:, :: max(1, frames.shape[1] // 4), :: max(1, frames.shape[2] // 4)]
            coarse = cells.reshape(len(frames), -1, 3).mean(axis=(0, 1)) / 16
            rows.append("/".join(str(int(c)) for c in coarse))
        return {name: self._unit([self._hashed(f"{name}:{row}") for row in rows]) for name in self._levels}

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        vectors: Vectors = {name: np.zeros((len(texts), self.dim), np.float32) for name in self._levels}
        for i, text in enumerate(texts):
            parts = self._parts(text)
            for name in self._levels:
                if used := parts.get(name, parts["global"]):
                    vectors[name][i] = np.sum([self._hashed(w) for w in used], axis=0)
        return TextBatch({name: self._unit(v) for name, v in vectors.items()}, self.attributes(texts))

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
