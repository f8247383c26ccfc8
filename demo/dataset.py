"""The demo world as a dataset to train on: captions of three splits and frame features by the bundled backbone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from demo.captions import captions
from demo.frames import degrade
from demo.render import HEIGHT, Image, render_frames
from demo.video import CAPTIONS_FILE
from demo.world import ClipSpec, Split, sample_split
from model.training.data.feature_file import FeatureFile
from model.vision.frame_networks import FrameNetwork
from quartet.errors import InputError

FEATURES_FILE, SPEC_FILE = "features.h5", "dataset.json"
MAX_CAPTIONS = 20  # every clip can be described in at least so many ways
_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_TYPICAL_FRAMES, _SPREAD = 4.5, 0.8  # of a log-normal distribution, clipped: most clips are short, a few are long


@dataclass(frozen=True)
class DatasetSpec:
    """How large a dataset is. The same specification gives the same captions and, on one machine, features.

    clips     of each split                                captions  of each clip
    frames    the fewest and the most of a clip; lengths between are drawn, mostly short ones
    sight     height in pixels that frames are reduced to, and blown up again, before the backbone sees them: the fewer,
              the less its features say, as on videos it was not made for; 0: as they are

    Raises InputError for numbers that cannot be.
    """

    clips: Mapping[Split, int] = field(default_factory=lambda: {"train": 3000, "val": 300, "test": 1000})
    captions: int = 20
    frames: tuple[int, int] = (2, 40)
    sight: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.clips.values()) < 1:
            raise InputError("A dataset needs at least one clip in each split.")
        if not 1 <= self.captions <= MAX_CAPTIONS:
            raise InputError(f"The captions of a clip must be 1 to {MAX_CAPTIONS}, not {self.captions}.")
        fewest, most = self.frames
        if not 1 <= fewest <= most:
            raise InputError(
                f"A clip needs at least 1 frame, and the minimum must not exceed the maximum: {fewest}, {most}."
            )
        if not 0 <= self.sight <= HEIGHT:
            raise InputError(f"The height of frames must be 1 to {HEIGHT} pixels, not {self.sight}.")

    def specs(self, split: Split) -> list[ClipSpec]:
        """The clips of a split; see `sample_split`."""
        return sample_split(split, self.clips[split], self.seed)

    def render(self, split: Split, number: int, spec: ClipSpec) -> Image:
        """The frames (T, H, W, 3) of a clip at evenly spaced moments."""
        rng = np.random.default_rng([self.seed, _SPLITS.index(split), number])
        drawn = round(float(rng.lognormal(np.log(_TYPICAL_FRAMES), _SPREAD)))
        count = min(max(drawn, self.frames[0]), self.frames[1])
        moments = [(i + 0.5) / count for i in range(count)]
        return np.stack([self._blurred(degrade(frame, rng)) for frame in render_frames(spec, moments)])

    def _blurred(self, frame: Image) -> Image:
        if not self.sight:
            return frame
        height, width = frame.shape[:2]
        small = cv2.resize(
            frame, (max(1, round(self.sight * width / height)), self.sight), interpolation=cv2.INTER_AREA
        )
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def write_dataset(folder: Path, dataset: DatasetSpec, backbone: FrameNetwork) -> Iterator[tuple[int, int]]:
    """Write captions.jsonl, features.h5 and what they are (dataset.json) into `folder`; yields (done, total) clips.

    Can be stopped at any time: features that exist are kept. Raises InputError for a folder that holds another dataset.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps(asdict(dataset), indent=1) + "\n"
    if (folder / SPEC_FILE).exists() and (folder / SPEC_FILE).read_text(encoding="utf-8") != about:
        raise InputError(f"{folder} contains another dataset, see its {SPEC_FILE}. Choose another folder.")
    (folder / SPEC_FILE).write_text(about, encoding="utf-8")
    clips = {clip_name(split, i): (split, i, spec) for split in _SPLITS for i, spec in enumerate(dataset.specs(split))}
    lines = [
        json.dumps({"video": name, "captions": captions(spec, dataset.captions), "split": split})
        for name, (split, _, spec) in clips.items()
    ]
    (folder / CAPTIONS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with FeatureFile(folder / FEATURES_FILE, writable=True, backbone=backbone.config) as file:
        for done, (name, (split, i, spec)) in enumerate(clips.items(), 1):
            if name not in file:
                file.add(name, backbone.features([dataset.render(split, i, spec)])[0])
            yield done, len(clips)


def clip_name(split: Split, number: int) -> str:
    """Name of the `number`-th clip of a split."""
    return f"{split}-{number:05d}"
