"""OpenMP reads its environment when PyTorch is loaded, so a command must set its policy before that."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_ENDS_AT_TORCH = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("policy:", os.environ.get("OMP_WAIT_POLICY"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Finder())
from service.__main__ import main
main()
"""
_TRAIN = ["train", "absent.jsonl", "--features", "absent.h5"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, make_video: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    # Indexing loads PyTorch when it has frames to encode.
    make_video(tmp_path / "videos" / "one.mp4", (200, 40, 40))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)


def _output(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        _TRAIN,
        ["features", "videos", "--out", "absent.h5", "--weights", "absent.pth"],
        ["compare", "absent.jsonl", "--features", "absent.h5", "--models", "mcsan"],
        ["index", "videos", "--library", "library", "--model", "demo"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_threads_of_long_work_sleep_while_they_wait(arguments: list[str]) -> None:
    """What the environment says when PyTorch is about to be loaded."""
    assert "policy: PASSIVE" in _output([sys.executable, "-c", _ENDS_AT_TORCH, *arguments])


def test_the_policy_of_the_environment_stands() -> None:
    said = _output([sys.executable, "-c", _ENDS_AT_TORCH, *_TRAIN], OMP_WAIT_POLICY="ACTIVE")
    assert "policy: ACTIVE" in said


def test_openmp_has_read_the_policy() -> None:
    """What OpenMP itself says. Its OMP_WAIT_POLICY is not evidence: GNU's shows PASSIVE where nobody has set it."""
    said = _output([sys.executable, "-m", "service", *_TRAIN], OMP_DISPLAY_ENV="VERBOSE")
    spins = set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", said))
    if not spins:
        pytest.skip("This PyTorch uses another OpenMP library than GNU's.")
    assert spins == {"0"}
