"""Folders of models that bring code along: nothing of it is run, and nobody is asked whether it should be."""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.text_partners import write_texts
from tests.two_towers import write_clip

MARK = "it_ran"


@pytest.fixture(autouse=True)
def somebody_who_would_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.mark, "unpickled"))


def _change(path: Path, **settings: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **settings}))


def _code(folder: Path) -> None:
    source = f"from pathlib import Path\nPath({str(folder / MARK)!r}).write_text('imported')\nclass Own: pass\n"
    (folder / "own.py").write_text(source)


def _own_classes(folder: Path) -> None:
    """Classes of its own for everything, next to the known ones: transformers would ask which to take."""
    _code(folder)
    names = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor", "AutoProcessor")
    for file in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        _change(folder / file, auto_map=dict.fromkeys(names, "own.Own") | {"AutoTokenizer": ["own.Own", "own.Own"]})


def _unknown_class(folder: Path) -> None:
    _own_classes(folder)
    _change(folder / "config.json", model_type="own")


def _own_module(folder: Path) -> None:
    _code(folder)
    (folder / "config.json").unlink()
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "own.Own"}]))


def _own_route(folder: Path) -> None:
    _own_module(folder)
    router = "sentence_transformers.base.modules.router.Router"
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": router}]))
    (folder / "router_config.json").write_text(json.dumps({"types": {"query_0": "own.Own"}, "structure": {}}))


def _own_activation(folder: Path) -> None:
    dense = folder / "1_Dense"
    dense.mkdir()
    (dense / "config.json").write_text(json.dumps({"activation_function": "own.Own", "in_features": 1}))


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state": _Bomb(folder / MARK)}, folder / "pytorch_model.bin", pickle_module=pickle)


def _kernels_of_a_hub(folder: Path) -> None:
    _change(folder / "config.json", _attn_implementation="somebody/kernels")


HOSTILE = {
    _unknown_class: "needs its own code, which Quartet never runs",
    _own_module: "contains code, which Quartet never runs: 'own.Own'",
    _own_route: "contains code, which Quartet never runs: 'own.Own'",
    _own_activation: "contains code, which Quartet never runs: 'own.Own'",
    _pickle: "cannot be loaded",
    _kernels_of_a_hub: "contains code, which Quartet never runs: 'somebody/kernels'",
}


@pytest.mark.parametrize(("make", "said"), HOSTILE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_it_is_refused_and_nothing_ran(
    make: Callable[[Path], None], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_clip(tmp_path / "hostile")
    make(folder)
    capfd.readouterr()
    with pytest.raises(ModelError, match=said):
        TwoTower(folder)
    assert not (folder / MARK).exists()
    assert "y/N" not in capfd.readouterr().out


def _module_of_texts(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "own.Own"}]))


def _pickled_layer(folder: Path) -> None:
    (folder / "2_Dense" / "model.safetensors").unlink()
    torch.save({"state": _Bomb(folder / MARK)}, folder / "2_Dense" / "pytorch_model.bin", pickle_module=pickle)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_module_of_texts, "contains code, which Quartet never runs: 'own.Own'"),
        (_pickled_layer, "cannot be loaded by sentence-transformers"),
    ],
)
def test_nor_does_that_of_a_model_of_texts(make: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "pictures")
    texts = write_texts(tmp_path / "texts")
    _code(texts)
    make(texts)
    with pytest.raises(ModelError, match=said):
        TwoTower(tmp_path)
    assert not (texts / MARK).exists()


def test_code_beside_a_known_class_is_left_alone(tmp_path: Path) -> None:
    """As of many published models, whose class transformers has taken in since."""
    plain = TwoTower(write_clip(tmp_path / "plain")).texts(["a dog"])
    folder = write_clip(tmp_path / "hostile")
    _own_classes(folder)
    torch.testing.assert_close(TwoTower(folder).texts(["a dog"]), plain)
    assert not (folder / MARK).exists()


def test_the_bomb_goes_off_where_somebody_unpickles_it(tmp_path: Path) -> None:
    """The control: what the test above would see."""
    folder = write_clip(tmp_path / "hostile")
    _pickle(folder)
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (folder / MARK).exists()
