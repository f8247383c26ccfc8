"""How fast one epoch trains at MSR-VTT scale: `python -m benchmarks.networks.training` (docs/performance.md).

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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from model.language.parsed_caption import ROLES, Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import Preset
from model.mcsan.presets import PRESETS
from model.mcsan.text_features import TextFeatures
from model.training.data.batches import PairBatch, Pairs
from model.training.data.dataset import VideoText
from model.training.loop.lightning_module import MatcherModule
from model.training.loop.mcsan_matcher import mcsan_matcher
from model.training.loop.single_run import vocabularies_of

PARTS = ("data", "video tower", "text tower", "loss", "backward", "optimiser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--videos", type=int, default=6513)
    parser.add_argument("--captions", type=int, default=20, help="per video")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--precision",
        choices=("float32", "products", "bf16"),
        default="float32",
        help="float32; products: tensors in float32 that oneDNN multiplies in bfloat16; bf16: torch.autocast",
    )
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="list the N operators that take longest")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if options.precision == "products":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    preset = PRESETS[options.preset]
    data = made_data(preset, options.videos, options.captions, options.seed)
    module, pairs = prepare(preset, data)
    size = preset.train.batch_size
    print(
        f"Preset {options.preset}, {options.videos:,} videos x {options.captions} captions, batches of {size}, "
        f"{options.precision}, {options.threads} threads, seed {options.seed}"
    )
    report(measure(module, pairs, preset, options), options.steps, len(pairs), size)
    if options.profile:
        report_operators(module, pairs, preset, options)
    report_floor(module, pairs, options, size)
    print(f"Peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.2f} GB")


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


def prepare(preset: Preset, data: VideoText) -> tuple[MatcherModule, Pairs]:
    """The module in training mode and its pairs, as `fit` makes them."""
    vocabularies = vocabularies_of(data, preset.train)
    matcher = mcsan_matcher(preset, data, vocabularies)
    return MatcherModule(matcher, preset.train, data).train(), Pairs(data, vocabularies)


class Clock:
    """Seconds of wall clock and of processor by part."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    def clear(self) -> None:
        self.wall.clear()
        self.cpu.clear()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] += time.perf_counter() - wall
        self.cpu[name] += time.process_time() - cpu

    def around(self, module: nn.Module, name: str) -> None:
        """Count the forward passes of `module`."""
        running = ExitStack()
        module.register_forward_pre_hook(lambda *_: running.enter_context(self.part(name)))
        module.register_forward_hook(lambda *_: running.close())


def measure(module: MatcherModule, pairs: Pairs, preset: Preset, options: argparse.Namespace) -> Clock:
    """Time `options.steps` steps after `options.warm_up`; their batches are drawn as an epoch draws them."""
    optimizer = module.make_optimizer()
    order = np.random.default_rng(options.seed).permutation(len(pairs))
    size = preset.train.batch_size
    clock = Clock()
    clock.around(module.matcher.model.video, "video tower")
    clock.around(module.matcher.model.text, "text tower")
    for step in range(options.warm_up + options.steps):
        if step == options.warm_up:
            clock.clear()
        with clock.part("data"):
            batch = pairs.collate([int(i) for i in order[step * size : (step + 1) * size]])
        with clock.part("loss"):
            loss = loss_of(module, batch, options.precision == "bf16")
        with clock.part("backward"):
            loss.backward()
        with clock.part("optimiser"):
            module.configure_gradient_clipping(optimizer)
            optimizer.step()
            optimizer.zero_grad()
    for seconds in (clock.wall, clock.cpu):
        seconds["loss"] -= seconds["video tower"] + seconds["text tower"]
    return clock


def loss_of(module: MatcherModule, batch: PairBatch, bf16: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return torch.stack(list(module.matcher.losses(batch).values())).sum()


def report(clock: Clock, steps: int, pairs: int, size: int) -> None:
    """Milliseconds per step by part, and what an epoch of `pairs` would take."""
    print("\n| part | ms per step | processor ms per step | share |\n|---|---|---|---|")
    wall, cpu = sum(clock.wall.values()), sum(clock.cpu.values())
    for name in PARTS:
        own = (clock.wall[name] / steps * 1000, clock.cpu[name] / steps * 1000)
        print(f"| {name} | {own[0]:,.0f} | {own[1]:,.0f} | {clock.cpu[name] / cpu:.1%} |")
    print(f"| all | {wall / steps * 1000:,.0f} | {cpu / steps * 1000:,.0f} | |")
    epoch = pairs / size / steps / 60
    print(
        f"\n{steps * size / wall:.1f} pairs/s. {steps} steps extrapolated to {pairs:,} pairs: "
        f"an epoch takes {wall * epoch:.1f} min, {cpu * epoch:.1f} of a processor"
    )


def report_operators(module: MatcherModule, pairs: Pairs, preset: Preset, options: argparse.Namespace) -> None:
    """Wall clock by operator, without the operators that it calls. Profiling itself costs some per cent."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        measure(module, pairs, preset, options)
    operators = sorted(seen.key_averages(), key=lambda operator: -operator.self_cpu_time_total)
    steps, total = options.warm_up + options.steps, sum(operator.self_cpu_time_total for operator in operators)
    print("\n| operator | calls per step | ms per step | share |\n|---|---|---|---|")
    for operator in operators[: options.profile]:
        own = operator.self_cpu_time_total
        print(f"| {operator.key} | {operator.count / steps:.0f} | {own / steps / 1000:.1f} | {own / total:.1%} |")


def report_floor(module: MatcherModule, pairs: Pairs, options: argparse.Namespace, size: int) -> None:
    """The multiplications of one step, counted as it runs, at the speed of this machine's matrix product now."""
    batch = pairs.collate(range(0, len(pairs), max(1, len(pairs) // size))[:size])
    counter = FlopCounterMode(display=False)
    with counter:
        loss_of(module, batch, options.precision == "bf16").backward()
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    flops, speed = counter.get_total_flops(), matmul_speed(dtype)
    print(
        f"Floor: {flops / 1e9:.0f} GFLOP per step at {speed / 1e9:.0f} GFLOP per second of wall clock: "
        f"{flops / speed * len(pairs) / size / 60:.1f} min an epoch"
    )


def matmul_speed(dtype: torch.dtype) -> float:
    """Operations per second of the best of some products (1280, 2048) x (2048, 2048): 64 clips of 20 frames."""
    a, b = torch.randn(1280, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        nn.functional.linear(a, b)
        times.append(time.perf_counter() - began)
    return 2 * 1280 * 2048 * 2048 / min(times)


if __name__ == "__main__":
    main()
