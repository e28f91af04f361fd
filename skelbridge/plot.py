"""Pictures of skeletons, poses and conversions, with matplotlib.

Every `plot_*` function returns a `matplotlib.figure.Figure`; save it with `.savefig(path)`. Nothing here touches
pyplot or the backend. What is left on the body is blue, what is right is orange, the middle is grey; up is up.

Body axes are x to the body's left, y up, z forward, mm. A view is a rotation (3, 3) whose rows are, in those axes,
the directions right in the picture, up in the picture and towards the viewer.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError, need
from skelbridge.landmarks import landmarks, mirrored_name
from skelbridge.skeletons import Skeleton, skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skelbridge.convert import Converter
    from skelbridge.poses import Poses

Floats = NDArray[np.floating]
ViewName = Literal["front", "side", "oblique"]
P = ParamSpec("P")
R = TypeVar("R")

#: Blue, vermilion and grey are told apart with every kind of colour vision.
COLOURS = {"left": "#0072B2", "right": "#D55E00", "centre": "#4A5260"}
#: The parts of an expected error.
PART_COLOURS = {"bridge": "#6A5ACD", "placement": "#E0A92E", "noise": "#A9B1BC"}
INK, QUIET, FAINT = "#22272E", "#7A8390", "#E6E9ED"
#: Distinct colours for formats that are drawn on one body.
CYCLE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#B8860B",
    "#56B4E9",
    "#7F3FBF",
    "#444B55",
    "#8FB339",
    "#A0522D",
)

STYLE: dict[str, Any] = {
    "figure.dpi": 150, "figure.facecolor": "white", "savefig.dpi": 150, "font.family": "sans-serif", "font.size": 8,
    "text.color": INK, "axes.edgecolor": "#C4CAD2", "axes.labelcolor": INK, "axes.linewidth": 0.8,
    "axes.titlesize": 9, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "grid.color": FAINT, "grid.linewidth": 0.8, "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "legend.frameon": False,
    "legend.fontsize": 8,
}  # fmt: skip

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


# -- the alphabet: sides, skeletons, the body ------------------------------------------------------------------


def joint_sides(card: Skeleton) -> list[str]:
    """For each joint "left", "right" or "centre"."""
    sides = [card.side or "centre"] * len(card)
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

    points (joints, 2) in the data units of the axes; depth (joints,), larger is nearer and drawn later; size scales
    lines and dots; colour overrides the colours of the sides; halo sets the figure off from a photograph.
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
        *points[joints].T, s=18 * size**2, c=[joint_colours[i] for i in joints], edgecolors="white",
        linewidths=0.6 * size, zorder=4,
    )  # fmt: skip
    dots.set_gid("joints")


def draw_body(axes: Axes, view: Floats, depths: tuple[float, float] = (-np.inf, np.inf)) -> None:
    """Draw the rest body as seen in `view` (3, 3), or only what lies between two depths, mm towards the viewer."""
    vertices, triangles = rest_body().vertices @ view.T, rest_body().triangles
    near = vertices[triangles, 2].mean(axis=1)
    draw_mesh(axes, vertices, triangles[(near > depths[0]) & (near < depths[1])])


def draw_mesh(axes: Axes, vertices: Floats, triangles: NDArray[np.integer]) -> None:
    """Draw a closed mesh in soft light grey; vertices (V, 3) as seen: right, up, towards the viewer."""
    corners = vertices[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
    order = np.flatnonzero(facing)
    order = order[np.argsort(corners[order, :, 2].mean(axis=1))]
    normals = _smooth_normals(vertices, triangles)[order]
    lit = 0.5 + 0.5 * normals @ [-0.35, 0.55, 0.76]
    grey = (0.72 + 0.20 * lit + 0.06 * np.clip(normals[:, 2], 0, 1))[:, None] * [0.985, 0.99, 1.0]
    mesh = need("matplotlib.collections", "plot").PolyCollection(
        corners[order, :, :2], facecolors=grey, edgecolors=grey, linewidths=0.35, zorder=1, rasterized=True
    )
    mesh.set_gid("body")
    axes.add_collection(mesh)


def _smooth_normals(vertices: Floats, triangles: NDArray[np.integer]) -> Floats:
    """Normals of the triangles, averaged over their neighbours, (triangles, 3)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    at_vertices = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(at_vertices, triangles[:, corner], faces)
    normals = at_vertices[triangles].sum(axis=1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _panel(figure: Figure, corner: tuple[float, float], low: Floats, high: Floats, scale: float) -> Axes:
    """Bare axes at `corner` (inches from the lower left) that show the box low..high (2,) at `scale` units an inch."""
    width, height = figure.get_size_inches()
    extent = (np.asarray(high) - low) / scale
    axes = figure.add_axes((corner[0] / width, corner[1] / height, extent[0] / width, extent[1] / height))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.set_axis_off()
    return axes


def _box(points: Floats, margin: float) -> tuple[Floats, Floats]:
    return np.nanmin(points, axis=0) - margin, np.nanmax(points, axis=0) + margin


def _write_beside(axes: Axes, dots: Floats, texts: Mapping[int, str], card: Skeleton, size: float) -> None:
    """Write `texts` beside the joints `dots` (joints, 2), each where it hides the fewest joints, edges and texts."""
    effects = need("matplotlib.patheffects", "plot")
    per_unit = axes.get_position().width * axes.figure.get_size_inches()[0] * 72 / np.ptp(axes.get_xlim())
    colours = [COLOURS[side] for side in joint_sides(card)]
    steps = np.linspace(0, 1, 9)[:, None, None]
    along = (dots[card.edge_index[:, 0]] * steps + dots[card.edge_index[:, 1]] * (1 - steps)).reshape(-1, 2)
    taken = [
        (place * per_unit, np.full(2, r)) for r, places in ((2.2, dots), (0.8, along)) for place in places
    ]
    taken = [(place, half) for place, half in taken if np.isfinite(place).all()]
    middle = np.mean(axes.get_xlim()) * per_unit
    for i, text in texts.items():
        half = np.array([0.32 * size * len(text), 0.4 * size])
        place = _free_place(dots[i] * per_unit, half, taken, middle)
        taken.append((place, half))
        axes.text(
            *(place / per_unit), text, fontsize=size, color=colours[i], ha="center", va="center_baseline", zorder=6,
            path_effects=[effects.withStroke(linewidth=1.8, foreground="white", alpha=0.9)],
        )  # fmt: skip


def _free_place(dot: Floats, half: Floats, taken: Sequence[tuple[Floats, Floats]], middle: float) -> Floats:
    """Beside a dot, outward from `middle` if possible, the place where a box of half size `half` hides the least."""
    others, halves = (np.array(column) for column in zip(*taken, strict=True))
    angles = np.deg2rad([0, 45, -45, 90, -90, 135, -135, 180])
    outward = np.array([1.0 if dot[0] >= middle - 1 else -1.0, 1.0])
    best, least = dot, np.inf
    for ring, angle in itertools.product((1.0, 1.6, 2.4), angles):
        place = dot + outward * [np.cos(angle), np.sin(angle)] * (half + 2.6) * ring
        overlap = np.clip(half + halves - np.abs(place - others), 0, None).prod(axis=1).sum() + 4 * (ring - 1)
        if overlap < least - 1e-9:
            best, least = place, overlap
    return best


# -- a skeleton format on the body -----------------------------------------------------------------------------

#: From so many joints on a region gets a close-up; beyond so many rows the names are left out.
_CLOSE_UP, _MOST_ROWS = 4, 60


def _parts() -> dict[str, str]:
    """Landmark -> the part of the body it lies on."""
    listed = {landmark.name: landmark.part for landmark in landmarks().listed}
    return {name: listed.get(name) or listed[mirrored_name(name)] for name in landmarks().names}


def _region(at: Mapping[str, float], parts: Mapping[str, str]) -> str:
    """The region of the body that a placement belongs to: "head", "left hand", ... or "body"."""
    main = max(at, key=lambda name: abs(at[name]))
    part = parts[main]
    if part in ("head", "face"):
        return "head"
    part = "hand" if main.endswith("_wrist") else part
    side = main.partition("_")[0]
    return f"{side} {part}" if part in ("hand", "foot") and side in ("left", "right") else "body"


def _hand_view(points: Floats) -> Floats:
    """The view onto the back of a hand, fingers up."""
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre)
    outward = np.array([np.sign(centre[0]) or 1.0, 0.0, 0.0])
    up = axes[0] * (np.sign(axes[0] @ outward) or 1.0)
    toward = axes[2] * (np.sign(axes[2] @ (outward + [0, 0.3, 0.3])) or 1.0)
    return np.stack([np.cross(up, toward), up, toward])


