"""An autoencoder's weights as matrices, and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.plot.average import PARTS, Average, MergedJoints, latent_sides, short_name
from skelbridge.plot.ink import (
    COLOURS,
    ERROR_MAP,
    FAINT,
    INK,
    QUIET,
    VIEWS,
    WEIGHT_MAP,
    Floats,
    canvas,
    draw_body,
    heading,
    panel,
    styled,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skelbridge.bridge.acae import ACAE
    from skelbridge.skeletons import Skeleton

Order = NDArray[np.intp]

_SIDES = ("left", "right", "centre")
#: How many rows have names of their own; more are named by part of the body.
_NAMED_ROWS = 90
#: Millimetres an inch of the bodies, and inches left of them.
_SCALE, _BODIES = 320.0, 5.6
#: How many of the worst places are listed.
_WORST, _BAR = 14, "#7FB2D5"


class _Block(NamedTuple):
    """A run of rows or columns of one side, or of one part within it: from `start` to before `end`."""

    word: str
    start: int
    end: int


@styled
def plot_acae_weights(acae: ACAE) -> Figure:
    """Encoder and decoder as matrices: a row for each place of joints, a column for each latent.

    Green weights are positive, purple ones negative, absent ones blank. The decoder's rows sum to one, and so do the
    encoder's columns, which is drawn transposed. Rows and columns are in blocks of left, right and central ones, each
    sorted by part of the body; joints of different formats at one place are one row.
    """
    average, merged = Average.of(acae), MergedJoints.of(acae)
    points = average.joints[merged.first]
    rows, row_blocks, part_blocks = _sorted(merged.sides, average.parts(points), -points[:, 1])
    columns, column_blocks, _ = _sorted(
        latent_sides(acae), average.parts(average.latents), np.arange(len(acae.latents), dtype=float)
    )
    matrices = {
        "encoder: what latents take from joints": merged.summed(acae.encoder).T[np.ix_(rows, columns)],
        "decoder: what joints take from latents": acae.decoder[merged.first][np.ix_(rows, columns)],
    }
    wide, high = float(np.clip(5.0 / len(columns), 0.085, 0.17)), float(np.clip(9.0 / len(rows), 0.0135, 0.12))
    width, height = wide * len(columns), high * len(rows)
    left, top = (2.6 if len(rows) <= _NAMED_ROWS else 1.35), 2.1
    figure = canvas(left + 2 * width + 0.85, top + height + 0.2)
    for number, (title, matrix) in enumerate(matrices.items()):
        corner = (left + number * (width + 0.55), 0.2)
        axes = panel(figure, corner, np.zeros(2), np.array([width, height]), 1.0)
        _draw_blocks(axes, matrix, row_blocks, column_blocks)
        axes.set_title(title, fontsize=8.5, y=1 + 1.28 / height, pad=0)
        texts = [short_name(acae.latents[i], latent_sides(acae)[i]) for i in columns]
        axes.set_xticks(np.arange(len(columns)) + 0.5, texts, rotation=90, fontsize=min(6.5, wide * 62))
        _colour_labels(axes.get_xticklabels(), [latent_sides(acae)[i] for i in columns])
        if number == 0:
            _name_rows(axes, [merged.label(i, 1) for i in rows], [merged.sides[i] for i in rows], part_blocks, high)
    _draw_key(figure, left + 2 * width + 0.55)
    same = "" if len(merged) == len(acae.joints) else f" at {len(merged)} places"
    heading(
        figure,
        f"{len(acae.joints)} joints{same}, {len(acae.latents)} latents",
        "green: positive weights, purple: negative ones; blue: left, orange: right, grey: central",
    )
    return figure


def _sorted(sides: Sequence[str], parts: Sequence[str], then: Floats) -> tuple[Order, list[_Block], list[_Block]]:
    """The order left, right, central, in each by part of the body, `then` by a number; runs of sides and of parts."""
    rank = {part: i for i, part in enumerate(PARTS)}
    keys = [
        (_SIDES.index(side), rank.get(part, 0), value) for side, part, value in zip(sides, parts, then, strict=True)
    ]
    order = sorted(range(len(sides)), key=lambda i: keys[i])
    by_side, by_part = [sides[i] for i in order], [(sides[i], parts[i]) for i in order]
    return np.array(order, dtype=np.intp), _runs(by_side, by_side), _runs(by_part, [parts[i] for i in order])


def _runs(keys: Sequence[Any], words: Sequence[str]) -> list[_Block]:
    starts = [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]]
    return [_Block(words[a], a, b) for a, b in zip(starts, [*starts[1:], len(keys)], strict=True)]


def _draw_blocks(axes: Axes, matrix: Floats, rows: Sequence[_Block], columns: Sequence[_Block]) -> None:
    """A matrix with lines between its blocks and their colours along its upper and its left edge."""
    count = matrix.shape
    axes.set_axis_on()
    axes.spines[:].set(visible=True, color="#C4CAD2")
    # The root makes small weights visible.
    shown = np.ma.masked_equal(np.sign(matrix) * np.sqrt(np.abs(matrix)), 0)
    image = axes.pcolormesh(shown, cmap=WEIGHT_MAP, vmin=-1, vmax=1, zorder=1, rasterized=True)
    image.set_gid("weights")
    axes.set(xlim=(0, count[1]), ylim=(count[0], 0))
    for block in rows:
        axes.axhline(block.start, color="#8B94A0", linewidth=0.7, zorder=2)
        axes.plot([-0.008, -0.008], [block.start, block.end], color=COLOURS[block.word], linewidth=3, clip_on=False,
                  transform=axes.get_yaxis_transform(), solid_capstyle="butt")  # fmt: skip
    for block in columns:
        axes.axvline(block.start, color="#8B94A0", linewidth=0.7, zorder=2)
        axes.plot([block.start, block.end], [1.004, 1.004], color=COLOURS[block.word], linewidth=3, clip_on=False,
                  transform=axes.get_xaxis_transform(), solid_capstyle="butt")  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=7)


def _name_rows(axes: Axes, texts: Sequence[str], sides: Sequence[str], parts: Sequence[_Block], high: float) -> None:
    """Names of the rows, or of the parts of the body where there are too many."""
    if len(texts) <= _NAMED_ROWS:
        axes.set_yticks(np.arange(len(texts)) + 0.5, texts, fontsize=min(6.5, high * 62))
        _colour_labels(axes.get_yticklabels(), sides)
        return
    named = [block for block in parts if (block.end - block.start) * high > 0.08]
    for block in parts:
        axes.axhline(block.start, color=FAINT, linewidth=0.5, zorder=0.5)
    texts = [f"{'' if sides[block.start] == 'centre' else sides[block.start]} {block.word}".strip() for block in named]
    axes.set_yticks([(block.start + block.end) / 2 for block in named], texts, fontsize=7)
    _colour_labels(axes.get_yticklabels(), [sides[block.start] for block in named])


def _draw_key(figure: Figure, right: float) -> None:
    """What the shades mean, in the upper right corner, up to `right` inches."""
    height, values = figure.get_size_inches()[1], (-0.5, -0.1, -0.01, 0.01, 0.1, 0.5, 1.0)
    axes = panel(
        figure, (right - 0.36 * len(values), height - 0.42), np.zeros(2), np.array([0.36 * len(values), 0.2]), 1
    )
    axes.pcolormesh([np.sign(values) * np.sqrt(np.abs(values))], cmap=WEIGHT_MAP, vmin=-1, vmax=1)
    axes.set(xlim=(0, len(values)), ylim=(0, 1))
    for column, value in enumerate(values):
        ink = "white" if abs(value) >= 0.5 else INK
        axes.text(column + 0.5, 0.5, f"{value:g}".replace("-", "−"), fontsize=6.5, color=ink, ha="center", va="center")


def _colour_labels(labels: Sequence[Any], sides: Sequence[str]) -> None:
    for label, side in zip(labels, sides, strict=True):
        label.set_color(COLOURS[side])


@styled
def plot_acae_errors(acae: ACAE, format: str | Path | Skeleton | None = None) -> Figure:
    """The mean distance of joints from their reconstruction on held-out poses, beside the baselines.

    Bars of all formats, or of one format's joints; the body with every joint's error; the worst places by name. "start"
    are combinations of as many joints, "floor" is the best that any affine map of that rank can do. Raises InputError
    for an autoencoder without held-out errors, or for a format that is not in it.
    """
    if "error" not in acae.held_out:
        raise InputError(
            "the autoencoder's held-out errors", expected="some", got="none", mend="Fit with held_out=0.1."
        )
    own = slice(None) if format is None else acae.joints.slice_of(format)
    errors = {name: values[own] for name, values in acae.held_out.items()}
    names, rows = _groups(acae, errors) if format is None else _joint_rows(acae, own, errors)
    shown = np.full(len(acae.joints), np.nan)
    shown[own] = errors["error"]
    average = Average.of(acae)
    low, high = average.box(average.joints)
    wide, body, deep = (high - low) / _SCALE
    bars, listed = len(names) * float(np.clip(9.0 / len(names), 0.125, 0.19)), 0.165 * _WORST + 0.45
    beside = bars + 0.6 + listed < body + 0.4  # the list of the worst goes below the bars if there is room
    height = max(bars + 1.65, body + 1.65 + (0 if beside else listed))
    figure = canvas(_BODIES + wide + deep + 0.9, height)
    _error_bars(figure, (1.75, height - 1.1 - bars, 3.2, bars), names, rows)
    _error_bodies(figure, average, shown)
    below = (1.35, height - 1.85 - bars) if beside else (_BODIES + 0.1, height - 1.85 - body)
    _list_worst(figure, MergedJoints.of(acae), shown, below)
    what = f"{len(acae.joints.formats)} formats" if format is None else acae.joints.names[own][0].partition("/")[0]
    means = ", ".join(f"{name} {_mean(values):.1f}" for name, values in errors.items())
    heading(
        figure, f"{what} through {len(acae.latents)} latents and back", f"mean distance on held-out poses, mm: {means}"
    )
    return figure


def _groups(acae: ACAE, errors: dict[str, NDArray[np.float64]]) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """The formats, the worst first, and their mean errors; those that were never known are left out."""
    known = [name for name, part in acae.joints.slices.items() if np.isfinite(errors["error"][part]).any()]
    known.sort(key=lambda name: -_mean(errors["error"][acae.joints.slices[name]]))
    means = {
        kind: np.array([_mean(values[acae.joints.slices[name]]) for name in known]) for kind, values in errors.items()
    }
    return known, means


def _mean(values: Floats) -> float:
    return float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")


def _joint_rows(
    acae: ACAE, own: slice, errors: dict[str, NDArray[np.float64]]
) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """The joints of a format in their order, and their errors."""
    return [name.partition("/")[2] for name in acae.joints.names[own]], errors


def _error_bars(
    figure: Figure, where: tuple[float, float, float, float], names: Sequence[str], rows: dict[str, NDArray[np.float64]]
) -> None:
    """Bars of the error with a mark for each baseline; `where` is left, bottom, width, height in inches."""
    size = figure.get_size_inches()
    axes = figure.add_axes((where[0] / size[0], where[1] / size[1], where[2] / size[0], where[3] / size[1]))
    places = np.arange(len(names))
    axes.barh(places, np.nan_to_num(rows["error"]), height=0.68, color=_BAR, label="error")
    for kind, mark, word in (("start", "|", "start: as many joints"), ("floor", "d", "floor: best map of that rank")):
        if kind in rows:
            axes.scatter(
                rows[kind],
                places,
                s=16 if mark == "d" else 30,
                marker=mark,
                c=INK,
                linewidths=0.9,
                label=word,
                zorder=3,
            )
    axes.set_yticks(places, names, fontsize=min(7.0, where[3] / len(names) * 62))
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="mm on held-out poses")
    axes.set_xlim(left=0)
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        handlelength=0.9,
        borderaxespad=0.2,
        fontsize=7,
        columnspacing=1.2,
    )


def _error_bodies(figure: Figure, average: Average, error: Floats) -> None:
    """The body from the front and the left with its joints coloured by their error (J,), large errors over small."""
    low, high = average.box(average.joints)
    wide, body, _ = (high - low) / _SCALE
    order = [int(i) for i in np.argsort(error, kind="stable") if np.isfinite(error[i])]
    limit = float(np.percentile(error[order], 98)) if order else 1.0
    bottom = float(figure.get_figheight()) - 1.0 - body
    for title, view, left in (("front", VIEWS["front"], _BODIES), ("left side", VIEWS["side"], _BODIES + wide + 0.35)):
        ends = np.sort(np.stack([low, high]) @ view.T, axis=0)
        axes = panel(figure, (left, bottom), ends[0][:2], ends[1][:2], _SCALE)
        axes.set_title(title, fontsize=7.5, fontweight="normal", color=QUIET)
        if average.on_body:
            draw_body(axes, view)
        seen = (average.joints @ view.T)[order]
        dots = axes.scatter(
            seen[:, 0], seen[:, 1], c=error[order], cmap=ERROR_MAP, vmin=0, vmax=limit, s=15, edgecolors="#6B7280",
            linewidths=0.25, zorder=4,
        )  # fmt: skip
        dots.set_gid("errors")
    _error_key(figure, dots, (_BODIES + 0.1, bottom - 0.25, 0.6 * wide, 0.09))


def _error_key(figure: Figure, dots: Any, where: tuple[float, float, float, float]) -> None:
    size = figure.get_size_inches()
    axes = figure.add_axes((where[0] / size[0], where[1] / size[1], where[2] / size[0], where[3] / size[1]))
    figure.colorbar(dots, cax=axes, orientation="horizontal", extend="max").outline.set_visible(False)
    axes.set_xlabel("mm", fontsize=7, labelpad=1)
    axes.tick_params(length=2)


def _list_worst(figure: Figure, merged: MergedJoints, error: Floats, corner: tuple[float, float]) -> None:
    """The places of the largest errors (J,) by name, left and right ones once; corner: upper left, inches."""
    width, height = figure.get_size_inches()
    worst: dict[str, float] = {}
    for joint in np.argsort(-np.nan_to_num(error), kind="stable"):
        label = merged.label(int(merged.of_joint[joint]), 1).replace("right_", "left_")
        if np.isfinite(error[joint]) and label not in worst and len(worst) < _WORST:
            worst[label] = float(error[joint])
    figure.text(corner[0] / width, corner[1] / height, "the worst places, mm", fontsize=8, fontweight="bold")
    for line, (label, value) in enumerate(worst.items(), start=1):
        y = (corner[1] - 0.04 - 0.165 * line) / height
        figure.text(
            (corner[0] + 0.3) / width, y, f"{value:.0f}", fontsize=7, fontweight="bold", ha="right", color="#B10026"
        )
        figure.text((corner[0] + 0.4) / width, y, label, fontsize=7)
