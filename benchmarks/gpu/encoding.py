"""Networks on this machine's device, for the table of `benchmarks.gpu.check`: pictures and texts, versus the CPU.

It needs torch, torchvision and transformers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.rows import Row, agreement, p50
from benchmarks.networks import made_models
from model.cuda_graphs import GraphedFunction, RecordedGraph
from model.encoder import Frames

CLIPS, FRAMES = 8, 12
"""What indexing gives an encoder at once: at most 8 clips; 12 frames each."""

QUERY = ("two big dogs chase a small cat", "a photo of two big dogs", "a photo of a small cat",
         "a video of chasing a small cat", "a video of two big dogs chasing a small cat")  # fmt: skip
"""The texts of one query: the sentence and its phrases."""

BACKBONES = "resnet152", "convnext_tiny"

QUERIES = 1, 32

_AT_ONCE = f"{CLIPS} clips of {FRAMES} frames of 640x360 at once"

Recorder = Callable[..., RecordedGraph]


def encoding(device: torch.device, recorder: Recorder | None = None) -> Iterator[Row]:
    """Frames per second and queries of the networks, and how far they are from the CPU.

    recorder  makes the graphs that a GPU has; without it a CPU has none
    """
    with tempfile.TemporaryDirectory() as temporary:
        for name, write in made_models.TWO_TOWERS.items():
            folder = Path(temporary) / name.replace("/", "-")
            write(folder)
            yield from _two_tower(name, folder, device, recorder)
    yield from _minilm(device, recorder)
    yield from _levels(device, recorder)
    for arch in BACKBONES:
        yield from _backbone(arch, device)


def _two_tower(name: str, folder: Path, device: torch.device, recorder: Recorder | None) -> Iterator[Row]:
    from model.two_tower.towers import TwoTower

    tower = TwoTower(folder)
    asked = {n: [initials(text) for _ in range(n) for text in QUERY] for n in QUERIES}
    pictures, texts = tower.features(_clips(1))[0], tower.texts(asked[QUERIES[0]])
    tower.to(str(device))
    yield from _pictures(name, tower.features, pictures, device)
    plain = {n: (lambda own=own: tower.texts(own)) for n, own in asked.items()}
    note = f"{len(QUERY)} texts each, unparsed"
    found = yield from _queries(name, plain, device, note)
    yield Row(f"{name}, texts agree with the CPU", agreement(texts, found[QUERIES[0]]), "lowest cosine")
    if device.type == "cuda" or recorder is not None:
        tower.use_graphs(recorder)
        yield from _with_graphs(name, tower._graphed, plain, found, device)


def _minilm(device: torch.device, recorder: Recorder | None) -> Iterator[Row]:
    bert = made_models.minilm()

    def read(tokens: Any) -> tuple[Tensor, ...]:
        return (bert(**tokens).last_hidden_state[:, 0],)

    tokens = {n: made_models.minilm_tokens(n) for n in QUERIES}
    yield from _texts("MiniLM", bert, read, tokens, dict.fromkeys(tokens[QUERIES[0]], "BL"), device, recorder)


def _levels(device: torch.device, recorder: Recorder | None) -> Iterator[Row]:
    from model.mcsan.text_tower import GRAPH_INPUTS

    tower = made_models.levels()

    def read(text: Any) -> tuple[Tensor, ...]:
        return (torch.cat(list(tower(made_models.TextTensors(**text, tokens=())).values()), dim=1),)

    tensors = {n: made_models.captions(n).tensors() for n in QUERIES}
    yield from _texts("MCSAN's text tower", tower, read, tensors, GRAPH_INPUTS, device, recorder)


def _texts(
    name: str,
    network: torch.nn.Module,
    read: Callable[[Any], tuple[Tensor, ...]],
    inputs: dict[int, dict[str, Tensor]],
    dims: dict[str, str],
    device: torch.device,
    recorder: Recorder | None,
) -> Iterator[Row]:
    """Rows of a network of which `read` makes vectors (N, d)."""
    with torch.inference_mode():
        here = read(inputs[max(inputs)])[0]
    network.to(device)

    @torch.inference_mode()
    def plainly(own: dict[str, Tensor]) -> Tensor:
        return read({key: value.to(device) for key, value in own.items()})[0].cpu()

    plain = {n: (lambda own=own: plainly(own)) for n, own in inputs.items()}
    found = yield from _queries(name, plain, device, "a text each")
    yield Row(f"{name} agrees with the CPU", agreement(here, found[max(inputs)]), "lowest cosine")
    if device.type == "cuda" or recorder is not None:
        graphed = GraphedFunction(read, dims, ("Bd",), dict.fromkeys("BLMKS", 64), recorder=recorder)
        calls = {n: (lambda own=own: graphed(own, device)[0].cpu()) for n, own in inputs.items()}
        yield from _with_graphs(name, graphed, calls, found, device)


def _queries(name: str, calls: dict[int, Callable[[], Tensor]], device: torch.device, note: str) -> Iterator[Row]:
    """Times of the calls, by how many queries they answer; returns what they give."""
    for n, call in calls.items():
        seconds = p50([call] * _repeats(device), device)
        yield Row(f"{name}, {_counted(n)}, p50 ms", f"{1000 * seconds:.2f}", note)
    return {n: call() for n, call in calls.items()}


def _with_graphs(
    name: str,
    graphed: GraphedFunction | None,
    calls: dict[int, Callable[[], Tensor]],
    plain: dict[int, Tensor],
    device: torch.device,
) -> Iterator[Row]:
    assert graphed is not None
    found = yield from _queries(f"{name} by CUDA graphs", calls, device, "as above, recorded once")
    if graphed.failed:
        yield Row(f"{name} by CUDA graphs", "FAILED", "what it says above; these times are without")
    else:
        lowest = min((agreement(plain[n], rows) for n, rows in found.items()), key=float)
        yield Row(f"{name} by CUDA graphs, agrees with the above", lowest, "lowest cosine")


def _backbone(arch: str, device: torch.device) -> Iterator[Row]:
    from model.vision.backbone_config import BackboneConfig
    from model.vision.backbones import Backbone

    torch.manual_seed(0)
    network = Backbone(BackboneConfig(arch)).eval()
    here = network.features(_clips(1))[0]
    network.to(device)
    yield from _pictures(arch, network.features, here, device)
    if device.type == "cuda":
        yield from _in_little_memory(arch, network.features, device)


def _pictures(
    name: str, encode: Callable[[Sequence[Frames]], list[Tensor]], here: Tensor, device: torch.device
) -> Iterator[Row]:
    clips = _clips(CLIPS)
    seconds = p50([lambda: encode(clips)] * _repeats(device), device)
    yield Row(f"{name}, frames/s", f"{CLIPS * FRAMES / seconds:,.0f}", _AT_ONCE)
    yield Row(f"{name}, pictures agree with the CPU", agreement(here, encode(_clips(1))[0]), "lowest cosine")


def _in_little_memory(
    name: str, encode: Callable[[Sequence[Frames]], list[Tensor]], device: torch.device
) -> Iterator[Row]:
    """The same with half of the memory that it takes: batches are halved, and the vectors stay."""
    clips = _clips(CLIPS)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    whole = torch.cat(encode(clips))
    most = torch.cuda.max_memory_allocated(device)
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.set_per_process_memory_fraction((before + max(0, most - before) / 2) / total, device)
    try:
        apart = torch.cat(encode(clips))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    yield Row(
        f"{name} in half the memory that it took, agrees", agreement(whole, apart), f"{most / 1e6:,.0f} MB before"
    )


def initials(text: str) -> str:
    """A text of as many tokens as a published tokenizer would make of it: the one here knows letters only."""
    return " ".join(word[0] for word in text.split())


def _clips(count: int) -> list[Frames]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (FRAMES, 360, 640, 3), dtype=np.uint8) for _ in range(count)]


def _repeats(device: torch.device) -> int:
    return 30 if device.type == "cuda" else 1


def _counted(queries: int) -> str:
    return f"{queries} queries" if queries > 1 else "1 query"
