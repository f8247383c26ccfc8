"""Who does something to whom is read from the ordered pairs of a clip, after training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.checkpoint_files import WEIGHTS_FILE
from model.mcsan.config import PAIR_VALUES, ModelConfig, Preset, TrainConfig
from model.mcsan.linear_parts import ROLES, LinearParts
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import VideoText, role_verbs
from model.training.loop import role_fit
from model.training.loop.single_run import fit

NOUNS = ("dog", "cat", "bird")
CONFIG = ModelConfig(
    4, 2, len(NOUNS) + 1, 6, embed_dim=6 + 3 * PAIR_VALUES, heads=2, attention_dim=4, fitted_concepts=True, pair_kinds=3
)
SIZES = {"entity": 3, "action": 2, "relation": 1, ROLES: 2}


def caption(who: str, verb: str, whom: str) -> TextFeatures:
    """Words are vectors with a one where the noun stands; a verb stands last."""
    words = np.zeros((3, CONFIG.word_dim), np.float16)
    for row, place in enumerate((NOUNS.index(who), len(NOUNS), NOUNS.index(whom))):
        words[row, place] = 1
    nodes = (Node("noun", (0,), who, 1), Node("verb", (1,), verb, 0), Node("noun", (2,), whom, 3))
    parse = ParsedCaption(
        f"{who} {verb} {whom}", (who, verb, whom), ((0, 1),) * 3, nodes, ((1, 0), (1, 2)), ((who, verb, whom),)
    )
    return TextFeatures(parse, EncodedText(np.ones(CONFIG.sentence_dim, np.float32), words))


def test_roles_are_read_from_clips_whose_captions_tell_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chases has the larger third number, who watches the smaller first one."""
    rng = np.random.default_rng(0)
    texts, pairs = [], []
    for _ in range(60):
        who, whom = rng.permutation(3)[:2]
        verb = "chase" if rng.random() < 0.5 else "watch"
        texts.append([caption(NOUNS[who], verb, NOUNS[whom])])
        own = 0.2 * rng.standard_normal((3, PAIR_VALUES))
        place, sign = (2, 1) if verb == "chase" else (0, -1)
        own[who, place] += sign
        own[whom, place] -= sign
        pairs.append(own.ravel())
    clips = np.concatenate([rng.standard_normal((60, 6)), np.array(pairs)], 1).astype(np.float32)
    monkeypatch.setattr(role_fit, "encode_videos", lambda *_: {"relation": clips})
    data = VideoText.build([torch.zeros(2, 4)] * 60, texts)
    model = MCSAN(CONFIG, SIZES)
    assert model.text.pairs is not None
    model.text.pairs.kind.weight.data = 20 * torch.eye(4, CONFIG.word_dim)
    model.text.pairs.kind.bias.data.zero_()
    known = {"entity": list(NOUNS), "action": ["chase", "watch"], "relation": [], ROLES: role_verbs(data.texts, 2)}
    role_fit.fit_roles(model, data, known)
    save_checkpoint(tmp_path, Checkpoint("x", "", model, None, known, "parser", "sentences"))
    roles = LinearParts.read(tmp_path / WEIGHTS_FILE, CONFIG, known).roles
    assert roles is not None
    for clip, (text,) in zip(clips, texts, strict=True):
        (who, verb, whom), *_ = text.parse.triplets
        assert roles.agrees(f"{who} {verb} {whom}", NOUNS, clip)
        assert not roles.agrees(f"{whom} {verb} {who}", NOUNS, clip)
    kept = load_checkpoint(tmp_path).model.roles["verbs"].weight  # in half precision
    torch.testing.assert_close(kept, model.roles["verbs"].weight, rtol=1e-2, atol=1e-3)


def test_captions_without_two_nouns_tell_no_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_fit, "encode_videos", lambda *_: pytest.fail("nothing to read"))
    model, data = MCSAN(CONFIG, SIZES), VideoText.build([torch.zeros(2, 4)], [[caption("dog", "chase", "dog")]])
    role_fit.fit_roles(model, data, {"entity": list(NOUNS), ROLES: ["chase"]})


def test_a_model_of_pairs_needs_readings(tmp_path: Path) -> None:
    data = VideoText.build([torch.zeros(2, 4)] * 2, [[caption("dog", "chase", "cat")]] * 2)
    with pytest.raises(ValueError, match="readings"):
        fit(Preset(CONFIG, train=TrainConfig(epochs=1)), data, data, tmp_path, 0, progress=False)
