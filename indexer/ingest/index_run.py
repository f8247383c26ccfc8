"""Indexing: from files to a published generation.

    walk -> plan -> hash, decode, encode (`indexer.pipeline.local_pipeline`) -> catalogue, a video at a time -> publish

Vectors are staged in the catalogue in the transaction that adds their clip, so a run that is killed at any
instant loses at most the clips in flight, and the next run goes on where it ended. Of a long file the first clips
are kept aside until the last one is there: nobody ever sees half a video.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.catalog.records import Failure
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import writing
from indexer.disk.writer_lock import writer_lock
from indexer.ingest.file_run import FileRun, cuts_of
from indexer.ingest.file_walk import require_mounted, require_outside, resolve_inputs
from indexer.ingest.model_change import ModelChange, change_model
from indexer.ingest.publish_timer import PUBLISH_EVERY, PublishTimer
from indexer.media.segmentation import Segmentation
from indexer.pipeline.contract import Pipeline
from indexer.pipeline.local_pipeline import LocalPipeline
from indexer.pipeline.progress import Progress
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.publishing import publish_changes
from indexer.store.vector_home import checked_store
from indexer.texts.text_makers import TextMaker
from indexer.texts.video_texts import TextReport, VideoTexts
from model.encoder import Encoder, EncoderSpec
from quartet.errors import InputError


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What a run did, in numbers of files.

    recut counts those of the indexed that the library had, but divided otherwise; missing counts videos whose
    files have gone and that were kept on request; refused lists every file under the inputs that cannot be used,
    also those known from earlier runs; clips_total is what the live generation holds; progress is the last report;
    interrupted means that files are left for another run; texts are the subtitles that were read; change is what has
    become of a change of the model.
    """

    clips_total: int
    generation: str
    progress: Progress
    seconds: float
    interrupted: bool
    indexed: int = 0
    recut: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    missing: int = 0
    refused: list[Failure] = field(default_factory=list)
    texts: TextReport = field(default_factory=TextReport)
    change: ModelChange | None = None


