"""The manifest of a generation: which model built it, its levels, its counts, a checksum per file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.encoder import EncoderSpec
from model.errors import LibraryError
from model.levels import LevelSpec

FORMAT_VERSION = 1
"""Raised when an older reader could no longer read what a writer writes (docs/library-format.md)."""


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
    max_norms  {"clips": {level: largest L2 norm of a row}, "captions": ...}; bounds the rounding of a scan
    checksums  {path inside the generation: SHA-256}
    """

    model: ModelInfo
    levels: tuple[LevelSpec, ...]
    counts: dict[str, int]
    max_norms: dict[str, dict[str, float]]
    checksums: dict[str, str]
    index: dict[str, Any] = field(default_factory=lambda: {"type": "IndexFlatIP"})
    format_version: int = FORMAT_VERSION

    @property
    def spec(self) -> EncoderSpec:
        """The encoder's specification as it was when the library was built."""
        model = self.model
        return EncoderSpec(model.name, model.fingerprint, self.levels, model.frames_per_clip, model.note)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Raises LibraryError if the file is missing, damaged or of a newer format."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            version = int(raw["format_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LibraryError(f"The manifest {path} cannot be read: {error}.") from error
        if version > FORMAT_VERSION:
            raise LibraryError(
                f"The library at {path.parents[2]} has format version {version}, but this version of Quartet "
                f"reads up to {FORMAT_VERSION}. Upgrade Quartet, or index the videos into a new library."
            )
        try:
            return cls(
                model=ModelInfo(**raw.pop("model")),
                levels=tuple(LevelSpec(**level) for level in raw.pop("levels")),
                **raw,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise LibraryError(f"The manifest {path} is damaged: {error}.") from error


def model_info(spec: EncoderSpec) -> ModelInfo:
    return ModelInfo(spec.name, spec.fingerprint, spec.note, spec.frames_per_clip)
