"""Checkpoints on disk and the encoder that runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Attributes
from model.levels import LEVEL_NAMES
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.concept_heads import TRAINED
from model.mcsan.config import ModelConfig
from model.mcsan.encoder import McsanEncoder
from model.mcsan.layers import unit
from model.mcsan.network import MCSAN
from model.mcsan.text_features import collate
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


def test_texts_need_no_pytorch_once_their_networks_are_kept(tmp_path: Path) -> None:
    encoder, texts = (
        load_encoder("demo", "cpu"),
        ["a dog chases a red cat to the boat", "snow", "", "it runs and jumps"],
    )
    assert isinstance(encoder, McsanEncoder)
    for some in (texts[1:2], texts, texts[:2]):
        found, features = encoder.encode_texts(some), encoder.featurizer(some)
        with torch.inference_mode():
            right = unit(encoder.model.text(collate(features)))
            folded = encoder.model.head.fold_text(right["global"])
        for level, rows in found.vectors.items():
            np.testing.assert_allclose(rows, right[level].numpy(), atol=1e-6, err_msg=level)
        np.testing.assert_allclose(encoder.text_queries(found.vectors)["global"], folded, atol=2e-6)
    program = (
        "import sys, numpy as np\n"
        "from model.registry import load_encoder\n"
        "vectors = load_encoder('demo', 'cpu').encode_texts(sys.argv[2:]).vectors\n"
        "assert 'torch' not in sys.modules\n"
        "np.savez(sys.argv[1], **vectors)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "vectors.npz"), *texts], check=True)
    expected = encoder.encode_texts(texts).vectors
    for level, rows in np.load(tmp_path / "vectors.npz").items():
        np.testing.assert_array_equal(rows, expected[level], level)


def test_words_are_matched_as_the_concept_heads_say_and_others_never(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, "cpu")
    words = encoder.checkpoint.vocabularies["entity"]
    rows = np.random.default_rng(0).standard_normal((40, encoder.spec.level("action").dim)).astype(np.float32)
    logits = encoder.model.concept_logits("entity", torch.from_numpy(rows)).detach().numpy()
    vectors = dict.fromkeys(LEVEL_NAMES, rows)
    found = encoder.concepts(vectors, [Attributes(["zebra", *reversed(words)])] * 40)
    for own, shown in zip(found, logits >= TRAINED["entity"][0], strict=True):
        assert own.entity == [word for word, there in reversed(list(zip(words, shown, strict=True))) if there]
    assert 0 < sum(len(own.entity) for own in found) < 40 * len(words)


def test_statistics_of_the_features_survive_saving(tmp_path: Path) -> None:
    """A channel that is nearly constant, a constant one, and values that half precision does not have."""
    torch.manual_seed(0)
    frames = torch.randn(200, 12)
    frames[:, 0] = 7.0 + 1e-4 * frames[:, 0]
    frames[:, 1] = 3.1
    frames[:, 2] = 90_000.0 + 500.0 * frames[:, 2]
    config = ModelConfig(12, 4, 6, 6, embed_dim=8, heads=2, attention_dim=4, standardise=True)
    model = MCSAN(config, {"entity": 1, "action": 1, "relation": 1}).eval()
    model.video.set_statistics(frames.mean(0), frames.std(0, correction=0))
    clip, mask = frames[:4].unsqueeze(0), torch.ones(1, 4, dtype=torch.bool)
    before = model.video(clip, mask)
    names = {level: ["x"] for level in ("entity", "action", "relation")}
    save_checkpoint(tmp_path, Checkpoint("x", "", model, None, names, "parser", "sentences"))
    after = load_checkpoint(tmp_path).model.video(clip, mask)
    for name in LEVEL_NAMES:
        assert torch.cosine_similarity(before[name], after[name]).item() > 0.9999, name
    moved = clip.clone()
    moved[..., 1] += 1.0  # the constant channel says nothing, whatever comes
    torch.testing.assert_close(model.video(moved, mask), before)