def _close_up_view(region: str, points: Floats) -> Floats:
    if region.endswith("hand"):
        return _hand_view(points)
    if region.endswith("foot"):  # from the front and above
        return np.array([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])
    return VIEWS["front"]


@styled
def plot_skeleton(format: str | Skeleton) -> Figure:
    """A format on the rest body: from the front, from its left side, and close-ups of head, hand and foot.

    Numbers are the joints' positions in the format. Raises InputError for a format without placements.
    """
    card = skeleton(format)
    points = card.placement @ rest_body().landmarks
    parts = _parts()
    regions = [_region(joint.at, parts) for joint in card.joints]
    alone = len(set(regions)) == 1 and regions[0] != "body"
    close_ups = regions[:1] if alone else [r for r in _REGIONS if regions.count(r) >= _CLOSE_UP]
    rows = _legend_rows(card)
    numbered = len(rows) <= _MOST_ROWS
    body_width = 0.0 if alone else _body_width(points)
    close_up_size = (4.6, 5.4) if alone else (2.2, 5.7 / max(len(close_ups), 2))
    columns = 1 + (numbered and len(rows) > _COLUMN)
    width = 0.5 + body_width + (close_up_size[0] + 0.2) * bool(close_ups) + 1.85 * columns
    figure = _figure(max(width, 5.0), 6.4)
    if not alone:
        elsewhere = {r for c in close_ups for r in (c, c.replace("left", "right"))}
        _body_views(
            figure, card, points, [i for i, r in enumerate(regions) if numbered and r not in elsewhere]
        )
    for place, region in enumerate(close_ups):
        corner = (0.35 + body_width, 5.75 - (place + 1) * close_up_size[1])
        members = [i for i, r in enumerate(regions) if r == region]
        _close_up(figure, corner, close_up_size, card, points, members, region, numbered)
    _legend(
        figure,
        0.5 + body_width + (close_up_size[0] + 0.2) * bool(close_ups),
        rows if numbered else _census(regions),
    )
    _heading(figure, str(card), card.title)
    return figure


