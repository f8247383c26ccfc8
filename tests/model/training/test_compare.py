"""A comparison goes on where it was stopped, never mixes settings, and says what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.text_features import TextFeatures
from model.training.compare import comparison as compare_module
from model.training.compare.comparison import Plan, compare
from model.training.compare.kept_models import Keeping
from model.training.compare.paired_bootstrap import difference
from model.training.compare.result_table import FinishedRun, summary, table
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo
from quartet.errors import InputError

D, W = 6, 8


def video(name: str, split: str) -> CaptionedVideo:
    return CaptionedVideo(name, (f"a {name} runs", f"the {name} is running"), split)


CAPTIONS = CaptionSet(tuple(video(f"{s}{i}", s) for s, n in (("train", 6), ("val", 3), ("test", 4)) for i in range(n)))


def told(text: str) -> TextFeatures:
    words = tuple(text.split())
    rng = np.random.default_rng(list(text.encode()))
    nodes = (Node("noun", (1,), words[1], 1), Node("verb", (len(words) - 1,), "run", 0))
    parse = ParsedCaption(text, words, ((0, 1),) * len(words), nodes, ((1, 0),))
    vectors = rng.standard_normal((len(words), W)).astype(np.float16)
    return TextFeatures(parse, EncodedText(vectors.mean(0).astype(np.float32), vectors))


class Told:
    """Texts that are made up again each time."""

    def __init__(self, *_: object) -> None:
        pass

    def texts(self, captions: list[str], advance: object) -> list[TextFeatures]:
        return [told(caption) for caption in captions]


class Named:
    """A parser or sentence encoder that nobody asks."""

    name = "made up"


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A features file, and texts of made-up vectors instead of the sentence encoder's."""
    path = tmp_path / "features.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number, item in enumerate(CAPTIONS.videos):
            file[item.video] = rng.standard_normal((1 + number % 3, D)).astype(np.float32)

    monkeypatch.setattr(compare_module, "SpacyParser", Named)
    monkeypatch.setattr(compare_module, "SentenceEncoder", Named)
    monkeypatch.setattr(compare_module, "TextFeaturizer", lambda *_: None)
    monkeypatch.setattr(compare_module, "TextCache", Told)
    return path


def run(plan: Plan, features: Path, out: Path, said: list[str] | None = None) -> Iterator[FinishedRun]:
    return compare(plan, CAPTIONS, [features], out, (said if said is not None else []).append)


