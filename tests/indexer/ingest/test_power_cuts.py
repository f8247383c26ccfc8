"""A hundred power cuts (`benchmarks.storage.power_cuts`), seeded: no state of the disk loses what was reported done."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.storage.power_cuts.disk_states import cut
from benchmarks.storage.power_cuts.trials import run
from benchmarks.storage.stand_in_videos import StandInPool

SEED = 20220914


@pytest.mark.usefixtures("tracing")
def test_a_hundred_power_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.pipeline.local_pipeline.DecodePool", StandInPool)
    monkeypatch.setattr("indexer.pipeline.local_pipeline.PART", 2)
    report = run(tmp_path, 100, SEED)
    assert report["failed"] == []
    assert report["states"] == 100
    found = report["found"]
    assert isinstance(found, dict)
    assert any(state.startswith("damaged") for state in found), "some cuts should leave something to repair"


@pytest.fixture
def tracing(tmp_path: Path) -> None:
    """Skips where strace is not installed or may not trace."""
    command = ["strace", "-f", "--seccomp-bpf", "-o", str(tmp_path / "probe"), "true"]
    if shutil.which("strace") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("strace is not installed or may not trace")


def test_a_write_that_was_not_flushed_may_be_lost_and_one_that_was_may_not() -> None:
    events = [
        ("entries", [(0, "a", 1)]),
        ("write", 1, 0, b"old"),
        ("flush", 1),
        ("flush", 0),
        ("entries", [(0, "b", 2)]),
        ("write", 2, 0, b"new"),
        ("entries", [(0, "b", None), (0, "a", 2)]),
    ]

    def after(mode: str, moment: int = len(events)) -> dict[str, bytes | None]:
        return dict(cut(events, moment, mode, random.Random(1)))

    assert after("nothing") == {"a": b"old"}
    assert after("everything") == {"a": b"new"}
    assert after("names") == {"a": b""}, "a rename without a flush of the content is the classic loss"
    assert after("nothing", 3) == {}
    seen = {tuple(sorted(dict(cut(events, 7, "some", random.Random(i))).items())) for i in range(50)}
    assert {(("a", b"old"),), (("a", b"new"),), (("a", b""),)} <= seen
