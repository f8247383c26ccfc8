"""Pictures of clips: those that are missing or damaged are made again out of the videos."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

from indexer.catalog.reader import Catalog
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import replace_files
from indexer.repair.reconstruction import Remaker
from indexer.store.layout import strip_path, thumbnail_path
from indexer.store.verification import picture_checks, wrong_with_picture


def repair_pictures(path: Path, catalog: Catalog, writer: CatalogWriter, remaker: Remaker) -> list[str]:
    """Make the pictures of a library whole, and remove those of no clip. Returns sentences about what was done."""
    healed: list[str] = []
    wrong: dict[int, set[str]] = {}
    wanted: set[Path] = set()
    for clip_id, *checks in picture_checks(catalog):
        files = (thumbnail_path(path, clip_id), strip_path(path, clip_id))
        wanted.update(files)
        for file, expected in zip(files, checks, strict=True):
            if wrong_with_picture(file, expected):
                wrong.setdefault(clip_id, set()).add(file.name)
    clips = list(catalog.clips(sorted(wrong)).values())
    for clip, decoded in remaker.decoded(clips) if clips else ():
        contents = {
            thumbnail_path(path, clip.id): decoded.picture,
            strip_path(path, clip.id): decoded.strip,
        }
        replace_files(contents)
        writer.set_picture_checks(clip.id, crc32(decoded.picture), crc32(decoded.strip))
        healed.append(f"The pictures of the clip {clip.id} ({clip.path.name}) were rebuilt.")
    for file in sorted((path / "thumbnails").rglob("*")):
        if file.is_file() and file not in wanted:
            file.unlink()
            healed.append(f"{file} belonged to no clip. It was removed.")
    return healed
