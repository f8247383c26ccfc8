"""A made library: half of the targets are told only by a text, half are shown only by their pictures.

The pictures are of the demo world and the model is the bundled one. Every clip has a line about something else, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from demo.captions import captions
from demo.render import HEIGHT, WIDTH, render_frames
from demo.world import sample_split
from indexer.ingest.index_run import index_videos
from indexer.pipeline.local_pipeline import LocalPipeline
from model.encoder import Encoder
from model.registry import load_encoder
from service.http.app import create_app
from service.settings import Settings

TOLD = (
    ("The central bank raised interest rates by half a point today.", "the central bank and interest rates"),
    ("Welcome back to my kitchen, we are baking sourdough bread.", "how to bake bread"),
    ("Photosynthesis turns sunlight into sugar inside the leaf.", "how plants turn sunlight into sugar"),
    ("The striker missed the penalty in the last minute.", "a missed penalty"),
    ("Volcanoes erupt where tectonic plates meet.", "why volcanoes erupt"),
    ("The patient needs antibiotics for the infection.", "antibiotics against an infection"),
    ("The defendant pleaded not guilty to all charges.", "a trial in court"),
    ("Penguins huddle together to survive the Antarctic winter.", "penguins in winter"),
    ("The museum bought a painting by Rembrandt.", "a painting for a museum"),
    ("The vaccine protects children against measles.", "vaccination of children"),
)
"""What is said in a clip, and what somebody who heard it would ask for."""

CHATTER = (
    "Let me check whether the microphone works.", "We will be back after a short break.",
    "Could you pass me that, please?", "I have not slept well this week.", "The next train leaves at nine.",
    "Nobody knew what to say to him.", "It has been raining since Tuesday.", "She moved to another city last year.",
    "Do not forget to lock the door.", "The meeting was moved to Thursday afternoon.",
)  # fmt: skip

COUNT = 2 * len(TOLD)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("demo", "cpu")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("told-or-shown")
    videos = folder / "videos"
    videos.mkdir()
    for i, spec in enumerate(sample_split("test", COUNT, 0)):
        with av.open(str(videos / f"{i:02d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=4, options={"crf": "18"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for frame in render_frames(spec, np.linspace(0, 1, 9)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        lines = [CHATTER[i % len(CHATTER)], *([TOLD[i][0]] if i < len(TOLD) else [])]
        cues = [f"{n}\n00:00:0{n - 1},000 --> 00:00:0{n - 1},900\n{line}\n" for n, line in enumerate(lines, 1)]
        (videos / f"{i:02d}.srt").write_text("\n".join(cues), encoding="utf-8")
    index_videos(folder / "library", [videos], encoder, pipeline=LocalPipeline(encoder))
    with TestClient(create_app(Settings(library=folder / "library"), encoder)) as client:
        yield client


def test_texts_and_pictures_together_find_what_either_finds(client: TestClient) -> None:
    told = {query: f"{i:02d}" for i, (_, query) in enumerate(TOLD)}
    specs = sample_split("test", COUNT, 0)
    shown = {captions(specs[i], 6)[2]: f"{i:02d}" for i in range(len(TOLD), COUNT)}

    def recall(targets: Mapping[str, str], weights: Mapping[str, float]) -> float:
        body = {"queries": list(targets), "k": 1, "weights": dict(weights)}
        answers = client.post("/v1/search/clips/batch", json=body).json()["answers"]
        return float(
            np.mean([a["hits"][0]["title"] == right for a, right in zip(answers, targets.values(), strict=True)])
        )

    pictures = {"words": 0.0}
    texts = {**dict.fromkeys(("global", "entity", "action", "relation"), 0.0), "words": 1.0}
    assert recall(told, texts) >= 0.9
    assert recall(shown, pictures) >= 0.6
    assert recall(told, {}) >= recall(told, texts) > recall(told, pictures)
    assert recall(shown, {}) >= recall(shown, pictures) > recall(shown, texts)


def test_questions_without_meaning_fit_nothing_also_where_there_are_texts(client: TestClient) -> None:
    def fits(queries: list[str]) -> list[bool]:
        answers = client.post("/v1/search/clips/batch", json={"queries": queries, "k": 1}).json()["answers"]
        return [not answer["fit"]["nothing_fits"] for answer in answers]

    assert not any(fits(["asdkjh qwe", "kjsdhf", "poiu lkjh mnb"]))
    assert np.mean(fits([query for _, query in TOLD])) >= 0.8
