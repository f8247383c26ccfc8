"""Finding out what has happened to the files since the last run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from indexer.catalog.records import FileState, Video
from indexer.texts.caption_files import SUBTITLES
from quartet.errors import InputError


@dataclass(frozen=True)
class Plan:
    """Every file under the inputs, sorted by what has to be done about it.

    work       new or changed files and those to be cut otherwise, to be hashed and perhaps decoded
    unchanged  files that the library holds as they are
    refused    files that were refused before and have not changed since
    missing    videos under the inputs whose files have gone
    forgotten  refused files under the inputs that have gone
    closed     folders that cannot be looked into, each with the reason; what is in them counts as unchanged
    """

    work: list[FileState] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)
    missing: list[Video] = field(default_factory=list)
    forgotten: list[Path] = field(default_factory=list)
    closed: dict[Path, str] = field(default_factory=dict)


def resolve_inputs(inputs: Sequence[Path]) -> list[Path]:
    """Absolute paths of files and folders. Raises InputError if one is neither of them, or if there is none."""
    if not inputs:
        raise InputError("Name at least one video file or folder to index.")
    for path in inputs:
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{path} does not exist. Name a video file or a folder of videos.") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
        if not (S_ISREG(mode) or S_ISDIR(mode)):
            # Reading a pipe or a device may never end.
            raise InputError(f"{path} is neither a file nor a folder. Name a video file or a folder of videos.")
    return [path.resolve() for path in inputs]


def require_outside(inputs: Sequence[Path], library: Path) -> None:
    """Raises InputError if an input (absolute) is the library or is in what it is made of: its pictures decode."""
    library = library.resolve()
    for path in inputs:
        if path == library:
            raise InputError(f"{path} is both the library and the videos to index. Give the library its own folder.")
        if any(path.is_relative_to(library / own) for own in ("generations", "thumbnails")):
            raise InputError(f"{path} belongs to the library itself. Name a video file or a folder of videos.")


def require_mounted(inputs: Sequence[Path], known: Sequence[Path]) -> None:
    """Raises InputError if an input is an empty folder of which the library has videos.

    The place where a disk is mounted is an empty folder while it is not: its videos have not been deleted.
    """
    for folder in inputs:
        lost = sum(path.is_relative_to(folder) for path in known)
        if lost and folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) and not any(folder.iterdir()):
            raise InputError(
                f"{folder} is empty, but the library has {lost} videos from it. If its disk is not mounted, "
                "mount it. If you deleted the videos, run `quartet remove`."
            )


def make_plan(
    inputs: Sequence[Path],
    library: Path,
    known: Sequence[Video],
    failed: dict[Path, FileState],
    stands: Callable[[Video], bool],
) -> Plan:
    """Compare the files under `inputs` (absolute) with the catalogue, by size and time of change alone.

    stands  whether a video that has not changed may keep its clips
    """
    by_path = {video.path: video for video in known}
    plan = Plan()
    seen = set()
    for path in _files(inputs, library.resolve(), plan.closed):
        try:
            status = path.stat()
        except FileNotFoundError:
            # Deleted since the folder was listed.
            continue
        except OSError as error:
            plan.closed[path] = error.strerror or str(error)
            continue
        file = FileState(path, status.st_size, status.st_mtime)
        seen.add(path)
        video = by_path.get(path)
        if video is not None and (video.size, video.mtime) == (file.size, file.mtime) and stands(video):
            plan.unchanged.append(path)
        elif failed.get(path) == file:
            plan.refused.append(path)
        else:
            plan.work.append(file)
    seen.update(plan.closed)

    def gone(path: Path) -> bool:
        return path not in seen and _under(path, inputs) and not _under(path, plan.closed)

    plan.missing.extend(video for video in known if gone(video.path))
    plan.forgotten.extend(path for path in failed if gone(path))
    return plan


def _files(inputs: Sequence[Path], library: Path, closed: dict[Path, str]) -> Iterator[Path]:
    """Every file that is not hidden, in a stable order, each once; the library itself is left out.

    Subtitle files are left out too: they belong to the videos next to them (`indexer.texts.video_texts`).
    """
    seen: set[Path] = set()
    for entry in inputs:
        for path in _walk(entry, library, closed) if entry.is_dir() else [entry]:
            if path not in seen:
                seen.add(path)
                yield path


def _walk(folder: Path, library: Path, closed: dict[Path, str]) -> Iterator[Path]:
    def cannot_list(error: OSError) -> None:
        closed[Path(error.filename)] = error.strerror or str(error)

    for parent, folders, names in os.walk(folder, onerror=cannot_list):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name != library)
        for name in sorted(names):
            path = here / name
            try:
                # A link whose target has gone, a socket or a pipe is not a file.
                if not name.startswith(".") and path.suffix.lower() not in SUBTITLES and path.is_file():
                    yield path
            except OSError as error:
                closed[path] = error.strerror or str(error)


def _under(path: Path, inputs: Iterable[Path]) -> bool:
    return any(path.is_relative_to(entry) for entry in inputs)
