"""Networks beside each other: what was measured of them over seeds, and what they predict in several formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError
from skelbridge.plot.ink import CYCLE, FAINT, INK, QUIET, Floats, box, canvas, draw_skeleton, heading, panel, styled
from skelbridge.skeletons import skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: a panel's width and the height of a network's line; the side of a crop, gaps, room for words.
_PANEL, _LINE = 2.1, 0.34
_SIDE, _GAP, _WORDS = 1.7, 0.1, 0.2
#: Where a camera's ray is drawn from, mm: points nearer than that are not in the picture.
_NEAREST = 1.0
#: Depth to the right and up upwards, of depth and down.
_TURNED = np.array([1.0, -1.0])


@styled
def plot_networks(
    results: Mapping[str, Mapping[str, Sequence[float]]],
    measures: Mapping[str, str] | None = None,
    floors: Mapping[str, float] | None = None,
    title: str = "What was measured",
) -> Figure:
    """One panel for each measure: every seed of every network as a dot, their mean, and their standard deviation.

    results: by network and measure, a number for each seed; a network may lack a measure. measures: those to draw, with
    the words below their axes; all by their names where not given. Dots of one seed are joined, as networks of one seed
    saw the same data. floors: what true poses give, where known: dashed. Raises InputError where there is nothing to
    draw.
    """
    if measures is None:
        measures = {name: name for values in results.values() for name in values}
    drawn = {name: words for name, words in measures.items() if any(name in values for values in results.values())}
    if not drawn:
        raise InputError("results to draw", expected=", ".join(measures) or "a measure", got="none of them")
    names = list(results)
    below = 0.34 + 0.15 * max(words.count("\n") + 1 for words in drawn.values())
    width, height = 1.55 + len(drawn) * (_PANEL + 0.2), 0.8 + below + _LINE * len(names)
    figure = canvas(width, height)
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(
        left=1.4 / width, right=1 - 0.15 / width, bottom=below / height, top=1 - 0.72 / height, wspace=0.12
    )
    for axes, (measure, words) in zip(panels, drawn.items(), strict=True):
        _dots(axes, [results[name].get(measure, ()) for name in names])
        if floors and measure in floors:
            axes.axvline(floors[measure], color=QUIET, linestyle="--", linewidth=1, zorder=1, gid="floor")
        axes.set_xlabel(words)
        axes.margins(x=0.12)
        axes.grid(True, axis="x")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    heading(figure, title, _words(results, bool(floors)))
    return figure


def _words(results: Mapping[str, Mapping[str, Sequence[float]]], floors: bool) -> str:
    seeds = max(len(values) for network in results.values() for values in network.values())
    words = ["dots: one training each"]
    if seeds > 1:
        words = [f"dots: {seeds} seeds, joined", "bars: their mean ± standard deviation"]
    return "; ".join(words + ["dashed: true poses"] * floors)


def _dots(axes: Axes, values: Sequence[Sequence[float]]) -> None:
    """The seeds of each network on its line, with mean and deviation; the same seed joined."""
    seeds = max((len(each) for each in values), default=0)
    table = np.full((len(values), seeds), np.nan)
    for row, each in zip(table, values, strict=True):
        row[: len(each)] = each
    lines = np.arange(len(values))
    for seed in range(seeds if seeds > 1 else 0):
        axes.plot(table[:, seed], lines, color=FAINT, linewidth=1.2, zorder=1.5)
    for line, row in enumerate(table):
        known, shade = row[np.isfinite(row)], CYCLE[line % len(CYCLE)]
        if len(known) > 1:
            axes.errorbar(known.mean(), line + 0.24, xerr=known.std(ddof=1), color=shade, linewidth=2.4, marker="|",
                          markersize=8, markeredgewidth=2, zorder=3)  # fmt: skip
        dots = axes.scatter(known, np.full(len(known), float(line)), s=22, color=shade, edgecolors="white",
                            linewidths=0.6, zorder=4)  # fmt: skip
        dots.set_gid("seeds")
    axes.tick_params(axis="y", length=0)


@styled
def plot_predictions(
    images: ArrayLike,
    intrinsics: ArrayLike,
    networks: Mapping[str, Mapping[str, ArrayLike]],
) -> Figure:
    """What networks predict for some crops, in several formats at once: on the crop, and below it from the side.

    images: (N, H, W, 3) uint8. intrinsics: (N, 3, 3) of the crops' cameras, pixel centres at integers. networks: by
    title and format, points (N, J, 3) in mm in the crops' cameras, NaN where missing. From the side the camera stands
    to the left; a crop's scale is the same for all networks. Formats that agree lie on each other.

    Raises InputError for arrays that do not fit.
    """
    pictures, cameras = np.asarray(images), np.asarray(intrinsics, dtype=float)
    given = len(pictures) > 0 and len(networks) > 0 and all(networks.values())
    if pictures.ndim != 4 or cameras.shape != (len(pictures), 3, 3) or not given:
        raise InputError("predictions to draw", expected="images (N, H, W, 3), intrinsics (N, 3, 3) and formats",
                         got=f"{pictures.shape}, {cameras.shape} and {len(networks)} networks")  # fmt: skip
    seen = [{name: _poses(points, name, len(pictures)) for name, points in each.items()} for each in networks.values()]
    cards = list(dict.fromkeys(name for poses in seen for name in poses))
    shades = {name: CYCLE[i % len(CYCLE)] for i, name in enumerate(cards)}
    step, block = _SIDE + _GAP, 2 * (_SIDE + _GAP) + _WORDS
    width, top = len(pictures) * step + 2 * _GAP, 0.4 + 0.16 * -(-len(cards) // _per_line(len(pictures)))
    height = top + block * len(networks) + _GAP
    figure = canvas(width, height)
    _legend(figure, shades, _per_line(len(pictures)))
    halves = [max(_from_side(poses, column)[1] for poses in seen) for column in range(len(pictures))]
    for row, (title, poses) in enumerate(zip(networks, seen, strict=True)):
        upper = height - top - row * block
        figure.text(1.5 * _GAP / width, (upper - 0.04) / height, title, fontsize=9, fontweight="bold", va="top")
        for column, image in enumerate(pictures):
            corner = (1.5 * _GAP + column * step, upper - _WORDS - _SIDE)
            here = {name: points[column] for name, points in poses.items()}
            _crop(figure, corner, image, cameras[column], here, shades)
            middle, _ = _from_side(poses, column)
            _side(figure, (corner[0], corner[1] - step), here, shades, middle, halves[column])
    return figure


def _poses(points: ArrayLike, format: str, count: int) -> Floats:
    card = skeleton(format)
    array = np.asarray(points, dtype=float)
    if array.shape != (count, len(card), 3):
        raise InputError(f"points of {card}", expected=f"shape ({count}, {len(card)}, 3)", got=f"shape {array.shape}")
    return array


def _per_line(columns: int) -> int:
    """How many formats a line of the legend has room for."""
    return max(1, int(columns * (_SIDE + _GAP) / 1.25))


def _legend(figure: Figure, shades: Mapping[str, str], columns: int) -> None:
    width, height = figure.get_size_inches()
    figure.text(1.5 * _GAP / width, 1 - 0.1 / height, "Predictions in several formats", fontsize=10,
                fontweight="bold", va="top", color=INK)  # fmt: skip
    for place, (name, shade) in enumerate(shades.items()):
        row, column = divmod(place, columns)
        at = (1.5 * _GAP + 1.25 * column) / width, 1 - (0.34 + 0.16 * row) / height
        figure.text(*at, f"● {name}", fontsize=7.5, color=shade, va="top")


def _crop(
    figure: Figure, corner: tuple[float, float], image: NDArray, camera: Floats, poses: Mapping[str, Floats],
    shades: Mapping[str, str],
) -> None:  # fmt: skip
    """A crop with the poses (J, 3) of all formats on it."""
    size = np.array(image.shape[1::-1], dtype=float)
    axes = panel(figure, corner, np.zeros(2), size, size.max() / _SIDE)
    axes.imshow(image, extent=(-0.5, size[0] - 0.5, size[1] - 0.5, -0.5), alpha=0.75)
    axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
    for name, points in poses.items():
        near = np.where(points[:, 2:] > _NEAREST, points, np.nan)
        pixels = (near @ camera.T)[:, :2] / near[:, 2:]
        draw_skeleton(axes, pixels, skeleton(name), size=0.55, colour=shades[name])


def _from_side(poses: Mapping[str, Floats], column: int) -> tuple[Floats, float]:
    """What a side view of one crop's poses has in its middle, and half the side of the square around them, mm."""
    seen = np.concatenate([points[column][:, [2, 1]] * _TURNED for points in poses.values()])
    if not np.isfinite(seen.sum(axis=1)).any():
        return np.zeros(2), 500.0
    low, high = box(seen, 60.0)
    return (low + high) / 2, float((high - low).max() / 2)


def _side(
    figure: Figure, corner: tuple[float, float], poses: Mapping[str, Floats], shades: Mapping[str, str],
    middle: Floats, half: float,
) -> None:  # fmt: skip
    """The poses (J, 3) of all formats as seen with the camera to the left: depth to the right, up is up."""
    axes = panel(figure, corner, middle - half, middle + half, 2 * half / _SIDE)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[], facecolor="#FAFBFC")
    for line in axes.spines.values():
        line.set(visible=True, color=FAINT)
    for name, points in poses.items():
        draw_skeleton(axes, points[:, [2, 1]] * _TURNED, skeleton(name), size=0.55, colour=shades[name])
    length = 500.0 if half > 500 else 100.0
    start = middle - half + 0.08 * half
    axes.plot([start[0], start[0] + length], [start[1]] * 2, color=QUIET, linewidth=1.2, gid="scale")
    axes.text(start[0], start[1] + 0.05 * half, f"{length / 1000:g} m", fontsize=6, color=QUIET)
