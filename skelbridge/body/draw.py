"""Pictures of the virtual body beside its motion file: `python -m skelbridge.body.draw CLIP PNG`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.hierarchy import find_joints
from skelbridge.body.model import VirtualBody, middle_shapes
from skelbridge.body.motions import at_frames, read_motion
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.body.rotations import Floats, about
from skelbridge.errors import need
from skelbridge.io.motion import Motion

SKIN = np.array([0.82, 0.66, 0.55])
LIGHT = np.array([0.35, 0.5, 0.8])
VIEWS = {"front": 0.0, "side": -np.pi / 2}


def draw_mesh(axes: Any, vertices: Floats, triangles: NDArray[np.int64], yaw: float = 0.0) -> None:
    """Draw a mesh (vertices, 3) on matplotlib axes, seen from where its z axis points, turned by `yaw`
    radians.

    Far triangles first, each shaded by its angle to the light (Lambert).
    """
    collections = need("matplotlib.collections", "plot")
    corners = (vertices @ about(np.array([0.0, 1, 0]), yaw).T)[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    seen = np.flatnonzero(normals[:, 2] > 0)
    seen = seen[np.argsort(corners[seen, :, 2].mean(axis=1))]
    shade = 0.35 + 0.65 * np.clip(normals[seen] @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    colours = np.clip(shade[:, None] * SKIN * 1.15, 0, 1)
    axes.add_collection(
        collections.PolyCollection(corners[seen, :, :2], facecolors=colours, edgecolors=colours, lw=0.2)
    )
    _frame_axes(axes, corners[..., :2].reshape(-1, 2))


def draw_sticks(axes: Any, points: Floats, parents: NDArray[np.intp], yaw: float = 0.0) -> None:
    """Draw a stick figure (joints, 3) on matplotlib axes, seen as in `draw_mesh`."""
    turned = points @ about(np.array([0.0, 1, 0]), yaw).T
    for joint, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*turned[[parent, joint], :2].T, color="0.3", lw=1.2)
    axes.plot(*turned[:, :2].T, ".", color="0.1", ms=2)
    _frame_axes(axes, turned[:, :2])


def _frame_axes(axes: Any, points: Floats) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.55 * max(high[1] - low[1], high[0] - low[0])
    axes.set_xlim((low[0] + high[0]) / 2 - half, (low[0] + high[0]) / 2 + half)
    axes.set_ylim((low[1] + high[1]) / 2 - half, (low[1] + high[1]) / 2 + half)
    axes.set_aspect("equal")
    axes.axis("off")


def draw_retargeting(motion_path: str | Path, out: str | Path, frames: int = 6) -> None:
    """Draw some frames of a clip, the file's joints above, the virtual body below, from front and side."""
    motion = read_motion(motion_path)
    chosen = np.linspace(0, len(motion) - 1, frames + 1).astype(int)[1:]
    motion = at_frames(upright(motion, find_joints(motion)), chosen)
    body = VirtualBody()
    figure = draw_poses(body, retarget(motion, body), motion)
    figure.suptitle(
        f"{Path(motion_path).name}: frames {', '.join(str(frame) for frame in chosen)}", fontsize=9
    )
    figure.savefig(out, dpi=110)


def draw_poses(body: VirtualBody, poses: Floats, motion: Motion | None = None) -> Any:
    """A figure of the middle adult in poses (frames, bones, 3, 3), below the motion that they are from."""
    figure_class = need("matplotlib.figure", "plot").Figure
    rows = len(VIEWS) * (1 if motion is None else 2)
    figure = figure_class(figsize=(2.4 * len(poses), 2.4 * rows), layout="constrained")
    grid = figure.subplots(rows, len(poses), squeeze=False)
    shape = middle_shapes(1)
    sticks = None if motion is None else motion.positions()
    for column, pose in enumerate(poses):
        vertices = body.mesh(pose, shape)
        for view, yaw in enumerate(VIEWS.values()):
            draw_mesh(grid[rows - len(VIEWS) + view, column], vertices, body.triangles, yaw)
            if motion is not None and sticks is not None:
                draw_sticks(grid[view, column], sticks[column], motion.parents, yaw)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Draw a motion file beside the virtual body that does the same."
    )
    parser.add_argument("clip", help="a BVH or AMC file (with its ASF beside it)")
    parser.add_argument("out", help="the PNG to write")
    arguments = parser.parse_args()
    draw_retargeting(arguments.clip, arguments.out)
