"""Wide colour and high dynamic range as a display of BT.709 shows it.

The transfer functions are those of SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG), the reference white of 203 cd/m2 that of
ITU-R BT.2408, the matrix that of ITU-R BT.2087. Highlights are compressed by the Mobius curve of FFmpeg's filter
`tonemap`, which leaves everything below three tenths of the reference white as it is. FFmpeg's own way needs the
filter zscale, which the FFmpeg in the wheels of PyAV lacks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Linear = npt.NDArray[np.float32]

_BT2020, _PQ, _HLG = 9, 16, 18
"""Primaries and transfer functions by their numbers in ITU-T H.273."""

_WHITE = 203.0
"""cd/m2 of white paper in a picture of high dynamic range."""

_HLG_PEAK = 1000.0
"""cd/m2 of the display for which HLG is rendered."""

_STEPS = 4096
"""Distinct signal levels: 12 bits, more than any camera records."""

_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    dtype=np.float32,
)

_KNEE = 0.3
_PEAKS = {_PQ: 100.0, _HLG: 10.0}
"""The brightest signal that the curve foresees, in units of white: what FFmpeg takes without metadata."""


def needs_mapping(frame: Any) -> bool:
    """Whether the colours of a decoded frame (PyAV) are not those of an ordinary display."""
    return frame.color_trc in (_PQ, _HLG) or frame.color_primaries == _BT2020


def map_to_bt709(rgb: npt.NDArray[Any], transfer: int) -> Pixels:
    """(H, W, 3) uint16 RGB with BT.2020 primaries, and its transfer function (H.273), as 8 bits of BT.709."""
    import cv2

    # OpenCV's stubs do not follow the kind of numbers.
    light: Any = cv2.transform(_linear(transfer)[rgb >> 4], _TO_BT709)
    if transfer in _PEAKS:
        red, green, blue = cv2.split(light)
        brightest: Any = np.maximum(cv2.max(cv2.max(red, green), blue), np.float32(1e-6))
        light *= (_compressed(brightest, _PEAKS[transfer]) / brightest)[..., None]
    signal = cv2.pow(np.clip(light, 0, 1, out=light), 1 / 2.4)
    return np.asarray(cv2.convertScaleAbs(signal, alpha=255), dtype=np.uint8)


@cache
def _linear(transfer: int) -> Linear:
    """Light for each of _STEPS signal levels; 1 is white."""
    signal = np.arange(_STEPS) / (_STEPS - 1)
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        light = 10_000 / _WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    elif transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        # The display's gamma, per channel as zscale applies it; BT.2100 would apply it to the luminance.
        light = _HLG_PEAK / _WHITE * scene**1.2
    else:
        light = signal**2.4
    return light.astype(np.float32)


def _compressed(light: Linear, peak: float) -> Linear:
    """The Mobius curve: the identity up to _KNEE, and from there on smoothly towards 1 at `peak`."""
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / (peak - 1)
    scale = (b * b + 2 * b * _KNEE + _KNEE**2) / (b - a)
    return np.where(light <= _KNEE, light, scale * (light + a) / (light + b)).astype(np.float32)
