"""Zero-shot: phrases, best frames, the four levels and what a clip is said to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from model.language.parsed_caption import Attributes
from model.language.spacy_parser import SpacyParser, load_parsers
from model.levels import FRAMES, LEVEL_NAMES
from model.two_tower.encoder import SHARPNESS, ClipEncoder, level_specs, windows
from model.two_tower.phrase_bank import ACTIONS, THINGS, BestFrames, stands_out
from model.two_tower.phrases import Prompts, checked_templates, participle, phrases, phrases_as_written
from quartet.errors import InputError, ModelError
from tests.german_pipeline import write_german
from tests.two_towers import write_clip, write_siglip


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path, parser: SpacyParser) -> ClipEncoder:
    return ClipEncoder(folder, "tiny", parser=parser)


@pytest.mark.parametrize(
    ("text", "entity", "action", "relation"),
    [
        (
            "Two big brown dogs chase a very small cat.",
            ["two big brown dogs", "a very small cat"],
            ["chasing a very small cat"],
            ["two big brown dogs chasing a very small cat"],
        ),
        (
            "a car is parked by three people",
            ["a car", "three people"],
            ["parking a car"],
            ["three people parking a car"],
        ),
        (
            "a man in a red shirt is running away",
            ["a man", "a red shirt"],
            ["running away"],
            ["a man running away", "a man in a red shirt"],
        ),
        ("a dog chases another dog", ["a dog", "another dog"], ["chasing a dog"], ["a dog chasing a dog"]),
        ("somebody jumps over it", [], ["jumping"], []),
        ("dog on grass", ["dog", "grass"], [], ["dog on grass"]),
        ("sunset", ["sunset"], [], []),
        ("", [], [], []),
    ],
)
def test_phrases(parser: SpacyParser, text: str, entity: list[str], action: list[str], relation: list[str]) -> None:
    assert phrases(parser.parse([text])[0]) == {"entity": entity, "action": action, "relation": relation}


PARTICIPLES = """
run running, chase chasing, lie lying, see seeing, dye dyeing, tie tying, open opening, quit quitting, swim swimming,
play playing, fix fixing, sit sitting, eat eating, begin beginning, visit visiting, be being, ski skiing, cook cooking
"""


def test_participles() -> None:
    pairs = [pair.split() for pair in PARTICIPLES.split(",")]
    assert [participle(verb) for verb, _ in pairs] == [form for _, form in pairs]


def _world(*shown: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit phrases around a common direction, as those of a text tower are, and a frame for each phrase `shown`."""
    rng = torch.Generator().manual_seed(0)
    common = fn.normalize(torch.randn(64, generator=rng), dim=0)
    bank = fn.normalize(common + fn.normalize(torch.randn(80, 64, generator=rng), dim=-1), dim=-1)
    noise = torch.randn(len(shown), 64, generator=rng)
    return bank, fn.normalize(bank[list(shown)] + 0.05 * noise, dim=-1)


def test_a_thing_in_two_frames_counts_more_than_in_their_mean() -> None:
    bank, frames = _world(0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0, 0)
    best = fn.normalize(BestFrames.of(bank)(frames, keep=2), dim=-1)
    mean = fn.normalize(frames.mean(0), dim=-1)
    usual = (bank @ best).std() / (bank @ mean).std()
    assert bank[7] @ best - (bank @ best).mean() > 1.3 * usual * (bank[7] @ mean - (bank @ mean).mean())
    order = (bank @ best).argsort(descending=True).tolist()
    assert set(order[:2]) == {0, 7}
    assert stands_out(bank[[0, 7, 20]], bank, best).tolist() == [True, True, False]


def test_the_best_frames_fit_every_phrase_of_a_small_bank() -> None:
    bank, frames = _world(*range(12))
    few = bank[:20]  # fewer phrases than dimensions: without a ridge their cosines can all be met
    wanted = (few @ frames.T).topk(2, dim=1).values.mean(1)
    torch.testing.assert_close(few @ BestFrames.of(few, ridge=0.0)(frames, keep=2), wanted, atol=1e-4, rtol=1e-4)


