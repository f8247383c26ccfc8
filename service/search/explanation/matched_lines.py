"""The line that is shown with a hit: the text at its time that answers the question, with the words marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

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


def matched_lines(
    catalog: Catalog,
    evidence: TextEvidence | None,
    query: FloatArray | None,
    hits: Sequence[Hit],
    asked: str,
    words: str | None,
) -> dict[int, schemas.Line]:
    """The line of each hit that has one, by its id.

    query  (1, d) the question as a text; a hit whose score a text has raised shows that text
    asked  the sentence, whose words are marked
    words  exact words that were asked for: then it is a line with these
    """
    if words is not None:
        exact = phrases_of(words)
        found = lines_with(catalog, [hit.id for hit in hits], words)
        return {clip: _line(line, _phrase_marks(line.text, exact)) for clip, line in found.items()}
    raised = [hit.id for hit in hits if WORDS in hit.levels and hit.levels[WORDS].weight > 0]
    if evidence is None or query is None or not raised:
        return {}
    best = evidence.best_texts(query, np.array(raised, np.int64))
    lines = lines_of(catalog, [(clip, text.text) for clip, text in best.items()])
    sought = {_stem(word) for word in _WORD.findall(asked.lower()) if word not in _COMMON}
    return {clip: _line(line, word_marks(line.text, sought)) for (clip, _), line in lines.items()}


def word_marks(text: str, stems: Collection[str]) -> list[tuple[int, int]]:
    """Where the words of a text are that have one of these stems: [from, to) in characters."""
    return [match.span() for match in _WORD.finditer(text) if _stem(match.group().lower()) in stems]


def _phrase_marks(text: str, phrases: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    found = []
    for phrase in phrases:
        pattern = r"\W+".join(re.escape(word) for word in phrase)
        found += [match.span() for match in re.finditer(rf"\b{pattern}\b", text, re.IGNORECASE)]
    return sorted(found)


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