#: Millimetres an inch in the views of the whole body.
_BODY_SCALE = 310.0
_REGIONS = ("head", "left hand", "left foot")
#: From so many joints on a region gets a close-up; rows of names in a column; beyond so many rows names are left out.
_CLOSE_UP, _COLUMN, _MOST_ROWS = 4, 32, 64


def _figure(width: float, height: float) -> Figure:
    figure: Figure = need("matplotlib.figure", "plot").Figure(figsize=(width, height))
    return figure


def _heading(figure: Figure, title: str, below: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.3 / width, 1 - 0.22 / height, title, fontsize=12, fontweight="bold", va="top")
    figure.text(0.3 / width, 1 - 0.46 / height, below, fontsize=8, color=QUIET, va="top")


def _body_box(points: Floats) -> tuple[Floats, Floats]:
    return _box(np.concatenate([rest_body().vertices, points]), 30.0)


def _body_width(points: Floats) -> float:
    """Width of the front and the side view together, inches."""
    low, high = _body_box(points)
    return float((high - low)[[0, 2]].sum() / _BODY_SCALE) + 0.15


def _body_views(figure: Figure, card: Skeleton, points: Floats, numbered: Sequence[int]) -> None:
    """The format on the whole body, from the front and from its left."""
    left, sides = 0.2, joint_sides(card)
    for name in ("front", "side"):
        low, high = np.sort(np.stack(_body_box(points)) @ VIEWS[name].T, axis=0)[:, :2]
        axes = _panel(figure, (left, 0.05), low, high, _BODY_SCALE)
        draw_body(axes, VIEWS[name])
        near = [i for i in numbered if name == "front" or sides[i] != "right"]
        _draw_numbered(axes, card, points @ VIEWS[name].T, near, 1.0)
        left += (high - low)[0] / _BODY_SCALE + 0.15


