"""3DPeople: dressed virtual people in motion, four views, silhouettes, 67 nodes of the rig."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array
from skelbridge.datasets._placing import descended
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
        found, clips = [], self.tree.folders("skeleton/*/*")
        if not clips:
            self.tree.require("skeleton/*/*/camera*/*.txt", "the skeletons of 3DPeople")
        for folder in clips:
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
            files = [(path, self._frame(path)) for path in self.tree.glob(f"{folder}/*.txt")]
            shown = [(path, frame) for path, frame in files if frame > 0]
            self.notes.drop("frame 0, which has no picture", len(files) - len(shown))
            if not shown:
                continue
            table = np.stack([self._nodes(path) for path, _ in shown])
            points, flat = 100 * table[..., 2:], table[..., :2]
            cameras = fitted(points, flat, float(self.settings["focal"]))
            rows = [row for row, camera in enumerate(cameras) if camera is not None]
            self.notes.drop("no camera fits the points in space to those in the picture", len(cameras) - len(rows))
            if rows:
                view, frames = folder.split("/")[-1], [shown[row][1] for row in rows]
                masks = [self._mask(f"segmentation_clothes/{part.key}/{view}/{frame:04}.png") for frame in frames]
                pictures = {PurePosixPath(path).stem: path for path in self.tree.glob(f"rgb/{part.key}/{view}/*/*.jpg")}
                yield Samples.of(
                    self.skeleton,
                    world=points[rows][:, kept],
                    points2d=flat[rows][:, kept],
                    camera=[camera for camera in cameras if camera is not None],
                    frame=frames,
                    image=[pictures.get(f"{frame:04}", "") for frame in frames],
                    image_size=SIZE,
                    box=np.array([(np.nan,) * 4 if mask is None else rle.box(mask, SIZE) for mask in masks]),
                    masks=masks,
                    split=part.split,
                    subject=part.key.split("/")[0],
                    sequence=part.key,
                    activity=part.key.split("/")[1],
                    view=view,
                    native=[shown[row][0] for row in rows],
                )

    def _frame(self, path: str) -> int:
        name = PurePosixPath(path).stem
        if not (name.isdecimal() and len(name) < 10):
            raise damaged(self.tree.root / path, "the name", expected="a frame's number", got=name)
        return int(name)

    def _nodes(self, path: str) -> Floats:
        """What the file says of the 67 nodes: u, v in pixels, x, y, z in dm with z up, (67, 5)."""
        rows = [line.split() for line in self.tree.read_text(path).split("\n") if line.strip()]
        table = array(self.tree.root / path, "", rows, (67, None))
        if table.shape[1] < 5:
            raise damaged(self.tree.root / path, "", expected="u, v ... x, y, z in a row", got=table.shape[1])
        return np.concatenate([table[:, :2], table[:, -3:]], axis=1)

    def _mask(self, path: str) -> bytes | None:
        """The person's silhouette; None where there is no picture of the clothes or nobody in it."""
        if not self.settings["masks"] or not self.tree.exists(path):
            return None
        with self.tree.open(path) as stream:
            picture = read_image(stream, str(self.tree.root / path))
        if picture.shape[:2] != SIZE[::-1]:
            raise damaged(self.tree.root / path, "", expected=f"a picture of {SIZE}", got=picture.shape[1::-1])
        mask = ((picture < BACKGROUND - FAR) | (picture > BACKGROUND + FAR)).any(axis=-1)
        return rle.encode(mask) if mask.any() else None


def fitted(points: Floats, flat: Floats, focal: float) -> list[Camera | None]:
    """The cameras of known focal length that project points (N, 67, 3) to `flat` (N, 67, 2); None where none does."""
    matrix = pinhole(focal, focal, SIZE[0] / 2, SIZE[1] / 2)
    rays, middle = (flat - matrix[:2, 2]) / focal, points.mean(axis=1, keepdims=True)
    scale = np.maximum(points.std(axis=(1, 2)), 1)
    body = (points - middle) / scale[:, None, None]
    known = np.ones(rays.shape[:2], bool)
    turns, shifts, errors = descended(body, rays, known, *_linear(body, rays))
    ahead = (np.einsum("nij,npj->npi", turns, body) + shifts[:, None])[..., 2].min(axis=1) > 0
    return [
        Camera(matrix, turn, size * shift - turn @ centre) if fits else None
        for turn, shift, size, centre, fits in zip(
            turns, shifts, scale, middle[:, 0], ahead & (focal * errors <= MAX_RESIDUAL), strict=True
        )
    ]


def _linear(points: Floats, rays: Floats) -> tuple[Floats, Floats]:
    """Rotations and translations that nearly take points (N, P, 3) onto rays (N, P, 2).

    Direct linear transformation: Hartley and Zisserman, "Multiple View Geometry in Computer Vision", section 7.1.
    """
    known = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    none, (x, y) = np.zeros_like(known), np.moveaxis(rays[..., None], 2, 0)
    equations = np.concatenate(
        [np.concatenate([known, none, -x * known], axis=2), np.concatenate([none, known, -y * known], axis=2)], axis=1
    )
    projection = np.linalg.svd(equations, full_matrices=False)[2][:, -1].reshape(-1, 3, 4)
    left, sizes, right = np.linalg.svd(projection[..., :3])
    sign = np.where(np.linalg.det(projection[..., :3]) < 0, -1.0, 1.0)
    # a flat cloud of points has no such projection: its sign and size are then as good as any, and nothing will fit
    turns = sign[:, None, None] * left @ right
    return turns, sign[:, None] * projection[..., 3] / np.maximum(sizes.mean(axis=1), 1e-9)[:, None]
