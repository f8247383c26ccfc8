"""Small networks as CUDA graphs: the hundreds of kernels that one query takes are recorded once and launched as one.

A query is so little work that a GPU waits for the processor, which launches kernel after kernel. A graph holds the
kernels of one size of input, at fixed addresses: inputs are padded to a few sizes, copied to where the graph reads,
and the results copied from where it writes. What is measured: docs/zero-shot.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Inputs = Mapping[str, Tensor]
Outputs = tuple[Tensor, ...]
Function = Callable[[Inputs], Outputs]

MAX_GRAPHS = 48
"""Graphs kept of one network; the one that has not been used for longest goes first."""

MIN_SIZE = 8
"""Every size but the number of texts is padded to at least this."""

_recording = threading.Lock()
"""CUDA lets a process record one graph at a time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedGraph:
    """`replay` computes `outputs` again from what `inputs` then hold."""

    inputs: dict[str, Tensor]
    outputs: Outputs
    replay: Callable[[], None]


class Recorder:
    """Makes CUDA graphs that share memory, so that no two of one recorder may run at the same time.

    After https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: first on another stream, so that libraries
    make what they need; then there again, recorded; "thread_local", since other threads go on using the GPU.
    """

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None
        self._pool: Any = None

    def __call__(self, function: Function, inputs: dict[str, Tensor]) -> RecordedGraph:
        """`function` of `inputs`, which are on a GPU, as a CUDA graph. Raises RuntimeError where CUDA refuses."""
        with torch.cuda.device(next(iter(inputs.values())).device):
            self._stream = self._stream or torch.cuda.Stream()
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(3):
                    function(inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            # The outer one, since a recording that fails may leave its own stream the current one.
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
            ):
                outputs = function(inputs)
        return RecordedGraph(inputs, outputs, graph.replay)


class GraphedFunction:
    """A function of padded tensors, replayed as a graph for each size of its inputs. For any thread, on one stream.

    function  what is computed; padding must not change what it gives of the rest
    inputs    the dimensions of every input, a letter each: "BL" is (B, L). Capitals are sizes that differ from call to
              call, B the number of texts; small letters stay
    outputs   the same of every output
    largest   of the capitals: what is larger is computed without a graph, as is everything once recording has failed
    padding   of an input, where that is not 0
    """

    def __init__(
        self,
        function: Function,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        largest: Mapping[str, int],
        padding: Mapping[str, int] | None = None,
        recorder: Callable[[Function, dict[str, Tensor]], RecordedGraph] | None = None,
    ) -> None:
        self._function = function
        self._inputs, self._outputs = dict(inputs), tuple(outputs)
        self._largest, self._padding = dict(largest), dict(padding or {})
        self._recorder = recorder or Recorder()
        self._graphs: dict[tuple[tuple[str, int], ...], RecordedGraph] = {}
        self._lock = threading.Lock()
        self.failed = False

    def __len__(self) -> int:
        """How many graphs there are."""
        return len(self._graphs)

    @torch.inference_mode()
    def __call__(self, inputs: Inputs, device: torch.device) -> Outputs:
        """What the function gives on `device` of `inputs`, which may are on the CPU: new tensors, cut to size."""
        sizes = {
            letter: size
            for name, dims in self._inputs.items()
            for letter, size in zip(dims, inputs[name].shape, strict=True)
        }
        padded = {letter: self._padded(letter, size) for letter, size in sizes.items()}
        if all(padded[letter] >= size for letter, size in sizes.items()):
            with self._lock:
                graph = None if self.failed else self._graph(padded, inputs, sizes, device)
                if graph is not None:
                    return self._replay(graph, inputs, sizes)
        return self._without_graph(inputs, device)

    def _without_graph(self, inputs: Inputs, device: torch.device) -> Outputs:
        return self._function({name: inputs[name].to(device) for name in self._inputs})

    def _replay(self, graph: RecordedGraph, inputs: Inputs, sizes: Mapping[str, int]) -> Outputs:
        for name, kept in graph.inputs.items():
            # From ordinary memory too, this returns only when the values have been read.
            kept.copy_(self._pad(name, inputs[name], kept.shape), non_blocking=True)
        graph.replay()
        # The next replay writes to the same place.
        return tuple(_cut(dims, kept, sizes).clone() for dims, kept in zip(self._outputs, graph.outputs, strict=True))

    def _graph(
        self, padded: dict[str, int], inputs: Inputs, sizes: Mapping[str, int], device: torch.device
    ) -> RecordedGraph | None:
        """The graph of padded sizes, made if need be; None where that fails."""
        key = tuple(sorted(padded.items()))
        graph = self._graphs.pop(key, None)
        if graph is None:
            try:
                with _recording:
                    graph = self._recorder(self._function, self._empty(padded, inputs, device))
                plainly = self._without_graph(inputs, device)
                if not all(map(_nearly_equal, self._replay(graph, inputs, sizes), plainly)):
                    raise RuntimeError("a graph returns other vectors than the network itself")
            # What CUDA refuses is a RuntimeError, want of memory too.
            except RuntimeError as error:
                self.failed = True
                self._graphs.clear()
                _log.warning("CUDA graphs are off for texts: %s", error)
                return None
            while len(self._graphs) >= MAX_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
        self._graphs[key] = graph  # the last one used is the last one
        return graph

    def _empty(self, padded: Mapping[str, int], inputs: Inputs, device: torch.device) -> dict[str, Tensor]:
        """Inputs of nothing but padding: without any, attention might take a way that holds for no other texts."""
        return {
            name: torch.full(
                [padded[letter] for letter in dims], self._padding.get(name, 0), dtype=inputs[name].dtype
            ).to(device)
            for name, dims in self._inputs.items()
        }

    def _padded(self, letter: str, size: int) -> int:
        if letter.islower():
            return size
        return padded_size(size, self._largest[letter], 1 if letter == "B" else MIN_SIZE)

    def _pad(self, name: str, values: Tensor, shape: torch.Size) -> Tensor:
        if values.shape == shape:
            return values
        padded = values.new_full(shape, self._padding.get(name, 0))
        padded[tuple(slice(0, size) for size in values.shape)] = values
        return padded


def _cut(dims: str, values: Tensor, sizes: Mapping[str, int]) -> Tensor:
    return values[tuple(slice(0, sizes[letter]) if letter.isupper() else slice(None) for letter in dims)]


def _nearly_equal(one: Tensor, other: Tensor) -> bool:
    """Whether numbers differ by no more than another order of adding up explains."""
    return bool((one - other).abs().max() <= 1e-3 * other.abs().max())


def padded_size(size: int, largest: int, smallest: int = MIN_SIZE) -> int:
    """The power of two from `size` on, at least `smallest` and at most `largest`."""
    return min(max(smallest, 1 << (size - 1).bit_length()), largest)
