"""Models in the layout of open_clip: the vectors of open_clip itself, or a reason."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as fn

from model.two_tower.loaded_network import CLIP_CENTRE
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.open_clip_models import MODELS, write_open_clip

pytest.importorskip("open_clip")
# timm tells of its own names that have moved.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:timm", "ignore::DeprecationWarning")

TEXTS = ["a dog", "Two MEN are riding, horses!", "", "a sentence that is longer than the model reads " * 4]


@pytest.mark.parametrize("kind", MODELS)
def test_vectors_are_those_of_open_clip(kind: str, tmp_path: Path) -> None:
    import open_clip

    folder = write_open_clip(tmp_path / kind, kind)
    tower = TwoTower(folder)
    net, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    options = {"trust_remote_code": False} if kind == "siglip2" else {}
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}", **options)
    clip = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    with torch.inference_mode():
        texts = fn.normalize(net.eval().encode_text(tokenize(TEXTS)), dim=-1)
        pictures = fn.normalize(net.encode_image(torch.stack([prepare(Image.fromarray(f)) for f in clip])), dim=-1)
    torch.testing.assert_close(tower.texts(TEXTS), texts, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tower.features([clip])[0], pictures, atol=1e-5, rtol=1e-5)
    same = tower.texts(["two men are riding horses", TEXTS[1]])
    # Only SigLIP 2 leaves punctuation out; the tokenizer of CLIP knows no capitals.
    assert torch.equal(same[0], same[1]) == (kind == "siglip2")
    if kind == "siglip2":
        assert tower.centre == pytest.approx(-float((net.logit_bias / net.logit_scale.exp()).detach()))
    else:
        assert tower.centre == CLIP_CENTRE
    with pytest.raises(ModelError, match="Train on top of it with --preset plus"):
        TwoTowerSentences(tower)


def _change(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


DAMAGE = {
    "no weights": (
        lambda f: (f / "open_clip_model.safetensors").unlink(),
        "cannot be loaded: Required pre",
    ),
    "cut weights": (lambda f: (f / "open_clip_model.safetensors").write_bytes(b"x"), "cannot be loaded"),
    "a pickle": (
        lambda f: (
            torch.save({"x": Path("x")}, f / "open_clip_pytorch_model.bin"),
            (f / "open_clip_model.safetensors").unlink(),
        ),
        "cannot be loaded",
    ),
    "another size": (
        lambda f: _change(f, lambda c: c["model_cfg"]["text_cfg"].update(width=16)),
        "cannot be loaded: text pos_embed width changed",
    ),
    "no model": (lambda f: _change(f, lambda c: c.pop("model_cfg")), "is damaged: it has no model_cfg"),
    "a text tower elsewhere": (
        lambda f: _change(f, lambda c: c["model_cfg"]["text_cfg"].update(hf_model_name="xlm-roberta-base")),
        "is xlm-roberta-base, whose configuration is in another repository",
    ),
    "a tower of a hub": (
        lambda f: _change(f, lambda c: c["model_cfg"]["vision_cfg"].update(timm_model_name="hf-hub:some/where")),
        "contains code, which Quartet never runs: 'hf-hub:some/where'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_folder_that_cannot_be_used_is_named(damage: str, tmp_path: Path) -> None:
    folder = write_open_clip(tmp_path / "broken")
    break_it, said = DAMAGE[damage]
    break_it(folder)
    with pytest.raises(ModelError, match=said) as caught:
        TwoTower(folder)
    assert str(folder) in str(caught.value)


def test_without_the_package_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_open_clip(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match=r"Run: pip install 'quartet-video\[open-clip\]'"):
        TwoTower(folder)
