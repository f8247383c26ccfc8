"""Frame features that are in several files: parts of the videos in each, or several networks' views of the same videos.

HANet and HGR publish `trn_ft.hdf5`, `val_ft.hdf5` and `tst_ft.hdf5`: other videos in each, which together are one set.
Where several files have a video, its rows stand side by side, in the order of the files, as HGR joins the features of
two networks (https://github.com/cshizhe/hgr_v2t).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from model.training.data.dataset import CaptionedVideo
from model.training.data.dataset_checks import list_names
from model.training.data.feature_file import FeatureFile, middles
from model.vision.frame_networks import FrameNetworkConfig
from quartet.errors import InputError


class FeatureSet:
    """The features of one or more HDF5 files, opened for reading. Raises InputError as `FeatureFile` does."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise InputError("Name at least one file of frame features.")
        self._open = ExitStack()
        try:
            self._files = [self._open.enter_context(FeatureFile(path)) for path in paths]
        except BaseException:
            self._open.close()
            raise
        self.name = ", ".join(path.name for path in paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    @property
    def backbone(self) -> FrameNetworkConfig | None:
        """Which network made all of the features, if the files say so and agree."""
        first, *others = (file.backbone for file in self._files)
        return first if all(other == first for other in others) else None

    @property
    def dims(self) -> tuple[int, ...]:
        """Of the first video: the width of every file that has it. Raises InputError for an empty file."""
        first = next(iter(self._files[0].names), None)
        if first is None:
            raise InputError(f"{self._files[0].path} contains no features.")
        return tuple(file.dim for file in self._files if first in file)

    @property
    def dim(self) -> int:
        """D, the sum of `dims`."""
        return sum(self.dims)

    def missing(self, videos: Iterable[str]) -> list[str]:
        """Those videos that no file has features of."""
        return [video for video in videos if not any(video in file for file in self._files)]

    def read(self, videos: Sequence[str], frames: int) -> list[Tensor]:
        """Features (T, D) of videos, T at most `frames`.

        Files that have more rows of a video than others give as many as those, from the middles of equal parts.
        Raises InputError as `FeatureFile.read` does, and for videos that fewer files have than others.
        """
        if missing := self.missing(videos):
            raise InputError(f"{self.name}: no features of {list_names(f'of {len(videos)} videos', missing)}.")
        views: dict[str, list[Tensor]] = {video: [] for video in videos}
        for file in self._files:
            own = [video for video in videos if video in file]
            for video, rows in zip(own, file.read(own, frames), strict=True):
                views[video].append(rows)
        joined = {video: _side_by_side(rows) for video, rows in views.items()}
        dim = self.dim
        if odd := [video for video, rows in joined.items() if rows.shape[1] != dim]:
            raise InputError(
                f"{self.name}: "
                f"{list_names(f'videos have another width than {dim}: some files lack them', odd)}. Every "
                "video needs the same files."
            )
        return [joined[video] for video in videos]

    def with_features(
        self, videos: Sequence[CaptionedVideo], skip_missing: bool, tell: Callable[[str], None]
    ) -> list[CaptionedVideo]:
        """The videos that have features; `tell` gets those left out.

        Raises InputError if there are any and `skip_missing` does not allow it.
        """
        missing = set(self.missing(video.video for video in videos))
        if missing and not skip_missing:
            raise InputError(
                f"{self.name} has no features of {list_names('videos', sorted(missing))}. Make them, or leave these "
                "videos out with --skip-missing."
            )
        if missing:
            tell(f"{self.name}: {list_names('videos left out, without features', sorted(missing))}")
        return [video for video in videos if video.video not in missing]


def _side_by_side(views: Sequence[Tensor]) -> Tensor:
    count = min(len(view) for view in views)
    return torch.cat([view[middles(len(view), count)] for view in views], dim=1)
