"""Where everything is at a moment of a clip.

Every action and relation is a pure function of `u` (0 at the start of the clip, 1 at its end) and of `Stage`,
the clip's fixed choices. Lengths are in frame heights, x in [0, 4/3] to the right, y in [0, 1] down.
Motions are written for actors that face right; a clip may show the mirror image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sin

import numpy as np

from demo.world import SIZES, ClipSpec

ASPECT = 4 / 3
MAX_PAIR = 0.36
"""Half heights of two actors together, in frame heights."""


@dataclass(frozen=True)
class Pose:
    """One actor at one moment: centre, half height, rotation in radians, opacity, and the end of its rope if any."""

    x: float
    y: float
    size: float
    turn: float = 0.0
    opacity: float = 1.0
    mirrored: bool = False
    rope_to: tuple[float, float] | None = None


@dataclass(frozen=True)
class Stage:
    """What stays fixed in a clip: half heights `a` (subject) and `b` (object), the ground line, the duration in
    seconds, and four numbers in [0, 1) for free choices."""

    a: float
    b: float
    ground: float
    seconds: float
    r: tuple[float, float, float, float]


def _ramp(u: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, smooth between."""
    t = min(1.0, max(0.0, (u - start) / (end - start)))
    return t * t * (3 - 2 * t)


def _between(low: float, high: float, r: float) -> float:
    return low + (high - low) * r


def _run(u: float, s: Stage) -> float:
    """The small hops of something that moves in a hurry."""
    return 0.025 * abs(sin(pi * 2.2 * s.seconds * u))


# Actions: one actor ----------------------------------------------------------------------------------


def _slide(u: float, s: Stage) -> list[Pose]:
    return [Pose(_between(0.15, 1.18, u), s.ground - s.a, s.a)]


def _bounce(u: float, s: Stage) -> list[Pose]:
    height = _between(0.22, 0.38, s.r[1]) * abs(sin(pi * 1.1 * s.seconds * u))
    return [Pose(_between(0.35, 0.95, s.r[0]), s.ground - s.a - height, s.a)]


def _spin(u: float, s: Stage) -> list[Pose]:
    turn = 2 * pi * _between(0.35, 0.55, s.r[2]) * s.seconds * u
    return [Pose(_between(0.35, 0.95, s.r[0]), _between(0.4, 0.65, s.r[1]), s.a, turn)]


def _roll(u: float, s: Stage) -> list[Pose]:
    x = _between(0.15, 1.18, u)
    return [Pose(x, s.ground - s.a, s.a, (x - 0.15) / max(s.a, 0.12))]


def _jump(u: float, s: Stage) -> list[Pose]:
    t = min(1.0, max(0.0, (u - 0.3) / 0.4))
    x = _between(0.35, 0.8, s.r[0]) + 0.15 * t
    return [Pose(x, s.ground - s.a - _between(0.3, 0.42, s.r[1]) * 4 * t * (1 - t), s.a)]


def _fall(u: float, s: Stage) -> list[Pose]:
    t = min(1.0, u / 0.65)
    return [Pose(_between(0.3, 1.0, s.r[0]), s.a + (s.ground - 2 * s.a) * t * t, s.a, 0.5 * t)]


def _rise(u: float, s: Stage) -> list[Pose]:
    sway = 0.03 * sin(4 * pi * u)
    return [Pose(_between(0.3, 1.0, s.r[0]) + sway, s.ground - s.a - (s.ground - 2 * s.a) * u, s.a)]


def _shake(u: float, s: Stage) -> list[Pose]:
    phase = 2 * pi * 3.7 * s.seconds * u
    x = _between(0.35, 0.95, s.r[0]) + 0.035 * sin(phase)
    return [Pose(x, s.ground - s.a, s.a, 0.16 * sin(phase + 1))]


def _circle(u: float, s: Stage) -> list[Pose]:
    angle = 2 * pi * (_between(0.25, 0.35, s.r[2]) * s.seconds * u + s.r[3])
    radius = _between(0.18, 0.24, s.r[1])
    return [Pose(_between(0.45, 0.85, s.r[0]) + radius * cos(angle), 0.5 + radius * sin(angle), s.a)]


def _grow(u: float, s: Stage) -> list[Pose]:
    return [Pose(_between(0.4, 0.9, s.r[0]), _between(0.45, 0.6, s.r[1]), _between(0.08, 0.32, _ramp(u, 0.1, 0.9)))]


def _shrink(u: float, s: Stage) -> list[Pose]:
    return _grow(1 - u, s)


