"""A second look at the best hits: the phrases of a query against the single frames of each clip.

An index holds one vector of a clip and level, but which frames show a phrase depends on the phrase. Here the frames
themselves are compared. With c_t the cosine of a phrase with frame t of a clip, and w_t the mean of c over a window of
frames that begins at t (of one frame, or of as many as the level's `FrameSpec.window` says):

    raw_l = mean over the phrases of the mean of the `FrameSpec.best` largest w_t

takes the place of the inner product of level l. The rest is as before: activations, weights, their mean. Levels
without phrases or without a window keep their score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from indexer.search.result import Hit, LevelScore
from indexer.search.vectors.gallery import Gallery
from model.levels import FloatArray, FrameSpec, LevelSpec

Floats = npt.NDArray[np.float64]

_BLOCK = 16
"""Clips whose frames are single precision at a time: they fit into the cache of a core."""

_BIAS = np.float32(2.0**112)
"""Between the exponents of the two formats (`_single`)."""

_SIGN_AND_NUMBER = np.int32(-0x70000001)
"""All bits but those that hold copies of the sign (`_single`)."""


def look_again(
    gallery: Gallery,
    specs: Sequence[LevelSpec],
    phrases: Mapping[str, FloatArray],
    hits: Sequence[Hit],
    most: int | None = None,
) -> list[Hit]:
    """The hits, all of which have a level that counts, in the order of their new scores, ties by lower id.

    gallery  one that keeps frames (`Gallery.frames`)
    phrases  of the query by level, (P_l, d) of length 1
    most     how many hits are wanted; None: all
    """
    kept = gallery.frames
    assert kept is not None
    looked = [spec for spec in specs if spec.name in kept.window and len(phrases.get(spec.name, ()))]
    if not hits:
        return []
    ids = np.array([hit.id for hit in hits], np.int64)
    names = [spec.name for spec in specs]
    fields = list(chain.from_iterable(hit.levels[name] for hit in hits for name in names))
    scores = np.array(fields).reshape(len(hits), len(specs), 4)  # as `LevelScore` has them
    raw, activation, weight, share = (scores[:, :, field] for field in range(4))
    first = 0
    if looked:
        asked = np.concatenate([phrases[spec.name] for spec in looked])
        cosines, lengths = _cosines(gallery, gallery.positions(ids), asked)
    for spec in looked:
        column, last = names.index(spec.name), first + len(phrases[spec.name])
        there = (weight[:, column] > 0) & (lengths > 0)
        best = best_windows(cosines[there, first:last], lengths[there], kept.window[spec.name], kept.best)
        raw[there, column] = best.mean(axis=1)
        activation[there, column] = spec.activate(raw[there, column])
        first = last
    share[:] = weight * activation / weight.sum(axis=1, keepdims=True)
    total = share.sum(axis=1)
    order = np.lexsort((ids, -total))[:most]
    return [
        Hit(hit, score, dict(zip(names, map(LevelScore._make, levels), strict=True)))
        for hit, score, levels in zip(ids[order].tolist(), total[order].tolist(), scores[order].tolist(), strict=True)
    ]


def best_windows(cosines: FloatArray, lengths: npt.NDArray[np.int64], size: int, best: int) -> Floats:
    """The mean of the `best` largest windows of every clip and phrase: (n, P).

    cosines (n, P, T), of which the first `lengths` (n,) >= 1 of each clip count. A shorter clip is one window.
    """
    width = np.minimum(size, lengths)
    starts = np.arange(cosines.shape[2])
    means = cosines
    if size > 1:
        sums = np.zeros((*cosines.shape[:2], cosines.shape[2] + 1))
        np.cumsum(cosines, axis=2, out=sums[:, :, 1:])
        ends = np.minimum(starts + width[:, None], cosines.shape[2])
        means = np.take_along_axis(sums, ends[:, None], axis=2)
        means -= sums[:, :, :-1]
        means /= width[:, None, None]
    inside = starts + width[:, None] <= lengths[:, None]
    means = np.sort(np.where(inside[:, None], means, -np.inf), axis=2)[:, :, -best:]
    count = np.minimum(best, inside.sum(axis=1))[:, None]
    return np.asarray(np.sum(means, axis=2, where=means > -np.inf, dtype=np.float64) / count)


def _cosines(
    gallery: Gallery, positions: npt.NDArray[np.int64], phrases: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Of each row the cosine of each phrase with each frame, (n, P, T), and how many frames each row has."""
    kept: FrameSpec = gallery.frames  # type: ignore[assignment]
    asked = np.ascontiguousarray(phrases.T)
    found = np.empty((len(positions), kept.count, len(phrases)), np.float32)
    lengths = np.empty(len(positions), np.int64)
    for start in range(0, len(positions), _BLOCK):
        part = slice(start, start + _BLOCK)
        frames = gallery.frame_rows(positions[part])
        np.matmul(_single(frames).reshape(-1, kept.dim), asked, out=found[part].reshape(-1, len(phrases)))
        there: npt.NDArray[np.bool_] = np.asarray(found[part].any(axis=2))
        if not there.all():  # zeros past the last frame, or a frame that has nothing of any phrase
            there[~there] = frames[~there].any(axis=1)
        lengths[part] = there.sum(axis=1)
    return np.ascontiguousarray(found.transpose(0, 2, 1)), lengths


def _single(halves: npt.NDArray[np.float16]) -> FloatArray:
    """Finite float16 as float32, at a third of the time of NumPy's own conversion.

    Sign, exponent and fraction come to where float32 has them; what differs is the bias of the exponent. The shift
    leaves copies of the sign between sign and exponent.
    """
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_NUMBER
    numbers = bits.view(np.float32)
    numbers *= _BIAS
    return numbers
