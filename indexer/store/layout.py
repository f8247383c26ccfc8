"""Where things are in the folder of a library (docs/library-format.md)."""

from __future__ import annotations

from pathlib import Path

from quartet.errors import LibraryError


def exists(path: Path) -> bool:
    """Whether `path` holds a library, sound or not."""
    return (path / "CURRENT").is_file()


def require_library(path: Path) -> None:
    """Raises LibraryError if there is no library at `path`, or one without its file CURRENT."""
    if not exists(path):
        require_no_generations(path)
        raise LibraryError(f"There is no library at {path}. Create one with `quartet index`.")


def require_no_generations(path: Path) -> None:
    """Raises LibraryError if a folder without a file CURRENT holds more than the first, empty generation."""
    newest = max(generation_numbers(path), default=0)
    if newest > 1:
        raise LibraryError(
            f"The library at {path} is damaged: its file CURRENT, which names the live generation, is "
            f"missing. The newest generation on disk is {newest:06d}. Run `quartet repair`."
        )


def live_name(path: Path) -> str:
    """The name of the live generation. Raises LibraryError if CURRENT is gone or damaged."""
    try:
        name = (path / "CURRENT").read_text(encoding="ascii").removesuffix("\n")
    except (OSError, ValueError) as error:
        raise LibraryError(
            f"The library at {path} is damaged: its file CURRENT cannot be read. Run `quartet repair`."
        ) from error
    if not name.isdigit():
        raise LibraryError(
            f"The library at {path} is damaged: its file CURRENT names no generation. Run `quartet repair`."
        )
    return name


def generation_folder(path: Path, number: int) -> Path:
    return path / "generations" / f"{number:06d}"


def generation_numbers(path: Path) -> list[int]:
    """The numbers of the generations that are on disk, ascending."""
    folder = path / "generations"
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else []


def next_number(path: Path) -> int:
    """The number that the next published generation will have."""
    return max(generation_numbers(path), default=0) + 1


def thumbnail_path(library: Path, clip_id: int) -> Path:
    """Pictures are in folders of 1000, which file systems and people list faster than one big folder."""
    return library / "thumbnails" / f"{clip_id // 1000:06d}" / f"{clip_id}.webp"


def strip_path(library: Path, clip_id: int) -> Path:
    """Contact strips are next to the pictures."""
    return thumbnail_path(library, clip_id).with_suffix(".strip.webp")
