"""Ways to run frozen networks on one core: `python -m benchmarks.cpu_backends` (docs/performance.md).

The networks of the published sizes with random weights, by PyTorch, by OpenVINO and by ONNX Runtime where they are
installed, in turn in one process. Times are of the processor, so that other work on the machine counts little, and the
speed of a plain product by each library says how much there is to be had: the machine's peak.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from benchmarks import made_models

Run = Callable[[], Any]


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
    import openvino

    core = openvino.Core()
    model = openvino.convert_model(network, example_input=inputs)
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


def compare(title: str, network: nn.Module, inputs: tuple[Tensor, ...], rounds: int, precision: str) -> None:
    runs: dict[str, Run] = {"PyTorch": lambda: network(*inputs).numpy()}
    made = {"OpenVINO": lambda: openvino_run(network, inputs, precision), "ONNX": lambda: onnx_run(network, inputs)}
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
        cosine = torch.cosine_similarity(found[real].double(), right[real].double()).min()
        ratio = seconds["PyTorch"] / seconds[name]
        print(f"| {title} | {name} | {1000 * seconds[name]:.1f} | {ratio:.2f} | {1 - cosine:.1e} |", flush=True)


def peak(rounds: int) -> None:
    """GFLOP/s of one core multiplying (1280, 2048) by (2048, 2048), and GB/s of reading 512 MB."""
    a, weight = torch.randn(1280, 2048), torch.randn(2048, 2048)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(a))
    left, right = a.numpy(), weight.numpy()
    half_left, half_right = a[:64].bfloat16(), weight.bfloat16()
    many = np.ones(2**26)
    runs: dict[str, Run] = {
        "PyTorch float32 (MKL)": lambda: a @ weight,
        "oneDNN float32, packed": lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""),
        "NumPy float32 (OpenBLAS)": lambda: left @ right,
        "PyTorch bfloat16": lambda: half_left @ half_right,
        "memory": many.sum,
    }
    seconds = spent(runs, rounds)
    flops = {name: 2 * len(a) * weight.numel() for name in runs} | {"PyTorch bfloat16": 2 * 64 * weight.numel()}
    for name, least in seconds.items():
        amount = (
            f"{many.nbytes / least / 1e9:.0f} GB/s" if name == "memory" else f"{flops[name] / least / 1e9:.1f} GFLOP/s"
        )
        print(f"| {name} | {amount} |", flush=True)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="what OpenVINO is told to use")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{torch.backends.cpu.get_cpu_capability()}; PyTorch {torch.__version__}\n| product | one core |\n|---|---|")
    peak(arguments.rounds)
    print("\n| network | by | ms of one core | times as fast | 1 - worst cosine |\n|---|---|---|---|---|")
    settings = arguments.rounds, arguments.precision
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
