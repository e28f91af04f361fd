"""JTA (Joint Track Auto): crowds in a video game's streets, tracked behind every occlusion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array, load
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.store.samples import Samples, Visibility

SIZE = (1920, 1080)
_BLOCK = 4000

Floats = NDArray[np.float64]


class Jta(Reader):
    """Every person of every frame, also behind others and outside the picture; in the camera's axes, no world."""

    id = "jta"
    skeletons = ("jta_22",)
    choices = {  # noqa: RUF012
        "focal": Choice(1158.0, "focal length in pixels; 1158 is the README's, 1167 has been used as well"),
    }

    def parts(self) -> list[Part]:
        return [
            Part("/".join(PurePosixPath(path).parts[1:]).removesuffix(".json"), path.split("/")[1], (path,))
            for path in self.tree.require("annotations/*/seq_*.json", "JTA's annotations")
        ]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        rows = array(self.tree.root / path, "rows", load(self.tree, path), (None, 10), missing=True)
        focal = float(self.settings["focal"])
        camera = Camera(pinhole(focal, focal, SIZE[0] / 2, SIZE[1] / 2))
        frame, person, table = _people(self.tree.root / path, rows)
        points, flat = self._upright(1000 * table[..., 2:5], table[..., :2], camera), table[..., :2]
        hidden = table[..., 5] > 0  # by others; what the own body hides counts as seen, as in the paper's rule
        given = np.isfinite(points).all(axis=-1)
        shown = ((flat >= 0) & (flat < np.array(SIZE))).all(axis=-1) & (points[..., 2] > 0) & ~hidden
        visibility = np.select(
            [~given, shown], [int(Visibility.MISSING), int(Visibility.VISIBLE)], int(Visibility.OCCLUDED)
        )
        kept = np.flatnonzero(np.isfinite(points).all(axis=-1).any(axis=-1))
        for start in range(0, len(kept), _BLOCK):
            rows_now = kept[start : start + _BLOCK]
            yield Samples.of(
                self.skeleton,
                points=points[rows_now],
                points2d=flat[rows_now],
                visibility=visibility[rows_now],
                camera=camera,
                frame=frame[rows_now],
                person=person[rows_now],
                image=f"videos/{part.key}.mp4",
                video_frame=frame[rows_now] - 1,
                image_size=SIZE,
                split=part.split,
                sequence=part.key,
                native=path,
            )

    def _upright(self, points: Floats, flat: Floats, camera: Camera) -> Floats:
        """The points in the camera's axes: files from before 21 February 2019 have -z for y and y for z."""
        turned = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
        errors = [_error(camera, these, flat) for these in (points, turned)]
        if errors[1] < errors[0]:
            self.notes.repair("axes of the old annotations turned", len(points))
            return turned
        if errors[0] > 0.01 * SIZE[0]:
            self.notes.remark(f"3D points lie {errors[0]:.0f} pixels from the 2D ones in some sequences.")
        return points


def _error(camera: Camera, points: Floats, flat: Floats) -> float:
    """The median distance in pixels of projected points from those of the file; infinite where none projects."""
    off = np.linalg.norm(camera.project_seen(points) - flat, axis=-1)
    return float(np.nanmedian(off)) if np.isfinite(off).any() else np.inf


def _people(path: Path, rows: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Frame and number of every person, in order, with what the rows say of each joint, (N, 22, 7)."""
    keys = rows[:, :3]
    whole = (keys == np.floor(keys)).all(axis=1) & (keys >= 0).all(axis=1) & (keys[:, 0] >= 1) & (keys[:, 2] < 22)
    if not whole.all():
        got = rows[np.argmin(whole), :3]
        raise damaged(path, f"row {np.argmin(whole)}", expected="frame from 1, person, joint 0 to 21", got=list(got))
    unique, which = np.unique(keys[:, :2].astype(np.int64), axis=0, return_inverse=True)
    table = np.full((len(unique), 22, 7), np.nan)
    table[which.ravel(), keys[:, 2].astype(int)] = rows[:, 3:]
    return unique[:, 0], unique[:, 1], table
