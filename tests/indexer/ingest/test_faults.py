"""Faults at file operations of every command that writes (`benchmarks.storage.fault_injection`): a seeded few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_commands_finish_after_a_fault(tmp_path: Path) -> None:
    # In a process of its own: it forks, and adds hooks that stay.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.storage.fault_injection", "--runs", "32", "--seed", "20220914"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == []
    assert found["runs"] == 32
    assert found["possible"] > 1500, "every file operation should be counted"
