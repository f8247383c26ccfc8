"""Ways to run frozen networks on one core: `python -m benchmarks.networks.cpu_backends` (docs/performance.md).

The networks of the published sizes with random weights, by PyTorch, by OpenVINO and by ONNX Runtime where they are
installed, in turn in one process. Times are of the processor, so that other work on the machine counts little, and the
speed of a plain product by each library says how much there is to be had: the machine's peak, in float32 and, where the
processor has instructions for it, in bfloat16. What a network multiplies is counted by PyTorch.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.networks import made_models
from model.openvino_networks import convert, openvino_without_telemetry

Run = Callable[[], Any]

_HINTS = {"float32": "f32", "bf16": "bf16"}


def spent(runs: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """The least processor time of each in seconds; they take turns."""
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], time.process_time() - began)
    return least


class _Named(nn.Module):
    """A network of named inputs as one of places."""

    def __init__(self, function: Callable[..., Tensor], owner: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.owner, self.function, self.names = owner, function, names

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(**dict(zip(self.names, inputs, strict=True)))


def openvino_run(network: nn.Module, inputs: tuple[Tensor, ...], precision: str) -> Run:
    core = openvino_without_telemetry().Core()
    model = convert(network, inputs)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    arrays = [value.numpy() for value in inputs]
    return lambda: np.array(request.infer(arrays)[0])


def onnx_run(network: nn.Module, inputs: tuple[Tensor, ...]) -> Run:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/network.onnx"
        torch.onnx.export(network, inputs, file, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    arrays = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return lambda: session.run(None, arrays)[0]


def compare(
    title: str, network: nn.Module, inputs: tuple[Tensor, ...], rounds: int, peaks: Mapping[str, float]
) -> None:
    runs: dict[str, Run] = {"PyTorch": lambda: network(*inputs).numpy()}
    made = {f"OpenVINO {name}": partial(openvino_run, network, inputs, _HINTS[name]) for name in peaks}
    made["ONNX"] = partial(onnx_run, network, inputs)
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    for name, make in made.items():
        try:
            runs[name] = make()
        except Exception as error:
            print(f"{title}: no {name}: {str(error).splitlines()[0][:100]}")
    right = torch.from_numpy(runs["PyTorch"]()).flatten(0, -2)
    real = right.any(1)  # padding has zeros
    seconds = spent(runs, rounds)
    for name, run in runs.items():
        found = torch.as_tensor(run()).reshape(right.shape)
        one, other = (nn.functional.normalize(rows[real].double(), dim=-1, eps=1e-300) for rows in (found, right))
        ratio, off = seconds["PyTorch"] / seconds[name], 1 - (one * other).sum(-1).min()
        share = counter.get_total_flops() / seconds[name] / peaks["bf16" if name.endswith("bf16") else "float32"]
        print(f"| {title} | {name} | {1000 * seconds[name]:.1f} | {ratio:.2f} | {share:.0%} | {off:.1e} |", flush=True)


def measured_peaks(rounds: int) -> dict[str, float]:
    """FLOP/s of one core that multiplies (1280, 2048) by (2048, 2048), the best of each precision. Prints them all."""
    a, weight = torch.randn(1280, 2048), torch.randn(2048, 2048)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(a))
    left, right = a.numpy(), weight.numpy()
    half_left, half_right = a.bfloat16(), weight.bfloat16()
    many = np.ones(2**26)
    runs: dict[str, Run] = {
        "PyTorch float32 (MKL)": lambda: a @ weight,
        "oneDNN float32, packed": lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""),
        "NumPy float32 (OpenBLAS)": lambda: left @ right,
        "reading 512 MB": many.sum,
    }
    if _has_bf16():
        runs["PyTorch bfloat16 (oneDNN)"] = lambda: half_left @ half_right
    seconds = spent(runs, rounds)
    memory = many.nbytes / seconds.pop("reading 512 MB")
    speeds = {name: 2 * len(a) * weight.numel() / least for name, least in seconds.items()}
    for name, speed in speeds.items():
        print(f"| {name} | {speed / 1e9:.0f} GFLOP/s |")
    print(f"| reading 512 MB | {memory / 1e9:.0f} GB/s |", flush=True)
    peaks = {"float32": max(speed for name, speed in speeds.items() if "bfloat16" not in name)}
    return peaks | ({"bf16": speeds["PyTorch bfloat16 (oneDNN)"]} if _has_bf16() else {})


def _has_bf16() -> bool:
    """Whether there are instructions for it, which need not be faster than float32 (`model.precision`)."""
    return re.search("amx_bf16|avx512_bf16", Path("/proc/cpuinfo").read_text(encoding="ascii")) is not None


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{torch.backends.cpu.get_cpu_capability()}; PyTorch {torch.__version__}\n| product | one core |\n|---|---|")
    peaks = measured_peaks(arguments.rounds)
    print("\n| network | by | ms of one core | times as fast | of the peak | 1 - worst cosine |")
    print("|---|---|---|---|---|---|")
    settings = arguments.rounds, peaks
    bert = made_models.minilm()

    for n in (1, 32):
        tokens = made_models.minilm_tokens(n)
        named = _Named(lambda **t: bert(**t).last_hidden_state * t["attention_mask"].unsqueeze(-1), bert, list(tokens))
        compare(f"MiniLM, {n} texts", named, tuple(tokens.values()), *settings)
    for name, size in (("mobilenet_v3_small", (96, 128)), ("resnet50", (224, 224))):
        backbone = torchvision.models.get_model(name, weights=None).eval()
        frames = torch.randn(arguments.frames, 3, *size)
        compare(f"{name}, {arguments.frames} frames", backbone, (frames,), *settings)
    with tempfile.TemporaryDirectory() as folder:
        made_models.write_clip(Path(folder))
        from transformers import AutoModel

        clip = AutoModel.from_pretrained(folder).eval()
    frames = torch.randn(arguments.frames, 3, 224, 224)
    tower = _Named(lambda pixel_values: clip.get_image_features(pixel_values).pooler_output, clip, ["pixel_values"])
    compare(f"CLIP ViT-B/32, {arguments.frames} frames", tower, (frames,), *settings)


if __name__ == "__main__":
    main()
