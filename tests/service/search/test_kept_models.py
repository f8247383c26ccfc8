"""Models of a comparison serve a library: those of one level and of two as well as MCSAN."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torchvision
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from indexer.ingest.frame_features import by_name, encode_videos, files_below
from indexer.ingest.index_run import index_videos
from indexer.texts.captions import add_captions
from model.baselines.checkpoint import load_baseline
from model.encoder import Encoder
from model.mcsan.checkpoint import load_checkpoint
from model.registry import load_encoder
from model.training.compare.comparison import Plan, compare
from model.training.compare.kept_models import Keeping
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError, ModelError
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

LEVELS = {"vse++": ["global"], "hsl": ["global", "concept"], "hit": ["feature", "semantic"]}
EXPERTS = ("mithun", "ce", "mmt")
FRAMES = 3


@pytest.fixture(scope="module")
def data(built_world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[CaptionSet, Path, Path]:
    """Captions of the world's videos, their features, and the weights of the backbone that made them."""
    folder = tmp_path_factory.mktemp("features")
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig("mobilenet_v3_small", (64, 64), "stretch")).eval()
    save_file(torchvision.models.get_model("mobilenet_v3_small", weights=None).state_dict(), folder / "w.safetensors")
    backbone.load_weights(folder / "w.safetensors")
    encode_videos(by_name(files_below(built_world.videos)), backbone, folder / "f.h5", FRAMES)
    splits = dict(zip(built_world.texts, ("train", "train", "train", "val", "test"), strict=True))
    videos = [
        CaptionedVideo(name, (text, f"the {name} square"), splits[name]) for name, text in built_world.texts.items()
    ]
    return CaptionSet(tuple(videos)), folder / "f.h5", folder / "w.safetensors"


@pytest.fixture(scope="module")
def kept(data: tuple[CaptionSet, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    captions, features, weights = data
    out = tmp_path_factory.mktemp("kept")
    plan = Plan((*LEVELS, "mcsan"), seeds=1, epochs=1, frames=FRAMES, width=1 / 32)
    keeping = Keeping(out / "models", weights)
    first = list(compare(plan, captions, [features], out, print, keeping=keeping))
    # What is kept is not trained again, and what has figures alone is.
    assert list(compare(plan, captions, [features], out, print, keeping=keeping)) == first
    (out / "models" / "vse++-seed0" / "config.json").unlink()
    list(compare(plan, captions, [features], out, print, keeping=keeping))
    assert not [path for path in out.rglob("*") if path.suffix in (".ckpt", ".pt")]
    return out / "models"


@dataclass(frozen=True)
class Served:
    """A kept model and a client of the service that serves a library of it."""

    model: str
    encoder: Encoder
    client: TestClient


@pytest.fixture(scope="module", params=LEVELS)
def served(
    request: pytest.FixtureRequest, kept: Path, built_world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    library = tmp_path_factory.mktemp("library")
    encoder = load_encoder(kept / f"{request.param}-seed0", "cpu")
    index_videos(library, [built_world.videos], encoder)
    add_captions(library, built_world.captions, encoder)
    with TestClient(create_app(Settings(library=library), encoder)) as client:
        yield Served(request.param, encoder, client)


def test_sentences_find_clips_and_clips_find_sentences(served: Served) -> None:
    about = served.client.get("/v1/library").json()
    expected = LEVELS[served.model]
    assert [level["name"] for level in about["levels"] if level["name"] != "words"] == expected
    asked = {"query": "a red square sliding past a wall", "k": 5}
    found = served.client.post("/v1/search/clips", json=asked).json()
    assert len(found["hits"]) == 5 and found["exact"]
    for hit in found["hits"]:
        assert [level for level in hit["levels"] if level != "words"] == expected
        total = sum(level["contribution"] for level in hit["levels"].values())
        assert hit["score"] == pytest.approx(total, abs=1e-5)
    told = served.client.post("/v1/search/captions", json={"clip_id": found["hits"][0]["clip_id"], "k": 5}).json()
    assert len(told["hits"]) == 5


def test_a_kept_model_is_evaluated_as_it_serves(
    served: Served, kept: Path, data: tuple[CaptionSet, Path, Path]
) -> None:
    captions, features, _ = data
    scores, checkpoint, _ = scores_on_features(kept / f"{served.model}-seed0", captions.videos, [features])
    assert f"{served.model}, seed 0 of a comparison." in checkpoint.note
    spec = served.encoder.spec
    assert spec.levels == tuple(scores.specs) and spec.frames_per_clip == FRAMES
    texts = [caption for video in captions.videos for caption in video.captions]
    for level, rows in served.encoder.text_queries(served.encoder.encode_texts(texts).vectors).items():
        np.testing.assert_allclose(rows, scores.text_queries[level], atol=2e-3)


def test_models_of_several_files_are_kept_and_evaluated(data: tuple[CaptionSet, Path, Path], tmp_path: Path) -> None:
    captions, features, _ = data
    files = [features, tmp_path / "other.h5"]
    with FeatureFile(files[1], writable=True) as file:
        for number, video in enumerate(captions.videos):
            file.add(video.video, torch.full((2, 5), float(number)))
    said: list[str] = []
    plan = Plan(EXPERTS, seeds=1, epochs=1, frames=FRAMES, width=1 / 64)
    list(compare(plan, captions, files, tmp_path, said.append, keeping=Keeping(tmp_path / "kept")))
    assert any("cannot see videos" in line for line in said)
    for name in EXPERTS:
        scores, checkpoint, _ = scores_on_features(tmp_path / "kept" / f"{name}-seed0", captions.videos, files)
        assert checkpoint.model.experts[1] == 5 and sum(checkpoint.model.experts) == checkpoint.model.feature_dim
        assert {spec.name for spec in scores.specs} == ({"object", "activity"} if name == "mithun" else {"global"})
        with pytest.raises(InputError, match="holds features of width"):
            scores_on_features(tmp_path / "kept" / f"{name}-seed0", captions.videos, [features])


def test_mcsan_is_kept_with_the_frames_that_it_saw(kept: Path) -> None:
    checkpoint = load_checkpoint(kept / "mcsan-seed0")
    assert checkpoint.model.config.frames == FRAMES and checkpoint.backbone is not None


def test_a_model_of_another_kind_is_named(kept: Path) -> None:
    with pytest.raises(ModelError, match=r"holds the baseline vse, not MCSAN"):
        load_checkpoint(kept / "vse++-seed0")
    config = kept / "hsl-seed0" / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"baseline": "t2vlad"}))
    with pytest.raises(ModelError, match="holds a model 't2vlad' that is not known here"):
        load_baseline(kept / "hsl-seed0")
    config.write_text(before)


def test_what_is_no_vector_is_refused_before_anything_is_trained(
    data: tuple[CaptionSet, Path, Path], tmp_path: Path
) -> None:
    captions, features, weights = data
    with pytest.raises(InputError, match=r"--keep: no vector of a video exists for hgr \(the words of a query choose"):
        next(compare(Plan(("vse", "hgr")), captions, [features], tmp_path, print, keeping=Keeping(tmp_path, weights)))
    assert not list(tmp_path.iterdir())