def _close_up(
    figure: Figure,
    corner: tuple[float, float],
    size: tuple[float, float],
    card: Skeleton,
    points: Floats,
    members: Sequence[int],
    region: str,
    numbered: bool,
) -> None:
    """One region of the format, as large as `size` (inches) allows."""
    view = _close_up_view(region, points[members])
    seen = points @ view.T
    low, high = _box(seen[members][:, :2], 35.0)
    room = np.array(size) - [0.0, 0.3]
    scale = float(((high - low) / room).max())
    middle, half = (low + high) / 2, room * scale / 2
    axes = _panel(figure, corner, middle - half, middle + half, scale)
    axes.set_title(region, fontsize=8, fontweight="normal", color=QUIET, pad=3)
    depth = seen[members, 2]
    draw_body(
        axes, view, (depth.min() - 70, depth.max() + 70) if region.endswith("hand") else (-np.inf, np.inf)
    )
    outside = np.ones(len(card), dtype=bool)
    outside[members] = False
    _draw_numbered(axes, card, np.where(outside[:, None], np.nan, seen), members if numbered else [], 0.85)


def _draw_numbered(axes: Axes, card: Skeleton, seen: Floats, numbered: Sequence[int], size: float) -> None:
    """A format's joints (joints, 3) as seen, with the positions of some of them written beside."""
    draw_skeleton(axes, seen[:, :2], card, depth=seen[:, 2], size=size)
    _write_beside(axes, seen[:, :2], {i: str(i) for i in numbered}, card, 6.5)


def _legend_rows(card: Skeleton) -> list[tuple[list[tuple[str, str]], str]]:
    """Rows of the list of names: positions with their colours, and the name that a pair shares."""
    partner, rows = card.mirror_index, []
    sides = joint_sides(card)
    lefts = {left for left, _ in card.mirror}
    for i, name in enumerate(card.names):
        if partner[i] == i:
            rows.append(([(str(i), COLOURS[sides[i]])], name))
        elif name in lefts:
            both = [(str(i), COLOURS["left"]), (str(partner[i]), COLOURS["right"])]
            rows.append((both, name.removeprefix("left_")))
    return rows


def _census(regions: Sequence[str]) -> list[tuple[list[tuple[str, str]], str]]:
    """In place of the names of a large format: how many joints lie where."""
    counts = {region: regions.count(region) for region in dict.fromkeys(regions)}
    return [([(str(count), COLOURS["centre"])], region) for region, count in counts.items()]


def _legend(figure: Figure, left: float, rows: Sequence[tuple[list[tuple[str, str]], str]]) -> None:
    width, height = figure.get_size_inches()
    slots = max(len(numbers) for numbers, _ in rows)
    for place, (numbers, name) in enumerate(rows):
        column, line = divmod(place, _COLUMN)
        x, y = left + 1.85 * column, height - 0.85 - 0.168 * line
        for slot, (number, colour) in enumerate(numbers):
            where = {"x": (x + 0.2 + 0.24 * slot) / width, "y": y / height}
            figure.text(s=number, color=colour, ha="right", fontsize=7, fontweight="bold", **where)
        figure.text((x + 0.04 + 0.24 * slots) / width, y / height, name, fontsize=7)


# -- poses -----------------------------------------------------------------------------------------------------


def pose_axes(points: ArrayLike, card: Skeleton, up: str | None = None) -> Floats:
    """The axes of recorded poses: a rotation (3, 3), rows are the body's left, up and forward in the data's axes.

    points (..., joints, 3). up: "x", "y", "z" or one of these with a minus sign; where it is not given it is the axis
    along which heads are farthest from feet on average. Left is the mean direction from right to left joints.
    """
    flat = np.asarray(points, dtype=float).reshape(-1, len(card), 3)
    vertical = _named_axis(up) if up else np.eye(3)[up_axis(flat, card)[0]] * up_axis(flat, card)[1]
    across = np.zeros(3)
    for left, right in card.mirror:
        step = flat[:, card.index(left)] - flat[:, card.index(right)]
        across += np.nan_to_num(np.nanmean(step, axis=0)) if np.isfinite(step).any() else 0.0
    across -= (across @ vertical) * vertical
    if np.linalg.norm(across) < 1e-9:
        across = np.roll(vertical, 1)
    across /= np.linalg.norm(across)
    return np.stack([across, vertical, np.cross(across, vertical)])


