"""Outlines of the objects as filled polygons in a unit box.

Coordinates are x to the right and y down in [-1, 1]; an object faces right and stands at y = 1.
A part is (points, tone): the tones `body`, `dark`, `light` follow the object's colour, the others are fixed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Part = tuple[Points, str]

FIXED_TONES = {
    "ink": (40, 36, 44),
    "pale": (250, 248, 240),
    "glass": (196, 226, 240),
    "wood": (150, 105, 60),
    "stem": (60, 140, 70),
}


def _ellipse(cx: float, cy: float, rx: float, ry: float, turn: float = 0.0, span: float = 1.0) -> Points:
    angles = np.linspace(0, 2 * np.pi * span, max(8, int(28 * span)), endpoint=span < 1)
    x, y = rx * np.cos(angles), ry * np.sin(angles)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1)


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def _poly(*xy: float) -> Points:
    return np.array(xy, dtype=float).reshape(-1, 2)


def _eye(x: float, y: float, r: float = 0.09) -> list[Part]:
    return [(_ellipse(x, y, r, r), "ink")]


def _wheels(*xs: float, r: float = 0.24) -> list[Part]:
    parts: list[Part] = []
    for x in xs:
        parts += [(_ellipse(x, 1 - r, r, r), "ink"), (_ellipse(x, 1 - r, r * 0.45, r * 0.45), "pale")]
    return parts


def _legs(*xs: float, top: float = 0.4, width: float = 0.09, tone: str = "dark") -> list[Part]:
    return [(_box(x - width, top, x + width, 1), tone) for x in xs]


def _dog() -> list[Part]:
    return [
        (_poly(-0.75, 0.1, -1.0, -0.45, -0.88, -0.5, -0.6, -0.05), "body"),
        *_legs(-0.6, -0.38, 0.3, 0.52),
        (_ellipse(-0.08, 0.22, 0.75, 0.34), "body"),
        (_ellipse(0.6, -0.25, 0.34, 0.32), "body"),
        (_ellipse(0.86, -0.13, 0.2, 0.14), "light"),
        (_ellipse(0.42, -0.2, 0.13, 0.32, 0.25), "dark"),
        *_eye(0.66, -0.33),
        (_ellipse(1.0, -0.18, 0.07, 0.07), "ink"),
    ]


def _cat() -> list[Part]:
    return [
        (_ellipse(-0.78, -0.2, 0.1, 0.62, -0.25), "dark"),
        (_ellipse(-0.2, 0.5, 0.6, 0.5), "body"),
        (_poly(0.05, -0.5, 0.08, -1.0, 0.36, -0.68), "body"),
        (_poly(0.5, -0.68, 0.82, -1.0, 0.84, -0.5), "body"),
        (_ellipse(0.45, -0.3, 0.46, 0.4), "body"),
        (_ellipse(-0.1, 0.62, 0.28, 0.3), "light"),
        *_eye(0.3, -0.35),
        *_eye(0.62, -0.35),
        (_poly(0.4, -0.2, 0.54, -0.2, 0.47, -0.1), "ink"),
        *_legs(0.15, 0.36, top=0.6),
    ]


def _bird() -> list[Part]:
    return [
        (_poly(-0.6, 0.15, -1.0, -0.2, -1.0, 0.35), "dark"),
        (_ellipse(-0.05, 0.15, 0.68, 0.5), "body"),
        (_ellipse(0.5, -0.4, 0.36, 0.36), "body"),
        (_poly(0.8, -0.5, 1.0, -0.35, 0.8, -0.25), "wood"),
        (_ellipse(-0.18, 0.05, 0.42, 0.24, 0.4), "dark"),
        *_eye(0.58, -0.47),
        *_legs(-0.05, 0.2, top=0.62, width=0.04, tone="wood"),
    ]


def _fish() -> list[Part]:
    return [
        (_poly(-0.55, 0.0, -1.0, -0.55, -0.9, 0.0, -1.0, 0.55), "dark"),
        (_poly(-0.2, -0.4, 0.1, -0.85, 0.35, -0.4), "dark"),
        (_ellipse(0.15, 0.0, 0.82, 0.52), "body"),
        (_ellipse(0.1, 0.12, 0.22, 0.16, 0.5), "light"),
        (_ellipse(0.6, -0.12, 0.16, 0.16), "pale"),
        *_eye(0.63, -0.12),
    ]


def _rabbit() -> list[Part]:
    return [
        (_ellipse(0.2, -0.66, 0.12, 0.36, -0.15), "body"),
        (_ellipse(0.46, -0.66, 0.12, 0.36, 0.15), "body"),
        (_ellipse(0.46, -0.64, 0.05, 0.25, 0.15), "light"),
        (_ellipse(-0.7, 0.55, 0.2, 0.2), "pale"),
        (_ellipse(-0.15, 0.5, 0.58, 0.46), "body"),
        (_ellipse(0.38, -0.1, 0.4, 0.36), "body"),
        *_eye(0.5, -0.16),
        (_ellipse(-0.2, 0.85, 0.36, 0.15), "dark"),
        (_ellipse(0.35, 0.88, 0.2, 0.12), "dark"),
    ]


def _turtle() -> list[Part]:
    return [
        *_legs(-0.5, 0.35, top=0.4, width=0.15, tone="wood"),
        (_ellipse(0.78, 0.2, 0.24, 0.2), "wood"),
        (_poly(-0.75, 0.45, -0.98, 0.58, -0.7, 0.6), "wood"),
        (_ellipse(-0.05, 0.5, 0.75, 0.85, np.pi, 0.5), "body"),
        (_ellipse(-0.05, 0.42, 0.28, 0.55, np.pi, 0.5), "dark"),
        *_eye(0.85, 0.15, 0.06),
    ]


def _elephant() -> list[Part]:
    return [
        *_legs(-0.65, -0.3, 0.12, 0.42, top=0.3, width=0.14),
        (_ellipse(-0.15, -0.05, 0.75, 0.58), "body"),
        (_ellipse(0.52, -0.3, 0.38, 0.42), "body"),
        (_poly(0.7, -0.3, 0.98, -0.1, 0.94, 0.7, 0.78, 0.7, 0.74, 0.1), "body"),
        (_ellipse(0.28, -0.3, 0.28, 0.44), "dark"),
        (_poly(0.68, 0.08, 0.92, 0.22, 0.68, 0.2), "pale"),
        *_eye(0.66, -0.42, 0.07),
    ]


def _snail() -> list[Part]:
    return [
        (_poly(-0.95, 1.0, -0.5, 0.6, 0.5, 0.6, 0.55, -0.1, 0.85, -0.15, 0.95, 0.75, 0.7, 1.0), "wood"),
        (_box(0.58, -0.6, 0.64, -0.1), "wood"),
        (_box(0.8, -0.6, 0.86, -0.1), "wood"),
        (_ellipse(-0.2, 0.1, 0.64, 0.64), "body"),
        (_ellipse(-0.16, 0.14, 0.4, 0.4), "dark"),
        (_ellipse(-0.12, 0.18, 0.2, 0.2), "light"),
        *_eye(0.61, -0.6, 0.09),
        *_eye(0.83, -0.6, 0.09),
    ]


def _car() -> list[Part]:
    return [
        (_poly(-0.6, 0.1, -0.4, -0.4, 0.3, -0.4, 0.6, 0.1), "body"),
        (_poly(-0.42, 0.08, -0.3, -0.27, -0.06, -0.27, -0.06, 0.08), "glass"),
        (_poly(0.06, 0.08, 0.06, -0.27, 0.24, -0.27, 0.44, 0.08), "glass"),
        (_poly(-1.0, 0.1, 0.75, 0.08, 1.0, 0.3, 1.0, 0.75, -1.0, 0.75), "body"),
        *_wheels(-0.55, 0.55, r=0.27),
        (_ellipse(0.93, 0.36, 0.07, 0.1), "pale"),
    ]


def _truck() -> list[Part]:
    return [
        (_box(-1.0, -0.75, 0.3, 0.6), "body"),
        (_box(-0.9, -0.62, 0.2, -0.2), "light"),
        (_poly(0.36, -0.3, 0.75, -0.3, 1.0, 0.15, 1.0, 0.7, 0.36, 0.7), "dark"),
        (_poly(0.48, -0.18, 0.7, -0.18, 0.86, 0.14, 0.48, 0.14), "glass"),
        (_box(-1.0, 0.6, 1.0, 0.75), "ink"),
        *_wheels(-0.65, -0.15, 0.66, r=0.23),
    ]


def _boat() -> list[Part]:
    return [
        (_box(-0.06, -0.95, 0.02, 0.4), "wood"),
        (_poly(0.06, -0.9, 0.75, 0.25, 0.06, 0.25), "pale"),
        (_poly(-0.1, -0.7, -0.1, 0.25, -0.6, 0.25), "light"),
        (_poly(-1.0, 0.4, 1.0, 0.4, 0.65, 1.0, -0.7, 1.0), "body"),
        (_poly(-0.95, 0.5, 0.94, 0.5, 0.87, 0.62, -0.89, 0.62), "dark"),
    ]


def _plane() -> list[Part]:
    return [
        (_poly(-0.95, -0.55, -0.7, -0.55, -0.45, 0.0, -0.8, 0.05), "dark"),
        (_poly(-0.05, -0.15, -0.35, -0.75, -0.12, -0.75, 0.35, -0.15), "dark"),
        (_ellipse(0.05, 0.02, 0.95, 0.27), "body"),
        (_poly(-0.15, 0.1, -0.55, 0.75, -0.25, 0.75, 0.35, 0.1), "dark"),
        *[(_ellipse(x, -0.04, 0.06, 0.07), "glass") for x in (-0.3, -0.08, 0.14, 0.36)],
        (_poly(0.6, -0.17, 0.82, -0.12, 0.9, 0.0, 0.6, 0.0), "glass"),
    ]


def _rocket() -> list[Part]:
    return [
        (_poly(-0.2, 0.7, 0.0, 1.0, 0.2, 0.7), "wood"),
        (_poly(-0.3, 0.1, -0.65, 0.75, -0.3, 0.65), "dark"),
        (_poly(0.3, 0.1, 0.65, 0.75, 0.3, 0.65), "dark"),
        (_poly(0, -1, 0.22, -0.65, 0.34, -0.2, 0.3, 0.72, -0.3, 0.72, -0.34, -0.2, -0.22, -0.65), "body"),
        (_poly(0, -1, 0.22, -0.65, -0.22, -0.65), "light"),
        (_ellipse(0, -0.2, 0.17, 0.17), "glass"),
    ]


def _train() -> list[Part]:
    return [
        (_box(-0.95, -0.55, -0.25, 0.6), "body"),
        (_box(-1.0, -0.7, -0.2, -0.5), "dark"),
        (_box(-0.8, -0.35, -0.4, 0.05), "glass"),
        (_box(-0.25, -0.1, 0.85, 0.6), "body"),
        (_box(0.45, -0.6, 0.68, -0.1), "ink"),
        (_ellipse(0.85, 0.25, 0.13, 0.35), "dark"),
        (_poly(0.75, 0.6, 1.0, 0.85, 0.6, 0.85), "ink"),
        *_wheels(-0.65, -0.1, 0.42, r=0.22),
    ]


def _ball() -> list[Part]:
    return [
        (_ellipse(0, 0, 0.98, 0.98), "body"),
        (_box(-0.97, -0.2, 0.97, 0.08), "pale"),
        (_ellipse(-0.35, -0.55, 0.18, 0.12, -0.6), "light"),
    ]


def _cube() -> list[Part]:
    return [
        (_poly(-0.9, -0.5, -0.5, -0.95, 0.95, -0.95, 0.6, -0.5), "light"),
        (_poly(0.6, -0.5, 0.95, -0.95, 0.95, 0.5, 0.6, 0.98), "dark"),
        (_box(-0.9, -0.5, 0.6, 0.98), "body"),
        (_box(-0.25, -0.5, -0.05, 0.98), "wood"),
    ]


def _star() -> list[Part]:
    angles = -np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.43)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return [(points, "body"), (points * 0.5, "light")]


def _heart() -> list[Part]:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return [(np.stack([x, y], axis=1), "body"), (_ellipse(-0.45, -0.4, 0.2, 0.13, -0.7), "light")]


def _balloon() -> list[Part]:
    return [
        (_box(-0.025, 0.45, 0.025, 1.0), "ink"),
        (_poly(0.0, 0.36, -0.15, 0.52, 0.15, 0.52), "dark"),
        (_ellipse(0, -0.3, 0.6, 0.7), "body"),
        (_ellipse(-0.22, -0.58, 0.12, 0.2, 0.4), "light"),
    ]


def _cup() -> list[Part]:
    return [
        (_ellipse(0.6, 0.15, 0.38, 0.42), "dark"),
        (_ellipse(0.6, 0.15, 0.2, 0.24), "pale"),
        (_poly(-0.8, -0.6, 0.6, -0.6, 0.45, 1.0, -0.65, 1.0), "body"),
        (_ellipse(-0.1, -0.6, 0.7, 0.2), "dark"),
        (_box(-0.66, 0.1, 0.46, 0.3), "light"),
    ]


def _umbrella() -> list[Part]:
    return [
        (_box(-0.05, -0.2, 0.05, 0.9), "wood"),
        (_poly(0.05, 0.8, 0.3, 0.75, 0.34, 0.9, 0.2, 1.0, -0.05, 0.98), "wood"),
        (_ellipse(0, 0.05, 1.0, 1.0, np.pi, 0.5), "body"),
        (_ellipse(0, 0.05, 0.36, 1.0, np.pi, 0.5), "light"),
    ]


def _robot() -> list[Part]:
    return [
        (_box(-0.04, -1.0, 0.04, -0.75), "ink"),
        (_ellipse(0, -0.95, 0.1, 0.1), "ink"),
        (_box(-0.45, -0.78, 0.45, -0.18), "body"),
        (_box(-0.6, -0.12, 0.6, 0.55), "body"),
        (_box(-0.85, -0.08, -0.65, 0.4), "dark"),
        (_box(0.65, -0.08, 0.85, 0.4), "dark"),
        (_box(-0.4, 0.55, -0.12, 1.0), "dark"),
        (_box(0.12, 0.55, 0.4, 1.0), "dark"),
        (_box(-0.3, 0.02, 0.3, 0.35), "light"),
        (_ellipse(-0.17, -0.52, 0.12, 0.12), "pale"),
        (_ellipse(0.2, -0.52, 0.12, 0.12), "pale"),
        *_eye(-0.15, -0.52, 0.06),
        *_eye(0.22, -0.52, 0.06),
    ]


def _mushroom() -> list[Part]:
    return [
        (_poly(-0.3, 0.0, 0.3, 0.0, 0.4, 1.0, -0.4, 1.0), "pale"),
        (_ellipse(0, 0.1, 0.95, 1.0, np.pi, 0.5), "body"),
        *[(_ellipse(x, y, 0.14, 0.12), "pale") for x, y in ((-0.45, -0.2), (0.05, -0.55), (0.48, -0.18))],
    ]


def _flower() -> list[Part]:
    petals = [(0.42 * np.cos(a), -0.4 + 0.42 * np.sin(a)) for a in np.arange(6) * np.pi / 3]
    return [
        (_box(-0.06, -0.2, 0.06, 1.0), "stem"),
        (_ellipse(0.3, 0.55, 0.3, 0.12, -0.5), "stem"),
        *[(_ellipse(x, y, 0.27, 0.27), "body") for x, y in petals],
        (_ellipse(0, -0.4, 0.22, 0.22), "wood"),
    ]


_BUILDERS = {
    "dog": _dog, "cat": _cat, "bird": _bird, "fish": _fish, "rabbit": _rabbit, "turtle": _turtle,
    "elephant": _elephant, "snail": _snail, "car": _car, "truck": _truck, "boat": _boat, "plane": _plane,
    "rocket": _rocket, "train": _train, "ball": _ball, "box": _cube, "star": _star, "heart": _heart,
    "balloon": _balloon, "cup": _cup, "umbrella": _umbrella, "robot": _robot, "mushroom": _mushroom,
    "flower": _flower,
}  # fmt: skip


@cache
def parts_of(kind: str) -> tuple[Part, ...]:
    """The polygons of one kind, back to front."""
    return tuple(_BUILDERS[kind]())