def _swing(u: float, s: Stage) -> list[Pose]:
    angle = 0.75 * sin(2 * pi * _between(0.35, 0.45, s.r[2]) * s.seconds * u)
    pivot, length = (_between(0.5, 0.85, s.r[0]), 0.0), 0.52
    x, y = pivot[0] + length * sin(angle), length * cos(angle)
    return [Pose(x, y, s.a, -angle, rope_to=pivot)]


def _blink(u: float, s: Stage) -> list[Pose]:
    lit = (u * s.seconds / 0.9 + s.r[2]) % 1 < 0.55
    return [Pose(_between(0.35, 0.95, s.r[0]), _between(0.4, 0.65, s.r[1]), s.a, opacity=1.0 if lit else 0.0)]


def _zigzag(u: float, s: Stage) -> list[Pose]:
    wave = abs((u * 3.5) % 1 - 0.5) * 2
    return [Pose(_between(0.15, 1.18, u), 0.3 + 0.4 * wave, s.a)]


def _vanish(u: float, s: Stage) -> list[Pose]:
    return [Pose(_between(0.35, 0.95, s.r[0]), s.ground - s.a, s.a, opacity=1 - _ramp(u, 0.25, 0.85))]


def _appear(u: float, s: Stage) -> list[Pose]:
    return _vanish(1 - u, s)


def _flip(u: float, s: Stage) -> list[Pose]:
    t = _ramp(u, 0.35, 0.6)
    return [Pose(_between(0.35, 0.95, s.r[0]), s.ground - s.a - 0.2 * 4 * t * (1 - t), s.a, pi * t)]


# Relations: the subject's pose, then the object's ----------------------------------------------------


def _chase(u: float, s: Stage) -> list[Pose]:
    x = _between(0.45, 1.12, u)
    gap = s.a + s.b + _between(0.16, 0.03, u)
    return [Pose(x - gap, s.ground - s.a - _run(u, s), s.a), Pose(x, s.ground - s.b - _run(u + 0.1, s), s.b)]


def _push(u: float, s: Stage) -> list[Pose]:
    touch = 0.3
    still = _between(0.5, 0.62, s.r[0])
    x = still + 0.5 * max(0.0, u - touch) / (1 - touch)
    start = still - s.a - s.b - 0.28
    mine = start + 0.28 * min(1.0, u / touch) + (x - still)
    return [Pose(mine, s.ground - s.a, s.a), Pose(x, s.ground - s.b, s.b)]


def _pull(u: float, s: Stage) -> list[Pose]:
    x = _between(0.5, 1.15, u)
    behind = x - s.a - s.b - 0.14
    return [
        Pose(x, s.ground - s.a, s.a, rope_to=(behind, s.ground - s.b * 0.6)),
        Pose(behind, s.ground - s.b, s.b),
    ]


def _approach(u: float, s: Stage) -> list[Pose]:
    other = _between(0.9, 1.08, s.r[0])
    near = other - s.a - s.b - 0.02
    return [
        Pose(_between(0.12, near, _ramp(u, 0.0, 0.75)), s.ground - s.a, s.a),
        Pose(other, s.ground - s.b, s.b),
    ]


def _leave(u: float, s: Stage) -> list[Pose]:
    other = _between(0.22, 0.35, s.r[0])
    near = other + s.a + s.b + 0.02
    return [
        Pose(_between(near, 1.2, _ramp(u, 0.25, 1.0)), s.ground - s.a, s.a),
        Pose(other, s.ground - s.b, s.b),
    ]


def _jump_over(u: float, s: Stage) -> list[Pose]:
    other = _between(0.58, 0.75, s.r[0])
    t = min(1.0, max(0.0, (u - 0.2) / 0.6))
    reach = s.a + s.b + 0.12
    height = (2 * s.b + 0.12) * 4 * t * (1 - t)
    return [
        Pose(_between(other - reach, other + reach, t), s.ground - s.a - height, s.a),
        Pose(other, s.ground - s.b, s.b),
    ]


def _hit(u: float, s: Stage) -> list[Pose]:
    contact = 0.4
    other = _between(0.55, 0.68, s.r[0])
    mine = _between(0.0, other - s.a - s.b * 0.8, min(1.0, u / contact))
    t = max(0.0, u - contact) / (1 - contact)
    flown = Pose(other + 0.5 * t, s.ground - s.b - 0.3 * 4 * t * (1 - t), s.b, 2 * pi * t)
    return [Pose(mine, s.ground - s.a, s.a), flown]


def _carry(u: float, s: Stage) -> list[Pose]:
    x = _between(0.2, 1.12, u)
    y = s.ground - s.a - 0.5 * _run(u, s)
    return [Pose(x, y, s.a), Pose(x, y - s.a * 0.9 - s.b, s.b)]


