"""Towers whose weights stay as they are: on a CPU OpenVINO gives what PyTorch gives, of pictures, videos and texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model import cpu_backend
from model.two_tower.towers import TwoTower
from tests.every_two_tower import two_tower_classes, write_tiny

pytest.importorskip("openvino")

CLASSES = [cls for cls in two_tower_classes() if cls.__name__ in ("Siglip2Model", "XCLIPModel")]

TEXTS = ["a dog", "", "Two MEN are riding horses", "a sentence of many more words than these models read " * 3]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_they_give_the_same_vectors(cls: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_backend, "networks_folder", lambda: tmp_path / "networks")
    folder = write_tiny(cls, tmp_path / "model")
    tower, frozen = TwoTower(folder), TwoTower(folder).freeze()
    assert len(list((tmp_path / "networks").iterdir())) == 2, "no first question has to wait for the conversion"
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        clip = rng.integers(0, 256, (count * (tower.clip_frames or 1), 40, 56, 3), dtype=np.uint8)
        torch.testing.assert_close(frozen.features([clip]), tower.features([clip]), atol=1e-5, rtol=1e-5)
    for texts in (TEXTS, TEXTS[:1], TEXTS[1:2], TEXTS[2:]):  # without a token, attention is among nothing
        torch.testing.assert_close(frozen.texts(texts), tower.texts(texts), atol=1e-5, rtol=1e-5)
    assert all(network._compiled is not None for network in frozen._frozen.values()), "PyTorch has answered"
    assert not frozen.to("cpu")._frozen, "what is moved may be trained"
