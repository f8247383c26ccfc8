"""The files of an indexing run: what the walk shows and what becomes of each file, written into the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from indexer.catalog.records import FileState, Video
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import replace_files
from indexer.ingest.content_matching import ContentFinder
from indexer.ingest.file_walk import Plan, make_plan, require_mounted
from indexer.ingest.publish_timer import PublishTimer
from indexer.ingest.segmentation_plan import SegmentationPlan
from indexer.media.segmentation import Segmentation
from indexer.pipeline.contract import Job, Pipeline
from indexer.pipeline.file_outcomes import Encoded, Known, Part, Refused
from indexer.pipeline.progress import Meter, Progress
from indexer.store.layout import next_number, strip_path, thumbnail_path
from indexer.store.library import Library
from indexer.texts.video_texts import VideoTexts


def cuts_of(
    library: Library, asked: Segmentation | None, sources: Sequence[Path], base: Path | None, known: Sequence[Video]
) -> SegmentationPlan:
    """How files are divided in a run over `sources`; `known` are the videos that the library has under them."""
    latest = {entry: library.catalog.latest_under(entry) for entry in (sources if base is None else [base])}
    return SegmentationPlan(asked, known, latest)


class FileRun:
    """One run over the files and its counters."""

    def __init__(
        self,
        library: Library,
        writer: CatalogWriter,
        pipeline: Pipeline,
        on_progress: Callable[[Progress], None],
        segmentation: Segmentation | None,
        timer: PublishTimer,
    ) -> None:
        self.timer = timer
        self.library = library
        self.writer = writer
        self.pipeline = pipeline
        self.on_progress = on_progress
        self.segmentation = segmentation
        self.indexed = self.recut = self.unchanged = self.moved = self.removed = self.missing = 0
        self._done = self._total = self._worked = self._clips = 0
        self._video_seconds = 0.0
        self._meter = Meter(pipeline.lanes)

    @property
    def _next(self) -> int:
        """The number of the generation that is published next."""
        return next_number(self.library.path)

    def run(self, sources: Sequence[Path], base: Path | None, keep_missing: bool, texts: VideoTexts | None) -> bool:
        """Deal with every file; returns whether it was interrupted. For `base` see `index_videos`."""
        try:
            known = self.library.catalog.videos_under(sources)
            if not keep_missing:
                require_mounted(sources, [video.path for video in known])
            for source in sources:
                self.writer.add_root(base or (source if source.is_dir() else source.parent))
            cuts = cuts_of(self.library, self.segmentation, sources, base, known)
            finder = ContentFinder(known, self.library.catalog)
            plan = make_plan(sources, self.library.path, known, self.writer.failed_files(), cuts.is_current)
            self._apply_walk(plan)
            left = {path for path, _, _ in self.writer.kept_clips() if any(map(path.is_relative_to, sources))}
            self.writer.forget_kept(left - {file.path for file in plan.work})
            self._index_files(plan, finder, cuts)
            gone = [video.id for video in plan.missing if video.id not in finder.claimed]
            if keep_missing:
                self.missing = len(gone)
            else:
                self.writer.remove_videos(gone, self._next)
                self.removed = len(gone)
            if texts is not None:
                texts.update(self.library.catalog.videos_under(sources))
        except KeyboardInterrupt:
            return True
        return False

    def progress(self, path: Path | None) -> Progress:
        return Progress(
            self._done,
            self._total,
            path,
            self._clips,
            self._worked,
            self._video_seconds,
            self._meter.seconds,
            self._meter.busy(),
        )

    def _apply_walk(self, plan: Plan) -> None:
        """What the walk alone has shown."""
        self._total = len(plan.work) + len(plan.unchanged) + len(plan.refused)
        self._done = len(plan.unchanged) + len(plan.refused)
        self.unchanged = len(plan.unchanged)
        self.on_progress(self.progress(None))
        self.writer.forget_failures(plan.forgotten)
        for path, problem in plan.closed.items():
            self.writer.add_failure(FileState(path, 0, 0.0), "unreadable", f"The folder cannot be read: {problem}.")

    def _index_files(self, plan: Plan, finder: ContentFinder, cuts: SegmentationPlan) -> None:
        work = plan.work
        while work:
            settled = self._round(self._jobs(work, finder, cuts), finder, cuts)
            # Left are files that changed while they were read, and those whose video another copy has claimed.
            work = [file for file in work if file.path not in settled]

    def _jobs(self, files: Sequence[FileState], finder: ContentFinder, cuts: SegmentationPlan) -> list[Job]:
        kept: dict[tuple[Path, str], dict[str, int]] = {}
        for (path, sha256, text), count in self.writer.kept_clips().items():
            kept.setdefault((path, text), {})[sha256] = count
        jobs = []
        for file in files:
            segmentation = cuts.of(file.path)
            known = frozenset(video.sha256 for video in finder.candidates(file) if cuts.is_current(video))
            jobs.append(Job(file, segmentation, known, kept.get((file.path, segmentation.text), {})))
        return jobs

    def _round(self, jobs: Sequence[Job], finder: ContentFinder, cuts: SegmentationPlan) -> set[Path]:
        """Returns the files that need no other round."""
        settled = set()
        with closing(self.pipeline.outcomes(jobs, self._meter)) as results:
            for outcome in results:
                with self._meter.working("write"):
                    match outcome:
                        case Part():
                            self._add_part(outcome)
                            continue
                        case Encoded():
                            self._add(outcome, finder.claim(outcome.file))
                        case Known():
                            video = finder.claim(outcome.file, cuts.is_current)
                            if video is None:
                                continue
                            self._keep(outcome.file, video)
                        case Refused():
                            self._refuse(outcome, finder)
                settled.add(outcome.file.path)
                self._done += 1
                self._worked += 1
                self.on_progress(self.progress(outcome.file.path))
                self.timer.look()
        return settled

    def _add_part(self, part: Part) -> None:
        self.writer.keep_clips(part.file, part.cut.segmentation.text, part.first, part.clips)
        self._count(part)
        self.on_progress(self.progress(part.file.path))

    def _add(self, new: Encoded, before: Video | None) -> None:
        """Add a video; `before` is what the library has of the same content, divided otherwise."""
        if before is not None:
            # It may have moved too: its captions go with it.
            self.writer.move_video(before.id, new.file, self._next)
            self.recut += 1
        segmentation = new.cut.segmentation.text
        self.writer.add_video(
            new.file, new.info, segmentation, new.clips, self._next, self._save_pictures, kept=new.first
        )
        self.indexed += 1
        self._count(new)

    def _count(self, new: Part | Encoded) -> None:
        self._clips += len(new.clips)
        self._video_seconds += new.seconds

    def _save_pictures(self, pictures: Mapping[int, tuple[bytes, bytes]]) -> None:
        contents = {}
        for clip_id, (picture, strip) in pictures.items():
            contents[thumbnail_path(self.library.path, clip_id)] = picture
            contents[strip_path(self.library.path, clip_id)] = strip
        replace_files(contents)

    def _keep(self, file: FileState, video: Video) -> None:
        self.writer.move_video(video.id, file, self._next)
        if video.path == file.path:
            self.unchanged += 1
        else:
            self.moved += 1

    def _refuse(self, refused: Refused, finder: ContentFinder) -> None:
        """List a file as refused. If it was a good video before, its clips leave the library; but not if it could not
        be read at all: a disk or a right that is missing says nothing of the video."""
        self.writer.add_failure(refused.file, refused.error.reason, refused.error.detail)
        if not refused.file.sha256:
            return
        before = {video.id for video in (finder.at(refused.file.path), finder.claim(refused.file)) if video is not None}
        self.writer.remove_videos(sorted(before), self._next)
