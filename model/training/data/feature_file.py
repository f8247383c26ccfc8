"""Frame features in HDF5: one (T, D) float32 dataset per video, `/` in a name replaced by `_`.

The layout of the published HANet and HGR features, so these can be used as they are. Files that `quartet features`
writes also say, in the attribute `backbone`, which network made them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.training.data.dataset_checks import list_names
from model.vision.frame_networks import FrameNetworkConfig, network_config
from quartet.errors import InputError


def key_of(video: str) -> str:
    """The dataset's name of a video."""
    return video.replace("/", "_")


def middles(rows: int, count: int) -> npt.NDArray[np.int64]:
    """The numbers of `count` of `rows` rows: those at the middles of equal parts."""
    return ((np.arange(count) + 0.5) * rows / count).astype(np.int64)


class FeatureFile:
    """A features file opened for reading, or for adding with `writable=True` (it is made if missing).

    Raises InputError if the file is not HDF5, or was made by another backbone than `backbone`.
    """

    def __init__(self, path: Path, *, writable: bool = False, backbone: FrameNetworkConfig | None = None) -> None:
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

    @property
    def names(self) -> Iterable[str]:
        """The names of the datasets."""
        return self._file.keys()

    def __contains__(self, video: str) -> bool:
        return self._find(video) is not None

    def _find(self, video: str) -> str | None:
        """The dataset of a video; captions may name a file with its suffix, which features do not have."""
        keys = (key_of(video), key_of(str(Path(video).with_suffix(""))) if Path(video).name else "")
        return next((key for key in keys if key and key in self._file), None)

    @property
    def backbone(self) -> FrameNetworkConfig | None:
        """Which network made the features, if the file says."""
        made_by = self._file.attrs.get("backbone")
        return None if made_by is None else network_config(json.loads(made_by))

    @property
    def dim(self) -> int:
        """D, the width of the features. Raises InputError for an empty file or one of another layout."""
        for name, rows in self._file.items():
            return self._shape(name, rows)[1]
        raise InputError(f"{self.path} contains no features.")

    def _shape(self, name: str, rows: h5py.Dataset | h5py.Group) -> tuple[int, int]:
        shape = getattr(rows, "shape", None)  # a group has none
        if shape is None or len(shape) != 2 or 0 in shape:
            raise InputError(f"{self.path}: {name!r} must be one dataset of the shape (T, D) with T >= 1, not {rows}.")
        return shape

    def add(self, video: str, features: Tensor) -> None:
        """Store (T, D) features of a video."""
        self._file.create_dataset(key_of(video), data=features.numpy().astype(np.float32))
        self._file.flush()

    def missing(self, videos: Sequence[str]) -> list[str]:
        """Those videos that the file has no features of."""
        return [video for video in videos if video not in self]

    def read(self, videos: Sequence[str], frames: int) -> list[Tensor]:
        """Features of videos, at most `frames` rows each, picked at the middles of equal parts.

        Raises InputError with counts and names for videos without features, of another width, with values that are
        not finite, or that share one dataset.
        """
        missing = self.missing(videos)
        if missing:
            raise InputError(f"{self.path} has no features for {list_names(f'of {len(videos)} videos', missing)}.")
        keys = [self._find(video) for video in videos]
        counts = Counter(keys)
        shared = [video for video, key in zip(videos, keys, strict=True) if counts[key] > 1]
        if shared:
            raise InputError(f"{self.path}: {list_names('videos share a dataset with another video', shared)}.")
        dim = self.dim
        found = [self._read_one(video, dim, frames) for video in videos]
        broken = [video for video, rows in zip(videos, found, strict=True) if not rows.isfinite().all()]
        if broken:
            raise InputError(f"{self.path}: {list_names('videos have NaN or infinity among their values', broken)}.")
        return found

    def _read_one(self, video: str, dim: int, frames: int) -> Tensor:
        rows = self._file[self._find(video)]
        shape = self._shape(video, rows)
        if shape[1] != dim:
            raise InputError(f"{self.path}: {video!r} has the shape {shape}, others have the width {dim}.")
        values = np.asarray(rows, dtype=np.float32)
        if len(values) > frames:
            values = values[middles(len(values), frames)]
        return torch.from_numpy(values)
