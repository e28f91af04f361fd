"""What all pictures share: the house style, bare panels, and how a skeleton and a body are drawn."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
ViewName = Literal["front", "side", "top", "oblique"]
P = ParamSpec("P")
R = TypeVar("R")

#: Blue, vermilion and grey are told apart with every kind of colour vision.
COLOURS = {"left": "#0072B2", "right": "#D55E00", "centre": "#4A5260"}
INK, QUIET, FAINT = "#22272E", "#7A8390", "#E6E9ED"
#: Distinct colours for what is drawn on one body.
CYCLE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B",
    "#56B4E9", "#7F3FBF", "#444B55", "#8FB339", "#A0522D",
)  # fmt: skip
#: Positive and negative weights; matplotlib's shades of weights from -1 to 1, and of errors.
SIGN_COLOURS = {"positive": "#1B7837", "negative": "#762A83"}
WEIGHT_MAP, ERROR_MAP = "PRGn", "YlOrRd"
#: The kinds of joints as matplotlib's markers.
KIND_MARKS: Mapping[str, str] = {
    "joint_center": "o", "surface": "s", "fingertip": "^", "marker": "D", "virtual": "P",
}  # fmt: skip

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
    "top": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
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
    kinds: bool = False,
) -> None:
    """Draw one pose into `axes`: edges as lines, joints as dots; what is missing (NaN) is absent.

    points (joints, 2) in the data units of the axes; depth (joints,), larger is nearer and drawn later;
    size scales lines and dots; colour overrides the colours of the sides; halo sets the figure off from a
    photograph; kinds marks joints by their kind in place of dots.
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
    if kinds:
        style = need("matplotlib.markers", "plot").MarkerStyle
        marks = [style(KIND_MARKS[card.joints[i].kind]) for i in joints]
        dots.set_paths([mark.get_path().transformed(mark.get_transform()) for mark in marks])


def draw_rings(axes: Axes, points: ArrayLike, radii: ArrayLike, colours: Sequence[str]) -> None:
    """Draw a pale disc with a thin rim about each of the points (joints, 2) that is there; radii in data units."""
    points, widths = np.asarray(points, dtype=float), 2 * np.asarray(radii, dtype=float)
    there = [int(i) for i in np.flatnonzero(np.isfinite(points).all(axis=1))]
    shades, pale = [colours[i] for i in there], 0.10 if len(there) < 50 else 0.05
    to_rgba = need("matplotlib.colors", "plot").to_rgba_array
    rings = need("matplotlib.collections", "plot").EllipseCollection(
        widths[there], widths[there], np.zeros(len(there)), units="xy", offsets=points[there],
        transOffset=axes.transData, linewidths=0.5, zorder=2, gid="rings",
        facecolors=to_rgba(shades, pale), edgecolors=to_rgba(shades, 4 * pale),
    )  # fmt: skip
    axes.add_collection(rings)


def draw_body(axes: Axes, view: Floats, depths: tuple[float, float] = (-np.inf, np.inf), relief: float = 1.0) -> None:
    """Draw the rest body as seen in `view` (3, 3); only what lies between two depths, mm to the viewer."""
    vertices, triangles = rest_body().vertices @ view.T, rest_body().triangles
    near = vertices[triangles, 2].mean(axis=1)
    cut = bool(np.isfinite(depths).any())
    draw_mesh(axes, vertices, triangles[(near > depths[0]) & (near < depths[1])], relief=relief, hollow=cut)


def draw_mesh(
    axes: Axes, vertices: Floats, triangles: NDArray[np.integer], *, relief: float = 1.0, hollow: bool = False
) -> None:
    """Draw a mesh in soft light grey; vertices (V, 3) as seen: right, up, towards the viewer.

    relief deepens the shading; hollow draws the inside too, as a mesh that was cut open needs.
    """
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.arange(len(triangles)) if hollow else np.flatnonzero(across[:, 2] > 0)
    facing = facing[np.argsort(corners[facing, :, 2].mean(axis=1))]
    if not len(facing):
        return
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    lit = 0.5 + 0.5 * normals @ [-0.35, 0.55, 0.76]
    grey = 0.97 - relief * (0.28 - 0.20 * lit - 0.08 * np.clip(normals[:, 2], 0, 1))
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


def save_small(figure: Figure, path: str | Path, dpi: float = 100.0) -> None:
    """Save a figure as a PNG of the house colours and a few greys alone, a fifth of the usual size."""
    image = need("PIL.Image", "plot")
    drawn, palette = io.BytesIO(), image.new("P", (1, 1))
    figure.savefig(drawn, dpi=dpi, format="png")
    palette.putpalette(_palette())
    small = image.open(drawn).convert("RGB").quantize(palette=palette, dither=image.Dither.NONE)
    small.save(path, optimize=True)


def _palette() -> list[int]:
    """Greys, house colours as they thin out on them, and shades of weights and errors: red, green, blue to 255."""
    rgb = need("matplotlib.colors", "plot").to_rgb
    greys = np.concatenate([[0.3, 0.4, 0.5], np.linspace(0.58, 1, 22)])[:, None] * [0.99, 0.995, 1.0]
    thin = [
        t * np.array(rgb(colour)) + (1 - t) * 0.92
        for colour in (*COLOURS.values(), INK, *CYCLE, *SIGN_COLOURS.values())
        for t in (0.2, 0.35, 0.5, 0.7, 0.85, 1)
    ]
    maps = need("matplotlib", "plot").colormaps
    shades = [maps[WEIGHT_MAP](np.linspace(0, 1, 33))[:, :3], maps[ERROR_MAP](np.linspace(0, 1, 24))[:, :3]]
    white = np.ones((1, 3))
    return [int(value) for value in np.round(255 * np.concatenate([white, greys, thin, *shades])).ravel()]
