"""The table of `make gpu-check`: it runs, also where there is no FAISS, and it would show a lost hit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from transformers import BertConfig, BertModel

from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import encoding as gpu_encoding
from benchmarks.gpu import search as gpu_search
from benchmarks.gpu.rows import Row
from benchmarks.networks.made_models import minilm_tokens
from indexer.search.survivors import Survivors
from tests.model.test_cuda_graphs import Rerun
from tests.two_towers import write_clip, write_siglip


def table(device: str = "cpu") -> dict[str, str]:
    return {row.what: row.value for row in gpu_search.searching(torch.device(device), sizes=(600,))}


def test_the_table_has_times_and_agreement() -> None:
    rows = table()
    assert list(rows) == [
        "reading memory, GB/s",
        *(
            f"600 clips exactly, {batch} at once{part}, p50 ms"
            for batch in (1, 32)
            for part in ("", ", the products alone")
        ),
        "600 clips, true hits kept",
    ]
    assert rows["600 clips, true hits kept"] == "2,560 of 2,560"


def test_a_lost_hit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gpu_search.scan
    monkeypatch.setattr(gpu_search, "scan", lambda *args: [Survivors(found.rows[:-1]) for found in whole(*args)])
    assert table()["600 clips, true hits kept"] != "2,560 of 2,560"


def small_bert() -> BertModel:
    sizes = {"vocab_size": 90, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    return BertModel(BertConfig(**sizes, intermediate_size=64, max_position_embeddings=40)).eval()


def test_texts_are_measured_with_and_without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With small networks, and recordings as `tests.model.test_cuda_graphs` makes them for a CPU."""
    monkeypatch.setattr(gpu_encoding, "BACKBONES", ("mobilenet_v3_small",))
    monkeypatch.setattr(gpu_encoding, "CLIPS", 2)
    monkeypatch.setattr(gpu_encoding.made_models, "TWO_TOWERS", {"CLIP": write_clip, "SigLIP": write_siglip})
    monkeypatch.setattr(gpu_encoding.made_models, "minilm", small_bert)
    monkeypatch.setattr(
        gpu_encoding.made_models,
        "minilm_tokens",
        lambda n: {name: values % 90 for name, values in minilm_tokens(n).items()},
    )
    rows = {row.what: row.value for row in gpu_encoding.encoding(torch.device("cpu"), Rerun())}
    assert "FAILED" not in rows.values()
    for name in ("CLIP", "SigLIP", "MiniLM", "MCSAN's text tower"):
        assert {f"{name}, 1 query, p50 ms", f"{name} by CUDA graphs, 32 queries, p50 ms"} <= rows.keys()
        assert float(rows[f"{name} by CUDA graphs, agrees with the above"]) > 0.99999
    agreements = [float(value) for what, value in rows.items() if what.endswith("with the CPU")]
    assert len(agreements) == 7 and min(agreements) > 0.99999
    assert "mobilenet_v3_small, frames/s" in rows


def test_what_fails_is_a_row_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(device: torch.device) -> Iterator[Row]:
        yield Row("one", "1")
        raise RuntimeError("no kernel\nand more")

    monkeypatch.setattr(gpu_check, "CHECKS", {"broken": broken, "whole": lambda device: iter([Row("two", "2")])})
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--device", "cpu"])
    with pytest.raises(SystemExit) as end:
        gpu_check.main()
    lines = capsys.readouterr().out.splitlines()
    assert end.value.code == 1
    assert [line for line in lines if line.startswith("|")][2:] == [
        "| one | 1 |  |",
        "| broken | FAILED | RuntimeError: no kernel |",
        "| two | 2 |  |",
    ]


def test_it_needs_torch_alone() -> None:
    """A bare machine with a GPU has none of what a library on disk needs."""
    blocked = "faiss", "sqlalchemy", "spacy", "transformers", "numba", "h5py"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        "import torch; from benchmarks.gpu import check, search as gpu_search;"
        "print(len(list(gpu_search.searching(torch.device('cpu'), sizes=(600,)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["6"]), done.stderr
