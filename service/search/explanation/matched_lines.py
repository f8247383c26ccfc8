"""The line that is shown with a hit: the text at its time that answers the question, with the words marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from indexer.catalog.reader import Catalog
from indexer.catalog.text_reader import TextLine, lines_of, lines_with
from indexer.search.filters import phrases_of
from indexer.search.result import Hit
from indexer.search.text_evidence import TextEvidence
from model.levels import WORDS, FloatArray
from quartet.schemas import search_answers as schemas

_WORD = re.compile(r"\w+")

_COMMON = frozenset(
    {
        *("a", "an", "the", "and", "or", "that", "this", "who", "what", "with", "as", "at", "by", "for", "from", "in"),
        *("of", "on", "to", "is", "are", "was", "were", "be", "has", "have", "i", "you", "he", "she", "it", "we"),
        *("they", "them", "their", "his", "her", "its", "your"),
    }
)
"""Words that are in most sentences."""


@dataclass(frozen=True)
class Asked:
    """A question whose hits are shown.

    query     (1, d) the question as a text, None without one; a hit whose score a text has raised shows that text
    hits      those that are shown
    texts     the nearest text of hits, by their ids, where the search has told
    sentence  the words that are marked are its
    words     exact words that were asked for: then it is a line with these
    """

    query: FloatArray | None
    hits: Sequence[Hit]
    texts: Mapping[int, int]
    sentence: str
    words: str | None


def matched_lines(
    catalog: Catalog, evidence: TextEvidence | None, asked: Sequence[Asked]
) -> list[dict[int, schemas.Line]]:
    """For each question the line of each hit that has one, by its id."""
    texts = [_raising_texts(evidence, own) for own in asked]
    pairs = [pair for own in texts for pair in own]
    lines = lines_of(catalog, pairs) if pairs else {}
    found = []
    for one, own in zip(asked, texts, strict=True):
        known = {pair: lines[pair] for pair in own if pair in lines}
        found.append(_marked(known, one.sentence) if one.words is None else _with_words(catalog, one))
    return found


def _raising_texts(evidence: TextEvidence | None, asked: Asked) -> list[tuple[int, int]]:
    """(clip, text) of the hits whose scores a text has raised."""
    raised = [hit.id for hit in asked.hits if WORDS in hit.levels and hit.levels[WORDS].weight > 0]
    if evidence is None or asked.query is None or asked.words is not None or not raised:
        return []
    if all(clip in asked.texts for clip in raised):
        return [(clip, asked.texts[clip]) for clip in raised]
    best = evidence.best_texts(asked.query, np.array(raised, np.int64))
    return [(clip, text.text) for clip, text in best.items()]


def _marked(lines: Mapping[tuple[int, int], TextLine], sentence: str) -> dict[int, schemas.Line]:
    sought = {_stem(word) for word in _WORD.findall(sentence.lower()) if word not in _COMMON}
    return {clip: _line(line, word_marks(line.text, sought)) for (clip, _), line in lines.items()}


def _with_words(catalog: Catalog, asked: Asked) -> dict[int, schemas.Line]:
    assert asked.words is not None
    exact = phrases_of(asked.words)
    found = lines_with(catalog, [hit.id for hit in asked.hits], asked.words)
    return {clip: _line(line, _phrase_marks(line.text, exact)) for clip, line in found.items()}


def word_marks(text: str, stems: Collection[str]) -> list[tuple[int, int]]:
    """Where the words of a text are that have one of these stems: [from, to) in characters."""
    return [span for stem, span in _stems(text) if stem in stems]


@lru_cache(1 << 11)
def _stems(text: str) -> list[tuple[str, tuple[int, int]]]:
    """The stem of each word of a text, and where it is."""
    return [(_stem(match.group().lower()), match.span()) for match in _WORD.finditer(text)]


def _phrase_marks(text: str, phrases: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    found = []
    for phrase in phrases:
        pattern = r"\W+".join(re.escape(word) for word in phrase)
        found += [match.span() for match in re.finditer(rf"\b{pattern}\b", text, re.IGNORECASE)]
    return sorted(found)


@lru_cache(1 << 14)
def _stem(word: str) -> str:
    """Without the commonest endings of English: good enough to mark `rates` for `rate`, and never to find by."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word.removesuffix("e") if len(word) > 3 else word


def _line(line: TextLine, marks: Sequence[tuple[int, int]]) -> schemas.Line:
    return schemas.Line(
        caption_id=line.caption_id,
        text=line.text,
        source=line.source,
        start=line.start,
        end=line.end,
        language=line.language,
        marks=list(marks),
    )
