"""The encoder protocol: what the indexer and the service need from any model.

Two kinds of vectors exist for every item:

- *gallery* vectors are what an index stores (`encode_clips`, `encode_texts`);
- *query* vectors are what an index of the other side is searched with (`text_queries`, `clip_queries`).

They differ at the global level only, where the holographic head is folded into the query
(`model/holographic_head.py`): the score is then a plain inner product.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from model.language.parsed_caption import Attributes
from model.levels import FloatArray, FrameSpec, LevelSpec, Vectors
from quartet.errors import InputError

Frames = npt.NDArray[np.uint8]
"""The sampled frames of one clip: (T, H, W, 3) uint8 RGB, any H and W, T >= 1."""


@dataclass(frozen=True)
class EncoderSpec:
    """What a library must remember of the model that built it.

    name            for people ("quartet-demo")
    fingerprint     hash over weights, configuration, parser and sentence encoder
    levels          in the order of `LEVEL_NAMES`
    frames_per_clip how many frames to sample uniformly from a clip
    note            what the model can and cannot know, one sentence
    frames          what it can tell of single frames, if anything. Of a library: what is kept of them
    """

    name: str
    fingerprint: str
    levels: tuple[LevelSpec, ...]
    frames_per_clip: int
    note: str = ""
    frames: FrameSpec | None = None

    def is_same(self, other: EncoderSpec) -> bool:
        """Whether all that is stored of an item is the same by both."""
        return self.fingerprint == other.fingerprint and self.frames == other.frames

    def level(self, name: str) -> LevelSpec:
        return next(spec for spec in self.levels if spec.name == name)


@dataclass(frozen=True)
class QuerySettings:
    """What the owner of a library has set for its queries; the vectors of its clips do not depend on it.

    prompts  of a two-tower model: templates by level, in which `{}` stands for a phrase, or at the global level for the
             sentence. Several are averaged. A level that is left out keeps the model's
    weights  of levels. One that is left out keeps the model's
    parsers  of a two-tower model: spaCy pipelines, packages or folders, for queries in other languages than English, by
             ISO 639 code. A trained model reads its queries as it read its captions
    """

    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    parsers: Mapping[str, str] = field(default_factory=dict)


def checked_parsers(given: Sequence[str]) -> dict[str, str]:
    """Pipelines by language from LANGUAGE=PIPELINE. Raises InputError that names what is wrong."""
    found = {}
    for one in filter(None, map(str.strip, given)):
        language, _, pipeline = one.partition("=")
        if not re.fullmatch("[a-z]{2,3}", language) or not pipeline:
            raise InputError(f"Give a parser as LANGUAGE=PIPELINE, such as de=de_core_news_sm, not {one!r}.")
        if language == "en":
            raise InputError("English has the parser of the model. Give parsers of other languages.")
        found[language] = pipeline
    return found


@dataclass(frozen=True)
class TextBatch:
    """Gallery vectors of B texts and the attributes that the parser found in each.

    A text without a noun has a zero row at `entity`, one without a verb at `action`. `notes` say of each text what its
    writer should know, such as that only a part of it is compared; "" for nothing. Empty: nothing of any.
    `phrases` are those of each text by level, (P, d) of length 1, where the model can compare them with frames
    (`EncoderSpec.frames`).
    """

    vectors: Vectors
    attributes: list[Attributes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    phrases: list[dict[str, FloatArray]] = field(default_factory=list)


class Encoder(Protocol):
    """A model that puts clips and texts into the four level spaces. Safe to call from one thread at a time."""

    spec: EncoderSpec

    @property
    def device(self) -> str: ...

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        """Gallery vectors of clips given by their sampled frames: {level: (B, d_l)}.

        With them those of single frames, `model.levels.FRAMES`, where `spec.frames` says so.
        On a CPU they are the same, bit for bit, in whatever company a clip is encoded.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        """Gallery vectors and attributes of texts."""
        ...

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        """The attributes of texts alone, without their vectors: much cheaper."""
        ...

    def text_queries(self, vectors: Vectors) -> Vectors:
        """Gallery vectors of texts -> query vectors for an index of clips."""
        ...

    def clip_queries(self, vectors: Vectors) -> Vectors:
        """Gallery vectors of clips -> query vectors for an index of texts."""
        ...

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        """Which of `candidates[i]` the gallery vectors of row i show, by the model's own attribute heads.

        A relation is shown if all of its nouns and verbs are. Words outside the model's vocabularies are never
        returned: the model cannot know them.
        """
        ...

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        """Which of the words of each candidate the model cannot judge, whatever a clip shows."""
        ...


@runtime_checkable
class StagedEncoder(Encoder, Protocol):
    """An encoder that parses texts and runs its networks independently of each other, until it puts both together.

    `encode_texts(texts)` is `finish(parse(texts), forward(tokenize(texts)))`. What `parse` makes can be pickled.
    `parse`, `attributes` and `tokenize` are for one thread at a time. Everything else may run next to them and next to
    itself.
    """

    def parse(self, texts: Sequence[str]) -> Sequence[Any]:
        """Who does what in every text."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Any:
        """Texts as the sentence encoder reads them."""
        ...

    def forward(self, tokens: Any) -> Any:
        """The sentence encoder's states."""
        ...

    def finish(self, parses: Sequence[Any], states: Any) -> TextBatch:
        """The rest: the towers."""
        ...
