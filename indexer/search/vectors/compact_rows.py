"""What the exhaustive scan reads of a gallery: 8-bit rows in mapped files on the CPU, half precision on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from indexer.search.question import Floats, Question
from indexer.search.vectors.codes import CodeProducts, code_errors, encode, margins
from indexer.search.vectors.half_rows import HalfProducts, half_errors, half_rows, held_bytes, missing_bytes
from indexer.search.vectors.segment import Segment
from model.levels import LevelSpec

Array: TypeAlias = Any
"""A NumPy array on the CPU, a PyTorch tensor on a GPU."""

_log = logging.getLogger(__name__)


class Products(Protocol):
    """A level's scale times the inner products of B queries with rows `first` to `last`: (B, last - first) float32."""

    def __call__(self, first: int, last: int) -> Array: ...


class Resident(Protocol):
    """The rows of every segment, compact.

    device   of the products, by PyTorch's name
    arrays   the module of the arrays: numpy or torch
    present  (L, n) bool per segment
    """

    device: str
    arrays: ModuleType
    present: list[Array]

    def array(self, values: npt.NDArray[Any]) -> Array:
        """`values` where the products are."""
        ...

    def products(self, place: int, spec: LevelSpec, question: Question) -> Products:
        """The products with one level of segment number `place`."""
        ...

    def errors(self, place: int, question: Question) -> tuple[Floats, Floats]:
        """How far they may be off, before the level's scale, and the largest magnitudes: (B, L) each."""
        ...


class MappedCodes:
    """8-bit rows on the CPU: the mapped files, uncopied, whose pages all processes share."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.device = "cpu"
        self.arrays: ModuleType = np
        self.present = [np.ascontiguousarray(segment.present.T) for segment in segments]
        self._segments = segments

    def array(self, values: npt.NDArray[Any]) -> Array:
        return values

    def products(self, place: int, spec: LevelSpec, question: Question) -> Products:
        own = self._segments[place]
        return CodeProducts(spec, question.rows[spec.name], own.codes[spec.name], own.scales[spec.name])

    def errors(self, place: int, question: Question) -> tuple[Floats, Floats]:
        bounds = self._segments[place].bounds
        scales = {spec.name: encode(question.rows[spec.name])[1] for spec in question.specs}
        return code_errors(question, bounds, margins(question, bounds, scales))


class Halves:
    """Half-precision rows in the memory of `device`, which the tests run on the CPU too."""

    def __init__(self, segments: Sequence[Segment], device: str) -> None:
        import torch

        if device != "cpu":
            # cuBLAS may otherwise add partial sums in float16, which the bound does not cover.
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        self.device = device
        self.arrays: ModuleType = torch
        self.present = [self.array(np.ascontiguousarray(segment.present.T)) for segment in segments]
        self._bounds = [segment.bounds for segment in segments]
        self._rows = [{name: half_rows(segment, name, device) for name in segment.bounds} for segment in segments]

    def array(self, values: npt.NDArray[Any]) -> Array:
        return self.arrays.asarray(values, device=self.device)

    def products(self, place: int, spec: LevelSpec, question: Question) -> Products:
        return HalfProducts(
            spec, question.rows[spec.name], self._rows[place][spec.name], self._bounds[place][spec.name]
        )

    def errors(self, place: int, question: Question) -> tuple[Floats, Floats]:
        return half_errors(question, self._bounds[place])


def make_resident(segments: Sequence[Segment], device: str) -> Resident:
    """Half-precision rows on a GPU if they take at most half of the memory that it has for them, else mapped codes.

    That is what is free and what rows of other galleries take: those of the previous generation, which goes as soon as
    this one answers.
    """
    if device == "cpu":
        return MappedCodes(segments)
    import torch

    wanted = sum(2 * len(segment) * segment.dim(name) for segment in segments for name in segment.bounds)
    missing = missing_bytes(segments, device)
    free, _ = torch.cuda.mem_get_info(device)
    # PyTorch keeps what was given back to it, such as the rows of an earlier generation, for whatever comes next.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    # A scan needs room too.
    if missing <= 0.9 * free and wanted <= (free + held_bytes(device)) // 2:
        return Halves(segments, device)
    _log.warning(
        "The CPU searches instead of %s: %.1f GB of vectors are more than half of the %.1f GB available.",
        device,
        wanted / 1e9,
        (free + held_bytes(device)) / 1e9,
    )
    return MappedCodes(segments)