def _named_axis(name: str) -> Floats:
    if name.lstrip("+-") not in ("x", "y", "z"):
        raise InputError(
            "up", expected="'x', 'y' or 'z', with a minus sign where it points down", got=repr(name)
        )
    return np.eye(3)["xyz".index(name[-1])] * (-1.0 if name.startswith("-") else 1.0)


_HIGH = ("head", "nose", "eye", "ear", "neck", "shoulder", "thorax", "chest")
_LOW = ("hip", "pelvis", "knee", "ankle", "foot", "heel", "toe")


def up_axis(points: Floats, card: Skeleton) -> tuple[int, float]:
    """Which coordinate points up in the data, and its sign: (position, +1 or -1); points (frames, joints, dims).

    Image-like (the second coordinate points down) where the joints do not tell.
    """
    high = [i for i, name in enumerate(card.names) if any(word in name for word in _HIGH)]
    low = [i for i, name in enumerate(card.names) if any(word in name for word in _LOW)]
    if not (np.isfinite(points[:, high]).any() and np.isfinite(points[:, low]).any()):
        return 1, -1.0
    rise = np.nanmean(points[:, high], axis=(0, 1)) - np.nanmean(points[:, low], axis=(0, 1))
    axis = int(np.abs(rise).argmax()) if points.shape[-1] == 3 else 1
    return axis, float(np.sign(rise[axis]) or -1.0)


def _seen(points: Floats, card: Skeleton, view: ViewName, up: str | None) -> Floats:
    """Poses (frames, joints, 2 or 3) as a viewer sees them: right, up and, in 3D, towards the viewer."""
    if points.shape[-1] == 3:
        return points @ (VIEWS[view] @ pose_axes(points, card, up)).T
    sign = float(_named_axis(up)[1]) if up else up_axis(points, card)[1]
    return points * [1.0, sign]


