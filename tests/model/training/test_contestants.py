"""Every model that a comparison knows can be built, at any width, for the data at hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.presets import PLUS
from model.mcsan.text_features import TextFeatures
from model.training.compare.comparison import Plan
from model.training.compare.contestants import CONTESTANTS, contestant
from model.training.compare.inputs import Inputs
from model.training.compare.paper_to_plus import steps
from model.training.compare.published import FROZEN_TOWERS, OF_PIXELS
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText
from model.training.loop.single_run import vocabularies_of
from quartet.errors import InputError


def data(width: int = 10) -> VideoText:
    rng = np.random.default_rng(0)
    texts = []
    for kind in ("dog", "cat", "bird"):
        parse = ParsedCaption(f"{kind} runs", (kind, "runs"), ((0, 1),) * 2, (Node("noun", (0,), kind, 1),))
        vectors = rng.standard_normal((3, 384)).astype(np.float32)
        texts.append([TextFeatures(parse, EncodedText(vectors[0], vectors[1:].astype(np.float16)))])
    return VideoText.build([torch.randn(n, width) for n in (1, 2, 3)], texts)


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name not in OF_PIXELS])  # test_vop.py has those
def test_it_scores_the_data_at_hand(name: str) -> None:
    torch.manual_seed(0)
    train = data(384 if name in FROZEN_TOWERS else 10)
    vocabularies = vocabularies_of(train, CONTESTANTS[name].train)
    model = CONTESTANTS[name].build(Inputs(train, vocabularies, width=1 / 16))
    losses = model.losses(Pairs(train, vocabularies, model.collate_text).collate([0, 1, 2]))
    assert all(torch.isfinite(loss) for loss in losses.values())
    results, _ = model.measure(train)
    assert results["fused"].text_to_video.queries == 3


def test_a_name_may_change_settings() -> None:
    off = contestant("mcsan:loss.focal=off:training.epochs=3", ["loss.focal=literal", "training.batch_size=8"])
    assert off.settings["loss"]["focal"] == "off"
    assert (off.train.epochs, off.train.batch_size) == (3, 8)
    inputs = Inputs(data(), vocabularies_of(data(), off.train), width=1 / 16)
    assert off.build(inputs).size == contestant("mcsan").build(inputs).size  # scaled as before
    wide = contestant("global-k:model.global_width=8").settings["model"]
    assert wide["alike"] and wide["global_width"] == 8
    vse = contestant("vse++:training.learning_rate=0.01", ["model.dropout=0.3", "training.epochs=2"])
    assert (vse.train.learning_rate, vse.train.epochs) == (0.01, 2)
    for name, said in (
        ("vse++:model.dropout=0.3", "is a setting of MCSAN and its presets"),
        ("mcsan:model.dorpout=0.3", "unknown setting 'model.dorpout'"),
        ("plus:model.dropout=much", "model.dropout"),
        ("vsee:training.epochs=2", "Unknown model 'vsee'"),
    ):
        with pytest.raises(InputError, match=said):
            contestant(name)
    with pytest.raises(InputError, match=r"None of the models has the setting 'loss.margin=0.1'"):
        Plan(("vse", "hgr"), changes=("loss.margin=0.1",))
    assert Plan(("vse", "mcsan"), changes=("loss.margin=0.1",)).settings("mcsan")["model"]["loss"]["margin"] == 0.1


def test_width_multiplies_what_was_published() -> None:
    train = data()
    inputs = Inputs(train, vocabularies_of(train, CONTESTANTS["mcsan"].train), width=0.25)
    assert inputs.wide(1024) == 256 and inputs.wide(10) == 8
    sizes = {name: CONTESTANTS[name].build(inputs).size for name in ("vse", "mcsan", "paper")}
    full = {name: CONTESTANTS[name].build(Inputs(train, inputs.vocabularies)).size for name in sizes}
    assert sizes["vse"] < full["vse"] / 3 and sizes["mcsan"] < full["mcsan"] / 3
    assert sizes["paper"] == full["paper"] == full["mcsan"]


def test_the_last_step_from_paper_is_the_preset_plus() -> None:
    presets = list(steps().values())
    assert presets[-1] == PLUS
    assert all(one != other for one, other in itertools.pairwise(presets))


def test_the_control_has_as_many_parameters_as_four_levels() -> None:
    train = data()
    inputs = Inputs(train, vocabularies_of(train, PLUS.train))
    levels, control = (CONTESTANTS[name].build(inputs) for name in ("plus", "global-k"))
    assert control.size == pytest.approx(levels.size, rel=2e-3)
    specs = zip(levels.model.level_specs(), control.model.level_specs(), strict=True)
    assert all((one.name, one.dim) == (other.name, other.dim) for one, other in specs)
