"""The manifest of a generation: which model built it, its levels, its counts, a checksum per file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.search.vectors.codes import Bounds
from indexer.store.layout import live_name
from indexer.store.vector_home import HomeRecord
from model.encoder import EncoderSpec
from model.levels import FrameSpec, LevelSpec
from quartet.errors import LibraryError

FORMAT_VERSION = 8
"""Raised when an older reader could no longer read what a writer writes (docs/library-format.md)."""

_WITH_FRAMES = 7
_WITHOUT_FRAMES = 6
"""What is written where nothing is kept of single frames, and the vectors are here: readers of this format read it."""

_FIRST_WITH_CODES = 6
_OLDEST = 3
"""The oldest format that is still read."""


@dataclass(frozen=True)
class ModelInfo:
    """The model that built a library, as far as a reader must know it."""

    name: str
    fingerprint: str
    note: str
    frames_per_clip: int


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    counts     {"clips": n, "captions": n}
    bounds     {"clips": per segment {level: Bounds}, "captions": ...}; bounds the rounding of a scan
    sizes      {path inside the generation: bytes}, checked when it is opened
    checksums  {path inside the generation: SHA-256}, checked when it is opened if it is small, else on request
    index      {"approximate_from": items from which a gallery gets 4-bit codes}
    encoding   {"clips": how its 4-bit codes came about, "captions": ...} (`approximate.encoding`), {} without;
               formats before 6 had inverted lists instead, which are not read any more
    frames     what is kept of the single frames of clips (`FrameSpec`); None: nothing
    home       where the vectors are, if not in these files (`indexer.store.vector_home`)
    stamp      32 random hexadecimal digits that the catalogue notes too; empty in formats before 5
    """

    model: ModelInfo
    levels: tuple[LevelSpec, ...]
    counts: dict[str, int]
    bounds: dict[str, list[dict[str, Bounds]]]
    sizes: dict[str, int]
    checksums: dict[str, str]
    encoding: dict[str, dict[str, Any]]
    index: dict[str, int]
    stamp: str = ""
    frames: FrameSpec | None = None
    home: HomeRecord | None = None
    format_version: int = _WITHOUT_FRAMES

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's specification as it was when the library was built."""
        model = self.model
        return EncoderSpec(model.name, model.fingerprint, self.levels, model.frames_per_clip, model.note, self.frames)

    @property
    def store(self) -> str | None:
        """The address of the vectors; None: the folder."""
        return None if self.home is None else self.home.address

    def text(self) -> str:
        """The content of the file."""
        raw = asdict(self)
        for name in ("frames", "home"):
            if raw[name] is None:
                del raw[name]
        return json.dumps(raw, indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Raises LibraryError if the file is missing, damaged or of a newer format."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"), path)
        except (OSError, ValueError) as error:
            raise LibraryError(f"The manifest {path} cannot be read: {error}. Run `quartet repair`.") from error

    @classmethod
    def parse(cls, content: str, path: Path) -> Manifest:
        """The manifest with this content; `path` is that of its file. Raises as `read`."""
        try:
            raw = json.loads(content)
            version = int(raw["format_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(f"The manifest {path} cannot be read: {error}. Run `quartet repair`.") from error
        if version > FORMAT_VERSION:
            raise LibraryError(
                f"The library at {path.parents[2]} has format version {version}, but this version of Quartet "
                f"reads up to {FORMAT_VERSION}. Upgrade Quartet, or index the videos into a new library."
            )
        if version < _OLDEST:
            raise LibraryError(
                f"The library at {path.parents[2]} has format version {version}, which only development versions "
                "of Quartet wrote. Index the videos into a new library."
            )
        try:
            if version < _FIRST_WITH_CODES:
                raw["encoding"] = {kind: {} for kind in raw.pop("tuning")}
                raw["index"].pop("recall")
            bounds = {
                kind: [{level: Bounds(**own) for level, own in segment.items()} for segment in segments]
                for kind, segments in raw.pop("bounds").items()
            }
            frames, home = raw.pop("frames", None), raw.pop("home", None)
            return cls(
                bounds=bounds,
                home=None if home is None else HomeRecord(**home),
                frames=None if frames is None else FrameSpec(**frames),
                model=ModelInfo(**raw.pop("model")),
                levels=tuple(LevelSpec(**level) for level in raw.pop("levels")),
                **raw,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise LibraryError(f"The manifest {path} is damaged: {error}. Run `quartet repair`.") from error


def format_of(frames: FrameSpec | None) -> int:
    """The format of a generation in files that keeps this of single frames."""
    return _WITHOUT_FRAMES if frames is None else _WITH_FRAMES


def model_info(spec: EncoderSpec) -> ModelInfo:
    return ModelInfo(spec.name, spec.fingerprint, spec.note, spec.frames_per_clip)


def built_by(path: Path) -> ModelInfo:
    """The model that built a library, without opening its index. Raises LibraryError."""
    return _live_manifest(path).model


def store_of(path: Path) -> str | None:
    """The home of a library's vectors; None: its folder. Raises LibraryError."""
    return _live_manifest(path).store


def built_with(path: Path) -> EncoderSpec:
    """The specification of the model that built a library, without opening its index. Raises LibraryError."""
    return _live_manifest(path).spec


def _live_manifest(path: Path) -> Manifest:
    return Manifest.read(path / "generations" / live_name(path) / "manifest.json")
