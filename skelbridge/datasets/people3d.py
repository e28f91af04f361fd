"""3DPeople: dressed virtual people in motion, four views, silhouettes, 67 nodes of the rig."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io import rle
from skelbridge.io.files import damaged
from skelbridge.io.images import read_image
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples

SIZE = (640, 480)

#: The colour of the background in pictures of clothes, and how far from it clothes are, in any channel.
BACKGROUND, FAR = 153, 10

#: A camera whose points lie farther from the file's than this, root mean square in pixels, does not fit.
MAX_RESIDUAL = 3.0

Floats = NDArray[np.float64]


class People3d(Reader):
    """Every frame of every view; cameras are fitted to the points in space and in the picture, no file has them."""

    id = "people3d"
    skeletons = ("people3d_67", "people3d_29")
    choices = {  # noqa: RUF012
        "focal": Choice(700.0, "the focal length in pixels, which is in no file"),
        "masks": Choice(True, "masks and boxes from the pictures of clothes"),
    }

    def parts(self) -> list[Part]:
        self.tree.require("skeleton/*/*/camera*/*.txt", "the skeletons of 3DPeople")
        found = []
        for folder in self.tree.folders("skeleton/*/*"):
            _, subject, action = folder.split("/")
            number = re.fullmatch(r"(?:wo)?man([0-9]+)", subject)
            if number is None:
                self.notes.remark(f"{subject} is left out: it is no woman01 ... or man01 ...")
            else:
                found.append(Part(f"{subject}/{action}", "train" if int(number[1]) <= 33 else "test"))
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        nodes = skeleton("people3d_67")
        kept = [nodes.index(name) for name in self.skeleton.names]
        for folder in self.tree.folders(f"skeleton/{part.key}/camera*"):
            view = folder.split("/")[-1]
            pictures = {PurePosixPath(path).stem: path for path in self.tree.glob(f"rgb/{part.key}/{view}/*/*.jpg")}
            rows = []
            for path in self.tree.glob(f"{folder}/*.txt"):
                name = PurePosixPath(path).stem
                frame = self._frame(path, name)
                if frame == 0:
                    self.notes.drop("frame 0, which has no picture")
                    continue
                points, flat = self._nodes(path)
                camera = fitted(points, flat, float(self.settings["focal"]))
                if camera is None:
                    self.notes.drop("no camera fits the points in space to those in the picture")
                    continue
                mask = self._mask(f"segmentation_clothes/{part.key}/{view}/{name}.png")
                rows.append((frame, points[kept], flat[kept], camera, mask, pictures.get(name, ""), path))
            if rows:
                frames, world, points2d, cameras, masks, images, natives = zip(*rows, strict=True)
                boxes = [np.full(4, np.nan) if mask is None else rle.box(mask, SIZE) for mask in masks]
                yield Samples.of(
                    self.skeleton,
                    world=np.array(world),
                    points2d=np.array(points2d),
                    camera=cameras,
                    frame=frames,
                    image=images,
                    image_size=SIZE,
                    box=np.array(boxes),
                    masks=masks,
                    split=part.split,
                    subject=part.key.split("/")[0],
                    sequence=part.key,
                    activity=part.key.split("/")[1],
                    view=view,
                    native=natives,
                )

    def _frame(self, path: str, name: str) -> int:
        if not (name.isdecimal() and len(name) < 10):
            raise damaged(self.tree.root / path, "the name", expected="a frame's number", got=name)
        return int(name)

    def _nodes(self, path: str) -> tuple[Floats, Floats]:
        """The 67 nodes in space, (67, 3) mm with z up, and in the picture, (67, 2) pixels."""
        rows = [line.split() for line in self.tree.read_text(path).split("\n") if line.strip()]
        table = array(self.tree.root / path, "", rows, (67, None))
        if table.shape[1] < 5:
            raise damaged(self.tree.root / path, "", expected="u, v ... x, y, z in a row", got=table.shape[1])
        return 100 * table[:, -3:], table[:, :2]

    def _mask(self, path: str) -> bytes | None:
        """The person's silhouette; None where there is no picture of the clothes or nobody in it."""
        if not self.settings["masks"] or not self.tree.exists(path):
            return None
        with self.tree.open(path) as stream:
            picture = read_image(stream, path)
        if picture.shape[:2] != SIZE[::-1]:
            raise damaged(self.tree.root / path, "", expected=f"a picture of {SIZE}", got=picture.shape[1::-1])
        mask = (np.abs(picture.astype(int) - BACKGROUND) > FAR).any(axis=-1)
        return rle.encode(mask) if mask.any() else None


def fitted(points: Floats, flat: Floats, focal: float) -> Camera | None:
    """The camera of known focal length that projects points (N, 3) to `flat` (N, 2); None where none does.

    Direct linear transformation, then least squares over rotation and translation: Hartley and Zisserman, "Multiple
    View Geometry in Computer Vision", chapter 7.
    """
    matrix = pinhole(focal, focal, SIZE[0] / 2, SIZE[1] / 2)
    seen, middle = (flat - matrix[:2, 2]) / focal, points.mean(axis=0)
    scale = max(float(np.std(points)), 1e-9)
    shape = (points - middle) / scale
    start = _linear(shape, seen)
    if start is None:
        return None
    turn, shift = start

    def placed(values: Floats) -> Floats:
        return np.asarray(shape @ turn.T @ Rotation.from_rotvec(values[:3]).as_matrix().T + values[3:])

    def off(values: Floats) -> Floats:
        ahead = placed(values)
        return np.asarray(focal * (ahead[:, :2] / np.where(ahead[:, 2:] == 0, 1e-9, ahead[:, 2:]) - seen)).ravel()

    found = least_squares(off, np.concatenate([np.zeros(3), shift]), method="lm")
    if (placed(found.x)[:, 2] <= 0).any() or np.sqrt(2 * found.cost / len(points)) > MAX_RESIDUAL:
        return None
    rotation = Rotation.from_rotvec(found.x[:3]).as_matrix() @ turn
    return Camera(matrix, rotation, scale * found.x[3:] - rotation @ middle)


def _linear(points: Floats, seen: Floats) -> tuple[Floats, Floats] | None:
    """Rotation and translation that nearly take points (N, 3) to the rays `seen` (N, 2); None if undetermined."""
    known = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    none = np.zeros_like(known)
    equations = np.concatenate(
        [
            np.concatenate([known, none, -seen[:, :1] * known], axis=1),
            np.concatenate([none, known, -seen[:, 1:] * known], axis=1),
        ]
    )
    projection = np.linalg.svd(equations)[2][-1].reshape(3, 4)
    left, size, right = np.linalg.svd(projection[:, :3])
    sign = np.sign(np.linalg.det(projection[:, :3]))
    if sign == 0 or size.min() < 1e-9:
        return None
    return sign * left @ right, sign * projection[:, 3] / size.mean()
