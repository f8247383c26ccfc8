"""Line and bar charts as inline SVG. Colours and line styles come from the style sheet html_report.css."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from model.evaluation.ranks import Floats

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 42
_POINTS = 120
"""Points per curve: more than a screen can show apart."""


@dataclass(frozen=True)
class Axis:
    """One axis from `low` to `high` with labelled `ticks`; `log` for a logarithmic scale."""

    label: str
    ticks: Sequence[float]
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value is, from 0 at `low` to 1 at `high`."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Curve:
    """A line through (x, y), styled by the class `style`, named for those who cannot see it."""

    name: str
    style: str
    x: Floats
    y: Floats


def line_chart(title: str, curves: Sequence[Curve], x: Axis, y: Axis) -> str:
    """Curves in one frame, the first on top of the others."""
    parts = [_open(title, _HEIGHT), _grid(x, y)]
    for curve in reversed(curves):
        points = " ".join(f"{_x(x.place(a)):.1f},{_y(y.place(b)):.1f}" for a, b in _thinned(curve, x))
        name = f"<title>{escape(curve.name)}</title>"
        parts.append(f'<polyline class="curve {escape(curve.style)}" points="{points}">{name}</polyline>')
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class Bars:
    """A group of bars with one name: (value, class) from the top down."""

    name: str
    values: Sequence[tuple[float, str]]


def bar_chart(title: str, groups: Sequence[Bars], label: str) -> str:
    """Lying bars from a common zero line, with their values next to them."""
    thick, gap, margin = 16, 14, 78
    values = [value for group in groups for value, _ in group.values]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    # Room for the values: right of positive bars, left of negative ones.
    left, right = margin + (46 if low < 0 else 0), _WIDTH - 50
    zero = left + (right - left) * -low / span
    height = 30 + sum(thick * len(group.values) + gap for group in groups)
    parts, top = [_open(title, height)], 4.0
    for group in groups:
        middle = top + thick * len(group.values) / 2
        parts.append(f'<text class="name" x="0" y="{middle:.1f}" dy="0.35em">{escape(group.name)}</text>')
        for value, style in group.values:
            end = zero + (right - left) * value / span
            start, width = min(zero, end), abs(end - zero)
            place, anchor = (end + 5, "start") if value >= 0 else (end - 5, "end")
            parts.append(
                f'<rect class="bar {escape(style)}" x="{start:.1f}" y="{top:.1f}" width="{width:.1f}"'
                f' height="{thick - 2}" rx="2"/>'
                f'<text class="value" x="{place:.1f}" y="{top + thick / 2 - 1:.1f}" dy="0.35em"'
                f' text-anchor="{anchor}">{value:.3f}</text>'
            )
            top += thick
        top += gap
    parts.append(f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{top - gap / 2:.1f}"/>')
    parts.append(f'<text class="label" x="{left}" y="{height - 6}">{escape(label)}</text>')
    return "".join([*parts, "</svg>"])


def _open(title: str, height: float) -> str:
    named = f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}"'
    return f'<svg viewBox="0 0 {_WIDTH} {height:g}" {named}>'


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for tick in y.ticks:
        at = _y(y.place(tick))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{at:.1f}" dy="0.35em" text-anchor="end">{tick:g}</text>')
    for tick in x.ticks:
        at, low = _x(x.place(tick)), _HEIGHT - _BOTTOM
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{low}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{low + 15}" text-anchor="middle">{tick:g}</text>')
    across, down = _x(0.5), _y(0.5)
    parts.append(f'<text class="label" x="{across}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f'transform="rotate(-90 12 {down})" text-anchor="middle"'
    parts.append(f'<text class="label" x="12" y="{down}" {turned}>{escape(y.label)}</text>')
    return "".join(parts)


def _thinned(curve: Curve, x: Axis) -> list[tuple[float, float]]:
    """At most _POINTS points, at even distances along the x axis, the ends among them."""
    places = np.array([x.place(value) for value in curve.x])
    wanted = np.linspace(places.min(), places.max(), _POINTS)
    order = np.argsort(places, kind="stable")
    kept = np.unique(np.searchsorted(places[order], wanted).clip(max=len(places) - 1))
    return [(float(curve.x[i]), float(curve.y[i])) for i in order[kept]]


def _x(place: float) -> float:
    return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)


def _y(place: float) -> float:
    return _HEIGHT - _BOTTOM - place * (_HEIGHT - _TOP - _BOTTOM)
