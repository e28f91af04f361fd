"""Motion files beside the virtual body that does the same: does it look like the recorded person?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.hierarchy import find_joints
from skelbridge.body.model import VirtualBody, middle_shapes
from skelbridge.body.motions import at_frames, read_motion
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.plot.ink import box, canvas, draw_mesh

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Rows of the picture: right, up and towards the viewer in the body's axes.
VIEWS = (np.eye(3), np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]))


def plot_retargeting(clip: str | Path, frames: int = 6) -> Figure:
    """Some frames of a BVH or AMC file, its joints above, the virtual body below, from the front and its left.

    Needs skelbridge[body]. Raises FileFormatError for a damaged file, InputError for a hierarchy that is not known.
    """
    motion = read_motion(clip)
    chosen = np.linspace(0, len(motion) - 1, frames + 1).astype(int)[1:]
    motion = at_frames(upright(motion, find_joints(motion)), chosen)
    body, shape = VirtualBody(), middle_shapes(1)
    figure = canvas(2.4 * frames, 2.4 * 2 * len(VIEWS))
    grid = figure.subplots(2 * len(VIEWS), frames, squeeze=False)
    for column, (pose, sticks) in enumerate(zip(retarget(motion, body), motion.positions(), strict=True)):
        vertices = body.mesh(pose, shape)
        for row, view in enumerate(VIEWS):
            _draw_sticks(grid[row, column], sticks @ view.T, motion.parents)
            draw_mesh(grid[len(VIEWS) + row, column], vertices @ view.T, body.triangles)
            _show(grid[len(VIEWS) + row, column], vertices @ view.T)
    figure.suptitle(f"{Path(clip).name}: frames {', '.join(map(str, chosen))}", fontsize=9)
    return figure


def _draw_sticks(axes: Axes, points: NDArray, parents: NDArray[np.intp]) -> None:
    for joint, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*points[[parent, joint], :2].T, color="0.3", lw=1.2)
    axes.plot(*points[:, :2].T, ".", color="0.1", ms=2)
    _show(axes, points)


def _show(axes: Axes, points: NDArray) -> None:
    low, high = box(points[:, :2], 0.0)
    middle, half = (low + high) / 2, 0.55 * max(high - low)
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
    axes.set_axis_off()
