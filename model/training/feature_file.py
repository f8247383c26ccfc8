"""Frame features in HDF5: one (T, D) float32 dataset per video, `/` in a name replaced by `_`.

The layout of the published HANet and HGR features, so these can be used as they are. Files that `quartet features`
writes also say, in the attribute `backbone`, which network made them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from model.backbones import BackboneConfig
from model.config import from_json
from model.errors import InputError


def key_of(video: str) -> str:
    """The dataset's name of a video."""
    return video.replace("/", "_")


class FeatureFile:
    """A features file opened for reading, or for adding with `writable=True` (it is made if missing).

    Raises InputError if the file is not HDF5, or was made by another backbone than `backbone`.
    """

    def __init__(self, path: Path, *, writable: bool = False, backbone: BackboneConfig | None = None) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "a" if writable else "r")
        except OSError as error:
            raise InputError(f"{path} cannot be opened as an HDF5 file of features: {error}.") from error
        if writable and backbone is not None:
            ours = json.dumps(asdict(backbone))
            made_by = self._file.attrs.setdefault("backbone", ours)
            if made_by != ours:
                self.close()
                raise InputError(f"{path} holds features of another backbone: {made_by}. Write to another file.")

    def __enter__(self) -> FeatureFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __contains__(self, video: str) -> bool:
        return key_of(video) in self._file

    @property
    def backbone(self) -> BackboneConfig | None:
        """Which network made the features, if the file says."""
        made_by = self._file.attrs.get("backbone")
        return None if made_by is None else from_json(BackboneConfig, json.loads(made_by))

    @property
    def dim(self) -> int:
        """D, the width of the features. Raises InputError for an empty file."""
        for name in self._file:
            return int(self._file[name].shape[1])
        raise InputError(f"{self.path} holds no features.")

    def add(self, video: str, features: Tensor) -> None:
        """Store (T, D) features of a video and make them safe against a crash."""
        self._file.create_dataset(key_of(video), data=features.numpy().astype(np.float32))
        self._file.flush()

    def read(self, videos: Sequence[str], frames: int) -> list[Tensor]:
        """Features of videos, at most `frames` rows each, picked at the middles of equal parts.

        Raises InputError with counts and names for videos without features, or of another width.
        """
        missing = [video for video in videos if video not in self]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise InputError(f"{self.path} has no features for {len(missing)} of {len(videos)} videos: {shown}.")
        return [self._read_one(video, frames) for video in videos]

    def _read_one(self, video: str, frames: int) -> Tensor:
        rows = self._file[key_of(video)]
        if rows.ndim != 2 or rows.shape[1] != self.dim or not len(rows):
            raise InputError(f"{self.path}: {video!r} has the shape {rows.shape}, expected (T, {self.dim}), T >= 1.")
        values = np.asarray(rows, dtype=np.float32)
        if len(values) > frames:
            values = values[((np.arange(frames) + 0.5) * len(values) / frames).astype(np.int64)]
        return torch.from_numpy(values)
