"""From the specification of a clip to RGB frames, with OpenCV's anti-aliased polygons."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from demo.motion import ASPECT, Pose, poses
from demo.shapes import FIXED_TONES, parts_of
from demo.world import COLOURS, Actor, ClipSpec

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

HEIGHT, WIDTH = 240, 320
_SUBPIXEL = 4  # OpenCV draws at 1/16 pixel when coordinates are scaled by 2**4
_OUTLINE: Colour = (52, 46, 56)


def render_frames(spec: ClipSpec, moments: Iterable[float]) -> Image:
    """Frames at the given fractions of the clip (0 start, 1 end): (T, 240, 320, 3) uint8 RGB."""
    background = _background(spec.scene, spec.seed)
    return np.stack([_draw(background.copy(), spec, u) for u in moments])


def _draw(image: Image, spec: ClipSpec, u: float) -> Image:
    actors: list[Actor] = [spec.subject] + ([spec.object] if spec.object else [])
    for actor, pose in zip(actors, poses(spec, u), strict=True):
        if pose.opacity <= 0 or pose.size <= 0:
            continue
        layer = image if pose.opacity == 1 else image.copy()
        if pose.rope_to:
            _line(layer, (pose.x, pose.y), pose.rope_to)
        _draw_actor(layer, actor, pose)
        if layer is not image:
            image = np.asarray(cv2.addWeighted(layer, pose.opacity, image, 1 - pose.opacity, 0), np.uint8)
    return image


def _draw_actor(image: Image, actor: Actor, pose: Pose) -> None:
    c, s = np.cos(pose.turn), np.sin(pose.turn)
    flip = -1.0 if pose.mirrored else 1.0
    matrix = np.array([[c * flip, s * flip], [-s, c]])
    tones = _tones(actor.colour)
    for points, tone in parts_of(actor.kind):
        placed = (points @ matrix) * pose.size + (pose.x, pose.y)
        _fill(image, placed, tones[tone])


def _fill(image: Image, points: npt.NDArray[np.float64], colour: Colour) -> None:
    scaled = np.round(points * (HEIGHT * 2**_SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(image, [scaled], colour, lineType=cv2.LINE_AA, shift=_SUBPIXEL)
    cv2.polylines(image, [scaled], True, _OUTLINE, 1, lineType=cv2.LINE_AA, shift=_SUBPIXEL)


def _line(image: Image, start: tuple[float, float], end: tuple[float, float]) -> None:
    a, b = (tuple(int(v * HEIGHT) for v in point) for point in (start, end))
    cv2.line(image, a, b, (110, 80, 50), 2, lineType=cv2.LINE_AA)


def _colour(values: npt.NDArray[np.float64]) -> Colour:
    return (int(values[0]), int(values[1]), int(values[2]))


@lru_cache(maxsize=64)
def _tones(colour: str) -> dict[str, Colour]:
    body = np.array(COLOURS[colour])
    shade: dict[str, Colour] = {
        "body": _colour(body),
        "dark": _colour(body * 0.72),
        "light": _colour(body + (255 - body) * 0.5),
    }
    return {**FIXED_TONES, **shade}


def _gradient(top: Colour, bottom: Colour) -> Image:
    t = np.linspace(0, 1, HEIGHT)[:, None, None]
    rows = np.array(top) * (1 - t) + np.array(bottom) * t
    return np.broadcast_to(rows, (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()


@lru_cache(maxsize=4)
def _background(scene: str, seed: int) -> Image:
    rng = np.random.default_rng([seed, 2])
    image = _SCENES[scene](rng)
    shade = rng.uniform(0.92, 1.06)
    return np.clip(image * shade, 0, 255).astype(np.uint8)


def _band(image: Image, y0: float, y1: float, colour: Colour) -> None:
    image[int(y0 * HEIGHT) : int(y1 * HEIGHT)] = colour


def _blob(image: Image, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
    centre, axes = (int(x * HEIGHT), int(y * HEIGHT)), (max(1, int(rx * HEIGHT)), max(1, int(ry * HEIGHT)))
    cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1, lineType=cv2.LINE_AA)


def _park(rng: np.random.Generator) -> Image:
    image = _gradient((172, 214, 240), (222, 238, 244))
    _band(image, 0.55, 1.0, (150, 196, 118))
    for x in rng.uniform(0, ASPECT, 4):
        _blob(image, x, 0.5, 0.16, 0.12, (122, 174, 104))
    for x, y in zip(rng.uniform(0, ASPECT, 25), rng.uniform(0.6, 1, 25), strict=True):
        _blob(image, x, y, 0.012, 0.006, (128, 176, 98))
    return image


def _beach(rng: np.random.Generator) -> Image:
    image = _gradient((158, 208, 240), (206, 232, 244))
    _band(image, 0.42, 0.62, (92, 170, 204))
    for x, y in zip(rng.uniform(0, ASPECT, 10), rng.uniform(0.44, 0.6, 10), strict=True):
        _blob(image, x, y, 0.06, 0.004, (180, 220, 234))
    _band(image, 0.62, 1.0, (238, 220, 172))
    _blob(image, rng.uniform(0.1, 1.2), 0.14, 0.07, 0.07, (255, 240, 190))
    return image


def _street(rng: np.random.Generator) -> Image:
    image = _gradient((196, 206, 216), (222, 226, 230))
    x = -0.1
    while x < ASPECT:
        width, top = rng.uniform(0.14, 0.26), rng.uniform(0.12, 0.34)
        colour = _colour(rng.uniform(158, 200) + rng.uniform(-12, 12, 3))
        cv2.rectangle(
            image,
            (int(x * HEIGHT), int(top * HEIGHT)),
            (int((x + width) * HEIGHT), int(0.6 * HEIGHT)),
            colour,
            -1,
        )
        x += width
    _band(image, 0.58, 0.63, (186, 184, 180))
    _band(image, 0.63, 1.0, (118, 120, 126))
    for i in range(6):
        _line_rect(image, 0.05 + i * 0.25 + rng.uniform(0, 0.02), 0.8, 0.12, 0.015, (224, 222, 206))
    return image


def _line_rect(image: Image, x: float, y: float, w: float, h: float, colour: Colour) -> None:
    corners = [int(v * HEIGHT) for v in (x, y, x + w, y + h)]
    cv2.rectangle(image, (corners[0], corners[1]), (corners[2], corners[3]), colour, -1)


def _snow(rng: np.random.Generator) -> Image:
    image = _gradient((186, 200, 222), (214, 222, 236))
    for x in rng.uniform(0, ASPECT, 3):
        peak = np.array([[x - 0.35, 0.6], [x, rng.uniform(0.2, 0.38)], [x + 0.35, 0.6]]) * HEIGHT
        cv2.fillPoly(image, [peak.astype(np.int32)], (168, 184, 208), lineType=cv2.LINE_AA)
    _band(image, 0.58, 1.0, (226, 232, 242))
    for x, y in zip(rng.uniform(0, ASPECT, 40), rng.uniform(0, 1, 40), strict=True):
        _blob(image, x, y, 0.008, 0.008, (255, 255, 255))
    return image


def _desert(rng: np.random.Generator) -> Image:
    image = _gradient((240, 204, 150), (250, 230, 190))
    _blob(image, rng.uniform(0.1, 1.2), 0.2, 0.09, 0.09, (252, 244, 214))
    for x in rng.uniform(0, ASPECT, 4):
        _blob(image, x, 0.66, 0.4, 0.14, (222, 176, 116))
    _band(image, 0.66, 1.0, (212, 164, 104))
    return image


def _night(rng: np.random.Generator) -> Image:
    image = _gradient((22, 26, 62), (52, 54, 104))
    for x, y in zip(rng.uniform(0, ASPECT, 45), rng.uniform(0, 0.68, 45), strict=True):
        _blob(image, x, y, 0.005, 0.005, (230, 230, 210))
    _blob(image, rng.uniform(0.1, 1.2), 0.17, 0.07, 0.07, (238, 234, 206))
    _band(image, 0.72, 1.0, (40, 52, 70))
    return image


def _room(rng: np.random.Generator) -> Image:
    image = _gradient((214, 196, 206), (206, 186, 198))
    _band(image, 0.7, 1.0, (164, 122, 92))
    for i in range(8):
        _line_rect(image, 0.0, 0.7 + i * 0.045, ASPECT, 0.004, (140, 102, 76))
    x = rng.uniform(0.1, 0.9)
    _line_rect(image, x, 0.12, 0.3, 0.28, (250, 250, 250))
    _line_rect(image, x + 0.02, 0.14, 0.26, 0.24, (186, 216, 232))
    return image


_SCENES = {
    "park": _park, "beach": _beach, "street": _street, "snow": _snow, "desert": _desert, "night": _night,
    "room": _room,
}  # fmt: skip