@styled
def plot_poses(
    poses: Poses,
    frame: int | None = None,
    view: ViewName | None = None,
    up: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw recorded poses: one `frame`, or up to eight frames spread over the recording.

    3D poses are drawn in parallel projection; one frame from the front and from its left unless `view` names one
    view, several frames obliquely. up: which axis of the data points up ("z", "-y", ...), found from the joints
    where it is not given. axes: draw one frame (the first), in one view, into these axes.

    Raises InputError for a frame that does not exist, or where no joint is present.
    """
    points, card = _frames(poses), poses.skeleton
    if frame is not None and not -len(points) <= frame < len(points):
        raise InputError("frame", expected=f"a number below {len(points)}", got=frame)
    if axes is not None:
        _draw_pose(axes, _seen(points, card, view or "front", up)[frame or 0], card)
        axes.autoscale_view()
        return axes.get_figure(root=True)
    if frame is None and len(points) > 1:
        return plot_rows({str(card): poses}, view=view or "oblique", up=up)
    views: list[ViewName] = [view or "front"] if view or points.shape[-1] == 2 else ["front", "side"]
    seen = [_seen(points, card, name, up)[frame or 0] for name in views]
    figure = _grid([seen], [card], [""])
    _heading(figure, str(card), f"frame {frame or 0} of {len(points)}")
    return figure


@styled
def plot_rows(
    rows: Mapping[str, Poses],
    frames: Sequence[int] | None = None,
    view: ViewName = "oblique",
    up: str | None = None,
    bodies: tuple[Floats, NDArray[np.integer]] | None = None,
) -> Figure:
    """A contact sheet: one row for each titled recording, the same moments side by side, at one scale.

    frames: which moments, eight spread over the recording where not given. The first row decides what is up and where
    the viewer stands. bodies: meshes to draw underneath, vertices (len(frames), V, 3) in the data's axes and
    triangles (F, 3).
    """
    first = next(iter(rows.values()))
    points = _frames(first)
    moments = (
        np.unique(np.linspace(0, len(points) - 1, 8).astype(int)) if frames is None else np.asarray(frames)
    )
    if points.shape[-1] == 3:
        turn = VIEWS[view] @ pose_axes(points, first.skeleton, up)
    else:
        turn = np.diag([1.0, float(_named_axis(up)[1]) if up else up_axis(points, first.skeleton)[1]])
    seen = [list(_frames(poses)[moments] @ turn.T) for poses in rows.values()]
    meshes = None if bodies is None else (bodies[0] @ turn.T, bodies[1])
    return _grid(seen, [poses.skeleton for poses in rows.values()], list(rows), meshes)


def _frames(poses: Poses) -> Floats:
    """The points as (frames, joints, dims); InputError where no joint is present."""
    points = np.asarray(poses.points, dtype=float)
    if not np.isfinite(points).any():
        raise InputError(
            "the poses to draw", expected="at least one joint present", got="only missing joints"
        )
    return points.reshape(-1, *points.shape[-2:])


def _grid(
    seen: Sequence[Sequence[Floats]],
    cards: Sequence[Skeleton],
    titles: Sequence[str],
    meshes: tuple[Floats, NDArray[np.integer]] | None = None,
) -> Figure:
    """Poses as seen, seen[row][column] (joints, 2 or 3), in cells of one scale."""
    middles = [_middle(pose) for pose in seen[0]]
    spread = [pose[:, :2] - middle for row in seen for pose, middle in zip(row, middles, strict=True)]
    low, high = _box(np.concatenate(spread), 0.0)
    low, high = low - 0.08 * (high - low).max(), high + 0.08 * (high - low).max()
    scale = (high - low)[1] / (4.6 if len(seen) == 1 and len(middles) <= 2 else 2.1)
    cell = (high - low) / scale
    left, top = 0.3 + (0.95 if len(seen) > 1 else 0.0), 0.7
    figure = _figure(left + max(len(middles) * cell[0], 2.5) + 0.2, len(seen) * cell[1] + top)
    for r, (row, card, title) in enumerate(zip(seen, cards, titles, strict=True)):
        bottom = (len(seen) - 1 - r) * cell[1]
        for c, (pose, middle) in enumerate(zip(row, middles, strict=True)):
            axes = _panel(figure, (left + c * cell[0], bottom), low + middle, high + middle, scale)
            if meshes is not None:
                draw_mesh(axes, meshes[0][c], meshes[1])
            _draw_pose(axes, pose, card, 0.9 if len(seen) == 1 else 0.75)
        if len(seen) > 1:
            width, height = figure.get_size_inches()
            figure.text(0.3 / width, (bottom + cell[1] / 2) / height, title, fontweight="bold", va="center")
    return figure


def _middle(pose: Floats) -> Floats:
    low, high = _box(pose[:, :2], 0.0) if np.isfinite(pose).any() else (np.zeros(2), np.zeros(2))
    return (low + high) / 2


def _draw_pose(axes: Axes, seen: Floats, card: Skeleton, size: float = 1.0) -> None:
    draw_skeleton(axes, seen[:, :2], card, depth=seen[:, 2] if seen.shape[1] == 3 else None, size=size)
    axes.set_aspect("equal")


@styled
def plot_on_image(
    image: NDArray, layers: Mapping[str, tuple[ArrayLike, Skeleton]], columns: int = 4
) -> Figure:
    """The same picture once for each titled layer, with a pose drawn on it; poses (joints, 2) in pixels."""
    height, width = np.shape(image)[:2]
    columns = min(columns, len(layers))
    rows = -(-len(layers) // columns)
    cell = np.array([2.6, 2.6 * height / width + 0.3])
    figure = _figure(columns * (cell[0] + 0.1) + 0.1, rows * cell[1] + 0.1)
    for place, (title, (points, card)) in enumerate(layers.items()):
        row, column = divmod(place, columns)
        corner = (0.1 + column * (cell[0] + 0.1), 0.1 + (rows - 1 - row) * cell[1])
        axes = _panel(
            figure, corner, np.array([0.0, 0.0]), np.array([width, height], dtype=float), width / cell[0]
        )
        axes.imshow(image, extent=(0, width, height, 0), alpha=0.82)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_title(title, pad=4)
        draw_skeleton(axes, points, card, size=0.85, halo=True)
    return figure


# -- conversions -----------------------------------------------------------------------------------------------


@styled
def plot_weights(converter: Converter) -> Figure:
    """A conversion as a matrix, rows are target joints and columns source joints, with both formats on the body.

    Green weights are positive, purple ones negative, absent ones blank. The names of joints that are the same point in
    both formats are bold; the rows of those that cannot be estimated are grey.
    """
    weights = converter.weights.toarray()
    count = np.array(weights.shape[::-1])
    cell = float(np.clip((9.0 / count).min(), 0.045, 0.27))
    wide, high = count * cell
    low_corner, high_corner = (corner[:2] for corner in _body_box(np.zeros((1, 3))))
    beneath = wide > 1.6 * high  # a wide matrix has the bodies beneath it, a tall one beside it
    body = 3.6 if beneath else max((high + 0.9) / 2, 2.9)
    body_width = (high_corner - low_corner)[0] / (high_corner - low_corner)[1] * (body - 0.4)
    names, top = 1.55, 1.85
    figure = _figure(
        names + (max(wide, 2.4 * body_width) + 0.3 if beneath else wide + body_width + 0.8),
        top + (high + body + 0.5 if beneath else max(high, 2 * body - 0.9) + 0.3),
    )
    bottom = figure.get_size_inches()[1] - top - high
    axes = _panel(figure, (names, bottom), np.zeros(2), count.astype(float), 1 / cell)
    _draw_matrix(axes, weights, converter, cell)
    for place, card in enumerate((converter.source, converter.target)):
        corner = (names + 1.2 * place * body_width, bottom - body - 0.2)
        if not beneath:
            corner = (names + wide + 0.5, figure.get_size_inches()[1] - 0.8 - (place + 1) * body)
        panel = _panel(figure, corner, low_corner, high_corner, (high_corner - low_corner)[1] / (body - 0.4))
        panel.set_title(f"{('from', 'to')[place]} {card}", pad=5)
        draw_body(panel, VIEWS["front"])
        points = card.placement @ rest_body().landmarks
        draw_skeleton(panel, points[:, :2], card, depth=points[:, 2], size=0.8)
    _heading(figure, f"{converter.source}  →  {converter.target}", _WEIGHTS_KEY)
    return figure


_WEIGHTS_KEY = (
    "rows: target joints, columns: source joints  ·  bold: the same point  ·  grey rows: not estimable"
)


def _draw_matrix(axes: Axes, weights: Floats, converter: Converter, cell: float) -> None:
    """The weights in a grid of cells, the first target joint on top."""
    targets, sources = weights.shape
    image = np.ma.masked_equal(weights, 0)
    axes.set_axis_on()
    axes.spines[:].set_color(FAINT)
    axes.pcolormesh(
        np.arange(sources + 1), np.arange(targets + 1), image, cmap="PRGn", vmin=-1, vmax=1, zorder=1,
        edgecolors=FAINT if cell > 0.1 else "none", linewidth=0.3,
    )  # fmt: skip
    axes.set(xlim=(0, sources), ylim=(targets, 0))
    size = float(np.clip(cell * 72 * 0.8, 2.2, 7.0))
    axes.set_xticks(np.arange(sources) + 0.5, converter.source.names, rotation=90, fontsize=size)
    axes.set_yticks(np.arange(targets) + 0.5, converter.target.names, fontsize=size)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=3)
    for labels, card in (
        (axes.get_xticklabels(), converter.source),
        (axes.get_yticklabels(), converter.target),
    ):
        for label, side in zip(labels, joint_sides(card), strict=True):
            label.set_color(COLOURS[side])
    for row, (label, status) in enumerate(zip(axes.get_yticklabels(), converter.status, strict=True)):
        if status == "same point":
            label.set_fontweight("bold")
        elif status == "not estimable":
            label.set_color("#B4BAC2")
            axes.axhspan(row, row + 1, color="#F1F3F5", zorder=2)
    if cell > 0.2:
        for row, column in zip(*np.nonzero(np.abs(weights) >= 0.005), strict=True):
            value = weights[row, column]
            text = f"{value:.2f}".replace("0.", ".").replace("-", "−")
            ink = "white" if abs(value) > 0.6 else INK
            axes.text(
                column + 0.5, row + 0.5, text, fontsize=5.2, color=ink, ha="center", va="center", zorder=1.5
            )


@styled
def plot_errors(converter: Converter) -> Figure:
    """The expected error of every target joint, mm on a body of 1.7 m, and what it comes from.

    Independent parts add in squares, so a bar is as long as the total and is divided by the squares of its parts.
    """
    total = np.asarray(converter.expected_error)
    names = converter.target.names
    figure, axes = _bars(len(names), f"{converter.source}  →  {converter.target}: expected error")
    start = np.zeros(len(names))
    for part, colour in PART_COLOURS.items():
        length = np.divide(
            getattr(converter, f"{part}_error") ** 2, total, out=np.zeros(len(names)), where=total > 0
        )
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

    errors: method -> (joints,), NaN where the method gives nothing. expected (joints,): drawn as a mark on the last
    method's bars.
    """
    figure, axes = _bars(len(names), title)
    thick = 0.76 / len(errors)
    for place, ((method, values), colour) in enumerate(
        zip(errors.items(), ("#B9C0C9", "#009E73", *CYCLE), strict=False)
    ):
        rows = np.arange(len(names)) - 0.38 + thick * (place + 0.5)
        lengths = np.asarray(values, dtype=float)
        axes.barh(rows, np.nan_to_num(lengths), height=thick * 0.92, color=colour, label=method)
        for row in np.flatnonzero(np.isnan(lengths)):
            axes.text(0, rows[row], f"  no {method}", fontsize=5.5, color=QUIET, va="center")
    if expected is not None:
        axes.plot(expected, rows, "|", color=INK, markersize=7, markeredgewidth=1.4, label="expected")
    _finish_bars(axes, names, unit)
    return figure


def _bars(count: int, title: str) -> tuple[Figure, Axes]:
    """A figure for horizontal bars, one line for each of `count` names."""
    height = 0.19 * count + 1.15
    figure = _figure(6.2, height)
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


@styled
def plot_namesakes(word: str, formats: Sequence[str | Skeleton]) -> Figure:
    """Where several formats put the joints they call by the same name: `word`, left_`word` and right_`word`.

    The rest body from the front and from its left; formats that share a place share a colour and a line of the key,
    with the distance from left to right. Formats without such a joint are left out; InputError if none has one.
    """
    places: dict[tuple[float, ...], list[str]] = {}
    for card in map(skeleton, formats):
        rows = [card.index(name) for name in (word, f"left_{word}", f"right_{word}") if name in card.names]
        if rows:
            points = card.placement[rows] @ rest_body().landmarks
            places.setdefault(tuple((np.round(points) + 0.0).ravel()), []).append(str(card))
    if not places:
        raise InputError(
            f"the joint {word!r}", expected="a joint of one of the formats", got="none of that name"
        )
    spots = [np.reshape(place, (-1, 3)) for place in places]
    extent = np.concatenate(spots)
    half = max(np.ptp(extent, axis=0).max() / 2 + 80, 150.0)
    figure = _figure(9.8, 3.9)
    for left, name in ((0.3, "front"), (3.5, "side")):
        middle = ((extent.min(0) + extent.max(0)) / 2) @ VIEWS[name].T
        axes = _panel(figure, (left, 0.15), middle[:2] - half, middle[:2] + half, 2 * half / 3.1)
        draw_body(axes, VIEWS[name])
        for order, (points, colour) in enumerate(zip(spots, itertools.cycle(CYCLE), strict=False)):
            seen = points @ VIEWS[name].T
            size = 30 + 70 * (1 - order / len(spots)) ** 2
            axes.scatter(
                *seen[:, :2].T,
                s=size,
                color=colour,
                edgecolors="white",
                linewidths=0.8,
                zorder=5 + order / 99,
            )
    _key(
        figure,
        6.8,
        [(colour, label) for colour, label in zip(itertools.cycle(CYCLE), _shared(places), strict=False)],
    )
    _heading(figure, f"“{word}” in {sum(map(len, places.values()))} formats", "on one body of 1.7 m")
    return figure


def _shared(places: Mapping[tuple[float, ...], list[str]]) -> list[str]:
    """A line for each place: how far apart left and right are, and the formats that share it."""
    lines = []
    for place, users in places.items():
        points = np.reshape(place, (-1, 3))
        width = f"{np.linalg.norm(points[0] - points[1]):.0f} mm  " if len(points) == 2 else ""
        others = f" and {len(users) - 2} more" if len(users) > 2 else ""
        lines.append(f"{width}{', '.join(users[:2])}{others}")
    return lines


def _key(figure: Figure, left: float, lines: Sequence[tuple[str, str]]) -> None:
    width, height = figure.get_size_inches()
    for place, (colour, text) in enumerate(lines):
        y = (height - 0.8 - 0.2 * place) / height
        figure.text(left / width, y, "●", color=colour, fontsize=9, va="center")
        figure.text((left + 0.18) / width, y, text, fontsize=7.5, va="center")
