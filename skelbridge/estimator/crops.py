"""Crops as virtual cameras: what a camera at the same place would see that looks straight at a person.

The virtual camera has no distortion and square pixels, stands upright, and its picture is as large as the person's box.
A picture seen by it is one homography of the source picture (a look-up per pixel where the source's lens bends), so the
geometry of the pose is exact in it: Sárándi et al., "MeTRAbs" (2020), perspective undistortion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.camera import Camera
from skelbridge.errors import InputError, need

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

#: Up in a camera's own axes, where nothing else is known.
UP = (0.0, -1.0, 0.0)
#: Field of view of the longer image side, in degrees, of cameras that are not known: of pictures whose labels are 2D,
#: which makes them nearly orthographic; and of pictures to predict on.
FLAT_VIEW, USUAL_VIEW = 8.0, 55.0
#: A given picture that shows the whole source picture as it is: left, top, scale.
WHOLE = (0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Crop:
    """A virtual camera in the place of a source camera.

    camera: the source; of it only the lens counts, not where it stands. rotation: (3, 3), from the source camera's axes
    to the crop's; its determinant is -1 where the crop shows the scene mirrored. matrix: (3, 3), its intrinsics.
    side: pixels of the crop's side.
    """

    camera: Camera
    rotation: Array
    matrix: Array
    side: int

    def into(self, points: ArrayLike) -> Array:
        """Points in the source camera's axes (..., 3) in those of the crop's camera."""
        return np.asarray(points) @ self.rotation.T

    def back(self, points: ArrayLike) -> Array:
        """Points in the crop camera's axes (..., 3) in those of the source camera."""
        return np.asarray(points) @ self.rotation

    def project(self, points: ArrayLike) -> Array:
        """Points in the crop camera's axes (..., 3) in the crop, (..., 2) pixels; NaN behind it."""
        points = np.asarray(points, float)
        ahead = np.where(points[..., 2:] > 0, points[..., 2:], np.nan)
        return (points[..., :2] / ahead) @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def pixels(self, pixels: ArrayLike) -> Array:
        """Pixels of the source picture (..., 2) in the crop; NaN where the lens sees nothing of the scene."""
        flat = rays(self.camera, np.asarray(pixels, float))
        return self.project(self.into(np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)))

    def warp(self, image: NDArray[np.uint8], placed: ArrayLike = WHOLE, *, finer: int = 1) -> Image:
        """The crop (side, side) or (side, side, channels) of a picture, bilinear; black where the picture ends.

        image: the source picture; or part of it, `placed` (left, top, scale) as `Samples.crop` says. finer: rendered
        so many times as large, then averaged.
        """
        cv2, size = need("cv2", "train"), (self.side * finer, self.side * finer)
        middle = (finer - 1) / 2
        matrix = np.array([[finer, 0, middle], [0, finer, middle], [0, 0, 1]]) @ self.matrix
        source = onto_part(placed) @ np.asarray(self.camera.matrix)
        coloured = image.shape[2:] == (3,)
        if coloured:  # four channels are sampled in half the time
            image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        if self._whole and not self._bends:
            way = source @ self.rotation.T @ _from_pixels(matrix)
            found = cv2.warpPerspective(image, way, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        else:
            found = cv2.remap(image, *self._maps(source, matrix, size), cv2.INTER_LINEAR)
        if coloured:
            found = cv2.cvtColor(found, cv2.COLOR_RGBA2RGB)
        return found if finer == 1 else cv2.resize(found, (self.side, self.side), interpolation=cv2.INTER_AREA)

    @cached_property
    def mirrors(self) -> bool:
        """Whether the crop shows the scene mirrored: left and right joints have changed places."""
        across, down, ahead = self.rotation.tolist()
        return sum(a * b for a, b in zip(_cross(across, down), ahead, strict=True)) < 0

    def shrinks(self, placed: ArrayLike = WHOLE) -> int:
        """How many pixels (1, 2, 4 or 8) of a picture or part of it, placed as `warp` says, go into one of the crop.

        So many may be averaged before it is warped, lest fine texture turn into noise; the rest, below 2, stays.
        """
        source = np.asarray(self.camera.matrix)
        times = (source[0, 0] + source[1, 1]) / 2 * float(np.asarray(placed)[2]) / self.matrix[0, 0]
        return int(2 ** np.clip(np.floor(np.log2(max(times, 1.0))), 0, 3))

    @property
    def _bends(self) -> bool:
        return bool(np.any(self.camera.distortion))

    @cached_property
    def _whole(self) -> bool:
        """Whether all of the crop lies ahead of the source camera, and within what its lens model holds for.

        If so in the corners then everywhere: depth is linear over the crop, distance from the axis convex.
        """
        end = self.side - 0.5
        return bool(self._seen(np.array([[-0.5, -0.5], [-0.5, end], [end, -0.5], [end, end]])).all())

    def _seen(self, pixels: Array) -> NDArray[np.bool_]:
        """Whether pixels of the crop (..., 2) show what the source camera could see."""
        way = _from_pixels(self.matrix).T @ self.rotation
        ahead = pixels @ way[:2] + way[2]
        square, depth = np.sum(ahead[..., :2] ** 2, axis=-1), ahead[..., 2]
        return (depth > 1e-6) & (square < self.camera.fold * depth**2)

    def _maps(self, source: Array, matrix: Array, size: tuple[int, int]) -> tuple[NDArray[np.float32], ...]:
        """Where each pixel of the crop lies in the given picture, x and y, each (size, size)."""
        cv2 = need("cv2", "train")
        lens = _opencv_lens(self.camera)
        across, down = cv2.initUndistortRectifyMap(source, lens, self.rotation, matrix, size, cv2.CV_32FC1)
        if not self._whole:
            finer = size[0] / self.side
            grid = (np.mgrid[: size[1], : size[0]][::-1].transpose(1, 2, 0) - (finer - 1) / 2) / finer
            across[~self._seen(grid)] = -9.0  # outside: black
        return across, down


def person_crop(
    camera: Camera,
    box: ArrayLike,
    side: int,
    *,
    shift: ArrayLike = (0.0, 0.0),
    zoom: float = 1.0,
    roll: float = 0.0,
    flip: bool = False,
    up: ArrayLike = UP,
) -> Crop:
    """The crop of a person's box (4,) - left, top, width, height in the source picture - whose longer side fills it.

    shift: of the middle, in longer box sides. zoom: how much larger the person appears. roll: radians that the picture
    turns, clockwise. flip: mirrored; left and right joints change places, which is for the caller to do. up: what is
    upright in the crop, in the source camera's axes.

    Raises InputError for a box that is none.
    """
    middle, along = _measured(box, shift)
    ends = middle + np.array([[0.0, 0.0], -along / 2, along / 2])
    flat = rays(camera, ends)
    if not np.isfinite(flat).all():  # beyond what the lens sees: as if it did not bend
        flat = _straight_rays(camera, ends)
    ahead = np.concatenate([flat, np.ones((3, 1))], axis=1)
    turn = looking_along(ahead[0], up)
    seen = ahead[1:] @ turn.T
    first, last = seen[:, :2] / np.maximum(seen[:, 2:], 0.05)  # a box beyond what a camera can see stays finite
    spread = float(np.hypot(*(first - last)))
    focal, centre = side * zoom / spread, (side - 1) / 2
    matrix = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    return Crop(camera, _rolled(roll, flip) @ turn, matrix, side)


def flat_crop(
    size: ArrayLike,
    box: ArrayLike,
    side: int,
    *,
    shift: ArrayLike = (0.0, 0.0),
    zoom: float = 1.0,
    roll: float = 0.0,
    flip: bool = False,
) -> Crop:
    """The crop of a picture (width, height) without a camera, for labels in the picture alone.

    A long lens is assumed, and the crop's camera does not turn towards the person: its principal point lies off the
    middle instead. Arguments as in `person_crop`.
    """
    middle, along = _measured(box, shift)
    camera, turn = assumed_camera(size, FLAT_VIEW), _rolled(roll, flip)
    focal = float(np.asarray(camera.matrix)[0, 0]) * side * zoom / float(along.max())
    seen = turn[:2, :2] @ _straight_rays(camera, middle)
    x, y = (side - 1) / 2 - focal * seen
    return Crop(camera, turn, np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]]), side)


