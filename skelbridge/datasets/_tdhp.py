"""What MPI-INF-3DHP and the sets made of it (MuCo-3DHP, MuPoTS-3D) share: recordings, their cameras, their flaws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, cells, mat
from skelbridge.datasets._parse import array, camera
from skelbridge.io.files import damaged, numbers
from skelbridge.io.tree import Tree
from skelbridge.skeletons import skeleton

#: Frames of each recording; rows of the annotations beyond them have no picture.
FRAMES = {
    "S1/Seq1": 6416, "S1/Seq2": 12430, "S2/Seq1": 6502, "S2/Seq2": 6081, "S3/Seq1": 12488, "S3/Seq2": 12283,
    "S4/Seq1": 6171, "S4/Seq2": 6675, "S5/Seq1": 12820, "S5/Seq2": 12312, "S6/Seq1": 6188, "S6/Seq2": 6145,
    "S7/Seq1": 6239, "S7/Seq2": 6320, "S8/Seq1": 6468, "S8/Seq2": 6054,
}  # fmt: skip

#: The video of this recording's camera ends early.
_SHORT_VIDEO = {("S6/Seq2", 2): 3911}

#: Rows of this recording, from and up to, have left and right exchanged.
_SWAPPED = {"S4/Seq2": (3759, 5853)}
SIDES = "left and right of S4/Seq2 exchanged back"


def frame_count(recording: str, view: int, rows: int) -> int:
    """How many rows of a camera's annotations have a picture."""
    return min(rows, FRAMES.get(recording, rows), _SHORT_VIDEO.get((recording, view), rows))


def with_sides(points: NDArray[np.float64], recording: str) -> Floats:
    """The 28 points of a recording's rows (F, 28, D), left and right put right where the files exchange them."""
    start, stop = _SWAPPED.get(recording, (0, 0))
    if not len(points[start:stop]):
        return points
    points = points.copy()
    points[start:stop] = points[start:stop][:, skeleton("mpi_inf_3dhp_28").mirror_index]
    return points


def swapped(recording: str, rows: NDArray[np.intp]) -> int:
    """How many of some rows of a recording `with_sides` changes."""
    start, stop = _SWAPPED.get(recording, (0, 0))
    return int(((rows >= start) & (rows < stop)).sum())


def rows_by_view(tree: Tree, path: str, variable: str, width: int) -> dict[int, Floats]:
    """A variable of annot.mat by camera: (F, 28, width) of each."""
    values = mat(tree, path, (variable, "cameras"))
    by_view = cells(tree, path, variable, values[variable], (None, 1))[:, 0]
    views = array(tree.root / path, "cameras", values["cameras"], (None, None)).ravel()
    if len(views) != len(by_view) or (views != views.astype(int)).any():
        raise damaged(tree.root / path, "cameras", expected=f"{len(by_view)} numbers of cameras", got=views.tolist())
    return {
        int(view): array(tree.root / path, f"{variable}, camera {int(view)}", rows, (None, 28 * width)).reshape(
            -1, 28, width
        )
        for view, rows in zip(views, by_view, strict=True)
    }


def calibration(tree: Tree, path: str) -> dict[int, tuple[Camera, tuple[int, int]]]:
    """The cameras of a camera.calibration by number, with the width and height of their pictures.

    Seven lines each: name, sensor, size, animated, intrinsic and extrinsic (4 x 4, by rows, mm), radial (0: none).
    """
    found: dict[int, dict[str, list[str]]] = {}
    entry: dict[str, list[str]] = {}
    for line in tree.read_text(path).split("\n"):
        key, *words = line.split() or [""]
        if key == "name" and len(words) == 1 and words[0].isdecimal():
            entry = found.setdefault(int(words[0]), {})
        elif key in ("size", "intrinsic", "extrinsic"):
            entry[key] = words
    if not found:
        raise damaged(tree.root / path, "", expected="cameras: name 0 and so on", got="none")
    return {view: _calibrated(tree, path, view, entry) for view, entry in found.items()}


def _calibrated(tree: Tree, path: str, view: int, entry: dict[str, list[str]]) -> tuple[Camera, tuple[int, int]]:
    place = f"camera {view}"

    def block(key: str, count: int) -> Floats:
        words = entry.get(key, [])
        if len(words) != count:
            raise damaged(tree.root / path, place, expected=f"{key} and {count} numbers", got=f"{len(words)} words")
        return numbers(words, tree.root / path, f"{place}, {key}")

    inner, outer = block("intrinsic", 16).reshape(4, 4), block("extrinsic", 16).reshape(4, 4)
    width, height = block("size", 2)
    lens = camera(tree.root / path, place, inner[:3, :3], outer[:3, :3], outer[:3, 3])
    return lens, (int(width), int(height))
