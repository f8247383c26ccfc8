"""Captions with one thing changed, and who notices."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.contrast import Change, changes, contrast_table, own_scores, share_noticed
from model.evaluation.scores import GivenScores
from model.language.spacy_parser import SpacyParser

CAPTIONS = [
    "a big dog chases a ball",
    "the red bird follows a cat",
    "two men are riding horses",
    "a woman is cooking",
    "sunset",
]


def test_one_thing_of_each_kind_is_changed() -> None:
    parsed = SpacyParser().parse(CAPTIONS)
    found = changes(parsed)
    assert found == changes(parsed)
    of = {(change.kind, change.caption): change.text for change in found}
    assert of["roles", 0] == "a ball chases a big dog"
    assert of["verb", 0] == "a big dog follows a ball" and of["verb", 1] == "the red bird chases a cat"
    assert of["verb", 2] == "two men are cooking horses" and of["verb", 3] == "a woman is riding"
    assert of["attribute", 0] == "a red dog chases a ball" and of["attribute", 1] == "the big bird follows a cat"
    assert (
        of["noun", 0] != CAPTIONS[0] and of["noun", 0].endswith("chases a ball") and of["noun", 0].startswith("a big ")
    )
    assert of["noun", 4] != "sunset" and ("roles", 3) not in of and ("verb", 4) not in of


def test_what_is_noticed_is_counted_where_a_level_can_be_asked() -> None:
    changed = [Change("noun", 0, ""), Change("noun", 1, ""), Change("verb", 1, "")]
    none = -np.inf
    plain = {"fused": np.array([[0.9, 0.1], [0.1, 0.5]]), "action": np.array([[none, none], [0.2, 0.3]])}
    other = {
        "fused": np.array([[0.5, 0.0], [0.0, 0.5], [0.0, 0.2]]),
        "action": np.array([[0.1, 0.1], [0.1, 0.1], [0.9, 0.9]]),
    }
    own = own_scores(GivenScores({n: m.astype(np.float32) for n, m in plain.items()}), np.array([0, 1]))
    altered = own_scores(GivenScores({n: m.astype(np.float32) for n, m in other.items()}), np.array([0, 1, 1]))
    found = share_noticed(changed, own, altered)
    assert found["noun"] == {"fused": (0.5, 2), "action": (1.0, 1)}  # equal scores are not noticed
    assert found["verb"] == {"fused": (1.0, 1), "action": (0.0, 1)}
    assert found["roles"]["fused"] == (pytest.approx(float("nan"), nan_ok=True), 0)
    assert contrast_table(found).splitlines()[2] == "| fused | 50.0 of 2 | 100.0 of 1 | - | - |"
