"""Frozen networks on the CPU: what PyTorch gives, whatever OpenVINO does."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model import cpu_backend, openvino_networks, precision
from model.cpu_backend import CpuNetwork

openvino = pytest.importorskip("openvino")


class Network(nn.Module):
    """Rows (B, L, 8) and which are real, to a mean over them (B, 4) and to the rows (B, L, 4)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(8, 4)

    def forward(self, rows: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.tanh(self.layer(rows)) * real.unsqueeze(-1)
        return found.sum(1) / real.sum(1, keepdim=True), found


def inputs(b: int, length: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(b)
    return torch.randn(b, length, 8, generator=generator), torch.ones(b, length, dtype=torch.int64)


SIZES = [(1, 3), (4, 3), (2, 7), (5, 1), (1, 3)]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cpu_backend, "networks_folder", lambda: tmp_path / "networks")
    return tmp_path / "networks"


REFERENCE = Network()


def check(network: CpuNetwork) -> None:
    for size in SIZES:
        for found, right in zip(network(*inputs(*size)), REFERENCE(*inputs(*size)), strict=True):
            torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-5)


def reference(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the network makes of arrays."""
    with torch.no_grad():
        return tuple(one.numpy() for one in Network()(*map(torch.from_numpy, given)))


def refuse() -> nn.Module:
    raise AssertionError("PyTorch's network was loaded")


def test_it_gives_what_pytorch_gives_and_is_kept_for_the_next_process(kept: Path) -> None:
    check(CpuNetwork(Network, "A network", "these weights"))
    assert len(list(kept.iterdir())) == 1
    check(CpuNetwork(refuse, "A network", "these weights"))
    with pytest.raises(AssertionError, match="was loaded"):
        CpuNetwork(refuse, "A network", "other weights")._reference(tuple(one.numpy() for one in inputs(1, 3)))


def test_what_was_compiled_is_kept_and_made_again_where_it_is_damaged(kept: Path) -> None:
    check(CpuNetwork(Network, "A network", "these weights"))
    (made,) = kept.glob("*/compiled */*")
    before = made.read_bytes()
    for content in (b"", before[: len(before) // 2], before):
        made.chmod(0o600)
        made.write_bytes(content)
        network = CpuNetwork(refuse, "A network", "these weights")
        check(network)
        assert network._compiled is not None and made.read_bytes()[:8] == before[:8]


def test_one_process_converts_a_network_and_the_others_wait_for_it(kept: Path) -> None:
    """Two files that are opened apart exclude each other in one process, too."""
    with ThreadPoolExecutor(1) as other:
        second = []

        def load() -> nn.Module:
            if not second:
                second.append(other.submit(check, CpuNetwork(refuse, "A network", "these weights")))
            return Network()

        check(CpuNetwork(load, "A network", "these weights"))
        second[0].result()
    assert kept.with_suffix(
        ".lock"
    ).exists()  # a third could lock a new file while the second still waits on a deleted one


def test_without_a_key_nothing_is_kept(kept: Path) -> None:
    check(CpuNetwork(Network, "A network"))
    assert not kept.exists()


def test_several_threads_may_use_it() -> None:
    network = CpuNetwork(Network, "A network")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: check(network), range(8)))


def test_a_result_that_differs_is_replaced_by_pytorchs(
    kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CpuNetwork, "_infer", lambda self, _, given: tuple(1.01 * one for one in reference(given)))
    with caplog.at_level(logging.WARNING):
        check(CpuNetwork(Network, "A network", "these weights"))
    assert (
        len(caplog.records) == 1 and "A network runs on PyTorch" in caplog.text and "differ by 1.0e-02" in caplog.text
    )
    assert not list(kept.iterdir())


@pytest.mark.parametrize("step", ["openvino.tools.ovc.convert_model", "openvino.Core"])
def test_an_openvino_that_fails_is_one_warning(
    step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("this processor is unknown")

    monkeypatch.setattr(step, fail)
    with caplog.at_level(logging.WARNING):
        check(CpuNetwork(Network, "A network", "these weights"))
    assert len(caplog.records) == 1 and "this processor is unknown" in caplog.text


def test_results_of_other_sizes_are_replaced_by_pytorchs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(CpuNetwork, "_infer", lambda self, _, given: tuple(one[:0] for one in reference(given)))
    with caplog.at_level(logging.WARNING):
        check(CpuNetwork(Network, "A network"))
    assert len(caplog.records) == 1 and "its results have other sizes" in caplog.text


def test_what_is_not_finite_is_computed_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    infer, network = CpuNetwork._infer, CpuNetwork(Network, "A network")

    def nothing_of_pairs(self: CpuNetwork, compiled: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        found = infer(self, compiled, given)
        return tuple(one * float("nan") for one in found) if len(given[0]) == 2 else found

    monkeypatch.setattr(CpuNetwork, "_infer", nothing_of_pairs)
    check(network)
    assert network._compiled is not None, "the rest is still OpenVINO's"


needs_bf16 = pytest.mark.skipif(
    not re.search("amx_bf16|avx512_bf16", Path("/proc/cpuinfo").read_text(encoding="ascii")),
    reason="this processor has no bfloat16",
)


@pytest.mark.parametrize(
    ("vendor", "flags", "pays"),
    [
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("GenuineIntel", "avx512f avx512_bf16 avx512_fp16", False),
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2 fma", False),
    ],
)
def test_where_bfloat16_pays(vendor: str, flags: str, pays: bool) -> None:
    assert precision.bf16_pays(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nbugs\t\t:\n") is pays


@needs_bf16
def test_bfloat16_is_compared_by_itself(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    check(CpuNetwork(Network, "A network", "these weights"))
    made: list[int] = []

    def made_again() -> nn.Module:
        made.append(1)
        return Network()

    exact = REFERENCE(*inputs(2, 64))[1]
    rough = CpuNetwork(made_again, "A network", "these weights", "bf16")(*inputs(2, 64))[1]
    assert made, "what float32 gives says nothing of bfloat16"
    assert 1e-5 < (rough - exact).abs().max() < 0.1
    assert torch.equal(CpuNetwork(refuse, "A network", "these weights", "bf16")(*inputs(2, 64))[1], rough)


@needs_bf16
def test_a_network_that_bfloat16_turns_too_far_is_computed_in_float32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    monkeypatch.setattr(cpu_backend, "BF16_BOUND", 1e-12)
    network = CpuNetwork(Network, "A network", "these weights", "bf16")
    with caplog.at_level(logging.WARNING):
        check(network)
    assert len(caplog.records) == 1 and "A network is computed in float32: its vectors in bfloat16" in caplog.text
    assert network._compiled is not None


def test_a_processor_without_bfloat16_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    precision._warn_without_bf16.cache_clear()
    with caplog.at_level(logging.WARNING):
        check(CpuNetwork(Network, "A network", precision="bf16"))
        check(CpuNetwork(Network, "Another", precision="bf16"))
    assert [record.message for record in caplog.records] == [
        "This processor is not faster in bfloat16: networks are computed in float32."
    ]


def test_networks_that_were_not_opened_for_long_are_forgotten(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_networks, "_MAX_CACHED", 2)
    for number, key in enumerate("abac"):
        CpuNetwork(Network, "A network", key)(*inputs(1, 3))
        for place in kept.iterdir():  # in whole seconds: some file systems know no parts
            if place.stat().st_mtime > 1e6:
                os.utime(place, (number, number))
    assert len(list(kept.iterdir())) == 2
    for key in "ac":
        CpuNetwork(refuse, "A network", key)(*inputs(1, 3))


def test_a_kept_network_that_is_damaged_is_made_again(kept: Path) -> None:
    check(CpuNetwork(Network, "A network", "these weights"))
    (place,) = kept.iterdir()
    (place / "network.xml").write_text("<net", encoding="utf-8")
    check(CpuNetwork(Network, "A network", "these weights"))


def test_pytorch_answers_without_openvino(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with caplog.at_level(logging.WARNING):
        check(CpuNetwork(Network, "A network", "these weights"))
    assert not caplog.records


def test_nothing_is_reported_to_the_maker_of_openvino(tmp_path: Path) -> None:
    code = (
        "import socket, sys, torch\n"
        "def refuse(*_): raise SystemExit('asked the network')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from model.cpu_backend import CpuNetwork\n"
        "CpuNetwork(lambda: torch.nn.Linear(2, 2).eval(), 'a network')(torch.ones(1, 2))\n"
        "assert 'openvino' in sys.modules and sys.modules['openvino_telemetry'] is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HOME": str(tmp_path)})
    assert not (tmp_path / "intel").exists(), "OpenVINO's telemetry keeps an identity of the user there"


class Pictures(nn.Module):
    """Pictures of bytes, scaled and convolved, as a backbone does it: its scaling is folded when it is written."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 8, 3)
        self.mean = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.convolution((pictures / 255 - self.mean) / 0.22)
        return result


def test_every_process_gives_the_same_bits_also_the_first(kept: Path) -> None:
    pictures = torch.rand(2, 3, 64, 64) * 255
    first, later, unkept = (CpuNetwork(Pictures, "A network", key)(pictures)[0] for key in ("a", "a", None))
    assert len(list(kept.iterdir())) == 1
    assert torch.equal(first, later)
    assert torch.equal(first, unkept)
