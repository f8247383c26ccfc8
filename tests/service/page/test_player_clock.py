"""The picture on screen at the beginning of a clip, in the browser's player, is the clip's picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings
from tests.indexer.media.films import BLUE, GREEN, RED, colour_of, write_film
from tests.service.page.conftest import running

SEEK = """async ([url, times]) => {
  const video = Object.assign(document.createElement("video"), { muted: true, preload: "auto" });
  const canvas = Object.assign(document.createElement("canvas"), { width: 4, height: 4 });
  const happens = (name) => new Promise((done, failed) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => failed(video.error.message), { once: true });
  });
  const loaded = happens("loadeddata");
  video.src = url;
  await loaded;
  const seen = [];
  for (const time of times) {
    // Chromium takes an MP4 that begins at 8 s to last 6 s, and its first seeks past that may end elsewhere.
    for (let tries = 0; tries < 9 && Math.abs(video.currentTime - time) > 0.01; tries++) {
      const sought = happens("seeked");
      const painted = new Promise((done) => video.requestVideoFrameCallback(done));
      video.currentTime = time;
      await sought;
      await Promise.race([painted, new Promise((done) => setTimeout(done, 500))]);
    }
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 4, 4);
    seen.push([...context.getImageData(1, 1, 1, 1).data.slice(0, 3)]);
  }
  return seen;
}"""

FILMS = {
    f"{first:g}-{suffix[1:]}{suffix}": (suffix, first, None)
    for suffix in (".mp4", ".mkv", ".webm")
    for first in (0.0, 0.8, 8.0)
} | {f"late-{suffix[1:]}{suffix}": (suffix, 1.5, (0.0, 8.0)) for suffix in (".mp4", ".mkv", ".webm")}


def test_the_picture_at_the_start_of_a_clip_is_the_clips(tmp_path: Path, browser: Browser) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for name, (_, first, sound) in FILMS.items():
        write_film(films / name, first, sound)
        (tmp_path / name).with_suffix(".srt").write_text(
            "".join(
                f"{i}\n00:00:{at:02d},{ms:03d} --> 00:00:{at + 1:02d},{ms:03d}\nsubtitle {i} of {name}\n\n"
                for i in range(3)
                for at, ms in [divmod(round(1000 * (first + 2 * i)) + 500, 1000)]
            )
        )
    encoder = FakeEncoder()
    index_videos(tmp_path / "lib", [films], encoder, segmentation=Segmentation("shot"))
    for name in FILMS:
        add_captions(tmp_path / "lib", (tmp_path / name).with_suffix(".srt"), encoder, video=name)
    settings = Settings(library=tmp_path / "lib")
    with TestClient(create_app(settings, encoder)) as client:
        clips: list[dict[str, Any]] = client.get("/v1/clips", params={"limit": 100}).json()["items"]
        assert len(clips) == 3 * len(FILMS)
        with running(settings) as address:
            page = browser.new_page(base_url=address)
            page.goto("/")
            for name, (_, first, _) in FILMS.items():
                own = sorted(
                    (clip for clip in clips if clip["title"] == Path(name).stem), key=lambda clip: clip["start"]
                )
                assert [clip["start"] for clip in own] == pytest.approx([first, first + 2, first + 4], abs=0.03), name
                times = [clip["start"] + 0.04 for clip in own] + [clip["end"] - 0.08 for clip in own]
                seen = page.evaluate(SEEK, [own[0]["media_url"], times])
                pictures = [
                    np.asarray(Image.open(BytesIO(client.get(clip["thumbnail_url"]).content)).convert("RGB"))
                    for clip in own
                ]
                shown = [colour_of(np.array(pixel)) for pixel in seen]
                assert shown == [colour_of(picture) for picture in pictures] * 2 == [RED, BLUE, GREEN] * 2, name
                for i, clip in enumerate(own):
                    texts = client.get(f"/v1/clips/{clip['clip_id']}").json()["captions"]
                    assert [text["text"] for text in texts] == [f"subtitle {i} of {name}"]
            page.close()
