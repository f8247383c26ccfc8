"""Captions with one thing changed, and who notices."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.assessment import Subject, assess
from model.evaluation.contrast import Noticed, measure_contrast, noticed, own_scores
from model.evaluation.reports.report import markdown, to_json
from model.evaluation.scores import GivenScores, LevelScores
from model.language.caption_changes import Change, changes
from model.language.parsed_caption import ParsedCaption
from model.language.spacy_parser import SpacyParser
from model.levels import LEVEL_NAMES, LevelSpec, Vectors

CAPTIONS = [
    "a big dog chases a ball",
    "the red bird follows a cat",
    "two men are riding horses",
    "a woman is cooking in the kitchen",
    "a blue car is pushed by a truck in the garden",
]


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


def changed(parser: SpacyParser, captions: list[str], owner: list[int] | None = None) -> dict[tuple[str, int], str]:
    found = changes(parser.parse(captions), np.arange(len(captions)) if owner is None else np.array(owner))
    assert len({(change.kind, change.caption) for change in found}) == len(found)
    return {(change.kind, change.caption): change.text for change in found}


def test_exactly_one_thing_of_each_kind_is_changed(parser: SpacyParser) -> None:
    of = changed(parser, CAPTIONS)
    assert of == changed(parser, CAPTIONS)
    assert of["roles", 0] == "a ball chases a big dog"
    assert of["roles", 4] == "a truck is pushed by a blue car in the garden"
    assert of["verb", 0] == "a big dog follows a ball" and of["verb", 1] == "the red bird chases a cat"
    assert of["verb", 2] == "two men are cooking horses" and of["verb", 3] == "a woman is riding in the kitchen"
    assert of["attribute", 1].replace("big", "").replace("blue", "") == "the  bird follows a cat"
    assert of["noun", 3] in {"a woman is cooking in the garden"} | {
        f"a {noun} is cooking in the kitchen" for noun in ("dog", "ball", "bird", "cat", "car", "truck")
    }
    assert ("roles", 3) not in of and ("verb", 4) not in of  # nothing to exchange; no other verb of this form
    for (kind, number), text in of.items():
        if kind != "roles":
            before, after = CAPTIONS[number].split(), text.split()
            assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, text


def test_what_another_caption_of_the_video_says_does_not_take_a_place(parser: SpacyParser) -> None:
    captions = ["a dog chases a ball", "a puppy chases a ball", "a cat chases a bird", "a bird chases a cat"]
    of = changed(parser, captions, [0, 0, 1, 1])
    for number in (0, 1):
        assert not {"puppy", "dog"} & (set(of["noun", number].split()) - set(captions[number].split()))
    assert ("verb", 0) not in of  # there is no other verb
    assert ("roles", 0) in of and ("roles", 2) not in of  # both chase each other


def test_what_is_noticed_is_counted_where_a_level_can_be_asked() -> None:
    made = [Change("noun", 0, ""), Change("noun", 1, ""), Change("verb", 1, "")]
    none = -np.inf
    plain = {"fused": np.array([[0.9, 0.1], [0.1, 0.5]]), "action": np.array([[none, none], [0.2, 0.3]])}
    other = {
        "fused": np.array([[0.5, 0.0], [0.0, 0.5], [0.0, 0.2]]),
        "action": np.array([[0.1, 0.1], [0.1, 0.1], [0.9, 0.9]]),
    }
    own = own_scores(GivenScores({n: m.astype(np.float32) for n, m in plain.items()}), np.array([0, 1]))
    altered = own_scores(GivenScores({n: m.astype(np.float32) for n, m in other.items()}), np.array([0, 1, 1]))
    found = noticed(made, own, altered)
    assert found["noun"] == {"fused": Noticed(0.5, 2), "action": Noticed(1.0, 1)}  # equal scores are not noticed
    assert found["verb"] == {"fused": Noticed(1.0, 1), "action": Noticed(0.0, 1)}
    assert found["roles"]["fused"] == Noticed(None, 0)


def test_every_level_notices_its_own_kind_of_change(parser: SpacyParser) -> None:
    """Levels that are bags of what they read notice exactly that; the report says the same in both of its forms."""
    captions = [
        f"a {one} {noun} {verb} a {two} {other}"
        for one, noun, verb, two, other in (
            ("big", "dog", "chases", "red", "ball"),
            ("small", "cat", "pushes", "green", "car"),
            ("red", "bird", "follows", "big", "truck"),
            ("green", "robot", "pulls", "small", "box"),
        )
    ]
    places: dict[str, int] = {}

    def bag(words: list[str]) -> np.ndarray:
        row = np.zeros(200, np.float32)
        for word in words:
            row[places.setdefault(word, len(places))] = 1
        return row / max(1.0, float(np.linalg.norm(row)))

    def read(level: str, parse: ParsedCaption) -> list[str]:
        if level == "relation":
            return [" ".join(triplet) for triplet in parse.triplets]
        if level == "global":  # whatever describes a noun
            phrases = [[i for i in node.phrase if i not in node.words] for node in parse.nodes if node.kind == "noun"]
            return [parse.words[i] for own in phrases for i in own]
        return parse.nouns if level == "entity" else parse.verbs

    def encode(texts: list[str]) -> Vectors:
        parses = parser.parse(list(texts))
        return {level: np.stack([bag(read(level, parse)) for parse in parses]) for level in LEVEL_NAMES}

    specs = [LevelSpec(level, 200) for level in LEVEL_NAMES]
    scores = LevelScores(specs, encode(captions), encode(captions), ablations=True)
    owner = np.arange(len(captions))
    found = measure_contrast(scores, owner, parser.parse(captions), encode)
    sees = {
        "noun": {"entity", "relation"},
        "verb": {"action", "relation"},
        "roles": {"relation"},
        "attribute": {"global"},
    }
    for kind, own in found.items():
        assert {name for name in LEVEL_NAMES if own[name] == Noticed(1.0, 4)} == sees[kind]
        assert {name for name in LEVEL_NAMES if own[name] == Noticed(0.0, 4)} == set(LEVEL_NAMES) - sees[kind]
    assert found["roles"]["fused"].share == 1 and found["roles"]["without relation"].share == 0

    from dataclasses import replace

    assessment = replace(assess(scores, Subject(list("abcd"), captions, owner), 0), contrast=found)
    assert "| score | noun (4) | verb (4) | roles (4) | attribute (4) |" in markdown(assessment)
    assert "| without relation | 100.0 | 100.0 | 0.0 | 100.0 |" in markdown(assessment)
    assert to_json(assessment, {})["contrast"]["roles"]["entity"] == {"share": 0.0, "of": 4}  # type: ignore[index]