def test_a_clip_of_one_frame_is_that_frame() -> None:
    bank, frames = _world(*range(12))
    torch.testing.assert_close(BestFrames.of(bank)(frames[:1], keep=2), frames[0], atol=1e-5, rtol=1e-5)


def test_windows_are_means_of_neighbours() -> None:
    _, frames = _world(*range(12))
    moments = windows(frames)
    assert moments.shape == (10, 64)
    torch.testing.assert_close(moments[4], fn.normalize(frames[4:7].mean(0), dim=-1))
    torch.testing.assert_close(windows(frames[:2])[0], fn.normalize(frames[:2].mean(0), dim=-1))


def test_the_bank_has_no_doubles() -> None:
    assert len(set(THINGS)) == len(THINGS) and len(set(ACTIONS)) == len(ACTIONS)
    assert all(phrase and phrase == phrase.strip().lower() for phrase in (*THINGS, *ACTIONS))


def test_the_levels_of_texts_and_clips(encoder: ClipEncoder) -> None:
    rng = np.random.default_rng(1)
    clips = [rng.integers(0, 256, (t, 40, 60, 3), dtype=np.uint8) for t in (1, 2, 12)]
    gallery = encoder.encode_clips(clips)
    frames = encoder.tower.features(clips)
    kept = encoder.spec.frames
    assert kept is not None and kept.count == encoder.spec.frames_per_clip
    for stored, own in zip(gallery.pop(FRAMES).reshape(3, kept.count, kept.dim), frames, strict=True):
        np.testing.assert_allclose(stored[: len(own)], own, atol=1e-3)
        assert not stored[len(own) :].any()
    for vectors in gallery.values():
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for level in ("global", "relation"):
        mean = fn.normalize(torch.stack([own.mean(0) for own in frames]), dim=-1).numpy()
        np.testing.assert_allclose(gallery[level], mean, atol=1e-5)
    batch = encoder.encode_texts(["a red dog chases a cat", "sunset"])
    tower, prompts = encoder.tower, Prompts()
    np.testing.assert_allclose(batch.vectors["global"][0], tower.texts(["a red dog chases a cat"])[0], atol=1e-5)
    nouns = tower.texts([prompts.of("entity", "a red dog"), prompts.of("entity", "a cat")]).mean(0)
    np.testing.assert_allclose(batch.vectors["entity"][0], fn.normalize(nouns, dim=-1), atol=1e-5)
    assert {level: bool(rows[1].any()) for level, rows in batch.vectors.items()} == {
        "global": True, "entity": True, "action": False, "relation": False,
    }  # fmt: skip
    assert batch.attributes[0] == Attributes(["dog", "cat"], ["chase"], ["dog chase cat"])
    expected = tower.texts([prompts.of("entity", "a red dog"), prompts.of("entity", "a cat")])
    np.testing.assert_allclose(batch.phrases[0]["entity"], expected, atol=1e-5)
    assert {level: len(rows) for level, rows in batch.phrases[1].items()} == {"global": 1, "entity": 1}


def test_a_clip_has_the_same_bits_in_any_company(encoder: ClipEncoder) -> None:
    rng = np.random.default_rng(3)
    clips = [rng.integers(0, 256, (t, 40, 60, 3), dtype=np.uint8) for t in (12, 3, 12, 7)]
    together = encoder.encode_clips(clips)
    apart = [encoder.encode_clips([frames]) for frames in clips]
    assert all(np.array_equal(rows, np.concatenate([each[name] for each in apart])) for name, rows in together.items())


def test_the_global_query_is_a_scaled_dot_product(encoder: ClipEncoder) -> None:
    vectors = encoder.encode_texts(["a dog"]).vectors
    for queries in (encoder.text_queries(vectors), encoder.clip_queries(vectors)):
        np.testing.assert_allclose(queries["global"], SHARPNESS * vectors["global"], atol=1e-5)
        assert all(queries[level] is vectors[level] for level in LEVEL_NAMES[1:])


