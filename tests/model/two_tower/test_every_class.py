"""Every class of two towers in the installed transformers: its own vectors, or a refusal that names the class.

The classes are found (`tests/every_two_tower.py`), so a new one of a later release is tried without being listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor
from torch.nn import functional as fn
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.every_two_tower import two_tower_classes, write_tiny

pytestmark = [
    # Notes of transformers about its own classes, on random settings.
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers"),
]

TEXTS = [
    "a dog",
    "Two MEN are riding horses",
    "Ball!",
    "",
    "a sentence that is much longer than any of these models reads " * 3,
]

VIDEOPRISM_TEXTS = ["a dog.", "two men are riding horses.", "ball.", ".", TEXTS[-1].strip() + "."]
"""As google-deepmind/videoprism writes them for its tokenizer."""

REFUSED = {"Blip2Model": "Blip2Model. Its text output is the state of a language model"}
"""Every other class works."""

Write = Callable[[type], Path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    base = tmp_path_factory.mktemp("classes")
    return cache(lambda cls: write_tiny(cls, base / cls.__name__))


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("cls", two_tower_classes(), ids=lambda cls: cls.__name__)
def test_its_own_vectors_or_a_reason(cls: type, written: Write) -> None:
    folder = written(cls)
    if reason := REFUSED.get(cls.__name__):
        with pytest.raises(ModelError, match=reason):
            TwoTower(folder)
        return
    tower = TwoTower(folder)
    # With the usual attention, Aimv2Model reads a text without padding as if it had no order.
    net = cls.from_pretrained(folder, attn_implementation="eager" if cls.__name__ == "Aimv2Model" else None).eval()
    for text, row in zip(TEXTS, tower.texts(TEXTS), strict=True):
        torch.testing.assert_close(row, fn.normalize(_text_vector(net, folder, text), dim=-1), atol=1e-5, rtol=1e-5)
    clip = frames(2 * (tower.clip_frames or 2))
    rows = tower.features([clip])[0]
    expected = fn.normalize(_seen(net, folder, clip, tower.clip_frames), dim=-1)
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=1e-5)
    assert (tower.texts(["a dog", "an owl"]).diff(dim=0).abs().max() > 1e-3) and rows.diff(dim=0).abs().max() > 1e-3


def _text_vector(net: Any, folder: Path, text: str) -> Tensor:
    """By the processor of the class, as the documentation of transformers calls it."""
    kind = net.config.model_type
    processor = PROCESSOR_MAPPING_NAMES.get(kind)
    options: dict[str, Any] = dict(getattr(getattr(transformers, processor), "text_kwargs", {})) if processor else {}
    options |= {"return_tensors": "pt", "truncation": True}
    if kind == "siglip":  # "the model was trained with padding=max_length", says its page
        options["padding"] = "max_length"
        text = text.lower()  # as in the training of SigLIP 2, whose tokenizer of fixed resolution does not do it
    if kind == "videoprism":
        text = VIDEOPRISM_TEXTS[TEXTS.index(text)]
    positions = net.config.text_config.max_position_embeddings
    if kind == "altclip":
        positions -= net.config.text_config.pad_token_id + 1
    options["max_length"] = min(positions, options.get("max_length", positions))
    inputs = transformers.AutoTokenizer.from_pretrained(folder)([text], **options)
    with torch.inference_mode():
        if kind == "pe_video":
            states = net.text_model(**inputs, output_hidden_states=True).hidden_states[-1]
            return net.text_video_head(states[:, 0])[0]
        if kind == "blip":
            inputs.pop("token_type_ids", None)
        vector = net.get_text_features(**inputs).pooler_output[0]
    return vector[0] if kind == "flava" else vector


def _seen(net: Any, folder: Path, clip: np.ndarray, size: int | None) -> Tensor:
    """The frames one by one; of videos the whole clip by every other frame, and windows of `size` frames."""
    with torch.inference_mode():
        if size is None:
            images = transformers.AutoImageProcessor.from_pretrained(folder)
            inputs = images([Image.fromarray(frame) for frame in clip], return_tensors="pt")
            vectors = net.get_image_features(**inputs).pooler_output
            return vectors[:, 0] if net.config.model_type == "flava" else vectors
        whole = np.linspace(0, len(clip) - 1, size).round().astype(int)
        parts = [clip[whole], *(clip[start : start + size] for start in range(0, len(clip) - size + 1, size // 2))]
        return torch.cat([_video_vector(net, folder, part) for part in parts])


def _video_vector(net: Any, folder: Path, part: np.ndarray) -> Tensor:
    if net.config.model_type == "xclip":
        images = transformers.AutoImageProcessor.from_pretrained(folder)
        pixels = images([Image.fromarray(frame) for frame in part], return_tensors="pt")["pixel_values"]
        return net.get_video_features(pixels[None]).pooler_output
    videos = transformers.AutoVideoProcessor.from_pretrained(folder)
    inputs = videos([part], return_tensors="pt", do_sample_frames=False)
    if net.config.model_type == "pe_video":
        return net.video_head(net.video_encoder(**inputs).pooler_output)
    return net.get_video_features(**inputs).pooler_output.flatten(1)


def _class(name: str) -> type:
    return next(cls for cls in two_tower_classes() if cls.__name__ == name)


def test_towers_of_unequal_width_are_refused_at_load(tmp_path: Path) -> None:
    """ALIGN's pictures have the width of its EfficientNet, whatever `projection_dim` is."""
    folder = write_tiny(_class("AlignModel"), tmp_path / "align", projection_dim=16)
    with pytest.raises(ModelError, match=r"AlignModel in .* gives 24 values for a picture and 16 for a text"):
        TwoTower(folder)


