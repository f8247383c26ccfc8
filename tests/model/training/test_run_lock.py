"""Two runs into one folder at once would overwrite each other's checkpoints."""

from pathlib import Path

import pytest

from model.training.data import run_lock as module
from model.training.data.run_lock import run_lock
from quartet.errors import InputError


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with run_lock(tmp_path / "run"), pytest.raises(InputError, match=r"Another run is writing to .*run\. Wait"):
        run_lock(tmp_path / "run").__enter__()
    with run_lock(tmp_path / "run"):
        pass


def test_further_processes_of_one_run_need_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_lock(tmp_path):
        monkeypatch.setattr(module, "is_first_process", lambda: False)
        with run_lock(tmp_path):
            pass
