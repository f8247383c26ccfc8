"""Which words each hit shows, by the concept heads of the model."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.search.remote_gallery import AnyGallery
from model.language.parsed_caption import Attributes, merge_attributes
from quartet.errors import QuartetError
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.ranking.batch_ranking import RankedItems, clips_of, vectors_of


def matched_words(
    encoder: SharedEncoder | EncoderProcesses, gallery: AnyGallery, asked: Sequence[tuple[int, Attributes]]
) -> list[Attributes]:
    """For clips of the gallery and words: which of its words each clip shows."""
    return encoder.concepts(vectors_of(gallery, [clip for clip, _ in asked]), [words for _, words in asked])


def matched_by_hits(
    encoder: SharedEncoder | EncoderProcesses,
    gallery: AnyGallery,
    ranked: Sequence[RankedItems | QuartetError],
    words: Sequence[Sequence[Attributes]],
) -> list[list[Attributes]]:
    """For every question, whose words are given for each of its moments: which of them each of its hits shows."""
    asked = [
        [[(clip.id, words) for clip, words in zip(clips, own_words, strict=True)] for clips in clips_of(own)]
        for own, own_words in zip(ranked, words, strict=True)
    ]
    found = iter(matched_words(encoder, gallery, [pair for own in asked for hit in own for pair in hit]))
    return [[merge_attributes([next(found) for _ in hit]) for hit in own] for own in asked]