def test_every_model_is_trained_once_with_each_seed(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped = run(Plan(("vse", "hgr"), seeds=2, epochs=2), features, out)
    first = [next(stopped) for _ in range(2)]
    stopped.close()
    assert [(r.model, r.seed, r.epochs) for r in first] == [("vse", 0, 2), ("hgr", 0, 2)]
    # Every caption of the test split is unique: both protocols see the same.
    assert first[0].test["fused per distinct caption"] == first[0].test["fused"]
    assert 1 <= first[0].best_epoch <= 2 and first[0].test["fused"]["text_to_video"]["queries"] == 8
    assert not [path for path in out.rglob("*") if path.suffix in (".ckpt", ".pt")]
    assert "| vse |" in (out / "table.md").read_text()

    said: list[str] = []
    made = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    results = list(run(Plan(("vse", "hgr"), seeds=2, epochs=2), features, out, said))
    assert results[:2] == first and [(r.model, r.seed) for r in results[2:]] == [("vse", 1), ("hgr", 1)]
    assert said[0] == "2 of 4 runs are already finished."
    assert all(path.stat().st_mtime_ns == at for path, at in made.items())
    data = json.loads((out / "results.json").read_text())
    assert data["summary"]["vse"]["seeds"] == [0, 1] and len(data["runs"]) == 4


def test_results_of_other_settings_or_data_are_refused(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    list(run(Plan(("vse",), seeds=1, epochs=1), features, out))
    with pytest.raises(InputError, match=r"vse-seed0.json was made with other settings \(training\)"):
        list(run(Plan(("vse",), seeds=1, epochs=2), features, out))
    with pytest.raises(InputError, match=r"other settings \(frames\)"):
        list(run(Plan(("vse",), seeds=1, epochs=1, frames=3), features, out))
    other = CaptionSet((*CAPTIONS.videos, video("test9", "test")))
    with pytest.raises(InputError, match=r"other settings \(data\)"):
        list(compare(Plan(("vse",), seeds=1, epochs=1), other, [features], out, print))
    (out / "runs" / "vse-seed0.json").write_text("{")
    with pytest.raises(InputError, match="is not a result of a comparison"):
        list(run(Plan(("vse",), seeds=1, epochs=1), features, out))


def test_a_caption_of_two_videos_is_one_query_per_distinct_caption(features: Path, tmp_path: Path) -> None:
    shared = [replace(item, captions=("a test0 runs", *item.captions[1:])) for item in CAPTIONS.split("test")]
    others = [item for item in CAPTIONS.videos if item.split != "test"]
    (done,) = compare(Plan(("vse",), seeds=1, epochs=1), CaptionSet((*others, *shared)), [features], tmp_path, print)
    assert done.test["fused"]["text_to_video"]["queries"] == 8
    distinct = done.test["fused per distinct caption"]
    assert distinct["text_to_video"]["queries"] == 5  # the shared one and four others
    assert distinct["video_to_text"]["queries"] == 4


def test_a_model_is_compared_with_itself_changed(features: Path, tmp_path: Path) -> None:
    models = ("plus", "plus:loss.level_ranking=0.5", "vse++:training.epochs=2")
    plan = Plan(models, seeds=1, changes=("training.epochs=1", "model.embed_dim=16"))
    assert [(r.model, r.epochs) for r in run(plan, features, tmp_path)] == list(zip(models, (1, 1, 2), strict=True))
    assert "| plus:loss.level_ranking=0.5 |" in (tmp_path / "table.md").read_text()
    with pytest.raises(InputError, match=r"made with other settings \(model\)"):
        list(run(replace(plan, changes=()), features, tmp_path))


def test_words_of_every_model_start_from_a_file(features: Path, tmp_path: Path) -> None:
    glove = tmp_path / "glove.txt"
    glove.write_text("a 0.1 0.2 0.3\nthe 0.3 0.2 0.1\nruns 1 0 1\n")
    plan = Plan(("vse++", "plus"), seeds=1, epochs=1)
    with_it = {r.model: r for r in compare(plan, CAPTIONS, [features], tmp_path / "glove", print, glove=glove)}
    without = {r.model: r for r in run(plan, features, tmp_path / "own")}
    assert all(with_it[name].test != without[name].test for name in plan.models)
    with pytest.raises(InputError, match=r"made with other settings \(word vectors\)"):
        glove.write_text(glove.read_text() + "is 0 0 1\n")
        list(compare(plan, CAPTIONS, [features], tmp_path / "glove", print, glove=glove))
    with pytest.raises(InputError, match=r"a checkpoint of vse\+\+ has no place for word vectors"):
        list(compare(plan, CAPTIONS, [features], tmp_path, print, keeping=Keeping(tmp_path), glove=glove))


def test_what_cannot_be_compared_is_named(features: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown model 'vsee'. Models: mcsan, mcsan-no-relation.*vse\+\+.*hanet"):
        Plan(("vse", "vsee"))
    with pytest.raises(InputError, match="'vse' is named twice"):
        Plan(("vse", "vse"))
    with pytest.raises(InputError, match="number of seeds must be at least 1, not 0"):
        Plan(("vse",), seeds=0)
    with pytest.raises(InputError, match="number of epochs must be at least 1, not 0"):
        Plan(("vse",), epochs=0)
    with pytest.raises(InputError, match="width must be above 0"):
        Plan(("vse",), width=0)
    untested = CaptionSet(tuple(item for item in CAPTIONS.videos if item.split != "test"))
    with pytest.raises(InputError, match="no test split"):
        next(compare(Plan(("vse",)), untested, [features], tmp_path, print))
    alone = CaptionSet((video("train0", ""), video("test0", "test")))
    with pytest.raises(InputError, match="at least 2 videos to train on, found 0"):
        next(compare(Plan(("vse",)), alone, [features], tmp_path, print))
    with pytest.raises(InputError, match="no features file"):
        next(compare(Plan(("vse",)), CAPTIONS, [tmp_path / "gone.h5"], tmp_path, print))


def test_the_table_tells_mean_and_spread() -> None:
    direction = {"r1": 10.0, "r5": 20.0, "r10": 30.0, "median_rank": 5.0, "mean_rank": 9.0, "queries": 40}
    test = {"fused": {"text_to_video": direction, "video_to_text": direction | {"queries": 4}, "sum_r": 120.0}}
    one = FinishedRun("vse", 0, {}, 1_500_000, 3, 2, 60.0, 90.0, 130.0, test)
    other = replace(one, seed=1, best_epoch=3, train_seconds=120.0, test={"fused": test["fused"] | {"sum_r": 123.0}})
    figures = summary([one, other])["figures"]
    assert figures["test.fused.sum_r"] == {"mean": 121.5, "sd": pytest.approx(1.5 * 2**0.5)}
    assert figures["train_seconds"]["mean"] == 90
    row = table([one, other]).splitlines()[2]
    assert row.startswith("| vse | 10.0 ± 0.0 | 20.0 ± 0.0 |")
    assert row.endswith("| 121.5 ± 2.1 | - | 2.5 ± 0.7 | 1.5 M | 1.5 | 1.5 | 2 |")
    assert "| 120.0 | - | 2.0 |" in table([one])
    both = replace(one, test=test | {"fused per distinct caption": test["fused"] | {"sum_r": 125.0}})
    assert "| 120.0 | 125.0 | 2.0 |" in table([both])
    assert "4 test videos, 40 captions" in table([one])


def test_the_table_tells_what_each_level_finds_alone() -> None:
    direction = {"r1": 10.0, "r5": 20.0, "r10": 30.0, "median_rank": 5.0, "mean_rank": 9.0, "queries": 40}
    row = {"text_to_video": direction, "video_to_text": direction, "sum_r": 120.0}
    sums = {"fused": 120.0, "global": 90.0, "entity": 80.0, "action": 70.0, "relation": 60.0}
    test = {name: row | {"sum_r": value} for name, value in sums.items()}
    one = FinishedRun("plus", 0, {}, 1_500_000, 3, 2, 60.0, 90.0, 130.0, test)
    without = replace(one, model="vse", test={"fused": row})
    assert "| plus | 120.0 | 90.0 | 80.0 | 70.0 | 60.0 |" in table([one, without])
    assert "| SumR of |" not in table([without])


def test_of_several_processes_the_first_alone_writes(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_module, "is_first_process", lambda: False)
    said: list[str] = []
    assert list(run(Plan(("vse",), seeds=1, epochs=1), features, tmp_path / "out", said)) == []
    assert said == [] and not list((tmp_path / "out").rglob("*.json")) and not (tmp_path / "out" / "table.md").exists()


def test_differences_are_compared_video_by_video(features: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs = list(run(Plan(("vse", "hgr"), seeds=2, epochs=1, against="hgr"), features, out))
    for one in runs:
        captions, texts, videos = np.array(one.by_video).sum(axis=0)
        assert captions == 8 and len(one.by_video) == 4
        assert 100 * (texts / captions + videos / 4) == pytest.approx(one.test["fused"]["sum_r"])
    data = json.loads((out / "results.json").read_text())
    mean = np.mean([own.test["fused"]["sum_r"] * (1 if own.model == "vse" else -1) for own in runs]) * 2
    assert data["against"] == "hgr" and data["differences"]["vse"]["mean"] == pytest.approx(mean)
    assert "| SumR minus that of hgr | difference |" in (out / "table.md").read_text()
    with pytest.raises(InputError, match="'mcsan' to compare with is not one of: vse, hgr"):
        Plan(("vse", "hgr"), against="mcsan")


def test_the_interval_of_a_difference_is_that_of_other_videos() -> None:
    """Of 400 videos a tenth is found by one model only: the standard error of their share is known."""
    found, missed = [2, 6, 3], [2, 0, 0]
    rng = np.random.default_rng(1)
    easy = rng.random(400) < 0.5
    better = rng.random(400) < 0.1
    other = [found if own else missed for own in easy]
    first = [found if own or extra else missed for own, extra in zip(easy, better, strict=True)]
    share = float(np.mean(better & ~easy))
    seen = difference([first], [other])
    assert seen.mean == pytest.approx(600 * share)
    half = 1.96 * 600 * (share * (1 - share) / 400) ** 0.5
    assert seen.low == pytest.approx(seen.mean - half, rel=0.1)
    assert seen.high == pytest.approx(seen.mean + half, rel=0.1)
    same = difference([first, other], [other, first])
    assert (same.mean, same.low, same.high, same.seeds) == (0, 0, 0, 2)  # what cancels for every video is certain
