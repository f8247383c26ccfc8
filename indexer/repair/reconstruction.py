"""Making again what was lost of single clips and captions: their vectors and pictures, out of the videos and texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.catalog.reader import Catalog
from indexer.catalog.records import Clip, Video
from indexer.disk.durable_files import file_sha256
from indexer.media.decode_pool import DecodedClip, DecodePool
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.pipeline.local_pipeline import BATCH, open_pool
from indexer.search.vectors.row_source import Rows, empty_rows
from indexer.store.generation import LoadEncoder, frames_of
from model.encoder import Encoder, EncoderSpec
from model.levels import FloatArray, finite_rows
from quartet.errors import VideoError

_TIME_TOLERANCE = 1e-6
"""Seconds by which the times of a clip may differ from those in the catalogue."""


class Remaker:
    """Decodes and encodes single items of a library again.

    lost     sentences about what could not be made, one for each video
    encoded  how many items were encoded
    """

    def __init__(self, catalog: Catalog, spec: EncoderSpec, encoder: LoadEncoder) -> None:
        self._catalog = catalog
        self._spec = spec
        self._load = encoder
        self._encoder: Encoder | None = None
        self.lost: dict[str, str] = {}
        self.encoded = 0

    def rows(self, kind: str, ids: npt.NDArray[np.int64]) -> Rows:
        """The vectors of as many of these items as can be made, with their ids, ascending."""
        frames = frames_of(self._spec.frames, kind)
        nothing = empty_rows(self._spec.levels, frames)
        if not len(ids) or self._model() is None:
            return nothing
        encode = self._encode_captions if kind == "captions" else self._encode_clips
        made = dict(encode([int(i) for i in ids]))
        self.encoded += len(made)
        order = np.array(sorted(made), dtype=np.int64)
        if not len(order):
            return nothing
        return order, {name: np.stack([made[int(i)][name] for i in order]) for name in nothing[1]}

    def decoded(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, DecodedClip]]:
        """Clips with their frames and pictures, video by video; those that cannot be had are left out."""
        of_video: dict[int, list[Clip]] = {}
        for clip in clips:
            of_video.setdefault(clip.video_id, []).append(clip)
        with closing(open_pool()) as pool:
            for video_id, wanted in of_video.items():
                video = self._catalog.video(video_id)
                try:
                    yield from self._of_video(pool, video, wanted)
                except VideoError as error:
                    self.lost[str(video.path)] = error.detail

    def _of_video(self, pool: DecodePool, video: Video, wanted: Sequence[Clip]) -> Iterator[tuple[Clip, DecodedClip]]:
        problem = _not_the_same(video)
        if problem:
            raise VideoError(video.path, "unreadable", problem)
        segmentation = WHOLE if video.segmentation is None else Segmentation.parse(video.segmentation)
        left = {clip.id: clip for clip in wanted}
        with closing(pool.clips(video.path, self._spec.frames_per_clip, segmentation)) as found:
            for decoded in found:
                start, end = decoded.clip.span
                for clip in [
                    each for each in left.values() if abs(each.start - start) + abs(each.end - end) < _TIME_TOLERANCE
                ]:
                    yield left.pop(clip.id), decoded
                if not left:
                    return
        raise VideoError(video.path, "unreadable", "Its clips have changed. Index it again.")

    def _encode_clips(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, FloatArray]]]:
        encoder = self._encoder
        assert encoder is not None
        pairs = self.decoded(list(self._catalog.clips(ids).values()))
        while batch := list(islice(pairs, BATCH)):
            vectors = encoder.encode_clips([decoded.clip.frames for _, decoded in batch])
            yield from _each([clip.id for clip, _ in batch], vectors)

    def _encode_captions(self, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, FloatArray]]]:
        encoder = self._encoder
        assert encoder is not None
        texts = self._catalog.captions(ids)
        for first in range(0, len(ids), 64):
            known = [i for i in ids[first : first + 64] if i in texts]
            if known:
                yield from _each(known, encoder.encode_texts([texts[i].text for i in known]).vectors)

    def _model(self) -> Encoder | None:
        if self._encoder is None:
            self._encoder = self._load()
            if self._encoder is None:
                self.lost["model"] = (
                    f"The model {self._spec.name!r} is missing, and lost vectors must be encoded again. Give "
                    "the model with --model."
                )
            elif self._encoder.spec.fingerprint != self._spec.fingerprint:
                self.lost["model"] = "Another model built the library. Give that model with --model."
                self._encoder = None
        return self._encoder


def _each(ids: Sequence[int], vectors: dict[str, FloatArray]) -> Iterator[tuple[int, dict[str, FloatArray]]]:
    finite = finite_rows(vectors)
    for row, item in enumerate(ids):
        if finite[row]:
            yield item, {name: rows[row] for name, rows in vectors.items()}


def _not_the_same(video: Video) -> str | None:
    """Why a file cannot be decoded in the place of the video that was indexed; None: it can."""
    try:
        if video.path.stat().st_size != video.size or file_sha256(Path(video.path)) != video.sha256:
            return "It has changed since it was indexed. Index it again."
    except OSError as error:
        return f"It cannot be read: {error.strerror}. Restore it and run `quartet repair` again."
    return None
