"""Recorded poses: one moment, a contact sheet, or on a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError, need
from skelbridge.plot.ink import (
    VIEWS,
    Floats,
    ViewName,
    box,
    canvas,
    draw_mesh,
    draw_skeleton,
    figure_of,
    heading,
    panel,
    styled,
)  # fmt: skip
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skelbridge.poses import Poses


@styled
def plot_poses(
    poses: Poses,
    frame: int | None = None,
    view: ViewName | None = None,
    up: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw recorded poses: one `frame`, or up to eight frames spread over the recording.

    3D poses are drawn in parallel projection; one frame from the front and from its left unless `view`
    names one view, several frames obliquely. up: which axis of the data points up ("z", "-y", ...), found
    from the joints where it is not given. axes: draw one frame (the first), in one view, into these axes.

    Raises InputError for a frame that does not exist, or where no joint is present.
    """
    points, card = _frames(poses), poses.skeleton
    if frame is not None and not -len(points) <= frame < len(points):
        raise InputError("frame", expected=f"a number below {len(points)}", got=frame)
    if axes is not None:
        _draw_pose(axes, _seen(points, card, view or "front", up)[frame or 0], card)
        axes.autoscale_view()
        return figure_of(axes)
    if frame is None and len(points) > 1:
        figure = plot_rows({str(card): poses}, view=view or "oblique", up=up)
        heading(figure, str(card), f"{len(points)} frames")
        return figure
    views: list[ViewName] = [view or "front"] if view or points.shape[-1] == 2 else ["front", "side"]
    seen = [_seen(points, card, name, up)[frame or 0] for name in views]
    figure = _grid([seen], [card], [""])
    heading(figure, str(card), f"frame {frame or 0} of {len(points)}")
    return figure


@styled
def plot_rows(
    rows: Mapping[str, Poses],
    frames: Sequence[int] | None = None,
    view: ViewName = "oblique",
    up: str | None = None,
    body: Floats | None = None,
) -> Figure:
    """A contact sheet: one row for each titled recording, the same moments side by side, at one scale.

    frames: which moments, eight spread over the recording where not given. The first row decides what is up
    and where the viewer stands. body: all landmarks of the person (frames, landmarks, 3), in the poses'
    axes and in mm, where they are known: the body is drawn underneath.
    """
    first = next(iter(rows.values()))
    points = _frames(first)
    moments = _spread(len(points), 8) if frames is None else np.asarray(frames)
    if points.shape[-1] == 3:
        turn = VIEWS[view] @ pose_axes(points, first.skeleton, up)
    else:
        turn = np.diag([1.0, float(_named_axis(up)[1]) if up else up_axis(points, first.skeleton)[1]])
    seen = [list(_frames(poses)[moments] @ turn.T) for poses in rows.values()]
    bodies = [] if body is None else [posed_body(body[moment]) @ turn.T for moment in moments]
    return _grid(seen, [poses.skeleton for poses in rows.values()], list(rows), bodies)


