"""Latent keypoints on the average body, in the plane and in space, and the joints that they draw on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError, UnknownNameError, nearest, need
from skelbridge.plot.average import Average, MergedJoints, latent_sides, outside, short_name
from skelbridge.plot.ink import (
    COLOURS,
    FAINT,
    INK,
    QUIET,
    SIGN_COLOURS,
    VIEWS,
    Floats,
    box,
    canvas,
    draw_body,
    heading,
    panel,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skelbridge.bridge.acae import ACAE

#: Millimetres an inch of the whole body; inches for a column of names, and above the drawings.
_SCALE, _NAMES, _TOP = 320.0, 1.75, 0.95
#: Sources of a latent that are listed at most; square points of a disc of weight one; millimetres shown at least.
_LISTED, _AREA, _NARROWEST = 7, 330.0, 330.0
#: Smaller weights have no number beside their disc; inches of a view of the sources.
_NUMBERED, _VIEW = 0.04, 1.74


@styled
def plot_latents(acae: ACAE) -> Figure:
    """The latents on the average body, from the front and from its left; hollow ones lie outside of the body.

    Names of left latents stand beside the front view, those of central ones beside the other; right ones mirror left.
    """
    average, sides = Average.of(acae), latent_sides(acae)
    hollow = outside(average.latents) if average.on_body else np.zeros(len(sides), dtype=bool)
    low, high = average.box(average.latents)
    front, deep, height = (high - low)[0] / _SCALE, (high - low)[2] / _SCALE, (high - low)[1] / _SCALE
    figure = canvas(0.3 + front + deep + 2 * _NAMES + 0.3, height + _TOP + 0.15)
    left = 0.3
    for name, width, named in (("front", front, "left"), ("side", deep, "centre")):
        view = VIEWS[name]
        corners = np.sort(np.stack([low, high]) @ view.T, axis=0)
        axes = panel(figure, (left, 0.15), corners[0][:2], corners[1][:2], _SCALE)
        axes.set_title({"front": "front", "side": "left side"}[name], fontsize=7.5, fontweight="normal", color=QUIET)
        if average.on_body:
            draw_body(axes, view)
        seen = average.latents @ view.T
        _draw_latents(axes, seen, sides, hollow)
        chosen = [i for i, side in enumerate(sides) if side == named]
        texts = [short_name(acae.latents[i], named) for i in chosen]
        _name_beside(axes, seen[chosen], texts, named)
        left += width + _NAMES
    pairs, central = acae.pairs, len(sides) - 2 * acae.pairs
    outer = f"; hollow: {hollow.sum()} outside of the body" if hollow.any() else ""
    heading(
        figure,
        f"{len(sides)} latent keypoints of {len(acae.joints.formats)} formats",
        f"{pairs} left (blue), their {pairs} mirror images (orange), {central} central (grey){outer}",
    )
    return figure


def _draw_latents(axes: Axes, seen: Floats, sides: Sequence[str], hollow: NDArray[np.bool_]) -> None:
    """Latents as seen (L, 3), the near ones last; those inside are filled, those outside hollow."""
    for gid, these in (("latents", ~hollow), ("latents outside", hollow)):
        order = [int(i) for i in np.argsort(seen[:, 2], kind="stable") if these[i]]
        shades = [COLOURS[sides[i]] for i in order]
        edge = "white" if gid == "latents" else shades
        face = shades if gid == "latents" else "white"
        dots = axes.scatter(seen[order, 0], seen[order, 1], s=30, c=face, edgecolors=edge, linewidths=0.7, zorder=4)
        dots.set(gid=gid, linewidths=0.7 if gid == "latents" else 1.5)


def _name_beside(axes: Axes, seen: Floats, texts: Sequence[str], side: str) -> None:
    """Write the names of points as seen (N, 3) in a column right of the panel, with leaders, none over another."""
    if not len(texts):
        return
    (low, high), right = axes.get_ylim(), axes.get_xlim()[1]
    spacing = min((high - low) / len(texts), 46.0)
    order = sorted(range(len(texts)), key=lambda i: (-seen[i, 1], -seen[i, 0]))
    lines = _spread(-seen[order, 1], spacing, (-high, -low))
    size = float(np.clip(spacing / _SCALE * 72 * 0.85, 3.5, 7.5))
    for i, y in zip(order, -lines, strict=True):
        x = (seen[i, 0], right - 12, right + 15)
        axes.plot(x, (seen[i, 1], y, y), color=COLOURS[side], linewidth=0.5, alpha=0.55, zorder=3, clip_on=False)
        axes.text(right + 25, y, texts[i], fontsize=size, color=COLOURS[side], va="center_baseline", gid="names")


def _spread(wanted: Floats, spacing: float, within: tuple[float, float]) -> Floats:
    """The places nearest to the `wanted` ones (N,), ascending, that are `spacing` apart and have room (least squares).

    Neighbours that are too near are pooled, as in isotonic regression.
    """
    steps = spacing * np.arange(len(wanted))
    pools: list[tuple[float, int]] = []
    for value in wanted - steps:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (mean * count + before * many) / (count + many), count + many
        pools.append((mean, count))
    means, counts = zip(*pools, strict=True)
    return np.clip(np.repeat(means, counts), within[0] + spacing / 2, within[1] - spacing / 2 - steps[-1]) + steps


@styled
def plot_latent_sources(acae: ACAE, *latents: str | int) -> Figure:
    """The joints that latents draw on, from the front and the left: discs as large as the weights, green for positive,

    purple for negative ones; the cross is the latent. Joints of different formats at one place are one disc.

    latents: names or positions; none given: the six that draw on most places, with their right ones left out.
    Raises UnknownNameError for a name, InputError for a position, that is not there.
    """
    average, merged = Average.of(acae), MergedJoints.of(acae)
    weights = merged.summed(acae.encoder)
    chosen = [_position(acae, latent) for latent in latents] or _richest(acae, weights)
    columns = min(3, len(chosen))
    tile = np.array([3.95, 3.5])
    rows = -(-len(chosen) // columns)
    figure = canvas(columns * tile[0] + 0.3, rows * tile[1] + 0.6)
    for number, latent in enumerate(chosen):
        row, column = divmod(number, columns)
        corner = np.array([0.3 + column * tile[0], (rows - 1 - row) * tile[1] + 0.12])
        _draw_sources(figure, corner, acae.latents[latent], average.latents[latent], weights[latent], average, merged)
    heading(
        figure,
        "What latent keypoints are made of" if len(chosen) > 1 else f"What {acae.latents[chosen[0]]} is made of",
        "a cross: the latent; discs: joints, their area the weight; green: positive, purple: negative",
    )
    return figure


def _position(acae: ACAE, latent: str | int) -> int:
    if isinstance(latent, str):
        if latent not in acae.latents:
            expected = f"one of its {len(acae.latents)} latents, such as {nearest(latent, acae.latents)}"
            raise UnknownNameError(f"there is no latent {latent!r}", expected=expected)
        return acae.latents.index(latent)
    if not -len(acae.latents) <= latent < len(acae.latents):
        raise InputError("a latent's position", expected=f"a number below {len(acae.latents)}", got=latent)
    return int(latent) % len(acae.latents)


def _richest(acae: ACAE, weights: Floats) -> list[int]:
    """Six latents that draw on many places, none of them a right one, from the head down."""
    own = [i for i, side in enumerate(latent_sides(acae)) if side != "right"]
    return sorted(sorted(own, key=lambda i: -np.count_nonzero(np.abs(weights[i]) > 0.01))[:6])


def _draw_sources(
    figure: Figure, corner: Floats, name: str, at: Floats, row: Floats, average: Average, merged: MergedJoints
) -> None:
    """One latent in a tile: two views at one scale, and the list of its sources."""
    order = [int(i) for i in np.argsort(-np.abs(row), kind="stable") if abs(row[i]) > 5e-4]
    shown, rest = order[:_LISTED], order[_LISTED:]
    points = average.joints[merged.first]
    near = [i for i in order if abs(row[i]) >= 0.02]
    low, high = box(np.concatenate([points[near], at[None]]), 0.0)
    middle, span = (low + high) / 2, max(1.25 * float((high - low).max()), _NARROWEST)
    listed = 0.15 * (_LISTED + 1)
    for slot, view in enumerate((VIEWS["front"], VIEWS["side"])):
        centre = (middle @ view.T)[:2]
        place = (corner[0] + slot * (_VIEW + 0.08), corner[1] + listed + 0.15)
        axes = panel(figure, place, centre - span / 2, centre + span / 2, span / _VIEW)
        axes.set_gid(f"{name}, {('front', 'left side')[slot]}")
        if average.on_body:
            draw_body(axes, view, relief=1.5)
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=FAINT)
        _draw_discs(axes, (points @ view.T)[:, :2], row, order, (at @ view.T)[:2])
    _list_sources(figure, corner, listed, name, row, shown, rest, merged)


def _draw_discs(axes: Axes, seen: Floats, row: Floats, order: Sequence[int], at: Floats) -> None:
    """Sources as discs joined to their latent; the large ones first, so that small ones stay visible."""
    shades = [SIGN_COLOURS["positive" if row[i] > 0 else "negative"] for i in order]
    for i, shade in zip(order, shades, strict=True):
        axes.plot(*np.stack([seen[i], at]).T, color=shade, linewidth=0.9, alpha=0.5, zorder=2.5)
    dots = axes.scatter(
        seen[order, 0], seen[order, 1], s=_AREA * np.abs(row[order]), c=shades, alpha=0.75, edgecolors="white",
        linewidths=0.7, zorder=4,
    )  # fmt: skip
    dots.set_gid("sources")
    axes.scatter(at[0], at[1], s=60, marker="x", c=INK, linewidths=1.6, zorder=5, gid="latent")
    effect = need("matplotlib.patheffects", "plot").withStroke(linewidth=1.8, foreground="white")
    unit = np.ptp(axes.get_xlim()) / _VIEW / 72
    for number, i in enumerate(order[:_LISTED], start=1):
        if abs(row[i]) < _NUMBERED:
            break
        away = seen[i] - at
        away = away / np.linalg.norm(away) if np.linalg.norm(away) > 1e-6 else np.array([1.0, 0.0])
        x, y = seen[i] + away * unit * (np.sqrt(_AREA * abs(row[i]) / np.pi) + 4.5)
        written = axes.text(x, y, str(number), fontsize=6, ha="center", va="center", zorder=6, path_effects=[effect])
        written.set(clip_on=True, color=INK)


def _list_sources(
    figure: Figure, corner: Floats, top: float, name: str, row: Floats, shown: Sequence[int], rest: Sequence[int],
    merged: MergedJoints,
) -> None:  # fmt: skip
    """The name of the latent above its views, its weights and their joints below."""
    width, height = figure.get_size_inches()
    figure.text(
        corner[0] / width,
        (corner[1] + top + 0.15 + _VIEW + 0.07) / height,
        name.replace("_", " "),
        fontsize=9,
        fontweight="bold",
    )
    lines = [(f"{row[i]:+.2f}".replace("-", "−"), merged.label(i), row[i] > 0) for i in shown]
    if rest:
        total = sum(row[i] for i in rest)
        lines.append(
            (
                f"{total:+.2f}".replace("-", "−"),
                f"{len(rest)} more places together" if len(rest) > 1 else "one more place",
                total > 0,
            )
        )
    for line, (weight, text, positive) in enumerate(lines):
        y = (corner[1] + top - 0.15 * line) / height
        shade = SIGN_COLOURS["positive" if positive else "negative"]
        if line < len(shown) and abs(row[shown[line]]) >= _NUMBERED:
            figure.text((corner[0] + 0.08) / width, y, str(line + 1), fontsize=6, color=QUIET, ha="right")
        figure.text((corner[0] + 0.48) / width, y, weight, fontsize=7, fontweight="bold", color=shade, ha="right")
        figure.text((corner[0] + 0.55) / width, y, text if len(text) < 52 else f"{text[:50]}…", fontsize=7)


def plot_latents_3d(acae: ACAE) -> Any:
    """The latents on the average body in space, to be turned with the mouse: a plotly Figure for notebooks.

    Pointing at a latent shows its name and the joints that it draws on. Raises MissingExtraError without plotly.
    """
    graph = need("plotly.graph_objects", "notebook")
    average, sides = Average.of(acae), latent_sides(acae)
    merged = MergedJoints.of(acae)
    weights = merged.summed(acae.encoder)
    parts = [_plotly_body(graph)] if average.on_body else []
    for side in COLOURS:
        own = [i for i, word in enumerate(sides) if word == side]
        across, up, forward = average.latents[own].T
        marks = graph.Scatter3d(
            x=forward, y=across, z=up, mode="markers", name=side, marker={"size": 5, "color": COLOURS[side]},
            text=[_hover(acae.latents[i], weights[i], merged) for i in own], hoverinfo="text",
        )  # fmt: skip
        parts.append(marks)
    hidden = {"visible": False}
    figure = graph.Figure(parts)
    figure.update_layout(
        title=f"{len(sides)} latent keypoints of {len(acae.joints.formats)} formats", height=650,
        margin={"l": 0, "r": 0, "b": 0, "t": 40},
        scene={"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data",
               "camera": {"eye": {"x": 1.5, "y": 0.6, "z": 0.2}}},
    )  # fmt: skip
    return figure


def _hover(name: str, row: Floats, merged: MergedJoints) -> str:
    order = [int(i) for i in np.argsort(-np.abs(row), kind="stable")[:6] if abs(row[i]) > 0.005]
    return "<br>".join([f"<b>{name}</b>", *(f"{row[i]:+.2f} {merged.label(i)}" for i in order)])


def _plotly_body(graph: Any, cell: float = 24.0) -> Any:
    """The rest body with the vertices of each cell of a grid joined, mm, which makes it light."""
    body = rest_body()
    _, group = np.unique(np.floor(body.vertices / cell), axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    vertices = np.stack([np.bincount(group, axis) / count for axis in body.vertices.T], axis=1).round()
    triangles = group[body.triangles]
    whole = np.array([len(set(triangle)) == 3 for triangle in triangles])
    i, j, k = np.unique(triangles[whole], axis=0).T
    across, up, forward = vertices.T
    return graph.Mesh3d(
        x=forward, y=across, z=up, i=i, j=j, k=k, color="#D9DDE2", opacity=0.35, hoverinfo="skip", name="body"
    )
