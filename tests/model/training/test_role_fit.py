"""Who does something to whom is read from the ordered pairs of a clip, after training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import ROLES as ROLE_NAMES
from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.checkpoint_files import WEIGHTS_FILE
from model.mcsan.config import PAIR_VALUES, ModelConfig, Preset, TrainConfig
from model.mcsan.linear_parts import ROLES, LinearParts
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import VideoText, role_verbs
from model.training.fitting.role_fit import _pairs, fit_roles
from model.training.loop.single_run import fit

NOUNS, VERBS = ("dog", "cat", "bird"), ("chase", "watch")
CHASE, WATCH = len(NOUNS), len(NOUNS) + 1  # their places in a word vector
SUBJECT, OBJECT, PATIENT, AGENT = (ROLE_NAMES.index(name) for name in ("nsubj", "obj", "nsubj:pass", "obl:agent"))
CONFIG = ModelConfig(
    4, 2, len(NOUNS) + 2, 6, embed_dim=6 + 3 * PAIR_VALUES, heads=2, attention_dim=4, fitted_concepts=True, pair_kinds=3
)
SIZES = {"entity": 3, "action": 2, "relation": 1, ROLES: 2}


def caption(who: str, verb: str, whom: str) -> TextFeatures:
    """Each word is a vector with a one in its own place."""
    words = np.zeros((3, CONFIG.word_dim), np.float16)
    for row, place in enumerate((NOUNS.index(who), len(NOUNS) + VERBS.index(verb), NOUNS.index(whom))):
        words[row, place] = 1
    nodes = (Node("noun", (0,), who, SUBJECT), Node("verb", (1,), verb, 0), Node("noun", (2,), whom, OBJECT))
    parse = ParsedCaption(
        f"{who} {verb} {whom}", (who, verb, whom), ((0, 1),) * 3, nodes, ((1, 0), (1, 2)), ((who, verb, whom),)
    )
    return TextFeatures(parse, EncodedText(np.ones(CONFIG.sentence_dim, np.float32), words))


def test_roles_are_read_as_the_text_tower_means_them(tmp_path: Path) -> None:
    """Who chases has the larger third number, who watches the smaller first one."""
    model = MCSAN(CONFIG, SIZES)
    tower = model.text.pairs
    assert tower is not None
    tower.kind.weight.data, tower.kind.bias.data = 20 * torch.eye(4, CONFIG.word_dim), torch.zeros(4)
    says = torch.zeros(len(ROLE_NAMES), PAIR_VALUES, CONFIG.word_dim)
    says[SUBJECT, 2, CHASE], says[OBJECT, 2, CHASE], says[SUBJECT, 0, WATCH] = 1, -1, -1
    tower.does.weight.data, tower.does.bias.data = says.flatten(0, 1), torch.zeros(len(ROLE_NAMES) * PAIR_VALUES)
    pairs = [(who, verb, whom) for who in NOUNS for verb in VERBS for whom in NOUNS if who != whom]
    data = VideoText.build([torch.zeros(2, 4)] * len(pairs), [[caption(*pair)] for pair in pairs])
    known = {"entity": list(NOUNS), "action": list(VERBS), "relation": [], ROLES: role_verbs(data.texts, 2)}
    fit_roles(model, data, known)
    save_checkpoint(tmp_path, Checkpoint("x", "", model, None, known, "parser", "sentences"))
    roles = LinearParts.read(tmp_path / WEIGHTS_FILE, CONFIG, known).roles
    assert roles is not None
    rng = np.random.default_rng(0)
    for who, verb, whom in pairs:
        clip = 0.2 * rng.standard_normal((3, PAIR_VALUES))
        clip[NOUNS.index(who), 2 if verb == "chase" else 0] += 1 if verb == "chase" else -1
        vector = np.concatenate([rng.standard_normal(6), clip.ravel()]).astype(np.float32)
        assert roles.exchanged(f"{who} {verb} {whom}", NOUNS, vector) is None
        assert roles.exchanged(f"{whom} {verb} {who}", NOUNS, vector) == f"{whom} {verb}"
    kept = load_checkpoint(tmp_path).model.roles["verbs"].weight  # in half precision
    torch.testing.assert_close(kept, model.roles["verbs"].weight, rtol=1e-2, atol=1e-3)


def test_a_passive_says_who_does_it_as_well() -> None:
    """The verb's subject is whom it is done to: "a cat is chased by a dog"."""
    nodes = (Node("noun", (0,), "cat", PATIENT), Node("verb", (1,), "chase", 0), Node("noun", (2,), "dog", AGENT))
    parse = ParsedCaption(
        "cat chased dog", ("cat", "chased", "dog"), ((0, 1),) * 3, nodes, ((1, 0), (1, 2)), (("dog", "chase", "cat"),)
    )
    assert list(_pairs(parse)) == [(2, 1, 0, "chase")]


def test_captions_without_two_nouns_tell_no_roles() -> None:
    model, data = MCSAN(CONFIG, SIZES), VideoText.build([torch.zeros(2, 4)], [[caption("dog", "chase", "dog")]])
    fit_roles(model, data, {"entity": list(NOUNS), ROLES: role_verbs(data.texts, 2)})
    assert not model.roles["verbs"].weight[0].any()


def test_a_model_of_pairs_needs_readings(tmp_path: Path) -> None:
    data = VideoText.build([torch.zeros(2, 4)] * 2, [[caption("dog", "chase", "cat")]] * 2)
    with pytest.raises(ValueError, match="readings"):
        fit(Preset(CONFIG, train=TrainConfig(epochs=1)), data, data, tmp_path, 0, progress=False)
