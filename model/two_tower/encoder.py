"""Zero-shot search: a two-tower model behind the encoder protocol, without any training.

                                                of pictures                      of videos
    global     against the sentence             the mean of the frames           the whole clip
    entity     against the noun phrases         the best frames for each phrase  the best windows for each phrase
    action     against the verb phrases         the best short windows           the best windows for each phrase
    relation   against subject-verb-object      the mean of the frames           the whole clip

The vectors of a clip at the levels global and relation are the same: these levels differ by what is asked. Phrases are
in `phrases.py`, best frames in `phrase_bank.py`. What the levels mean for such a model, and what it cannot know:
docs/zero-shot.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from model.language.query_language import foreign_language
from model.language.spacy_parser import SpacyParser
from model.levels import FRAMES as FRAME_VECTORS
from model.levels import LEVEL_NAMES, FloatArray, FrameSpec, LevelSpec, Vectors
from model.precision import Precision
from model.two_tower.phrase_bank import ACTIONS, THINGS, BestFrames, stands_out
from model.two_tower.phrases import Prompts, filled, participle, phrases, phrases_as_written, with_article
from model.two_tower.towers import TwoTower

FRAMES = 12
"""Frames of a clip for a model of pictures, as in CLIP4Clip (Luo et al. 2021)."""

VIEWS = 2
"""For a model of videos: frames of a clip, in frames that it sees at a time. So it sees the whole and three windows."""

WINDOW = 3
"""Neighbouring frames whose mean stands for a moment of a clip."""

BEST_FRAMES, BEST_WINDOWS = 2, 2
"""How many frames or windows a phrase picks: one alone may be a chance hit."""

SHARPNESS = 10.0
"""s of the head h = s * e_0. Cosines of a two-tower model with pictures differ by about 0.2, and sigmoid(2) is 0.88."""

WEIGHTS = {"global": 2.0, "entity": 0.5, "action": 0.5, "relation": 1.0}
"""The whole sentence counts as much as its parts together."""

NOTE = (
    "Zero-shot: the model learned from pictures and their captions, and cannot see motion. Its relation "
    "level compares the clip's global vector with the relations of the query."
)
VIDEO_NOTE = (
    "Zero-shot: the model learned from videos and their captions. Its relation level compares the clip's "
    "global vector with the relations of the query."
)

_FOREIGN = (
    "The query looks like {!r} rather than English, the parser's language. Only the global level (the "
    "whole sentence) is compared."
)
_READ_BY = "The query looks like {!r} rather than English. The parser {} read it."

_NO_PHRASES: dict[str, list[str]] = {"entity": [], "action": [], "relation": []}

_CODE = 1
"""Part of the fingerprint: raised when the same model would give other vectors than before."""


@dataclass(frozen=True)
class _Read:
    """A text, its language if that is not English, and what the parser of its language made of it; None without one."""

    caption: ParsedCaption
    language: str | None
    parsed: ParsedCaption | None

    @property
    def phrases(self) -> dict[str, list[str]]:
        if self.parsed is None:
            return _NO_PHRASES
        return phrases(self.parsed) if self.language is None else phrases_as_written(self.parsed)

    @property
    def attributes(self) -> Attributes:
        return Attributes() if self.parsed is None else self.parsed.attributes()


class ClipEncoder:
    """See the module, and `model/encoder.py` for the protocol. `name` is shown to people and kept in libraries.

    `cuda_graphs`: read texts by CUDA graphs (`model/cuda_graphs.py`), for a device that is a GPU. `prompts` are those
    of the bank, on which clips depend; `templates` by level replace them in texts (`QuerySettings.prompts`).
    `precision`: what a CPU computes the towers in (`model/cpu_backend.py`). `languages`: parsers of texts in other
    languages than English, by ISO 639 code; a text in a language without one has the global level alone.

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
        templates: Mapping[str, tuple[str, ...]] | None = None,
        precision: Precision = "float32",
        languages: Mapping[str, CaptionParser] | None = None,
    ) -> None:
        self.device = device
        self.tower = TwoTower(folder, device).freeze(precision=precision)
        if cuda_graphs:
            self.tower.use_graphs()
        self.parser = parser or SpacyParser()
        self.languages = dict(languages or {})
        self.prompts = prompts or Prompts()
        self.templates = {**self.prompts.templates(), **(templates or {})}
        dim = self.tower.feature_dim
        self.head = HolographicHead(dim, SHARPNESS)
        self.frames = VIEWS * self.tower.clip_frames if self.tower.clip_frames else FRAMES
        note = VIDEO_NOTE if self.tower.clip_frames else NOTE
        levels = level_specs(dim, self.tower.centre)
        self.spec = EncoderSpec(name, self._fingerprint(), levels, self.frames, note, self._frame_spec(dim))

    def _fingerprint(self) -> str:
        parts = (_CODE, self.tower.config.sha256, self.parser.name, self.prompts, THINGS, ACTIONS, self.frames, WINDOW)
        return hashlib.sha256(repr((*parts, BEST_FRAMES, BEST_WINDOWS, SHARPNESS)).encode()).hexdigest()[:16]

    def _frame_spec(self, dim: int) -> FrameSpec:
        """Of a model of videos the parts of a clip are windows already."""
        size = self.tower.clip_frames
        count, window = (FRAMES, WINDOW) if size is None else (self.tower.most_parts(self.frames), 1)
        return FrameSpec(count, dim, BEST_FRAMES, {"entity": 1, "action": window, "relation": window})

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return in_one_batch_or_apart(self._encode_clips, clips, self.device)

    @torch.inference_mode()
    def _encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        rows: dict[str, list[Tensor]] = {name: [] for name in LEVEL_NAMES}
        frames: list[np.ndarray] = []
        for seen in self.tower.features(clips):
            if self.tower.clip_frames is None:
                whole, parts, moments = seen.mean(0), seen, windows(seen)
            else:
                # A clip too short for windows is its only part.
                whole, parts = seen[0], seen[1:] if len(seen) > 1 else seen
                moments = parts
            rows["global"].append(whole)
            rows["entity"].append(self._best_things(parts, BEST_FRAMES))
            rows["action"].append(self._best_actions(moments, BEST_WINDOWS))
            rows["relation"].append(whole)
            frames.append(self._frame_row(parts))
        levels = {name: fn.normalize(torch.stack(own), dim=-1).numpy() for name, own in rows.items()}
        return {**levels, FRAME_VECTORS: np.stack(frames)}

    def _frame_row(self, parts: Tensor) -> np.ndarray:
        """The parts of a clip (T, d), one after the other, and zeros for those that it lacks."""
        assert self.spec.frames is not None
        row = np.zeros((self.spec.frames.count, self.spec.frames.dim), np.float16)
        kept = torch.linspace(0, len(parts) - 1, min(len(parts), len(row))).round().long()
        row[: len(kept)] = parts[kept].numpy()
        return row.reshape(-1)

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        read = self._read(texts)
        asked = [self._texts_by_level(one) for one in read]
        rows = self._texts([text for own in asked for phrases in own.values() for texts in phrases for text in texts])
        dim = self.tower.feature_dim
        phrases = [
            {name: [_mean([rows[t] for t in texts], dim) for texts in own[name]] for name in LEVEL_NAMES}
            for own in asked
        ]
        vectors: Vectors = {name: np.stack([_mean(own[name], dim) for own in phrases]) for name in LEVEL_NAMES}
        compared = [{name: np.stack(found) for name, found in own.items() if found} for own in phrases]
        return TextBatch(vectors, [one.attributes for one in read], [self._note(one) for one in read], compared)

    def _read(self, texts: Sequence[str]) -> list[_Read]:
        """Each text by the parser of its language, where there is one."""
        found = []
        for caption in self.parser.parse(list(texts)):
            language = (
                foreign_language(caption.text, self.parser.is_known) if isinstance(self.parser, SpacyParser) else None
            )
            own = self.languages.get(language or "")
            if language is None:
                found.append(_Read(caption, None, caption))
            else:
                found.append(_Read(caption, language, None if own is None else own.parse([caption.text])[0]))
        return found

    def _note(self, read: _Read) -> str:
        if read.language is None:
            return ""
        if read.parsed is None:
            return _FOREIGN.format(read.language)
        return _READ_BY.format(read.language, self.languages[read.language].name)

    def _texts_by_level(self, read: _Read) -> dict[str, list[list[str]]]:
        """By level the texts of each phrase, one by each template: they are averaged before the phrases are.

        The templates of phrases are English: a phrase in another language stands alone.
        """
        found = {"global": [read.caption.text], **read.phrases}
        own = self.templates if read.language is None else {"global": self.templates["global"]}
        return {
            level: [[filled(template, phrase) for template in own.get(level, ("{}",))] for phrase in phrases]
            for level, phrases in found.items()
        }

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return [one.attributes for one in self._read(texts)]

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
        wording = {"entity": with_article, "action": participle}
        found: list[dict[str, list[str]]] = [{} for _ in candidates]
        for level, own in words.items():
            if not own:
                continue
            rows = self._texts([self._text_of(level, word, wording[level]) for word in own])
            asked = torch.from_numpy(np.stack(list(rows.values())))
            bank = (self._best_things if level == "entity" else self._best_actions).bank
            for i, candidate in enumerate(candidates):
                shown = stands_out(asked, bank, torch.from_numpy(vectors[level][i]))
                found[i][level] = [word for word in candidate.of(level) if shown[own.index(word)]]
        return [
            with_relations(candidate, shown.get("entity", []), shown.get("action", []))
            for candidate, shown in zip(candidates, found, strict=True)
        ]

    def _text_of(self, level: str, word: str, inflected: Callable[[str], str]) -> str:
        """A noun or verb as a text. One of another language stands alone, as its phrases do."""
        foreign = self.languages and isinstance(self.parser, SpacyParser) and not self.parser.is_known(word)
        return word if foreign else self.prompts.of(level, inflected(word))

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
