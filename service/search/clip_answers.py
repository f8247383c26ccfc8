"""Clips for questions: sentences, clips and uploads in any combination."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from indexer.search.likelihood import Likelihood
from indexer.search.parts import contributions
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit
from indexer.search.text_evidence import TextEvidence
from indexer.store.library import Library
from indexer.store.search_settings import read_search_settings
from indexer.store.served_generation import ServedGeneration
from model.encoder import Frames
from model.language.parsed_caption import merge_attributes
from model.levels import WORDS, Vectors
from quartet.errors import QuartetError
from quartet.schemas import search_answers as schemas
from quartet.schemas.search_answers import ClipAnswer
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.explanation.answer_json import Batch, Stopwatch, asked_parts, attributes_json, clip_hits
from service.search.explanation.likelihoods import Fits
from service.search.explanation.matched_lines import Asked, matched_lines
from service.search.explanation.matched_words import matched_by_hits
from service.search.ranking.batch_ranking import RankedItems, clips_of, ids_of, row, shown_at, vectors_of
from service.search.ranking.part_vectors import PartVectors, Resolved
from service.search.ranking.question_ranking import left_out, rank_questions
from service.search.ranking.text_level import TextLevel
from service.search.requests import Questions, Sentence


class ClipAnswerer:
    """See the module. `parts` keeps encoded sentences; `live` gives the generation to answer from.

    address  what the paths of the library begin with, for the addresses in answers
    """

    def __init__(
        self,
        library: Library,
        encoder: SharedEncoder | EncoderProcesses,
        live: Callable[[], ServedGeneration],
        kept: int,
        address: str,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._live = live
        self._address = address
        self.parts = PartVectors(encoder, kept)
        self.fits = Fits(library, encoder)
        self.texts = TextLevel(library, encoder)
        self._settings = read_search_settings(library.path, encoder.spec.fingerprint)

    def questions(self, asked: Sequence[Questions]) -> list[list[ClipAnswer] | QuartetError]:
        """A request of several questions gets all of its answers or an error."""
        generation = asked[0].generation or self._live()
        watch = Stopwatch()
        questions = [question for one in asked for question in one.questions]
        wanted = [one.wanted for one in asked for _ in one.questions]
        resolved = self.parts.resolve(generation.clips, questions)
        watch.lap("encode")
        texts = self.texts.of(generation)
        ranked = rank_questions(self._library, generation.clips, resolved, wanted, texts)
        watch.lap("search")
        clips = self._library.catalog.clips(ids_of(ranked))
        words = [own.wanted_words if isinstance(own, Resolved) else [] for own in resolved]
        shown = matched_by_hits(self._encoder, generation.clips, ranked, words)
        attributes = [merge_attributes(own) for own in words]
        unknown = self._encoder.unknown(attributes)
        # The time for making JSON of them is not yet known: it is small.
        watch.lap("hydrate")
        likelihood = self.fits.of(generation)
        batch = Batch(generation, self._encoder.spec, len(questions), watch)

        lines = iter(
            matched_lines(
                self._library.catalog,
                texts,
                [
                    Asked(query[WORDS], shown_at(own, m), own.found.texts, _text(known, m), one.words)
                    for known, own, one in zip(resolved, ranked, wanted, strict=True)
                    if not isinstance(known, QuartetError) and not isinstance(own, QuartetError)
                    for m, query in enumerate(known.queries)
                ],
            )
        )

        def answer(i: int) -> ClipAnswer | QuartetError:
            known, own = resolved[i], ranked[i]
            if isinstance(known, QuartetError) or isinstance(own, QuartetError):
                return known if isinstance(known, QuartetError) else own  # type: ignore[return-value]
            fit, likely = _fit(likelihood, texts, generation.clips, known, own)
            asked_words = _text(known)
            return ClipAnswer(
                query=asked_words,
                query_attributes=attributes_json(attributes[i]),
                unknown=attributes_json(unknown[i]),
                parts=asked_parts(known.question, known.attributes),
                fit=fit,
                notes=self._notes(known, wanted[i].explain),
                reranked=None
                if own.looked is None
                else schemas.Reranked(candidates=own.looked.candidates, took_ms=own.looked.took_ms),
                hits=clip_hits(
                    own,
                    clips,
                    shown[i],
                    self._address,
                    _given(generation.clips, known, own),
                    likely,
                    [next(lines) for _ in known.queries],
                    wanted[i].sort,
                ),
                **batch.provenance(wanted[i], own),
            )

        answers = iter([answer(i) for i in range(len(questions))])
        return [_together([next(answers) for _ in one.questions]) for one in asked]

    def _notes(self, known: Resolved, explain: bool) -> list[str]:
        """What to say of an answer; to who asks for an explanation also what the model can and cannot know."""
        model = self._encoder.spec.note if explain else ""
        notes = [*known.notes, *(self._settings.notes() if known.has_sentence else ()), model]
        return [note for note in notes if note]

    def uploads(self, asked: Sequence[Frames]) -> list[Vectors]:
        """Gallery vectors of clips that are not in the library, given by their frames."""
        vectors = self._encoder.encode_clips(asked)
        return [row(vectors, i) for i in range(len(asked))]


def _given(gallery: AnyGallery, resolved: Resolved, ranked: RankedItems) -> list[schemas.PartScores] | None:
    """What each part of a question gave to each hit; None for a question of one part.

    Of a chain each moment scores its share, so its parts give theirs of what they gave to their clip.
    """
    if len(resolved.question.parts) == 1 or not ranked.hits:
        return None
    count = len(resolved.moments)
    given, base, words = [], np.zeros(len(ranked.hits)), np.zeros(len(ranked.hits))
    for moment, parts in enumerate(resolved.moments):
        hits = [chain[moment] for chain in clips_of(ranked)]
        own, rest = contributions(resolved.specs, parts, hits, vectors_of(gallery, [hit.id for hit in hits]))
        # What a text has raised keeps the rest of its weight for the pictures.
        share, of_texts = _of_pictures(hits)
        given.append(share[:, None] * own / count)
        base, words = base + share * rest / count, words + of_texts / count
    return [
        schemas.PartScores(contributions=own, base=rest, words=text)
        for own, rest, text in zip(np.concatenate(given, axis=1).tolist(), base.tolist(), words.tolist(), strict=True)
    ]


def _of_pictures(hits: Sequence[Hit]) -> tuple[np.ndarray, np.ndarray]:
    """Which share of the score of each hit is that of its pictures (H,), and what its text gave."""
    weights = np.array([sum(level.weight for level in hit.levels.values()) for hit in hits])
    texts = np.array([hit.levels[WORDS].weight if WORDS in hit.levels else 0.0 for hit in hits])
    given = [hit.levels[WORDS].contribution if WORDS in hit.levels else 0.0 for hit in hits]
    return 1 - texts / np.maximum(weights, np.finfo(np.float64).tiny), np.array(given)


def _fit(
    likelihood: Likelihood | None,
    texts: TextEvidence | None,
    gallery: AnyGallery,
    resolved: Resolved,
    ranked: RankedItems,
) -> tuple[schemas.Fit | None, list[float] | None]:
    """Whether anything fits a question, and how likely each hit is a match, where that can be said."""
    if likelihood is None or len(resolved.moments) > 1 or not resolved.has_sentence:
        return None, None
    best = next((hit.id for hit in ranked.found.hits if hit.id not in left_out(resolved)), None)
    if best is None:
        return None, None
    vectors = vectors_of(gallery, [best, *(hit.id for hit in ranked.hits)])
    weights = {name: weight for name, weight in ranked.weights.items() if name != WORDS}
    if not any(weights.values()):
        return None, None
    top = next(hit for hit in ranked.found.hits if hit.id == best)
    likely = likelihood.of(resolved.queries[0], weights, vectors).tolist()
    # A text that tells what was asked for makes a match of what the pictures may not show.
    first, *likely = [
        max(own, _text_likelihood(texts, hit)) for own, hit in zip(likely, [top, *ranked.hits], strict=True)
    ]
    fit = schemas.Fit(
        likelihood=round(first, 4),
        nothing_fits=first < likelihood.weak,
        weak=round(likelihood.weak, 4),
        basis=likelihood.basis,
    )
    return fit, likely


def _text_likelihood(texts: TextEvidence | None, hit: Hit) -> float:
    """How likely the text of a hit makes it a match."""
    if texts is None or WORDS not in hit.levels or not hit.levels[WORDS].weight:
        return 0.0
    activation = hit.levels[WORDS].activation
    return activation if texts.is_evidence(activation) else 0.0


def _text(resolved: Resolved, moment: int | None = None) -> str:
    """The first sentence of a question, or of one of its moments; empty if it has none."""
    question = resolved.question
    sources = (part.source for part in (question.parts if moment is None else question.moments[moment].parts))
    return next((source.text for source in sources if isinstance(source, Sentence)), "")


def _together(answers: Sequence[ClipAnswer | QuartetError]) -> list[ClipAnswer] | QuartetError:
    good = [answer for answer in answers if not isinstance(answer, QuartetError)]
    return good if len(good) == len(answers) else next(a for a in answers if isinstance(a, QuartetError))
