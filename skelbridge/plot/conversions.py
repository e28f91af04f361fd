"""Conversions: their weights, their expected errors, and measured errors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skelbridge.bridge import rest_body
from skelbridge.plot.ink import (
    COLOURS,
    FAINT,
    INK,
    QUIET,
    VIEWS,
    WEIGHT_MAP,
    Floats,
    body_box,
    canvas,
    draw_body,
    draw_skeleton,
    heading,
    joint_sides,
    panel,
    styled,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skelbridge.convert import Converter

_MATRIX_KEY = "rows: target, columns: source joints  ·  bold: the same point  ·  grey: not estimable"
#: The parts of an expected error.
PART_COLOURS = {
    "bridge": "#6A5ACD",
    "placement": "#E0A92E",
    "noise": "#A9B1BC",
}  #: Methods side by side, the baseline first.
METHOD_COLOURS = ("#B9C0C9", "#009E73", "#56B4E9", "#CC79A7")


@styled
def plot_weights(converter: Converter) -> Figure:
    """A conversion as a matrix, from source joints (columns) to target joints (rows), and both on the body.

    Green weights are positive, purple ones negative, absent ones blank. The names of joints that are the
    same point in both formats are bold; the rows of those that cannot be estimated are grey.
    """
    weights = converter.weights.toarray()
    low, high = (corner[:2] for corner in body_box(np.zeros((1, 3))))
    at = _layout(weights.shape, high - low)
    figure = canvas(*at.figure)
    axes = panel(figure, at.matrix, np.zeros(2), np.array(weights.shape[::-1], dtype=float), 1 / at.cell)
    _draw_matrix(axes, weights, converter, at.cell)
    for corner, word, card in zip(at.bodies, ("from", "to"), (converter.source, converter.target), strict=True):
        axes = panel(figure, corner, low, high, at.scale)
        axes.set_title(f"{word} {card}", pad=5)
        draw_body(axes, VIEWS["front"])
        points = card.placement @ rest_body().landmarks
        draw_skeleton(axes, points[:, :2], card, depth=points[:, 2], size=0.8)
    heading(figure, f"{converter.source}  →  {converter.target}", _MATRIX_KEY)
    return figure


class _Layout(NamedTuple):
    """Where matrix and bodies go: lower left corners and sizes in inches, scale in mm an inch."""

    figure: tuple[float, float]
    matrix: tuple[float, float]
    cell: float
    bodies: tuple[tuple[float, float], tuple[float, float]]
    scale: float


def _layout(shape: tuple[int, int], body: Floats) -> _Layout:
    """A wide matrix has the two bodies, `body` (2,) mm in size, beneath it, a tall one beside it."""
    cell = float(np.clip(9.0 / max(shape), 0.045, 0.27))
    high, wide = shape[0] * cell, shape[1] * cell
    names, top, title = 1.55, 1.85, 0.4
    beneath = wide > 1.6 * high
    tall = 3.2 if beneath else max((high + 0.9) / 2, 2.9) - title
    scale = float(body[1] / tall)
    broad = float(body[0] / scale)
    if beneath:
        size = (names + max(wide, 2.4 * broad) + 0.3, top + high + tall + title + 0.5)
        below = 0.3
        bodies = ((names, below), (names + 1.2 * broad, below))
    else:
        size = (names + wide + broad + 0.8, top + max(high, 2 * (tall + title) - 0.9) + 0.3)
        left, first = names + wide + 0.5, size[1] - 0.8 - tall - title
        bodies = ((left, first), (left, first - tall - title))
    return _Layout(size, (names, size[1] - top - high), cell, bodies, scale)


def _draw_matrix(axes: Axes, weights: Floats, converter: Converter, cell: float) -> None:
    """The weights in a grid of cells, the first target joint on top."""
    targets, sources = weights.shape
    image = np.ma.masked_equal(weights, 0)
    axes.set_axis_on()
    axes.spines[:].set_color(FAINT)
    axes.pcolormesh(
        np.arange(sources + 1), np.arange(targets + 1), image, cmap=WEIGHT_MAP, vmin=-1, vmax=1, zorder=1,
        edgecolors=FAINT if cell > 0.1 else "none", linewidth=0.3,
    )  # fmt: skip
    axes.set(xlim=(0, sources), ylim=(targets, 0))
    size = float(np.clip(cell * 72 * 0.8, 2.2, 7.0))
    axes.set_xticks(np.arange(sources) + 0.5, converter.source.names, rotation=90, fontsize=size)
    axes.set_yticks(np.arange(targets) + 0.5, converter.target.names, fontsize=size)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=3)
    for axis, card in ((axes.xaxis, converter.source), (axes.yaxis, converter.target)):
        for label, side in zip(axis.get_ticklabels(), joint_sides(card), strict=True):
            label.set_color(COLOURS[side])
    for row, (label, status) in enumerate(zip(axes.get_yticklabels(), converter.status, strict=True)):
        if status == "same point":
            label.set_fontweight("bold")
        elif status == "not estimable":
            label.set_color("#B4BAC2")
            axes.axhspan(row, row + 1, color="#F1F3F5", zorder=2)
    if cell > 0.2:
        _write_weights(axes, weights)


def _write_weights(axes: Axes, weights: Floats) -> None:
    for row, column in zip(*np.nonzero(np.abs(weights) >= 0.005), strict=True):
        value = weights[row, column]
        text = f"{value:.2f}".replace("0.", ".").replace("-", "−")
        ink = "white" if abs(value) > 0.6 else INK
        written = axes.text(column + 0.5, row + 0.5, text, fontsize=5.2, color=ink, zorder=1.5)
        written.set(ha="center", va="center")


@styled
def plot_errors(converter: Converter) -> Figure:
    """The expected error of every target joint, mm on a body of 1.7 m, and what it comes from.

    Independent parts add in squares, so a bar is as long as the total and is divided by the squares of its
    parts.
    """
    total = np.asarray(converter.expected_error)
    names = converter.target.names
    figure, axes = _bars(len(names), f"{converter.source}  →  {converter.target}: expected error")
    start = np.zeros(len(names))
    for part, colour in PART_COLOURS.items():
        squared = np.asarray(getattr(converter, f"{part}_error")) ** 2
        length = np.divide(squared, total, out=np.zeros(len(names)), where=total > 0)
        axes.barh(np.arange(len(names)), length, left=start, height=0.66, color=colour, label=part)
        start += length
    for row, value in enumerate(total):
        axes.text(value, row, f"  {value:.0f}", va="center", fontsize=6.5, color=QUIET)
    _finish_bars(axes, names, "mm on a body of 1.7 m; a bar is divided by the squares of its parts")
    return figure


@styled
def plot_comparison(
    names: Sequence[str],
    errors: Mapping[str, ArrayLike],
    title: str,
    unit: str = "mm",
    expected: ArrayLike | None = None,
) -> Figure:
    """Measured errors of several methods for each joint, side by side.

    errors: method -> (joints,), NaN where the method gives nothing. expected (joints,): drawn as a mark on
    the last method's bars.
    """
    figure, axes = _bars(len(names), title)
    thick = 0.76 / len(errors)
    for place, (method, values) in enumerate(errors.items()):
        rows = np.arange(len(names)) - 0.38 + thick * (place + 0.5)
        lengths = np.asarray(values, dtype=float)
        colour = METHOD_COLOURS[place % len(METHOD_COLOURS)]
        axes.barh(rows, np.nan_to_num(lengths), height=thick * 0.92, color=colour, label=method)
        for row in np.flatnonzero(np.isnan(lengths)):
            axes.text(0, rows[row], f"  {method}: none", fontsize=5.5, color=QUIET, va="center")
    if expected is not None:
        axes.plot(expected, rows, "|", color=INK, markersize=7, markeredgewidth=1.4, label="expected")
    _finish_bars(axes, names, unit)
    return figure


def _bars(count: int, title: str) -> tuple[Figure, Axes]:
    """A figure for horizontal bars, one line for each of `count` names."""
    height = 0.19 * count + 1.15
    figure = canvas(6.2, height)
    axes = figure.add_axes((0.25, 0.5 / height, 0.7, 1 - 1.15 / height))
    figure.text(0.03, 1 - 0.22 / height, title, fontsize=10, fontweight="bold", va="center")
    axes.grid(True, axis="x")
    return figure, axes


def _finish_bars(axes: Axes, names: Sequence[str], unit: str) -> None:
    axes.set_yticks(np.arange(len(names)), names)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=unit)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, handlelength=1.0, borderaxespad=0.2)
