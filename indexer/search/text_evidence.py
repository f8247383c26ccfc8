"""The level `words`: what is said or written at the time of a clip, as evidence that it is what was asked for.

    e(clip) = act(max over the texts t of the clip of <t, q>)    act = sigmoid(scale x + bias)
    score   = max(b, (W b + w e) / (W + w))      b: the fused score of the pictures, W: the sum of its weights

A text raises a clip and never lowers it: most of what is said in a video is not about what the question is about, and
says nothing against the pictures. Where the level does not raise a clip its weight is 0 there.

The search is exact (threshold algorithm; Fagin, Lotem and Naor 2003): the best clips by their pictures and the best
texts are taken, more and more of both, until no clip that was not seen can reach the k-th hit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indexer.search.exact.exhaustive import row_limits
from indexer.search.question import Floats, make_question
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit, LevelScore, SearchResult
from indexer.search.survivors import kth_largest
from indexer.search.text_links import TextLinks
from indexer.search.top_k import search_batch
from indexer.search.vectors.gallery import Gallery
from model.levels import WORDS, FloatArray, LevelSpec, Vectors

Ids = npt.NDArray[np.int64]

_TEXTS = 64
"""So many texts are looked at first."""

_MAX_HITS = 16_384
"""Hits that another engine gives at most (Milvus)."""

_SLACK = 1e-9
"""By so much may scores of one pair differ that were added up in another order."""

_SOME = 1 << 14
"""Texts of candidates whose vectors are in memory at the same time."""


class BestText(NamedTuple):
    """The text of a clip that is nearest to the question, and its inner product with it."""

    text: int
    raw: float


class ScoredClips(Protocol):
    """Clips, scored by their pictures: `indexer.search.ranking.Scored` is one."""

    ids: Ids
    scores: Floats

    def hits(self, chosen: Ids) -> list[Hit]:
        """Some of them, by their places."""
        ...


class ListedClips:
    """Clips whose hits are made already."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self.ids = np.array([hit.id for hit in hits], np.int64)
        self.scores = np.array([hit.score for hit in hits], np.float64)

    def hits(self, chosen: Ids) -> list[Hit]:
        return [self._hits[place] for place in chosen.tolist()]


@dataclass(frozen=True)
class Pictures:
    """How clips are searched by their pictures.

    best    the first k of them
    among   those of the given ids, all of them; -inf for clips that are not hits
    weight  the sum of the weights of the levels that the question has; 0: the pictures do not count
    """

    best: Callable[[int], SearchResult]
    among: Callable[[Ids], ScoredClips]
    weight: float


