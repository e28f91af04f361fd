"""What readers parse alike: JSON below a folder, arrays of known shape, cameras; errors name the file and the place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.camera import Camera, Lens
from skelbridge.errors import InputError
from skelbridge.io.files import MAX_ABS, damaged
from skelbridge.io.json_files import parse_json
from skelbridge.io.tree import Tree
from skelbridge.io.video import Video


def load(tree: Tree, path: str) -> Any:
    """The content of a JSON file; FileFormatError with the line where it breaks."""
    return parse_json(tree.read_bytes(path), tree.root / path)


def array(
    path: Path, place: str, values: Any, shape: tuple[int | None, ...], *, missing: bool = False
) -> NDArray[np.float64]:
    """Nested lists of numbers as an array of that shape, None for any length; with `missing`, null and NaN are NaN.

    Raises FileFormatError for other shapes, for what is no number, and for numbers that are absurd.
    """
    expected = f"numbers of shape ({', '.join('n' if n is None else str(n) for n in shape)})"
    try:
        with np.errstate(invalid="ignore"):  # numpy warns of NaNs with an unusual bit
            found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise damaged(path, place, expected=expected, got=f"{type(values).__name__} of something else") from None
    if found.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, found.shape, strict=True)):
        raise damaged(path, place, expected=expected, got=f"shape {found.shape}")
    fine = (np.abs(found) < MAX_ABS) | (missing & np.isnan(found))
    if not fine.all():
        raise damaged(path, place, expected=f"numbers below {MAX_ABS:g}", got=found[~fine][0])
    return found


def inside(path: Path, place: str, name: str) -> str:
    """A path that a file names, if it stays below its folder; FileFormatError where it climbs out or is absolute."""
    named = PurePosixPath(name.replace("\\", "/"))
    if named.is_absolute() or ".." in named.parts or not named.name or "\0" in name:
        raise damaged(path, place, expected="the path of a file below the dataset's folder", got=name)
    return str(named)


def camera(
    path: Path,
    place: str,
    matrix: ArrayLike,
    rotation: ArrayLike = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    translation: ArrayLike = (0, 0, 0),
    distortion: ArrayLike = (),
    lens: Lens = "opencv",
) -> Camera:
    """A camera; FileFormatError where its numbers are none of a camera."""
    try:
        return Camera(matrix, rotation, translation, distortion, lens)
    except InputError as error:
        raise damaged(path, place, expected=error.expected, got=error.got, mend=f"It is {error.what}.") from error


def video_length(tree: Tree, path: str) -> int | None:
    """The number of frames of a video; None where there is no such file."""
    if not tree.exists(path):
        return None
    with Video(tree.open(path), str(tree.root / path)) as video:
        return len(video)
