"""Charts as SVG that stands inside a page: small, sharp, in a size of its own for phones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from cq.report.panels import FALLING, INK, LINE, QUIET, RISING, Chart, Mark, Panel

Scale = Callable[[Any], Any]


@dataclass(frozen=True)
class Shape:
    """How wide a drawing is in pixels, how high one part of a panel, how many dates fit below."""

    name: str
    width: int
    height: int
    dates: int
    legend_above: bool


WIDE = Shape("wide", 860, 190, 10, legend_above=False)
NARROW = Shape("narrow", 360, 150, 5, legend_above=True)
TEXT = 11.5
LETTER = 6.4
"""About how wide a letter of that size is."""


@dataclass(frozen=True)
class Frame:
    """Where a panel lies, and how its values become pixels."""

    left: float
    right: float
    top: float
    bottom: float
    x: Scale
    y: Scale


def drawings(chart: Chart) -> str:
    """The chart in each shape, of which the page's style shows the one that fits."""
    return drawing(chart, WIDE) + drawing(chart, NARROW)


def drawing(chart: Chart, shape: Shape) -> str:
    """The chart as one `<svg>`."""
    labels = [one for panel in chart.panels for one in panel.labels]
    left = max((len(one) for one in labels), default=1) * LETTER + 10
    right, top, body = shape.width - 12.0, 0.0, []
    for panel in chart.panels:
        legend = [mark for mark in panel.marks if mark.label]
        head = 26.0 + (18.0 if legend and shape.legend_above else 0.0)
        frame = _frame(chart, panel, left, right, top + head, shape.height * panel.height)
        body += [_head(panel, legend, frame, top, shape), *_panel(panel, frame)]
        top = frame.bottom + 10
    body += _below(chart, frame, shape)
    height = math.ceil(frame.bottom + 24)
    return (
        f'<svg class="{shape.name}" viewBox="0 0 {shape.width} {height}" role="img" '
        f'aria-label="{escape(chart.title)}" font-size="{TEXT}">' + "".join(body) + "</svg>"
    )


def _frame(
    chart: Chart, panel: Panel, left: float, right: float, top: float, height: float
) -> Frame:
    (first, last), (low, high) = chart.span, panel.reach
    bottom, wide = top + height, (last - first) or 1.0
    if panel.log:
        low, high = math.log10(low), math.log10(high)

    def across(x: Any) -> Any:
        return left + 2 + (np.asarray(x, dtype=float) - first) / wide * (right - left - 4)

    def up(y: Any) -> Any:
        values = np.asarray(y, dtype=float)
        values = np.log10(values) if panel.log else values
        return bottom - (values - low) / (high - low) * (bottom - top)

    return Frame(left, right, top, bottom, across, up)


def _head(panel: Panel, legend: Sequence[Mark], frame: Frame, top: float, shape: Shape) -> str:
    title = (
        f'<text x="{frame.left:.0f}" y="{top + 16:.0f}" font-weight="600" fill="{INK}">'
        f"{escape(panel.title)}</text>"
    )
    if not legend:
        return title
    signs = {"up": "▲", "down": "▼"}
    names = " ".join(
        f'<tspan fill="{one.color}">{signs.get(one.kind, "●")}</tspan> {escape(one.label)} \u2002'
        for one in legend
    )
    where = f'x="{frame.right:.0f}" y="{top + 16:.0f}" text-anchor="end"'
    if shape.legend_above:
        where = f'x="{frame.left:.0f}" y="{top + 33:.0f}"'
    return f'{title}<text {where} fill="{QUIET}">{names}</text>'


def _panel(panel: Panel, frame: Frame) -> Iterable[str]:
    for one, label in zip(panel.ticks, panel.labels, strict=True):
        y = float(frame.y(one))
        yield f'<path d="M{frame.left:.0f} {y:.1f}H{frame.right:.0f}" stroke="{LINE}"/>'
        yield (
            f'<text x="{frame.left - 6:.0f}" y="{y + 4:.1f}" text-anchor="end" '
            f'fill="{QUIET}">{escape(label)}</text>'
        )
    for mark in panel.marks:
        yield from DRAWN[mark.kind](mark, frame)


def _below(chart: Chart, frame: Frame, shape: Shape) -> Iterable[str]:
    ends = -math.inf
    for at, label in chart.ticks(shape.dates):
        x, half = float(frame.x(at)), len(label) * LETTER / 2
        x = min(max(x, half), shape.width - half)
        if x - half < ends + 4:
            continue
        ends = x + half
        yield (
            f'<text x="{x:.0f}" y="{frame.bottom + 18:.0f}" text-anchor="middle" '
            f'fill="{QUIET}">{escape(label)}</text>'
        )


