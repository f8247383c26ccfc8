"""Folders and files that an ordinary user may not look into: told, and nothing of the library is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder

ROOT = Path(__file__).parents[3]

SCRIPT = """
import json, sys
from pathlib import Path
from indexer.pipeline import local_pipeline
from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.store.disk_usage import media_usage
from indexer.store.library import Library
from indexer.store.management import remove_videos
from model.fake_encoder import FakeEncoder
from tests.indexer.conftest import PoolWithoutProcesses

local_pipeline.DecodePool = PoolWithoutProcesses

if __name__ == "__main__":
    library, videos = Path(sys.argv[1]), Path(sys.argv[2])

    def told(report):
        refused = {failure.path.name: failure.detail for failure in report.refused}
        return [report.indexed, report.unchanged, report.removed, report.clips_total, refused]

    said = {"index": told(index_videos(library, [videos], FakeEncoder()))}
    cut = index_videos(library, [videos], FakeEncoder(), segmentation=Segmentation("window"))
    said["cut"] = [cut.removed, cut.clips_total]
    with Library.open(library) as opened:
        said["missing"] = media_usage(opened).missing
    said["remove"] = remove_videos(library, [], missing=True).clips_total
    print(json.dumps(said))
"""


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("unshare") is None, reason="root may read everything")
@pytest.mark.usefixtures("decoding_here")
def test_what_an_ordinary_user_may_not_read_stays(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    library = tmp_path / "lib"
    index_videos(library, [videos], encoder)
    (tmp_path / "script.py").write_text(SCRIPT)
    (videos / "more").chmod(0)
    (videos / "b.mp4").chmod(0)
    # In a user namespace without a mapping root has the rights of the owner, and no others.
    alone = ["unshare", "--user"] if os.geteuid() == 0 else []
    try:
        result = subprocess.run(
            [*alone, sys.executable, str(tmp_path / "script.py"), str(library), str(videos)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (videos / "more").chmod(0o755)
        (videos / "b.mp4").chmod(0o644)
    if "unshare failed" in result.stderr:
        pytest.skip("user namespaces are closed here")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["index"] == [0, 3, 0, 5, {"more": "The folder cannot be read: Permission denied."}]
    assert said["cut"] == [0, 5]
    assert (said["missing"], said["remove"]) == (0, 5)
