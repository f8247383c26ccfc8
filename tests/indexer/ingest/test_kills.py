"""Forty kills at random moments of a run: no reader notices, nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SEED = 20220914


def test_forty_kills_end_in_the_library_of_an_undisturbed_run(tmp_path: Path) -> None:
    # The script opens the library after every kill, as a reader does, and ends with an error if that fails.
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("kill_runs.py"), tmp_path, "40", str(SEED)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed"] == 40
    assert found["completed"]
    assert found["each_clip_once"]
    assert found["same_files"] and found["same_vectors"]
    assert found["problems"] == []
    assert found["stopped_in_a_file"], "some kills should fall into a file of which a part has been kept"
    assert found["unfinished"] == 0
    assert found["left_by_kills"], "some kills should fall into the writing of a generation"
