"""Encoding and exact search on this machine's device, as one table: `python -m benchmarks.gpu_check`, `make gpu-check`.

Frames per second from decoded pictures to vectors, the time of a query in the text tower, and how far the device is
from the CPU. Networks have the published sizes and random weights, on which speed does not depend. Exact scans of
100,000 and 1,000,000 made clips stand beside what reading them takes at least. It needs torch, torchvision and
transformers (`--checks searching`: torch alone), no FAISS and no spaCy, and runs on a CPU too, with fewer repetitions.

`CHECKS` are the parts of the table, in order. A part is a function from a device to rows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu_search import searching
from benchmarks.rows import Row
from model.encoder import Frames

CLIPS, FRAMES = 8, 12
"""What indexing gives an encoder at once: at most 8 clips; 12 frames each."""

QUERY = ("two big dogs chase a small cat", "a photo of two big dogs", "a photo of a small cat",
         "a video of chasing a small cat", "a video of two big dogs chasing a small cat")  # fmt: skip
"""The texts of one query: the sentence and its phrases."""

LETTERS = [chr(i) for i in range(33, 127)]


def encoding(device: torch.device) -> Iterator[Row]:
    """Frames per second of each network, queries of each text tower, and their agreement with the CPU."""
    from transformers.utils.logging import disable_progress_bar

    from model.backbones import Backbone, BackboneConfig

    disable_progress_bar()
    with tempfile.TemporaryDirectory() as temporary:
        for name, make in TWO_TOWERS.items():
            folder = Path(temporary) / name
            make(folder)
            yield from _two_tower(name, folder, device)
    for arch in ("resnet152", "convnext_tiny"):
        torch.manual_seed(0)
        network = Backbone(BackboneConfig(arch)).eval()
        here = network.features(_clips(1))[0]
        network.to(device)
        yield Row(f"{arch}, frames/s", f"{_rate(network.features, device):,.0f}", _AT_ONCE)
        yield Row(f"{arch}, agreement with the CPU", _agreement(here, network.features(_clips(1))[0]), "lowest cosine")


CHECKS: dict[str, Callable[[torch.device], Iterator[Row]]] = {"encoding": encoding, "searching": searching}


def _two_tower(name: str, folder: Path, device: torch.device) -> Iterator[Row]:
    from model.clip_model import TwoTower

    tower = TwoTower(folder)
    pictures, texts = tower.features(_clips(1))[0], tower.texts(QUERY)
    tower.to(str(device))
    yield Row(f"{name}, frames/s", f"{_rate(tower.features, device):,.0f}", _AT_ONCE)
    for queries in (1, 32):
        asked = [_initials(text) for _ in range(queries) for text in QUERY]
        seconds = _p50(lambda asked=asked: tower.texts(asked), device)
        yield Row(f"{name}, {queries} queries, p50 ms", f"{1000 * seconds:.2f}", f"{len(QUERY)} texts each, unparsed")
    there = tower.features(_clips(1))[0]
    yield Row(f"{name}, pictures agree with the CPU", _agreement(pictures, there), "lowest cosine")
    yield Row(f"{name}, texts agree with the CPU", _agreement(texts, tower.texts(QUERY)), "lowest cosine")


_AT_ONCE = f"{CLIPS} clips of {FRAMES} frames of 640x360 at once"


def _initials(text: str) -> str:
    """A text of as many tokens as a published tokenizer would make of it: the one here knows letters only."""
    return " ".join(word[0] for word in text.split())


def _clips(count: int) -> list[Frames]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (FRAMES, 360, 640, 3), dtype=np.uint8) for _ in range(count)]


def _rate(encode: Callable[[Sequence[Frames]], object], device: torch.device) -> float:
    clips = _clips(CLIPS)
    return CLIPS * FRAMES / _p50(lambda: encode(clips), device)


def _p50(function: Callable[[], object], device: torch.device) -> float:
    """Median seconds of a call, after warming up. The results are on the CPU, so a call has ended when it returns."""
    repeats = 30 if device.type == "cuda" else 3
    for _ in range(min(3, repeats - 1)):
        function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _agreement(one: torch.Tensor, other: torch.Tensor) -> str:
    return f"{torch.cosine_similarity(one.double(), other.double()).min().item():.7f}"


def _write(folder: Path, model: torch.nn.Module) -> None:
    """A random model with a tokenizer of letters, as transformers saves it."""
    from transformers import CLIPImageProcessor, CLIPTokenizer

    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    model.save_pretrained(folder)
    CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)


def _clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    _write(folder, CLIPModel(CLIPConfig()))


def _siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    _write(folder, SiglipModel(SiglipConfig(text_config={"bos_token_id": 1, "eos_token_id": 1})))


TWO_TOWERS = {"CLIP ViT-B/32": _clip, "SigLIP base/16": _siglip}
"""The default configurations of transformers are these two models."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checks", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("No GPU is visible to PyTorch.")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}; torch {torch.__version__}; random weights, seed 0\n\n| | | |\n|---|---|---|", flush=True)
    for check in options.checks:
        for row in CHECKS[check](device):
            print(f"| {row.what} | {row.value} | {row.note} |", flush=True)


if __name__ == "__main__":
    main()