def test_a_text_is_cut_where_the_tokenizer_says(written: Write, tmp_path: Path) -> None:
    """AltCLIP has places for 514 tokens, and was trained on 77."""
    folder = write_tiny(_class("AltCLIPModel"), tmp_path / "altclip")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 12
    tokenizer.save_pretrained(folder)
    tower = TwoTower(folder)
    assert tower.max_tokens == 12
    assert tower.tokens(["word " * 50])["input_ids"].shape == (1, 12)


def test_a_learned_temperature_moves_the_centre(written: Write) -> None:
    """TIPSv2 spreads cosines less than CLIP: they are divided by 0.005, not by 0.01."""
    tower = TwoTower(written(_class("Tipsv2Model")))
    assert tower.centre == pytest.approx(0.25 * float(tower.net.temperature.detach()) / 0.01) and tower.centre < 0.2


@pytest.mark.parametrize("saved", ["BlipForImageTextRetrieval", "BlipForConditionalGeneration"])
def test_blip_is_compared_by_its_contrastive_head_or_refused_in_one_sentence(
    saved: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_tiny(getattr(transformers, saved), tmp_path / "blip")
    capfd.readouterr()
    if saved == "BlipForConditionalGeneration":
        with pytest.raises(ModelError, match=f"saved as {saved}, lack .* entries of BlipModel") as caught:
            TwoTower(folder)
        assert "\n" not in str(caught.value)
        assert capfd.readouterr() == ("", "")
        return
    tower = TwoTower(folder)
    net = transformers.BlipForImageTextRetrieval.from_pretrained(folder).eval()
    images = transformers.AutoImageProcessor.from_pretrained(folder)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS[:2], padding=True, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    clip = frames(3)
    pixels = images([Image.fromarray(frame) for frame in clip], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        # The class scores as many texts as pictures at a time.
        expected = torch.cat(
            [
                net(
                    tokens.input_ids,
                    picture[None].repeat(2, 1, 1, 1),
                    use_itm_head=False,
                    attention_mask=tokens.attention_mask,
                ).itm_score[:1]
                for picture in pixels
            ]
        )
    torch.testing.assert_close(tower.features([clip])[0] @ tower.texts(TEXTS[:2]).T, expected, atol=1e-5, rtol=1e-4)


def test_one_tower_is_named_and_refused(tmp_path: Path) -> None:
    folder = write_tiny(transformers.BertModel, tmp_path / "bert")
    with pytest.raises(ModelError, match=r"contains a BertModel, which has no tower for texts \(get_text_features\)"):
        TwoTower(folder)
