"""Changing the model of a library that is in use: every clip and text is encoded by the next model, then all at once
become the next generation. Until then the previous model answers, and whatever has been encoded is kept.

The same way a library comes to vectors of frames, or gives them up.

The clips keep their ids, pictures, tags and captions. Of the previous model a generation stays, so that the way back
encodes only what has come since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Engine

from indexer.catalog.model_change import begin_change, clips_by_video, generation_before, keep_next, next_ids, next_rows
from indexer.catalog.records import FileState, NewClip, Video
from indexer.catalog.saved_searches import saved_search_list
from indexer.catalog.writer import CatalogWriter
from indexer.disk.presence import is_gone
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.pipeline.contract import Job, Pipeline
from indexer.pipeline.file_outcomes import Encoded, Part, Refused
from indexer.pipeline.progress import Meter, Progress
from indexer.search.vectors.row_source import RowSource, joined
from indexer.store.generation import KINDS, Generation, open_generation
from indexer.store.generation_swap import publish_whole
from indexer.store.layout import generation_folder, next_number
from indexer.store.library import Library
from indexer.store.manifest import ModelInfo, model_info
from indexer.store.publishing import finish_cut_short
from indexer.store.search_settings import claim_search_settings, read_search_settings
from indexer.texts.captions import BATCH
from model.encoder import Encoder, EncoderSpec
from model.levels import finite_rows
from quartet.errors import InputError

_TIME_TOLERANCE = 1e-6
"""Seconds by which the times of a clip may differ from those in the catalogue."""


@dataclass(frozen=True)
class ModelChange:
    """A change of the model of a library.

    clips, captions  that the next model has encoded in this run
    done             whether it answers now; if not, the run was stopped
    left             clips that it has not encoded
    fit_again        sentences about what was set or chosen for the previous model
    """

    before: ModelInfo
    after: ModelInfo
    clips: int
    captions: int
    done: bool
    left: int
    fit_again: Sequence[str]


class _Trouble(NamedTuple):
    """Why a video cannot be encoded again, as a sentence; `passing` if the file cannot even be read now."""

    detail: str
    passing: bool


def change_model(
    library: Library,
    writer: CatalogWriter,
    encoder: Encoder,
    spec: EncoderSpec,
    pipeline: Pipeline,
    sources: Sequence[Path],
    keep_missing: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ModelChange:
    """Encode all that a library holds with another model and publish it; go on with it where a run was stopped.

    writer   of the catalogue, for the previous model; its caller holds the writer's lock
    spec     what the library is to have: that of the encoder, less the vectors of frames if none are to be kept
    sources  what is indexed afterwards: videos in there that are gone or have changed may leave, others may not

    Ctrl-C keeps what is complete. Raises InputError, and changes nothing that is searched, if videos cannot be encoded
    that would then be lost.
    """
    change = _Change(library, writer, encoder, spec, pipeline, on_progress)
    stopped = False
    try:
        change.encode_texts()
        change.encode_clips()
    except KeyboardInterrupt:
        stopped = True
    if not stopped:
        change.go_over(sources, keep_missing)
    return change.report()


_CHANGING = _Trouble("It changed while it was read.", passing=True)


class _Change:
    """One run of a change."""

    def __init__(
        self,
        library: Library,
        writer: CatalogWriter,
        encoder: Encoder,
        spec: EncoderSpec,
        pipeline: Pipeline,
        on_progress: Callable[[Progress], None],
    ) -> None:
        finish_cut_short(library, writer)
        self._library, self._writer, self._encoder, self._pipeline = library, writer, encoder, pipeline
        self._on_progress = on_progress
        self._live = library.current()
        self._spec = spec
        self._engine: Engine = writer.engine
        claim_search_settings(library.path, self._live.model.fingerprint)
        begin_change(self._engine, self._spec)
        self._kept = _generation_of(library, self._engine, self._spec)
        if self._live.model.fingerprint == spec.fingerprint and spec.frames is None:
            self._kept = self._live  # it has all of it, and frames besides
        self._trouble: dict[int, _Trouble] = {}
        self._clips = self._captions = 0
        self._done = False

    def encode_texts(self) -> None:
        wanted = self._missing("captions")
        for first in range(0, len(wanted), BATCH):
            texts = self._library.catalog.captions(wanted[first : first + BATCH])
            ids = sorted(texts)
            vectors = self._encoder.encode_texts([texts[item].text for item in ids]).vectors
            finite = finite_rows(vectors)
            rows = {item: _row(vectors, i) for i, item in enumerate(ids) if finite[i]}
            keep_next(self._engine, self._spec, "captions", rows)
            self._captions += len(rows)

    def encode_clips(self) -> None:
        """Decode and encode every video that has clips without vectors of the next model."""
        missing = set(self._missing("clips"))
        by_video = {
            video: clips for video, clips in clips_by_video(self._engine).items() if missing & {c[0] for c in clips}
        }
        videos = {v.path: v for v in self._library.catalog.list_videos(limit=None) if v.id in by_video}
        jobs = [_job(video, by_video[video.id], missing) for video in videos.values()]
        meter = Meter(self._pipeline.lanes)
        done, seconds = 0, 0.0

        def progress(path: Path | None) -> Progress:
            return Progress(done, len(jobs), path, self._clips, done, seconds, meter.seconds, meter.busy())

        self._on_progress(progress(None))
        with closing(self._pipeline.outcomes(jobs, meter)) as outcomes:
            for outcome in outcomes:
                video = videos[outcome.file.path]
                with meter.working("write"):
                    if isinstance(outcome, Part | Encoded):
                        self._keep(video, by_video[video.id], missing, outcome)
                        seconds += outcome.seconds
                    elif isinstance(outcome, Refused):
                        self._trouble[video.id] = _Trouble(outcome.error.detail, passing=not outcome.file.sha256)
                done += not isinstance(outcome, Part)
                self._on_progress(progress(video.path))

    def _keep(
        self, video: Video, known: Sequence[tuple[int, float, float]], missing: set[int], made: Part | Encoded
    ) -> None:
        """Keep the vectors of clips, where they are the clips that the catalogue has."""
        last = made.first + len(made.clips)
        if made.file.sha256 != video.sha256:
            self._trouble[video.id] = _Trouble("It has changed since it was indexed.", passing=False)
        elif not _same(known[made.first : last], made.clips) or (isinstance(made, Encoded) and last != len(known)):
            self._trouble[video.id] = _Trouble("It is divided into other clips now.", passing=False)
        if video.id in self._trouble:
            return
        rows = {item: clip.vectors for (item, _, _), clip in zip(known[made.first : last], made.clips, strict=True)}
        keep_next(self._engine, self._spec, "clips", {item: own for item, own in rows.items() if item in missing})
        missing -= rows.keys()
        self._clips += len(rows)

    def go_over(self, sources: Sequence[Path], keep_missing: bool) -> None:
        """Publish a generation of the next model: from then on it answers."""
        writer, path = self._writer, self._library.path
        writer.remove_videos(self._leaving(sources, keep_missing), next_number(path))
        if refused := self._missing("captions"):
            writer.refuse_items("captions", refused, next_number(path))
        rows, live = {kind: self._rows(kind) for kind in KINDS}, self._live.manifest
        publish_whole(path, self._spec, rows, writer, live.index["approximate_from"], live.store)
        self._done = True

    def _leaving(self, sources: Sequence[Path], keep_missing: bool) -> list[int]:
        """Videos that have no vectors of the next model, and that the run over `sources` takes out or in again.

        Raises InputError for others: they would be lost.
        """
        missing, leaving, lost = set(self._missing("clips")), [], []
        of_videos = {
            video: clips for video, clips in clips_by_video(self._engine).items() if missing & {c[0] for c in clips}
        }
        for video_id in of_videos:
            video = self._library.catalog.video(video_id)
            detail, passing = self._trouble.get(video_id, _CHANGING)
            ours = any(video.path.is_relative_to(source) for source in sources)
            gone = is_gone(video.path)
            if ours and ((gone and not keep_missing) or not passing):
                leaving.append(video_id)
            else:
                lost.append(f"{video.path} {'is gone' if gone else f'cannot be encoded again: {detail}'}")
        if lost:
            more = f" The same applies to {len(lost) - 1} more." if len(lost) > 1 else ""
            raise InputError(
                f"The model is not changed: {lost[0].rstrip('.')}.{more} Restore such videos, add their "
                "folder to this command, or remove them with `quartet remove`. Then run it again. Encoded "
                f"clips are kept. Until then {self._live.model.name} answers."
            )
        return leaving

    def report(self) -> ModelChange:
        before, after = self._live.model, model_info(self._spec)
        left = 0 if self._done else len(self._missing("clips"))
        again = fit_again(self._library, before)
        return ModelChange(before, after, self._clips, self._captions, self._done, left, again)

    def _missing(self, kind: str) -> list[int]:
        """Ids of the items of a gallery without vectors of the next model."""
        made = next_ids(self._engine, kind)
        if self._kept is not None:
            made |= set(self._kept.gallery(kind).ids.tolist())
        return [item for item in self._writer.live_ids(kind).tolist() if item not in made]

    def _rows(self, kind: str) -> RowSource:
        """All items of a gallery by the next model: those just made, and those of its generation that was kept."""
        rows = next_rows(self._engine, self._spec, kind)
        if self._kept is not None:
            gallery = self._kept.gallery(kind)
            rows = joined(gallery.source().only(np.setdiff1d(gallery.ids, rows.ids)), rows)
        return rows.only(np.intersect1d(rows.ids, self._writer.live_ids(kind)))


def fit_again(library: Library, before: ModelInfo) -> list[str]:
    """What of a library was set or chosen for the previous model and does not hold for another, as sentences."""
    notes = []
    settings = read_search_settings(library.path, before.fingerprint)
    if settings.prompts:
        notes.append("Prompts: set them again with `quartet tune --prompts`.")
    if settings.weights:
        notes.append("Weights of levels: fit them again with `quartet evaluate --fit-weights --save`.")
    names = [one.name for one in saved_search_list(library.catalog.engine) if _has_numbers(one.request)]
    if names:
        notes.append(f"Thresholds or weights of saved searches: save these again: {', '.join(names)}.")
    return notes


def _has_numbers(request: str) -> bool:
    """Whether a saved search has numbers that mean something else with another model."""
    asked = json.loads(request)
    return asked.get("min_score") is not None or bool(asked.get("weights"))


def _generation_of(library: Library, engine: Engine, spec: EncoderSpec) -> Generation | None:
    """The generation that was kept, if it is of the next model: the way back."""
    number = generation_before(engine)
    folder = None if number is None else generation_folder(library.path, number)
    if folder is None or not folder.is_dir():
        return None
    generation = open_generation(folder)
    return generation if generation.manifest.spec.is_same(spec) else None


def _job(video: Video, clips: Sequence[tuple[int, float, float]], missing: set[int]) -> Job:
    """A video with the first of its clips that are encoded already."""
    first = next(place for place, clip in enumerate(clips) if clip[0] in missing)
    segmentation = WHOLE if video.segmentation is None else Segmentation.parse(video.segmentation)
    file = FileState(video.path, video.size, video.mtime)
    return Job(file, segmentation, kept={video.sha256: first})


def _same(known: Sequence[tuple[int, float, float]], made: Sequence[NewClip]) -> bool:
    return len(known) == len(made) and all(
        abs(start - clip.start) + abs(end - clip.end) < _TIME_TOLERANCE
        for (_, start, end), clip in zip(known, made, strict=True)
    )


def _row(vectors: Mapping[str, np.ndarray], place: int) -> dict[str, np.ndarray]:
    return {name: rows[place] for name, rows in vectors.items()}
