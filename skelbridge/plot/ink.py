"""What all pictures share: the house style, bare panels, and how a skeleton and a body are drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge import rest_body
from skelbridge.errors import need
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating]
ViewName = Literal["front", "side", "oblique"]
P = ParamSpec("P")
R = TypeVar("R")

#: Blue, vermilion and grey are told apart with every kind of colour vision.
COLOURS = {"left": "#0072B2", "right": "#D55E00", "centre": "#4A5260"}
INK, QUIET, FAINT = "#22272E", "#7A8390", "#E6E9ED"

STYLE: dict[str, Any] = {
    "figure.dpi": 150, "figure.facecolor": "white", "savefig.dpi": 150, "font.family": "sans-serif",
    "font.size": 8, "text.color": INK, "axes.edgecolor": "#C4CAD2", "axes.labelcolor": INK,
    "axes.linewidth": 0.8, "axes.titlesize": 9, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlepad": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "grid.color": FAINT, "grid.linewidth": 0.8, "xtick.color": QUIET, "ytick.color": QUIET,
    "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False, "legend.fontsize": 8,
}  # fmt: skip

#: The views of the body.
VIEWS: Mapping[str, Floats] = {
    "front": np.eye(3),
    "side": np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    "oblique": np.array([[0.77, 0.0, -0.64], [0.0, 1.0, 0.0], [0.64, 0.0, 0.77]]),
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the house style, leaving the user's matplotlib settings as they are."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with need("matplotlib", "plot").rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def joint_sides(card: Skeleton) -> list[str]:
    """For each joint "left", "right" or "centre"."""
    sides: list[str] = [card.side or "centre"] * len(card)
    for left, right in card.mirror:
        sides[card.index(left)], sides[card.index(right)] = "left", "right"
    for name in card.asymmetric:
        word = name.partition("_")[0]
        sides[card.index(name)] = word if word in COLOURS else "centre"
    return sides


def edge_sides(card: Skeleton) -> list[str]:
    """For each edge the side it belongs to; an edge from left to right is central."""
    sides = joint_sides(card)
    pairs = [{sides[a], sides[b]} - {"centre"} for a, b in card.edge_index]
    return [pair.pop() if len(pair) == 1 else "centre" for pair in pairs]


def draw_skeleton(
    axes: Axes,
    points: ArrayLike,
    card: Skeleton,
    *,
    depth: ArrayLike | None = None,
    size: float = 1.0,
    colour: str | None = None,
    halo: bool = False,
) -> None:
    """Draw one pose into `axes`: edges as lines, joints as dots; what is missing (NaN) is absent.

    points (joints, 2) in the data units of the axes; depth (joints,), larger is nearer and drawn later;
    size scales lines and dots; colour overrides the colours of the sides; halo sets the figure off from a
    photograph.
    """
    collections = need("matplotlib.collections", "plot")
    points = np.asarray(points, dtype=float)
    near = np.zeros(len(card)) if depth is None else np.nan_to_num(np.asarray(depth, dtype=float))
    edges = [i for i, pair in enumerate(card.edge_index) if np.isfinite(points[pair]).all()]
    edges.sort(key=lambda i: near[card.edge_index[i]].mean())
    joints = [i for i in np.argsort(near, kind="stable") if np.isfinite(points[i]).all()]
    edge_colours = [colour or COLOURS[side] for side in edge_sides(card)]
    joint_colours = [colour or COLOURS[side] for side in joint_sides(card)]
    lines = points[card.edge_index[edges]]
    for width, shade in ([(4.6, "white")] if halo else []) + [(2.2, None)]:
        style = {"linewidths": width * size, "capstyle": "round", "zorder": 3 if shade is None else 2.9}
        drawn = collections.LineCollection(lines, colors=shade or [edge_colours[i] for i in edges], **style)
        drawn.set_gid("edges" if shade is None else "halo")
        axes.add_collection(drawn)
    dots = axes.scatter(
        points[joints, 0], points[joints, 1], s=18 * size**2, c=[joint_colours[i] for i in joints],
        edgecolors="white", linewidths=0.6 * size, zorder=4,
    )  # fmt: skip
    dots.set_gid("joints")


def draw_body(axes: Axes, view: Floats, depths: tuple[float, float] = (-np.inf, np.inf)) -> None:
    """Draw the rest body as seen in `view` (3, 3); only what lies between two depths, mm to the viewer."""
    vertices, triangles = rest_body().vertices @ view.T, rest_body().triangles
    near = vertices[triangles, 2].mean(axis=1)
    draw_mesh(axes, vertices, triangles[(near > depths[0]) & (near < depths[1])])


def draw_mesh(axes: Axes, vertices: Floats, triangles: NDArray[np.integer]) -> None:
    """Draw a closed mesh in soft light grey; vertices (V, 3) as seen: right, up, towards the viewer."""
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.flatnonzero(across[:, 2] > 0)
    facing = facing[np.argsort(corners[facing, :, 2].mean(axis=1))]
    if not len(facing):
        return
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    lit = 0.5 + 0.5 * normals @ [-0.35, 0.55, 0.76]
    grey = 0.69 + 0.20 * lit + 0.08 * np.clip(normals[:, 2], 0, 1)
    colours = np.stack([0.985 * grey, 0.99 * grey, grey, np.ones_like(grey)], axis=1)
    triangulation = need("matplotlib.tri", "plot").Triangulation(*vertices[:, :2].T, triangles[facing])
    mesh = need("matplotlib.collections", "plot").TriMesh(triangulation, facecolors=colours, zorder=1, rasterized=True)
    mesh.set_gid("body")
    axes.add_collection(mesh, autolim=False)


def canvas(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    figure: Figure = need("matplotlib.figure", "plot").Figure(figsize=(width, height))
    return figure


def figure_of(axes: Axes) -> Figure:
    """The whole figure that the axes are on."""
    figure: Any = axes.figure
    while hasattr(figure, "parent"):  # a part of a figure
        figure = figure.figure
    return figure


def panel(figure: Figure, corner: tuple[float, float], low: Floats, high: Floats, scale: float) -> Axes:
    """Bare axes at `corner` (inches) that show the box from low to high (2,) at `scale` units an inch."""
    width, height = figure.get_size_inches()
    extent = (np.asarray(high) - low) / scale
    axes = figure.add_axes((corner[0] / width, corner[1] / height, extent[0] / width, extent[1] / height))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.set_axis_off()
    return axes


def heading(figure: Figure, title: str, below: str) -> None:
    """Write a title and a quiet line below it into the upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(0.3 / width, 1 - 0.22 / height, title, fontsize=12, fontweight="bold", va="top")
    figure.text(0.3 / width, 1 - 0.46 / height, below, fontsize=8, color=QUIET, va="top")


def box(points: Floats, margin: float) -> tuple[Floats, Floats]:
    """Lowest and highest corner of the points (N, D), with a margin."""
    return np.nanmin(points, axis=0) - margin, np.nanmax(points, axis=0) + margin


def body_box(points: Floats) -> tuple[Floats, Floats]:
    """The box of the rest body together with points (N, 3)."""
    return box(np.concatenate([rest_body().vertices, points]), 30.0)
