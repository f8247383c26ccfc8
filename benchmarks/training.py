"""How fast one epoch trains at MSR-VTT scale: `python -m benchmarks.training` (docs/performance.md).

Made-up features and captions of realistic length, 6,513 videos with 20 captions each. Times some steps after a
warm-up and extrapolates to the 130,260 pairs of an epoch; prints where the time goes, and the least time that the
arithmetic alone would take at the speed of this machine's matrix product.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.config import Preset
from model.mcsan import CONCEPT_LEVELS, MCSAN
from model.parse import ROLES, Node, ParsedCaption
from model.presets import PRESETS
from model.sentence import EncodedText
from model.text_features import TextFeatures
from model.training.dataset import VideoText, build_vocabularies
from model.training.module import MCSANModule, Pairs

PARTS = ("data", "video tower", "text tower", "loss", "backward", "optimiser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--videos", type=int, default=6513)
    parser.add_argument("--captions", type=int, default=20, help="per video")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    preset = PRESETS[options.preset]
    data = made_data(preset, options.videos, options.captions, options.seed)
    module, pairs = prepare(preset, data)
    print(f"{options.preset}, {len(pairs):,} pairs, {options.threads} threads, seed {options.seed}")
    measure(module, pairs, preset, options)


def made_data(preset: Preset, videos: int, captions: int, seed: int) -> VideoText:
    """Features (N, D_v) of every video and its captions: 9.5 words in the mean, 3 nouns, 1.5 verbs."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    config = preset.model
    features = [torch.randn(config.frames, config.feature_dim) for _ in range(videos)]
    pool = rng.standard_normal((100_000, config.word_dim)).astype(np.float16)
    texts = [[_caption(rng, pool, config.sentence_dim) for _ in range(captions)] for _ in range(videos)]
    return VideoText.build(features, texts)


def _caption(rng: np.random.Generator, pool: np.ndarray, sentence_dim: int) -> TextFeatures:
    length = 3 + int(rng.gamma(2.5, 2.6))
    places = rng.permutation(length)
    nouns = min(1 + int(rng.poisson(2)), length - 1)
    verbs = min(int(rng.poisson(1.5)), length - nouns)
    nodes = [
        Node("noun", (int(p),), f"noun{rng.zipf(1.3) % 9000}", int(rng.integers(1, len(ROLES)))) for p in places[:nouns]
    ]
    nodes += [Node("verb", (int(p),), f"verb{rng.zipf(1.3) % 3000}", 0) for p in places[nouns : nouns + verbs]]
    edges = tuple((nouns + v, int(rng.integers(nouns))) for v in range(verbs))
    triplets = tuple((nodes[noun].lemma, nodes[verb].lemma, "") for verb, noun in edges)
    words = tuple(f"w{i}" for i in range(length))
    spans = tuple((i, i + 1) for i in range(length))
    parse = ParsedCaption(f"caption {rng.integers(2**40)}", words, spans, tuple(nodes), edges, triplets)
    start = int(rng.integers(len(pool) - length))
    sentence = rng.standard_normal(sentence_dim).astype(np.float32)
    return TextFeatures(parse, EncodedText(sentence, pool[start : start + length].copy()))


def prepare(preset: Preset, data: VideoText) -> tuple[MCSANModule, Pairs]:
    """The module in training mode and its pairs, as `fit` makes them."""
    train = preset.train
    sizes = (train.entity_vocabulary, train.action_vocabulary, train.relation_vocabulary)
    vocabularies = build_vocabularies(data.texts, dict(zip(CONCEPT_LEVELS, sizes, strict=True)))
    model = MCSAN(preset.model, {level: max(1, len(words)) for level, words in vocabularies.items()})
    return MCSANModule(model, preset, data).train(), Pairs(data, vocabularies)


class Clock:
    """Wall-clock and processor seconds by part."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] += time.perf_counter() - wall
        self.cpu[name] += time.process_time() - cpu

    def around(self, module: nn.Module, name: str) -> None:
        """Count the forward passes of `module`."""
        open_parts: list[Any] = []

        def before(*_: object) -> None:
            open_parts.append(self.part(name))
            open_parts[-1].__enter__()

        def after(*_: object) -> None:
            open_parts.pop().__exit__(None, None, None)

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)


def measure(module: MCSANModule, pairs: Pairs, preset: Preset, options: argparse.Namespace) -> None:
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=1e-4)
    order = np.random.default_rng(options.seed).permutation(len(pairs))
    size = preset.train.batch_size
    clock = Clock()
    clock.around(module.model.video, "video tower")
    clock.around(module.model.text, "text tower")
    for step in range(options.warm_up + options.steps):
        if step == options.warm_up:
            clock.wall.clear()
            clock.cpu.clear()
        with clock.part("data"):
            batch = pairs.collate([int(i) for i in order[step * size : (step + 1) * size]])
        with clock.part("loss"):
            loss = torch.stack(list(module.losses(batch).values())).sum()
        with clock.part("backward"):
            loss.backward()
        with clock.part("optimiser"):
            optimizer.step()
            optimizer.zero_grad()
    for table in (clock.wall, clock.cpu):
        table["loss"] -= table["video tower"] + table["text tower"]
    epoch = len(pairs) / size / options.steps
    wall, cpu = sum(clock.wall.values()), sum(clock.cpu.values())
    print(
        f"{options.steps * size / wall:.1f} pairs/s; an epoch: {wall * epoch / 60:.1f} min, {cpu * epoch / 60:.1f} CPU-min"
    )
    for name in PARTS:
        print(
            f"| {name} | {clock.wall[name] / options.steps * 1000:.0f} ms | {clock.cpu[name] / options.steps * 1000:.0f} CPU-ms |"
        )
    flops = flops_of(lambda: module.losses(batch))
    speed = matmul_speed(torch.float32)
    print(
        f"{flops / 1e9:.0f} GFLOP per step at {speed / 1e9:.0f} GFLOP/s: floor {flops / speed * len(pairs) / size / 60:.1f} min"
    )
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def flops_of(forward: Callable[[], dict[str, Tensor]]) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        torch.stack(list(forward().values())).sum().backward()
    return counter.get_total_flops()


def matmul_speed(dtype: torch.dtype) -> float:
    a, b = torch.randn(1280, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        nn.functional.linear(a, b)
        times.append(time.perf_counter() - began)
    return 2 * 1280 * 2048 * 2048 / min(times)


if __name__ == "__main__":
    main()
