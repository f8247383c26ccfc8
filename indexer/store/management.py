"""Looking after a library: taking videos out of it, tagging them, and telling it where they have moved.

No video is touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.catalog.model_change import generation_before, next_counts, next_model
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import writing
from indexer.disk.presence import is_gone
from indexer.disk.writer_lock import writer_lock
from indexer.search.filters import clean_tag
from indexer.store.layout import generation_folder, next_number
from indexer.store.library import Library
from indexer.store.manifest import Manifest, ModelInfo, model_info
from indexer.store.publishing import publish_changes
from quartet.errors import InputError

MAX_TITLE_LENGTH = 200
"""Characters."""


@dataclass(frozen=True)
class RemoveReport:
    """Numbers of videos that left and clips that are left, and the live generation."""

    removed: int
    clips_total: int
    generation: str


def remove_videos(
    library_path: Path,
    paths: Sequence[Path],
    *,
    missing: bool = False,
    roots: Mapping[str, Path] | None = None,
    erase_now: bool = False,
) -> RemoveReport:
    """Remove videos of a library, with their clips; their captions stay.

    Answers are without them from the generation that this publishes. Their vectors, pictures and rows are in no file
    any more after the next one, or at once with `erase_now`. A removal that was interrupted is finished.

    paths    video files and folders of them, whether or not they still exist
    missing  also every video whose file has gone
    roots    where named roots of its videos are here
    erase_now  remove the previous generation at once; a service that still answers from it may miss a hit

    Raises InputError, before anything changes, for a path at which the library has nothing.
    """
    wanted = [path.resolve() for path in paths]
    with writing(library_path), Library.open(library_path, roots=roots) as library, writer_lock(library_path):
        levels = library.current().manifest.levels
        with closing(CatalogWriter(library.catalog.path, levels, roots)) as writer:
            refused = list(writer.failed_files())
            unfinished = writer.leaving_videos(library.settled())
            gone = set()
            for path in wanted:
                ids = library.catalog.video_ids_under([path])
                if not ids and not any(known.is_relative_to(path) for known in (*refused, *unfinished)):
                    raise InputError(f"The library has no video at {path}.")
                gone.update(ids)
            if missing:
                gone.update(video_id for video_id, path in library.catalog.video_paths().items() if is_gone(path))

            def named(known: Path) -> bool:
                return any(known.is_relative_to(path) for path in wanted)

            writer.remove_videos(sorted(gone), next_number(library_path), erase=True)
            writer.forget_failures([path for path in refused if named(path)])
            generation = publish_changes(library, writer, erase_now=erase_now)
            finished = sum(named(path) for path in unfinished)
        return RemoveReport(len(gone) + finished, library.catalog.count_clips(), generation)


def tag_videos(
    library_path: Path,
    paths: Sequence[Path],
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    roots: Mapping[str, Path] | None = None,
) -> int:
    """Give videos the tags `add` and take `remove` from them; returns how many videos that were.

    paths  video files and folders of them
    roots  where named roots of its videos are here

    Searches by tag see it at once. Raises InputError, before anything changes, for a path at which the library has
    no video or a tag that is not valid.
    """
    more, less = [clean_tag(tag) for tag in add], [clean_tag(tag) for tag in remove]
    wanted = [path.resolve() for path in paths]
    with writing(library_path), Library.open(library_path, roots=roots) as library, writer_lock(library_path):
        chosen = set()
        for path in wanted:
            ids = library.catalog.video_ids_under([path])
            if not ids:
                raise InputError(f"The library has no video at {path}.")
            chosen.update(ids)
        with closing(CatalogWriter(library.catalog.path, library.current().manifest.levels, roots)) as writer:
            writer.tag_videos(sorted(chosen), more, less)
        return len(chosen)


def rename_video(library_path: Path, video_id: int, title: str, roots: Mapping[str, Path] | None = None) -> None:
    """Give a video another title. Its file keeps its name, and the title stays when the file is renamed.

    Raises NotFoundError, and InputError for an invalid title.
    """
    title = " ".join(title.split())
    if not 1 <= len(title) <= MAX_TITLE_LENGTH or not title.isprintable():
        raise InputError(f"{title!r} is not a title: give 1 to {MAX_TITLE_LENGTH} characters.")
    with writing(library_path), Library.open(library_path, roots=roots) as library, writer_lock(library_path):
        library.catalog.video(video_id)
        with closing(CatalogWriter(library.catalog.path, library.current().manifest.levels, roots)) as writer:
            writer.rename_video(video_id, title)


def move_root(library_path: Path, name: str, folder: Path) -> None:
    """Record that the videos of a named root are in `folder` from then on.

    Raises InputError for a name that the library does not have or a folder that does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Name the folder that contains the videos now.")
    with (
        writing(library_path),
        Library.open(library_path) as library,
        writer_lock(library_path),
        closing(CatalogWriter(library.catalog.path, library.current().manifest.levels)) as writer,
    ):
        writer.move_root(name, folder.resolve())


@dataclass(frozen=True)
class ModelState:
    """A model of a library. what: "live", which answers; "before", to which it can be changed back; "next", to which it
    is being changed. clips, captions: how many it has vectors of."""

    what: str
    model: ModelInfo
    clips: int
    captions: int


def model_states(library_path: Path) -> list[ModelState]:
    """The models that a library has vectors of, the live one first."""
    with Library.open(library_path) as library:
        return models_of(library)


def models_of(library: Library) -> list[ModelState]:
    """As `model_states`, of an open library."""
    live = library.current().manifest
    found = [ModelState("live", live.model, live.counts["clips"], live.counts["captions"])]
    engine = library.catalog.engine
    number = generation_before(engine)
    if number is not None and (folder := generation_folder(library.path, number)).is_dir():
        kept = Manifest.read(folder / "manifest.json")
        found.append(ModelState("before", kept.model, kept.counts["clips"], kept.counts["captions"]))
    spec = next_model(engine)
    if spec is not None:
        counts = next_counts(engine)
        found.append(ModelState("next", model_info(spec), counts["clips"], counts["captions"]))
    return found


def forget_other_models(library_path: Path) -> list[ModelState]:
    """Remove the vectors of every model but the one that answers; returns what was removed."""
    with (
        writing(library_path),
        Library.open(library_path) as library,
        writer_lock(library_path),
        closing(CatalogWriter(library.catalog.path, library.current().manifest.levels)) as writer,
    ):
        _, *others = models_of(library)
        number = generation_before(library.catalog.engine)
        writer.forget_other_models()
        if number is not None:
            shutil.rmtree(generation_folder(library_path, number), ignore_errors=True)
        return others
