"""The table of `make gpu-check`: it runs, also where there is no FAISS, and it would show a lost hit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmarks import gpu_search
from indexer.found import Found


def table(device: str = "cpu") -> dict[str, str]:
    return {row.what: row.value for row in gpu_search.searching(torch.device(device), sizes=(600,))}


def test_the_table_has_times_and_agreement() -> None:
    rows = table()
    assert list(rows) == [
        "reading memory, GB/s",
        "600 clips exactly, 1 at once, p50 ms",
        "600 clips exactly, 32 at once, p50 ms",
        "600 clips, true hits kept",
    ]
    assert rows["600 clips, true hits kept"] == "2,560 of 2,560"


def test_a_lost_hit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gpu_search.scan
    monkeypatch.setattr(gpu_search, "scan", lambda *args: [Found(found.rows[:-1]) for found in whole(*args)])
    assert table()["600 clips, true hits kept"] != "2,560 of 2,560"


def test_it_needs_torch_alone() -> None:
    """A bare machine with a GPU has none of what a library on disk needs."""
    blocked = "faiss", "sqlalchemy", "spacy", "transformers", "numba", "h5py"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        "import torch; from benchmarks import gpu_check, gpu_search;"
        "print(len(list(gpu_search.searching(torch.device('cpu'), sizes=(600,)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["4"]), done.stderr
