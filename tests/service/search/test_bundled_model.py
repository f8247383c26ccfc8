"""The checkpoint that ships: on rendered files, through decoding, indexing and search, on compositions it never saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from demo.video import write_videos
from indexer.ingest.index_run import index_videos
from indexer.search.top_k import search
from indexer.store.library import Library
from model.encoder import Encoder
from model.evaluation.metrics import Retrieval, evaluate
from model.registry import MODELS, load_encoder
from model.training.data.dataset import CaptionedVideo, read_jsonl
from service.cli.demo import CLIPS, QUESTIONS, SEED

COUNT = 40


@dataclass(frozen=True)
class Bundle:
    """The demo model and a library of clips that it indexed."""

    encoder: Encoder
    library: Library
    videos: list[CaptionedVideo]
    clips: list[int]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("bundle")
    for _ in write_videos(folder, "test", COUNT, seed=31, workers=1):
        pass
    encoder = load_encoder("demo", "cpu")
    assert index_videos(folder / "library", [folder / "videos"], encoder).indexed == COUNT
    videos = read_jsonl(folder / "captions.jsonl")
    with Library.open(folder / "library") as library:
        by_name = {clip.path.name: clip.id for clip in library.catalog.list_clips(limit=None)}
        yield Bundle(encoder, library, videos, [by_name[video.video] for video in videos])


@pytest.fixture(scope="module")
def results(bundle: Bundle) -> dict[str, Retrieval]:
    texts = [caption for video in bundle.videos for caption in video.captions]
    owner = np.repeat(np.arange(COUNT), [len(video.captions) for video in bundle.videos])
    queries = bundle.encoder.text_queries(bundle.encoder.encode_texts(texts).vectors)
    return evaluate(bundle.encoder.spec.levels, queries, bundle.library.current().clips.vectors(bundle.clips), owner)


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in MODELS["demo"].iterdir()) < 20e6


def test_a_clip_has_the_same_bits_in_any_company(bundle: Bundle) -> None:
    rng = np.random.default_rng(3)
    clips = [rng.integers(0, 256, (t, 96, 128, 3), dtype=np.uint8) for t in (16, 16, 5)]
    together = bundle.encoder.encode_clips(clips)
    apart = [bundle.encoder.encode_clips([frames]) for frames in reversed(clips)]
    for level, rows in together.items():
        assert np.array_equal(rows[::-1], np.concatenate([each[level] for each in apart]))


def test_it_finds_what_it_never_saw(results: dict[str, Retrieval]) -> None:
    assert results["fused"].text_to_video.r1 > 65
    assert results["fused"].video_to_text.r1 > 65


@pytest.mark.parametrize("level", ["global", "entity", "action", "relation"])
def test_every_level_alone_is_far_above_chance(results: dict[str, Retrieval], level: str) -> None:
    # A random order finds 2.5% first and 25% among ten.
    assert results[level].text_to_video.r1 > 35
    assert results[level].text_to_video.r10 > 75


def test_the_index_answers_as_the_metrics_do(bundle: Bundle, results: dict[str, Retrieval]) -> None:
    encoder, gallery = bundle.encoder, bundle.library.current().clips
    right = 0
    for video, clip in zip(bundle.videos, bundle.clips, strict=True):
        query = encoder.text_queries(encoder.encode_texts([video.captions[0]]).vectors)
        weights = {level.name: level.weight for level in encoder.spec.levels}
        found = search(gallery, encoder.spec.levels, query, 1, weights)
        assert found.exact
        right += found.hits[0].id == clip
    assert right / COUNT > 0.65


def test_matched_words_are_mostly_true(bundle: Bundle) -> None:
    """Words of a clip's own captions are seen in it far more often than words of another's."""
    encoder, gallery = bundle.encoder, bundle.library.current().clips
    vectors = gallery.vectors(bundle.clips)
    said = encoder.attributes([video.captions[0] for video in bundle.videos])
    others = said[COUNT // 2 :] + said[: COUNT // 2]
    own = sum(len(found.entity) + len(found.action) for found in encoder.concepts(vectors, said))
    foreign = sum(len(found.entity) + len(found.action) for found in encoder.concepts(vectors, others))
    asked = sum(len(found.entity) + len(found.action) for found in said)
    assert own / asked > 0.4
    assert foreign < own / 3


def test_the_demo_asks_about_its_own_clips() -> None:
    assert len(QUESTIONS) == 3
    assert all(int(Path(question.video).stem.removeprefix("test-")) < CLIPS for question in QUESTIONS)
    assert SEED >= 0
