"""What readers of MATLAB and other native files share besides `_parse`: fields of structs, blocks of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.reader import Notes
from skelbridge.io.files import damaged
from skelbridge.io.mat import read_mat
from skelbridge.io.tree import Tree
from skelbridge.skeletons import Skeleton, skeleton

Floats = NDArray[np.float64]

#: Samples are given so many at a time, at most.
BLOCK = 1000


def mat(tree: Tree, path: str, variables: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a MATLAB file; see `read_mat`."""
    with tree.open(path) as stream:
        return read_mat(stream, str(tree.root / path), variables)


def field(tree: Tree, path: str, place: str, values: Any, *names: str) -> Any:
    """A field of a struct (a dict), or a field of that field; FileFormatError where there is none."""
    for name in names:
        if not isinstance(values, dict) or name not in values:
            got = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
            raise damaged(tree.root / path, place, expected=f"a struct with a field {name}", got=got)
        values = values[name]
    return values


def cells(tree: Tree, path: str, place: str, values: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A cell or struct array of that shape (None: any size); FileFormatError where it is none.

    MATLAB writes an array of one struct as the struct.
    """
    if isinstance(values, dict):
        values = np.array([[values]], dtype=object)
    fits = isinstance(values, np.ndarray) and values.dtype == object and values.ndim == len(shape)
    if not fits or any(want not in (None, have) for want, have in zip(shape, values.shape, strict=True)):
        expected = f"a cell of shape ({', '.join('n' if n is None else str(n) for n in shape)})"
        got = f"shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise damaged(tree.root / path, place, expected=expected, got=got)
    return values


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Floats:
    """The matrix (3, 3) of a camera from its focal lengths and principal point, in pixels."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Rows 0 to `count` in slices of at most `size`."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def known_rows(points: NDArray[Any], notes: Notes) -> NDArray[np.intp]:
    """The rows of (N, J, D) that have at least one known joint; the others are noted as dropped."""
    known = np.isfinite(points).all(axis=-1).any(axis=-1)
    if not known.all():
        notes.drop("no known joint", int((~known).sum()))
    return np.flatnonzero(known)


def mask_box(mask: NDArray[np.bool_]) -> tuple[float, ...]:
    """Left, top, width, height of a mask's pixels (H, W); NaN where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (np.nan,) * 4
    return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1


def placed(points: NDArray[Any], given: str, wanted: Skeleton) -> Floats:
    """Points (..., J, D) of one format as another's, by the joints' names; NaN for joints that `given` has not."""
    names = skeleton(given).names
    found = np.full((*points.shape[:-2], len(wanted), points.shape[-1]), np.nan)
    for place, name in enumerate(wanted.names):
        if name in names:
            found[..., place, :] = points[..., names.index(name), :]
    return found


def fitted_pinhole(points: NDArray[Any], image: NDArray[Any]) -> Floats:
    """The matrix (3, 3) of the pinhole that brings points (N, 3) in the camera's axes nearest to image points (N, 2).

    Linear least squares of u = fx x / z + cx and v = fy y / z + cy, over the points that are known in both.
    """
    known = np.isfinite(points).all(axis=1) & np.isfinite(image).all(axis=1) & (points[:, 2] > 0)
    flat, image = points[known, :2] / points[known, 2:], image[known]
    if len(flat) < 2:
        return np.eye(3)
    (fx, cx), (fy, cy) = (
        np.linalg.lstsq(np.stack([flat[:, k], np.ones(len(flat))], axis=1), image[:, k], rcond=None)[0] for k in (0, 1)
    )
    return pinhole(fx, fy, cx, cy)