def index_videos(
    library_path: Path,
    inputs: Sequence[Path],
    encoder: Encoder,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int = 1,
    pipeline: Pipeline | None = None,
    segmentation: Segmentation | None = None,
    keep_missing: bool = False,
    roots: Mapping[str, Path] | None = None,
    base: Path | None = None,
    wait: bool = False,
    catalog: str | None = None,
    publish_every: float = PUBLISH_EVERY,
    texts: bool = True,
    makers: Sequence[TextMaker] = (),
    to_model: bool = False,
    frame_vectors: bool | None = None,
    store: str | None = None,
) -> IndexReport:
    """Bring a library up to date with the files and folders `inputs`, making it if there is none.

    Files that were indexed and have not changed are skipped, moved ones keep their clips, changed ones are encoded
    again, and videos under `inputs` whose files have gone leave the library. Ctrl-C publishes the finished clips.

    workers       files that are decoded at the same time, where no `pipeline` is given
    pipeline      who decodes and encodes, with the model of `encoder`, instead of this process
    segmentation  how files are divided into clips; those that were divided otherwise are divided again. None: see
                  `indexer.ingest.segmentation_plan.SegmentationPlan`
    keep_missing  hold the videos whose files have gone
    roots         where named roots are for this run; a name that the library does not have makes a new root
    base          a folder that the inputs are in: new ones are named from there, and cut like the latest video in it.
                  None: from each folder itself, and the folder of each file
    wait          wait for another writer to finish, instead of refusing
    publish_every minutes after which what is complete is published, though files are left: it is then searchable. 0:
                  only at the end
    catalog       URL of a database for the catalogue of a library that this run makes (`Library.create`)
    store         where the vectors of such a library are (`indexer.store.vector_home`), if not in the folder
    texts         also read subtitles next to the videos and inside them
    makers        make texts of the videos besides, such as `indexer.texts.text_makers.ScreenText`
    to_model      first change a library of another model to that of `encoder` (`indexer.ingest.model_change`)
    frame_vectors keep the vectors of single frames, or do not. None: as the library does, a new one does not. Where it
                  does otherwise, its clips are first encoded again

    Raises InputError for a path that does not exist, the library itself, a folder that looks unmounted or frames of
    which the model has no vectors,
    FingerprintError for another model's library without `to_model`, LibraryError for one that is damaged, held by
    another writer or cannot be written.
    """
    began = time.monotonic()
    sources = resolve_inputs(inputs)
    require_outside(sources, library_path)
    if base is not None:
        (base,) = resolve_inputs([base])
        if outside := [source for source in sources if not source.is_relative_to(base)]:
            raise InputError(f"{outside[0]} is outside {base}. Name paths in that folder.")
    own = LocalPipeline(encoder, workers)
    with writing(library_path), closing(own):
        if not exists(library_path):
            Library.create(library_path, _wanted_spec(encoder.spec, None, frame_vectors), catalog, wait, store).close()
        report_progress = on_progress or (lambda progress: None)
        opened = Library.open(library_path)
        with opened as library, writer_lock(library_path, wait):
            change = None
            live = library.current().manifest
            before = live.spec
            same_model = before.fingerprint == encoder.spec.fingerprint
            spec = _wanted_spec(encoder.spec, before, frame_vectors) if same_model or to_model else before
            checked_store(live.store, spec.frames)
            if not spec.is_same(before):
                levels = before.levels
                with closing(CatalogWriter(library.catalog.path, levels, roots, wait)) as writer:
                    library.catalog.relocate(roots or {})
                    _require_changeable(library, sources, base, segmentation, keep_missing)
                    change = change_model(
                        library, writer, encoder, spec, pipeline or own, sources, keep_missing, report_progress
                    )
                if not change.done:
                    return _stopped(library, change, began)
            library.check_encoder(encoder.spec)
            writes = CatalogWriter(library.catalog.path, spec.levels, roots, wait, frames=spec.frames is not None)
            with closing(writes) as writer:
                library.catalog.relocate(roots or {})
                timer = PublishTimer(60 * publish_every, lambda: publish_changes(library, writer))
                run = FileRun(library, writer, pipeline or own, report_progress, segmentation, timer)
                video_texts = VideoTexts(writer, encoder, makers)
                interrupted = run.run(sources, base, keep_missing, video_texts if texts else None)
                generation = publish_changes(library, writer)
                failures = library.catalog.failures()
            return IndexReport(
                indexed=run.indexed,
                recut=run.recut,
                unchanged=run.unchanged,
                moved=run.moved,
                removed=run.removed,
                missing=run.missing,
                refused=[f for f in failures if any(f.path.is_relative_to(source) for source in sources)],
                clips_total=library.catalog.count_clips(),
                generation=generation,
                progress=run.progress(None),
                seconds=time.monotonic() - began,
                interrupted=interrupted,
                texts=video_texts.report,
                change=change,
            )


def _wanted_spec(of_model: EncoderSpec, before: EncoderSpec | None, frame_vectors: bool | None) -> EncoderSpec:
    """What the library is to have of every item. `before`: what it has. Raises InputError."""
    wanted = before is not None and before.frames is not None if frame_vectors is None else frame_vectors
    if not wanted:
        return replace(of_model, frames=None)
    if of_model.frames is None:
        raise InputError(
            f"The model {of_model.name} has no vectors of single frames: only two-tower models do. Leave out "
            "--frame-vectors, or give --no-frame-vectors for a library that keeps them."
        )
    return of_model


def _require_changeable(
    library: Library, sources: Sequence[Path], base: Path | None, segmentation: Segmentation | None, keep_missing: bool
) -> None:
    """Raises InputError where a change of the model would have to remove videos, or to encode them twice."""
    known = library.catalog.videos_under(sources)
    if not keep_missing:
        require_mounted(sources, [video.path for video in known])
    if not all(map(cuts_of(library, segmentation, sources, base, known).is_current, known)):
        raise InputError(
            "These videos have another segmentation. Change the model first, without --segment. Then divide them again."
        )


def _stopped(library: Library, change: ModelChange, began: float) -> IndexReport:
    """The report of a run that was stopped before the model had changed."""
    return IndexReport(
        clips_total=library.catalog.count_clips(),
        generation=library.current().name,
        progress=Progress(0, 0, None, change.clips),
        seconds=time.monotonic() - began,
        interrupted=True,
        change=change,
    )