def _circle_around(u: float, s: Stage) -> list[Pose]:
    angle = 2 * pi * (_between(0.25, 0.35, s.r[2]) * s.seconds * u + s.r[3])
    radius = s.a + s.b + 0.04
    x = _between(0.55, 0.8, s.r[0])
    return [Pose(x + radius * cos(angle), 0.52 + 0.85 * radius * sin(angle), s.a), Pose(x, 0.52, s.b)]


def _land_on(u: float, s: Stage) -> list[Pose]:
    other = _between(0.45, 0.9, s.r[0])
    top = s.ground - 2 * s.b - s.a * 0.9
    t = min(1.0, u / 0.6)
    return [Pose(other, _between(-s.a, top, t * t), s.a), Pose(other, s.ground - s.b, s.b)]


def _overtake(u: float, s: Stage) -> list[Pose]:
    lane = min(0.96, s.ground + 0.06)
    return [
        Pose(_between(0.1, 1.18, u), lane - s.a, s.a),
        Pose(_between(0.42, 0.78, u), s.ground - 0.08 - s.b, s.b),
    ]


def _eat(u: float, s: Stage) -> list[Pose]:
    other = _between(0.75, 0.95, s.r[0])
    eaten = _ramp(u, 0.5, 0.7)
    size = s.b * (1 - eaten)
    bigger = s.a * (1 + 0.2 * eaten)
    mine = _between(0.15, other - s.a - s.b * 0.6, _ramp(u, 0.0, 0.5)) + 0.6 * s.b * eaten
    return [Pose(mine, s.ground - bigger, bigger), Pose(other - 0.5 * s.b * eaten, s.ground - s.b, size)]


def _hide_behind(u: float, s: Stage) -> list[Pose]:
    other = _between(0.8, 1.0, s.r[0])
    mine = _between(0.12, other, _ramp(u, 0.05, 0.65))
    smaller = _between(s.a, min(s.a, s.b * 0.8), _ramp(u, 0.4, 0.65))
    return [Pose(mine, s.ground - smaller, smaller), Pose(other, s.ground - s.b, s.b)]


def _throw(u: float, s: Stage) -> list[Pose]:
    mine = _between(0.2, 0.3, s.r[0])
    t = min(1.0, max(0.0, (u - 0.3) / 0.5))
    start_x, start_y = mine + 0.5 * s.a, s.ground - 2 * s.a - 0.6 * s.b
    y = _between(start_y, s.ground - s.b, t) - 0.25 * 4 * t * (1 - t)
    return [Pose(mine, s.ground - s.a, s.a), Pose(_between(start_x, 1.12, t), y, s.b, 3 * pi * t)]


MOTIONS: dict[str, Callable[[float, Stage], list[Pose]]] = {
    "slide": _slide, "bounce": _bounce, "spin": _spin, "roll": _roll, "jump": _jump, "fall": _fall,
    "rise": _rise, "shake": _shake, "circle": _circle, "grow": _grow, "swing": _swing, "blink": _blink,
    "shrink": _shrink, "zigzag": _zigzag, "vanish": _vanish, "appear": _appear, "flip": _flip,
    "chase": _chase, "push": _push, "approach": _approach, "jump over": _jump_over, "hit": _hit,
    "carry": _carry, "pull": _pull, "circle around": _circle_around, "land on": _land_on, "leave": _leave,
    "overtake": _overtake, "eat": _eat, "hide behind": _hide_behind, "throw": _throw,
}  # fmt: skip


def stage_of(spec: ClipSpec) -> tuple[Stage, bool]:
    """The clip's fixed choices and whether it is mirrored, from its seed."""
    rng = np.random.default_rng([spec.seed, 1])
    jitter = rng.uniform(0.93, 1.07, size=2)
    a = SIZES[spec.subject.size] * jitter[0]
    b = SIZES[spec.object.size] * jitter[1] if spec.object else 0.0
    if spec.object:  # two actors share the room; what is bigger stays bigger
        fit = min(0.9, MAX_PAIR / (a + b))
        a, b = a * fit, b * fit
    r = rng.random(4)
    stage = Stage(a, b, float(rng.uniform(0.8, 0.93)), spec.duration, (r[0], r[1], r[2], r[3]))
    return stage, bool(rng.random() < 0.5)


def poses(spec: ClipSpec, u: float) -> list[Pose]:
    """The subject's pose and, in a relation, the object's, at the fraction `u` of the clip."""
    stage, mirrored = stage_of(spec)
    placed = MOTIONS[spec.verb](u, stage)
    return [_mirror(p) for p in placed] if mirrored else placed


def _mirror(p: Pose) -> Pose:
    rope = (ASPECT - p.rope_to[0], p.rope_to[1]) if p.rope_to else None
    return replace(p, x=ASPECT - p.x, turn=-p.turn, mirrored=True, rope_to=rope)