def _points(mark: Mark, frame: Frame) -> str:
    xs, ys = frame.x(mark.x).tolist(), frame.y(mark.y).tolist()
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))


def _width(mark: Mark) -> float:
    """Of a line, or of the dot that a single point is."""
    return mark.width if len(mark.x) > 1 else 3 * mark.width


def _line(mark: Mark, frame: Frame) -> Iterable[str]:
    if len(mark.x):
        yield (
            f'<path d="M{_points(mark, frame)}{"h0" * (len(mark.x) == 1)}" fill="none" '
            f'stroke="{mark.color}" stroke-width="{_width(mark)}" stroke-linejoin="round" '
            'stroke-linecap="round"/>'
        )


def _area(mark: Mark, frame: Frame) -> Iterable[str]:
    if len(mark.x):
        zero = float(frame.y(0.0))
        ends = [float(one) for one in frame.x([mark.x[0], mark.x[-1]])]
        yield (
            f'<path d="M{ends[0]:.1f} {zero:.1f}L{_points(mark, frame)}L{ends[1]:.1f} {zero:.1f}Z" '
            f'fill="{mark.color}" fill-opacity="0.28"/>'
        )
        yield from _line(mark, frame)


def _bars(mark: Mark, frame: Frame) -> Iterable[str]:
    zero = float(frame.y(0.0))
    lefts, rights = frame.x(mark.x).tolist(), frame.x(mark.more[0]).tolist()
    boxes = "".join(
        f"M{left + 0.5:.1f} {zero:.1f}V{y:.1f}H{right - 0.5:.1f}V{zero:.1f}Z"
        for left, right, y in zip(lefts, rights, frame.y(mark.y).tolist(), strict=True)
        if y < zero
    )
    yield f'<path d="{boxes}" fill="{mark.color}" fill-opacity="0.75"/>'


def _candles(mark: Mark, frame: Frame) -> Iterable[str]:
    opens, highs, lows, closes = (
        np.clip(frame.y(one), frame.top, frame.bottom) for one in mark.more
    )
    xs = frame.x(mark.x)
    half = max(min(float(np.diff(xs).min()) if xs.size > 1 else 8.0, 12.0) * 0.36, 0.6)
    for rising, color in ((True, RISING), (False, FALLING)):
        rows = np.flatnonzero((closes <= opens) == rising).tolist()
        wicks = "".join(f"M{xs[i]:.1f} {highs[i]:.1f}V{lows[i]:.1f}" for i in rows)
        ends = np.where(np.abs(closes - opens) < 0.6, opens + 0.6, closes)  # a line at least
        lefts, rights = xs - half, xs + half
        bodies = "".join(
            f"M{lefts[i]:.1f} {opens[i]:.1f}H{rights[i]:.1f}V{ends[i]:.1f}H{lefts[i]:.1f}Z"
            for i in rows
        )
        yield f'<path d="{wicks}" stroke="{color}"/><path d="{bodies}" fill="{color}"/>'


def _triangles(mark: Mark, frame: Frame) -> Iterable[str]:
    """Below their point where they show up, above it where they show down."""
    way = 1 if mark.kind == "up" else -1
    heights = np.clip(frame.y(mark.y), frame.top + 10, frame.bottom - 10)
    each = "".join(
        f"M{x:.1f} {y + way * 3:.1f}l4 {way * 7}h-8Z"
        for x, y in zip(frame.x(mark.x).tolist(), heights.tolist(), strict=True)
    )
    yield f'<path d="{each}" fill="{mark.color}"/>'


def _rule(mark: Mark, frame: Frame) -> Iterable[str]:
    """A line across at a height, or down at a place where there is none."""
    for y in mark.y:
        at = float(frame.y(y))
        yield f'<path d="M{frame.left:.0f} {at:.1f}H{frame.right:.0f}" stroke="{mark.color}"/>'
    for x in mark.x:
        at = float(frame.x(x))
        yield (
            f'<path d="M{at:.1f} {frame.top:.1f}V{frame.bottom:.1f}" stroke="{mark.color}" '
            'stroke-dasharray="4 3"/>'
        )


DRAWN: dict[str, Callable[[Mark, Frame], Iterable[str]]] = {
    "line": _line,
    "area": _area,
    "bars": _bars,
    "candles": _candles,
    "up": _triangles,
    "down": _triangles,
    "rule": _rule,
}