def assumed_camera(size: ArrayLike, view: float = USUAL_VIEW) -> Camera:
    """A camera for a picture (width, height) of which none is known: `view` degrees wide on the longer side."""
    return _assumed_camera(*np.asarray(size, float).tolist(), view)


@lru_cache(maxsize=1024)
def _assumed_camera(width: float, height: float, view: float) -> Camera:
    focal = max(width, height) / (2 * np.tan(np.radians(view) / 2))
    return Camera([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def rays(camera: Camera, pixels: Array) -> Array:
    """Pixels of a camera's picture (..., 2) as x / z and y / z in its axes; NaN where its lens sees nothing."""
    return camera.rays(pixels) if np.any(camera.distortion) else _straight_rays(camera, pixels)


def looking_along(ray: ArrayLike, up: ArrayLike = UP) -> Array:
    """The rotation (3, 3) into a camera that looks along a ray (3,) with `up` (3,) upright; both in the old axes.

    Where they are parallel, some direction across is to the right.
    """
    ahead = _unit(*np.asarray(ray, float).tolist())
    right = _cross(ahead, np.asarray(up, float).tolist())
    if math.hypot(*right) < 1e-6 * math.hypot(*np.asarray(up, float).tolist()):
        least = min(range(3), key=lambda axis: abs(ahead[axis]))
        right = _cross(ahead, [float(axis == least) for axis in range(3)])
    right = _unit(*right)
    return np.array([right, _cross(ahead, right), ahead])


def onto_part(placed: ArrayLike) -> Array:
    """The matrix (3, 3) from pixels of a picture to those of a part (left, top, scale) of it."""
    left, top, scale = np.asarray(placed, float).tolist()
    return np.array([[scale, 0, -left * scale], [0, scale, -top * scale], [0, 0, 1]])


def reduced(placed: ArrayLike, factor: int) -> Array:
    """Left, top and scale of a part (3,) whose pixels are averaged in squares of `factor`."""
    left, top, scale = np.asarray(placed, float).tolist()
    return np.array([left + (factor - 1) / 2 / scale, top + (factor - 1) / 2 / scale, scale / factor])


def shrunk(image: Image, placed: ArrayLike, crop: Crop) -> tuple[Image, ArrayLike]:
    """A picture, or a part of it (left, top, scale), with as many pixels averaged as go into one of the crop."""
    factor = crop.shrinks(placed)
    size = [length // factor for length in image.shape[1::-1]]
    if factor == 1 or min(size) < 1:
        return image, placed
    whole = image[: size[1] * factor, : size[0] * factor]
    small: Image = need("cv2", "train").resize(whole, size, interpolation=need("cv2", "train").INTER_AREA)
    return small, reduced(placed, factor)


def _measured(box: ArrayLike, shift: ArrayLike) -> tuple[Array, Array]:
    """A box's shifted middle (2,), and its longer side as a vector (2,)."""
    values = np.asarray(box, float)
    if values.shape != (4,) or not np.isfinite(values).all() or values[2:].max() <= 0:
        raise InputError("a person's box", expected="left, top, width, height in pixels", got=values.tolist())
    longer = float(values[2:].max())
    along = np.array([longer, 0.0]) if values[2] >= values[3] else np.array([0.0, longer])
    return values[:2] + values[2:] / 2 + np.asarray(shift, float) * longer, along


def _rolled(roll: float, flip: bool) -> Array:
    """The turn about the axis (clockwise in the picture), then the mirror."""
    c, s = np.cos(roll), np.sin(roll)
    sign = -1.0 if flip else 1.0
    return np.array([[sign * c, -sign * s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _straight_rays(camera: Camera, pixels: Array) -> Array:
    """As `rays`, as if the lens did not bend."""
    (a, b, x), (c, d, y), _ = np.asarray(camera.matrix).tolist()
    inverse = np.array([[d, -c], [-b, a]]) / (a * d - b * c)  # transposed
    return (pixels - np.array([x, y])) @ inverse


def _from_pixels(matrix: Array) -> Array:
    """The inverse (3, 3) of a crop's intrinsics, whose pixels are square."""
    focal, x, y = matrix[0, 0], matrix[0, 2], matrix[1, 2]
    return np.array([[1 / focal, 0, -x / focal], [0, 1 / focal, -y / focal], [0, 0, 1]])


def _unit(x: float, y: float, z: float) -> list[float]:
    length = math.hypot(x, y, z)
    return [x / length, y / length, z / length]


def _cross(a: Sequence[float], b: Sequence[float]) -> list[float]:  # numpy's takes ten times as long for one vector
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _opencv_lens(camera: Camera) -> Array:
    """Twelve coefficients of OpenCV. Human3.6M's lens is one of them, with half the p and a thin prism for the rest.

    Its x is p1 x y + p2 x² + p2 r²; OpenCV's 2 p1 x y + p2 (r² + 2 x²) + s1 r². So too for y.
    """
    bends = np.asarray(camera.distortion)
    if camera.lens == "opencv":
        return np.concatenate([bends, np.zeros(4)])
    half = bends[2:4] / 2
    return np.concatenate([bends[:2], half, bends[4:], [half[1], 0.0, half[0], 0.0]])