def test_all_levels_agree_at_the_centre_and_grow_alike_around_it() -> None:
    for spec in level_specs(8, 0.2):
        factor = SHARPNESS if spec.name == "global" else 1.0  # the head's scale is in the folded query
        at, below, above = (spec.activate(np.array(factor * x)) for x in (0.2, 0.199, 0.201))
        assert at == pytest.approx(0.5)
        assert (above - below) / 0.002 == pytest.approx(SHARPNESS / 4, rel=1e-3)


def test_a_relation_is_shown_when_all_its_words_are(encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Attributes(["dog", "cat"], ["chase"], ["dog chase cat", "dog on cat"]), Attributes()]
    vectors = {level: np.tile(rows, (2, 1)) for level, rows in encoder.encode_texts(["a dog"]).vectors.items()}
    monkeypatch.setattr("model.two_tower.encoder.stands_out", lambda words, bank, clip: torch.ones(len(words)).bool())
    assert encoder.concepts(vectors, asked) == asked
    # Words come in alphabetical order: "cat" is missing.
    only_last = lambda words, bank, clip: torch.arange(len(words)) == len(words) - 1  # noqa: E731
    monkeypatch.setattr("model.two_tower.encoder.stands_out", only_last)
    assert encoder.concepts(vectors, asked)[0] == Attributes(["dog"], ["chase"], [])


def test_another_model_or_parser_is_another_fingerprint(
    encoder: ClipEncoder, folder: Path, tmp_path: Path, parser: SpacyParser
) -> None:
    assert ClipEncoder(folder, "moved", parser=parser).spec.fingerprint == encoder.spec.fingerprint
    other = write_clip(tmp_path / "other", 1)
    assert ClipEncoder(other, "tiny", parser=parser).spec.fingerprint != encoder.spec.fingerprint
    prompts = Prompts(entity="{}")
    assert ClipEncoder(folder, "tiny", parser=parser, prompts=prompts).spec.fingerprint != encoder.spec.fingerprint


def test_siglip_takes_the_same_way(tmp_path: Path, parser: SpacyParser) -> None:
    encoder = ClipEncoder(write_siglip(tmp_path / "s"), "s", parser=parser)
    batch = encoder.encode_texts(["a dog chases a red ball over the grass"])
    assert {rows.shape for rows in batch.vectors.values()} == {(1, encoder.tower.feature_dim)}
    assert encoder.spec.level("global").bias == pytest.approx(-SHARPNESS * encoder.tower.centre)


def test_a_query_in_another_language_has_the_global_level_alone(encoder: ClipEncoder) -> None:
    batch = encoder.encode_texts(["ein Hund jagt eine Katze", "a dog chases a cat"])
    assert [level for level, rows in batch.vectors.items() if rows[0].any()] == ["global"]
    assert all(rows[1].any() for rows in batch.vectors.values())
    assert batch.attributes[0] == Attributes() == encoder.attributes(["ein Hund jagt eine Katze"])[0]
    assert "looks like 'de'" in batch.notes[0] and batch.notes[1] == ""


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> SpacyParser:
    folder = write_german(tmp_path_factory.mktemp("german") / "pipeline")
    return load_parsers({"de": str(folder)})["de"]


@pytest.mark.parametrize(
    ("text", "entity", "action", "relation"),
    [
        (
            "ein großer Hund springt über den Zaun",
            ["ein großer Hund", "den Zaun"],
            ["springt über den Zaun"],
            ["ein großer Hund springt über den Zaun"],
        ),
        (
            "ein Hund jagt eine rote Katze",
            ["ein Hund", "eine rote Katze"],
            ["jagt eine rote Katze"],
            ["ein Hund jagt eine rote Katze"],
        ),
        (
            "eine Katze wird auf der Straße gejagt",
            ["eine Katze", "der Straße"],
            ["der Straße gejagt"],
            ["eine Katze wird auf der Straße gejagt"],
        ),
    ],
)
def test_phrases_of_another_language_stand_as_they_are_written(
    german: SpacyParser, text: str, entity: list[str], action: list[str], relation: list[str]
) -> None:
    found = phrases_as_written(german.parse([text])[0])
    assert found == {"entity": entity, "action": action, "relation": relation}


