"""Videos that cannot be seen without a key are refused, and the reason says so."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from indexer.media.clip_reader import sample_frames
from quartet.errors import VideoError
from tests.indexer.conftest import COLOURS, MakeVideo

KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


NAME = b"a name of fifty characters, for something else    "


def named(path: Path, source: Path) -> Path:
    """A copy in Matroska whose track has a name."""
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        stream.metadata["title"] = NAME.decode()
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return path


def scrambled(content: bytes) -> bytes:
    """A transport stream whose pictures are scrambled with the even key."""
    packets = bytearray(content)
    for at in range(0, len(packets), 188):
        if int.from_bytes(packets[at + 1 : at + 3]) & 0x1FFF == 0x100:
            packets[at + 3] |= 0x80
            begin = at + 4 + (1 + packets[at + 4] if packets[at + 3] & 0x20 else 0)
            packets[begin : at + 188] = bytes(byte ^ 0x5A for byte in packets[begin : at + 188])
    return bytes(packets)


def keyed(content: bytes) -> bytes:
    """Matroska, with ContentEncodings (AES, a key's id) in the place of the name of the track."""
    key = element("47e1", b"\x05") + element("47e2", bytes(range(16)))
    encoding = element("6240", element("5033", b"\x01") + element("5035", key))
    encodings, name = element("6d80", encoding), element("536e", NAME)
    assert name in content
    rest = len(name) - len(encodings) - 2
    return content.replace(name, encodings + element("ec", bytes(rest)))


def element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + bytes([0x80 | len(content)]) + content


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_an_mp4_with_common_encryption(tmp_path: Path, make_video: MakeVideo, suffix: str) -> None:
    require_refused(make_video(tmp_path / f"v.{suffix}", [COLOURS[0]] * 20, container=KEYS))


def test_a_scrambled_transport_stream(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "v.ts", [COLOURS[0]] * 20)
    assert sample_frames(path, 1).info.frames == 20
    path.write_bytes(scrambled(path.read_bytes()))
    require_refused(path)


def test_matroska_that_names_a_key(tmp_path: Path, make_video: MakeVideo) -> None:
    path = named(tmp_path / "v.mkv", make_video(tmp_path / "v.mp4", [COLOURS[0]] * 20))
    assert sample_frames(path, 1).info.frames == 20
    path.write_bytes(keyed(path.read_bytes()))
    require_refused(path)


def require_refused(path: Path) -> None:
    with pytest.raises(VideoError, match="is encrypted") as refused:
        sample_frames(path, 1)
    assert refused.value.reason == "unsupported-codec"
