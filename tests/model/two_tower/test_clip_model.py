"""Two-tower models from a folder: the same vectors as transformers itself gives, clear errors for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as fn
from transformers import AutoModel, AutoProcessor

from model.device import FittingBatches, in_half_precision, in_one_batch_or_apart
from model.encoder import Frames
from model.levels import Vectors
from model.two_tower.loaded_network import CLIP_CENTRE
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.two_towers import write_clip, write_sentence_transformer, write_siglip

TEXTS = ["a dog", "two men are riding horses over the grass, and a third one watches them from far away", "Ball!", ""]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("towers")
    return {
        "clip": write_clip(base / "clip"),
        "siglip": write_siglip(base / "siglip"),
        "sentence-transformers": write_sentence_transformer(base / "st"),
    }


def clips() -> list[Frames]:
    rng = np.random.default_rng(0)
    shapes = ((1, 48, 100), (19, 40, 60), (3, 90, 37))
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def test_a_picture_of_one_pixel_is_one(folders: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    """Not one of one channel, nor one that transformers has to wonder about."""
    tower = TwoTower(folders["clip"])
    grey = np.full((1, 1, 1, 3), 90, np.uint8)
    wide = np.full((1, 40, 40, 3), 90, np.uint8)
    with caplog.at_level("WARNING", logger="transformers"):
        torch.testing.assert_close(*tower.features([grey, wide]))
    assert "ambiguous" not in caplog.text


@pytest.mark.parametrize("kind", ["clip", "siglip", "sentence-transformers"])
def test_vectors_are_those_of_transformers(folders: dict[str, Path], kind: str) -> None:
    tower = TwoTower(folders[kind])
    place = folders[kind] / "0_CLIPModel" if kind == "sentence-transformers" else folders[kind]
    model, processor = AutoModel.from_pretrained(place).eval(), AutoProcessor.from_pretrained(place)
    padding = "max_length" if kind == "siglip" else True
    length = model.config.text_config.max_position_embeddings
    for i, text in enumerate(TEXTS):
        inputs = processor.tokenizer([text], padding=padding, truncation=True, max_length=length, return_tensors="pt")
        with torch.inference_mode():
            expected = fn.normalize(model.get_text_features(**inputs).pooler_output, dim=-1)[0]
        torch.testing.assert_close(tower.texts(TEXTS)[i], expected, atol=2e-6, rtol=1e-5)
    for frames, rows in zip(clips(), tower.features(clips()), strict=True):
        inputs = processor.image_processor([Image.fromarray(frame) for frame in frames], return_tensors="pt")
        with torch.inference_mode():
            expected = fn.normalize(model.get_image_features(**inputs).pooler_output, dim=-1)
        torch.testing.assert_close(rows, expected, atol=2e-6, rtol=1e-5)


def test_siglip_has_learned_its_centre_and_clip_has_none(folders: dict[str, Path]) -> None:
    tower = TwoTower(folders["siglip"])
    logits = tower.net.logit_scale.exp() * tower.centre + tower.net.logit_bias
    assert logits.item() == pytest.approx(0, abs=1e-5)
    assert TwoTower(folders["clip"]).centre == CLIP_CENTRE


def _no_vision(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["vision_config"]
    (folder / "config.json").write_text(json.dumps(config))


def _another_folder(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"format": 1}))


def _lost_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_another_folder, "contains no two-tower model"),
        (_no_vision, "the sizes of its weights differ from its config.json"),
        (_lost_weight, "lack 1 entries of CLIPModel, the first is 'visual_projection.weight'"),
        (_no_tokenizer, "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "cannot be loaded"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    folder = write_clip(tmp_path / "broken")
    damage(folder)
    with pytest.raises(ModelError, match=said) as caught:
        TwoTower(folder)
    assert str(folder) in str(caught.value)


def test_every_file_counts_for_the_hash(folders: dict[str, Path], tmp_path: Path) -> None:
    one, same, other = (TwoTower(write_clip(tmp_path / name, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert one.config.sha256 == same.config.sha256 != other.config.sha256


def test_batches_shrink_until_they_fit() -> None:
    tried: list[int] = []

    def on_a_small_device(rows: torch.Tensor) -> torch.Tensor:
        tried.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("no memory")
        return rows[:, None] * 2

    batches = FittingBatches(torch.device("cpu"), 16)
    assert batches(on_a_small_device, torch.arange(20))[:, 0].tolist() == list(range(0, 40, 2))
    assert tried[:4] == [16, 8, 4, 2] and max(tried[4:]) == 2
    assert batches.size == 2


def test_what_overflows_in_half_precision_is_computed_in_single() -> None:
    cpu = torch.device("cpu")
    large, small = torch.full((2, 3), 1000.0), torch.rand(2, 3)
    product = in_half_precision(lambda rows: rows @ rows.T, cpu, half=True)
    torch.testing.assert_close(product(large), large @ large.T)  # 3,000,000 is past float16
    assert product(small).dtype == torch.float32
    assert not torch.equal(product(small), small @ small.T)  # half precision was used
    torch.testing.assert_close(product(small), small @ small.T, atol=2e-3, rtol=2e-3)
    exact = in_half_precision(lambda rows: rows @ rows.T, cpu)
    assert torch.equal(exact(small), small @ small.T)


def test_a_gpu_takes_fewer_clips_at_once_where_its_memory_runs_out() -> None:
    tried: list[int] = []

    def on_a_small_device(chosen: Sequence[Frames]) -> Vectors:
        tried.append(len(chosen))
        if len(chosen) > 2:
            raise torch.OutOfMemoryError("no memory")
        return {"global": np.array([[frames.max()] for frames in chosen])}

    clips = [np.full((2, 4, 6, 3), i, np.uint8) for i in range(5)]
    assert in_one_batch_or_apart(on_a_small_device, clips, "cuda")["global"][:, 0].tolist() == list(range(5))
    assert tried == [5, 2, 3, 1, 2]

    def full(chosen: Sequence[Frames]) -> Vectors:
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(ModelError, match="cuda has too little free memory for one clip of 2 frames of 6x4 pixels"):
        in_one_batch_or_apart(full, clips, "cuda")


def test_a_device_without_any_memory_is_an_error() -> None:
    def full(rows: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        FittingBatches(torch.device("cpu"))(full, torch.arange(5))


@pytest.mark.parametrize("kind", ["clip", "siglip", "wide siglip"])
def test_words_are_in_the_space_of_their_sentence(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """The state that a tower pools becomes, by the same way as those of words, the sentence's vector."""
    folder = write_siglip(tmp_path, text_width=32) if kind == "wide siglip" else folders[kind]
    sentences = TwoTowerSentences(TwoTower(folder))
    (batch,) = sentences.tokenize(["a dog chases a red ball"])
    with torch.inference_mode():
        vectors, words = sentences.vectors(batch.tokens)
    assert words.shape[2] == vectors.shape[1] == sentences.dim
    torch.testing.assert_close(words[:, -1], vectors)