def test_a_parser_of_its_language_reads_a_query_and_is_named(
    folder: Path, encoder: ClipEncoder, german: SpacyParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ClipEncoder(folder, "tiny", parser=encoder.parser, languages={"de": german})
    assert asked.spec.fingerprint == encoder.spec.fingerprint
    texts = ["ein Hund jagt eine Katze", "a dog chases a cat", "un chien court sur la plage"]
    batch = asked.encode_texts(texts)
    assert all(rows[:2].any(axis=1).all() for rows in batch.vectors.values())
    assert batch.attributes[0] == Attributes(["hund", "katze"], ["jagen"], ["hund jagen katze"])
    assert asked.attributes(texts) == batch.attributes
    assert f"looks like 'de' rather than English. The parser {german.name} read it." in batch.notes[0]
    assert batch.notes[1] == "" and "Only the global level" in batch.notes[2]
    plain = encoder.encode_texts(texts).vectors
    for level, rows in batch.vectors.items():
        np.testing.assert_allclose(rows[1], plain[level][1], atol=1e-6)
    action = asked.tower.texts(["jagt eine Katze"])[0]
    np.testing.assert_allclose(batch.vectors["action"][0], action, atol=1e-5)
    given: list[list[str]] = []
    texts_of = asked.tower.texts
    monkeypatch.setattr(asked.tower, "texts", lambda some: (given.append(list(some)), texts_of(some))[1])
    rows = {level: np.zeros((1, asked.tower.feature_dim), np.float32) for level in batch.vectors}
    asked.concepts(rows, [Attributes(["katze", "cat"], ["jagen"])])
    assert given[0] == ["a photo of a cat", "katze"] and ["jagen"] in given


def test_a_pipeline_of_another_language_is_refused(german: SpacyParser, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"reads 'de', not 'fr'\. Give it as de="):
        load_parsers({"fr": str(german._nlp.path)})
    with pytest.raises(ModelError, match="'xx_gone' cannot be loaded"):
        load_parsers({"de": "xx_gone"})


def test_templates_of_a_library_are_averaged_and_leave_clips_alone(folder: Path, parser: SpacyParser) -> None:
    plain = ClipEncoder(folder, "tiny", parser=parser)
    templates = {"global": ("a video: {}",), "entity": ("a photo of {}", "{}, {weird}")}
    asked = ClipEncoder(folder, "tiny", parser=parser, templates=templates)
    assert asked.spec.fingerprint == plain.spec.fingerprint
    clip = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    for level, rows in plain.encode_clips([clip]).items():
        np.testing.assert_array_equal(rows, asked.encode_clips([clip])[level])
    text, tower = "a red dog chases a cat", plain.tower
    vectors, before = asked.encode_texts([text]).vectors, plain.encode_texts([text]).vectors
    np.testing.assert_allclose(vectors["global"][0], tower.texts([f"a video: {text}"])[0], atol=1e-5)
    phrases_ = [
        fn.normalize(tower.texts([f"a photo of {phrase}", f"{phrase}, {{weird}}"]).mean(0), dim=-1)
        for phrase in ("a red dog", "a cat")
    ]
    np.testing.assert_allclose(vectors["entity"][0], fn.normalize(sum(phrases_), dim=-1), atol=1e-5)
    for level in ("action", "relation"):
        np.testing.assert_array_equal(vectors[level], before[level])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "JSON object of levels"),
        ({}, "JSON object of levels"),
        ({"entities": ["{}"]}, "Unknown level 'entities'"),
        ({"entity": "a photo of {}"}, "must be a list of texts"),
        ({"entity": []}, "must be a list of texts"),
        ({"entity": ["a photo"]}, "'a photo' of level 'entity' must contain {} exactly once"),
    ],
)
def test_prompts_that_cannot_be_used_are_named(given: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_templates(given)
    assert said in str(caught.value)
