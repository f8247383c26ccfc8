"""The life of a library that is recorded: from its making through captions, tags and removals to another model."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.storage.stand_in_videos import write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.pipeline.progress import Progress
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.store.management import remove_videos, tag_videos
from indexer.store.publishing import encode_again
from indexer.texts.captions import add_captions, remove_captions
from model.fake_encoder import FakeEncoder

_LEVELS = ("global", "relation")
"""Two of four: a level more has files of the same kinds, and no other order of writing."""

FIRST = FakeEncoder(levels=_LEVELS)
NEXT = FakeEncoder(1, dim=24, levels=_LEVELS)
"""The model of the library, and that to which it is changed."""


def live(library: Path, media: Path, tell: int) -> None:
    """The recorded life of a library. What has been reported done is written to the file descriptor `tell`."""
    encoder, texts = FIRST, media.parent / "texts.txt"

    def done(progress: Progress) -> None:
        # Parts of long files are told too, before the file is done.
        if progress.path is not None and progress.worked > reported[-1]:
            os.write(tell, f"done {progress.path.name}\n".encode())
            reported.append(progress.worked)

    reported = [0]
    index_videos(library, [media], encoder, on_progress=done)
    reported = [0]
    texts.write_text("a dog running\na cat\n")
    add_captions(library, texts, encoder)
    os.write(tell, b"caption a cat\n")
    tag_videos(library, [media / "1.mp4"], add=["animals"])
    os.write(tell, b"tag animals\n")
    write_stand_in(media / "7.mp4", 7)
    (media / "4.mp4").rename(media / "renamed.mp4")
    index_videos(library, [media], encoder, on_progress=done)
    os.write(tell, b"gone 2.mp4\n")
    remove_videos(library, [media / "2.mp4"])
    (media / "2.mp4").unlink()
    remove_captions(library, ["a dog running"])
    encode_again(library, APPROXIMATE_FROM)
    index_videos(library, [media], NEXT, to_model=True)
