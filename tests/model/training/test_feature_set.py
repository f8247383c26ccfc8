"""Frame features in several files: the splits of HGR and HANet, and further networks next to each other."""

from pathlib import Path

import pytest
import torch

from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_file import FeatureFile
from model.training.data.feature_set import FeatureSet
from quartet.errors import InputError


def write(path: Path, rows: dict[str, torch.Tensor]) -> Path:
    with FeatureFile(path, writable=True) as file:
        for name, values in rows.items():
            file.add(name, values)
    return path


def test_files_of_other_videos_are_one_set(tmp_path: Path) -> None:
    train = write(tmp_path / "trn_ft.hdf5", {"a": torch.ones(2, 3)})
    test = write(tmp_path / "tst_ft.hdf5", {"b": 2 * torch.ones(1, 3)})
    with FeatureSet([train, test]) as features:
        assert features.dim == 3 and features.missing(["a", "b", "c"]) == ["c"]
        b, a = features.read(["b", "a"], 20)
        assert a.tolist() == [[1.0] * 3] * 2 and b.tolist() == [[2.0] * 3]


def test_files_of_the_same_videos_stand_side_by_side(tmp_path: Path) -> None:
    frames = torch.arange(4.0).unsqueeze(1)
    one = write(tmp_path / "one.h5", {"a": frames, "b": frames})
    other = write(tmp_path / "other.h5", {"b": 10 * frames[:2].repeat(1, 2), "a": 10 * frames.repeat(1, 2)})
    with FeatureSet([one, other]) as features:
        a, b = features.read(["a", "b"], 20)
        assert features.dim == 3 and a[3].tolist() == [3.0, 30.0, 30.0]
        # Two rows there, four here: those at the middles of halves.
        assert b.tolist() == [[1.0, 0.0, 0.0], [3.0, 10.0, 10.0]]


def test_videos_that_not_every_file_has_are_named(tmp_path: Path) -> None:
    one = write(tmp_path / "one.h5", {"a": torch.ones(1, 2), "b": torch.ones(1, 2)})
    other = write(tmp_path / "other.h5", {"a": torch.ones(1, 2)})
    with FeatureSet([one, other]) as features, pytest.raises(InputError, match=r"another width than 4.*: b\. Every"):
        features.read(["a", "b"], 20)


def test_missing_videos_are_refused_or_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "one.h5", {"a": torch.ones(1, 2)})
    videos = [CaptionedVideo("a", ("x",)), CaptionedVideo("b", ("y",))]
    said: list[str] = []
    with FeatureSet([file]) as features:
        with pytest.raises(InputError, match=r"no features of 1 videos: b.*--skip-missing"):
            features.with_features(videos, False, said.append)
        assert features.with_features(videos, True, said.append) == videos[:1]
    assert "left out, without features: b" in said[0]
    with pytest.raises(InputError, match="at least one file"):
        FeatureSet([])
