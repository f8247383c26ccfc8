"""Videos from strangers: read in a process of their own, within limits."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.media.clip_reader import sample_frames
from indexer.media.decode_limits import Limits
from indexer.media.decode_pool import Part, decode_untrusted
from quartet.errors import VideoError

MakeVideo = Callable[..., Path]


@pytest.fixture
def upload(tmp_path: Path, make_video: MakeVideo) -> Path:
    return make_video(tmp_path / "upload.mp4", [(200, 30, 90)] * 30)


def test_gives_the_frames_that_decoding_here_gives(upload: Path) -> None:
    there, here = decode_untrusted(upload, 3), sample_frames(upload, 3)
    assert np.array_equal(there.frames, here.frames)
    assert there.info == here.info
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(duration=2.0), "lasts 3 s. The maximum is 2 s"),
        (Limits(pixels=3000), "have 64x48 pixels. The maximum is 0.003 million"),
        (Limits(seconds=0.0), "took more than 0 s to decode"),
    ],
)
def test_refuses_what_goes_past_a_limit(upload: Path, limits: Limits, message: str) -> None:
    with pytest.raises(VideoError, match=message) as caught:
        decode_untrusted(upload, 3, limits)
    assert caught.value.reason == "over-limit"
    assert multiprocessing.active_children() == []


def test_a_decoder_has_no_more_memory_than_is_given_to_it(tmp_path: Path, make_video: MakeVideo) -> None:
    large = make_video(tmp_path / "large.mp4", [(9, 9, 200)] * 3, size=(7680, 4320), options={"preset": "ultrafast"})
    with pytest.raises(VideoError) as caught:
        decode_untrusted(large, 3, Limits(memory=2**27))
    assert caught.value.reason in ("over-limit", "unreadable")  # the latter where the decoder itself ran out of it
    assert len(decode_untrusted(large, 3).frames) == 3


def test_a_truncated_file_is_called_so_where_there_is_memory(tmp_path: Path, make_video: MakeVideo) -> None:
    whole = make_video(tmp_path / "whole.mp4", [(9, 9, 200)] * 30)
    part = tmp_path / "part.mp4"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(VideoError) as caught:
        decode_untrusted(part, 3, Limits(memory=2**30))
    assert caught.value.reason == "truncated"


def test_a_bad_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"no video at all")
    with pytest.raises(VideoError) as caught:
        decode_untrusted(tmp_path / "upload", 3)
    assert caught.value.reason == "not-a-video"
    # A part of a question may be a picture, so its refusal names the formats of those too.
    with pytest.raises(VideoError, match="Pictures may be JPEG, PNG, ") as caught:
        decode_untrusted(tmp_path / "upload", 3, part=Part())
    assert caught.value.reason == "not-a-video"


def test_a_list_of_other_files_makes_nobody_fetch_them(tmp_path: Path) -> None:
    """FFmpeg reads playlists, and would follow them: uploads must not make the server ask other machines."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        link = f"http://127.0.0.1:{server.getsockname()[1]}/part.ts"
        lists = {
            "m3u8": f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{link}\n#EXT-X-ENDLIST\n",
            "master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{link}\n",
            "ffconcat": f"ffconcat version 1.0\nfile '{link}'\n",
        }
        for name, content in lists.items():
            upload = tmp_path / f"upload.{name}"
            upload.write_text(content)
            with pytest.raises(VideoError):
                sample_frames(upload, 3)
        with pytest.raises(BlockingIOError):
            server.accept()