class TextEvidence:
    """The texts of a library, behind the level `words`. Safe to use from many threads.

    captions  the gallery of the texts
    levels    those of the model; a text and a question are compared by the first of them
    links     pairs whose texts are in the gallery
    spec      activation and default weight of the level
    noise     (B, d) questions without meaning: a text tells something if it is nearer than any text is to these
    """

    def __init__(
        self,
        captions: AnyGallery,
        levels: Sequence[LevelSpec],
        links: TextLinks,
        spec: LevelSpec,
        noise: FloatArray | None = None,
    ) -> None:
        self._captions = captions
        # Texts with texts: no head was trained to score them, so they are compared by their cosine.
        self._levels = [replace(level, activation="identity", scale=1.0, bias=0.0) for level in levels]
        self._only = {level.name: float(i == 0) for i, level in enumerate(levels)}
        self._links = links
        self.spec = spec
        self._floor = 0.0 if noise is None else self._reach(noise)

    def is_evidence(self, activation: float) -> bool:
        """Whether a text of this activation says that its clip was asked for: it is nearer than chance."""
        return activation > self._floor

    def _reach(self, queries: FloatArray) -> float:
        """The largest activation of a text for any of these questions (B, d)."""
        rows = self._rows(queries)
        # Together: on a busy service one search at a time would wait for other threads many times.
        found = search_batch(self._captions, self._levels, rows, 1, self._only, self._links.distinct, exact=True)
        raw = [result.hits[0].score for result in found if result.hits]
        return float(self.spec.activate(np.array(max(raw)))) if raw else 0.0

    def __len__(self) -> int:
        return len(self._links.texts)

    def raise_hits(
        self,
        query: FloatArray,
        weight: float,
        k: int,
        pictures: Pictures,
        found: SearchResult | None = None,
        allowed: Ids | None = None,
        near: SearchResult | None = None,
    ) -> SearchResult:
        """The first k clips by pictures and texts together, ties by lower id.

        query    (1, d): the question as a text
        weight   of this level, above 0
        found    what `pictures.best(k)` has given, if that is known
        allowed  ids of the clips that may be hits; None: all
        near     what `nearest` has given, if that is known
        """
        links = self._links if allowed is None else self._links.within(allowed)
        texts, depth = _TEXTS, k
        every = links.distinct
        while True:
            near = self._nearest(query, texts, every, filtered=allowed is not None)[0] if near is None else near
            unseen = near.hits[-1].score if len(near.hits) < len(every) else -math.inf
            if pictures.weight:
                found = pictures.best(depth) if found is None else found
            seen: ScoredClips = ListedClips(found.hits if pictures.weight and found is not None else ())
            lacking = found is not None and len(found.hits) >= depth
            floor = found.hits[-1].score if lacking and found is not None else -math.inf
            parts = [self._with_texts(seen, query, links, weight, pictures.weight)]
            known = floor if found is not None and found.exact else -math.inf
            kth = kth_largest(parts[0].scores, k)
            rest = self._worth_scoring(links, near, seen.ids, known, kth, weight, pictures.weight)
            if len(rest):
                parts.append(self._with_texts(pictures.among(rest), query, links, weight, pictures.weight))
                kth = kth_largest(np.concatenate([part.scores for part in parts]), k)
            # What a clip that was seen in neither list scores at most, raised by its text.
            bound = self._mixed(floor, unseen, weight, pictures.weight)
            if unseen == -math.inf or (pictures.weight and not lacking) or bound < kth:
                base = found or near
                first = _first(k, parts)
                raised = [self.raised(hit, text, weight, pictures.weight) for hit, text in first]
                texts_of = {hit.id: text.text for hit, text in first if text is not None}
                return replace(base, hits=raised, exact=base.exact and near.exact, texts=texts_of)
            texts, depth, found, near = 4 * texts, 2 * depth, None, None

    def nearest(self, queries: FloatArray) -> list[SearchResult]:
        """For each of B queries (B, d) the texts that `raise_hits` looks at first: together they take less time."""
        return self._nearest(queries, _TEXTS, self._links.distinct, filtered=False)

    def _worth_scoring(
        self,
        links: TextLinks,
        near: SearchResult,
        seen: Ids,
        floor: float,
        kth: float,
        weight: float,
        others: float,
    ) -> Ids:
        """The clips of the nearest texts that were not seen yet and may score `kth`, where no picture of theirs scores
        more than `floor`; -inf: that is not known."""
        products = np.array([hit.score for hit in near.hits])
        clips, raw = links.best_of(np.array([hit.id for hit in near.hits], np.int64), products)
        new = ~np.isin(clips, seen)
        if floor > -math.inf:
            most = (others * floor + weight * self.spec.activate(raw)) / (others + weight)
            new &= most >= kth - _SLACK
        return clips[new]

    def activation_limits(self, queries: FloatArray, clips: Ids) -> tuple[Floats, Floats, bool]:
        """What the best text of each of these clips, which all differ, gives at least and most for each of B queries.

        (B, n) each, -inf for clips without a text, and whether these limits are proven.
        """
        low, high, exact = self._text_limits(queries)
        known, first, _ = self._links.texts_of_clips
        place = np.minimum(np.searchsorted(known, clips), len(known) - 1)
        there = known[place] == clips
        found = np.full((2, len(queries), len(clips)), -np.inf)
        for own, best in zip((low, high), found, strict=True):
            raw = np.maximum.reduceat(own[:, self._columns], first, axis=1)[:, place[there]]
            best[:, there] = np.where(raw > -np.inf, self.spec.activate(raw), -np.inf)
        return found[0], found[1], exact

    def activations(self, query: FloatArray, clips: Ids) -> Floats:
        """What the best text of each of these clips gives, in float64: (n,), -inf for clips without one."""
        best = self.best_texts(query, clips)
        raw = np.array([best[clip].raw if clip in best else -np.inf for clip in clips.tolist()])
        return np.where(raw > -np.inf, self.spec.activate(raw), -np.inf)

    def _text_limits(self, queries: FloatArray) -> tuple[Floats, Floats, bool]:
        """Between what the inner products of texts with B queries are: (B, rows of the gallery) each, or those of the
        distinct texts in another engine."""
        texts = self._links.distinct
        rows = self._rows(queries)
        question = make_question(self._levels, rows, self._only)
        if isinstance(self._captions, Gallery):
            return (*row_limits(self._captions, question), True)
        depth = min(len(self._captions), _MAX_HITS)
        low, high = np.full((2, len(queries), len(texts)), -np.inf)
        found = self._captions.answer(question, depth, texts, True)
        for query, result in enumerate(found):
            ids = np.array([hit.id for hit in result.hits], np.int64)
            if len(ids) == depth < len(texts):
                high[query] = result.hits[-1].score if result.bound is None else result.bound
            known = np.searchsorted(texts, ids)
            low[query, known] = high[query, known] = [hit.score for hit in result.hits]
        return low, high, all(result.exact for result in found)

    @cached_property
    def _columns(self) -> Ids:
        """Where each pair of `texts_of_clips` is among what `_text_limits` gives."""
        texts = self._links.texts_of_clips[2]
        if isinstance(self._captions, Gallery):
            return self._captions.positions(self._links.distinct)[texts]
        return texts

    def best_texts(self, query: FloatArray, clips: Ids) -> dict[int, BestText]:
        """For each of these clips that has a text, the nearest one, in float64; ties by lower id."""
        told = map(BestText, *(own.tolist() for own in self._best_texts(query, clips, self._links)))
        return {clip: text for clip, text in zip(clips.tolist(), told, strict=True) if text.raw > -math.inf}

    def _best_texts(self, query: FloatArray, clips: Ids, links: TextLinks) -> tuple[Ids, Floats]:
        """Of each clip (n,), which all differ, the nearest text and its inner product; -inf for clips without one."""
        own = links.within(clips)
        texts, place = np.unique(own.texts, return_inverse=True)
        raw = np.empty(len(texts))
        for start in range(0, len(texts), _SOME):
            part = slice(start, start + _SOME)
            raw[part] = self._vectors(texts[part]).astype(np.float64) @ query[0].astype(np.float64)
        products = raw[place]
        order = np.lexsort((own.texts, -products, own.clips))
        found, first = np.unique(own.clips[order], return_index=True)
        best = order[first]
        nearest, product = np.zeros(len(clips), np.int64), np.full(len(clips), -np.inf)
        if len(found):
            row = np.minimum(np.searchsorted(found, clips), len(found) - 1)
            there = found[row] == clips
            nearest[there], product[there] = own.texts[best[row[there]]], products[best[row[there]]]
        return nearest, product

    def _rows(self, queries: FloatArray) -> Vectors:
        """Queries (B, d) for the level by which texts are compared, and nothing for the others."""
        rows: Vectors = {level.name: np.zeros((len(queries), level.dim), np.float32) for level in self._levels}
        rows[self._levels[0].name] = queries
        return rows

    def _vectors(self, texts: Ids) -> FloatArray:
        level = self._levels[0].name
        if isinstance(self._captions, Gallery):
            return self._captions.rows(level, self._captions.positions(texts))
        return self._captions.vectors(texts)[level]

    def _nearest(self, queries: FloatArray, count: int, texts: Ids, filtered: bool) -> list[SearchResult]:
        rows = self._rows(queries)
        # A few texts of no clip do not matter, but a search that meets many of them would look at too few others.
        chosen = texts if filtered or len(texts) < len(self._captions) else None
        return search_batch(self._captions, self._levels, rows, count, self._only, chosen, exact=True, explain=False)

    def _mixed(self, pictures: float, raw: float, weight: float, others: float) -> float:
        if raw == -math.inf:
            return -math.inf
        activation = float(self.spec.activate(np.array(raw)))
        return activation if not others else (others * pictures + weight * activation) / (others + weight)

    def _with_texts(
        self, clips: ScoredClips, query: FloatArray, links: TextLinks, weight: float, others: float
    ) -> _Candidates:
        """What clips score as `raised` makes them; -inf: nothing."""
        texts, raw = self._best_texts(query, clips.ids, links)
        activation = np.where(raw > -np.inf, self.spec.activate(raw), -np.inf)
        if others:
            part = others / (others + weight)
            raised = activation > clips.scores
            scores = np.where(raised, part * clips.scores + (1 - part) * activation, clips.scores)
        else:
            scores = np.where(clips.scores > -np.inf, activation, -np.inf)
        return _Candidates(clips, scores, texts, raw)

    def raised(self, hit: Hit, text: BestText | None, weight: float, others: float) -> Hit:
        """A hit with this level, which counts where it raises the score.

        weight  of this level; others: the sum of the weights of the levels that the question has
        """
        if text is None:
            score = hit.score if others else -math.inf
            return Hit(hit.id, score, {**hit.levels, WORDS: LevelScore(0.0, 0.0, 0.0, 0.0)})
        activation = float(self.spec.activate(np.array(text.raw)))
        if others and activation <= hit.score:
            return hit._replace(levels={**hit.levels, WORDS: LevelScore(text.raw, activation, 0.0, 0.0)})
        part = others / (others + weight)
        levels = {
            name: LevelScore(raw, own, share if others else 0.0, part * given)
            for name, (raw, own, share, given) in hit.levels.items()
        }
        levels[WORDS] = LevelScore(text.raw, activation, weight, (1 - part) * activation)
        return Hit(hit.id, part * hit.score + (1 - part) * activation if others else activation, levels)


class _Candidates(NamedTuple):
    """Clips, what they score with their texts, and of each the nearest text and its inner product; -inf: none."""

    clips: ScoredClips
    scores: Floats
    texts: Ids
    raw: Floats


def _first(k: int, parts: Sequence[_Candidates]) -> list[tuple[Hit, BestText | None]]:
    """The first k by their scores, ties by lower id, each with its text."""
    ids = np.concatenate([part.clips.ids for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    order = np.lexsort((ids, -scores))
    order = order[scores[order] > -np.inf][:k]
    found: dict[int, tuple[Hit, BestText | None]] = {}
    start = 0
    for part in parts:
        end = start + len(part.scores)
        chosen = order[(order >= start) & (order < end)] - start
        told = zip(part.texts[chosen].tolist(), part.raw[chosen].tolist(), strict=True)
        for place, hit, (text, raw) in zip(chosen.tolist(), part.clips.hits(chosen), told, strict=True):
            found[start + place] = hit, BestText(text, raw) if raw > -math.inf else None
        start = end
    return [found[place] for place in order.tolist()]
