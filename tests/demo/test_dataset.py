"""The demo world as a dataset: the same numbers give the same data, also after a stop."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from demo.dataset import DatasetSpec, write_dataset
from model.training.data.caption_readers import read_captions
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError

SMALL = DatasetSpec({"train": 3, "val": 1, "test": 2}, captions=4, frames=(2, 3), seed=5)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone(BackboneConfig("mobilenet_v3_small", (32, 32), "stretch")).eval()


def contents(folder: Path) -> dict[str, np.ndarray]:
    with h5py.File(folder / "features.h5") as file:
        return {name: file[name][:] for name in file}


def test_a_dataset_is_the_same_after_a_stop(tmp_path: Path, backbone: Backbone) -> None:
    assert list(write_dataset(tmp_path / "a", SMALL, backbone)) == [(i, 6) for i in range(1, 7)]
    stopped = write_dataset(tmp_path / "b", SMALL, backbone)
    assert next(stopped) == (1, 6)
    stopped.close()
    assert len(contents(tmp_path / "b")) == 1
    for _ in write_dataset(tmp_path / "b", SMALL, backbone):
        pass
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first.keys() == second.keys()
    assert all(len(rows) in (2, 3) and np.array_equal(rows, second[name]) for name, rows in first.items())
    assert (tmp_path / "a" / "captions.jsonl").read_bytes() == (tmp_path / "b" / "captions.jsonl").read_bytes()
    read = read_captions([tmp_path / "a" / "captions.jsonl"])
    assert [len(read.split(split)) for split in ("train", "val", "test")] == [3, 1, 2]
    assert all(len(set(video.captions)) == 4 and video.video in first for video in read.videos)


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path, backbone: Backbone) -> None:
    next(write_dataset(tmp_path, SMALL, backbone))
    with pytest.raises(InputError, match="contains another dataset"):
        next(write_dataset(tmp_path, DatasetSpec(SMALL.clips, SMALL.captions, (2, 4), seed=SMALL.seed), backbone))


def test_a_short_sight_leaves_less_to_see() -> None:
    seen = []
    for sight in (0, 6):
        dataset = DatasetSpec({"train": 1, "val": 1, "test": 1}, 1, (2, 2), sight, seed=3)
        frames = dataset.render("train", 0, dataset.specs("train")[0]).astype(np.float32)
        seen.append((frames.shape, np.abs(np.diff(frames, axis=2)).mean()))
    assert seen[0][0] == seen[1][0]
    assert seen[1][1] < 0.7 * seen[0][1]


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="one clip in each split"):
        DatasetSpec({"train": 3, "val": 0, "test": 2})
    with pytest.raises(InputError, match="1 to 20, not 21"):
        DatasetSpec(captions=21)
    with pytest.raises(InputError, match="A clip needs at least 1 frame"):
        DatasetSpec(frames=(5, 4))
    with pytest.raises(InputError, match=r"The height of frames must be 1 to .* pixels, not -1"):
        DatasetSpec(sight=-1)
