"""Checkpoints on disk and the encoder that runs them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Attributes
from model.levels import LEVEL_NAMES
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.encoder import CONCEPT_THRESHOLD, McsanEncoder
from model.registry import load_encoder
from quartet.errors import ModelError


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Path) -> None:
    first, second = load_checkpoint(checkpoint), load_checkpoint(checkpoint)
    assert first.fingerprint == second.fingerprint
    assert (first.name, first.note, first.model.config.frames) == ("tiny", "A test.", 4)
    assert first.backbone is not None
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(value, second.model.state_dict()[name])


def test_any_change_changes_the_fingerprint(checkpoint: Path) -> None:
    before = load_checkpoint(checkpoint).fingerprint
    edit(checkpoint, parser="another")
    assert load_checkpoint(checkpoint).fingerprint != before


def test_damaged_weights_are_refused(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 1"),
        ({"model": {"colour": 1}}, "no field 'colour'"),
        ({"model": {"feature_dim": 7}}, "cannot be loaded"),
        ({"vocabularies": {}}, "cannot be loaded"),
    ],
)
def test_a_wrong_configuration_is_refused(checkpoint: Path, changes: dict, message: str) -> None:
    edit(checkpoint, **changes)
    with pytest.raises(ModelError, match=message):
        load_checkpoint(checkpoint)


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_checkpoint(tmp_path)
    with pytest.raises(ModelError, match="There is no model 'nowhere'"):
        load_encoder("nowhere")


@pytest.mark.parametrize("part", ["parser", "sentence_encoder"])
def test_a_model_of_other_text_tools_is_refused(checkpoint: Path, part: str) -> None:
    edit(checkpoint, **{part: "another"})
    with pytest.raises(ModelError, match=r"was trained with the .* another, but"):
        McsanEncoder(checkpoint)


def test_the_encoder_protocol(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, "cpu")
    assert [level.name for level in encoder.spec.levels] == list(LEVEL_NAMES)
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (t, 40, 60, 3), dtype=np.uint8) for t in (4, 1)]
    videos = encoder.encode_clips(clips)
    texts = encoder.encode_texts(["a dog chases a cat", "sunset", "!!!", ""])
    for spec in encoder.spec.levels:
        assert videos[spec.name].shape == (2, spec.dim) and videos[spec.name].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(videos[spec.name], axis=1), 1, atol=1e-5)
        assert texts.vectors[spec.name].shape == (4, spec.dim)
    assert texts.attributes[0] == Attributes(["dog", "cat"], ["chase"], ["dog chase cat"])
    assert not texts.vectors["action"][1].any() and not texts.vectors["entity"][2].any()
    # Either side folded, the global inner products are the same.
    a = encoder.text_queries(texts.vectors)["global"] @ videos["global"].T
    b = texts.vectors["global"] @ encoder.clip_queries(videos)["global"].T
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_words_are_matched_as_the_concept_heads_say_and_others_never(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, "cpu")
    words = encoder.checkpoint.vocabularies["entity"]
    rows = np.random.default_rng(0).standard_normal((40, encoder.spec.level("action").dim)).astype(np.float32)
    probability = encoder.model.concept_logits("entity", torch.from_numpy(rows)).sigmoid().detach().numpy()
    vectors = dict.fromkeys(LEVEL_NAMES, rows)
    found = encoder.concepts(vectors, [Attributes(["zebra", *reversed(words)])] * 40)
    for own, shown in zip(found, probability >= CONCEPT_THRESHOLD, strict=True):
        assert own.entity == [word for word, there in reversed(list(zip(words, shown, strict=True))) if there]
    assert 0 < sum(len(own.entity) for own in found) < 40 * len(words)
