"""nDCG with graded relevance: a video that shows half of what a caption says is half right.

Binary relevance calls every video but one wrong, also those that a caption describes as well (Wray, Doughty, Damen, "On
Semantic Similarity in Video Retrieval", CVPR 2021, who take proxies from the captions for this reason). The proxy here
needs no parser and no list of stop words:

    grade(text, video) = sum of idf(word) over the words of the text that the video's captions have
                         / sum of idf(word) over all words of the text                    idf(word) = log(V / videos)

so a text's own video has the grade 1, and a word that all videos have counts nothing. A text that has only such words
says nothing: its own video alone has a grade.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model.evaluation.relevance import Index
from model.evaluation.scores import FUSED, Scores, ScoreSource, block_bounds

_WORD = re.compile(r"\w+")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grades:
    """Grades from 0 to 1 of C texts and V videos, from the captions alone: text i was written for video owner[i].

    texts   (C, W) idf of the words of each text, in rows that sum to 1
    videos  (W, V) 1 where a video's captions have a word
    """

    texts: sparse.csr_matrix
    videos: sparse.csr_matrix
    owner: Index

    @classmethod
    def of(cls, captions: Sequence[str], owner: Index, videos: int) -> Grades:
        index: dict[str, int] = {}
        words = [sorted({index.setdefault(w, len(index)) for w in _WORD.findall(c.lower())}) for c in captions]
        lengths = [len(own) for own in words]
        rows, columns = np.repeat(np.arange(len(words)), lengths), np.array([w for own in words for w in own], np.int64)
        shape = len(words), max(1, len(index))
        word_counts = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)
        video_words = sparse.csr_matrix((np.ones(len(rows)), (columns, owner[rows])), (shape[1], videos))
        video_words.data[:] = 1
        shown = np.asarray(video_words.sum(1)).ravel()
        weighted = word_counts.multiply(np.log(videos / np.maximum(shown, 1))).tocsr()
        total = np.asarray(weighted.sum(1)).ravel()
        scale = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
        return cls(sparse.diags(scale) @ weighted, video_words, owner)

    def block(self, start: int, stop: int) -> Floats:
        """Grades of the texts [start, stop): (texts, videos)."""
        grades = np.asarray((self.texts[start:stop] @ self.videos).todense())
        grades[np.arange(stop - start), self.owner[start:stop]] = 1.0
        return grades


def graded_ndcg(source: ScoreSource, grades: Grades, k: int = 10, name: str = FUSED) -> tuple[float, float]:
    """nDCG of the first k with gains grade / log2(1 + rank), in percent: text to video, video to text.

    Ties count against the model: of equal scores, the lower grade stands first. Videos that no text describes are not
    queries.
    """
    videos = source.shape[1]
    gains: list[Floats] = []
    kept = np.empty((0, videos), np.float32), np.empty((0, videos))  # the best k texts of each video so far
    ideal = np.empty((0, videos))
    for start, stop in block_bounds(source.shape):
        scores, own = np.nan_to_num(source.block(start, stop)[name], nan=-np.inf), grades.block(start, stop)
        gains.append(_dcg(_first(scores.T, own.T, k)[1]) / _dcg(_best(own.T, k)))
        kept = _first(np.concatenate([kept[0], scores]), np.concatenate([kept[1], own]), k)
        ideal = _best(np.concatenate([ideal, own]), k)
    described = np.bincount(grades.owner, minlength=videos) > 0
    back = (_dcg(kept[1]) / np.where(described, _dcg(ideal), 1))[described]
    return 100 * float(np.concatenate(gains).mean()), 100 * float(back.mean())


def _first(scores: Scores, grades: Floats, k: int) -> tuple[Scores, Floats]:
    """Scores and grades (k, n) of the first k rows of each column, in order."""
    order = np.lexsort((grades, -scores), axis=0)[:k]
    return np.take_along_axis(scores, order, 0), np.take_along_axis(grades, order, 0)


def _best(grades: Floats, k: int) -> Floats:
    """The k highest grades of each column, in order."""
    return -np.sort(-grades, axis=0)[:k]


def _dcg(grades: Floats) -> Floats:
    """(k, n) -> (n,)."""
    result: Floats = (grades / np.log2(2 + np.arange(len(grades)))[:, None]).sum(0)
    return result
