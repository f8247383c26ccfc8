"""The parts of questions as query vectors: sentences are encoded, clips of the library are looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from indexer.search import parts as search_parts
from indexer.search.remote_gallery import AnyGallery
from model.language.parsed_caption import Attributes, merge_attributes
from model.levels import WORDS, FloatArray, LevelSpec, Vectors
from quartet.errors import QuartetError
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.ranking.batch_ranking import as_cosines, contains, no_clip, row, vectors_of
from service.search.requests import Moment, Part, Question, Sentence, Stored
from service.search.result_cache import ResultCache

CLIP_SHARE = 0.4
"""Weight of a clip relative to a sentence: its inner products with other clips differ by more than a
sentence's do. Chosen on the demo world (`benchmarks/quality/questions.py`)."""


@dataclass(frozen=True)
class EncodedText:
    """One text: its query vectors for an index of clips, one row per level, its attributes, what to say of it, and its
    phrases by level, where the model compares those with frames."""

    query: Vectors
    attributes: Attributes
    note: str = ""
    phrases: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolved:
    """A question as the search takes it.

    specs       how inner products become scores: the model's levels, or cosines where no part is a sentence
    moments     the parts of each moment
    queries     the folded query vectors of each moment
    attributes  what the parser read off each part, in the order of `Question.parts`; nothing for clips
    notes       what to say of its sentences
    phrases     by level those of a question of one sentence, where the model compares them with frames
    """

    question: Question
    specs: Sequence[LevelSpec]
    moments: tuple[tuple[search_parts.Part, ...], ...]
    queries: tuple[Vectors, ...]
    attributes: tuple[Attributes, ...]
    notes: tuple[str, ...] = ()
    phrases: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def has_sentence(self) -> bool:
        return any(isinstance(part.source, Sentence) for part in self.question.parts)

    @property
    def wanted_words(self) -> list[Attributes]:
        """Of every moment the words of the sentences that are wanted, each once."""
        remaining = iter(self.attributes)
        own = [[(part.weight, next(remaining)) for part in moment.parts] for moment in self.question.moments]
        return [merge_attributes([words for weight, words in moment if weight > 0]) for moment in own]


class PartVectors:
    """See the module. `recent` keeps encoded sentences."""

    def __init__(self, encoder: SharedEncoder | EncoderProcesses, kept: int) -> None:
        self._encoder = encoder
        self.recent: ResultCache[str, EncodedText] = ResultCache(kept)

    def resolve(self, gallery: AnyGallery, questions: Sequence[Question]) -> list[Resolved | QuartetError]:
        """Every question with its vectors, or the error that it alone gets: NotFoundError for an unknown clip."""
        sources = [part.source for question in questions for part in question.parts]
        texts = [source.text for source in sources if isinstance(source, Sentence)]
        encoded = dict(zip(texts, self.recent.get(texts, self._encode), strict=True))
        stored = _stored(gallery, {source.clip_id for source in sources if isinstance(source, Stored)})
        return [self._one(question, encoded, stored) for question in questions]

    def encoded(self, asked: Sequence[Sequence[str]]) -> list[list[Vectors]]:
        """The query vectors of lists of texts."""
        texts = [text for own in asked for text in own]
        found = iter(self.recent.get(texts, self._encode))
        return [[next(found).query for _ in own] for own in asked]

    def _one(
        self, question: Question, encoded: dict[str, EncodedText], stored: dict[int, Vectors]
    ) -> Resolved | QuartetError:
        sources = [part.source for part in question.parts]
        missing = [s.clip_id for s in sources if isinstance(s, Stored) and s.clip_id not in stored]
        if missing:
            return no_clip(missing[0])
        sentences = [encoded[source.text] for source in sources if isinstance(source, Sentence)]
        specs = self._encoder.spec.levels if sentences else as_cosines(self._encoder.spec.levels)
        share = CLIP_SHARE if sentences else 1.0
        lengths = {}
        if len(sentences) < len(sources):
            lengths = {spec.name: share * length_of([text.query[spec.name] for text in sentences]) for spec in specs}

        def rows(part: Part) -> Vectors:
            source = part.source
            if isinstance(source, Sentence):
                return encoded[source.text].query
            vectors = stored[source.clip_id] if isinstance(source, Stored) else source.vectors
            return {level: own * np.float32(lengths[level]) for level, own in vectors.items()}

        def moment(given: Moment) -> tuple[search_parts.Part, ...]:
            return tuple(search_parts.Part(rows(part), part.weight) for part in given.parts)

        moments = tuple(moment(given) for given in question.moments)
        try:
            queries = tuple({**search_parts.fold(specs, own), WORDS: _as_text(specs, own)} for own in moments)
        except QuartetError as error:
            return error
        attributes = [encoded[s.text].attributes if isinstance(s, Sentence) else Attributes() for s in sources]
        notes = dict.fromkeys(text.note for text in sentences if text.note)
        phrases = sentences[0].phrases if len(sources) == len(sentences) == 1 else {}
        return Resolved(question, specs, moments, queries, tuple(attributes), tuple(notes), phrases)

    def _encode(self, texts: Sequence[str]) -> list[EncodedText]:
        found = self._encoder.encode_queries(texts)
        notes = found.notes or [""] * len(texts)
        phrases = found.phrases or [{}] * len(texts)
        return [
            EncodedText(row(found.vectors, i), attributes, note, own)
            for i, (attributes, note, own) in enumerate(zip(found.attributes, notes, phrases, strict=True))
        ]


def _as_text(specs: Sequence[LevelSpec], parts: Sequence[search_parts.Part]) -> FloatArray:
    """(1, d): the sentences of a question as one text, to compare with other texts; zeros if it has none."""
    mixed = np.zeros((1, specs[0].dim))
    for share, part in zip(search_parts.part_shares(parts), parts, strict=True):
        if WORDS in part.rows:
            mixed += share * part.rows[WORDS].astype(np.float64)
    return mixed.astype(np.float32)


def _stored(gallery: AnyGallery, clip_ids: set[int]) -> dict[int, Vectors]:
    known = sorted(clip_id for clip_id in clip_ids if contains(gallery, clip_id))
    if not known:
        return {}
    vectors = vectors_of(gallery, known)
    return {clip_id: row(vectors, i) for i, clip_id in enumerate(known)}


def length_of(rows: Sequence[np.ndarray]) -> float:
    """The mean length of the sentences' vectors at a level, which the vectors of clips, of length 1, are given.

    The head is folded into a sentence at the global level: its vector is longer than 1 there.
    """
    lengths = [float(np.linalg.norm(own)) for own in rows if own.any()]
    return float(np.mean(lengths)) if lengths else 1.0
