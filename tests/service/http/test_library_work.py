"""What the command line does to a library, over HTTP: captions, titles, a check, an evaluation."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from indexer.store.layout import thumbnail_path
from model.fake_encoder import FakeEncoder
from quartet import Client
from quartet.errors import ConflictError, InputError, InvalidRequestError, NotFoundError
from service.http.access import needed_role
from service.http.app import create_app
from service.search.engine import Engine
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World


def test_captions_the_check_and_an_evaluation_are_jobs(world: World, tmp_path: Path) -> None:
    settings = Settings(library=world.library, model="fake")
    with TestClient(create_app(settings, FakeEncoder())) as http:
        quartet = Client("http://testserver", http=http)
        lines = tmp_path / "more.srt"
        lines.write_text("1\n00:00:00,000 --> 00:00:01,000\na corner is turned\n", encoding="utf-8")
        job = quartet.wait(quartet.add_captions(lines, "red.mp4").id)
        assert (job.kind, job.state, job.source) == ("captions", "done", "more.srt")
        assert job.captions is not None and (job.captions.added, job.captions.total) == (1, 6)
        assert not any((world.library / "service" / "given").iterdir())
        red = next(video.video_id for video in quartet.videos("red"))
        texts = http.get(f"/v1/videos/{red}/texts").json()["items"]
        assert [(one["text"], one["end"]) for one in texts if one["source"] == "more.srt"] == [
            ("a corner is turned", 1)
        ]

        thumbnail_path(world.library, 1).write_bytes(b"no picture")
        job = quartet.wait(quartet.verify().id)
        assert job.verification is not None and [one.where for one in job.verification.problems] == ["pictures"]

        captioned = tmp_path / "captioned.jsonl"
        lines_of = [json.dumps({"video": f"{name}.mp4", "captions": [text]}) for name, text in world.texts.items()]
        captioned.write_text("\n".join(lines_of), encoding="utf-8")
        job = quartet.wait(quartet.evaluate(captioned).id)
        assert job.state == "done" and job.evaluation is not None, job.error
        assert "R@1" in job.evaluation.markdown and job.evaluation.results

        gone = quartet.remove_captions(sources=["more.srt"])
        assert (gone.removed, gone.total) == (1, 5)
        first = next(iter(quartet.captions()))
        assert quartet.remove_captions([first.caption_id]).total == 4
        assert first.text not in [caption.text for caption in quartet.captions()]


def test_maintenance_is_jobs(world: World, commands_of_jobs: list[list[str]]) -> None:
    settings = Settings(library=world.library, model="fake", job_folders={"films": world.videos})
    with closing(Engine.open(settings, FakeEncoder())) as engine, ExitStack() as stack:
        set_to_milvus = settings.model_copy(update={"milvus": "milvus://here:1/a"})
        http = stack.enter_context(TestClient(create_app(set_to_milvus, engine=engine)))
        quartet = Client("http://testserver", http=http)
        repaired = quartet.wait(quartet.repair().id).repair
        assert repaired is not None and repaired.healed == ["A picture."]
        tuned = quartet.wait(quartet.tune(5000).id).tuning
        assert tuned is not None and tuned.galleries["clips"] is None
        moved = quartet.wait(quartet.relocate("videos", "films").id)
        assert moved.relocation is not None and moved.source == "the root videos, now in films"
        exported = quartet.wait(quartet.export_to_milvus(replace=True).id).export
        assert exported is not None and exported.clips == 5
        assert commands_of_jobs[-1][-3:] == ["--recall=0.99", "--replace", "--"]
        # The same key for other work is a mistake of the client.
        http.headers["Idempotency-Key"] = "once"
        quartet.repair()
        with pytest.raises(ConflictError, match="already used: repair of the library"):
            quartet.export_to_milvus()


def test_what_is_no_caption_is_refused(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library, model="fake"), FakeEncoder())) as http:
        quartet = Client("http://testserver", http=http)
        with pytest.raises(NotFoundError, match="no caption 4711"):
            quartet.remove_captions([4711])
        with pytest.raises(InputError, match="Name captions"):
            quartet.remove_captions()
        http.headers["Idempotency-Key"] = "once"
        job = quartet.verify()
        assert quartet.verify().id == job.id
        with pytest.raises(ConflictError, match="already used"):
            quartet.verify(content=True)
        del http.headers["Idempotency-Key"]
        quartet.cancel(job.id)
        other = http.post("/v1/captions/upload", data={"other": "a"}, files={"file": b"a"})
        assert other.status_code == 422 and "other is not a part" in other.json()["detail"]
        assert http.post("/v1/captions/upload", json={}).status_code == 415
        broken = http.post("/v1/captions/upload", files={"file": ("a.jsonl", b"{")})
        assert broken.status_code == 422 and broken.json()["detail"].startswith("a.jsonl")
        assert not any((world.library / "service" / "given").iterdir())


def test_a_title_stays_when_the_file_is_renamed(world: World, tmp_path: Path) -> None:
    videos = tmp_path / "own"
    videos.mkdir()
    (videos / "one.mp4").write_bytes((world.videos / "red.mp4").read_bytes())
    index_videos(tmp_path / "mine", [videos], FakeEncoder())
    settings = Settings(library=tmp_path / "mine", reload_interval=60)
    with TestClient(create_app(settings, FakeEncoder())) as http:
        quartet = Client("http://testserver", http=http)
        assert quartet.rename_video(1, " The  first ").title == "The first"
        assert quartet.search("a square").hits[0].title == "The first"
        (videos / "one.mp4").rename(videos / "two.mp4")
        assert index_videos(tmp_path / "mine", [videos], FakeEncoder()).moved == 1
        assert [(one.title, one.path) for one in quartet.videos()] == [("The first", "two.mp4")]
        quartet.rename_video(1, "two")
        (videos / "two.mp4").rename(videos / "three.mp4")
        index_videos(tmp_path / "mine", [videos], FakeEncoder())
        assert [one.title for one in quartet.videos()] == ["three"]
        with pytest.raises(NotFoundError):
            quartet.rename_video(4711, "a")
        with pytest.raises(InputError, match="not a title"):
            quartet.rename_video(1, "a\0b")
        with pytest.raises(InvalidRequestError):
            quartet.rename_video(1, "")


def test_who_may() -> None:
    assert needed_role("PATCH", "/v1/videos/1") == needed_role("POST", "/v1/captions/upload") == "write"
    assert needed_role("DELETE", "/v1/captions") == needed_role("POST", "/v1/library/verify") == "admin"
    assert needed_role("POST", "/v1/library/evaluate/upload") == "admin"