@styled
def plot_on_image(image: NDArray, layers: Mapping[str, tuple[ArrayLike, Skeleton]], columns: int = 4) -> Figure:
    """The same picture once for each titled layer, with a pose drawn on it; poses (joints, 2) in pixels."""
    height, width = np.shape(image)[:2]
    columns = min(columns, len(layers))
    rows = -(-len(layers) // columns)
    cell = np.array([2.6, 2.6 * height / width + 0.3])
    figure = canvas(columns * (cell[0] + 0.1) + 0.1, rows * cell[1] + 0.1)
    for place, (title, (points, card)) in enumerate(layers.items()):
        row, column = divmod(place, columns)
        corner = (0.1 + column * (cell[0] + 0.1), 0.1 + (rows - 1 - row) * cell[1])
        axes = panel(figure, corner, np.array([0.0, 0.0]), np.array([width, height], dtype=float), width / cell[0])
        axes.imshow(image, extent=(0, width, height, 0), alpha=0.82)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_title(title, pad=4)
        draw_skeleton(axes, points, card, size=0.85, halo=True)
    return figure


def pose_axes(points: ArrayLike, card: Skeleton, up: str | None = None) -> Floats:
    """The body's left, up and forward in the axes of recorded poses: the rows of a rotation (3, 3).

    points (..., joints, 3). up: "x", "y", "z" or one of these with a minus sign; where it is not given it
    is the axis along which heads are farthest from feet on average. Left is the mean direction from right
    to left joints.
    """
    flat = np.asarray(points, dtype=float).reshape(-1, len(card), 3)
    vertical = _named_axis(up) if up else np.eye(3)[up_axis(flat, card)[0]] * up_axis(flat, card)[1]
    across = np.zeros(3)
    for left, right in card.mirror:
        step = flat[:, card.index(left)] - flat[:, card.index(right)]
        across += np.nan_to_num(np.nanmean(step, axis=0)) if np.isfinite(step).any() else 0.0
    across -= (across @ vertical) * vertical
    if np.linalg.norm(across) < 1e-9:
        across = np.roll(vertical, -1)
    across /= np.linalg.norm(across)
    return np.stack([across, vertical, np.cross(across, vertical)])


def _named_axis(name: str) -> Floats:
    if name.lstrip("+-") not in ("x", "y", "z"):
        raise InputError("up", expected="'x', 'y' or 'z', with a minus sign where it points down", got=repr(name))
    return np.eye(3)["xyz".index(name[-1])] * (-1.0 if name.startswith("-") else 1.0)


#: Parts of names that tell high joints of a standing person from low ones.
_HIGH = ("head", "nose", "eye", "neck", "shoulder", "thorax", "chest", "collar", "clavicle")
_LOW = ("hip", "pelvis", "thigh", "knee", "shin", "ankle", "foot", "heel", "toe")


def up_axis(points: Floats, card: Skeleton) -> tuple[int, float]:
    """Which coordinate points up, and its sign: (position, +1 or -1); points (frames, joints, dims).

    Where the joints do not tell, it is the second one, up in 3D and down in 2D, as motion files and images
    have it.
    """
    names = [name.lower() for name in card.names]
    high, low = ([i for i, name in enumerate(names) if any(w in name for w in words)] for words in (_HIGH, _LOW))
    if not (np.isfinite(points[:, high]).any() and np.isfinite(points[:, low]).any()):
        return 1, 1.0 if points.shape[-1] == 3 else -1.0
    rise = np.nanmean(points[:, high], axis=(0, 1)) - np.nanmean(points[:, low], axis=(0, 1))
    axis = int(np.abs(rise).argmax()) if points.shape[-1] == 3 else 1
    return axis, float(np.sign(rise[axis]) or -1.0)


def _seen(points: Floats, card: Skeleton, view: ViewName, up: str | None) -> Floats:
    """Poses (frames, joints, 2 or 3) as a viewer sees them: right, up and, in 3D, towards the viewer."""
    if points.shape[-1] == 3:
        return points @ (VIEWS[view] @ pose_axes(points, card, up)).T
    sign = float(_named_axis(up)[1]) if up else up_axis(points, card)[1]
    return points * [1.0, sign]


def posed_body(posed: Floats, near: int = 24) -> Floats:
    """The rest body's mesh moved along with its landmarks, (vertices, 3).

    posed: all landmarks in a pose, (landmarks, 3). Every vertex follows the rigid motion that fits the
    landmarks around it best, the nearer the more (moving least squares: Schaefer, McPhail and Warren 2006;
    rigid in 3D: Zhu and Gortler 2007).
    """
    rest = rest_body()
    tree = need("scipy.spatial", "plot").cKDTree(rest.landmarks)
    distance, chosen = tree.query(rest.vertices, near)
    weights = 1.0 / (distance**2 + 100.0) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    before, after = rest.landmarks[chosen], posed[chosen]
    centre, moved = (np.einsum("vk,vki->vi", weights, points) for points in (before, after))
    before, after = before - centre[:, None], after - moved[:, None]
    u, _, vt = np.linalg.svd(np.einsum("vk,vki,vkj->vij", weights, before, after))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.einsum("vi,vij->vj", rest.vertices - centre, u @ vt) + moved


def _spread(count: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, most).astype(np.intp))


def _frames(poses: Poses) -> Floats:
    """The points as (frames, joints, dims); InputError where no joint is present."""
    points = np.asarray(poses.points, dtype=float)
    if not np.isfinite(points).any():
        raise InputError("the poses to draw", expected="at least one joint present", got="only missing joints")
    return points.reshape(-1, *points.shape[-2:])


def _grid(
    seen: Sequence[Sequence[Floats]],
    cards: Sequence[Skeleton],
    titles: Sequence[str],
    bodies: Sequence[Floats] = (),
) -> Figure:
    """Poses as seen, seen[row][column] (joints, 2 or 3), in cells of one scale; a body for each column."""
    middles = [_middle(pose) for pose in (bodies or seen[0])]
    spread = [pose[:, :2] - middle for row in [*seen, bodies] for pose, middle in zip(row, middles, strict=False)]
    low, high = box(np.concatenate(spread), 0.0)
    margin = 0.03 * (high - low).max()
    low, high = low - margin, high + margin
    single = len(seen) == 1 and len(middles) <= 2
    scale = (high - low)[1] / (4.6 if single else 2.1)
    cell = (high - low) / scale
    left, top = (0.2, 0.7) if len(seen) == 1 else (1.5, 0.15)
    figure = canvas(left + max(len(middles) * cell[0], 2.5) + 0.1, len(seen) * cell[1] + top)
    width, height = figure.get_size_inches()
    for r, (row, card, title) in enumerate(zip(seen, cards, titles, strict=True)):
        bottom = (len(seen) - 1 - r) * cell[1] + 0.05
        for c, (pose, middle) in enumerate(zip(row, middles, strict=True)):
            axes = panel(figure, (left + c * cell[0], bottom), low + middle, high + middle, scale)
            if bodies:
                draw_mesh(axes, bodies[c], rest_body().triangles)
            _draw_pose(axes, pose, card, 1.0 if single else 0.8)
        if len(seen) > 1:
            figure.text(0.15 / width, (bottom + cell[1] / 2) / height, title, fontweight="bold", va="center")
    return figure


def _middle(pose: Floats) -> Floats:
    low, high = box(pose[:, :2], 0.0) if np.isfinite(pose).any() else (np.zeros(2), np.zeros(2))
    return (low + high) / 2


def _draw_pose(axes: Axes, seen: Floats, card: Skeleton, size: float = 1.0) -> None:
    draw_skeleton(axes, seen[:, :2], card, depth=seen[:, 2] if seen.shape[1] == 3 else None, size=size)
    axes.set_aspect("equal")
